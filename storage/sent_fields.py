"""Queries for the fields that each API key sent to a flow: a count per day, flow, key and field, kept for 30 days."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from engine.core.clock import DAY
from storage.database import now
from storage.tables import SentField

#: The field name under which calls themselves are counted; no field of a request can have it.
CALLS = ""
KEPT_DAYS = 30


class Sent(NamedTuple):
    """The key of a count. `day` is days since 1970."""

    day: int
    workspace_id: str
    flow_id: str
    key_id: str
    field: str


_ADD = text(
    "insert into sent_fields (day, workspace_id, flow_id, key_id, field, count)"
    " values (:day, :workspace_id, :flow_id, :key_id, :field, :count)"
    " on conflict (day, workspace_id, flow_id, key_id, field)"
    " do update set count = sent_fields.count + excluded.count"
)


def add_sent_fields(session: Session, counts: Mapping[Sent, int]) -> None:
    """Adds to the counts, and removes counts that are older than KEPT_DAYS."""
    if counts:
        session.execute(_ADD, [{**sent._asdict(), "count": count} for sent, count in counts.items()])
    session.execute(delete(SentField).where(SentField.day < now(session) // DAY - KEPT_DAYS))


def count_sent_fields(session: Session, workspace_id: str, flow_id: str, days: int = 7) -> dict[str, dict[str, int]]:
    """Returns key id -> field -> number of accepted calls that sent it, today and in the `days` before; `CALLS` counts
    all calls.
    """
    rows = session.execute(
        select(SentField.key_id, SentField.field, func.sum(SentField.count).label("calls"))
        .where(
            SentField.workspace_id == workspace_id,
            SentField.flow_id == flow_id,
            SentField.day >= now(session) // DAY - days,
        )
        .group_by(SentField.key_id, SentField.field)
    )
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row.key_id, {})[row.field] = int(row.calls)
    return found
