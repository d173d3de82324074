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

from engine.flow.node_type import NodeFailed
from engine.outside.browser_page import DoorAnswer, Drawn, Fetch
from engine.outside.browser_room import BrowserRoom, find_chromium

__all__ = ["Browser", "Drawn", "missing"]


def missing() -> NodeFailed | None:
    """Why this server cannot draw pages, with what to do about it; None when it can."""
    extra = importlib.util.find_spec("playwright") is not None
    if extra and find_chromium() is not None:
        return None
    what = "no Chromium was found" if extra else "the extra `browser` is not installed"
    return NodeFailed(
        "The page was not opened in a browser: this server has none.",
        code="page_needs_browser",
        why=f"Drawing pages needs Playwright and a Chromium, and {what}.",
        remedy="The owner of the server can add both: `pip install playwright`, then `playwright install chromium` or "
        "the system's package `chromium`, then restart. Or switch off “Open in a browser”.",
    )


class Browser:
    """One engine process's browser. Used from the engine's loop; started when first needed."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._room: BrowserRoom | None = None

    async def draw(self, answer: DoorAnswer, seconds: float) -> Drawn:
        """Draws the page of an answer that came by the door, within `seconds`. Raises NodeFailed."""
        if (failure := missing()) is not None:
            raise failure
        if self._room is None:
            self._room = BrowserRoom(asyncio.get_running_loop(), self._fetch)
        return await self._room.call(self._room.draw(answer, seconds))

    async def aclose(self) -> None:
        """Ends the browser and its thread."""
        room, self._room = self._room, None
        if room is not None:
            await room.end()
