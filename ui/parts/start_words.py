"""When a schedule starts, in words."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from ui.kit.times import Times, when


def slot_words(slot: int, zone: str) -> str:
    """Returns a start as the clock of its zone shows it: `Mon 30 Nov 2026, 09:00`."""
    return datetime.fromtimestamp(slot / 1_000, UTC).astimezone(ZoneInfo(zone)).strftime("%a %-d %b %Y, %H:%M")


def start_words(slot: int, zone: str, times: Times) -> str:
    """The same, with `, Europe/Berlin` where the clock of the zone shows another time than the person's own."""
    moment = when(slot)
    own = moment.astimezone(times.reader.zone).utcoffset()
    there = "" if moment.astimezone(ZoneInfo(zone)).utcoffset() == own else f", {zone}"
    return f"{slot_words(slot, zone)}{there}"
