"""The changes of a job's status up to its end, which is in `storage.job_ends`.

Each is one conditional statement, so that two processes can never both make it. In every change a worker names itself (`owner`) and the attempt: when no row matches, it has lost the job (L2).
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from engine.core.job_status import SHARED_ATTEMPTS
from storage.database import now
from storage.events import NewEvent, add_event_rows, add_events, add_first_events, event_rows
from storage.flow_limits import FLOW_HAS_ROOM, limited_flows, next_in_flow
from storage.span_guard import keep_out_of_spans
from storage.statements import Statement, from_json, in_parts, insert_into, to_json
from storage.tables import Job

#: Exactly the condition of the index `ix_jobs_open`: SQLite uses a partial index only for the same condition.
_OPEN = text("jobs.status in ('queued', 'processing')")

#: How many Playground runs of a workspace may run at once.
PLAYGROUND_SLOTS = 4


class Lease(Struct, frozen=True):
    """The right to write to a job: the worker's boot id and the number of its attempt."""

    owner: str
    attempt: int


@dataclass(frozen=True)
class Claimed:
    """The data of a job that a worker has just claimed. `elapsed_ms`: milliseconds since the first start, without those
    that it waited for people.
    """

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
    #: How long it has waited for people, in milliseconds; more than 0 when it goes on after an answer.
    waited_ms: int = 0
    #: The payload as JSON text, when this is the first start and the payload is small; otherwise it is read later.
    payload: str | None = field(default=None, repr=False)


_COLUMNS = [column.name for column in Job.__table__.columns]
_INSERT = insert_into("jobs", _COLUMNS)
#: The initial values of a job; what is not here is null.
_NEW = {
    **dict.fromkeys(_COLUMNS),
    **dict.fromkeys(("attempts", "steps_done", "items_failed", "steps_failed", "cost_nanos"), 0),
    **dict.fromkeys(("input_tokens", "output_tokens", "model_calls", "questions", "waited_ms"), 0),
    "status": "queued",
    "last_seq": 1,
    "simulated": False,
    "webhook_by_caller": False,
}
#: The number of the event of a first claim; before it there is only `job.queued`.
_FIRST_CLAIM = 2
#: Payloads up to this many bytes are returned by the claim.
_SMALL = 16_384
_PUT_VALUE = insert_into("job_values", ("job_id", "node_id", "index_path", "name", "size", "data"))
# A Playground run waits while four runs of its workspace are running. Rows are counted instead of slots, so that none
# can leak. The redundant condition on `status` is that of the partial index `ix_jobs_open`, which SQLite then uses.
_PLAYGROUND_HAS_ROOM = """
    (select count(*) from jobs other
      where other.status in ('queued', 'processing') and other.status = 'processing' and other.owner is not null
        and other.environment = 'playground' and other.workspace_id = jobs.workspace_id) < :playground_slots
"""


@functools.cache
def _claim(which: str) -> Statement:
    """Returns the statement that claims the jobs which a condition names."""
    return Statement(
        f"""
        update jobs set status = 'processing', owner = :owner, attempts = attempts + 1, last_seq = last_seq + 1,
               started_at = coalesce(started_at, case when created_at > :at then created_at else :at end),
               waited_ms = waited_ms + case when waiting_since is null then 0
                                            when waiting_since < :at then :at - waiting_since else 1 end,
               waiting_since = null
         where {which} and status = 'queued' and cancel_requested_at is null and (attempts < :shared or :alone)
        returning id, workspace_id, flow_id, flow_version, snapshot_id, environment, attempts, limit_ms, started_at,
                  steps_total, run_options, traceparent, waited_ms, last_seq,
                  case when last_seq = :first_claim then (
                      select data from job_values where job_id = jobs.id and node_id = '' and index_path = ''
                         and name = 'payload' and size <= :small) end
        """  # noqa: S608 - no outside text
    )


def _claim_one() -> Statement:
    return _claim(f"id = :id and (environment <> 'playground' or {_PLAYGROUND_HAS_ROOM}) and {FLOW_HAS_ROOM}")


