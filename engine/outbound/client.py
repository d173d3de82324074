"""The HTTP client for every outbound request: web nodes, the HTTP node, model calls and webhooks.

For each request the client parses the URL (`addresses`), resolves the host once, checks every resolved address and
connects to a checked one (`connection_pools`). TLS certificates are verified against the host name. Each redirect goes
through the same steps again. The response body is decompressed in pieces up to a size limit (`decompression`). The
owner's allow-list (`allow_list`) opens addresses beyond the public internet; a redirect from a host that is not on the
list never leads to one that is. Failures are the exceptions of `errors`.

Requests to the reserved host of the practice site are answered inside this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Protocol, Self

import httpcore2
import httpx2
from msgspec import Struct

from engine.core.charsets import decode_body
from engine.core.shared_places import Waited
from engine.flow.node_http import DrawnPage, SecretValue
from engine.outbound.addresses import port_of, read_url, shown_url
from engine.outbound.allow_list import Allowed, OutboundRules, Reach, allowed_origin, parse_allow_list
from engine.outbound.connection_pools import CONNECT_SECONDS, ConnectionPools, Resolver
from engine.outbound.decompression import ACCEPTED_ENCODINGS, unpacked
from engine.outbound.error_messages import converted_errors
from engine.outbound.errors import (
    AddressNotAllowed,
    AnswerUnreadable,
    BadHeader,
    BadUrl,
    ConnectFailed,
    OutboundFailed,
    OutboundRefused,
    ResponseTooLarge,
    TimedOut,
    TooManyRedirects,
    outbound_fault,
)
from engine.outbound.http_connection import Response
from engine.outbound.practice_site import PRACTICE_HOST, practice_answer
from engine.outbound.redirects import Hop, core_url, sendable, with_query
from engine.outbound.robots import CrawlPoliteness, SharedTurns, SiteRules
from engine.outbound.user_agent import USER_AGENT

__all__ = [
    "MAX_BYTES",
    "PRACTICE_HOST",
    "USER_AGENT",
    "AddressNotAllowed",
    "Allowed",
    "Answer",
    "AnswerUnreadable",
    "BadHeader",
    "BadUrl",
    "ConnectFailed",
    "OutboundClient",
    "OutboundFailed",
    "OutboundRefused",
    "OutboundRules",
    "ResponseTooLarge",
    "TimedOut",
    "TooManyRedirects",
    "allowed_origin",
    "outbound_fault",
    "parse_allow_list",
]

#: Default limit of a response body after decompression, in bytes.
MAX_BYTES = 10 * 1024 * 1024
#: The most that is read of a body that is passed over, and for how long.
_PASSED_OVER_BYTES = 64 * 1024
_PASSED_OVER_SECONDS = 1.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Key in a response's `extensions`: whether the allow-list in use covers the host that answered.
_LISTED = "listed"


class Answer(Struct, frozen=True):
    """A response.

    `url` is the final URL and `redirects` the URLs before it; header names are lower case; `body` is decompressed.

    `listed`: the allow-list in use covers the host that answered.
    """

    url: str
    status: int
    headers: dict[str, str]
    body: bytes
    redirects: tuple[str, ...] = ()
    listed: bool = False

    @property
    def content_type(self) -> str:
        """The media type in lower case without parameters, for example `text/html`."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    def text(self) -> str:
        """Decodes the body with the charset that the response declares (`engine.core.charsets`)."""
        content_type = self.headers.get("content-type", "")
        return decode_body(self.body, content_type, is_page="html" in content_type.lower())


class PageRenderer(Protocol):
    """Runs the scripts of pages in a browser (`engine.browser.browser.Browser`)."""

    async def draw(self, answer: Answer, seconds: float) -> DrawnPage: ...
    async def try_out(self) -> str: ...
    async def aclose(self) -> None: ...


