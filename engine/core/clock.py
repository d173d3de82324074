"""Time as a dependency. Stored times are whole milliseconds since 1970-01-01 UTC; durations use the monotonic clock."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NewType, Protocol

Millis = NewType("Millis", int)

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Clock(Protocol):
    """A source of time; tests pass one that they can move."""

    def now(self) -> Millis:
        """Returns the wall clock in milliseconds since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float:
        """Returns seconds that never decrease, for durations and for deadlines within this process."""
        ...


class SystemClock:
    """The clocks of the machine."""

    def now(self) -> Millis:
        return Millis(time.time_ns() // 1_000_000)

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class MovedClock:
    """A clock that is `offset` milliseconds ahead of the machine's; tests of months and expiry move it."""

    offset: int = 0

    def now(self) -> Millis:
        return Millis(time.time_ns() // 1_000_000 + self.offset)

    def monotonic(self) -> float:
        return time.monotonic()


def seconds_in_words(seconds: float) -> str:
    """Returns for example `1 second` or `2.5 seconds`."""
    return f"{seconds:g} second" if seconds == 1 else f"{seconds:g} seconds"


def to_rfc3339(at: int) -> str:
    """Returns for example `2026-11-25T09:41:52.031Z`: RFC 3339, UTC, with milliseconds."""
    second, millis = divmod(at, 1_000)
    return f"{_to_the_second(second)}.{millis:03d}Z"


@functools.lru_cache(64)
def _to_the_second(at: int) -> str:
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")


def month_of(at: int) -> str:
    """Returns the calendar month in UTC, for example `2026-11`."""
    return _to_the_second(at // DAY * (DAY // SECOND))[:7]


def next_month(at: int) -> Millis:
    """Returns the first moment of the following month in UTC."""
    return _next_month(at // DAY)


@functools.lru_cache(8)
def _next_month(day: int) -> Millis:
    moment = datetime.fromtimestamp(day * (DAY // SECOND), tz=UTC)
    year, month = (moment.year + 1, 1) if moment.month == 12 else (moment.year, moment.month + 1)
    return Millis(int(datetime(year, month, 1, tzinfo=UTC).timestamp() * 1000))


def month_seconds(at: int) -> int:
    """Returns how many seconds the month of `at` has in UTC."""
    return _month_seconds(at // DAY)


@functools.lru_cache(8)
def _month_seconds(day: int) -> int:
    at = day * DAY
    return (next_month(at) - month_start(at)) // SECOND


def month_start(at: int) -> Millis:
    """Returns the first moment of the month of `at` in UTC."""
    moment = datetime.fromtimestamp(at / 1000, tz=UTC)
    return Millis(int(datetime(moment.year, moment.month, 1, tzinfo=UTC).timestamp() * 1000))
