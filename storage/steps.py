"""Queries for the steps of a job: what its worker stores in one group commit, and reading it back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Table, insert, select
from sqlalchemy.orm import Session

from engine.core.redaction import without_keys
from storage.database import now
from storage.events import NewEvent, add_event_rows, event_rows
from storage.job_changes import Lease
from storage.jobs import as_value
from storage.statements import Statement, insert_into, to_json
from storage.tables import Job, ModelCall, Step, Value
from storage.value_sizes import STORED_BYTES, VALUE_CAP

# The end of a step replaces the row of its start.
_PUT_STEP = insert_into(
    "steps", [column.name for column in Step.__table__.columns], ("job_id", "node_id", "index_path")
)
_PUT_VALUE = insert_into(
    "job_values",
    ("job_id", "node_id", "index_path", "name", "size", "data"),
    ("job_id", "node_id", "index_path", "name"),
)
_IS_INSIDE = """
    job_id = :id and (node_id = :node_id or substr(node_id, 1, length(:inner)) = :inner)
    and (index_path = :path or substr(index_path, 1, length(:begin)) = :begin)
"""
_FORGET_STEPS = Statement(f"delete from steps where {_IS_INSIDE}")  # noqa: S608 - no outside text
_FORGET_VALUES = Statement(f"delete from job_values where {_IS_INSIDE}")  # noqa: S608 - no outside text
_CALLS = cast("Table", ModelCall.__table__)
#: The beginning of the names under which the parts of a step are stored among its values.
PART = "part/"


class StepRow(Struct, frozen=True):
    """One node's run in a job, per item. Status: running, completed, failed, skipped, cancelled.

    Attempt 0: it did not run; its output was taken from an earlier job.
    """

    node_id: str
    index_path: str
    status: str
    attempt: int
    tries: int
    started_at: int
    ended_at: int | None
    duration_ms: int | None
    error: dict[str, Any] | None
    warnings: tuple[str, ...]
    #: None: the price of a model call is unknown, or the step has not ended.
    cost_nanos: int | None
    input_tokens: int
    output_tokens: int
    model_calls: int
    simulated: bool
    #: The number of items that a Splitter gave.
    items: int | None

    @property
    def reused(self) -> bool:
        """True when its values come from an earlier job."""
        return self.attempt == 0

    @property
    def went_on(self) -> bool:
        """True when it failed and the job went on: it was skipped, or its default value was used."""
        return self.error is not None and self.status in {"skipped", "completed"}

    @property
    def index(self) -> tuple[int, ...]:
        """The positions of the items, one for each Splitter around the node."""
        return tuple(int(part) for part in self.index_path.split("/")) if self.index_path else ()


class NewValue(Struct, frozen=True):
    """A step's value as JSON text. `size`: bytes of the whole value; above VALUE_CAP `data` is only its beginning."""

    node_id: str
    index_path: str
    name: str
    data: str
    size: int


class Progress(Struct, frozen=True):
    """What one job reported since the last write, in order. `steps` and `calls` are rows without the job's ids."""

    job_id: str
    workspace_id: str
    flow_id: str
    lease: Lease
    steps: tuple[Mapping[str, Any], ...]
    values: tuple[NewValue, ...]
    calls: tuple[Mapping[str, Any], ...]
    events: tuple[NewEvent, ...]
    steps_done: int
    items_failed: int
    steps_failed: int = 0
    #: (node id, index path of the frame) of steps of earlier attempts that are removed before these are stored.
    forgotten: tuple[tuple[str, str], ...] = ()


_SUMS = Statement(
    """
    update jobs set last_seq = last_seq + :events, items_failed = :items_failed,
           steps_failed = :steps_failed,
           steps_done = case when steps_done > :steps_done then steps_done else :steps_done end,
           cost_nanos = case when :cost_known then cost_nanos + :cost else null end,
           input_tokens = input_tokens + :input_tokens, output_tokens = output_tokens + :output_tokens,
           model_calls = model_calls + :calls, value_bytes = value_bytes + :value_bytes, simulated = (simulated or :simulated)
     where id = :id and owner = :owner and attempts = :attempt and status = 'processing'
    returning last_seq
    """
)


def write_progress(session: Session, *reports: Progress) -> list[bool]:
    """Stores steps, values, model calls and events of jobs, and adds them to the jobs' totals.

    Returns for each report whether it was stored: False when the worker lost the job.
    """
    rows = StepRows()
    stored: list[bool] = []
    sums = [{**lease_of(one.job_id, one.lease), **totals(one)} for one in reports]
    for progress, row in zip(reports, _SUMS.row_of_each(session, sums), strict=True):
        stored.append(row is not None)
        if row is not None:
            rows.add(progress, row[0])
    rows.write(session)
    return stored


