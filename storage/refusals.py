"""Calls the public API refused: a count per minute, flow, key and code, and the last 1,000 of each workspace.

Pointers, codes and types only; nothing that was sent is kept. Calls without a valid key belong to nobody: they are only counted,
under the empty workspace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.orm import Session

from storage.tables import RefusalCount, RefusedCall

KEPT_CALLS = 1_000


class Counted(NamedTuple):
    """What is counted together. `minute` is minutes since 1970; ids are empty when there is none."""

    minute: int
    workspace_id: str
    flow_id: str
    key_id: str
    code: str


@dataclass(frozen=True)
class RefusedRow:
    """One refused call. `fields`: `{pointer, code, detail}` of each wrong field, without values; `sent` is an unknown field's type."""

    workspace_id: str
    at: int
    request_id: str
    key_id: str
    key_prefix: str
    flow_id: str
    status: int
    code: str
    fields: tuple[Mapping[str, str], ...]


_COUNT = text(
    "insert into refusal_counts (minute, workspace_id, flow_id, key_id, code, count)"
    " values (:minute, :workspace_id, :flow_id, :key_id, :code, :count)"
    " on conflict (minute, workspace_id, flow_id, key_id, code)"
    " do update set count = refusal_counts.count + excluded.count"
)


def add_refusals(session: Session, counts: Mapping[Counted, int], calls: Sequence[RefusedRow]) -> None:
    """Adds to the counts and keeps the newest calls."""
    if counts:
        session.execute(_COUNT, [{**key._asdict(), "count": count} for key, count in counts.items()])
    if calls:
        session.execute(insert(RefusedCall), [{**vars(call), "fields": list(call.fields)} for call in calls])
    for workspace_id in {call.workspace_id for call in calls}:
        oldest_kept = (
            select(RefusedCall.id)
            .where(RefusedCall.workspace_id == workspace_id)
            .order_by(RefusedCall.id.desc())
            .offset(KEPT_CALLS - 1)
            .limit(1)
            .scalar_subquery()
        )
        session.execute(
            delete(RefusedCall).where(RefusedCall.workspace_id == workspace_id, RefusedCall.id < oldest_kept)
        )


@dataclass(frozen=True)
class RefusalFilters:
    """What a list is narrowed to; None means all. `since` and `until` are milliseconds, both included."""

    flow_id: str | None = None
    key_id: str | None = None
    code: str | None = None
    since: int | None = None
    until: int | None = None


def list_refused_calls(
    session: Session,
    workspace_id: str,
    filters: RefusalFilters = RefusalFilters(),
    *,
    flow_id: str | None = None,
    limit: int = 100,
) -> list[RefusedRow]:
    """The newest refused calls first."""
    statement = select(RefusedCall).where(RefusedCall.workspace_id == workspace_id)
    for column, value in (
        (RefusedCall.flow_id, flow_id if flow_id is not None else filters.flow_id),
        (RefusedCall.key_id, filters.key_id),
        (RefusedCall.code, filters.code),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if filters.since is not None:
        statement = statement.where(RefusedCall.at >= filters.since)
    if filters.until is not None:
        statement = statement.where(RefusedCall.at <= filters.until)
    return [_row(call) for call in session.scalars(statement.order_by(RefusedCall.id.desc()).limit(limit))]


def count_refusals(
    session: Session, workspace_id: str, since: int, until: int, *, flow_id: str | None = None
) -> dict[str, int]:
    """Code -> how often, between two times in milliseconds (whole minutes)."""
    statement = select(RefusalCount.code, func.sum(RefusalCount.count)).where(
        RefusalCount.workspace_id == workspace_id,
        RefusalCount.minute >= since // 60_000,
        RefusalCount.minute <= until // 60_000,
    )
    if flow_id is not None:
        statement = statement.where(RefusalCount.flow_id == flow_id)
    rows: Any = session.execute(statement.group_by(RefusalCount.code))
    return {code: int(count) for code, count in rows}


def count_unknown_keys(session: Session, filters: RefusalFilters = RefusalFilters()) -> int:
    """Calls to this server whose key nobody has; none fit when `filters` ask for a flow, a key or another code."""
    if filters.flow_id or filters.key_id or filters.code not in {None, "unauthorized"}:
        return 0
    return count_refusals(session, "", filters.since or 0, filters.until or 1 << 53).get("unauthorized", 0)


def _row(call: RefusedCall) -> RefusedRow:
    return RefusedRow(
        call.workspace_id,
        call.at,
        call.request_id,
        call.key_id or "",
        call.key_prefix,
        call.flow_id,
        call.status,
        call.code,
        tuple(call.fields),
    )
