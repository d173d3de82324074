"""Flows that limit how many of their jobs run at once: which of their jobs may begin, in the order of acceptance.

The limit stands in each open job of such a flow (`flow_concurrency`), so that a claim reads no flow. Rows are counted
instead of slots, so that none can leak. Playground runs have no limit there, and are not counted; nor are jobs that
wait for a person.
"""

from __future__ import annotations

import functools
from collections.abc import Container, Sequence

from sqlalchemy.orm import Session

from engine.core.job_status import SHARED_ATTEMPTS
from storage.database import now
from storage.statements import Statement, in_parts

#: Exactly the condition of the index `ix_jobs_flow_limited`: SQLite uses a partial index only for the same condition.
_LIMITED = "flow_concurrency is not null and completed_at is null"
#: The condition that a job named `jobs` has no limit of its flow, or that fewer jobs of its flow run.
FLOW_HAS_ROOM = """
    (flow_concurrency is null or flow_concurrency > (select count(*) from jobs running
      where running.flow_concurrency is not null and running.completed_at is null
        and running.status = 'processing' and running.waiting_since is null and running.flow_id = jobs.flow_id))
"""
# Items of a batch without a slot are not counted; jobs that must run alone are found by workers of their own.
_WAITING = Statement(
    f"""
    select id, flow_concurrency from jobs
     where {_LIMITED} and status = 'queued' and flow_id = :flow_id and counted = :counted
       and attempts < :shared and cancel_requested_at is null
     order by created_at, item_index, id limit :most
    """  # noqa: S608 - no outside text
)
# A job that waits to run alone keeps its place: otherwise the others would begin before it again and again. The flow is
# compared as an expression, so that SQLite reads the few jobs of `ix_jobs_alone` and not all of the flow.
_TAKEN = Statement(
    f"""
    select (select count(*) from jobs
             where {_LIMITED} and status = 'processing' and waiting_since is null and flow_id = :flow_id)
         + (select count(*) from jobs where status = 'queued' and attempts >= 2 and cancel_requested_at is null
               and flow_concurrency is not null and flow_id || '' = :flow_id)
    """  # noqa: S608 - no outside text
)
_FLOWS = Statement(f"select distinct flow_id from jobs where {_LIMITED} and status = 'queued'")  # noqa: S608 - no outside text
_SENT_AGAIN = Statement(
    """
    update jobs set enqueued_at = :at where id = :id and (enqueued_at < :before or enqueued_at > :after)
    returning id
    """
)
# The flow is compared as an expression, so that SQLite reads the open jobs and not all that the flow ever had.
_LIMIT = Statement(
    """
    update jobs set flow_concurrency = :number,
           enqueued_at = case when status = 'queued' then :at else enqueued_at end
     where status in ('queued', 'processing') and flow_id || '' = :flow_id and environment <> 'playground'
    returning id, status, counted, attempts, created_at, item_index
    """
)


def limited_flows(session: Session, job_ids: Sequence[str]) -> dict[str, str]:
    """Returns job -> flow for those of the jobs whose flow limits how many run at once."""
    flows: dict[str, str] = {}
    for part in in_parts(job_ids):
        named = {f"id{number}": job_id for number, job_id in enumerate(part)}
        flows |= {row[0]: row[1] for row in _limited_of(len(part)).rows(session, named)}
    return flows


@functools.cache
def _limited_of(count: int) -> Statement:
    named = ", ".join(f":id{number}" for number in range(count))
    return Statement(f"select id, flow_id from jobs where id in ({named}) and flow_concurrency is not null")  # noqa: S608 - no outside text


def next_in_flow(session: Session, flow_id: str, most: int, held: Container[str] = ()) -> list[str]:
    """Returns the jobs of a limited flow that may begin now, in the order of acceptance, at most `most`.

    `held`: jobs that the caller cannot take.
    """
    values = {"flow_id": flow_id, "counted": True, "shared": SHARED_ATTEMPTS, "most": most}
    waiting = _WAITING.rows(session, values)
    if not waiting:
        return []
    (taken,) = _TAKEN.row(session, {"flow_id": flow_id})
    room = max(0, waiting[0][1] - taken)
    return [job_id for job_id, _ in waiting[:room] if job_id not in held]


def stale_in_flows(session: Session, *, older_than_ms: int, most: int) -> list[tuple[str, str]]:
    """Does what `requeue_stale` does for jobs of limited flows, of which it returns those that may begin now. Each is a
    job and its flow.
    """
    at = now(session)
    values = {"at": at, "before": at - older_than_ms, "after": at + 5_000}
    return [
        (job_id, flow_id)
        for (flow_id,) in _FLOWS.rows(session, {})
        for job_id in next_in_flow(session, flow_id, most)
        if _SENT_AGAIN.row(session, {**values, "id": job_id}) is not None
    ]


def limit_flow(session: Session, flow_id: str, number: int | None) -> list[str]:
    """Changes the limit in the open jobs of a flow; None: it has none any more.

    Returns its jobs that wait for a worker, in the order of acceptance.
    """
    rows = _LIMIT.rows(session, {"flow_id": flow_id, "number": number, "at": now(session)})
    waiting = [
        (created_at, -1 if item_index is None else item_index, job_id)
        for job_id, status, counted, attempts, created_at, item_index in rows
        if status == "queued" and counted and attempts < SHARED_ATTEMPTS
    ]
    return [job_id for *_, job_id in sorted(waiting)]
