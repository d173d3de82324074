"""Queries for calls that the public API refused: counts per minute, flow, key and code, and the last 1,000 of each
workspace.

They store pointers, codes, types and what the flow asks for, but no value that was sent. A call without a valid key belongs to no workspace: it
is only counted, under the empty workspace id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Select, delete, func, insert, select, text
from sqlalchemy.orm import Session

from engine.core.error_codes import RefusalCode
from storage.tables import ApiKey, RefusalCount, RefusedCall

KEPT_CALLS = 1_000
#: Wrong fields of a call that are stored; further ones are left out.
MAX_STORED_FIELDS = 20


class Counted(NamedTuple):
    """The key of a count. `minute` is minutes since 1970; an id is empty when there is none."""

    minute: int
    workspace_id: str
    flow_id: str
    key_id: str
    code: str


class RefusedRow(Struct, frozen=True):
    """A refused call. `fields`: `{pointer, code, detail}` of each wrong field, without values; `sent` is the type of an
    unknown field.
    """

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
    """Adds to the counts, and stores the newest calls."""
    if counts:
        session.execute(_COUNT, [{**key._asdict(), "count": count} for key, count in counts.items()])
    if calls:
        session.execute(insert(RefusedCall), [{**asdict(call), "fields": list(call.fields)} for call in calls])
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


class RefusalFilters(Struct, frozen=True):
    """Which refused calls to list; None: all. `since` and `until` are milliseconds, both included."""

    flow_id: str | None = None
    key_id: str | None = None
    code: str | None = None
    since: int | None = None
    until: int | None = None
    #: Of calls with a key of this environment.
    environment: str | None = None


def list_refused_calls(
    session: Session,
    workspace_id: str,
    filters: RefusalFilters = RefusalFilters(),
    *,
    limit: int = 100,
) -> list[RefusedRow]:
    """Returns refused calls, newest first."""
    statement = _narrowed(select(RefusedCall), workspace_id, filters)
    return [_row(call) for call in session.scalars(statement.order_by(RefusedCall.id.desc()).limit(limit))]


def count_refused_calls(session: Session, workspace_id: str, filters: RefusalFilters = RefusalFilters()) -> int:
    """Returns how many refused calls `list_refused_calls` would list without a limit."""
    return session.scalar(_narrowed(select(func.count(RefusedCall.id)), workspace_id, filters)) or 0


def _narrowed(statement: Select[Any], workspace_id: str, filters: RefusalFilters) -> Select[Any]:
    statement = statement.where(RefusedCall.workspace_id == workspace_id)
    for column, value in (
        (RefusedCall.flow_id, filters.flow_id),
        (RefusedCall.key_id, filters.key_id),
        (RefusedCall.code, filters.code),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if filters.environment is not None:
        keys = select(ApiKey.id).where(ApiKey.workspace_id == workspace_id, ApiKey.environment == filters.environment)
        statement = statement.where(RefusedCall.key_id.in_(keys))
    if filters.since is not None:
        statement = statement.where(RefusedCall.at >= filters.since)
    if filters.until is not None:
        statement = statement.where(RefusedCall.at <= filters.until)
    return statement


def count_refusals(
    session: Session, workspace_id: str, since: int, until: int, *, flow_id: str | None = None
) -> dict[str, int]:
    """Returns code -> number of refused calls between two times in milliseconds (rounded to minutes)."""
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
    """Returns the number of calls with an unknown key; 0 when `filters` ask for a flow, a key, an environment or another
    code.
    """
    if filters.flow_id or filters.key_id or filters.environment or filters.code not in {None, RefusalCode.UNAUTHORIZED}:
        return 0
    return count_refusals(session, "", filters.since or 0, filters.until or 1 << 53).get(RefusalCode.UNAUTHORIZED, 0)


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
