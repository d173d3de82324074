"""Queries for batches: their jobs by status, their items in order, and the items that wait for a slot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, cast

from msgspec import Struct
from sqlalchemy import ColumnElement, Table, and_, exists, func, insert, or_, select, text, update
from sqlalchemy.orm import Session

from engine.core.errors import NotFound
from storage.cursors import cursor_after, cursor_after_item, read_cursor, read_item_cursor
from storage.database import now
from storage.jobs import PUBLIC, JobRow, Json, KeyScope, as_job, select_jobs
from storage.statements import Statement
from storage.table_base import belongs_to
from storage.tables import Batch, Flow, Job

_JOBS = cast("Table", Job.__table__)
#: Exactly the condition of the index `ix_jobs_waiting`: SQLite uses a partial index only for the same condition.
_WAITING = text("jobs.status = 'queued' and not jobs.counted and jobs.environment <> 'playground'")
_HAS_WAITING = Statement(
    "select 1 from jobs where status = 'queued' and not counted and environment <> 'playground'"
    " and workspace_id = :workspace_id and environment = :environment limit 1"
)


BatchStatus = Literal["queued", "processing", "completed"]


class BatchRow(Struct, frozen=True):
    """A batch submitted by an API call.

    Times in milliseconds since 1970; `counts`: status -> number of jobs, without zeros.
    """

    id: str
    workspace_id: str
    flow_id: str
    environment: str
    total: int
    created_at: int
    #: When its last item ended, with whatever status.
    completed_at: int | None
    cancel_requested_at: int | None
    counts: dict[str, int]
    #: True when a worker has started an item, even if that item waits again or was cancelled since.
    begun: bool

    @property
    def ended(self) -> bool:
        """True when all items have ended. The batch and the statuses of its items then do not change any more."""
        return self.completed_at is not None

    @property
    def status(self) -> BatchStatus:
        """`queued` until an item starts, `completed` when all have ended, otherwise `processing`."""
        if self.ended:
            return "completed"
        return "processing" if self.begun else "queued"


class BatchPage(Struct, frozen=True):
    """One page of a list, newest first. `next_cursor` is None on the last page."""

    batches: tuple[BatchRow, ...]
    next_cursor: str | None


class ItemRow(Struct, frozen=True):
    """An item of a batch: its index from 0, and the status of its job."""

    index: int
    job_id: str
    status: str
    error: dict[str, Json] | None
    steps_failed: int
    simulated: bool


_COLUMNS: list[Any] = [getattr(Batch, name) for name in BatchRow.__struct_fields__ if name not in {"counts", "begun"}]


def get_batch(session: Session, workspace_id: str, batch_id: str, scope: KeyScope | None = None) -> BatchRow:
    """Returns a batch of this workspace; with `scope` only one that the key may see. Raises NotFound."""
    found = _read_batches(session, Batch.id == batch_id, *_visible(workspace_id, scope))
    if not found:
        raise NotFound(f"No batch has the id {batch_id[:100]!r}")
    return found[0]


def list_batches(session: Session, workspace_id: str, scope: KeyScope, limit: int, cursor: str | None) -> BatchPage:
    """Returns the batches that the key may see, newest first; pages stay stable while batches arrive.

    Raises ParameterInvalid for an invalid cursor.
    """
    conditions = _visible(workspace_id, scope)
    if cursor is not None:
        at, batch_id = read_cursor(cursor, "batch")
        conditions.append(or_(Batch.created_at < at, and_(Batch.created_at == at, Batch.id < batch_id)))
    found = _read_batches(session, *conditions, limit=limit + 1)
    page = tuple(found[:limit])
    more = len(found) > limit
    return BatchPage(page, cursor_after(page[-1].created_at, page[-1].id) if more else None)


_STATUS = Statement("select completed_at from batches where id = :id and workspace_id = :workspace_id")


def find_batch_status(session: Session, workspace_id: str, batch_id: str) -> str | None:
    """Returns `completed` when all items have ended, otherwise `processing`; None when there is no such batch.

    Cheap enough to poll.
    """
    row = _STATUS.row(session, {"id": batch_id, "workspace_id": workspace_id})
    if row is None:
        return None
    return "processing" if row[0] is None else "completed"


def batch_job_ids(
    session: Session, batch_id: str, limit: int, cursor: str | None
) -> tuple[tuple[str, ...], str | None]:
    """Returns a page of job ids in the order of the items, and the next cursor. The caller has checked the batch's
    workspace.

    Raises ParameterInvalid for an invalid cursor.
    """
    after = -1 if cursor is None else read_item_cursor(cursor)
    items = list_items(session, batch_id, after, limit + 1)
    page = items[:limit]
    next_cursor = cursor_after_item(page[-1].index) if len(items) > limit else None
    return tuple(item.job_id for item in page), next_cursor


def list_items(session: Session, batch_id: str, after: int, limit: int) -> list[ItemRow]:
    """Returns the items after the index `after`, in order. The caller has checked the batch's workspace."""
    rows = session.execute(
        select(Job.item_index, Job.id, Job.status, Job.error, Job.steps_failed, Job.simulated)
        .where(Job.batch_id == batch_id, Job.item_index > after)
        .order_by(Job.item_index)
        .limit(limit)
    )
    return [ItemRow(*row) for row in rows]


