"""The changes of a job's status: each is one conditional statement, so that two processes can never both make it.

In every change a worker names itself (`owner`) and the attempt: when no row matches, it has lost the job (L2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from sqlalchemy import Table, insert, select, text
from sqlalchemy.orm import Session

from engine.core.ids import new_id
from storage.database import now
from storage.events import add_events, add_first_events
from storage.statements import Statement, from_json, insert_into, to_json
from storage.tables import Job, WebhookDelivery
from storage.usage import release_slot, usage_subject
from storage.value_sizes import STORED_BYTES

_WEBHOOKS = cast("Table", WebhookDelivery.__table__)

#: Exactly the condition of the index `ix_jobs_open`: SQLite uses a partial index only for the same condition.
_OPEN = text("jobs.status in ('queued', 'processing')")

#: A job under which this many workers died runs alone in a worker the next time.
SHARED_ATTEMPTS = 2

#: How many Playground runs of a workspace may run at once.
PLAYGROUND_SLOTS = 4


@dataclass(frozen=True)
class Lease:
    """The right to write to a job: the worker's boot id and the number of its attempt."""

    owner: str
    attempt: int


@dataclass(frozen=True)
class Claimed:
    """The data of a job that a worker has just claimed. `elapsed_ms`: milliseconds since the first start."""

    id: str
    workspace_id: str
    flow_id: str
    flow_version: int | None
    snapshot_id: str | None
    environment: str
    attempt: int
    limit_ms: int
    started_at: int
    elapsed_ms: int
    steps_total: int
    run_options: Mapping[str, Any] | None
    #: The caller's trace (`engine.core.trace_context`).
    trace: str | None = None
    #: The payload as JSON text, when this is the first start and the payload is small; otherwise it is read later.
    payload: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Ended:
    """A job that has just ended."""

    id: str
    workspace_id: str
    flow_id: str
    environment: str
    #: The id of the batch, when the job was its last item.
    batch_ended: str | None = None


