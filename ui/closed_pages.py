"""Gives back the memory of pages that were closed.

The elements of a page hold each other, so only Python's search for garbage frees them, about 3 MB a page. While people work, that
search comes by itself; when nobody opens pages any more, it is made once here. What was freed goes back to the system.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import Callable

from nicegui import app as nicegui_app

SECONDS = 30.0


def give_back_memory() -> None:
    """From the start of the server to its end."""
    closed = 0

    def note() -> None:
        nonlocal closed
        closed += 1

    async def look() -> None:
        trim, seen, given = _malloc_trim(), 0, 0
        while True:
            await asyncio.sleep(SECONDS)
            if closed == given:
                continue
            if closed == seen:  # a quiet time: looking through everything takes a tenth of a second
                gc.collect()
                given = closed
            seen = closed
            await asyncio.to_thread(trim, 0)

    nicegui_app.on_delete(note)
    nicegui_app.on_startup(look)


def _malloc_trim() -> Callable[[int], object]:
    """What the C library offers (glibc does); else nothing."""
    return getattr(ctypes.CDLL(None), "malloc_trim", int)
