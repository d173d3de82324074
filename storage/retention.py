"""Queries of retention: values are removed first, rows of jobs much later. Every statement touches few rows and uses an
index.

A job's values are its input and result, its steps and their values, its questions to people, and its events. Input and result are removed in the
transaction that marks the job, so that from then on the public API answers 410 and never returns a part of a job.

Retention leaves out a job whose data is being erased (`data_erased_at` without `values_gone_at`): erasing removes more
than retention, and uses `values_gone_at` to find the jobs that it has not finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import text
from sqlalchemy.orm import Session

from engine.core.clock import DAY
from storage.database import now
from storage.statements import Statement, is_sqlite

#: An estimate of the bytes that steps and events of a short job take beside its values.
JOB_BYTES = 2_048
#: The flow setting for how many days values are kept; without it the server's rule applies.
KEEP_DAYS = "keep_days"


class KeptFlow(Struct, frozen=True):
    """A flow, and how many days the values of its jobs are kept; None: the server's rule applies."""

    id: str
    workspace_id: str
    keep_days: int | None
    #: When it was deleted; None while it is there.
    deleted_at: int | None = None


class Room(Struct, frozen=True):
    """The size of the database file in bytes, and how much of it is unused. With PostgreSQL, about what is in use."""

    file: int
    unused: int

    @property
    def used(self) -> int:
        return self.file - self.unused


def list_kept_flows(session: Session) -> list[KeptFlow]:
    """Returns all flows, deleted ones too: their jobs are kept until retention removes them."""
    rows = session.execute(text("select id, workspace_id, settings, deleted_at from flows"))
    return [KeptFlow(row[0], row[1], _keep_days(row[2]), row[3]) for row in rows]


def _by_place(sql: str) -> tuple[Statement, Statement]:
    """Returns a statement that names rows by their place in the table: for SQLite, and for PostgreSQL."""
    return Statement(sql), Statement(sql.replace("rowid", "ctid"))


def _fitting(session: Session, statements: tuple[Statement, Statement]) -> Statement:
    return statements[0 if is_sqlite(session) else 1]


_DUE_VALUES = Statement(
    """
    select id from jobs
     where flow_id = :flow_id and completed_at is not null and values_gone_at is null and completed_at < :before
       and data_erased_at is null
     order by completed_at limit :most
    """
)
_OLDEST = Statement(
    """
    select min(completed_at) from jobs
     where flow_id = :flow_id and completed_at is not null and values_gone_at is null and data_erased_at is null
    """
)
# Includes jobs that are being erased, because the index then holds every column that is read.
_USED = Statement(
    """
    select count(*), coalesce(sum(value_bytes), 0) from jobs
     where flow_id = :flow_id and completed_at is not null and values_gone_at is null
    """
)
_BYTES = Statement("select value_bytes from jobs where id = :id")
# Of a batch that has rows to run, the jobs tell which rows have run.
_DUE_JOBS = Statement(
    """
    select id from jobs
     where flow_id = :flow_id and created_at < :before and status in ('completed', 'failed', 'cancelled')
       and (data_erased_at is null or values_gone_at is not null)
       and not exists (
            select 1 from playground_batches open
             where open.batch_id = jobs.batch_id and open.state in ('running', 'paused', 'stopping'))
     order by created_at limit :most
    """
)


def due_values(session: Session, flow_id: str, before: int, most: int) -> list[str]:
    """Returns jobs of a flow that ended before a time and still have their values, oldest first."""
    return [row[0] for row in _DUE_VALUES.rows(session, {"flow_id": flow_id, "before": before, "most": most})]


def oldest_values(session: Session, flow_ids: Sequence[str]) -> list[tuple[int, str]]:
    """Returns (when its oldest job with values ended, flow id) of each flow that has such a job, oldest first."""
    found = ((_OLDEST.row(session, {"flow_id": flow_id}), flow_id) for flow_id in flow_ids)
    return sorted((row[0], flow_id) for row, flow_id in found if row is not None and row[0] is not None)


def used_by_values(session: Session, flow_ids: Sequence[str]) -> int:
    """Returns about how many bytes the values of ended jobs of these flows take.

    It reads an index instead of the values.
    """
    found = [_USED.row(session, {"flow_id": flow_id}) for flow_id in flow_ids]
    return sum(jobs * JOB_BYTES + size for jobs, size in found)