_INSERT = Statement(
    """
    insert into jobs (id, workspace_id, flow_id, flow_version, snapshot_id, environment, key_id, batch_id, item_index, counted, status,
                      attempts, created_at, enqueued_at, limit_ms, steps_total, steps_done, items_failed, cost_nanos,
                      input_tokens, output_tokens, model_calls, simulated, last_seq, request_id, traceparent, webhook_url,
                      webhook_by_caller, run_options, value_bytes)
    values (:id, :workspace_id, :flow_id, :flow_version, :snapshot_id, :environment, :key_id, :batch_id, :item_index, :counted, 'queued',
            0, :at, :at, :limit_ms, :steps_total, 0, 0, 0,
            0, 0, 0, false, 1, :request_id, :traceparent, :webhook_url,
            :webhook_by_caller, :run_options, :value_bytes)
    """
)
#: Counts the failed steps of the job `:id` from its rows.
FAILED_STEPS = """
    select count(distinct step.node_id) from (select distinct node_id from steps where job_id = :id) step
      join (select distinct node_id from steps where job_id = :id and error is not null) failed
        on failed.node_id = step.node_id
           or substr(failed.node_id, 1, length(step.node_id) + 1) = step.node_id || '.'
     where step.node_id not like '%.%'
"""
_OPTIONAL = {
    **dict.fromkeys(("flow_version", "snapshot_id", "key_id", "batch_id", "item_index", "traceparent", "webhook_url")),
    "webhook_by_caller": False,
}
#: The number of the event of a first claim; before it there is only `job.queued`.
_FIRST_CLAIM = 2
_PUT_VALUE = insert_into("job_values", ("job_id", "node_id", "index_path", "name", "size", "data"))
# A Playground run waits while four runs of its workspace are running. Rows are counted instead of slots, so that none
# can leak. The redundant condition on `status` is that of the partial index `ix_jobs_open`, which SQLite then uses.
_CLAIM = Statement(
    """
    update jobs set status = 'processing', owner = :owner, attempts = attempts + 1, last_seq = last_seq + 1,
           started_at = coalesce(started_at, case when created_at > :at then created_at else :at end)
     where id = :id and status = 'queued' and cancel_requested_at is null and (attempts < :shared or :alone)
       and (environment <> 'playground' or (
            select count(*) from jobs other
             where other.status in ('queued', 'processing') and other.status = 'processing' and other.environment = 'playground'
               and other.workspace_id = jobs.workspace_id) < :playground_slots)
    returning id, workspace_id, flow_id, flow_version, snapshot_id, environment, attempts, limit_ms, started_at,
              steps_total, run_options, traceparent, last_seq
    """
)
# A step that runs again in a later attempt replaces its values, so then their bytes are summed and failed steps are
# counted again; so are the steps that a Playground run took from an earlier one. What the worker counted is kept when it
# is more: no row tells of items that their list's time limit ended. A step of a called flow counts as the step that
# calls it.
_END = Statement(
    f"""
    update jobs set status = :status, error = :error, owner = null, last_seq = last_seq + 1,
           value_bytes = :result_bytes + case when attempts > 1 then (
               select coalesce(sum({STORED_BYTES}), 0) from job_values where job_id = :id) else value_bytes end,
           completed_at = case when coalesce(started_at, created_at) > :at then coalesce(started_at, created_at)
                               else :at end,
           steps_failed = case when attempts > 1 or run_options is not null then (
               select max(counted) from (select ({FAILED_STEPS}) as counted union all select jobs.steps_failed) both_counts)
               else steps_failed end,
           steps_done = case when :status = 'completed' then steps_total else steps_done end
     where id = :id and status = :was and (:owner is null or (owner = :owner and attempts = :attempt))
    returning workspace_id, flow_id, key_id, batch_id, counted, environment, webhook_url, webhook_by_caller, last_seq,
              steps_failed
    """  # noqa: S608 - no outside text
)
# Only the transaction that ends the last item finds no open item, so a batch ends exactly once.
_END_BATCH = Statement(
    """
    update batches set completed_at = case when created_at > :at then created_at else :at end
     where id = :id and completed_at is null and not exists (
        select 1 from jobs where batch_id = :id and (status = 'queued' or status = 'processing'))
    returning webhook_url, webhook_by_caller
    """
)
#: Payloads up to this many bytes are returned by the claim.
_SMALL = 16_384
_PAYLOAD = Statement(
    "select data from job_values"
    " where job_id = :id and node_id = '' and index_path = '' and name = 'payload' and size <= :small"
)
_STOP_STEPS = Statement(
    "update steps set status = 'cancelled', ended_at = :at where job_id = :id and status = 'running'"
)
_REQUEUE = Statement(
    """
    update jobs set status = 'queued', owner = null, enqueued_at = :at, last_seq = last_seq + 1,
           attempts = case when :unpunished then attempts - 1 else attempts end
     where id = :id and status = 'processing' and owner = :owner and attempts = :attempt and cancel_requested_at is null
    returning last_seq, attempts
    """
)


class _EndedRow(NamedTuple):
    """The columns that `_END` returns."""

    workspace_id: str
    flow_id: str
    key_id: str | None
    batch_id: str | None
    counted: bool
    environment: str
    webhook_url: str | None
    webhook_by_caller: bool
    last_seq: int
    steps_failed: int


def insert_jobs(session: Session, jobs: Sequence[tuple[Mapping[str, Any], tuple[str, int]]]) -> None:
    """Adds queued jobs, each with its payload (JSON text, bytes) and its first event."""
    at = now(session)
    rows = []
    for row, payload in jobs:
        options = to_json(row.get("run_options"))
        rows.append({**_OPTIONAL, **row, "run_options": options, "value_bytes": payload[1], "at": at})
    _INSERT.run(session, *rows)
    _PUT_VALUE.run(session, *(_own_value(row["id"], "payload", payload) for row, payload in jobs))
    add_first_events(session, [row["id"] for row, _ in jobs], "job.queued", at)


def insert_job(session: Session, row: Mapping[str, Any], payload: tuple[str, int]) -> None:
    """Adds one queued job."""
    insert_jobs(session, [(row, payload)])