def _claim_several(count: int) -> Statement:
    """Claims neither Playground runs nor jobs of limited flows: how many of them run must be counted anew after each."""
    named = ", ".join(f":id{number}" for number in range(count))
    return _claim(f"id in ({named}) and environment <> 'playground' and flow_concurrency is null")


_REQUEUE = Statement(
    """
    update jobs set status = 'queued', owner = null, enqueued_at = :at, last_seq = last_seq + 1,
           attempts = case when :unpunished then attempts - 1 else attempts end
     where id = :id and status = 'processing' and owner = :owner and attempts = :attempt and cancel_requested_at is null
    returning last_seq, attempts
    """
)


_REPLACE_PAYLOAD = Statement(
    """
    update job_values set data = :data, size = :size
     where job_id = :id and node_id = '' and index_path = '' and name = 'payload'
       and exists (select 1 from jobs where id = :id and status = 'processing' and owner = :owner and attempts = :attempt)
    returning 1
    """
)
_PAYLOAD_SIZE = Statement(
    "select size from job_values where job_id = :id and node_id = '' and index_path = '' and name = 'payload'"
)
_ADD_VALUE_BYTES = Statement("update jobs set value_bytes = value_bytes + :more where id = :id")


def replace_payload(session: Session, job_id: str, lease: Lease, data: str, size: int) -> bool:
    """Stores another payload (JSON text, bytes) for a job that the worker still holds. Returns False when it does not."""
    before = _PAYLOAD_SIZE.row(session, {"id": job_id})
    wanted = {"id": job_id, "owner": lease.owner, "attempt": lease.attempt, "data": data, "size": size}
    if before is None or _REPLACE_PAYLOAD.row(session, wanted) is None:
        return False
    _ADD_VALUE_BYTES.run(session, {"id": job_id, "more": size - before[0]})
    return True


def insert_jobs(session: Session, jobs: Sequence[tuple[Mapping[str, Any], tuple[str, int]]]) -> None:
    """Adds queued jobs, each with its payload (JSON text, bytes) and its first event."""
    at = now(session)
    keep_out_of_spans(session, at)
    rows: list[dict[str, Any]] = []
    for row, payload in jobs:
        options = to_json(row.get("run_options"))
        times = {"created_at": at, "enqueued_at": at}
        rows.append({**_NEW, **row, **times, "run_options": options, "value_bytes": payload[1]})
    _INSERT.run(session, *rows)
    _PUT_VALUE.run(session, *(own_value(row["id"], "payload", payload) for row, payload in jobs))
    add_first_events(session, [row["id"] for row, _ in jobs], "job.queued", at)


def insert_job(session: Session, row: Mapping[str, Any], payload: tuple[str, int]) -> None:
    """Adds one queued job."""
    insert_jobs(session, [(row, payload)])


def claim_job(session: Session, owner: str, job_id: str, *, alone: bool = False) -> Claimed | None:
    """Claims a queued job for a worker.

    None: it is claimed or ended, or it waits for a Playground slot, for other jobs of its flow or to run alone.
    """
    at = now(session)
    row = _claim_one().row(session, {**_claim_values(owner, at, alone=alone), "id": job_id})
    return None if row is None else _begun(session, [row], at)[0]


def claim_jobs(session: Session, owner: str, job_ids: Sequence[str], held: Container[str] = ()) -> list[Claimed]:
    """Claims queued jobs for a worker; returns those that `claim_job` would return, in the same order.

    Jobs of a flow that limits how many run at once begin in the order of acceptance: for each that is named, the first
    one that waits is claimed, unless it is in `held`.
    """
    at = now(session)
    shared = _claim_values(owner, at, alone=False)
    rows: dict[str, Any] = {}
    for part in in_parts(job_ids):
        named = {f"id{number}": job_id for number, job_id in enumerate(part)}
        rows |= {row[0]: row for row in _claim_several(len(part)).rows(session, {**shared, **named})}
    left = [job_id for job_id in dict.fromkeys(job_ids) if job_id not in rows]
    for job_id in _in_turn(session, left, held) if left else ():
        if (row := _claim_one().row(session, {**shared, "id": job_id})) is not None:
            rows[job_id] = row
    order = dict.fromkeys([*job_ids, *rows])
    return _begun(session, [rows[job_id] for job_id in order if job_id in rows], at)