def lease_of(job_id: str, lease: Lease) -> dict[str, Any]:
    """Returns the parameters that let a statement change a job only while this lease holds."""
    return {"id": job_id, "owner": lease.owner, "attempt": lease.attempt}


def totals(progress: Progress) -> dict[str, Any]:
    """Returns what a report adds to the totals of its job, as parameters of a statement."""
    calls = progress.calls
    costs = [call["cost_nanos"] for call in calls]
    return {
        "events": len(progress.events),
        "steps_done": progress.steps_done,
        "items_failed": progress.items_failed,
        "steps_failed": progress.steps_failed,
        "cost_known": None not in costs,
        "cost": sum(cost or 0 for cost in costs),
        "input_tokens": sum(call["input_tokens"] for call in calls),
        "output_tokens": sum(call["output_tokens"] for call in calls),
        "calls": len(calls),
        "value_bytes": sum(value.size if value.size <= VALUE_CAP else len(value.data) for value in progress.values),
        "simulated": any(call["simulated"] for call in calls) or any(step["simulated"] for step in progress.steps),
    }


class StepRows:
    """The rows that the reports of a transaction add, each table written by one statement."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.values: list[dict[str, Any]] = []
        self._steps: list[dict[str, Any]] = []
        self._calls: list[dict[str, Any]] = []
        self._forgotten: list[dict[str, Any]] = []

    def add(self, progress: Progress, last_seq: int) -> None:
        """Takes the rows of a report. `last_seq`: the number of its last event."""
        job_id = progress.job_id
        self._forgotten += [_inside(job_id, *place) for place in progress.forgotten]
        self.events += event_rows(job_id, last_seq, progress.events)
        self._steps += [_stored(job_id, step) for step in progress.steps]
        self.values += [{"job_id": job_id, **asdict(value)} for value in progress.values]
        mine = {"job_id": job_id, "workspace_id": progress.workspace_id, "flow_id": progress.flow_id}
        self._calls += [{**mine, **call} for call in progress.calls]

    def write(self, session: Session) -> None:
        """Stores the rows."""
        if self._forgotten:
            _FORGET_STEPS.run(session, *self._forgotten)
            _FORGET_VALUES.run(session, *self._forgotten)
        add_event_rows(session, self.events)
        if self._steps:
            _PUT_STEP.run(session, *self._steps)
        if self.values:
            _PUT_VALUE.run(session, *self.values)
        if self._calls:
            session.execute(insert(_CALLS), self._calls)


def list_steps(session: Session, workspace_id: str, job_id: str) -> list[StepRow]:
    """Returns the steps of a job of this workspace in the order of their start; none when the job's data was erased."""
    columns = [getattr(Step, name) for name in StepRow.__struct_fields__]
    rows = session.execute(
        select(*columns)
        .join(Job, Job.id == Step.job_id)
        .where(Step.job_id == job_id, Job.workspace_id == workspace_id, Job.data_erased_at.is_(None))
        .order_by(Step.started_at, Step.node_id, Step.index_path)
    ).mappings()
    return [StepRow(**cast("dict[str, Any]", {**row, "warnings": tuple(row["warnings"] or ())})) for row in rows]


def list_warned(session: Session, job_ids: Collection[str], warning: str) -> set[str]:
    """Returns those of these jobs in which a step has this warning. The caller has checked their workspace."""
    rows = session.execute(
        select(Step.job_id, Step.warnings).where(Step.job_id.in_(job_ids), Step.warnings.is_not(None))
    )
    return {job_id for job_id, warnings in rows if warning in (warnings or ())}


def kept_outputs(session: Session, job_id: str) -> dict[tuple[str, str], Any]:
    """Returns (node id, index path) -> output of the completed steps, without outputs that were cut: those steps run
    again.
    """
    rows = session.execute(
        select(Step.node_id, Step.index_path, Value.data, Value.size)
        .join(
            Value,
            (Value.job_id == Step.job_id)
            & (Value.node_id == Step.node_id)
            & (Value.index_path == Step.index_path)
            & (Value.name == "output"),
        )
        .where(Step.job_id == job_id, Step.status == "completed")
    )
    kept = {(row.node_id, row.index_path): as_value("output", row.data, row.size) for row in rows}
    return {key: stored.value for key, stored in kept.items() if not stored.cut}


def failed_steps_of(session: Session, job_id: str) -> dict[tuple[str, str], dict[str, Any] | None]:
    """Returns (node id, index path) -> the error of each item's step that failed, None for each step that failed and was
    skipped.
    """
    rows = session.execute(
        select(Step.node_id, Step.index_path, Step.status, Step.error).where(
            Step.job_id == job_id, Step.status.in_(("failed", "skipped")), Step.error.is_not(None)
        )
    )
    return {(row.node_id, row.index_path): row.error if row.status == "failed" else None for row in rows if row.error}


