"""The present figures of the whole server, for `/metrics` and the checks, never for a page of one workspace."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from engine.core.clock import HOUR
from storage.costs import as_nanos
from storage.database import now
from storage.statements import is_sqlite
from storage.tables import Job, WorkerProcess
from storage.workers import WORKER

#: A worker without a heartbeat for so long is not counted; a worker sends one every 5 s.
LIVING_MS = 30_000


class ServerFigures(Struct, frozen=True):
    """Figures over all workspaces.

    Of the last hour: accepted jobs by status, and the cost of models in nano-dollars.
    """

    queued: int
    #: How many a worker runs.
    processing: int
    #: How many have begun and wait for the answer of a person; no worker has them.
    waiting: int
    oldest_queued_seconds: float
    workers: int
    last_hour: dict[str, int]
    #: How many of the completed ones had steps that failed.
    last_hour_went_on: int
    last_hour_nanos: int
    database_bytes: int


def server_figures(session: Session) -> ServerFigures:
    """Returns the present figures. Every statement reads an index, so that the number of jobs does not matter."""
    at = now(session)
    open_jobs = {
        status: (count, owned, oldest)
        for status, count, owned, oldest in session.execute(
            select(Job.status, func.count(), func.count(Job.owner), func.min(Job.enqueued_at))
            .where(text("jobs.status in ('queued', 'processing')"))  # exactly the condition of `ix_jobs_open`
            .group_by(Job.status)
        )
    }
    queued, _, oldest = open_jobs.get("queued", (0, 0, None))
    begun, processing, _ = open_jobs.get("processing", (0, 0, None))
    last_hour, went_on = _jobs_since(session, at - HOUR)
    return ServerFigures(
        queued=queued,
        processing=processing,
        waiting=begun - processing,
        oldest_queued_seconds=max(0, at - oldest) / 1000 if oldest else 0.0,
        workers=session.scalar(
            select(func.count())
            .select_from(WorkerProcess)
            .where(WorkerProcess.beat_at > at - LIVING_MS, WorkerProcess.kind == WORKER)
        )
        or 0,
        last_hour=last_hour,
        last_hour_went_on=went_on,
        last_hour_nanos=_nanos_since(session, at - HOUR),
        database_bytes=database_size(session),
    )


def _jobs_since(session: Session, since: int) -> tuple[dict[str, int], int]:
    """Counts jobs by status, and the completed ones of which steps failed."""
    # Workspace by workspace, so that the index on (workspace, created) is used; SQLite keeps the order of a cross join.
    counts = session.execute(
        text(
            "select j.status, count(*) as jobs, sum(case when j.steps_failed > 0 then 1 else 0 end) as lost "
            "from workspaces w cross join jobs j where j.workspace_id = w.id and j.created_at >= :since group by j.status"
        ),
        {"since": since},
    ).all()
    return {row.status: row.jobs for row in counts}, sum(row.lost for row in counts if row.status == "completed")


def _nanos_since(session: Session, since: int) -> int:
    """Returns the cost of the model calls since a time, found as in `_jobs_since`."""
    statement = text(
        "select sum(cast(m.cost_nanos as double precision)) from workspaces w cross join model_calls m"
        " where m.workspace_id = w.id and m.at >= :since"
    )
    return as_nanos(session.scalar(statement, {"since": since}))


def database_size(session: Session) -> int:
    """Returns the bytes that the whole database takes."""
    if not is_sqlite(session):
        return int(session.scalar(text("select pg_database_size(current_database())")) or 0)
    pages = session.scalar(text("select page_count from pragma_page_count()")) or 0
    return int(pages * (session.scalar(text("select page_size from pragma_page_size()")) or 0))