def value_bytes(session: Session, job_ids: Sequence[str]) -> list[int]:
    """Returns the same estimate for each of these jobs."""
    return [JOB_BYTES + _BYTES.row(session, {"id": job_id})[0] for job_id in job_ids]


def due_jobs(session: Session, flow_id: str, before: int, most: int) -> list[str]:
    """Returns ended jobs of a flow that were accepted before a time, oldest first; none of a Playground batch that has
    rows to run.
    """
    return [row[0] for row in _DUE_JOBS.rows(session, {"flow_id": flow_id, "before": before, "most": most})]


_STEP_VALUES = _by_place(
    """
    delete from job_values where rowid in (
        select rowid from job_values where job_id = :id and node_id <> '' limit :most)
    """
)
_EVENTS = Statement(
    "delete from events where job_id = :id and seq in (select seq from events where job_id = :id order by seq limit :most)"
)
_STEPS = Statement(
    """
    delete from steps where job_id = :id and (node_id, index_path) in (
        select node_id, index_path from steps where job_id = :id limit :most)
    """
)
_QUESTIONS = Statement("delete from questions where id in (select id from questions where job_id = :id limit :most)")
_LAST_VALUES = Statement("delete from job_values where job_id = :id")
_FILE_USES = Statement("delete from file_uses where kind = 'job' and owner_id = :id")
# The runs of a batch share a snapshot, which is removed with the values of the last of them. While the batch has rows to
# run, it stays, and goes with the batch's end (`storage.playground_batches`).
_SNAPSHOT = Statement(
    """
    delete from snapshots where id = (select snapshot_id from jobs where id = :id)
       and not exists (
            select 1 from jobs other
             where other.batch_id = (select batch_id from jobs where id = :id) and other.snapshot_id = snapshots.id
               and other.id <> :id and other.values_gone_at is null and other.data_erased_at is null)
       and not exists (
            select 1 from playground_batches open
             where open.snapshot_id = snapshots.id and open.state in ('running', 'paused', 'stopping'))
    """
)
# The caller's trace is removed too, because its `baggage` may contain personal data like a payload.
_MARK = Statement("update jobs set values_gone_at = :at, traceparent = null where id = :id and data_erased_at is null")


def remove_values(session: Session, job_ids: Sequence[str], most: int) -> int:
    """Removes values of these jobs and stops after about `most` rows.

    Returns how many jobs are finished: the first ones.
    """
    left = most
    for done, job_id in enumerate(job_ids):
        left = clear_job(session, job_id, left)
        if left <= 0:
            return done
        _MARK.run(session, {"id": job_id, "at": now(session)})
        left -= 3
        if left <= 0:
            return done + 1
    return len(job_ids)


def clear_job(session: Session, job_id: str, most: int) -> int:
    """Removes values of a job and stops after about `most` rows.

    Returns how many rows are left of `most`; 0: call it again.
    """
    left = most
    for statement in (_fitting(session, _STEP_VALUES), _EVENTS, _STEPS, _QUESTIONS):
        left -= statement.count(session, {"id": job_id, "most": left})
        if left <= 0:
            return 0
    _LAST_VALUES.run(session, {"id": job_id})
    _FILE_USES.run(session, {"id": job_id})
    _SNAPSHOT.run(session, {"id": job_id})
    return left


_IS_BEING_ERASED = Statement(
    "select 1 from jobs where id = :id and data_erased_at is not null and values_gone_at is null"
)
_OF_A_JOB = tuple(
    Statement(sql)
    for sql in (
        "delete from job_values where job_id = :id",
        "delete from events where job_id = :id",
        "delete from steps where job_id = :id",
        "delete from questions where job_id = :id",
        "delete from model_calls where job_id = :id",
        "delete from file_uses where kind = 'job' and owner_id = :id",
        _SNAPSHOT.sql,
        """delete from batches where id = (select batch_id from jobs where id = :id)
           and not exists (select 1 from jobs other where other.batch_id = batches.id and other.id <> :id)""",
        "delete from jobs where id = :id",
    )
)


def remove_jobs(session: Session, job_ids: Sequence[str]) -> int:
    """Removes ended jobs with all rows that belong to them, except jobs whose erasing has started meanwhile.

    Returns how many jobs it removed.
    """
    removed = 0
    for job_id in job_ids:
        if _IS_BEING_ERASED.row(session, {"id": job_id}) is not None:
            continue
        for statement in _OF_A_JOB:
            statement.run(session, {"id": job_id})
        removed += 1
    return removed


