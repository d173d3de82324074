"""Actions on the schedules of a flow: add, change, pause, resume, start by hand, remove."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from engine.actions.principal import Principal, require_may
from engine.actions.stale_forms import refuse_stale
from engine.core.do_first import DoneFirst
from engine.core.errors import Conflict, FieldError, Invalid, WrongFields, wrong_fields
from engine.core.ids import file_ids_in, new_id
from engine.core.json_text import json_bytes, json_text
from engine.flow.payload_check import check_payload
from engine.flow.times_asked import without_times
from engine.jobs.submit.bodies import read_version
from engine.jobs.submit.scheduled import CheckedStart, schedules_changed, start_now
from engine.triggers.timing import check_timing, in_words, next_slot
from storage.audit import add_entry
from storage.database import now
from storage.datasets import get_dataset
from storage.files import set_uses
from storage.flows import hold_flow
from storage.schedules import (
    ScheduleRow,
    StartRow,
    count_schedules,
    get_schedule,
    hold_schedule,
    insert_schedule,
    remove_schedules,
)

if TYPE_CHECKING:
    from storage.tables import Flow

MAX_TITLE = 100
MAX_PER_FLOW = 100
#: What is wrong with inputs whose fields have patterns.
_CHECKED: DoneFirst[WrongFields] = DoneFirst(100)


def add_schedule(
    session: Session,
    principal: Principal,
    flow_id: str,
    title: str,
    timing: Mapping[str, Any],
    time_zone: str,
    source: Mapping[str, Any],
) -> str:
    """Adds a schedule, which starts with its next slot, and returns its id. `source` and `timing`: as in
    `storage.tables_triggers.Schedule`.

    Raises Invalid, PayloadInvalid for an input that the flow does not take, NotFound, and Conflict when the flow has
    too many.
    """
    require_may(principal, "deploy")
    flow = hold_flow(session, principal.workspace_id, flow_id)
    if count_schedules(session, principal.workspace_id, flow.id) >= MAX_PER_FLOW:
        raise Conflict(f"The flow has {MAX_PER_FLOW} schedules", remedy="Remove one that is not needed any more.")
    check_timing(timing, time_zone)
    row = ScheduleRow(
        id=new_id("sched"),
        workspace_id=principal.workspace_id,
        flow_id=flow.id,
        title=_title(title) or in_words(timing, time_zone).rpartition(",")[0][:MAX_TITLE],
        timing=dict(timing),
        time_zone=time_zone,
        source=_source(session, flow, source),
        next_at=next_slot(timing, time_zone, now(session)),
        trouble=None,
        created_at=now(session),
        created_by=principal.name,
    )
    insert_schedule(session, row)
    flow.description = without_times(flow.description)  # what was wished for is there now
    _note_files(session, principal, row.id, row.source)
    add_entry(session, principal, "add schedule", flow.id, f"{row.title}: {in_words(timing, time_zone)}")
    schedules_changed(session)
    return row.id


def change_schedule(
    session: Session,
    principal: Principal,
    schedule_id: str,
    title: str,
    timing: Mapping[str, Any],
    time_zone: str,
    source: Mapping[str, Any],
    *,
    began: ScheduleRow | None = None,
) -> None:
    """Changes a schedule; a paused one stays paused, and a start that is due still comes.

    `began`: the schedule as the form began with it. Raises as `add_schedule`, and VersionConflict when somebody has changed
    it since.
    """
    require_may(principal, "deploy")
    schedule = hold_schedule(session, principal.workspace_id, schedule_id)
    flow = hold_flow(session, principal.workspace_id, schedule.flow_id)
    check_timing(timing, time_zone)
    if began is not None:
        seen = began.title, began.timing, began.time_zone, began.source
        refuse_stale(seen, (schedule.title, schedule.timing, schedule.time_zone, schedule.source))
    schedule.title = _title(title) or in_words(timing, time_zone).rpartition(",")[0][:MAX_TITLE]
    schedule.source = _source(session, flow, source)
    retimed = (schedule.timing, schedule.time_zone) != (timing, time_zone)
    schedule.timing, schedule.time_zone, schedule.trouble = dict(timing), time_zone, None
    _note_files(session, principal, schedule.id, schedule.source)
    if retimed and schedule.next_at is not None and schedule.next_at > now(session):
        schedule.next_at = next_slot(timing, time_zone, now(session))
    add_entry(session, principal, "change schedule", flow.id, f"{schedule.title}: {in_words(timing, time_zone)}")
    schedules_changed(session)


def pause_schedule(session: Session, principal: Principal, schedule_id: str) -> None:
    """Keeps a schedule from starting; what passes meanwhile is not made up for. Raises NotFound."""
    require_may(principal, "deploy")
    schedule = hold_schedule(session, principal.workspace_id, schedule_id)
    if schedule.next_at is None:
        return
    schedule.next_at = None
    add_entry(session, principal, "pause schedule", schedule.flow_id, schedule.title)
    schedules_changed(session)


def resume_schedule(session: Session, principal: Principal, schedule_id: str) -> None:
    """Lets a paused schedule start again, with its next slot. Raises NotFound and Invalid."""
    require_may(principal, "deploy")
    schedule = hold_schedule(session, principal.workspace_id, schedule_id)
    if schedule.next_at is not None:
        return
    schedule.next_at = next_slot(schedule.timing, schedule.time_zone, now(session))
    add_entry(session, principal, "resume schedule", schedule.flow_id, schedule.title)
    schedules_changed(session)


def start_schedule(
    session: Session, principal: Principal, schedule_id: str, checked: CheckedStart | None = None
) -> StartRow:
    """Starts the jobs of a schedule at once; its slots stay as they are. `checked`: what `check_inputs` found before the
    transaction. Raises NotFound and the refusals of a call.
    """
    require_may(principal, "deploy")
    schedule = get_schedule(session, principal.workspace_id, schedule_id)
    add_entry(session, principal, "start schedule", schedule.flow_id, schedule.title)
    return start_now(session, schedule, checked)


def remove_schedule(session: Session, principal: Principal, schedule_id: str) -> None:
    """Removes a schedule and its history; its jobs stay. Raises NotFound."""
    require_may(principal, "deploy")
    schedule = get_schedule(session, principal.workspace_id, schedule_id)
    add_entry(session, principal, "remove schedule", schedule.flow_id, schedule.title)
    remove_schedules(session, principal.workspace_id, schedule_id=schedule.id)


def _note_files(session: Session, principal: Principal, schedule_id: str, source: Mapping[str, Any]) -> None:
    """Keeps the files that the input of a schedule names."""
    set_uses(session, principal.workspace_id, "schedule", schedule_id, file_ids_in(json_text(source)))


def _title(title: str) -> str:
    title = " ".join(title.split())
    if len(title) > MAX_TITLE:
        raise Invalid(
            f"The name has {len(title)} characters",
            remedy=f"Use at most {MAX_TITLE}.",
            errors=(FieldError("/title", "max_length", f"at most {MAX_TITLE} characters"),),
        )
    return title


def _source(session: Session, flow: Flow, source: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the source as it is stored, checked against the live version. Without one it is checked at each start."""
    if source.get("kind") == "dataset":
        dataset = get_dataset(session, flow.workspace_id, str(source.get("dataset_id")))
        mapping = source.get("mapping")
        if not isinstance(mapping, Mapping):
            raise Invalid("It is not said which column fills which field", remedy="Choose a column for each field.")
        return {"kind": "dataset", "dataset_id": dataset.id, "mapping": {str(k): str(v) for k, v in mapping.items()}}
    payload = source.get("payload")
    if source.get("kind") != "input" or not isinstance(payload, Mapping):
        raise Invalid("It is not said what to start with", remedy="Choose an input or a dataset.")
    if flow.live_version is not None:
        wrong = _wrong_fields(session, flow.id, flow.live_version, payload)
        if wrong:
            raise wrong_fields(wrong)
    return {"kind": "input", "payload": dict(payload)}


def _wrong_fields(session: Session, flow_id: str, number: int, payload: Mapping[str, Any]) -> WrongFields:
    """Raises DoFirst when the fields of this version have patterns."""
    version = read_version(session, flow_id, number)
    if not version.has_patterns:
        return check_payload(version.fields, payload)[1]
    key = flow_id, number, hashlib.sha256(json_bytes(dict(payload))).digest()
    return _CHECKED.get(key, lambda: check_payload(version.fields, payload)[1])
