"""The one outbound door: every request that leaves Flowport goes through here (web nodes, HTTP, models, webhooks).

A request's way: the URL is read (`addresses`), the host is looked up once and every answer checked, the connection goes to
that address (`connect`), TLS is verified against the name, each redirect starts over, and the body is unpacked piece by piece
under a limit (`decoding`). The owner's list (`allow_list`) opens more than the public web; a redirect of a host that is not on
it never leads to one that is. `faults` are the ways it says no.
The reserved host of the practice site is answered in this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, Self

import httpcore2
import httpx2

from engine.core.charsets import decode_body
from engine.flow.node_type import DrawnPage, SecretValue
from engine.outbound.addresses import port_of, read_url, shown_url
from engine.outbound.allow_list import Allowed, OutboundRules, Reach, allowed_origin, parse_allow_list
from engine.outbound.connection_pools import CONNECT_SECONDS, ConnectionPools, Resolver
from engine.outbound.decompression import ACCEPTED_ENCODINGS, unpacked
from engine.outbound.error_messages import in_words
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
from engine.outbound.practice_site import PRACTICE_HOST, practice_answer
from engine.outbound.redirects import USER_AGENT, Hop, sendable, with_query
from engine.outbound.robots import Manners, SiteRules

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

#: The longest unpacked body.
MAX_BYTES = 10 * 1024 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Stands with a response whose host is one that the list in use allows.
_LISTED = "listed"


@dataclass(frozen=True)
class Answer:
    """What came back. `url` is the last one after `redirects`; `headers` have lower-case names; `body` is unpacked.

    `listed`: the host that answered stands on the list that was in use.
    """

    url: str
    status: int
    headers: dict[str, str]
    body: bytes
    redirects: tuple[str, ...] = ()
    listed: bool = False

    @property
    def content_type(self) -> str:
        """The media type, lower case, without parameters: `text/html`."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    def text(self) -> str:
        """The body as text, in the charset the answer names (`engine.core.charsets`)."""
        content_type = self.headers.get("content-type", "")
        return decode_body(self.body, content_type, is_page="html" in content_type.lower())


class PageRenderer(Protocol):
    """Runs the scripts of pages in a browser (`engine.browser.browser.Browser`)."""

    async def draw(self, answer: Answer, seconds: float) -> DrawnPage: ...
    async def try_out(self) -> str: ...
    async def aclose(self) -> None: ...


