"""Actions on jobs: submit, cancel, and run in the Playground."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.orm import Session

from engine.actions.called_flows import read_library
from engine.actions.principal import Principal, require_may
from engine.core.do_first import DoneFirst
from engine.core.errors import Conflict, FlowInvalid, NotFound, WrongFields, wrong_fields
from engine.core.ids import JobId, new_job_id
from engine.core.json_text import json_bytes
from engine.flow.called_flows import call_problems, pinned
from engine.flow.contract import input_fields
from engine.flow.document import Document
from engine.flow.graph import Graph
from engine.flow.payload_check import check_payload, has_patterns
from engine.jobs.huey_queue import send_ahead
from engine.jobs.job_values import encoded
from engine.jobs.notifier import job_changed
from engine.jobs.submit.accept import (
    Accepted,
    Caller,
    Submit,
    accept,
    accept_many,
    flow_limit_ms,
    look_ahead,
    read_key_again,
)
from engine.jobs.submit.bodies import CheckedBody, SubmitOptions, steps_of
from engine.jobs.submit.check_threads import CheckThreads
from engine.jobs.submit.job_files import NamedFiles, look_up_files, name_files
from engine.jobs.submit.limits import LimitsView
from engine.jobs.transitions import cancel_batch, cancel_job, finish_many
from engine.jobs.worker.plan_loader import trimmed
from engine.nodes import CATALOG
from engine.run.plan import compile_plan
from storage.audit import add_entry
from storage.batches import BatchRow
from storage.flows import FlowRow, get_flow
from storage.job_changes import insert_job
from storage.job_ends import JobEnd
from storage.jobs import JobFilters, JobRow, get_job, list_jobs, when_values_went
from storage.prefetch import prefetch
from storage.snapshots import insert_snapshot
from storage.steps import take_over_steps

__all__ = [
    "Accepted",
    "Caller",
    "LimitsView",
    "RunOptions",
    "SubmitOptions",
    "cancel",
    "cancel_all",
    "cancel_run",
    "cancel_waiting",
    "run_in_playground",
    "submit",
]

PLAYGROUND = "playground"
#: How many jobs `cancel_waiting` cancels in one transaction.
MAX_CANCELLED = 200


class RunOptions(Struct, frozen=True):
    """Which part of a flow a Playground run executes.

    `until`: only this node and the nodes it depends on. `start` and `reuse`: from node `start` on, with the other
    outputs taken from job `reuse`. `again`: the job that this run repeats, stored as a link for people. `version`: the
    number of the version that it runs, and `now`: whether it runs what is on the canvas, None when nobody knows; both are
    for people too.
    """

    until: str | None = None
    start: str | None = None
    reuse: str | None = None
    again: str | None = None
    version: int | None = None
    now: bool | None = None

    @property
    def repeats(self) -> bool:
        """Whether the run has the input of an earlier job."""
        return bool(self.reuse or self.again)

    def as_json(self) -> dict[str, Any] | None:
        """Returns the options as stored with the job; None when none is set."""
        options: dict[str, Any] = {"until": self.until, "from": self.start, "reuse": self.reuse, "again": self.again}
        options |= {"version": self.version, "now": self.now}
        return {name: value for name, value in options.items() if value or value is False} or None


def submit(
    session: Session,
    caller: Caller,
    flow_id: str,
    payload: Mapping[str, Any],
    options: SubmitOptions = SubmitOptions(),
    checked: CheckedBody | None = None,
) -> Accepted:
    """Accepts a job for a deployed flow. The job is stored durably when the transaction commits.

    `checked` is the result of `BodyChecks.check` for the payload, made before the transaction; NotChecked is
    raised when a flow with patterns needs it. Raises Unauthorized, NotFound, NotDeployed, NotAllowed, PayloadInvalid, IdempotencyKeyReused, MonthlyQuotaExceeded and
    ConcurrencyLimitExceeded; the first that applies in this order.
    """
    return accept(session, caller, flow_id, payload, options, checked)


def submit_many(session: Session, calls: Sequence[Submit]) -> Sequence[Accepted | Exception]:
    """Does the same for several calls: a plural action. Returns for each the accepted job or its refusal."""
    return accept_many(session, calls)


prefetch(submit_many, look_ahead)


def cancel(session: Session, caller: Caller, job_id: str) -> JobRow:
    """Cancels a queued job immediately; asks the worker of a running job to stop.

    Raises Unauthorized, JobNotCancellable, and NotFound also for a job that the key may not see.
    """
    caller = read_key_again(session, caller)
    return cancel_job(session, caller.workspace_id, job_id, caller.scope)


def cancel_all(session: Session, caller: Caller, batch_id: str) -> BatchRow:
    """Cancels every item of a batch that has not ended.

    Raises Unauthorized, BatchNotCancellable, and NotFound also for a batch that the key may not see.
    """
    caller = read_key_again(session, caller)
    return cancel_batch(session, caller.workspace_id, batch_id, caller.scope)


def cancel_run(session: Session, principal: Principal, job_id: str) -> JobRow:
    """Cancels a job or a Playground run for a person. Raises NotAllowed, NotFound and JobNotCancellable."""
    require_may(principal, "run flows")
    return cancel_job(session, principal.workspace_id, job_id)


def cancel_waiting(session: Session, principal: Principal, filters: JobFilters) -> int:
    """Cancels jobs that are queued and fit the filters, whatever status these name, the newest first, and of those
    MAX_CANCELLED. Returns how many; 0: none waits. Raises NotAllowed.
    """
    require_may(principal, "run flows")
    waiting = list_jobs(session, principal.workspace_id, replace(filters, statuses=("queued",)), MAX_CANCELLED).jobs
    count = sum(finish_many(session, [JobEnd(job.id, "cancelled", None) for job in waiting]))
    if count:
        add_entry(
            session, principal, "cancel jobs", filters.flow_id or "", f"{count} {'job' if count == 1 else 'jobs'}"
        )
    return count


def run_in_playground(
    session: Session,
    principal: Principal,
    flow_id: str,
    document: Document,
    payload: Mapping[str, Any],
    run_options: RunOptions = RunOptions(),
    checked: CheckedInput | None = None,
) -> JobId:
    """Runs the document on the canvas as a job on a stored snapshot. At most four such jobs run at once; others wait.
    `checked` is what `check_beside` returned for this document, payload and `until`.

    Playground runs do not count towards the plan's limits and are not part of the public API. Raises NotFound,
    FlowInvalid and PayloadInvalid, and Conflict when the data of the job that it repeats were erased or are not kept
    any more.
    """
    require_may(principal, "run flows")
    flow = get_flow(session, principal.workspace_id, flow_id)
    wanted = trimmed(document, run_options.until)
    compile_plan(wanted, CATALOG, trial=True)
    clean = clean_payload(session, principal.workspace_id, wanted, payload, checked, kept=run_options.repeats)
    for earlier in filter(None, (run_options.reuse, run_options.again)):
        job = get_job(session, principal.workspace_id, earlier)
        if job.flow_id != flow.id:
            raise NotFound("This job belongs to another flow", remedy="Choose a job of the flow that runs.")
        if job.data_erased_at is not None:
            raise Conflict("The data of this job were erased", remedy="Run the flow with an input of its own.")
        if when_values_went(session, earlier) is not None:
            raise Conflict(
                "The input and the steps of this job are not kept any more, because their time was over or room was short",
                remedy="Run the flow with an input of its own.",
            )
    document = with_called_flows(session, principal, flow_id, document, wanted)
    snapshot_id = add_snapshot(session, flow.id, document)
    job_id = add_playground_job(
        session, principal, flow, wanted, clean, snapshot_id=snapshot_id, run_options=run_options.as_json()
    )
    if run_options.reuse:
        take_over_steps(session, job_id, run_options.reuse, _before(wanted, run_options.start))
    return job_id


def with_called_flows(
    session: Session, principal: Principal, flow_id: str, document: Document, wanted: Document
) -> Document:
    """Pins the versions of the flows that the document calls.

    Raises FlowInvalid when the part to run, `wanted`, contains an invalid call.
    """
    library = read_library(session, principal.workspace_id, wanted)
    if wrong := call_problems(wanted, flow_id, library):
        raise FlowInvalid(wrong)
    return pinned(document, library)


#: A payload with defaults applied, and what is wrong with it.
CheckedInput = tuple[dict[str, Any], WrongFields]


#: Those of runs that began without `check_beside`.
_CHECKED: DoneFirst[CheckedInput] = DoneFirst(4)


async def check_beside(
    threads: CheckThreads,
    workspace_id: str,
    sender: str,
    document: Document,
    payload: Mapping[str, Any],
    until: str | None = None,
    *,
    kept: bool = False,
) -> CheckedInput | None:
    """Checks the payload of a run before its transaction, in a thread of its own. None when the check costs nothing: then
    the transaction does it. `kept`: whether it is the input of an earlier job (`PayloadCheck`).
    `sender` is that of `CheckThreads.run`, which also says what is raised.
    """
    fields = input_fields(trimmed(document, until))
    if not has_patterns(fields):
        return None
    return await threads.run(workspace_id, sender, check_payload, fields, payload, kept=kept)


def clean_payload(
    session: Session,
    workspace_id: str,
    document: Document,
    payload: Mapping[str, Any],
    checked: CheckedInput | None = None,
    *,
    kept: bool = False,
) -> NamedFiles:
    """Returns the payload with defaults applied, and the files that it names. `kept`: whether it is the input of an
    earlier job (`PayloadCheck`). Raises PayloadInvalid with every wrong field.
    """
    fields = input_fields(document)
    clean, errors = _checked(fields, payload, kept=kept) if checked is None else checked
    if errors and fields:
        raise wrong_fields(errors)
    named = look_up_files(session, workspace_id, fields, clean)
    if named.errors:
        raise wrong_fields(named.errors)
    return named


def _checked(fields: Sequence[Mapping[str, Any]], payload: Mapping[str, Any], *, kept: bool) -> CheckedInput:
    """Raises DoFirst when the fields have patterns."""
    if not has_patterns(fields):
        return check_payload(fields, payload, kept=kept)
    key = kept, hashlib.sha256(json_bytes([list(fields), dict(payload)])).digest()
    return _CHECKED.get(key, lambda: check_payload(fields, payload, kept=kept))


def add_snapshot(session: Session, flow_id: str, document: Document) -> str:
    """Stores the document of Playground runs and returns its snapshot id."""
    return insert_snapshot(session, flow_id, document.dumps())


def add_playground_job(
    session: Session,
    principal: Principal,
    flow: FlowRow,
    document: Document,
    clean: NamedFiles,
    *,
    snapshot_id: str,
    run_options: Mapping[str, Any] | None,
    batch_id: str | None = None,
) -> JobId:
    """Creates a job on a stored snapshot and notifies the workers. `document` is the part of the snapshot that runs."""
    job_id = new_job_id()
    insert_job(
        session,
        {
            "id": job_id,
            "workspace_id": principal.workspace_id,
            "flow_id": flow.id,
            "flow_version": None,
            "snapshot_id": snapshot_id,
            "environment": PLAYGROUND,
            "batch_id": batch_id,
            "counted": False,
            "limit_ms": flow_limit_ms(flow.settings),
            "steps_total": steps_of(document),
            "request_id": "",
            "run_options": run_options,
        },
        encoded(clean.payload),
    )
    name_files(session, job_id, clean.file_ids)
    send_ahead(session, job_id)
    job_changed(session, job_id)
    return job_id


def _before(document: Document, start: str | None) -> list[str]:
    """Returns the nodes whose outputs a run from node `start` reuses: all nodes that do not depend on it."""
    again = {start, *Graph(document).descendants(start)} if start else set()
    return [node.id for node in document.nodes if node.id not in again]
