"""One page in the browser: its requests go through the outbound client, and its HTML is read when it has stopped
changing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from engine.flow.node_context import NodeFailed

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page, Request, Route

#: The limits of one page: requests, bytes in all, bytes of one answer, characters of HTML, seconds to wait for silence.
_MAX_REQUESTS = 300
_MAX_BYTES = 30 * 1024 * 1024
_LONGEST_ONE = 10 * 1024 * 1024
_LONGEST_HTML = 3 * 1024 * 1024
_QUIET_SECONDS = 8.0

_KINDS = frozenset({"document", "stylesheet", "script", "xhr", "fetch"})
_METHODS = frozenset({"GET", "HEAD", "POST"})
_OWN_HEADERS = frozenset({"user-agent", "accept-encoding", "host", "connection", "content-length"})
_NOT_PASSED_ON = frozenset({"transfer-encoding", "connection", "keep-alive", "content-encoding", "content-length"})
_NO_PEERS = "for (const name of ['RTCPeerConnection', 'webkitRTCPeerConnection', 'WebTransport']) delete window[name];"
_LENGTH = "document.body ? document.body.innerText.length : 0"
_HTML = (
    f"document.documentElement ? '<!doctype html>' + document.documentElement.outerHTML.slice(0, {_LONGEST_HTML}) : ''"
)


class OutboundAnswer(Protocol):
    """An answer of the outbound client."""

    @property
    def url(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> dict[str, str]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def listed(self) -> bool: ...


class Drawn(Struct, frozen=True):
    """A page after its scripts have run: its address, its HTML, and how many of its requests were refused or failed."""

    url: str
    html: str
    refused: int = 0


#: Sends a request of a page through the outbound client: (page, method, url, headers, body, seconds, most bytes) ->
#: answer. Raises NodeFailed.
Fetch = Callable[[OutboundAnswer, str, str, dict[str, str], bytes | None, float, int], Awaitable[OutboundAnswer]]


@dataclass
class BrowserPage:
    """One page, whose requests go through `send` and are counted.

    `until`: the deadline, on the clock of the browser's loop.
    """

    send: Fetch
    answer: OutboundAnswer
    until: float
    requests: int = 0
    received: int = 0
    refused: int = 0
    crashed: bool = False
    _first: bool = True
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def go(self, context: BrowserContext) -> Drawn:
        from playwright.async_api import Error

        await context.add_init_script(_NO_PEERS)
        await context.route_web_socket("**/*", lambda socket: socket.close())
        await context.route("**/*", self._route)
        page = await context.new_page()
        page.on("crash", lambda _: setattr(self, "crashed", True))
        context.on("page", lambda other: asyncio.ensure_future(closed(other)))
        with contextlib.suppress(Error):  # a page that never finishes loading is read as it is
            await page.goto(self.answer.url, wait_until="domcontentloaded", timeout=_left(self.until) * 700)
        if self.crashed or page.is_closed():
            raise Error("the page crashed")
        with contextlib.suppress(Error):
            quiet = min(_QUIET_SECONDS, _left(self.until) / 2)
            await page.wait_for_load_state("networkidle", timeout=quiet * 1000)
        html = await _read(page)
        url = page.url if page.url.startswith(("http://", "https://")) else self.answer.url
        return Drawn(url, html, self.refused)

    def end(self) -> None:
        """Cancels the requests of the page."""
        for task in self._tasks:
            task.cancel()

    async def _route(self, route: Route) -> None:
        from playwright.async_api import Error

        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        try:
            reply = await self._reply(route.request)
            if reply is None:
                self.refused += 1
                await route.abort("blockedbyclient")
            else:
                headers = {name: value for name, value in reply.headers.items() if name not in _NOT_PASSED_ON}
                await route.fulfill(status=reply.status, headers=headers, body=reply.body)
        except (Error, asyncio.CancelledError):  # the page was closed
            return
        finally:
            if task is not None:
                self._tasks.discard(task)

    async def _reply(self, request: Request) -> OutboundAnswer | None:
        """Returns the answer for a request; None when it is refused, fails, or is not needed for the text (pictures,
        fonts).
        """
        if self._first and request.is_navigation_request() and request.url == self.answer.url:
            self._first = False
            return self.answer
        self.requests += 1
        most_bytes = min(_LONGEST_ONE, _MAX_BYTES - self.received)
        if self.requests > _MAX_REQUESTS or most_bytes <= 0:
            return None
        if request.resource_type not in _KINDS or request.method not in _METHODS:
            return None
        if not request.url.startswith(("http://", "https://")):
            return None
        headers = {
            name: value
            for name, value in request.headers.items()
            if name not in _OWN_HEADERS and not name.startswith(":")
        }
        try:
            found = await self.send(
                self.answer,
                request.method,
                request.url,
                headers,
                request.post_data_buffer,
                _left(self.until),
                most_bytes,
            )
        except NodeFailed:
            return None
        self.received += len(found.body)
        return found


async def _read(page: Page) -> str:
    """Returns the page's HTML once its text stops growing.

    It runs in an isolated world that the page's scripts cannot reach.
    """
    session = await page.context.new_cdp_session(page)
    tree = await session.send("Page.getFrameTree")
    frame = tree["frameTree"]["frame"]["id"]
    world = await session.send("Page.createIsolatedWorld", {"frameId": frame, "worldName": "reader"})

    async def ask(expression: str) -> Any:
        answer = await session.send(
            "Runtime.evaluate",
            {
                "expression": expression,
                "contextId": world["executionContextId"],
                "returnByValue": True,
                "timeout": 5_000,
            },
        )
        return answer.get("result", {}).get("value")

    before = -1
    for _ in range(10):
        length = await ask(_LENGTH)
        if length and length == before:
            break
        before = length
        await asyncio.sleep(0.2)
    html = await ask(_HTML)
    return html if isinstance(html, str) else ""


async def closed(thing: Any) -> None:
    """Closes a page or a context; an error, such as that it is closed already, is ignored."""
    with contextlib.suppress(Exception):
        await thing.close()


def _left(until: float) -> float:
    return max(0.1, until - asyncio.get_running_loop().time())