def claim_job(session: Session, owner: str, job_id: str, *, alone: bool = False) -> Claimed | None:
    """Claims a queued job for a worker.

    None: it is claimed or ended, or it waits for a Playground slot or to run alone.
    """
    at = now(session)
    row = _CLAIM.row(
        session,
        {
            "id": job_id,
            "owner": owner,
            "at": at,
            "shared": SHARED_ATTEMPTS,
            "alone": alone,
            "playground_slots": PLAYGROUND_SLOTS,
        },
    )
    if row is None:
        return None
    *described, attempt, limit_ms, started_at, steps_total, run_options, trace, last_seq = row
    add_events(session, job_id, last_seq, [("job.processing", at, {"attempt": attempt})])
    return Claimed(
        *described,
        attempt=attempt,
        limit_ms=limit_ms,
        started_at=started_at,
        elapsed_ms=max(0, at - started_at),
        steps_total=steps_total,
        run_options=from_json(run_options),
        trace=trace,
        payload=_small_payload(session, job_id) if last_seq == _FIRST_CLAIM else None,
    )


def _small_payload(session: Session, job_id: str) -> str | None:
    row = _PAYLOAD.row(session, {"id": job_id, "small": _SMALL})
    return None if row is None else row[0]


def end_job(
    session: Session,
    job_id: str,
    status: str,
    *,
    lease: Lease | None,
    error: dict[str, Any] | None = None,
    result: tuple[str, int] | None = None,
) -> Ended | None:
    """Ends a job: status, result, slot, event and webhook, and the end of its batch when it was the last item.

    Returns None when the job is not in the expected state any more. `lease` None ends a queued job, which no worker
    holds. `result`: JSON text and its bytes.
    """
    at = now(session)
    found = _END.row(
        session,
        {
            "id": job_id,
            "status": status,
            "error": to_json(error),
            "result_bytes": 0 if result is None else result[1],
            "at": at,
            "was": "processing" if lease else "queued",
            "owner": lease.owner if lease else None,
            "attempt": lease.attempt if lease else None,
        },
    )
    if found is None:
        return None
    row = _EndedRow(*found)
    if row.counted:
        release_slot(session, usage_subject(row.workspace_id, row.environment), row.key_id)
    if result is not None:
        put_value(session, job_id, "result", result)
    _STOP_STEPS.run(session, {"id": job_id, "at": at})
    data = {} if error is None else {"code": error["code"], "message": error["message"], "node_id": error["node_id"]}
    if row.steps_failed and status == "completed":
        data = {"steps_failed": row.steps_failed}
    add_events(session, job_id, row.last_seq, [(f"job.{status}", at, data)])
    if row.webhook_url:
        _add_webhook(session, row, row.webhook_url, f"job.{status}", at, job_id=job_id)
    batch_ended = None
    if row.batch_id and row.environment != "playground" and _end_batch(session, row.batch_id, row, at):
        batch_ended = row.batch_id
    return Ended(job_id, row.workspace_id, row.flow_id, row.environment, batch_ended)


def requeue_job(session: Session, job_id: str, lease: Lease, *, unpunished: bool) -> bool:
    """Puts a running job back into the queue; `unpunished` takes the attempt back.

    Returns False when the worker lost the job before, or when a cancellation was requested: no worker would claim it
    then.
    """
    at = now(session)
    row = _REQUEUE.row(
        session,
        {"id": job_id, "owner": lease.owner, "attempt": lease.attempt, "at": at, "unpunished": unpunished},
    )
    if row is None:
        return False
    last_seq, attempt = row
    add_events(session, job_id, last_seq, [("job.queued", at, {"attempt": attempt})])
    return True


def request_cancel(session: Session, job_id: str) -> None:
    """Stores the request to stop a running job; only the first request counts."""
    session.execute(
        text(
            "update jobs set cancel_requested_at = coalesce(cancel_requested_at, :at)"
            " where id = :id and status = 'processing'"
        ),
        {"id": job_id, "at": now(session)},
    )


def queued_with_cancel(session: Session) -> Sequence[str]:
    """Returns queued jobs with a requested cancellation.

    No worker claims them; only an earlier release could leave such jobs.
    """
    return session.scalars(
        select(Job.id).where(_OPEN, Job.status == "queued", Job.cancel_requested_at.is_not(None))
    ).all()


def put_value(session: Session, job_id: str, name: str, value: tuple[str, int]) -> None:
    """Stores a value of the job itself (payload or result): JSON text and its bytes."""
    _PUT_VALUE.run(session, _own_value(job_id, name, value))