def _claim_values(owner: str, at: int, *, alone: bool) -> dict[str, Any]:
    values = {"owner": owner, "at": at, "shared": SHARED_ATTEMPTS, "alone": alone, "playground_slots": PLAYGROUND_SLOTS}
    return {**values, "first_claim": _FIRST_CLAIM, "small": _SMALL}


def _in_turn(session: Session, job_ids: Sequence[str], held: Container[str]) -> list[str]:
    """Returns the jobs, with those of limited flows replaced by as many that may begin now."""
    flows = limited_flows(session, job_ids)
    others = [job_id for job_id in job_ids if job_id not in flows]
    named = Counter(flows.values())
    return [*others, *(one for flow_id, count in named.items() for one in next_in_flow(session, flow_id, count, held))]


def _begun(session: Session, rows: Sequence[Any], at: int) -> list[Claimed]:
    """Returns the jobs of claimed rows, and stores their events."""
    claimed = [_claimed(row, at) for row in rows]
    events = [
        event_rows(job.id, row[_LAST_SEQ], [_processing(job, at)]) for job, row in zip(claimed, rows, strict=True)
    ]
    add_event_rows(session, [row for group in events for row in group])
    return claimed


#: The place of `last_seq` in what a claim returns.
_LAST_SEQ = 13


def _processing(job: Claimed, at: int) -> NewEvent:
    return "job.processing", at, {"attempt": job.attempt}


def _claimed(row: Any, at: int) -> Claimed:
    *described, attempt, limit_ms, started_at, steps_total, run_options, trace, waited_ms, _last_seq, payload = row
    return Claimed(
        *described,
        attempt=attempt,
        limit_ms=limit_ms,
        started_at=started_at,
        elapsed_ms=max(0, at - started_at - waited_ms),
        steps_total=steps_total,
        run_options=from_json(run_options),
        trace=trace,
        waited_ms=waited_ms,
        payload=payload,
    )


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


_SET_ASIDE = Statement(
    """
    update jobs set owner = null, waiting_since = :at, attempts = attempts - 1, counted = false
     where id = :id and status = 'processing' and owner = :owner and attempts = :attempt and cancel_requested_at is null
    returning workspace_id, flow_id, environment, key_id, flow_concurrency
    """
)
_COUNTED = Statement("select counted from jobs where id = :id")
_RESUME = Statement(
    """
    update jobs set status = 'queued', enqueued_at = :at, last_seq = last_seq + 1
     where id = :id and status = 'processing' and owner is null and waiting_since is not null
    returning last_seq, attempts, workspace_id, environment
    """
)


class SetAsideJob(Struct, frozen=True):
    """A job that has just been set aside. `counted`: it held a slot, which it has given back."""

    workspace_id: str
    flow_id: str
    environment: str
    key_id: str | None
    flow_limited: bool
    counted: bool


def set_job_aside(session: Session, job_id: str, lease: Lease) -> SetAsideJob | None:
    """Takes a running job from its worker until a person answers; the attempt does not count.

    None: the worker lost the job before, or a cancellation was requested. The caller gives the slot back.
    """
    counted = _COUNTED.row(session, {"id": job_id})
    values = {"id": job_id, "owner": lease.owner, "attempt": lease.attempt, "at": now(session)}
    row = _SET_ASIDE.row(session, values)
    if row is None:
        return None
    workspace_id, flow_id, environment, key_id, flow_concurrency = row
    return SetAsideJob(
        workspace_id, flow_id, environment, key_id, flow_concurrency is not None, counted=bool(counted[0])
    )


def resume_job(session: Session, job_id: str) -> tuple[str, str] | None:
    """Puts a job that was set aside into the queue, without a slot. Returns its workspace and environment; None when it
    is not set aside any more.
    """
    at = now(session)
    row = _RESUME.row(session, {"id": job_id, "at": at})
    if row is None:
        return None
    last_seq, attempts, workspace_id, environment = row
    # The attempt that paused goes on, so the event has its number, as the job itself has.
    add_events(session, job_id, last_seq, [("job.queued", at, {"attempt": attempts + 1})])
    return workspace_id, environment


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