_OPEN_ITEMS = Statement(
    """
    select id, case when owner is null then 'queued' else status end from jobs
     where batch_id = :id and (status = 'queued' or status = 'processing')
     order by status desc, counted, item_index desc
    """
)


def open_items(session: Session, batch_id: str) -> list[tuple[str, str]]:
    """Returns (job id, status) of the items that have not ended: first those without a slot, last those that run. Of one
    that waits for a person, `queued`: no worker has it.
    """
    return [(row[0], row[1]) for row in _OPEN_ITEMS.rows(session, {"id": batch_id})]


def find_trace_of_batch(session: Session, batch_id: str) -> str | None:
    """Returns the trace of the caller, which is stored with each job of the batch."""
    return session.scalar(select(Job.traceparent).where(Job.batch_id == batch_id).order_by(Job.item_index).limit(1))


def note_cancel_of_batch(session: Session, batch_id: str) -> None:
    """Stores when cancellation was requested first; later requests change nothing."""
    at = func.coalesce(Batch.cancel_requested_at, now(session))
    session.execute(update(Batch).where(Batch.id == batch_id).values(cancel_requested_at=at))


def insert_batch(session: Session, row: Mapping[str, Any]) -> None:
    """Adds the row of a batch; its jobs are added separately."""
    session.execute(insert(Batch), {"webhook_url": None, "webhook_by_caller": False, **row, "created_at": now(session)})


def has_waiting_items(session: Session, workspace_id: str, environment: str) -> bool:
    """True when jobs of this environment wait for a slot. It must be fast, since every job that ends calls it."""
    return _HAS_WAITING.row(session, {"workspace_id": workspace_id, "environment": environment}) is not None


def waiting_items(
    session: Session, workspace_id: str, environment: str, without_keys: Collection[str], limit: int
) -> Sequence[tuple[str, str | None, bool]]:
    """Returns (job id, key id, whether it goes on after an answer) of jobs without a slot: batch items, and jobs that
    waited for a person. The oldest come first, the items of a batch in order.
    """
    rows = session.execute(
        select(Job.id, Job.key_id, Job.waiting_since.is_not(None))
        .where(
            _WAITING,
            Job.workspace_id == workspace_id,
            Job.environment == environment,
            or_(Job.key_id.is_(None), Job.key_id.not_in(without_keys)),
        )
        .order_by(Job.created_at, Job.item_index, Job.id)
        .limit(limit)
    )
    return [(row[0], row[1], bool(row[2])) for row in rows]


def environments_with_waiting_items(session: Session) -> list[tuple[str, str]]:
    """Returns (workspace id, environment) of jobs that wait for a slot.

    Playground runs need no slot and never wait for one.
    """
    rows = session.execute(
        select(Job.workspace_id, Job.environment).where(_WAITING, Job.environment.in_(PUBLIC)).distinct()
    )
    return [(row[0], row[1]) for row in rows]