class OutboundClient:
    """Sends requests for one process, from one event loop. Tests hand in a resolver, a network and their own certificates.

    `renderer` makes what draws pages in a browser and sends their requests by this client; without it no page can be drawn.
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
        self._manners = Manners(
            lambda url, seconds, reach: self.request("GET", url, timeout_seconds=seconds, reach=reach)
        )

    @property
    def rules(self) -> OutboundRules:
        """The owner's rules that count now."""
        return self._rules

    def replace_rules(self, rules: OutboundRules) -> None:
        """The owner's rules as they are now: new ones count from the next request or redirect on."""
        if rules == self._rules:
            return  # a worker asks every second: connections and what sites allow are kept
        self._rules = rules
        self._pools.replace_rules(rules)
        self._manners.forget()

    async def site_rules(self, url: str, *, timeout_seconds: float = 30.0, reach: Reach = "flows") -> SiteRules:
        """What the robots.txt of a page's site says; asked for once and kept for a while. Raises NodeFailed."""
        return await self._manners.site_rules(url, timeout_seconds, reach)

    def turn(
        self, url: str, *, delay_seconds: float = 0.0, at_once: int = 10
    ) -> contextlib.AbstractAsyncContextManager[None]:
        """Enter it around a request: waits until the page's host may be asked again (`engine.outbound.robots`)."""
        return self._manners.turn(url, delay_seconds=delay_seconds, at_once=at_once)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        secret_headers: Mapping[str, SecretValue] | None = None,
        query: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout_seconds: float = 30.0,
        max_bytes: int = MAX_BYTES,
        follow_redirects: bool = True,
        max_redirects: int = 5,
        allow_extra: tuple[Allowed, ...] = (),
        reach: Reach = "flows",
    ) -> Answer:
        """One request with its redirects, all within `timeout_seconds`. Any status is an answer.

        `secret_headers` win over `headers`, go only to hosts that their secrets name and, like Authorization, Cookie and Baggage, do
        not follow to another origin. `query` is added to the URL's own. `reach` says whose list counts. Raises OutboundRefused or OutboundFailed (both are NodeFailed).
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
                return await self._follow(hop, most, max_bytes, allow_extra, reach)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TimedOut(
                f"`{shown_url(url)}` did not answer in full within {timeout_seconds:g} seconds. "
                "Try again, or raise the node's time limit."
            ) from error

    def client(
        self, allow_extra: tuple[Allowed, ...] = (), headers: Mapping[str, str] | None = None
    ) -> httpx2.AsyncClient:
        """A client for a model SDK: the same checks at every connection, no redirects, nothing from the environment.
        `headers` go with each of its requests.

        Whoever asks for it closes it; that leaves the door's connections alone.
        """
        return httpx2.AsyncClient(
            transport=_OutboundTransport(self, allow_extra),
            headers=headers,
            follow_redirects=False,
            trust_env=False,
            timeout=httpx2.Timeout(180.0, connect=CONNECT_SECONDS),
        )

    async def draw(self, answer: Answer, *, timeout_seconds: float = 30.0) -> DrawnPage:
        """The page of an answer after its scripts ran in a browser; all they ask for goes through this door too.

        Raises NodeFailed, with `page_needs_browser` when this server has no browser.
        """
        return await self._needs_renderer().draw(answer, timeout_seconds)

    async def try_browser(self) -> str:
        """Starts the browser and gives its version. Raises NodeFailed."""
        return await self._needs_renderer().try_out()

    async def aclose(self) -> None:
        """Closes every connection, and the browser."""
        if self._renderer is not None:
            await self._renderer.aclose()
        await self._pools.aclose()

    def _needs_renderer(self) -> PageRenderer:
        assert self._renderer is not None, "who draws pages makes the client with a renderer"
        return self._renderer

    async def _follow(
        self, hop: Hop, redirects_left: int | None, max_bytes: int, allow_extra: tuple[Allowed, ...], reach: Reach
    ) -> Answer:
        walked: list[str] = []
        while True:
            came_from = walked[-1] if walked else None
            async with self.sent(hop.request(), allow_extra, reach, came_from=came_from) as response:
                listed = bool(response.extensions.get(_LISTED))
                if not listed:
                    allow_extra, reach = (), "public"  # a host that is not on the list leads to none that is
                location = response.headers.get("location", "").strip()
                if redirects_left is None or response.status_code not in _REDIRECTS or not location:
                    body = await _read(response, max_bytes)
                    headers = _headers_of(response)
                    return Answer(str(hop.url), response.status_code, headers, body, tuple(walked), listed)
            if len(walked) >= redirects_left:
                raise TooManyRedirects(
                    f"`{shown_url(walked[0] if walked else hop.url)}` was sent on more than {redirects_left} times. "
                    "Open the address in a browser and use the one it ends at."
                )
            walked.append(str(hop.url))
            hop = hop.redirected(response.status_code, location)

    @contextlib.asynccontextmanager
    async def sent(
        self,
        request: httpx2.Request,
        allow_extra: tuple[Allowed, ...],
        reach: Reach = "flows",
        *,
        came_from: str | None = None,
    ) -> AsyncIterator[httpx2.Response]:
        """One request without redirects; the response's body is still packed and unread. For this module's transport."""
        host, port = request.url.raw_host.decode().lower().rstrip("."), port_of(request.url)
        if host == PRACTICE_HOST:
            yield practice_answer(request)
            return
        with in_words(request.url, came_from, reach):
            async with self._pools.pool(reach, allow_extra) as pool:
                connections = await pool.pool_for(request.url.scheme, host, port)
                answer = await connections.handle_async_request(_for_the_wire(request))
                told = {**answer.extensions, _LISTED: pool.lists(connections, answer, host, port)}
                try:
                    yield httpx2.Response(answer.status, headers=answer.headers, stream=_Wire(answer), extensions=told)
                finally:
                    await answer.aclose()


class _Wire(httpx2.AsyncByteStream):
    """The body as it comes in."""

    def __init__(self, answer: httpcore2.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._answer.aiter_stream():
            yield chunk


class _OutboundTransport(httpx2.AsyncBaseTransport):
    """The door under an httpx2 client. Bodies come out unpacked, under the same limit."""

    def __init__(self, outbound: OutboundClient, allow_extra: tuple[Allowed, ...]) -> None:
        self._door = outbound
        self._allow_extra = allow_extra

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = read_url(str(request.url))
        request.headers["accept-encoding"] = ACCEPTED_ENCODINGS
        held = contextlib.AsyncExitStack()
        response = await held.enter_async_context(self._door.sent(request, self._allow_extra))
        headers = [
            (name, value)
            for name, value in response.headers.raw
            if name.lower() not in {b"content-encoding", b"content-length"}
        ]
        body = _HeldBody(held, response, url)
        return httpx2.Response(response.status_code, headers=headers, stream=body, extensions=response.extensions)


class _HeldBody(httpx2.AsyncByteStream):
    """An unpacked body that keeps its connection until it is closed."""

    def __init__(self, held: contextlib.AsyncExitStack, response: httpx2.Response, url: httpx2.URL) -> None:
        self._held = held
        self._pieces = _pieces(response, MAX_BYTES)
        self._url = url

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Goes on where the last reader stopped: a model SDK reads the rest of a stream after its last event."""
        with in_words(self._url, None, "flows"):
            async for piece in self._pieces:
                yield piece

    async def aclose(self) -> None:
        await self._held.aclose()


async def _read(response: httpx2.Response, max_bytes: int) -> bytes:
    body = bytearray()
    try:
        async for piece in _pieces(response, max_bytes):
            body += piece
        return bytes(body)
    finally:
        body.clear()  # an error's traceback would hold what came so far


def _pieces(response: httpx2.Response, max_bytes: int) -> AsyncIterator[bytes]:
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    return unpacked(response.stream, response.headers.get("content-encoding", ""), max_bytes)


def _headers_of(response: httpx2.Response) -> dict[str, str]:
    """Lower-case name -> value; those about the packing are left out once the body is unpacked."""
    headers = dict(response.headers.items())
    if headers.pop("content-encoding", None):
        headers.pop("content-length", None)
    return headers


def _for_the_wire(request: httpx2.Request) -> httpcore2.Request:
    """The request for the pool. Only time limits are taken over from its extensions: no other TLS name, no other target."""
    url = request.url
    return httpcore2.Request(
        method=request.method,
        url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions={"timeout": request.extensions.get("timeout", {})},
    )
