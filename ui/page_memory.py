"""Frees the memory of closed pages.

The elements of a page reference each other, so only Python's cyclic garbage collection frees them, about 3 MB a page.
Python collects them when a quarter of what it keeps is new: after some hundred pages of a server that people use, and
never after the last page was closed. So this module collects after MANY closed pages, and once after the last one. The
freed memory is then returned to the operating system.
"""

from __future__ import annotations

import asyncio
import gc

from nicegui import app as nicegui_app

from engine.core.malloc import give_back

SECONDS = 30.0
#: As many closed pages are worth a collection while others close: it blocks the event loop for 0.1 s.
MANY = 25


def give_back_memory() -> None:
    """Starts the periodic check, which runs from the start of the server to its end."""
    pages = ClosedPages()

    async def go_on() -> None:
        while True:
            await asyncio.sleep(SECONDS)
            await pages.look()

    nicegui_app.on_delete(pages.note)
    nicegui_app.on_startup(go_on)


class ClosedPages:
    """Counts closed pages: in total, at the last check and at the last garbage collection."""

    def __init__(self) -> None:
        self._closed = self._seen = self._gone = 0

    def note(self) -> None:
        """Counts a page that was closed."""
        self._closed += 1

    async def look(self) -> None:
        """Returns free memory to the operating system.

        When no page was closed since the last check, or many since the last collection, garbage is collected first.
        """
        if self._closed == self._gone:
            return
        if self._closed == self._seen or self._closed - self._gone >= MANY:
            gc.collect()
            self._gone = self._closed
        self._seen = self._closed
        await asyncio.to_thread(give_back)