class PartRow(Struct, frozen=True):
    """A part of a step. `value` is that of its end, or that of its begin while it has not ended."""

    name: str
    begun_at: int
    #: None while it has not ended.
    ended_at: int | None
    value: Any


def list_parts(session: Session, workspace_id: str, job_id: str, node_id: str, index_path: str) -> list[PartRow]:
    """Returns the parts of a step of this workspace in the order of their begin, to be shown: without what looks like a
    key. None when the job's data was erased.
    """
    rows = session.execute(
        select(Value.name, Value.data, Value.size)
        .join(Job, Job.id == Value.job_id)
        .where(
            Value.job_id == job_id,
            Value.node_id == node_id,
            Value.index_path == index_path,
            Value.name.like(f"{PART}%"),
            Job.workspace_id == workspace_id,
            Job.data_erased_at.is_(None),
        )
    )
    parts = [_part(row.name, without_keys(row.data), row.size) for row in rows]
    return sorted((one for one in parts if one is not None), key=lambda one: (one.begun_at, one.name))


def kept_parts(session: Session, job_id: str) -> dict[tuple[str, str], list[PartRow]]:
    """Returns (node id, index path) -> the parts of the step, without those that were cut."""
    rows = session.execute(
        select(Value.node_id, Value.index_path, Value.name, Value.data, Value.size).where(
            Value.job_id == job_id, Value.name.like(f"{PART}%")
        )
    )
    found: dict[tuple[str, str], list[PartRow]] = {}
    for row in rows:
        if (part := _part(row.name, row.data, row.size)) is not None:
            found.setdefault((row.node_id, row.index_path), []).append(part)
    return found


def _part(name: str, data: str, size: int) -> PartRow | None:
    stored = as_value(name, data, size)
    if stored.cut or not isinstance(stored.value, dict):
        return None
    value = cast("dict[str, Any]", stored.value)
    return PartRow(name.removeprefix(PART), value["begun_at"], value["at"] if value["ended"] else None, value["value"])


_TAKE_STEPS = Statement(
    """
    insert into steps (job_id, node_id, index_path, status, attempt, tries, started_at, ended_at, duration_ms, error,
                       warnings, cost_nanos, input_tokens, output_tokens, model_calls, simulated, items)
    select :job_id, step.node_id, step.index_path, step.status, 0, 0, :at, :at, 0, step.error,
           step.warnings, 0, 0, 0, 0, step.simulated, step.items
      from steps step
      join job_values kept on kept.job_id = step.job_id and kept.node_id = step.node_id
           and kept.index_path = step.index_path and kept.name = 'output' and kept.size <= :cap
     where step.job_id = :earlier and step.node_id = :node_id and step.status = 'completed'
    """
)
_TAKE_VALUES = Statement(
    """
    insert into job_values (job_id, node_id, index_path, name, size, data)
    select :job_id, kept.node_id, kept.index_path, kept.name, kept.size, kept.data
      from job_values kept
      join steps step on step.job_id = :job_id and step.node_id = kept.node_id and step.index_path = kept.index_path
     where kept.job_id = :earlier and kept.node_id = :node_id and kept.name in ('input', 'output')
    """
)
_ADD_BYTES = Statement(
    f"""
    update jobs set value_bytes = (select coalesce(sum({STORED_BYTES}), 0) from job_values where job_id = :job_id)
     where id = :job_id
    """  # noqa: S608 - no outside text
)
_MARK_SIMULATED = Statement(
    """
    update jobs set simulated = true
     where id = :job_id and exists (select 1 from steps where job_id = :job_id and simulated)
    """
)


def take_over_steps(session: Session, job_id: str, earlier: str, node_ids: Sequence[str]) -> None:
    """Copies the completed steps of these nodes from an earlier job to a new one, with their values, as reused and
    without cost.

    A step whose output was cut is left out, so that it runs again.
    """
    if not node_ids:
        return
    taken = {"job_id": job_id, "earlier": earlier}
    at, cap = now(session), VALUE_CAP
    _TAKE_STEPS.run(session, *({**taken, "node_id": node_id, "at": at, "cap": cap} for node_id in node_ids))
    _TAKE_VALUES.run(session, *({**taken, "node_id": node_id} for node_id in node_ids))
    _ADD_BYTES.run(session, {"job_id": job_id})
    _MARK_SIMULATED.run(session, {"job_id": job_id})


def _inside(job_id: str, node_id: str, path: str) -> dict[str, Any]:
    """Returns the parameters of the steps of a node, and of flows that it called, at an index path and below it."""
    return {
        "id": job_id,
        "node_id": node_id,
        "inner": f"{node_id}.",
        "path": path,
        "begin": f"{path}/" if path else "",
    }


def _stored(job_id: str, step: Mapping[str, Any]) -> dict[str, Any]:
    return {**step, "job_id": job_id, "error": to_json(step["error"]), "warnings": to_json(step["warnings"])}
