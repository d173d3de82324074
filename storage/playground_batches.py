"""Queries for the state of Playground batches: who runs them, the source of their rows, and the rows that are no jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct
from sqlalchemy import ColumnElement, delete, func, insert, select, text, update
from sqlalchemy.orm import Session

from storage.jobs import JobRow, as_job, select_jobs
from storage.statements import Statement
from storage.table_base import belongs_to
from storage.tables import TRIED, Batch, Job, PlaygroundBatch, PlaygroundBatchRow, Snapshot

BatchState = Literal["running", "paused", "stopping", "stopped", "ended"]
#: The states of a batch that has rows to run.
UNFINISHED: tuple[BatchState, ...] = ("running", "paused", "stopping")


class StoredBatch(Struct, frozen=True):
    """A Playground batch as it is stored. `document` is its snapshot as JSON text."""

    id: str
    workspace_id: str
    flow_id: str
    snapshot_id: str
    total: int
    user_id: str
    source: dict[str, Any]
    state: BatchState
    trouble: str
    closed: bool
    document: str


class RowOutsideJobs(Struct, frozen=True):
    """A row without a job of its own: `refused` with the reason in `text`, waiting to run `again`, or `cancelled` while it
    waited.
    """

    row: int
    state: Literal["refused", "again", "cancelled"]
    title: str
    text: str
    dataset_row: int | None


def insert_batch_state(session: Session, batch_id: str, snapshot_id: str, user_id: str, source: dict[str, Any]) -> None:
    """Stores the state of a new batch, which is running."""
    session.execute(
        insert(PlaygroundBatch),
        {
            "batch_id": batch_id,
            "snapshot_id": snapshot_id,
            "user_id": user_id,
            "source": source,
            "state": "running",
            "trouble": "",
            "closed": False,
        },
    )


_FORGET = Statement(
    """
    delete from snapshots where id = (select snapshot_id from playground_batches where batch_id = :batch_id)
       and exists (select 1 from jobs where jobs.snapshot_id = snapshots.id and jobs.batch_id = :batch_id)
       and not exists (
            select 1 from jobs
             where jobs.snapshot_id = snapshots.id and jobs.batch_id = :batch_id
               and jobs.values_gone_at is null and jobs.data_erased_at is null)
    """
)


def store_batch_state(
    session: Session, batch_id: str, user_id: str, state: BatchState, trouble: str, *, closed: bool
) -> None:
    """Changes the state of a batch, and the person on whose behalf it runs. A batch that has ended is forgotten when the
    values of its jobs are gone, like one whose values go later (`storage.retention`).
    """
    values = {"user_id": user_id, "state": state, "trouble": trouble, "closed": closed}
    session.execute(update(PlaygroundBatch).where(PlaygroundBatch.batch_id == batch_id).values(**values))
    if state not in UNFINISHED:
        _FORGET.run(session, {"batch_id": batch_id})


def store_end(
    session: Session,
    batch_id: str,
    user_id: str,
    state: BatchState,
    trouble: str,
    cancelled: Sequence[RowOutsideJobs],
    *,
    closed: bool,
) -> None:
    """Stores the end of a batch, with the rows that waited to run again and did not. One that was stored without an
    answer may be stored again; the batch may be forgotten by then.
    """
    for row in cancelled if is_kept(session, batch_id) else ():
        store_row(session, batch_id, row)
    store_batch_state(session, batch_id, user_id, state, trouble, closed=closed)


def store_again(session: Session, batch_id: str, user_id: str, rows: Sequence[RowOutsideJobs]) -> None:
    """Stores that these rows wait to run again, and no others, on behalf of this person. A dataset may have rows that were
    not among those of the batch.
    """
    values = {"user_id": user_id, "state": "running", "trouble": "", "closed": True}
    session.execute(update(PlaygroundBatch).where(PlaygroundBatch.batch_id == batch_id).values(**values))
    for row in rows:
        store_row(session, batch_id, row)


_STORE_ROW = Statement(
    """
    insert into playground_batch_rows (batch_id, "row", state, title, text, dataset_row)
    values (:batch_id, :row, :state, :title, :text, :dataset_row)
    on conflict (batch_id, "row") do update
       set state = excluded.state, title = excluded.title, text = excluded.text, dataset_row = excluded.dataset_row
    """
)


def store_row(session: Session, batch_id: str, row: RowOutsideJobs) -> None:
    """Stores a row that is no job, or replaces what is stored of it."""
    values = {"batch_id": batch_id, "row": row.row, "state": row.state, "title": row.title, "text": row.text}
    _STORE_ROW.run(session, {**values, "dataset_row": row.dataset_row})


def remove_row(session: Session, batch_id: str, row: int) -> None:
    """Removes a row that has become a job."""
    of_row = PlaygroundBatchRow.batch_id == batch_id, PlaygroundBatchRow.row == row
    session.execute(delete(PlaygroundBatchRow).where(*of_row))


def list_rows_outside_jobs(session: Session, workspace_id: str, batch_id: str) -> list[RowOutsideJobs]:
    """Returns the rows of a batch of this workspace that are no jobs, in order."""
    rows = session.execute(
        select(
            PlaygroundBatchRow.row,
            PlaygroundBatchRow.state,
            PlaygroundBatchRow.title,
            PlaygroundBatchRow.text,
            PlaygroundBatchRow.dataset_row,
        )
        .join(Batch, Batch.id == PlaygroundBatchRow.batch_id)
        .where(PlaygroundBatchRow.batch_id == batch_id, Batch.workspace_id == workspace_id)
        .order_by(PlaygroundBatchRow.row)
    )
    return [RowOutsideJobs(*row) for row in rows]


class RefusedRow(Struct, frozen=True):
    """A row of a batch that was refused before it ran. `at`: when the batch was begun, in milliseconds."""

    batch_id: str
    flow_id: str
    at: int
    row: int
    text: str


def list_refused_rows(
    session: Session, workspace_id: str, flow_id: str | None, since: int | None, until: int | None, limit: int
) -> list[RefusedRow]:
    """Returns rows that were refused and did not run since, those of the newest batch first. `since`, `until`: of the
    beginnings of the batches, both included; None means open.
    """
    conditions = _refused_rows(workspace_id, flow_id, since, until)
    rows = session.execute(
        select(Batch.id, Batch.flow_id, Batch.created_at, PlaygroundBatchRow.row, PlaygroundBatchRow.text)
        .join(Batch, Batch.id == PlaygroundBatchRow.batch_id)
        .where(*conditions)
        .order_by(Batch.created_at.desc(), Batch.id, PlaygroundBatchRow.row)
        .limit(limit)
    )
    return [RefusedRow(*row) for row in rows]


def count_refused_rows(session: Session, workspace_id: str, flow_id: str | None, since: int, until: int) -> int:
    """Counts the rows that `list_refused_rows` returns."""
    counted = select(func.count()).select_from(PlaygroundBatchRow).join(Batch, Batch.id == PlaygroundBatchRow.batch_id)
    return session.scalar(counted.where(*_refused_rows(workspace_id, flow_id, since, until))) or 0


def _refused_rows(
    workspace_id: str, flow_id: str | None, since: int | None, until: int | None
) -> list[ColumnElement[bool]]:
    found = [Batch.workspace_id == workspace_id, PlaygroundBatchRow.state == "refused"]
    if flow_id is not None:
        found.append(Batch.flow_id == flow_id)
    if since is not None:
        found.append(Batch.created_at >= since)
    if until is not None:
        found.append(Batch.created_at <= until)
    return found


def count_jobs(session: Session, batch_id: str) -> int:
    """Returns the number of jobs of a batch, with those of rows that have run again since. The caller has checked the
    batch's workspace.
    """
    return session.scalar(select(func.count()).select_from(Job).where(Job.batch_id == batch_id)) or 0


def find_job_of_row(session: Session, workspace_id: str, batch_id: str, row: int) -> str | None:
    """Returns the id of the newest job of a row; None when it has none, or waits to run again."""
    if session.get(PlaygroundBatchRow, (batch_id, row)) is not None:
        return None
    return session.scalar(
        select(Job.id)
        .where(
            Job.batch_id == batch_id,
            belongs_to(Job.workspace_id, workspace_id),
            Job.run_options["row"].as_integer() == row,
        )
        .order_by(Job.created_at.desc(), Job.id.desc())
        .limit(1)
    )


def list_repeats(session: Session, workspace_id: str, batch_id: str) -> dict[str, JobRow]:
    """Returns the newest run outside the batch that repeats a job of it, by the id of that job."""
    jobs = select(Job.id).where(Job.batch_id == batch_id)
    rows = session.execute(
        select_jobs()
        .where(
            Job.flow_id == select(Batch.flow_id).where(Batch.id == batch_id).scalar_subquery(),
            Job.created_at >= select(Batch.created_at).where(Batch.id == batch_id).scalar_subquery(),
            belongs_to(Job.workspace_id, workspace_id),
            text(TRIED),
            Job.environment == "playground",
            Job.run_options["again"].as_string().in_(jobs),
        )
        .order_by(Job.created_at, Job.id)
    )
    return {str((job.run_options or {})["again"]): job for job in map(as_job, rows)}


def is_kept(session: Session, batch_id: str) -> bool:
    """False once a batch is forgotten. The caller has checked the batch's workspace."""
    query = select(PlaygroundBatch.batch_id).where(PlaygroundBatch.batch_id == batch_id)
    return session.scalar(query) is not None


