"""Collects writes that requests need not wait for, and writes them in one transaction within a second."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from sqlalchemy.orm import Session

from engine.core.errors import Unavailable
from engine.core.log_throttle import LogThrottle
from storage.database import Database

log = logging.getLogger(__name__)
_log_throttle = LogThrottle()

T = TypeVar("T")

DELAY_SECONDS = 0.5
#: Limit of items between two writes; more are dropped, so that a database that does not respond cannot fill the memory.
MOST = 10_000


class Later(Generic[T]):
    """A buffer of items for the database. `write(session, items)` runs in a transaction. A failure is logged and its
    items are lost.
    """

    def __init__(self, database: Database, write: Callable[[Session, list[T]], None]) -> None:
        self._database = database
        self._write = write
        #: What is not written yet.
        self.items: list[T] = []
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    def add(self, item: T) -> None:
        """Adds an item, which is written within a second."""
        if len(self.items) < MOST:
            self.items.append(item)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_soon())

    async def flush(self) -> None:
        """Writes the buffered items immediately: when the server stops, and in tests."""
        self._hurry.set()
        if self._task is not None:
            await self._task
        self._hurry.clear()

    async def _write_soon(self) -> None:
        """Writes the items until none are left. Only one such task runs at a time, so that at most MOST items are kept
        while the database does not respond.
        """
        while self.items:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DELAY_SECONDS):
                    await self._hurry.wait()
            items, self.items = self.items, []
            try:
                await self._database.write(self._write, items)
            except Unavailable as refusal:
                if _log_throttle.may_say(self._write):
                    log.warning("%d notes about calls were not kept: %s", len(items), refusal)
            except Exception:
                log.exception("%d notes about calls were not kept", len(items))
