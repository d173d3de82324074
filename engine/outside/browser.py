"""Draws pages that scripts make, in a Chromium that has no network of its own.

Every request of a page comes to us and goes out by the door, with its checks; what the door refuses fails inside the page. For
whatever would not come to us (preconnects, WebRTC, redirects inside the browser) names lead nowhere and the only proxy is a
port that nobody listens at. Service workers, web sockets, downloads and popups are closed. A page gets so much time, memory and
answers and no more.

Playwright is the optional extra `browser`. It runs in a thread of its own (`browser_room`), so that the engine's loop never
waits for it.
"""

from __future__ import annotations

import asyncio
import importlib.util

from engine.outside.browser_page import DoorAnswer, Drawn, Fetch
from engine.outside.browser_room import BrowserRoom, no_browser

__all__ = ["Browser", "Drawn"]


class Browser:
    """One engine process's browser. Used from the engine's loop; started when first needed."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._room: BrowserRoom | None = None

    async def draw(self, answer: DoorAnswer, seconds: float) -> Drawn:
        """Draws the page of an answer that came by the door, within `seconds`. Raises NodeFailed."""
        if importlib.util.find_spec("playwright") is None:
            raise no_browser("the extra `browser` is not installed")
        if self._room is None:
            self._room = BrowserRoom(asyncio.get_running_loop(), self._fetch)
        return await self._room.call(self._room.draw(answer, seconds))

    async def aclose(self) -> None:
        """Ends the browser and its thread."""
        room, self._room = self._room, None
        if room is not None:
            await room.end()
