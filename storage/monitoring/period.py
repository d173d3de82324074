"""The selection of jobs for Monitoring: a period divided into slots, and a flow, key or environment.

A period ends now and has the length in its name, extended to a full minute, because refused calls are counted by the
minute. Its slots follow the reader's local time (hours start at :00, days at midnight), so the first one may be
shorter.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, func, literal_column, select

from engine.core.clock import DAY, HOUR, MINUTE, Millis
from storage.jobs import PUBLIC
from storage.tables import OPEN, ApiKey, Job, RefusalCount

#: Name in the URL -> (length of the period, length of a slot), in milliseconds.
RANGES: dict[str, tuple[int, int]] = {
    "1h": (HOUR, 2 * MINUTE),
    "24h": (DAY, HOUR),
    "7d": (7 * DAY, 6 * HOUR),
    "30d": (30 * DAY, DAY),
}


class Period(Struct, frozen=True):
    """A period from `since` to `until`, both included.

    `offset`: how far the reader's local time is ahead of UTC. In milliseconds.
    """

    since: Millis
    until: Millis
    step: int
    offset: int = 0

    @classmethod
    def ending(cls, until: int, name: str, offset: int = 0) -> Period:
        """Returns the period of this name in `RANGES` that ends at `until`."""
        length, step = RANGES[name]
        return cls(Millis((until - length) // MINUTE * MINUTE), Millis(until), step, offset)

    @property
    def before(self) -> Period:
        """The period of the same length that ends just before this one."""
        length = self.until - self.since
        return Period(Millis(self.since - length), Millis(self.since - 1), self.step, self.offset)

    @property
    def first(self) -> int:
        """The number of the first slot."""
        return (self.since + self.offset) // self.step

    @property
    def starts(self) -> tuple[Millis, ...]:
        """The start of each slot, oldest first; the first one may start before `since`."""
        last = (self.until + self.offset) // self.step
        return tuple(Millis(slot * self.step - self.offset) for slot in range(self.first, last + 1))

    def slot(self, moment: Any) -> Any:
        """Returns the slot, from 0, in which a time in milliseconds lies, or the SQL expression for that of a column."""
        return (moment + self.offset) // self.step - self.first


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
    return Job.status.in_(statuses), func.coalesce(Job.workspace_id, "") == workspace_id
