"""Queries for schedules: those of a flow, those that are due, and their starts."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from msgspec import Struct
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from engine.core.errors import NotFound
from storage.database import now
from storage.files import drop_uses
from storage.jobs import JobRow
from storage.statements import Statement
from storage.tables_triggers import Schedule, ScheduleStart

#: How many starts of a schedule are kept, beside those by hand.
STARTS_KEPT = 200
#: What jobs name as their trigger begins with this, before the id of the schedule.
TRIGGER = "schedule:"
#: Planned slots are whole minutes, in milliseconds; a start by hand has a slot between them.
_MINUTE = 60_000


class ScheduleRow(Struct, frozen=True):
    """A schedule as stored; `storage.tables_triggers.Schedule` describes its columns."""

    id: str
    workspace_id: str
    flow_id: str
    title: str
    timing: dict[str, Any]
    time_zone: str
    source: dict[str, Any]
    next_at: int | None
    trouble: dict[str, Any] | None
    created_at: int
    created_by: str

    @property
    def paused(self) -> bool:
        """True while it does not start by itself."""
        return self.next_at is None


class StartRow(Struct, frozen=True):
    """A start of a schedule, or a refused one; `storage.tables_triggers.ScheduleStart` describes its columns."""

    schedule_id: str
    slot: int
    at: int
    missed: int = 0
    job_id: str | None = None
    batch_id: str | None = None
    jobs: int = 0
    left_out: list[dict[str, Any]] | None = None
    left_out_count: int = 0
    trouble: dict[str, Any] | None = None

    @property
    def by_hand(self) -> bool:
        """True when a person started it beside what was planned."""
        return self.slot % _MINUTE != 0


def slot_by_hand(at: int) -> int:
    """Returns the slot of a start by hand at this moment."""
    return at if at % _MINUTE else at + 1


_COLUMNS: list[Any] = [getattr(Schedule, name) for name in ScheduleRow.__struct_fields__]
_START_COLUMNS: list[Any] = [getattr(ScheduleStart, name) for name in StartRow.__struct_fields__]
_NEXT = Statement("select min(next_at) from schedules where next_at is not null")


def next_due_at(session: Session, without: Collection[str] = ()) -> int | None:
    """Returns when the next schedule is due, in milliseconds; None when none is active. `without`: workspaces that are
    left out.
    """
    if without:
        active = Schedule.next_at.is_not(None), Schedule.workspace_id.not_in(without)
        return session.scalar(select(func.min(Schedule.next_at)).where(*active))
    row = _NEXT.row(session, {})
    return None if row is None else row[0]


class DueSchedule(Struct, frozen=True):
    """A schedule that is due, and its slot."""

    id: str
    workspace_id: str
    slot: int


def list_due(session: Session, most: int, without: Collection[str] = ()) -> list[DueSchedule]:
    """Returns schedules that are due, the earliest first. `without`: workspaces that are left out."""
    due = select(Schedule.id, Schedule.workspace_id, Schedule.next_at).where(
        Schedule.next_at.is_not(None), Schedule.next_at <= now(session)
    )
    if without:
        due = due.where(Schedule.workspace_id.not_in(without))
    rows = session.execute(due.order_by(Schedule.next_at, Schedule.id).limit(most))
    return [DueSchedule(schedule_id, workspace_id, slot or 0) for schedule_id, workspace_id, slot in rows]


class WaitingSchedule(Struct, frozen=True):
    """A schedule whose next slot is to come."""

    id: str
    timing: dict[str, Any]
    time_zone: str
    next_at: int


def list_waiting(session: Session) -> list[WaitingSchedule]:
    """Returns the schedules of all workspaces whose next slot is to come."""
    columns = Schedule.id, Schedule.timing, Schedule.time_zone, Schedule.next_at
    rows = session.execute(select(*columns).where(Schedule.next_at > now(session)))
    return [WaitingSchedule(*row) for row in rows]


def list_schedules(session: Session, workspace_id: str, flow_id: str | None = None) -> list[ScheduleRow]:
    """Returns the schedules of a flow, or of all flows, the oldest first."""
    query = select(*_COLUMNS).where(Schedule.workspace_id == workspace_id)
    if flow_id is not None:
        query = query.where(Schedule.flow_id == flow_id)
    rows = session.execute(query.order_by(Schedule.created_at, Schedule.id))
    return [ScheduleRow(*row) for row in rows]


def get_schedule(session: Session, workspace_id: str, schedule_id: str) -> ScheduleRow:
    """Returns a schedule of this workspace. Raises NotFound."""
    row = session.execute(
        select(*_COLUMNS).where(Schedule.workspace_id == workspace_id, Schedule.id == schedule_id)
    ).one_or_none()
    if row is None:
        raise _no_schedule()
    return ScheduleRow(*row)


def find_due_schedule(session: Session, schedule_id: str) -> ScheduleRow | None:
    """Returns a schedule of any workspace, for the server that starts it; None when it was removed."""
    row = session.execute(select(*_COLUMNS).where(Schedule.id == schedule_id)).one_or_none()
    return None if row is None else ScheduleRow(*row)


def hold_schedule(session: Session, workspace_id: str, schedule_id: str) -> Schedule:
    """Returns the schedule's ORM row, for an action to change. Raises NotFound."""
    row = session.scalars(
        select(Schedule).where(Schedule.workspace_id == workspace_id, Schedule.id == schedule_id)
    ).one_or_none()
    if row is None:
        raise _no_schedule()
    return row


