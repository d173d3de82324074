"""Makes a server known to the others of its PostgreSQL database, as its workers make themselves known: by beats.

With SQLite there is one server, which knows itself; it writes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time

from engine.core.errors import Refusal
from engine.core.version import VERSION
from storage.database import Database
from storage.workers import Kind, beat, remove_worker

log = logging.getLogger(__name__)

BEAT_SECONDS = 5.0
#: The interval in which the delay of the event loop is measured.
LOOK_SECONDS = 0.5


class Presence:
    """Beats from `start` until `stop`, which are called on the event loop."""

    def __init__(self, database: Database, kind: Kind, server_id: str) -> None:
        """`server_id` names the lock that says that this server lives (`engine.jobs.shared_notices`)."""
        self._database = database
        self._kind: Kind = kind
        self._boot_id = server_id
        self._host = socket.gethostname()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts the task. While the database cannot be reached it goes on trying."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends the task, and removes the row of this server; it becomes stale when that fails."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(Refusal, TimeoutError):
            async with asyncio.timeout(BEAT_SECONDS):
                await self._database.write(remove_worker, self._boot_id)

    async def _run(self) -> None:
        lag_ms = 0
        while True:
            try:
                await self._beat(lag_ms)
            except Refusal as refusal:
                log.debug("No beat was written: %s", refusal)  # those who have a call to answer say it
            lag_ms = await _longest_lag_ms(BEAT_SECONDS)

    async def _beat(self, lag_ms: int) -> None:
        await self._database.write(
            beat, self._boot_id, self._host, os.getpid(), kind=self._kind, version=VERSION, lag_ms=lag_ms
        )


async def _longest_lag_ms(seconds: float) -> int:
    """Waits, and returns by how many milliseconds the event loop was late at most."""
    until, longest = time.monotonic() + seconds, 0.0
    while (begun := time.monotonic()) < until:
        await asyncio.sleep(LOOK_SECONDS)
        longest = max(longest, time.monotonic() - begun - LOOK_SECONDS)
    return round(longest * 1_000)
