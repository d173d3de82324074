"""Formatting of numbers, money and times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ui.kit.text import (
    ENGLISH,
    Reader,
    cost,
    duration,
    number,
    percent,
    rolled_up_duration,
    size,
    tokens,
    type_word,
)
from ui.kit.times import ago, clock_time, moment, time_of_text

NOW = datetime(2026, 11, 24, 9, 41, 52, tzinfo=UTC)
GERMAN = Reader.of({"fp_signs": ".%2C", "fp_zone": "Europe/Berlin"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (number(1236), "1,236"),
        (number(1236.5), "1,236.5"),
        (number(1236.5, GERMAN), "1.236,5"),
        (tokens(1), "1 token"),
        (tokens(1236), "1,236 tokens"),
        (cost(0.0007), "$0.0007"),
        (cost(1.27), "$1.27"),
        (cost(0), "$0.00"),
        (cost(None), "unknown"),
        (cost(0.00000001), "under $0.0001"),
        (percent(0.985), "98.5 %"),
        (percent(0.99999), "99.9 %"),
        (percent(0.00001), "0.1 %"),
        (percent(1), "100 %"),
        (duration(0.0042), "4 ms"),
        (duration(0.01), "10 ms"),
        (duration(0.014), "14 ms"),
        (duration(0.9994), "999 ms"),
        (duration(0.9996), "1.0 s"),
        (rolled_up_duration(0.0042), "4 ms"),
        (rolled_up_duration(0.4142), "410 ms"),
        (rolled_up_duration(0.9949), "990 ms"),
        (rolled_up_duration(0.9951), "1.0 s"),
        (rolled_up_duration(59.949), "59.9 s"),
        (duration(41.24), "41.2 s"),
        (duration(59.97), "1 min"),
        (duration(185), "3 min 5 s"),
        (duration(3720), "1 h 2 min"),
        (duration(None), ""),
        (size(812), "812 bytes"),
        (size(20_480), "20 KB"),
        (size(1_572_864), "1.5 MB"),
    ],
)
def test_numbers_are_written_for_people(text: str, expected: str) -> None:
    assert text == expected


@pytest.mark.parametrize(
    ("past", "expected"),
    [
        (timedelta(seconds=1), "just now"),
        (timedelta(seconds=10), "10 s ago"),
        (timedelta(minutes=4), "4 min ago"),
        (timedelta(hours=1), "1 h ago"),
        (timedelta(hours=20), "yesterday"),
        (timedelta(days=9), "9 days ago"),
        (timedelta(days=40), "15 Oct"),
        (timedelta(days=400), "20 Oct 2025"),
        (timedelta(seconds=-5), "just now"),
    ],
)
def test_the_past_is_told_in_one_unit(past: timedelta, expected: str) -> None:
    assert ago(NOW - past, NOW) == expected


def test_times_stand_in_the_readers_zone() -> None:
    assert clock_time(NOW, ENGLISH) == "09:41:52"
    assert clock_time(NOW, GERMAN) == "10:41:52"
    assert moment(NOW, NOW) == "today 09:41:52"
    assert moment(NOW - timedelta(days=12), NOW) == "12 Nov 09:41"


@pytest.mark.parametrize("zone", ["../../etc/passwd", "No/Where", "x" * 1000, "%00", ""])
def test_an_unknown_zone_is_utc(zone: str) -> None:
    assert Reader.of({"fp_zone": zone}).zone == UTC


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("%2C.", "1,234,567.5"),
        ("%E2%80%AF%2C", "1\u202f234\u202f567,5"),
        ("%C2%A0%2C", "1\u00a0234\u00a0567,5"),
        ("%E2%80%99.", "1’234’567.5"),
    ],
)
def test_figures_are_written_as_the_browser_says(told: str, expected: str) -> None:
    assert number(1_234_567.5, Reader.of({"fp_signs": told})) == expected


@pytest.mark.parametrize("told", ["", ".", "..", "<>", "12", ".%2C.", "%", "%FF%FF", "x" * 1000])
def test_signs_that_are_none_are_those_of_english(told: str) -> None:
    assert number(1236.5, Reader.of({"fp_signs": told})) == "1,236.5"


def test_types_have_words() -> None:
    assert type_word({"type": "string", "format": "uri"}) == "Web address"
    assert type_word({"type": ["integer", "null"]}) == "Whole number"
    assert type_word({"type": "array", "items": {"type": "string"}}) == "List of texts"
    assert type_word({"type": "array", "items": {"type": "string", "format": "uri"}}) == "List of web addresses"
    assert type_word("boolean") == "Yes or no"
    assert type_word({}) == "Anything"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-11-27T12:06:08.834Z", "27 Nov 2026 13:06:08"),
        ("2026-11-27T23:30:00-01:00", "28 Nov 2026 01:30:00"),
        ("2026-11-27T12:06Z", "27 Nov 2026 13:06:00"),
        *((other, "") for other in ("2026-11-27", "2026-11-27T12:06:08", "at 2026-11-27T12:06Z", "2026-02-31T12:06Z")),
        *((other, "") for other in ("0001-01-01T00:00+14:00", "9999-12-31T23:59Z", "2026-11-27T12:06Z\n", "")),
    ],
)
def test_a_text_that_is_a_time_is_shown_as_people_read_it(text: str, shown: str) -> None:
    assert time_of_text(text, GERMAN) == shown
