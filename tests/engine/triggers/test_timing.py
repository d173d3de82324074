"""When schedules are due: in words, by cron expressions, and over changes of the clock in three time zones."""

from __future__ import annotations

import functools
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.core.errors import Invalid
from engine.triggers.timing import check_timing, cron_of, in_words, next_slots, slots_between, zone_names

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"


def ms(text: str, zone: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def clocks(slots: list[int], zone: str) -> list[str]:
    """Returns the slots as a clock on the wall shows them, with the distance to UTC."""
    return [datetime.fromtimestamp(slot / 1000, tz=ZoneInfo(zone)).strftime("%d %H:%M %z") for slot in slots]


def cron(expression: str) -> dict[str, Any]:
    return {"kind": "cron", "expression": expression}


def at(time: str, *days: int) -> dict[str, Any]:
    return {"kind": "weekly", "days": list(days or range(1, 8)), "time": time}


@pytest.mark.parametrize(
    ("timing", "expression", "words"),
    [
        (at("09:00", 1, 2, 3, 4, 5), "0 9 * * 1,2,3,4,5", "Every weekday at 09:00, Europe/Berlin"),
        (at("09:00"), "0 9 * * *", "Every day at 09:00, Europe/Berlin"),
        (at("07:05", 1), "5 7 * * 1", "Every Monday at 07:05, Europe/Berlin"),
        (at("23:59", 7, 3, 3), "59 23 * * 3,0", "Every Wednesday and Sunday at 23:59, Europe/Berlin"),
        ({"kind": "minutes", "every": 15}, "*/15 * * * *", "Every 15 minutes, Europe/Berlin"),
        ({"kind": "hours", "every": 1, "minute": 0}, "0 * * * *", "Every hour, on the hour, Europe/Berlin"),
        ({"kind": "hours", "every": 2, "minute": 20}, "20 0-23/2 * * *", "Every 2 hours, at minute 20, Europe/Berlin"),
        (
            {"kind": "monthly", "day": 1, "time": "08:00"},
            "0 8 1 * *",
            "On the 1st of every month at 08:00, Europe/Berlin",
        ),
        (
            {"kind": "monthly", "day": "last", "time": "18:30"},
            "30 18 L * *",
            "On the last day of every month at 18:30, Europe/Berlin",
        ),
        (cron(" 0  9 * * mon-fri "), "0 9 * * MON-FRI", "At 09:00 on Monday through Friday, Europe/Berlin"),
    ],
)
def test_a_form_becomes_an_expression_and_a_sentence(timing: dict[str, Any], expression: str, words: str) -> None:
    assert cron_of(timing) == expression
    assert in_words(timing, BERLIN) == words
    check_timing(timing, BERLIN)


@pytest.mark.parametrize(
    ("timing", "zone", "said"),
    [
        (at("24:00"), BERLIN, "Enter a time"),
        (at("9:00"), BERLIN, "Enter a time"),
        ({"kind": "weekly", "days": [], "time": "09:00"}, BERLIN, "at least one day"),
        ({"kind": "weekly", "days": [8], "time": "09:00"}, BERLIN, "at least one day"),
        ({"kind": "monthly", "day": 31, "time": "09:00"}, BERLIN, "1 to 28"),
        ({"kind": "minutes", "every": 7}, BERLIN, "1, 2, 5, 10, 15, 20, 30"),
        ({"kind": "hours", "every": True, "minute": 0}, BERLIN, "1, 2, 3"),
        ({"kind": "sometimes"}, BERLIN, "how often"),
        ({}, BERLIN, "how often"),
        (cron(""), BERLIN, "five fields"),
        (cron("0 9 * *"), BERLIN, "It has 4 fields"),
        (cron("0 0 9 * * 1"), BERLIN, "It has 6 fields"),
        (cron("61 9 * * 1"), BERLIN, "field for the minute"),
        (cron("0 9 * * 9"), BERLIN, "field for the day of the week"),
        (cron("0 0 30 2 *"), BERLIN, "field for the day of the month"),
        (cron("*/0 9 * * *"), BERLIN, "field for the minute"),
        (cron("L/2 9 * * *"), BERLIN, "field for the minute"),
        (cron("<script> 9 * * *"), BERLIN, "field for the minute"),
        (cron("0" * 200 + " 9 * * *"), BERLIN, "needs five"),
        (cron("\N{ARABIC-INDIC DIGIT ONE} 9 * * *"), BERLIN, "field for the minute"),
        (at("09:00"), "Europe/Atlantis", "no time zone"),
        (at("09:00"), "../../etc/passwd", "no time zone"),
        (at("09:00"), "", "no time zone"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_to_do(timing: dict[str, Any], zone: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        check_timing(timing, zone)


@pytest.mark.parametrize(
    ("zone", "begin", "timing", "expected"),
    [
        # The clock is put forward: a time that is left out is the first moment after the gap.
        (BERLIN, "2026-03-28T12:00", at("02:30"), ["29 03:00 +0200", "30 02:30 +0200"]),
        (BERLIN, "2026-03-28T12:00", at("09:00"), ["29 09:00 +0200", "30 09:00 +0200"]),
        (NEW_YORK, "2026-03-07T12:00", at("02:30"), ["08 03:00 -0400", "09 02:30 -0400"]),
        (LORD_HOWE, "2026-10-03T12:00", at("02:15"), ["04 02:30 +1100", "05 02:15 +1100"]),
        # The clock is put back: a time that comes twice counts once.
        (BERLIN, "2026-10-24T12:00", at("02:30"), ["25 02:30 +0200", "26 02:30 +0100"]),
        (NEW_YORK, "2026-10-31T12:00", at("01:30"), ["01 01:30 -0400", "02 01:30 -0500"]),
        (LORD_HOWE, "2026-04-04T12:00", at("01:45"), ["05 01:45 +1100", "06 01:45 +1030"]),
        # It was created in the repeated hour, after the first of both.
        (BERLIN, "2026-10-25T03:00", at("02:45"), ["26 02:45 +0100", "27 02:45 +0100"]),
    ],
)
def test_a_day_has_one_start_also_when_the_clock_changes(
    zone: str, begin: str, timing: dict[str, Any], expected: list[str]
) -> None:
    assert clocks(next_slots(timing, zone, ms(begin, zone), 2), zone) == expected


def test_a_schedule_made_in_the_repeated_hour_is_not_due_at_once() -> None:
    after = ms("2026-10-25T02:35", BERLIN) + 3_600_000  # the second 02:35 of that night
    assert clocks(next_slots(at("02:45"), BERLIN, after, 1), BERLIN) == ["26 02:45 +0100"]


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE, "UTC", "Asia/Kathmandu"])
@pytest.mark.parametrize(
    ("timing", "longest", "shortest"),
    [
        ({"kind": "minutes", "every": 15}, 15, 15),
        ({"kind": "minutes", "every": 1}, 1, 1),
        ({"kind": "hours", "every": 1, "minute": 0}, 90, 60),  # half an hour more in Lord Howe
        ({"kind": "hours", "every": 2, "minute": 0}, 180, 60),
        (cron("0 */2 * * *"), 180, 60),
        (at("02:15"), 25 * 60, 23 * 60),
    ],
)
def test_over_a_year_no_start_is_lost_and_none_comes_twice(
    zone: str, timing: dict[str, Any], longest: int, shortest: int
) -> None:
    """Looks at the four days around each change of the clock within a year."""
    most = 4 * 24 * 60 // shortest + 1
    for change in changes_of(zone):
        begin = change - 2 * 86_400_000
        slots = [slot for slot in next_slots(timing, zone, begin, most) if slot < change + 2 * 86_400_000]
        apart = [(after - before) / 60_000 for before, after in itertools.pairwise(slots)]
        assert slots == sorted(set(slots))
        assert max(apart) <= longest
        assert min(apart) >= shortest
        for slot in slots[:50]:  # whoever asks in between gets the same
            assert next_slots(timing, zone, slot - 1, 1) == [slot]


@functools.cache
def changes_of(zone: str) -> list[int]:
    """Returns the moments of 2026 at which the clock changes; without any, a day in summer."""
    here, moment = ZoneInfo(zone), datetime(2026, 1, 1, tzinfo=UTC)
    found: list[int] = []
    while moment.year == 2026:
        later = moment + timedelta(minutes=30)
        if moment.astimezone(here).utcoffset() != later.astimezone(here).utcoffset():
            found.append(int(later.timestamp() * 1000))
        moment = later
    return found or [int(datetime(2026, 7, 1, tzinfo=UTC).timestamp() * 1000)]


def test_missed_moments_are_counted() -> None:
    begin = ms("2026-11-02T09:00", BERLIN)
    assert slots_between(at("09:00"), BERLIN, begin, begin + 3 * 86_400_000) == 3
    assert slots_between({"kind": "minutes", "every": 1}, BERLIN, begin, begin + 86_400_000) == 1_000


def test_the_last_day_of_a_month_is_the_last_also_in_february() -> None:
    slots = next_slots({"kind": "monthly", "day": "last", "time": "09:00"}, BERLIN, ms("2028-01-15T00:00", BERLIN), 3)
    assert [text[:2] for text in clocks(slots, BERLIN)] == ["31", "29", "31"]


def test_the_zones_to_choose_from_are_places() -> None:
    names = zone_names()
    assert names[0] == "UTC"
    assert {BERLIN, NEW_YORK, LORD_HOWE, "Asia/Kolkata"} <= set(names)
    assert not [name for name in names if name.startswith(("Etc/", "posix/")) or ("/" not in name and name != "UTC")]
