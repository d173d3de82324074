"""Draws pages that scripts make, in a Chromium that has no network of its own.

Every request of a page comes to us and goes out by the door, with its checks; what the door refuses fails inside the page. For
whatever would not come to us (preconnects, WebRTC, redirects inside the browser) names lead nowhere and the only proxy is a
port that nobody listens at. Service workers, web sockets, downloads and popups are closed. A page gets so much time, memory and
answers and no more. Chromium's own sandbox is always on, unless the owner switched it off (FLOWPORT_BROWSER_SANDBOX=off).

Playwright is the optional extra `browser`. It runs in a thread of its own (`browser_room`), so that the engine's loop never
waits for it.
"""

from __future__ import annotations

import asyncio
import importlib.util

from engine.browser.page import Drawn, Fetch, OutboundAnswer
from engine.browser.page_requests import PageRequests
from engine.browser.process import BrowserRoom, has_browser, no_browser
from engine.outbound.client import OutboundClient

__all__ = ["Browser", "Drawn", "browser_of", "has_browser"]


class Browser:
    """One engine process's browser. Used from the engine's loop; started when first needed."""

    def __init__(self, fetch: Fetch, *, sandbox: bool = True) -> None:
        self._fetch = fetch
        self._sandbox = sandbox
        self._room: BrowserRoom | None = None

    async def draw(self, answer: OutboundAnswer, seconds: float) -> Drawn:
        """Draws the page of an answer that came by the door, within `seconds`. Raises NodeFailed."""
        room = self._in_room()
        return await room.call(room.draw(answer, seconds))

    async def try_out(self) -> str:
        """Starts the browser and gives its version. Raises NodeFailed."""
        room = self._in_room()
        return await room.call(room.try_out())

    def _in_room(self) -> BrowserRoom:
        if importlib.util.find_spec("playwright") is None:
            raise no_browser("the extra `browser` is not installed")
        if self._room is None:
            self._room = BrowserRoom(asyncio.get_running_loop(), self._fetch, sandbox=self._sandbox)
        return self._room

    async def aclose(self) -> None:
        """Ends the browser and its thread."""
        room, self._room = self._room, None
        if room is not None:
            await room.end()


def browser_of(outbound: OutboundClient) -> Browser:
    """The browser of an outbound client, which hands this function in as its `renderer`."""
    return Browser(PageRequests(outbound.request), sandbox=outbound.rules.browser_sandbox)
