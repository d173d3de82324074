"""Queries for the queue: Huey's table in this database. `engine.jobs.huey_queue` creates and parses the messages."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

from storage.statements import Statement

QUEUE = "jobs"

_HAS = Statement("select 1 from task where queue = :queue limit 1")
_TAKE = Statement(
    "delete from task where id in (select id from task where queue = :queue order by priority desc, id limit :most)"
    " returning id, data"
)
_SEND = Statement("insert into task (queue, data, priority) values (:queue, :data, 0)")


def add_messages(session: Session, messages: Iterable[bytes]) -> None:
    """Adds messages to the end of the queue."""
    _SEND.run(session, *({"queue": QUEUE, "data": message} for message in messages))


def has_messages(session: Session) -> bool:
    """True while the queue has messages."""
    return _HAS.row(session, {"queue": QUEUE}) is not None


def take_messages(session: Session, most: int) -> list[bytes]:
    """Removes up to `most` messages from the front of the queue, and returns them in order."""
    return [data for _, data in sorted(_TAKE.rows(session, {"queue": QUEUE, "most": most}))]
