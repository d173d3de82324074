"""Queries for the events of a job, numbered from 1; the API streams them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.statements import insert_into, to_json
from storage.tables import Event, Job

#: Name, time in milliseconds, data.
NewEvent = tuple[str, int, dict[str, Any]]

_ADD = insert_into("events", ("job_id", "seq", "at", "name", "data"))


class EventRow(Struct, frozen=True):
    """One event. `name` is for example `step.completed`; `data` does not contain job id, number and time."""

    seq: int
    at: int
    name: str
    data: dict[str, Any]


def add_events(session: Session, job_id: str, last_seq: int, events: Sequence[NewEvent]) -> None:
    """Stores (name, time, data) in order. `last_seq` is the number of the last one, which the job's row already has."""
    add_event_rows(session, event_rows(job_id, last_seq, events))


def event_rows(job_id: str, last_seq: int, events: Sequence[NewEvent]) -> list[dict[str, Any]]:
    """Returns the rows of a job's new events, for `add_event_rows`. `last_seq` as in `add_events`."""
    first = last_seq - len(events) + 1
    return [
        {"job_id": job_id, "seq": first + number, "at": at, "name": name, "data": to_json(data)}
        for number, (name, at, data) in enumerate(events)
    ]


def add_event_rows(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Stores the events of any number of jobs."""
    if rows:
        _ADD.run(session, *rows)


def add_first_events(session: Session, job_ids: Sequence[str], name: str, at: int) -> None:
    """Stores the first event of new jobs, which has no data."""
    _ADD.run(session, *({"job_id": job_id, "seq": 1, "at": at, "name": name, "data": "{}"} for job_id in job_ids))


def list_events(
    session: Session, workspace_id: str, job_id: str, after: int = 0, limit: int = 500, *, name: str | None = None
) -> list[EventRow]:
    """Returns the events after number `after`, in order; with `name` only those of this name.

    None for an erased job.
    """
    wanted = (
        select(Event.seq, Event.at, Event.name, Event.data)
        .join(Job, Job.id == Event.job_id)
        .where(
            Event.job_id == job_id, Job.workspace_id == workspace_id, Job.data_erased_at.is_(None), Event.seq > after
        )
        .order_by(Event.seq)
        .limit(limit)
    )
    rows = session.execute(wanted if name is None else wanted.where(Event.name == name))
    return [EventRow(*row) for row in rows]
