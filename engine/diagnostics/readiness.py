"""Checks whether the server can accept work: the disk accepts a write and has free space, and jobs do not wait too
long. A server that keeps a worker is not ready while it has none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.orm import Session

from engine.core.errors import DatabaseAway, Refusal, StorageUnavailable
from engine.diagnostics.disk import read_disk
from engine.jobs.notifier import WORKER_AWAY
from storage.database import Database, now
from storage.jobs import longest_wait_ms
from storage.settings import SERVER, put_setting
from storage.workers import is_any_worker_alive

_CHECK_SECONDS = 5
#: An accepted job has a slot, so a worker takes it immediately; one that waits this long shows that no worker takes
#: jobs.
_WAIT_SECONDS = 60
#: A worker of this server that is away this long cannot be started: a restart takes a few seconds.
_AWAY_SECONDS = 30
#: A result is reused for this long, because each check writes to the disk and the route needs no key.
_FRESH_SECONDS = 1.0
_WRITTEN = "ready_at"

Body = dict[str, object]


class Readiness:
    """Caches the latest result, so that simultaneous requests cause only one check."""

    def __init__(self) -> None:
        self._looking = asyncio.Lock()
        self._until = 0.0
        self._body: Body = {}

    async def look(self, database: Database, data: Path) -> Body:
        """Returns `{"status": "ready" | "not ready", "reason"?, "queue_age_seconds"?, "disk"?}`."""
        async with self._looking:
            if time.monotonic() >= self._until:
                self._body = await _look(database, data)
                self._until = time.monotonic() + _FRESH_SECONDS
            return self._body


def not_ready(reason: str) -> Body:
    """Returns the body of a 503."""
    return {"status": "not ready", "reason": reason}


async def _look(database: Database, data: Path) -> Body:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await database.write(_write)
            waited = await database.read(longest_wait_ms) / 1000
            away = await _worker_away(database)
        disk = await asyncio.to_thread(read_disk, data)
    except TimeoutError:
        kind = DatabaseAway if database.is_postgres else StorageUnavailable
        return not_ready(str(kind(f"The database did not answer within {_CHECK_SECONDS} seconds")))
    except Refusal as refusal:
        return not_ready(str(refusal))
    except OSError as error:
        return not_ready(f"The data folder cannot be looked at: {error.strerror or error}.")
    if disk.state == "full":
        return not_ready(f"The disk is full: {disk.free >> 20} MB are free.")
    if waited > _WAIT_SECONDS:
        stuck = not_ready(f"No worker takes jobs: one has waited for {waited:.0f} seconds.")
        return stuck | {"queue_age_seconds": round(waited, 1)}
    if away > _AWAY_SECONDS:
        lone = not_ready(f"No worker takes jobs: it could not be started for {away:.0f} seconds. The log says why.")
        return lone | {"queue_age_seconds": round(waited, 1)}
    return {"status": "ready", "queue_age_seconds": round(waited, 1), "disk": disk.state}


async def _worker_away(database: Database) -> float:
    """Returns for how many seconds the worker of this server has been away; 0 while it or another one takes jobs."""
    away: Callable[[], float] = database.info.get(WORKER_AWAY, float)
    seconds = away()
    if seconds > _AWAY_SECONDS and await database.read(is_any_worker_alive, _AWAY_SECONDS):
        return 0.0
    return seconds


def _write(session: Session) -> None:
    """Writes a row, because only a write shows that the disk accepts writes."""
    put_setting(session, SERVER, _WRITTEN, now(session))