class OutboundClient:
    """Sends the outbound requests of one process, from one event loop.

    `resolver`, `connector` and `tls` replace DNS, the network and the trusted certificates in tests. `renderer` creates
    the browser that renders pages and sends their requests with this client; without it `draw` and `try_browser` fail.
    """

    def __init__(
        self,
        rules: OutboundRules | None = None,
        resolver: Resolver | None = None,
        connector: httpcore2.AsyncNetworkBackend | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        renderer: Callable[[Self], PageRenderer] | None = None,
    ) -> None:
        self._rules = rules or OutboundRules()
        self._pools = ConnectionPools(self._rules, resolver, connector, tls)
        self._renderer = None if renderer is None else renderer(self)
        self._politeness = CrawlPoliteness(
            lambda url, seconds, reach: self.request("GET", url, timeout_seconds=seconds, reach=reach)
        )

    @property
    def rules(self) -> OutboundRules:
        """The rules in use, as the owner last set them."""
        return self._rules

    def replace_rules(self, rules: OutboundRules) -> None:
        """Applies changed settings: the new rules are used from the next request or redirect on."""
        if rules == self._rules:
            # workers call this every second: unchanged rules must not drop open connections and cached robots.txt files
            return
        self._rules = rules
        self._pools.replace_rules(rules)
        self._politeness.forget()

    def share_turns(self, turns: SharedTurns) -> None:
        """Keeps the delays and limits of sites together with other processes."""
        self._politeness.share(turns)

    async def site_rules(self, url: str, *, timeout_seconds: float = 30.0, reach: Reach = "flows") -> SiteRules:
        """Returns the robots.txt rules of a page's site, cached for a limited time. Raises NodeFailed."""
        return await self._politeness.site_rules(url, timeout_seconds, reach)

    def turn(
        self, url: str, *, delay_seconds: float = 0.0, at_once: int = 10
    ) -> contextlib.AbstractAsyncContextManager[None]:
        """Returns a context manager to use around a request: it waits until the page's host may receive the next one
        (`engine.outbound.robots`).
        """
        return self._politeness.turn(url, delay_seconds=delay_seconds, at_once=at_once)

    async def request(  # noqa: PLR0913 - each is named by the caller
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        secret_headers: Mapping[str, SecretValue] | None = None,
        query: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout_seconds: float = 30.0,
        max_bytes: int | None = MAX_BYTES,
        follow_redirects: bool = True,
        max_redirects: int = 5,
        allow_extra: tuple[Allowed, ...] = (),
        reach: Reach = "flows",
    ) -> Answer:
        """Sends one request and follows its redirects, all within `timeout_seconds`.

        A response with any status is returned.

        `secret_headers` override `headers`. They are sent only to the hosts that their secrets permit and, like
        Authorization, Cookie and Baggage, are dropped when a redirect changes the origin. `query` is appended to the
        URL's own query. `max_bytes` limits the decompressed body; None: whatever it is, it is passed over, and the time
        limit is that of the head. `reach` selects the allow-list. Raises OutboundRefused or OutboundFailed (both are
        NodeFailed).
        """
        secrets = secret_headers or {}
        hop = Hop(
            method.upper(),
            with_query(read_url(url), query),
            sendable(headers or {}),
            sendable({name: secret.value for name, secret in secrets.items()}),
            content,
            tuple(secrets.values()),
        )
        limit = asyncio.timeout(timeout_seconds)
        try:
            async with limit:
                most = max_redirects if follow_redirects else None
                return await self._follow(hop, most, max_bytes, allow_extra, reach, limit)
        except TimeoutError as error:
            if not limit.expired():
                raise
            if waited := Waited.of(error):
                raise TimedOut(
                    f"The request to `{shown_url(url)}` did not end within {timeout_seconds:g} seconds. {waited.why} "
                    "Try again later, or raise the node's time limit."
                ) from error
            raise TimedOut(
                f"`{shown_url(url)}` did not answer in full within {timeout_seconds:g} seconds. "
                "Try again, or raise the node's time limit."
            ) from error

    def client(
        self,
        allow_extra: tuple[Allowed, ...] = (),
        headers: Mapping[str, str] | None = None,
        *,
        silence_seconds: float | None = 180.0,
    ) -> httpx2.AsyncClient:
        """Returns an HTTP client for a model SDK that applies the same address checks to every connection.

        It follows no redirects and reads no environment variables. `headers` are added to each of its requests. A server
        that sends or takes nothing for `silence_seconds` is given up; None is for callers that keep limits of their own.
        The caller closes it; closing it does not close the connections of this OutboundClient.
        """
        return httpx2.AsyncClient(
            transport=_OutboundTransport(self, allow_extra),
            headers=headers,
            follow_redirects=False,
            trust_env=False,
            timeout=httpx2.Timeout(silence_seconds, connect=CONNECT_SECONDS),
        )

    async def draw(self, answer: Answer, *, timeout_seconds: float = 30.0) -> DrawnPage:
        """Renders a response's page in a browser and returns it after its scripts ran; its requests are sent by this
        client too.

        Raises NodeFailed, with the code `page_needs_browser` when no browser is installed.
        """
        return await self._needs_renderer().draw(answer, timeout_seconds)

    async def try_browser(self) -> str:
        """Starts the browser and returns its version. Raises NodeFailed."""
        return await self._needs_renderer().try_out()

    async def aclose(self) -> None:
        """Closes every connection and the browser."""
        if self._renderer is not None:
            await self._renderer.aclose()
        await self._pools.aclose()

    def _needs_renderer(self) -> PageRenderer:
        assert self._renderer is not None, "a client that renders pages is created with a renderer"
        return self._renderer

    async def _follow(
        self,
        hop: Hop,
        redirects_left: int | None,
        max_bytes: int | None,
        allow_extra: tuple[Allowed, ...],
        reach: Reach,
        limit: asyncio.Timeout,
    ) -> Answer:
        walked: list[str] = []
        while True:
            came_from = walked[-1] if walked else None
            async with self.sent(hop.request(), hop.url, allow_extra, reach, came_from=came_from) as response:
                listed = bool(response.extensions.get(_LISTED))
                if not listed:
                    # a host that is not on the allow-list must not redirect to one that is
                    allow_extra, reach = (), "public"
                headers = dict(httpx2.Headers(response.headers).items())
                location = headers.get("location", "").strip()
                if redirects_left is None or response.status not in _REDIRECTS or not location:
                    if max_bytes is None:
                        limit.reschedule(None)
                        await _pass_over(response)
                        return Answer(str(hop.url), response.status, headers, b"", tuple(walked), listed)
                    body = await _read(response, headers.get("content-encoding", ""), max_bytes)
                    if headers.pop("content-encoding", None):
                        headers.pop("content-length", None)  # it counts the compressed bytes
                    return Answer(str(hop.url), response.status, headers, body, tuple(walked), listed)
            if len(walked) >= redirects_left:
                raise TooManyRedirects(
                    f"`{shown_url(walked[0] if walked else hop.url)}` was sent on more than {redirects_left} times. "
                    "Open the address in a browser and use the one it ends at."
                )
            walked.append(str(hop.url))
            hop = hop.redirected(response.status, location)

    @contextlib.asynccontextmanager
    async def sent(
        self,
        request: httpcore2.Request,
        url: httpx2.URL,
        allow_extra: tuple[Allowed, ...],
        reach: Reach = "flows",
        *,
        came_from: str | None = None,
    ) -> AsyncIterator[Response]:
        """Sends one request to `url` without following redirects; the response's body is still compressed and unread.

        For `_OutboundTransport` and this class only; other code uses `request`. Raises OutboundRefused or
        OutboundFailed.
        """
        host, port = url.raw_host.decode().lower().rstrip("."), port_of(url)
        with converted_errors(url, came_from, reach):
            async with self._pools.pool(reach, allow_extra) as pool:
                if host == PRACTICE_HOST:
                    pool.guard.destination(host, port)  # its ports are those of every public host
                    yield practice_answer(request.method.decode(), url.path)
                    return
                connections = await pool.pool_for(url.scheme, host, port)
                origin = request.url.origin
                connection = await connections.take(origin)
                try:
                    response = await connection.handle_async_request(request)
                    response.extensions[_LISTED] = pool.lists(connections, response, host, port)
                    try:
                        yield response
                    finally:
                        await response.aclose()
                finally:
                    await connections.give_back(connection, origin)


