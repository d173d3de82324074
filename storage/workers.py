"""Queries for the heartbeats of worker processes: `beat` grows while a worker lives."""

from __future__ import annotations

from typing import cast

from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.orm import Session

from storage.database import now
from storage.tables import WorkerProcess

_WORKERS = cast("Table", WorkerProcess.__table__)


def add_worker(session: Session, boot_id: str, host: str, pid: int) -> None:
    """Adds the row of a worker process that has started."""
    at = now(session)
    row = {"boot_id": boot_id, "started_at": at, "beat": 0, "beat_at": at, "host": host, "pid": pid}
    session.execute(insert(_WORKERS), row)


def beat(session: Session, boot_id: str, host: str, pid: int) -> None:
    """Counts a heartbeat. It restores a row that was removed while this process was suspended."""
    changed = session.execute(
        update(_WORKERS)
        .where(_WORKERS.c.boot_id == boot_id)
        .values(beat=_WORKERS.c.beat + 1, beat_at=now(session))
        .returning(_WORKERS.c.beat)
    ).one_or_none()
    if changed is None:
        add_worker(session, boot_id, host, pid)


def remove_worker(session: Session, boot_id: str) -> None:
    """Removes the row of a worker that has ended or was found dead."""
    session.execute(delete(_WORKERS).where(_WORKERS.c.boot_id == boot_id))


def beats(session: Session) -> dict[str, int]:
    """Returns boot id -> number of heartbeats of every worker."""
    return {row.boot_id: row.beat for row in session.execute(select(WorkerProcess.boot_id, WorkerProcess.beat))}
