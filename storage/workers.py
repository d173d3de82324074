"""Queries for the heartbeats of worker processes, and of servers with PostgreSQL: `beat` grows while a process lives."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, cast

from msgspec import Struct
from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.orm import Session

from engine.core.clock import SECOND
from storage.database import now
from storage.job_changes import count_held
from storage.tables import WorkerProcess

_WORKERS = cast("Table", WorkerProcess.__table__)

#: What a process is: it runs jobs, it serves pages and API, or it serves the API alone.
Kind = Literal["worker", "server", "api"]
WORKER: Final = "worker"
SERVER: Final = "server"
API: Final = "api"


class SeenProcess(Struct, frozen=True):
    """A server or worker as the others see it. Times are milliseconds; `jobs` is how many it runs now, 0 of a server."""

    boot_id: str
    kind: Kind
    host: str
    pid: int
    version: str
    started_at: int
    beat_at: int
    lag_ms: int
    jobs: int


def insert_worker(
    session: Session, boot_id: str, host: str, pid: int, *, kind: Kind = WORKER, version: str = "", lag_ms: int = 0
) -> None:
    """Adds the row of a process that has started. `lag_ms` as in `WorkerProcess`."""
    at = now(session)
    row = {"boot_id": boot_id, "started_at": at, "beat": 0, "beat_at": at, "host": host, "pid": pid}
    session.execute(insert(_WORKERS), row | {"kind": kind, "version": version, "lag_ms": lag_ms})


def beat(
    session: Session, boot_id: str, host: str, pid: int, *, kind: Kind = WORKER, version: str = "", lag_ms: int = 0
) -> None:
    """Counts a heartbeat. It restores a row that was removed while this process was suspended."""
    changed = session.execute(
        update(_WORKERS)
        .where(_WORKERS.c.boot_id == boot_id)
        .values(beat=_WORKERS.c.beat + 1, beat_at=now(session), lag_ms=lag_ms)
        .returning(_WORKERS.c.beat)
    ).one_or_none()
    if changed is None:
        insert_worker(session, boot_id, host, pid, kind=kind, version=version, lag_ms=lag_ms)


def remove_worker(session: Session, boot_id: str) -> None:
    """Removes the row of a process that has ended or was found dead."""
    session.execute(delete(_WORKERS).where(_WORKERS.c.boot_id == boot_id))


def beats(session: Session) -> dict[str, int]:
    """Returns boot id -> number of heartbeats of every process."""
    return {row.boot_id: row.beat for row in session.execute(select(WorkerProcess.boot_id, WorkerProcess.beat))}


def is_any_worker_alive(session: Session, seconds: float) -> bool:
    """Returns whether a process that runs jobs has beaten within so many seconds, and not only when it started."""
    since = now(session) - round(seconds * SECOND)
    alive = select(WorkerProcess.boot_id).where(
        WorkerProcess.kind == WORKER, WorkerProcess.beat > 1, WorkerProcess.beat_at > since
    )
    return session.execute(alive.limit(1)).first() is not None


def is_serving_on(session: Session, host: str) -> bool:
    """Returns whether a server on this host has beaten within 30 s."""
    since = now(session) - 30 * SECOND
    serving = select(WorkerProcess.boot_id).where(
        WorkerProcess.kind != WORKER, WorkerProcess.host == host, WorkerProcess.beat_at > since
    )
    return session.execute(serving.limit(1)).first() is not None


class LastBeat(NamedTuple):
    """The last heartbeat of a process: its number, and when it was, in milliseconds."""

    number: int
    at: int


def last_beats(session: Session) -> dict[str, LastBeat]:
    """Returns boot id -> last heartbeat of every process."""
    asked = select(WorkerProcess.boot_id, WorkerProcess.beat, WorkerProcess.beat_at)
    return {row.boot_id: LastBeat(row.beat, row.beat_at) for row in session.execute(asked)}


def list_processes(session: Session) -> list[SeenProcess]:
    """Returns every process, servers before workers, those of a host together."""
    jobs = count_held(session)
    found = [
        SeenProcess(
            row.boot_id,
            cast("Kind", row.kind),
            row.host,
            row.pid,
            row.version,
            row.started_at,
            row.beat_at,
            row.lag_ms,
            jobs.get(row.boot_id, 0),
        )
        for row in session.scalars(select(WorkerProcess))
    ]
    order = {SERVER: 0, API: 1, WORKER: 2}
    return sorted(found, key=lambda one: (order.get(one.kind, 3), one.host, one.started_at, one.pid))
