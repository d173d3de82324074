"""Batches: how many of their jobs stand where, the job ids by cursor, and the items that still wait for a slot."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Table, func, insert, or_, select, text, update
from sqlalchemy.orm import Session

from engine.errors import NotFound, ParameterInvalid
from storage.database import now
from storage.jobs import JobRow, KeyScope, as_job, select_jobs
from storage.models import Batch, Job
from storage.statements import Statement

_JOBS = cast("Table", Job.__table__)
#: The very words of `ix_jobs_waiting`: SQLite uses a partial index only for a condition that says the same.
_WAITING = text("jobs.status = 'queued' and jobs.batch_id is not null and not jobs.counted")
#: Runs of a batch in the Playground take no slot of the plan, so none of them waits for one.
_PAID = Job.environment != "playground"
_HAS_WAITING = Statement(
    "select 1 from jobs where status = 'queued' and batch_id is not null and not counted"
    " and environment <> 'playground' and workspace_id = :workspace_id limit 1"
)


@dataclass(frozen=True)
class BatchRow:
    """A batch; `counts` is status -> number of jobs, `job_ids` one page of them by id."""

    id: str
    total: int
    counts: dict[str, int]
    job_ids: tuple[str, ...]
    next_cursor: str | None


def get_batch(
    session: Session, workspace_id: str, scope: KeyScope, batch_id: str, limit: int, cursor: str | None
) -> BatchRow:
    """A batch of this workspace that the key sees. Raises NotFound, and ParameterInvalid for a cursor that is not ours."""
    after = "" if cursor is None else _read_cursor(cursor)
    found = select(Batch.total).where(
        Batch.id == batch_id, Batch.workspace_id == workspace_id, Batch.environment == scope.environment
    )
    total = session.scalar(found if scope.flow_ids is None else found.where(Batch.flow_id.in_(scope.flow_ids)))
    if total is None:
        raise NotFound(f"No batch has the id {batch_id!r}")
    counts = session.execute(select(Job.status, func.count()).where(Job.batch_id == batch_id).group_by(Job.status))
    ids = session.scalars(
        select(Job.id).where(Job.batch_id == batch_id, Job.id > after).order_by(Job.id).limit(limit + 1)
    ).all()
    page = tuple(ids[:limit])
    more = len(ids) > limit
    return BatchRow(batch_id, total, {row[0]: row[1] for row in counts}, page, _make_cursor(page[-1]) if more else None)


def add_batch(session: Session, batch_id: str, workspace_id: str, flow_id: str, environment: str, total: int) -> None:
    """Adds a batch; its jobs are added one by one."""
    session.execute(
        insert(Batch),
        {
            "id": batch_id,
            "workspace_id": workspace_id,
            "flow_id": flow_id,
            "environment": environment,
            "total": total,
            "created_at": now(session),
        },
    )


def has_waiting_items(session: Session, workspace_id: str) -> bool:
    """True when items of this workspace wait for a slot. Quick: every job that ends asks."""
    return _HAS_WAITING.row(session, {"workspace_id": workspace_id}) is not None


def waiting_items(
    session: Session, workspace_id: str, without_keys: Collection[str], limit: int
) -> Sequence[tuple[str, str | None]]:
    """(job id, key id) of batch items that hold no slot yet, the oldest first."""
    rows = session.execute(
        select(Job.id, Job.key_id)
        .where(
            _WAITING,
            _PAID,
            Job.workspace_id == workspace_id,
            or_(Job.key_id.is_(None), Job.key_id.not_in(without_keys)),
        )
        .order_by(Job.created_at, Job.id)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in rows]


def workspaces_with_waiting_items(session: Session) -> list[str]:
    """The workspaces that have batch items without a slot."""
    return list(session.scalars(select(Job.workspace_id).where(_WAITING, _PAID).distinct()))


def admit_item(session: Session, job_id: str) -> None:
    """From now on the item holds a slot."""
    session.execute(update(_JOBS).where(_JOBS.c.id == job_id).values(counted=True, enqueued_at=now(session)))


@dataclass(frozen=True)
class BatchRun:
    """The newest job of one row of a Playground batch; `row` counts from 1."""

    row: int
    title: str
    job: JobRow


@dataclass(frozen=True)
class PlaygroundBatchRow:
    """A batch of the Playground as stored: how many rows were to run, and what became of those that began."""

    id: str
    total: int
    created_at: int
    counts: dict[str, int]


def find_playground_batch(
    session: Session, workspace_id: str, *, flow_id: str = "", batch_id: str = ""
) -> PlaygroundBatchRow | None:
    """This batch, or the newest one of this flow."""
    query = select(Batch).where(Batch.workspace_id == workspace_id, Batch.environment == "playground")
    query = query.where(Batch.id == batch_id) if batch_id else query.where(Batch.flow_id == flow_id)
    batch = session.scalars(query.order_by(Batch.created_at.desc(), Batch.id.desc()).limit(1)).first()
    if batch is None:
        return None
    latest = list_batch_runs(session, workspace_id, batch.id)
    counts = Counter(run.job.status for run in latest)
    return PlaygroundBatchRow(batch.id, batch.total, batch.created_at, dict(counts))


def list_batch_runs(session: Session, workspace_id: str, batch_id: str) -> list[BatchRun]:
    """Every row that began, in order; of one that ran more than once the last run."""
    rows = session.execute(
        select_jobs()
        .where(Job.batch_id == batch_id, Job.workspace_id == workspace_id, Job.environment == "playground")
        .order_by(Job.created_at, Job.id)
    )
    latest: dict[int, BatchRun] = {}
    for job in map(as_job, rows):
        options = job.run_options or {}
        row = int(options.get("row") or 0)
        latest[row] = BatchRun(row, str(options.get("title") or ""), job)
    return [latest[row] for row in sorted(latest)]


def _make_cursor(job_id: str) -> str:
    return base64.urlsafe_b64encode(f"b:{job_id}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> str:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        text = ""
    if not text.startswith("b:") or not text.isprintable():
        raise ParameterInvalid("`cursor` is not one that this batch gave. Leave it out to begin with the first.")
    return text[2:]