def count_schedules(session: Session, workspace_id: str, flow_id: str) -> int:
    """Returns how many schedules a flow has."""
    count = select(func.count()).where(Schedule.workspace_id == workspace_id, Schedule.flow_id == flow_id)
    return session.scalar(count.select_from(Schedule)) or 0


def insert_schedule(session: Session, row: ScheduleRow) -> None:
    """Adds a schedule."""
    session.add(Schedule(**{name: getattr(row, name) for name in ScheduleRow.__struct_fields__}))
    session.flush()


def remove_schedules(session: Session, workspace_id: str, *, flow_id: str = "", schedule_id: str = "") -> int:
    """Removes one schedule, or all of a flow, with their starts; their jobs stay. Returns how many there were."""
    which = Schedule.id == schedule_id if schedule_id else Schedule.flow_id == flow_id
    ids = list(session.scalars(select(Schedule.id).where(Schedule.workspace_id == workspace_id, which)))
    for removed in ids:
        drop_uses(session, "schedule", removed)
    session.execute(delete(ScheduleStart).where(ScheduleStart.schedule_id.in_(ids)))
    session.execute(delete(Schedule).where(Schedule.id.in_(ids)))
    return len(ids)


_CLAIM = Statement("update schedules set next_at = :next_at where id = :id and next_at = :slot returning id")


def claim_slot(session: Session, schedule_id: str, slot: int, next_at: int | None) -> bool:
    """Takes a slot that is due, in one conditional statement, and sets the next one. Returns False when another server
    has taken it, when the schedule was paused, and when this slot has had its start before.
    """
    if _CLAIM.row(session, {"id": schedule_id, "slot": slot, "next_at": next_at}) is None:
        return False
    return session.get(ScheduleStart, (schedule_id, slot)) is None


def put_slot(session: Session, schedule_id: str, slot: int, next_at: int) -> bool:
    """Sets another next slot, unless a server has taken this one, or the schedule was changed or paused."""
    return _CLAIM.row(session, {"id": schedule_id, "slot": slot, "next_at": next_at}) is not None


def add_start(session: Session, start: StartRow) -> None:
    """Stores a start with the state of its schedule, and removes the oldest planned starts above STARTS_KEPT. Those by
    hand stay: lists of jobs say of theirs that a person started them.
    """
    session.add(ScheduleStart(**{name: getattr(start, name) for name in StartRow.__struct_fields__}))
    session.execute(update(Schedule).where(Schedule.id == start.schedule_id).values(trouble=start.trouble))
    planned = (ScheduleStart.schedule_id == start.schedule_id, ScheduleStart.slot % _MINUTE == 0)
    mine = select(ScheduleStart.slot).where(*planned)
    oldest_kept = session.scalar(mine.order_by(ScheduleStart.slot.desc()).offset(STARTS_KEPT - 1).limit(1))
    if oldest_kept is not None:
        session.execute(delete(ScheduleStart).where(*planned, ScheduleStart.slot < oldest_kept))


def list_starts(session: Session, workspace_id: str, schedule_id: str, limit: int = 20) -> list[StartRow]:
    """Returns the newest starts of a schedule of this workspace, newest first."""
    rows = session.execute(
        select(*_START_COLUMNS)
        .join(Schedule, Schedule.id == ScheduleStart.schedule_id)
        .where(Schedule.workspace_id == workspace_id, Schedule.id == schedule_id)
        .order_by(ScheduleStart.slot.desc())
        .limit(limit)
    )
    return [StartRow(*row) for row in rows]


def list_started_by_hand(session: Session, workspace_id: str, jobs: Iterable[JobRow]) -> frozenset[str]:
    """Returns the ids of those of these jobs that a person started with a schedule, beside what was planned."""
    mine = [job for job in jobs if job.trigger and job.trigger.startswith(TRIGGER)]
    if not mine:
        return frozenset()
    ids = {str(job.trigger).removeprefix(TRIGGER) for job in mine}
    rows = session.execute(
        select(ScheduleStart.job_id, ScheduleStart.batch_id)
        .join(Schedule, Schedule.id == ScheduleStart.schedule_id)
        .where(
            Schedule.workspace_id == workspace_id,
            ScheduleStart.schedule_id.in_(sorted(ids)),
            ScheduleStart.slot % _MINUTE != 0,
        )
    )
    started = {started for row in rows for started in row if started is not None}
    return frozenset(job.id for job in mine if job.id in started or job.batch_id in started)


def schedule_titles(session: Session, workspace_id: str, schedule_ids: Iterable[str]) -> dict[str, str]:
    """Returns schedule id -> title, for those that still exist."""
    ids = sorted({*schedule_ids})
    rows = session.execute(
        select(Schedule.id, Schedule.title).where(Schedule.workspace_id == workspace_id, Schedule.id.in_(ids))
    )
    return {row[0]: row[1] for row in rows} if ids else {}


def _no_schedule() -> NotFound:
    return NotFound("No schedule has this id", remedy="It may have been removed; look at the page of its flow.")
