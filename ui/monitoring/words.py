"""Texts of Monitoring: kinds of errors, costs that may be partly unknown, times of slots, changes between periods."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from engine.core.clock import DAY, HOUR, MINUTE, Millis
from storage.monitoring.counts import Cost
from storage.monitoring.figures import Kind
from storage.monitoring.period import Period
from ui.kit import text
from ui.kit.text import Reader, _, number, plural
from ui.kit.times import when
from ui.parts.failure_words import failure_word
from ui.parts.refusal_words import refusal_word

#: Name of a range -> (on the button, "in the last ...", "the ... before", length of a slot).
RANGE_WORDS = {
    "1h": (_("1 h"), _("hour"), _("in an hour"), _("every 2 minutes")),
    "24h": (_("24 h"), _("24 hours"), _("in a day"), _("per hour")),
    "7d": (_("7 d"), _("7 days"), _("in a week"), _("every 6 hours")),
    "30d": (_("30 d"), _("30 days"), _("in 30 days"), _("per day")),
}
FIRST_RANGE = "24h"


def kind_word(kind: Kind) -> str:
    """The label of a kind of error: `Model was asked too often`, `The body did not fit`."""
    if kind.refused:
        return refusal_word(kind.code)
    return failure_word(kind.code)


def usd(nanos: float) -> float:
    """Converts nano-dollars to dollars."""
    return nanos / 1_000_000_000


def cost_words(cost: Cost, reader: Reader) -> str:
    """Formats a cost: `$1.60`; `at least $1.60` when some calls have no price; `unknown` when none has."""
    if not cost.unknown:
        return text.cost(usd(cost.nanos), reader)
    if cost.unknown == cost.calls:
        return text.cost(None, reader)
    return _("at least {amount}").format(amount=text.cost(usd(cost.nanos), reader))


def without_price(cost: Cost, reader: Reader) -> str:
    """Formats the number of calls without a price: `3 calls without a price`."""
    return plural(cost.unknown, _("call without a price"), _("calls without a price"), reader)


class SlotWords(Struct, frozen=True):
    """Labels of the slots of a period in the viewer's time zone."""

    period: Period
    reader: Reader

    def whole(self, start: Millis) -> str:
        """The label of a slot: `09:00 to 10:00`, `24 Nov 06:00 to 12:00`, `24 Nov`."""
        begin, end = self._local(start), self._local(self.period.end(start))
        if self.period.step >= DAY:
            return f"{begin.day} {begin:%b}"
        day = f"{begin.day} {begin:%b} " if self.period.until - self.period.since > 2 * HOUR else ""
        return _("{day}{begin} to {end}").format(day=day, begin=f"{begin:%H:%M}", end=f"{end:%H:%M}")

    def ticks(self) -> list[tuple[int, str]]:
        """Four or five labelled times for the axis of a chart; the last is `now`."""
        length = self.period.until - self.period.since
        every = {HOUR: 15 * MINUTE, DAY: 6 * HOUR, 7 * DAY: 2 * DAY}.get(_rounded(length), 7 * DAY)
        end = self.period.end(self.period.starts[-1])
        first = -(-self.period.local(self.period.since) // every) * every
        found: list[tuple[int, str]] = []
        for shown in range(first, self.period.local(end), every):
            at = self.period.moment(shown)
            if end - at < (end - self.period.since) * 0.13:
                break
            local = self._local(at)
            found.append((at, f"{local:%H:%M}" if every < DAY else f"{local.day} {local:%b}"))
        return [*found, (end, _("now"))]

    def _local(self, at: Millis) -> datetime:
        return when(at).astimezone(self.reader.zone)


def _rounded(length: int) -> int:
    """Rounds the length of a period down to whole hours, because periods are extended to whole slots."""
    return length // HOUR * HOUR


def change(count: int, before: int, reader: Reader) -> tuple[str, str]:
    """Compares a count with the period before: (arrow, `12 %`). The caller adds the length of the period."""
    if not before:
        return "", ""
    share = (count - before) / before
    if abs(share) < 0.005:
        return "arrow_forward", _("as before")
    if share > 9.99:
        return "north_east", _("{count} times as many").format(count=number(count / before, reader, places=0))
    return ("north_east" if share > 0 else "south_east"), f"{number(abs(share) * 100, reader, places=0)} %"