def own_value(job_id: str, name: str, value: tuple[str, int]) -> dict[str, Any]:
    """Returns the row of a value of the job itself."""
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


def count_held(session: Session) -> dict[str, int]:
    """Returns boot id -> how many jobs this worker runs."""
    held = select(Job.owner, func.count()).where(_OPEN, Job.status == "processing", Job.owner.is_not(None))
    return {owner: count for owner, count in session.execute(held.group_by(Job.owner)) if owner is not None}


_WAITING = text(
    """
    update jobs set enqueued_at = :at where id in (
        select id from jobs waiting where status in ('queued', 'processing') and status = 'queued' and (enqueued_at < :before or enqueued_at > :after)
           and (counted or case when waiting_since is null then batch_id is null else environment = 'playground' end)
           and attempts < :shared and flow_concurrency is null
           and (environment <> 'playground' or (
                select count(*) from jobs other
             where other.status in ('queued', 'processing') and other.status = 'processing' and other.owner is not null
                   and other.environment = 'playground' and other.workspace_id = waiting.workspace_id) < :playground_slots)
         order by enqueued_at limit :most)
    returning id
    """
)


# Exactly the condition of the index `ix_jobs_alone`: SQLite uses a partial index only for the same condition.
_ALONE = Statement(
    f"""
    select id from jobs
     where status = 'queued' and attempts >= 2 and cancel_requested_at is null
       and (environment <> 'playground' or (
            select count(*) from jobs other
             where other.status in ('queued', 'processing') and other.status = 'processing' and other.owner is not null
               and other.environment = 'playground' and other.workspace_id = jobs.workspace_id) < :playground_slots)
       and {FLOW_HAS_ROOM}
     order by enqueued_at limit 1
    """  # noqa: S608 - no outside text
)


def next_alone(session: Session) -> str | None:
    """Returns the job that has waited longest to run alone in a worker, or None."""
    row = _ALONE.row(session, {"playground_slots": PLAYGROUND_SLOTS})
    return None if row is None else row[0]


def requeue_stale(session: Session, *, older_than_ms: int, most: int) -> list[str]:
    """Returns queued jobs whose message is older than `older_than_ms`, or has a time in the future because the clock
    was set back.

    Jobs that must run alone are left out: workers find them without a message (`next_alone`). So are jobs of limited
    flows (`storage.flow_limits.stale_in_flows`).
    """
    at = now(session)
    values = {"at": at, "before": at - older_than_ms, "after": at + 5_000, "most": most, "shared": SHARED_ATTEMPTS}
    return list(session.scalars(_WAITING, {**values, "playground_slots": PLAYGROUND_SLOTS}))


_TO_SEND = Statement(
    """
    select id, key_id, workspace_id, environment, waiting_since is not null from jobs
     where status in ('queued', 'processing') and status = 'queued'
       and (counted or case when waiting_since is null then batch_id is null else environment = 'playground' end)
     order by created_at, item_index, id
    """
)


class QueuedJob(Struct, frozen=True):
    """A job that waits in the queue. `ahead`: it goes before all others. `subject`: whose turn it takes otherwise."""

    id: str
    subject: str
    ahead: bool


def list_queued(session: Session) -> list[QueuedJob]:
    """Returns every queued job that has what it needs to begin, in the order of acceptance."""
    return [
        QueuedJob(job_id, key_id or workspace_id, environment == "playground" or bool(goes_on))
        for job_id, key_id, workspace_id, environment, goes_on in _TO_SEND.rows(session, {})
    ]


def next_playground_job(session: Session, workspace_id: str) -> str | None:
    """Returns the Playground run that has waited longest, or None."""
    return session.scalar(
        select(Job.id)
        .where(_OPEN, Job.status == "queued", Job.environment == "playground", Job.workspace_id == workspace_id)
        .order_by(Job.created_at, Job.id)
        .limit(1)
    )
