"""Queries for the log of a job: events, model calls, tries, and the lines that its steps wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from msgspec import Struct
from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from storage.events import EventRow
from storage.jobs import as_value
from storage.table_base import belongs_to
from storage.tables import Event, Job, ModelCall, Step, Value

#: Of a run with more events than this, the newest are read; a list may produce tens of thousands.
MAX_EVENTS = 5_000
_MAX_VALUES = 1_000

StepKey = tuple[str, str]


class CallRow(Struct, frozen=True):
    """A model call; `cost_nanos` None: its price is unknown."""

    node_id: str
    index_path: str
    at: int
    connection: str
    model: str
    input_tokens: int
    output_tokens: int
    cost_nanos: int | None
    duration_ms: int
    simulated: bool
    error: str | None


class JobLog(Struct, frozen=True):
    """The log of a job. By (node id, index path): tries of steps that needed more than one, and the lines that steps
    wrote.
    """

    events: tuple[EventRow, ...]
    calls: tuple[CallRow, ...]
    tries: Mapping[StepKey, list[dict[str, Any]]]
    said: Mapping[StepKey, list[str]]
    #: True when the job has more events than these.
    cut: bool


def read_log(session: Session, workspace_id: str, job_id: str) -> JobLog:
    """Returns the log of a job, without streamed model text and the parts of steps.

    It is empty for a job of another workspace; of an erased job it has only the calls.
    """
    events = session.execute(
        select(Event.seq, Event.at, Event.name, Event.data)
        .join(Job, Job.id == Event.job_id)
        .where(
            Event.job_id == job_id,
            Job.workspace_id == workspace_id,
            Job.data_erased_at.is_(None),
            Event.name.not_in(("step.delta", "step.part")),
        )
        .order_by(Event.seq.desc())
        .limit(MAX_EVENTS + 1)
    ).all()
    calls = session.execute(
        select(*(getattr(ModelCall, name) for name in CallRow.__struct_fields__))
        .where(ModelCall.job_id == job_id, belongs_to(ModelCall.workspace_id, workspace_id))
        .order_by(ModelCall.id.desc())
        .limit(MAX_EVENTS)
    )
    return JobLog(
        tuple(EventRow(*row) for row in reversed(events[:MAX_EVENTS])),
        tuple(CallRow(*row) for row in reversed(calls.all())),
        _values(session, workspace_id, job_id, "tries"),
        _values(session, workspace_id, job_id, "log"),
        cut=len(events) > MAX_EVENTS,
    )


def calls_without_answer(session: Session, workspace_id: str, job_id: str) -> dict[StepKey, CallRow]:
    """Returns the newest model call of each running step whose newest one gave no answer, by (node id, index path)."""
    newest = (
        select(func.max(ModelCall.id))
        .join(
            Step,
            and_(
                Step.job_id == ModelCall.job_id,
                Step.node_id == ModelCall.node_id,
                Step.index_path == ModelCall.index_path,
                Step.status == "running",
            ),
        )
        .where(ModelCall.job_id == job_id, belongs_to(ModelCall.workspace_id, workspace_id))
        .group_by(ModelCall.node_id, ModelCall.index_path)
        .limit(_MAX_VALUES)
    )
    rows = session.execute(
        select(*(getattr(ModelCall, name) for name in CallRow.__struct_fields__)).where(
            ModelCall.id.in_(newest), ModelCall.error.is_not(None)
        )
    )
    return {(row.node_id, row.index_path): row for row in (CallRow(*one) for one in rows)}


def _values(session: Session, workspace_id: str, job_id: str, name: str) -> dict[StepKey, list[Any]]:
    mine = and_(
        Step.job_id == Value.job_id, Step.node_id == Value.node_id, Step.index_path == Value.index_path, Step.tries > 1
    )
    query = select(Value.node_id, Value.index_path, Value.data, Value.size).join(Job, Job.id == Value.job_id)
    if name == "tries":
        query = query.join(Step, mine)
    rows = session.execute(
        query.where(
            Value.job_id == job_id,
            Job.workspace_id == workspace_id,
            Job.data_erased_at.is_(None),
            Value.name == name,
        )
        .order_by(Value.node_id, Value.index_path)
        .limit(_MAX_VALUES)
    )
    found = {(row[0], row[1]): as_value(name, row[2], row[3]) for row in rows}
    return {key: cast("list[Any]", stored.value) for key, stored in found.items() if isinstance(stored.value, list)}