def admit_item(session: Session, job_id: str) -> None:
    """Stores that the item holds a slot from now on."""
    session.execute(update(_JOBS).where(_JOBS.c.id == job_id).values(counted=True, enqueued_at=now(session)))


class BatchRun(Struct, frozen=True):
    """The newest job of one row of a Playground batch; `row` counts from 1. `dataset_row` is its id in its dataset."""

    row: int
    title: str
    job: JobRow
    dataset_row: int | None = None


class PlaygroundBatchRow(Struct, frozen=True):
    """A Playground batch: how many rows it has, and the number of started rows by status."""

    id: str
    total: int
    created_at: int
    counts: dict[str, int]
    flow_title: str


def find_playground_batch(
    session: Session, workspace_id: str, *, flow_id: str = "", batch_id: str = ""
) -> PlaygroundBatchRow | None:
    """Returns this batch, or the newest one of this flow; None when there is none."""
    query = select(Batch).where(Batch.workspace_id == workspace_id, Batch.environment == "playground")
    query = query.where(Batch.id == batch_id) if batch_id else query.where(Batch.flow_id == flow_id)
    batch = session.scalars(query.order_by(Batch.created_at.desc(), Batch.id.desc()).limit(1)).first()
    if batch is None:
        return None
    latest = list_batch_runs(session, workspace_id, batch.id)
    counts = Counter(run.job.status for run in latest)
    title = session.scalar(select(Flow.title).where(Flow.id == batch.flow_id)) or ""
    return PlaygroundBatchRow(batch.id, batch.total, batch.created_at, dict(counts), title)


def list_batch_runs(session: Session, workspace_id: str, batch_id: str) -> list[BatchRun]:
    """Returns the rows that have started, in order; a row that ran several times with its last run."""
    rows = session.execute(
        select_jobs()
        .where(Job.batch_id == batch_id, belongs_to(Job.workspace_id, workspace_id), Job.environment == "playground")
        .order_by(Job.created_at, Job.id)
    )
    latest: dict[int, BatchRun] = {}
    for job in map(as_job, rows):
        options = job.run_options or {}
        row = int(options.get("row") or 0)
        latest[row] = BatchRun(row, str(options.get("title") or ""), job, options.get("dataset_row"))
    return [latest[row] for row in sorted(latest)]


def _visible(workspace_id: str, scope: KeyScope | None) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [Batch.workspace_id == workspace_id, Batch.environment != "playground"]
    if scope is not None:
        found.append(Batch.environment == scope.environment)
        if scope.flow_ids is not None:
            found.append(Batch.flow_id.in_(scope.flow_ids))
    return found


def _read_batches(session: Session, *conditions: ColumnElement[bool], limit: int = 1) -> list[BatchRow]:
    newest_first = Batch.created_at.desc(), Batch.id.desc()
    rows = session.execute(select(*_COLUMNS).where(*conditions).order_by(*newest_first).limit(limit)).all()
    counts: dict[str, dict[str, int]] = {row.id: {} for row in rows}
    counted = select(Job.batch_id, Job.status, func.count()).where(Job.batch_id.in_(counts))
    for batch_id, status, number in session.execute(counted.group_by(Job.batch_id, Job.status)):
        counts[cast("str", batch_id)][status] = number
    begun = {batch_id for batch_id, found in counts.items() if found.keys() & {"processing", "completed", "failed"}}
    unclear = [row.id for row in rows if row.completed_at is None and row.id not in begun]
    if unclear:
        # answered by the index `ix_jobs_batch_begun`
        item = exists().where(Job.batch_id == Batch.id, Job.started_at.is_not(None))
        begun.update(session.scalars(select(Batch.id).where(Batch.id.in_(unclear), item)).all())
    return [BatchRow(*row, counts=counts[row.id], begun=row.id in begun) for row in rows]