#: Log tables whose rows are removed by age: name, and the condition for rows that are too old.
_LOGS: tuple[tuple[str, str], ...] = (
    ("refusal_counts", "minute < :before / 60000"),
    ("refused_calls", "at < :values_before"),
    ("audit", "at < :before"),
    ("webhook_deliveries", "created_at < :before and status <> 'waiting'"),
    ("sent_fields", "day < :before / 86400000"),
    ("sign_in_failures", "at < :yesterday"),
    ("setup_tokens", "expires_at < :yesterday"),
    ("hook_messages", "at < :week_ago"),
    ("hook_deliveries", "at < :values_before"),
    ("sessions", "created_at < :month_ago"),
)
LOG_TABLES = tuple(name for name, _ in _LOGS)


def has_old_log_rows(session: Session, table: str, *, before: int, values_before: int) -> bool:
    """True when a log has rows that are too old: this query is cheaper than a write that finds none."""
    condition, times = _too_old(table, now(session), before, values_before)
    return session.execute(text(f"select 1 from {table} where {condition} limit 1"), times).first() is not None  # noqa: S608 - no outside text


def remove_log_rows(session: Session, table: str, *, before: int, values_before: int, most: int) -> int:
    """Removes up to `most` rows of a log that are too old; returns how many."""
    condition, times = _too_old(table, now(session), before, values_before)
    place = "rowid" if is_sqlite(session) else "ctid"
    gone: Any = session.execute(
        text(f"delete from {table} where {place} in (select {place} from {table} where {condition} limit :most)"),  # noqa: S608 - no outside text
        {**times, "most": most},
    )
    return gone.rowcount


def _too_old(table: str, at: int, before: int, values_before: int) -> tuple[str, dict[str, int]]:
    condition = dict(_LOGS)[table]
    times = {"before": before, "values_before": values_before, "yesterday": at - DAY, "month_ago": at - 31 * DAY}
    times["week_ago"] = at - 7 * DAY
    return condition, {name: value for name, value in times.items() if f":{name}" in condition}


#: Tables that do not count with their size: those of values, and those of files, which have a limit of their own.
_COUNTED_OTHERWISE = ("job_values", "events", "steps", "file_bytes", "file_pieces")
_VALUES_KEPT = text(
    """
    select (select coalesce(sum(value_bytes + :each), 0) from jobs where values_gone_at is null)
         + (select coalesce(sum(pg_total_relation_size(oid)), 0) from pg_class
             where relkind = 'r' and relnamespace = current_schema()::regnamespace and not relname = any(:others))
    """
)


def read_room(session: Session) -> Room:
    """Returns the size of the database file, and how much of it is unused.

    PostgreSQL's files do not shrink when rows are removed, and it does not tell how much of them is unused. By their
    size, one pass above the cap would remove everything. So the values of jobs count with an estimate, which falls with
    each job that loses them; other tables count with their size.
    """
    if not is_sqlite(session):
        return Room(int(session.scalar(_VALUES_KEPT, {"each": JOB_BYTES, "others": list(_COUNTED_OTHERWISE)}) or 0), 0)
    size = session.scalar(text("select page_size from pragma_page_size")) or 0
    pages = session.scalar(text("select page_count from pragma_page_count")) or 0
    unused = session.scalar(text("select freelist_count from pragma_freelist_count")) or 0
    return Room(pages * size, unused * size)


_RELEASE = Statement("pragma incremental_vacuum(1)")


def release_pages(session: Session, pages: int) -> None:
    """Returns unused pages at the end of the file to the file system; the file shrinks with the next checkpoint.

    It releases one page per call: the driver runs a statement without columns for a single step, and SQLite frees one
    page in it.
    """
    for _ in range(pages):
        _RELEASE.run(session, {})


def _keep_days(settings: str | dict[str, object] | None) -> int | None:
    import json

    known: dict[str, object] | None = json.loads(settings) if isinstance(settings, str) else settings
    said = known.get(KEEP_DAYS) if isinstance(known, dict) else None
    return said if isinstance(said, int) and not isinstance(said, bool) and said > 0 else None
