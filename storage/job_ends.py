"""The end of jobs: status, result, slot, event and webhook, and the end of the batch whose last item a job was.

A worker ends a job only while its lease holds (`storage.job_changes.Lease`); what it reported since its last write is
stored by the same statements. Jobs that end together share the statements that need no condition.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Table, insert
from sqlalchemy.orm import Session

from engine.core.ids import new_id
from storage.database import now
from storage.events import NewEvent, add_events, event_rows
from storage.job_changes import Lease, own_value
from storage.questions import withdraw_questions
from storage.statements import Statement, to_json
from storage.steps import Progress, StepRows, lease_of, totals, write_progress
from storage.tables import WebhookDelivery
from storage.usage import release_slot, usage_subject
from storage.value_sizes import STORED_BYTES

_WEBHOOKS = cast("Table", WebhookDelivery.__table__)


class JobEnd(Struct, frozen=True):
    """What a job ends with. `lease` None ends a job that no worker holds: it is queued or waits for a person. `result`: JSON text and its bytes.

    `progress`: what its worker reported and did not store yet. `stop_steps`: steps may still be marked as running. `of`: its
    workspace and environment, if they are known.
    """

    job_id: str
    status: str
    lease: Lease | None
    error: dict[str, Any] | None = None
    result: tuple[str, int] | None = None
    progress: Progress | None = None
    stop_steps: bool = True
    of: tuple[str, str] | None = None


class Ended(Struct, frozen=True):
    """A job that has just ended."""

    id: str
    workspace_id: str
    flow_id: str
    environment: str
    #: The id of the batch, when the job was its last item.
    batch_ended: str | None = None
    #: Its flow limits how many of its jobs run at once.
    flow_limited: bool = False


#: Counts the failed steps of the job `:id` from its rows.
_FAILED_STEPS = """
    select count(distinct step.node_id) from (select distinct node_id from steps where job_id = :id) step
      join (select distinct node_id from steps where job_id = :id and error is not null) failed
        on failed.node_id = step.node_id
           or substr(failed.node_id, 1, length(step.node_id) + 1) = step.node_id || '.'
     where step.node_id not like '%.%'
"""
_RETURNED = """
    returning workspace_id, flow_id, key_id, batch_id, counted, environment, webhook_url, webhook_by_caller, last_seq,
              steps_failed, flow_concurrency, questions, started_at
"""
_COMPLETED_AT = """
    case when coalesce(started_at, created_at) > :at then coalesce(started_at, created_at) else :at end
