"""Gives back the memory of pages that were closed.

The elements of a page hold each other, so only Python's search for garbage frees them, about 3 MB a page. While people work, that
search comes by itself; when nobody opens pages any more, it is made once here. What was freed goes back to the system.
"""

from __future__ import annotations

import asyncio
import gc

from nicegui import app as nicegui_app

from engine.core.malloc import give_back

SECONDS = 30.0


def give_back_memory() -> None:
    """From the start of the server to its end."""
    pages = ClosedPages()

    async def go_on() -> None:
        while True:
            await asyncio.sleep(SECONDS)
            await pages.look()

    nicegui_app.on_delete(pages.note)
    nicegui_app.on_startup(go_on)


class ClosedPages:
    """How many there were, at the last look and when nothing was left of them."""

    def __init__(self) -> None:
        self._closed = self._seen = self._gone = 0

    def note(self) -> None:
        """A page was closed."""
        self._closed += 1

    async def look(self) -> None:
        """Gives back what is free; when no page was closed since the last look, what hangs together is let go before."""
        if self._closed == self._gone:
            return
        if self._closed == self._seen:
            gc.collect()  # a tenth of a second in which nothing else happens: that is for a quiet time
            self._gone = self._closed
        self._seen = self._closed
        await asyncio.to_thread(give_back)
