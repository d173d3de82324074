"""Keeps what is shown of flows, which takes up to a second to make and is requested by strangers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Final

from cachetools import LRUCache

#: What all kept pages have together, in bytes.
MAX_BYTES: Final = 16 * 1024 * 1024


class KeptPages:
    """Makes each page once, however many ask for it at the same time, and keeps those that were asked for last. Only one
    event loop may use it.
    """

    def __init__(self, most_bytes: int = MAX_BYTES) -> None:
        self._kept: LRUCache[Hashable, bytes] = LRUCache(most_bytes, getsizeof=len)
        self._being_made: dict[Hashable, asyncio.Task[bytes]] = {}

    async def get(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """Returns the page that is kept by this key, or makes it. `key`: all that the page depends on. Raises what `make`
        raises.
        """
        if (page := self._kept.get(key)) is not None:
            return page
        task = self._being_made.get(key)
        if task is None:
            self._being_made[key] = task = asyncio.create_task(self._made(key, make))
        return await asyncio.shield(task)  # who leaves stops it for nobody else

    async def _made(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> bytes:
        try:
            page = await make()
            if len(page) <= self._kept.maxsize:
                self._kept[key] = page
            return page
        finally:
            del self._being_made[key]
