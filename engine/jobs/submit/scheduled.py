"""Starts the jobs of a schedule. A slot is claimed in the transaction that accepts its jobs, so it starts exactly once,
however many servers look at it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.orm import Session

from engine.core.clock import HOUR
from engine.core.error_codes import JobErrorCode
from engine.core.errors import (
    ConcurrencyLimitExceeded,
    Conflict,
    FieldError,
    Invalid,
    NotFound,
    PayloadInvalid,
    Refusal,
    WrongFields,
)
from engine.core.ids import file_ids_in
from engine.core.json_text import json_text
from engine.flow.dataset_payloads import PayloadRoom, payload_of_row
from engine.flow.file_values import sent_file_id, sent_files
from engine.flow.payload_check import PayloadCheck
from engine.jobs.submit.accept import Caller, accept, choose_version, find_live_flow
from engine.jobs.submit.batches import MAX_ITEMS, accept_batch
from engine.jobs.submit.bodies import CheckedBody, NotChecked, SubmitOptions, read_version
from engine.triggers.timing import clocks_change, next_slot, slots_between
from storage.database import after_commit, now
from storage.datasets import DatasetLine, find_dataset, list_rows
from storage.files import UseKind, add_uses, find_visible, list_shared, names_files
from storage.flows import find_called_flow
from storage.jobs import KeyScope
from storage.schedules import (
    TRIGGER,
    ScheduleRow,
    StartRow,
    add_start,
    claim_slot,
    find_due_schedule,
    list_waiting,
    put_slot,
    slot_by_hand,
)

#: The key in `database.info` of the function that wakes the scheduler of this process.
SCHEDULER = "scheduler"
ENVIRONMENT = "live"
#: How many of the rows that do not fit are stored with a start.
_TOLD = 5
#: How many rows of a dataset are in memory at once; each may have 1 MiB.
_ROWS_AT_ONCE = 50
#: How much later than its next slot a schedule waits at least when a clock was ahead, in milliseconds, if the clocks of its
#: time zone were changed meanwhile.
_LATE = 2 * HOUR


def trigger_of(schedule_id: str) -> str:
    """Returns what is stored as `trigger` with the jobs of a schedule."""
    return f"{TRIGGER}{schedule_id}"


class StartInputs(Struct, frozen=True):
    """What a start would send, for the version that is live: the input, or that of each row. `dataset`: as it was when its
    rows were read.
    """

    version: int
    fields: Sequence[Mapping[str, Any]]
    payloads: Sequence[Mapping[str, Any]]
    source: Mapping[str, Any]
    dataset: DatasetLine | None


class CheckedStart(Struct, frozen=True):
    """The inputs of a start, each with its defaults and the errors in it. `ended_early`: the steps of patterns were used
    up; `defaults_ended`: the room for defaults was.
    """

    inputs: StartInputs
    results: Sequence[tuple[dict[str, Any], WrongFields]]
    ended_early: bool
    defaults_ended: bool


def find_costly_inputs(session: Session, workspace_id: str | None, schedule_id: str) -> StartInputs | None:
    """Returns the inputs that are to be checked before the transaction of a start, because their fields have patterns, or
    because they are made of the rows of a dataset. None when there are none, or the transaction will refuse the start.
    `workspace_id` None: of any workspace. Raises Conflict and TooLarge for rows that no start takes.
    """
    schedule = find_due_schedule(session, schedule_id)
    if schedule is None or workspace_id not in (None, schedule.workspace_id):
        return None
    flow = find_called_flow(session, schedule.workspace_id, schedule.flow_id)
    if flow is None or flow.live_version is None:
        return None
    dataset = None
    if schedule.source["kind"] == "dataset":
        dataset = find_dataset(session, schedule.workspace_id, schedule.source["dataset_id"])
        if dataset is None:
            return None
    elif not read_version(session, flow.id, flow.live_version).has_patterns:
        return None
    return _make_inputs(session, schedule, flow.live_version, dataset)


def _make_inputs(session: Session, schedule: ScheduleRow, version: int, dataset: DatasetLine | None) -> StartInputs:
    """Returns the inputs of a start. Raises Conflict for too many rows, and TooLarge when they take too much together."""
    source, fields = schedule.source, read_version(session, schedule.flow_id, version).fields
    if dataset is None:
        return StartInputs(version, fields, [source["payload"]], source, None)
    if dataset.rows > MAX_ITEMS:
        raise Conflict(
            f"The dataset “{dataset.name}” has {dataset.rows:,} rows; a start takes at most {MAX_ITEMS:,}",
            remedy="Divide the dataset, or let the flow read the rows itself with the step Read rows.",
        )
    room = PayloadRoom(
        f"The rows of the dataset “{dataset.name}” would take more than 10 MiB together in the fields of the flow",
        "Divide the dataset, fill fewer fields with long columns, or let the flow read the rows itself with the step Read "
        "rows.",
    )
    payloads: list[dict[str, Any]] = []
    after = 0
    while rows := list_rows(session, schedule.workspace_id, dataset.id, after=after, limit=_ROWS_AT_ONCE):
        payloads.extend(payload_of_row(row.data, fields, source["mapping"], room) for row in rows)
        after = rows[-1].id
    return StartInputs(version, fields, payloads, source, dataset)


def check_inputs(inputs: StartInputs) -> CheckedStart:
    """Checks the inputs of a start, which may take about a second."""
    check = PayloadCheck(kept=True)
    results: list[tuple[dict[str, Any], WrongFields]] = []
    for payload in inputs.payloads:
        check.errors = WrongFields()
        whole = check.payload(inputs.fields, payload)
        results.append((whole, check.errors))
    return CheckedStart(inputs, results, check.ended_early, check.defaults_ended)


def _checked_start(
    session: Session, schedule: ScheduleRow, version: int, dataset: DatasetLine | None, checked: CheckedStart | None
) -> CheckedStart:
    """Returns what was checked before, when nothing has changed meanwhile. Raises NotChecked when something has, and the
    fields have patterns; and what `find_costly_inputs` raises.
    """
    if checked is not None:
        then = checked.inputs
        if (then.version, then.source, then.dataset) == (version, schedule.source, dataset):
            return checked
    if read_version(session, schedule.flow_id, version).has_patterns:
        raise NotChecked
    return check_inputs(_make_inputs(session, schedule, version, dataset))


def schedules_changed(session: Session) -> None:
    """Wakes the scheduler of this process after the commit. Those of other processes look by themselves."""
    wake = session.info.get(SCHEDULER)
    if wake is not None:
        after_commit(session, wake)


def list_late_slots(session: Session) -> dict[tuple[str, int], int]:
    """Returns the schedules that wait for a later slot than their next one, since a clock was ahead when it was set:
    (id, the slot that they wait for) -> their next slot. Around the night in which the clocks go back less than two hours
    is no such lateness: times that come twice make as much of a difference.
    """
    late: dict[tuple[str, int], int] = {}
    for waiting in list_waiting(session):
        with contextlib.suppress(Invalid):  # it is paused when its start is refused
            following = next_slot(waiting.timing, waiting.time_zone, now(session))
            times_twice = clocks_change(waiting.time_zone, now(session) - _LATE, waiting.next_at)
            if following < waiting.next_at and (not times_twice or following <= waiting.next_at - _LATE):
                late[waiting.id, waiting.next_at] = following
    return late


def correct_slots(session: Session, late: Mapping[tuple[str, int], int]) -> int:
    """Lets schedules wait for their next slot; returns how many did not change meanwhile. A slot that was started before
    is not started again (`claim_slot`).
    """
    return sum(put_slot(session, schedule_id, slot, following) for (schedule_id, slot), following in late.items())


def start_slot(session: Session, schedule_id: str, slot: int, checked: CheckedStart | None = None) -> StartRow | None:
    """Starts the jobs of a slot that is due, and sets the next slot. Returns None when the slot is taken. `checked`: what
    `check_inputs` found before the transaction.

    Slots that passed before now without a start are not started any more: this start is for all of them. Raises the
    refusals of `accept` and `accept_batch`; then `refuse_slot` stores why. Raises NotChecked as they do.
    """
    schedule = find_due_schedule(session, schedule_id)
    if schedule is None or not claim_slot(session, schedule_id, slot, _next_at(schedule, slot, now(session))):
        return None
    missed = slots_between(schedule.timing, schedule.time_zone, slot, now(session))
    return _keep(session, start_jobs(session, schedule, slot, missed, checked))


def refuse_slot(session: Session, schedule_id: str, slot: int, trouble: Mapping[str, Any]) -> StartRow | None:
    """Stores that the start of a slot was refused, and sets the next slot; a schedule that has none is paused. Returns
    None when the slot is taken.
    """
    schedule = find_due_schedule(session, schedule_id)
    if schedule is None:
        return None
    try:
        next_at = _next_at(schedule, slot, now(session))
    except Invalid:
        next_at = None
    if not claim_slot(session, schedule_id, slot, next_at):
        return None
    return _keep(session, StartRow(schedule_id, slot, now(session), trouble=dict(trouble)))


def start_now(session: Session, schedule: ScheduleRow, checked: CheckedStart | None = None) -> StartRow:
    """Starts the jobs of a schedule at once, beside its slots. Raises as `start_slot`."""
    return _keep(session, start_jobs(session, schedule, slot_by_hand(now(session)), 0, checked))


def trouble_of(refusal: Refusal) -> dict[str, Any]:
    """Returns a refusal as it is stored with a start."""
    wrong = "; ".join(f"{error.pointer.strip('/') or 'input'}: {error.detail}" for error in refusal.errors[:_TOLD])
    detail = ". ".join(part for part in (refusal.detail, wrong) if part)
    return {"code": refusal.code, "title": refusal.title, "detail": detail[:1_000], "remedy": refusal.remedy[:1_000]}


def start_jobs(
    session: Session, schedule: ScheduleRow, slot: int, missed: int, checked: CheckedStart | None = None
) -> StartRow:
    """Accepts the jobs of a start: one for an input, one per row of a dataset. Returns the start, not stored yet."""
    caller = Caller(schedule.workspace_id, None, ENVIRONMENT, label=schedule.title)
    options = SubmitOptions(trigger=trigger_of(schedule.id), route=f"/schedules/{schedule.id}")
    if schedule.source["kind"] == "dataset":
        start = StartRow(schedule.id, slot, now(session), missed)
        return _start_rows(session, schedule, caller, options, start, checked)
    payload = schedule.source["payload"]
    flow = find_live_flow(session, caller, schedule.flow_id)
    version = choose_version(session, flow, None)
    ((clean, errors),) = _checked_start(session, schedule, version, None, checked).results
    body = CheckedBody(version, clean, errors, "")
    job_id, batch_id = start_one(session, caller, schedule.flow_id, payload, options, body)
    _name_files(session, "schedule", schedule.id, [(job_id, payload)])
    return StartRow(schedule.id, slot, now(session), missed, job_id, batch_id, jobs=1)


def start_one(
    session: Session,
    caller: Caller,
    flow_id: str,
    payload: Mapping[str, Any],
    options: SubmitOptions,
    checked: CheckedBody | None = None,
) -> tuple[str, str | None]:
    """Accepts a job that nobody can send again. While every slot is taken, it waits for one as the only item of a
    batch. Returns the ids of the job and of that batch. `checked` is that of `accept`.
    """
    try:
        return accept(session, caller, flow_id, payload, options, checked).job_id, None
    except ConcurrencyLimitExceeded:
        items = None if checked is None else replace(checked, clean=[checked.clean])
        batch = accept_batch(session, caller, flow_id, {"items": [payload]}, options, items)
        return batch.job_ids[0], batch.batch_id


def _start_rows(
    session: Session,
    schedule: ScheduleRow,
    caller: Caller,
    options: SubmitOptions,
    start: StartRow,
    before: CheckedStart | None,
) -> StartRow:
    flow = find_live_flow(session, caller, schedule.flow_id)
    version = choose_version(session, flow, None)
    dataset = find_dataset(session, schedule.workspace_id, schedule.source["dataset_id"])
    if dataset is None:
        raise NotFound(
            "The dataset of this schedule was deleted", remedy="Choose another dataset, or an input, in the schedule."
        )
    looked = _checked_start(session, schedule, version, dataset, before)
    fields, payloads = looked.inputs.fields, looked.inputs.payloads
    items: list[Mapping[str, Any]] = []
    clean: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    unknown = _unknown_files(session, schedule, dataset.id, fields, payloads)
    for number, (payload, (whole, errors)) in enumerate(zip(payloads, looked.results, strict=True), 1):
        wrong = _without_file(fields, payload, unknown) if unknown and not errors else errors
        if not wrong:
            items.append(payload)
            clean.append(whole)
            continue
        said = "; ".join(f"{error.pointer.strip('/')}: {error.detail}" for error in wrong)
        left_out.append({"number": number, "text": said[:300]})
    if left_out and not items:
        raise PayloadInvalid(
            f"No row of the dataset “{dataset.name}” fits the fields of the flow. Row 1: {left_out[0]['text']}",
            remedy="Choose in the schedule which column fills which field.",
        )
    if looked.ended_early:
        raise PayloadInvalid(
            f"The rows of the dataset “{dataset.name}” take too long to be checked against the patterns of the flow",
            remedy="Divide the dataset, or make the patterns shorter.",
        )
    if looked.defaults_ended:
        raise PayloadInvalid(
            f"The rows of the dataset “{dataset.name}” leave so much out that the defaults of the fields are too large",
            remedy="Divide the dataset, or fill the fields from its columns.",
        )
    checked = CheckedBody(version, clean, WrongFields(), "")
    batch = accept_batch(session, caller, schedule.flow_id, {"items": items}, options, checked) if items else None
    if batch is not None:
        _name_files(session, "dataset", dataset.id, list(zip(batch.job_ids, items, strict=True)))
    return StartRow(
        schedule.id,
        start.slot,
        start.at,
        start.missed,
        batch_id=None if batch is None else batch.batch_id,
        jobs=len(items),
        left_out=left_out[:_TOLD] or None,
        left_out_count=len(left_out),
    )


def _unknown_files(
    session: Session,
    schedule: ScheduleRow,
    dataset_id: str,
    fields: Sequence[Mapping[str, Any]],
    payloads: Sequence[Mapping[str, Any]],
) -> set[str]:
    """Returns the ids in fields of the type File that open no file for this schedule. Any flow may have written the rows,
    so an id counts when the dataset names the file, or the flow's own calls could.
    """
    sent = {sent_file_id(value) for payload in payloads for _, _, value in sent_files(fields, payload)}
    file_ids = {file_id for file_id in sent if file_id is not None}
    if not file_ids:
        return set()
    known = set(list_shared(session, "dataset", dataset_id, "", file_ids))
    scope = KeyScope(ENVIRONMENT, frozenset({schedule.flow_id}))
    return file_ids - known - find_visible(session, schedule.workspace_id, file_ids - known, scope, None).keys()


def _without_file(
    fields: Sequence[Mapping[str, Any]], payload: Mapping[str, Any], unknown: Collection[str]
) -> WrongFields:
    return WrongFields(
        FieldError(pointer, JobErrorCode.FILE_NOT_FOUND, f"no file of the dataset or of this flow has the id {file_id}")
        for _, pointer, value in sent_files(fields, payload)
        if (file_id := sent_file_id(value)) in unknown
    )


def _name_files(session: Session, kind: UseKind, owner_id: str, jobs: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Lets each job read the files that its payload names in any field, of those that its schedule or dataset names."""
    if not names_files(session, kind, owner_id):
        return
    for job_id, payload in jobs:
        add_uses(session, "job", job_id, list_shared(session, kind, owner_id, job_id, file_ids_in(json_text(payload))))


def _next_at(schedule: ScheduleRow, slot: int, at: int) -> int:
    return next_slot(schedule.timing, schedule.time_zone, max(slot, at))


def _keep(session: Session, start: StartRow) -> StartRow:
    add_start(session, start)
    return start
