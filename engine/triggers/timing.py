"""When a schedule is due: words of a form or a cron expression, in a time zone.

A timing is stored as JSON, one of:

* `{"kind": "minutes", "every": 15}`: by the clock, from the full hour on
* `{"kind": "hours", "every": 2, "minute": 0}`: by the clock, from midnight on
* `{"kind": "weekly", "days": [1, 3], "time": "09:00"}`: 1 is Monday, 7 is Sunday; all seven: every day
* `{"kind": "monthly", "day": 1, "time": "09:00"}`: a day from 1 to 28, or "last"
* `{"kind": "cron", "expression": "0 9 * * 1-5"}`: five fields

When clocks are put forward, a time that does not exist that day is the first moment after the gap. When they are put
back, a time that exists twice counts once. Timings of minutes, and of every single hour, follow time as it passes.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from engine.core.errors import FieldError, Invalid

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

Timing = Mapping[str, Any]

#: The steps that the form offers: each divides the hour, or the day.
MINUTES = (1, 2, 5, 10, 15, 20, 30)
HOURS = (1, 2, 3, 4, 6, 8, 12)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
#: The days that every month has; after them the form offers the last day.
MONTH_DAYS = range(1, 29)
LAST_DAY = "last"
#: The longest cron expression.
MAX_EXPRESSION = 100
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
#: Zones of the database that are no places, or that have a newer name.
_NOT_A_PLACE = ("Etc/", "SystemV/", "posix/", "right/", "US/", "Brazil/", "Canada/", "Chile/", "Mexico/")


def check_timing(timing: Timing, zone_name: str) -> None:
    """Raises Invalid, with a sentence for people, for a timing or a time zone that cannot be used."""
    find_zone(zone_name)
    next_slots(timing, zone_name, 0, 1)


def cron_of(timing: Timing) -> str:
    """Returns the cron expression of a timing, with five fields. Raises Invalid."""
    match timing.get("kind"):
        case "minutes":
            every = _one_of(timing, "every", MINUTES)
            return "* * * * *" if every == 1 else f"*/{every} * * * *"
        case "hours":
            every, minute = _one_of(timing, "every", HOURS), _one_of(timing, "minute", range(60))
            return f"{minute} {'*' if every == 1 else f'0-23/{every}'} * * *"
        case "weekly":
            minute, hour = _time(timing)
            days = timing.get("days")
            if not isinstance(days, list | tuple) or not days or not {*days} <= {*range(1, 8)}:
                raise _wrong("days", "Choose at least one day.")
            named = "*" if len({*days}) == len(DAYS) else ",".join(str(day % 7) for day in sorted({*days}))
            return f"{minute} {hour} * * {named}"
        case "monthly":
            minute, hour = _time(timing)
            day = timing.get("day")
            if day == LAST_DAY:
                return f"{minute} {hour} L * *"
            return f"{minute} {hour} {_one_of(timing, 'day', MONTH_DAYS)} * *"
        case "cron":
            return _checked_expression(timing.get("expression"))
    raise _wrong("kind", "Choose how often it starts.")


def in_words(timing: Timing, zone_name: str) -> str:
    """Returns for example `Every weekday at 09:00, Europe/Berlin`. Raises Invalid."""
    expression = cron_of(timing)
    return f"{_when(timing, expression)}, {zone_name}"


def next_slots(timing: Timing, zone_name: str, after: int, count: int) -> list[int]:
    """Returns the next moments after `after` at which it is due, in milliseconds since 1970 (UTC), ascending.

    Fewer than `count` when the expression has no more of them within 50 years. Raises Invalid, also when there is none.
    """
    found: list[int] = []
    for slot in _slots(cron_of(timing), find_zone(zone_name), after):
        found.append(slot)
        if len(found) == count:
            return found
    if not found:
        raise _wrong("expression", "No date fits this expression, so it would never start.")
    return found


def next_slot(timing: Timing, zone_name: str, after: int) -> int:
    """Returns the next moment after `after`, in milliseconds. Raises Invalid."""
    return next_slots(timing, zone_name, after, 1)[0]


def slots_between(timing: Timing, zone_name: str, after: int, until: int, most: int = 1_000) -> int:
    """Returns how many moments are due after `after` and not later than `until`; it counts at most `most`."""
    number = 0
    for slot in _slots(cron_of(timing), find_zone(zone_name), after):
        if slot > until or number == most:
            break
        number += 1
    return number


def clocks_change(zone_name: str, begin: int, end: int) -> bool:
    """Tells whether the clocks of a time zone show another offset at the end of a period, in milliseconds, than at its
    begin. Raises Invalid.
    """
    zone = find_zone(zone_name)
    return len({datetime.fromtimestamp(moment / 1_000, zone).utcoffset() for moment in (begin, end)}) > 1


def find_zone(name: str) -> ZoneInfo:
    """Returns a time zone by its name, for example `Europe/Berlin`. Raises Invalid."""
    from zoneinfo import ZoneInfo

    try:
        if name not in _all_zones():
            raise KeyError(name)
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise _wrong("time_zone", f"There is no time zone called “{name[:60]}”. Choose one from the list.") from error


def zone_names() -> list[str]:
    """Returns the time zones to choose from, sorted: UTC and the places of the database."""
    return ["UTC", *sorted(name for name in _all_zones() if "/" in name and not name.startswith(_NOT_A_PLACE))]


@functools.cache
def _all_zones() -> frozenset[str]:
    import zoneinfo

    return frozenset(zoneinfo.available_timezones())


def _slots(expression: str, zone: ZoneInfo, after: int) -> Iterator[int]:
    from cronsim import CronSim, CronSimError

    moment = datetime.fromtimestamp(after // 1_000, tz=UTC)
    try:
        dates = CronSim(_by_the_clock(expression), moment if str(zone) == "UTC" else moment.astimezone(zone))
    except CronSimError as error:
        raise _wrong("expression", _said(str(error))) from error
    last = after
    try:
        for date in dates:
            slot = int(date.timestamp()) * 1_000
            if slot > last:  # a time of the hour that clocks repeat may have been due before
                last = slot
                yield slot
    except (CronSimError, OverflowError):
        return


def _by_the_clock(expression: str) -> str:
    """Writes a step of hours as a range: cronsim then handles changes of the clock as for single hours. With `*/2` it
    loses a start in zones that change by half an hour, and starts twice within an hour in others.
    """
    minute, hour, *rest = expression.split()
    return " ".join([minute, re.sub(r"(^|,)\*/", r"\g<1>0-23/", hour), *rest])


def _checked_expression(expression: Any) -> str:
    """Returns a cron expression with single spaces. Raises Invalid with what is wrong."""
    parts = expression.split() if isinstance(expression, str) else []
    if not parts:
        raise _wrong("expression", "Enter five fields: minute, hour, day of the month, month, day of the week.")
    if len(parts) != 5 or len(expression) > MAX_EXPRESSION:
        raise _wrong(
            "expression",
            f"It has {len(parts)} fields; it needs five: minute, hour, day of the month, month, day of the week.",
        )
    from cronsim import CronSim, CronSimError

    try:
        CronSim(" ".join(parts), datetime.fromtimestamp(0, tz=UTC))
    except (CronSimError, ValueError, TypeError, AssertionError) as error:
        raise _wrong("expression", _said(str(error))) from error
    return " ".join(parts).upper()


def _said(error: str) -> str:
    """Returns what cronsim says about an expression as a sentence."""
    field = error.removeprefix("Bad ").replace("-", " ") if error.startswith("Bad ") else ""
    names = {"day of month": "day of the month", "day of week": "day of the week"}
    return f"The field for the {names.get(field, field)} cannot be read." if field else "It cannot be read."


def _when(timing: Timing, expression: str) -> str:
    match timing["kind"]:
        case "minutes":
            return "Every minute" if timing["every"] == 1 else f"Every {timing['every']} minutes"
        case "hours":
            minute = int(timing["minute"])
            past = "on the hour" if minute == 0 else f"at minute {minute}"
            return f"Every hour, {past}" if timing["every"] == 1 else f"Every {timing['every']} hours, {past}"
        case "weekly":
            return f"{_days_in_words(sorted({*timing['days']}))} at {timing['time']}"
        case "monthly":
            day = "last day" if timing["day"] == LAST_DAY else f"{_ordinal(timing['day'])}"
            return f"On the {day} of every month at {timing['time']}"
    from cronsim.explain import explain

    return explain(expression)


def _days_in_words(days: list[int]) -> str:
    if len(days) == len(DAYS):
        return "Every day"
    if days == [1, 2, 3, 4, 5]:
        return "Every weekday"
    if days == [6, 7]:
        return "Every Saturday and Sunday"
    names = [DAYS[day - 1] for day in days]
    return f"Every {names[0]}" if len(names) == 1 else f"Every {', '.join(names[:-1])} and {names[-1]}"


def _ordinal(number: int) -> str:
    ending = "th" if 10 < number < 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _time(timing: Timing) -> tuple[int, int]:
    """Returns minute and hour of a time like `09:00`. Raises Invalid."""
    found = _TIME.fullmatch(timing["time"]) if isinstance(timing.get("time"), str) else None
    if found is None:
        raise _wrong("time", "Enter a time from 00:00 to 23:59, like 09:00.")
    return int(found[2]), int(found[1])


def _one_of(timing: Timing, name: str, allowed: tuple[int, ...] | range) -> int:
    value = timing.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
        listed = (
            ", ".join(str(one) for one in allowed) if isinstance(allowed, tuple) else f"{allowed[0]} to {allowed[-1]}"
        )
        raise _wrong(name, f"Choose one of: {listed}.")
    return value


def _wrong(field: str, said: str) -> Invalid:
    return Invalid(
        "The schedule cannot be used as it is", remedy=said, errors=(FieldError(f"/{field}", "invalid", said),)
    )
