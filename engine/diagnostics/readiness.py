"""Whether work can be taken: the disk takes a write and has room, and jobs do not stand still."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from sqlalchemy.orm import Session

from engine.core.errors import Refusal, StorageUnavailable
from engine.diagnostics.disk import read_disk
from storage.database import Database, now
from storage.jobs import longest_wait_ms
from storage.settings import SERVER, put_setting

_CHECK_SECONDS = 5
#: Accepted jobs have a slot, so a worker takes them at once; one that waits for so long says that none does.
_WAIT_SECONDS = 60
#: Everybody may ask, and asking writes: what was found counts for so long.
_FRESH_SECONDS = 1.0
_WRITTEN = "ready_at"

Body = dict[str, object]


class Readiness:
    """What was found last, so that many who ask cause one look."""

    def __init__(self) -> None:
        self._looking = asyncio.Lock()
        self._until = 0.0
        self._body: Body = {}

    async def look(self, database: Database, data: Path) -> Body:
        """`{"status": "ready" | "not ready", "reason"?, "queue_age_seconds"?, "disk"?}`."""
        async with self._looking:
            if time.monotonic() >= self._until:
                self._body = await _look(database, data)
                self._until = time.monotonic() + _FRESH_SECONDS
            return self._body


def not_ready(reason: str) -> Body:
    """The body of a 503."""
    return {"status": "not ready", "reason": reason}


async def _look(database: Database, data: Path) -> Body:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await database.write(_write)
            waited = await database.read(longest_wait_ms) / 1000
        disk = await asyncio.to_thread(read_disk, data)
    except TimeoutError:
        return not_ready(str(StorageUnavailable(f"The database did not answer within {_CHECK_SECONDS} seconds")))
    except Refusal as refusal:
        return not_ready(str(refusal))
    except OSError as error:
        return not_ready(f"The data folder cannot be looked at: {error.strerror or error}.")
    if disk.state == "full":
        return not_ready(f"The disk is full: {disk.free >> 20} MB are free.")
    if waited > _WAIT_SECONDS:
        stuck = not_ready(f"No worker takes jobs: one has waited for {waited:.0f} seconds.")
        return stuck | {"queue_age_seconds": round(waited, 1)}
    return {"status": "ready", "queue_age_seconds": round(waited, 1), "disk": disk.state}


def _write(session: Session) -> None:
    """A row of its own, so that the disk is really asked."""
    put_setting(session, SERVER, _WRITTEN, now(session))
