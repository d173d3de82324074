"""The selection of jobs for Monitoring: a period divided into slots, and a flow, key or environment.

A period ends now and has the length in its name, extended to a full minute, because refused calls are counted by the
minute. Its slots follow the reader's local time (hours start at :00, days at midnight), so the first one may be
shorter. When the clocks change, a day has 23 or 25 hours, and a slot of six hours five or seven.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, case, func, literal_column, select

from engine.core.clock import DAY, HOUR, MINUTE, SECOND, Millis
from engine.core.job_status import OPEN
from storage.jobs import PUBLIC
from storage.table_base import belongs_to
from storage.tables import ApiKey, Job, RefusalCount

#: Name in the URL -> (length of the period, length of a slot), in milliseconds.
RANGES: dict[str, tuple[int, int]] = {
    "1h": (HOUR, 2 * MINUTE),
    "24h": (DAY, HOUR),
    "7d": (7 * DAY, 6 * HOUR),
    "30d": (30 * DAY, DAY),
}


class Period(Struct, frozen=True):
    """A period from `since` to `until`, both included.

    `offset`: how far the reader's local time is ahead of UTC. `changes`: when the clocks change, in order, and how far it
    is ahead from then on. In milliseconds.
    """

    since: Millis
    until: Millis
    step: int
    offset: int = 0
    changes: tuple[tuple[int, int], ...] = ()

    @classmethod
    def in_zone(cls, until: int, name: str, zone: tzinfo) -> Period:
        """Returns the period of this name that ends at `until`, with slots that follow the clocks of a time zone.

        Slots of an hour or less follow the present offset, so that each has the same length and none has two hours.
        """
        step = RANGES[name][1]
        if step <= HOUR:
            return cls.ending(until, name, _offset(zone, until))
        plain = cls.ending(until, name)
        since = plain.since - step - HOUR  # where the first slot may begin
        changes = _changes(zone, since, -(-until // MINUTE) * MINUTE + step + HOUR)
        return cls(plain.since, plain.until, step, _offset(zone, since), changes)

    @classmethod
    def ending(cls, until: int, name: str, offset: int = 0) -> Period:
        """Returns the period of this name in `RANGES` that ends at `until`. It begins at a full minute, so it may be up to a
        minute longer than its name says.
        """
        length, step = RANGES[name]
        return cls(Millis((until - length) // MINUTE * MINUTE), Millis(until), step, offset)

    @property
    def before(self) -> Period:
        """The period of the same length that ends just before this one."""
        length = self.until - self.since
        return Period(Millis(self.since - length), Millis(self.since - 1), self.step, self.offset, self.changes)

    @property
    def first(self) -> int:
        """The number of the first slot."""
        return self.local(self.since) // self.step

    @property
    def starts(self) -> tuple[Millis, ...]:
        """The start of each slot, oldest first; the first one may start before `since`."""
        last = self.local(self.until) // self.step
        return tuple(self.moment(slot * self.step) for slot in range(self.first, last + 1))

    def end(self, start: int) -> Millis:
        """Returns where the slot with this start ends."""
        return self.moment((self.local(start) // self.step + 1) * self.step)

    def slot(self, moment: Any) -> Any:
        """Returns the slot, from 0, in which a time in milliseconds lies, or the SQL expression for that of a column."""
        return self.local(moment) // self.step - self.first

    def local(self, moment: Any) -> Any:
        """Returns what the reader's clock shows at a time, in milliseconds, or the SQL expression for that of a column."""
        offset: Any = self.offset
        if isinstance(moment, int):
            for at, after in self.changes:
                offset = after if moment >= at else offset
        elif self.changes:
            before = (self.offset, *(after for _, after in self.changes))
            until = zip(self.changes, before, strict=False)
            offset = case(*((moment < at, ahead) for (at, _), ahead in until), else_=before[-1])
        return moment + offset

    def moment(self, local: int) -> Millis:
        """Returns the first time at which the reader's clock shows this, or a later one when it passes over it."""
        found = local - self.offset
        for at, after in self.changes:
            if found >= at:
                found = max(at, local - after)
        return Millis(found)


def _offset(zone: tzinfo, at: int) -> int:
    ahead = datetime.fromtimestamp(at / SECOND, UTC).astimezone(zone).utcoffset() or timedelta()
    return round(ahead.total_seconds() * SECOND)


def _changes(zone: tzinfo, since: int, until: int) -> tuple[tuple[int, int], ...]:
    """Returns when the clocks of a zone change between two full minutes, and their offset from then on."""
    found: list[tuple[int, int]] = []
    offset = _offset(zone, since)
    for day in range(since, until, DAY):
        low, high = day, min(day + DAY, until)
        if (after := _offset(zone, high)) == offset:
            continue
        while high - low > MINUTE:
            middle = low + (high - low) // MINUTE // 2 * MINUTE
            low, high = (middle, high) if _offset(zone, middle) == offset else (low, middle)
        found.append((high, after))
        offset = after
    return tuple(found)


class Filters(Struct, frozen=True):
    """What the figures are limited to. Without an environment, Playground runs are left out."""

    flow_id: str | None = None
    key_id: str | None = None
    environment: str | None = None

    @property
    def of_api(self) -> bool:
        """True for figures of API calls, False for those of Playground runs."""
        return self.environment != "playground"

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments of the jobs that are selected."""
        return (self.environment,) if self.environment else PUBLIC

    def fits(self, flow_id: str, key_id: str | None, environment: str) -> bool:
        """True when a job with these values is selected."""
        return self.flow_id in {None, flow_id} and self.key_id in {None, key_id} and environment in self.environments

    def jobs_at_any_time(self, workspace_id: str, *, by_id: bool = False) -> list[ColumnElement[bool]]:
        """Returns the conditions on `Job` without those of a period. `by_id`: written so that SQLite finds the jobs by
        their ids, not by an index on the workspace or flow.
        """

        def of(column: Any) -> Any:
            return func.coalesce(column, "") if by_id else column

        found: list[ColumnElement[bool]] = [of(Job.workspace_id) == workspace_id]
        found.append(Job.environment == self.environment if self.environment else Job.environment.in_(PUBLIC))
        if self.flow_id is not None:
            found.append(of(Job.flow_id) == self.flow_id)
        if self.key_id is not None:
            found.append(Job.key_id == self.key_id)
        return found

    def refusals(self, workspace_id: str, period: Period) -> list[ColumnElement[bool]]:
        """Returns the conditions on `RefusalCount`."""
        found = [
            RefusalCount.workspace_id == workspace_id,
            RefusalCount.minute >= period.since // MINUTE,
            RefusalCount.minute <= period.until // MINUTE,
        ]
        if self.flow_id is not None:
            found.append(RefusalCount.flow_id == self.flow_id)
        if self.key_id is not None:
            found.append(RefusalCount.key_id == self.key_id)
        if self.environment is not None:
            keys = select(ApiKey.id).where(ApiKey.workspace_id == workspace_id, ApiKey.environment == self.environment)
            found.append(RefusalCount.key_id.in_(keys))
        return found


def open_jobs(workspace_id: str) -> tuple[ColumnElement[bool], ...]:
    """Returns conditions on `Job` for jobs that have not ended, written so that SQLite uses the index `ix_jobs_open`.

    SQLite uses a partial index only for exactly its condition, and would otherwise prefer the index on the workspace.
    """
    statuses: list[ColumnElement[str]] = [literal_column(f"'{status}'") for status in OPEN]
    return Job.status.in_(statuses), belongs_to(Job.workspace_id, workspace_id)