class _OutboundTransport(httpx2.AsyncBaseTransport):
    """An httpx2 transport that sends requests with an OutboundClient and returns decompressed bodies of at most
    MAX_BYTES.
    """

    def __init__(self, outbound: OutboundClient, allow_extra: tuple[Allowed, ...]) -> None:
        self._outbound = outbound
        self._allow_extra = allow_extra

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = read_url(str(request.url))
        request.headers["accept-encoding"] = ACCEPTED_ENCODINGS
        held = contextlib.AsyncExitStack()
        response = await held.enter_async_context(self._outbound.sent(_core_request(request), url, self._allow_extra))
        headers = [
            (name, value)
            for name, value in response.headers
            if name.lower() not in {b"content-encoding", b"content-length"}
        ]
        body = _HeldBody(held, response, url)
        return httpx2.Response(response.status, headers=headers, stream=body, extensions=response.extensions)


class _HeldBody(httpx2.AsyncByteStream):
    """A decompressed body that keeps its connection open until the body is closed."""

    def __init__(self, held: contextlib.AsyncExitStack, response: Response, url: httpx2.URL) -> None:
        self._held = held
        encoding = httpx2.Headers(response.headers).get("content-encoding", "")
        self._pieces = unpacked(response.aiter_stream(), encoding, MAX_BYTES)
        self._url = url

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Resumes where the previous iteration stopped: a model SDK reads the rest of a stream after its last event."""
        with converted_errors(self._url, None, "flows"):
            async for piece in self._pieces:
                yield piece

    async def aclose(self) -> None:
        await self._held.aclose()


async def _read(response: Response, content_encoding: str, max_bytes: int) -> bytes:
    body = bytearray()
    try:
        async for piece in unpacked(response.aiter_stream(), content_encoding, max_bytes):
            body += piece
        return bytes(body)
    finally:
        body.clear()  # frees the memory at once: a stored traceback would keep the partial body alive


async def _pass_over(response: Response) -> None:
    """Reads a short body that is there already, or nearly, so that its connection can be used again. Any other is cut off."""
    left = _PASSED_OVER_BYTES
    with contextlib.suppress(OSError, httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException):
        async with asyncio.timeout(_PASSED_OVER_SECONDS):
            async for piece in response.aiter_stream():
                left -= len(piece)
                if left < 0:
                    return


def _core_request(request: httpx2.Request) -> httpcore2.Request:
    """Converts the request for the connection pool.

    Of its extensions only the time limits are kept, so that a caller cannot change the TLS server name or the request
    target.
    """
    url = request.url
    return httpcore2.Request(
        method=request.method,
        url=core_url(url),
        headers=request.headers.raw,
        content=request.stream,
        extensions={"timeout": request.extensions.get("timeout", {})},
    )
