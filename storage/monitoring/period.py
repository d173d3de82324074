"""Which jobs the figures of Monitoring are about: a period cut into slots, and a flow, key or environment.

A period is exactly as long as its name says, back from now and out to the full minute, because refused calls are counted by the minute.
Its slots lie on the reader's clock (hours begin at :00, days at midnight), so the first one may be cut short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, literal_column, select

from engine.core.clock import DAY, HOUR, MINUTE, Millis
from storage.jobs import PUBLIC
from storage.tables import OPEN, ApiKey, Job, RefusalCount

#: Name in the address -> (length, slot), in milliseconds.
RANGES: dict[str, tuple[int, int]] = {
    "1h": (HOUR, 2 * MINUTE),
    "24h": (DAY, HOUR),
    "7d": (7 * DAY, 6 * HOUR),
    "30d": (30 * DAY, DAY),
}


@dataclass(frozen=True)
class Period:
    """From `since` to `until`, both included; `offset` is how far the reader's clock is ahead of UTC. All in milliseconds."""

    since: Millis
    until: Millis
    step: int
    offset: int = 0

    @classmethod
    def ending(cls, until: int, name: str, offset: int = 0) -> Period:
        """The period of that name of `RANGES` up to now."""
        length, step = RANGES[name]
        return cls(Millis((until - length) // MINUTE * MINUTE), Millis(until), step, offset)

    @property
    def before(self) -> Period:
        """The same length of time just before."""
        length = self.until - self.since
        return Period(Millis(self.since - length), Millis(self.since - 1), self.step, self.offset)

    @property
    def first(self) -> int:
        """The number of the first slot."""
        return (self.since + self.offset) // self.step

    @property
    def starts(self) -> tuple[Millis, ...]:
        """When each slot begins, the oldest first; the first may begin before `since`."""
        last = (self.until + self.offset) // self.step
        return tuple(Millis(slot * self.step - self.offset) for slot in range(self.first, last + 1))

    def slot(self, moment: Any) -> ColumnElement[int]:
        """The number of the slot a column of milliseconds lies in, counted from 0."""
        return (moment + self.offset) // self.step - self.first


@dataclass(frozen=True)
class Filters:
    """What the figures are narrowed to. Without an environment Playground runs do not count."""

    flow_id: str | None = None
    key_id: str | None = None
    environment: str | None = None

    @property
    def of_api(self) -> bool:
        """True when calls of the API are meant, False for Playground runs."""
        return self.environment != "playground"

    def fits(self, flow_id: str, key_id: str | None, environment: str) -> bool:
        """Whether a job with these is meant."""
        return (
            self.flow_id in {None, flow_id}
            and self.key_id in {None, key_id}
            and (environment == self.environment if self.environment else environment in PUBLIC)
        )

    def jobs_at_any_time(self, workspace_id: str) -> list[ColumnElement[bool]]:
        """Conditions on `Job`."""
        found = [Job.workspace_id == workspace_id]
        found.append(Job.environment == self.environment if self.environment else Job.environment.in_(PUBLIC))
        if self.flow_id is not None:
            found.append(Job.flow_id == self.flow_id)
        if self.key_id is not None:
            found.append(Job.key_id == self.key_id)
        return found

    def jobs(self, workspace_id: str, period: Period) -> list[ColumnElement[bool]]:
        """Conditions on `Job`: those that were accepted in the period."""
        return [
            *self.jobs_at_any_time(workspace_id),
            Job.created_at >= period.since,
            Job.created_at <= period.until,
        ]

    def refusals(self, workspace_id: str, period: Period) -> list[ColumnElement[bool]]:
        """Conditions on `RefusalCount`."""
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
    """Conditions on `Job`: those that have not ended, found by `ix_jobs_open` and not among all jobs of the workspace.

    SQLite takes a partial index only for the very words it was made with, and it would prefer the workspace's index.
    """
    statuses = [literal_column(f"'{status}'") for status in OPEN]
    return Job.status.in_(statuses), func.coalesce(Job.workspace_id, "") == workspace_id