def _own_value(job_id: str, name: str, value: tuple[str, int]) -> dict[str, Any]:
    data, size = value
    return {"job_id": job_id, "node_id": "", "index_path": "", "name": name, "size": size, "data": data}


def held_jobs(session: Session, owner: str) -> Sequence[tuple[str, int, bool]]:
    """Returns the jobs that a worker holds: id, attempt, whether a cancellation was requested."""
    rows = session.execute(
        select(Job.id, Job.attempts, Job.cancel_requested_at).where(
            _OPEN, Job.status == "processing", Job.owner == owner
        )
    )
    return [(row.id, row.attempts, row.cancel_requested_at is not None) for row in rows]


def owners(session: Session) -> set[str]:
    """Returns the boot ids that hold jobs."""
    found = session.scalars(select(Job.owner).where(_OPEN, Job.status == "processing").distinct())
    return {owner for owner in found if owner is not None}


_WAITING = text(
    """
    update jobs set enqueued_at = :at where id in (
        select id from jobs waiting where status in ('queued', 'processing') and status = 'queued' and (enqueued_at < :before or enqueued_at > :after)
           and (batch_id is null or counted) and attempts < :shared
           and (environment <> 'playground' or (
                select count(*) from jobs other
             where other.status in ('queued', 'processing') and other.status = 'processing' and other.environment = 'playground'
                   and other.workspace_id = waiting.workspace_id) < :playground_slots)
         order by enqueued_at limit :most)
    returning id
    """
)


# Exactly the condition of the index `ix_jobs_alone`: SQLite uses a partial index only for the same condition.
_ALONE = Statement(
    """
    select id from jobs
     where status = 'queued' and attempts >= 2 and cancel_requested_at is null
       and (environment <> 'playground' or (
            select count(*) from jobs other
             where other.status in ('queued', 'processing') and other.status = 'processing' and other.environment = 'playground'
               and other.workspace_id = jobs.workspace_id) < :playground_slots)
     order by enqueued_at limit 1
    """
)


def next_alone(session: Session) -> str | None:
    """Returns the job that has waited longest to run alone in a worker, or None."""
    row = _ALONE.row(session, {"playground_slots": PLAYGROUND_SLOTS})
    return None if row is None else row[0]


def requeue_stale(session: Session, *, older_than_ms: int, most: int) -> list[str]:
    """Returns queued jobs whose message is older than `older_than_ms`, or has a time in the future because the clock
    was set back.

    Jobs that must run alone are left out: workers find them without a message (`next_alone`).
    """
    at = now(session)
    values = {"at": at, "before": at - older_than_ms, "after": at + 5_000, "most": most, "shared": SHARED_ATTEMPTS}
    return list(session.scalars(_WAITING, {**values, "playground_slots": PLAYGROUND_SLOTS}))


def next_playground_job(session: Session, workspace_id: str) -> str | None:
    """Returns the Playground run that has waited longest, or None."""
    return session.scalar(
        select(Job.id)
        .where(_OPEN, Job.status == "queued", Job.environment == "playground", Job.workspace_id == workspace_id)
        .order_by(Job.created_at, Job.id)
        .limit(1)
    )


def _end_batch(session: Session, batch_id: str, row: _EndedRow, at: int) -> bool:
    """Marks the batch as ended when `row` was its last item, and adds its webhook to the outbox.

    Returns whether it ended.
    """
    ended = _END_BATCH.row(session, {"id": batch_id, "at": at})
    if ended is None:
        return False
    url, by_caller = ended
    if url:
        _add_webhook(session, row._replace(webhook_by_caller=by_caller), url, "batch.completed", at, batch_id=batch_id)
    return True


def _add_webhook(
    session: Session, row: _EndedRow, url: str, event: str, at: int, *, job_id: str = "", batch_id: str | None = None
) -> None:
    session.execute(
        insert(_WEBHOOKS),
        {
            "id": new_id("whd"),
            "workspace_id": row.workspace_id,
            "flow_id": row.flow_id,
            "job_id": job_id,
            "batch_id": batch_id,
            "url": url,
            "event": event,
            "status": "waiting",
            "tries": 0,
            "next_at": at,
            "log": [],
            "created_at": at,
            "by_caller": bool(row.webhook_by_caller),
        },
    )