"""
_WAITED_MS = "waited_ms + case when waiting_since < :at then :at - waiting_since else 0 end"
# A step that runs again in a later attempt, or after an answer, replaces its values, so then their bytes are summed and failed steps are
# counted again; so are the steps that a Playground run took from an earlier one. What the worker counted is kept when it
# is more: no row tells of items that their list's time limit ended. A step of a called flow counts as the step that
# calls it.
_END = Statement(
    f"""
    update jobs set status = :status, error = :error, owner = null, last_seq = last_seq + 1,
           waited_ms = {_WAITED_MS}, waiting_since = null,
           attempts = attempts + case when waiting_since is null then 0 else 1 end,
           value_bytes = :result_bytes + case when attempts > 1 or waited_ms > 0 then (
               select coalesce(sum({STORED_BYTES}), 0) from job_values where job_id = :id) else value_bytes end,
           completed_at = {_COMPLETED_AT},
           steps_failed = case when attempts > 1 or waited_ms > 0 or run_options is not null then (
               select max(counted) from (select ({_FAILED_STEPS}) as counted union all select jobs.steps_failed) both_counts)
               else steps_failed end,
           steps_done = case when :status = 'completed' then steps_total else steps_done end
     where id = :id and case when :owner is null then status = 'queued' or (status = 'processing' and owner is null)
                        else status = 'processing' and owner = :owner and attempts = :attempt end
    {_RETURNED}
    """  # noqa: S608 - no outside text
)
# The end of most jobs: in its first attempt, without a pause for a person, nothing was stored twice, so the reports can be added to the totals.
_END_FIRST_ATTEMPT = Statement(
    f"""
    update jobs set status = :status, error = :error, owner = null, last_seq = last_seq + :events + 1,
           items_failed = case when :reported then :items_failed else items_failed end,
           steps_failed = case when :reported then :steps_failed else steps_failed end,
           steps_done = case when :status = 'completed' then steps_total
                             when steps_done > :steps_done then steps_done else :steps_done end,
           cost_nanos = case when :cost_known then cost_nanos + :cost else null end,
           input_tokens = input_tokens + :input_tokens, output_tokens = output_tokens + :output_tokens,
           model_calls = model_calls + :calls, simulated = (simulated or :simulated),
           value_bytes = value_bytes + :value_bytes + :result_bytes,
           completed_at = {_COMPLETED_AT}
     where id = :id and owner = :owner and attempts = :attempt and status = 'processing' and run_options is null
       and waited_ms = 0
    {_RETURNED}
    """  # noqa: S608 - no outside text
)
_NO_TOTALS = {
    **dict.fromkeys(("events", "steps_done", "items_failed", "steps_failed", "cost", "calls", "value_bytes"), 0),
    "cost_known": True,
    "input_tokens": 0,
    "output_tokens": 0,
    "simulated": False,
}
# Only the transaction that ends the last item finds no open item, so a batch ends exactly once.
_END_BATCH = Statement(
    """
    update batches set completed_at = case when created_at > :at then created_at else :at end
     where id = :id and completed_at is null and not exists (
        select 1 from jobs where batch_id = :id and (status = 'queued' or status = 'processing'))
    returning webhook_url, webhook_by_caller
    """
)
_STOP_STEPS = Statement(
    """
    update steps set status = 'cancelled', ended_at = case when started_at > :at then started_at else :at end,
           duration_ms = coalesce(duration_ms, case when started_at > :at then 0 else :at - started_at end)
     where job_id = :id and status in ('running', 'waiting')
    returning started_at, node_id, index_path, duration_ms
    """
)
_MORE_EVENTS = Statement("update jobs set last_seq = last_seq + :count where id = :id returning last_seq")


class _EndedRow(NamedTuple):
    """The columns that ending a job returns."""

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
    flow_concurrency: int | None
    questions: int
    started_at: int | None


def end_jobs(session: Session, ends: Sequence[JobEnd]) -> list[Ended | None]:
    """Ends jobs. Returns for each what ended, or None when the job is not in the expected state any more."""
    at = now(session)
    rows = StepRows()
    slots: list[str | None] = []
    last_of: dict[str, tuple[int, _EndedRow]] = {}
    answers: list[Ended | None] = []
    to_stop: list[tuple[JobEnd, _EndedRow]] = []
    for end, first in zip(ends, _end_first_attempts(session, ends, at), strict=True):
        found = _end(session, end, at) if first is None else _take_reports(end, _EndedRow(*first), rows)
        if found is None:
            answers.append(None)
            continue
        limited = found.flow_concurrency is not None
        answers.append(Ended(end.job_id, found.workspace_id, found.flow_id, found.environment, flow_limited=limited))
        if found.counted:
            slots += (usage_subject(found.workspace_id, found.environment), found.key_id)
        if end.result is not None:
            rows.values.append(own_value(end.job_id, "result", end.result))
        if found.questions:
            withdraw_questions(session, end.job_id)
        if found.started_at is not None and (end.stop_steps or found.questions):
            to_stop.append((end, found))
        else:
            rows.events += event_rows(end.job_id, found.last_seq, [_end_event(end, found, at)])
        if found.webhook_url:
            _add_webhook(session, found, found.webhook_url, f"job.{end.status}", at, job_id=end.job_id)
        if found.batch_id and found.environment != "playground":
            last_of[found.batch_id] = len(answers) - 1, found
    rows.write(session)
    release_slot(session, *slots)
    for end, found in to_stop:
        _stop_steps(session, end, found, at)
    for batch_id, (place, found) in last_of.items():
        ended = answers[place]
        if ended is not None and _end_batch(session, batch_id, found, at):
            answers[place] = replace(ended, batch_ended=batch_id)
    return answers


def _end_first_attempts(session: Session, ends: Sequence[JobEnd], at: int) -> list[Any]:
    """Changes the rows of the jobs that end in their first attempt. Returns for each end what `_RETURNED` says, or None."""
    firsts = {
        number: {**_values(end, at), **_sums(end.progress), **lease_of(end.job_id, end.lease)}
        for number, end in enumerate(ends)
        if end.lease is not None and end.lease.attempt == 1
    }
    found = dict(zip(firsts, _END_FIRST_ATTEMPT.row_of_each(session, list(firsts.values())), strict=True))
    return [found.get(number) for number in range(len(ends))]


def _values(end: JobEnd, at: int) -> dict[str, Any]:
    result_bytes = 0 if end.result is None else end.result[1]
    return {"status": end.status, "error": to_json(end.error), "result_bytes": result_bytes, "at": at}


def _sums(progress: Progress | None) -> dict[str, Any]:
    return {"reported": False, **_NO_TOTALS} if progress is None else {"reported": True, **totals(progress)}


def _take_reports(end: JobEnd, row: _EndedRow, rows: StepRows) -> _EndedRow:
    if end.progress is not None:
        rows.add(end.progress, row.last_seq - 1)
    return row


def _end(session: Session, end: JobEnd, at: int) -> _EndedRow | None:
    """Changes the row of a job that does not simply end in its first attempt, and stores its reports."""
    progress, lease = end.progress, end.lease
    if progress is not None and write_progress(session, progress) == [False]:
        return None
    held = lease_of(end.job_id, lease) if lease else {"id": end.job_id, "owner": None, "attempt": None}
    found = _END.row(session, {**_values(end, at), **held})
    return None if found is None else _EndedRow(*found)


def _stop_steps(session: Session, end: JobEnd, found: _EndedRow, at: int) -> None:
    """Ends the steps that still ran or waited as cancelled, and stores their events and that of the job's end."""
    stopped = sorted(_STOP_STEPS.rows(session, {"id": end.job_id, "at": at}))
    events = [("step.cancelled", at, _stopped_event(*step)) for _, *step in stopped]
    last_seq = found.last_seq
    if events:
        last_seq = _MORE_EVENTS.row(session, {"id": end.job_id, "count": len(events)})[0]
    add_events(session, end.job_id, last_seq, [*events, _end_event(end, found, at)])


def _stopped_event(node_id: str, index_path: str, duration_ms: int) -> dict[str, Any]:
    index = [int(part) for part in index_path.split("/")] if index_path else []
    return {"node_id": node_id, "index": index, "duration_ms": duration_ms}


def _end_event(end: JobEnd, found: _EndedRow, at: int) -> NewEvent:
    return f"job.{end.status}", at, _event_data(end, found)


def _event_data(end: JobEnd, found: _EndedRow) -> dict[str, Any]:
    if found.steps_failed and end.status == "completed":
        return {"steps_failed": found.steps_failed}
    error = end.error
    return {} if error is None else {name: error[name] for name in ("code", "message", "node_id")}


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
