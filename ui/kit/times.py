"""Formats stored timestamps (milliseconds) for the person who views the page, for example `4 min ago`."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from msgspec import Struct

from engine.core.clock import Clock
from ui.kit import text
from ui.kit.text import ENGLISH, Reader, _

#: A time as programs write it, with its zone: `2026-11-27T12:06:08.834Z`.
_ISO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)", re.ASCII)


class Times(Struct, frozen=True):
    """Formats timestamps for one page with the server's clock and the viewer's time zone.

    All timestamps are milliseconds since 1970.
    """

    clock: Clock
    reader: Reader

    def ago(self, at: int) -> str:
        """Formats the time since `at`: `10 s ago`, `yesterday`."""
        return ago(when(at), when(self.clock.now()), self.reader)

    def moment(self, at: int) -> str:
        """Formats date and time: `today 09:52:07`, `12 Nov 09:52`."""
        return moment(when(at), when(self.clock.now()), self.reader)

    def day(self, at: int) -> str:
        """Formats a date: `today`, `31 Dec`."""
        return day(when(at), when(self.clock.now()), self.reader)

    def last_day(self, at: int) -> str:
        """Formats a date that may be far off, always with its year: `today`, `31 Dec 2026`."""
        said, local = self.day(at), when(at).astimezone(self.reader.zone)
        return f"{said} {local.year}" if said[:1].isdigit() and not said.endswith(str(local.year)) else said

    def clock_time(self, at: int) -> str:
        """Formats a time of day: `09:41:52`."""
        return clock_time(when(at), self.reader)

    def spent(self, begun: int | None, ended: int | None) -> str:
        """Formats the duration from `begun` to `ended`, or to now while it runs. Returns "" when it has not begun."""
        if begun is None:
            return ""
        return text.duration(max(0, (ended if ended is not None else self.clock.now()) - begun) / 1000, self.reader)

    def cost(self, nanos: int | None) -> str:
        """Formats nano-dollars as `$0.0014`; None is `unknown`."""
        return text.cost(None if nanos is None else nanos / 1_000_000_000, self.reader)


def when(at: int) -> datetime:
    """Converts a stored timestamp to an aware datetime."""
    return datetime.fromtimestamp(at / 1000, UTC)


def ago(when: datetime, now: datetime, reader: Reader = ENGLISH) -> str:
    """Formats the time since `when` in one unit.

    Examples: `just now`, `10 s ago`, `4 min ago`, `1 h ago`, `yesterday`, `9 days ago`, `12 Nov`.
    """
    seconds = (now - when).total_seconds()
    if seconds < 2:
        return _("just now")
    if seconds < 60:
        return _("{count} s ago").format(count=int(seconds))
    if seconds < 3600:
        return _("{count} min ago").format(count=int(seconds // 60))
    days = (now.astimezone(reader.zone).date() - when.astimezone(reader.zone).date()).days
    if days == 0 or seconds < 6 * 3600:
        return _("{count} h ago").format(count=int(seconds // 3600))
    if days == 1:
        return _("yesterday")
    return _("{days} days ago").format(days=days) if days <= 14 else day(when, now, reader)


def day(when: datetime, now: datetime, reader: Reader = ENGLISH) -> str:
    """Formats a date: `today`, `yesterday`, `31 Dec`; a date of another year includes the year: `31 Dec 2025`."""
    local, today = when.astimezone(reader.zone), now.astimezone(reader.zone)
    distance = (today.date() - local.date()).days
    if distance in (0, 1):
        return _("yesterday") if distance else _("today")
    text = f"{local.day} {local:%b}"
    return text if local.year == today.year else f"{text} {local.year}"


def clock_time(when: datetime, reader: Reader = ENGLISH) -> str:
    """Formats a time of day in the viewer's time zone: `09:41:52`."""
    return f"{when.astimezone(reader.zone):%H:%M:%S}"


def moment(when: datetime, now: datetime, reader: Reader = ENGLISH) -> str:
    """Formats date and time: `today 09:52:07`, `12 Nov 09:52`."""
    name = day(when, now, reader)
    local = when.astimezone(reader.zone)
    return f"{name} {local:%H:%M:%S}" if name in (_("today"), _("yesterday")) else f"{name} {local:%H:%M}"


def time_of_text(text: str, reader: Reader = ENGLISH) -> str:
    """Formats a text that is exactly an ISO time with its zone as people read times: `27 Nov 2026 12:06:08`.

    Values are kept, so the date is whole, never `today`. Returns "" for every other text.
    """
    if _ISO_TIME.fullmatch(text) is None:
        return ""
    try:
        local = datetime.fromisoformat(text).astimezone(reader.zone)
    except (ValueError, OverflowError):  # the 31st of February, the first year
        return ""
    return f"{local.day} {local:%b} {local.year} {local:%H:%M:%S}"