def find_newest_batch(session: Session, workspace_id: str, flow_id: str) -> StoredBatch | None:
    """Returns the newest batch of a flow with a stored state; None when there is none."""
    newest_first = Batch.created_at.desc(), Batch.id.desc()
    found = _stored(session, Batch.workspace_id == workspace_id, Batch.flow_id == flow_id, order=newest_first, limit=1)
    return found[0] if found else None


def find_source(session: Session, workspace_id: str, batch_id: str) -> dict[str, Any] | None:
    """Returns the source of the rows of a batch, as it is stored; None when the batch is forgotten."""
    return session.scalar(
        select(PlaygroundBatch.source)
        .join(Batch, Batch.id == PlaygroundBatch.batch_id)
        .where(Batch.id == batch_id, Batch.workspace_id == workspace_id)
    )


def find_open_batch(session: Session, workspace_id: str, batch_id: str) -> StoredBatch | None:
    """Returns a batch that has rows to run; None when it has ended."""
    is_open = Batch.id == batch_id, Batch.workspace_id == workspace_id, PlaygroundBatch.state.in_(UNFINISHED)
    found = _stored(session, *is_open, order=(Batch.id,))
    return found[0] if found else None


def has_open_batch(session: Session, flow_id: str) -> bool:
    """True when a batch of this flow has rows to run. The caller has checked the flow's workspace."""
    query = select(PlaygroundBatch.batch_id).join(Batch, Batch.id == PlaygroundBatch.batch_id)
    return (
        session.scalar(query.where(Batch.flow_id == flow_id, PlaygroundBatch.state.in_(UNFINISHED)).limit(1))
        is not None
    )


def list_open_batches(session: Session) -> Sequence[StoredBatch]:
    """Returns the batches of all workspaces that have rows to run, oldest first."""
    return _stored(session, PlaygroundBatch.state.in_(UNFINISHED), order=(Batch.created_at, Batch.id))


def _stored(session: Session, *conditions: Any, order: Sequence[Any], limit: int | None = None) -> list[StoredBatch]:
    rows = session.execute(
        select(
            Batch.id,
            Batch.workspace_id,
            Batch.flow_id,
            PlaygroundBatch.snapshot_id,
            Batch.total,
            PlaygroundBatch.user_id,
            PlaygroundBatch.source,
            PlaygroundBatch.state,
            PlaygroundBatch.trouble,
            PlaygroundBatch.closed,
            Snapshot.document,
        )
        .join(PlaygroundBatch, PlaygroundBatch.batch_id == Batch.id)
        .join(Snapshot, Snapshot.id == PlaygroundBatch.snapshot_id)
        .where(*conditions)
        .order_by(*order)
        .limit(limit)
    )
    return [StoredBatch(*row) for row in rows]
