"""The time range of a list: the last 1 h, 24 h, 7 d or 30 d, yesterday, or a start and an end. Days and moments are those
of the reader's time zone.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any

from msgspec import Struct
from nicegui import ui

from engine.core.clock import MINUTE
from storage.monitoring.period import RANGES
from ui.kit.text import _

ANY = ""
OWN = "own"
YESTERDAY = "yesterday"
#: Name in the page's address -> label on screen.
WORDS = {
    ANY: _("Any time"),
    "1h": _("Last hour"),
    "24h": _("Last 24 hours"),
    YESTERDAY: _("Yesterday"),
    "7d": _("Last 7 days"),
    "30d": _("Last 30 days"),
    OWN: _("From and to"),
}
#: The ranges that need no start and end in the address.
_NAMED = frozenset({*RANGES, YESTERDAY})


class Span(Struct, frozen=True):
    """A time range as the page's address states it.

    `since` and `until` have the form `2026-11-25T09:30` and are used when there is no `range`.
    """

    range: str = ""
    since: str = ""
    until: str = ""

    @property
    def choice(self) -> str:
        """The entry of `WORDS` that is chosen."""
        if self.range and self.range in WORDS:
            return self.range
        return OWN if self.since or self.until else ANY

    def limits(self, now: int, zone: tzinfo) -> tuple[int | None, int | None]:
        """Start and end in milliseconds, both included; None means open."""
        if self.range in RANGES:
            return now - RANGES[self.range][0], None
        if self.range == YESTERDAY:
            today = datetime.fromtimestamp(now / 1000, zone).date()
            return _begin_of(today - timedelta(days=1), zone), _begin_of(today, zone) - 1
        since, until = _moment(self.since, zone), _moment(self.until, zone)
        return since, None if until is None else until + MINUTE - 1

    def said(self) -> dict[str, str]:
        """The range as query parameters of an address."""
        if self.range in _NAMED:
            return {"range": self.range}
        return {name: value for name, value in (("from", self.since), ("to", self.until)) if value}


def span_of(said: Any) -> Span:
    """Reads a range from the query of an address; invalid parts are ignored."""
    chosen = str(said.get("range", ""))
    return Span(chosen if chosen in _NAMED else "", _clean(said.get("from", "")), _clean(said.get("to", "")))


def span_choice(span: Span, turn: Callable[[Span], Any]) -> None:
    """Draws the choice of a range, and two fields for a custom start and end."""
    choice = ui.select(WORDS, value=span.choice).props("outlined dense options-dense").classes("fp-filter")
    choice.props["aria-label"] = _("Time")
    with ui.element("span").classes("fp-row fp-from-to") as own:
        boxes = []
        for label, value in ((_("From"), span.since), (_("To"), span.until)):
            box = ui.input(value=value).props("type=datetime-local outlined dense debounce=300 stack-label")
            box.props["aria-label"] = label
            box.props["prefix"] = label
            boxes.append(box)
    own.visible = span.choice == OWN

    async def chosen() -> None:
        own.visible = choice.value == OWN
        await turn(
            Span("", _clean(boxes[0].value), _clean(boxes[1].value)) if own.visible else Span(str(choice.value or ""))
        )

    choice.on_value_change(chosen)
    for box in boxes:
        box.on_value_change(chosen)


def _clean(text: Any) -> str:
    """The moment as written; empty when it is not a valid moment."""
    try:
        datetime.fromisoformat(str(text or ""))
    except ValueError:
        return ""
    return str(text)[:16]


def _begin_of(day: date, zone: tzinfo) -> int:
    return int(datetime.combine(day, time.min, zone).timestamp() * 1000)


def _moment(text: str, zone: tzinfo) -> int | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        return int((at if at.tzinfo else at.replace(tzinfo=zone)).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return None
