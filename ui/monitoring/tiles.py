"""The tiles of Monitoring: requests, success, the slowest 5 %, cost, running jobs, and the month's quota."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nicegui import ui

from engine.core.clock import DAY, next_month
from storage.monitoring.counts import STEPS_FAILED, Cost
from storage.monitoring.figures import Figures, Now
from storage.monitoring.period import RANGES
from ui.kit.parts import ENVIRONMENTS, icon, meter, words
from ui.kit.text import Reader, _, cost, number, percent, plural, rolled_up_duration
from ui.monitoring.words import RANGE_WORDS, change, cost_words, usd, without_price


def monitoring_tiles(figures: Figures, range_name: str, reader: Reader, *, of_api: bool) -> None:
    """Draws the tiles in the current slot. Without `of_api` they are about Playground runs, which occupy no slot.

    Each has its column in `.fp-tiles--figures` (`assets/monitoring.css`); on phones the last two have a row of their own.
    """
    with _tile(_("Requests")):
        words(number(figures.requests, reader), tag="b")
        arrow, said = change(figures.requests, figures.requests_before, reader)
        span = f" {RANGE_WORDS[range_name][2]}" if said.endswith("%") else ""
        if said:
            _under(f"{said}{span}", symbol=arrow)
        if figures.now.quota_of is not None:
            _under(_("all environments together"))
    with _tile(_("Success")):
        words("–" if figures.success is None else percent(figures.success, reader), tag="b")
        failed, lost = figures.by_status.get("failed", 0), figures.by_status.get(STEPS_FAILED, 0)
        if failed:
            _under(_("{failed} failed").format(failed=number(failed, reader)), "fp-bad")
        if lost:
            _under(_("{count} completed with failed steps").format(count=number(lost, reader)), "fp-warn", "warning")
        if not failed and not lost:
            _under(_("none failed") if figures.requests else "")
    with _tile(_("Slowest 5 %")):
        took, before = figures.took, figures.took_before
        words("–" if took is None else rolled_up_duration(took.p95 / 1000, reader), tag="b")
        if took is not None and before is not None:
            _slower(took.p95 - before.p95, before.p95, reader)
        else:
            _under(_("take this long or longer") if took is not None else "")
    with _tile(_("Cost")):
        _cost(figures.cost, range_name, reader)
    _running(figures.now, reader, of_api=of_api)
    _quota(figures, reader)


def _cost(spent: Cost, range_name: str, reader: Reader) -> None:
    said = cost_words(spent, reader)
    least = f"{_('at least')} "
    with words("", tag="b"):
        if said.startswith(least):
            words(least, "fp-of")
        words(said.removeprefix(least))
    length = RANGES[range_name][0]
    if spent.unknown:
        _under(without_price(spent, reader), "fp-warn", "warning")
    elif spent.nanos and DAY <= length < 30 * DAY:
        _under(_("about {amount} a month").format(amount=cost(usd(spent.nanos) * 30 * DAY / length, reader)))
    else:
        _under(plural(spent.calls, _("model call"), _("model calls"), reader))


def _slower(by: int, before: int, reader: Reader) -> None:
    if abs(by) < max(before * 0.02, 10):
        _under(_("as before"), symbol="arrow_forward")
    elif by > 0:
        _under(
            _("{time} slower").format(time=rolled_up_duration(by / 1000, reader)),
            "fp-warn" if by > before * 0.1 else "fp-t3",
            "north_east",
        )
    else:
        _under(_("{duration} faster").format(duration=rolled_up_duration(-by / 1000, reader)), symbol="south_east")


def _running(now: Now, reader: Reader, *, of_api: bool) -> None:
    held = now.running + now.waiting
    with _tile(_("Running")):
        if of_api:
            _of(held, now.concurrency, _("Runs at the same time"), reader)
        else:
            words(number(held, reader), tag="b")
        waiting = now.waiting + now.outside
        said = _("{waiting} waiting").format(waiting=number(waiting, reader)) if waiting else _("none waiting")
        _under(said if now.quota_of is None else _("{said}, all environments").format(said=said))


def _quota(figures: Figures, reader: Reader) -> None:
    now = figures.now
    name = _("Month's quota")
    with _tile(name if now.quota_of is None else f"{name}, {ENVIRONMENTS[now.quota_of][0]}"):
        _of(now.month_count, now.monthly, _("Requests of this month"), reader)
        until = figures.period.until
        days = -(-(next_month(until) - until) // DAY)
        renews = _("renews in {days}").format(days=plural(days, _("day"), _("days"), reader))
        if now.monthly is None:
            _under(_("no limit"))
            return
        left = max(0, now.monthly - now.month_count)
        close = now.month_count >= 0.8 * now.monthly
        said = _("{left} left, {renews}").format(left=number(left, reader), renews=renews)
        _under(said, "fp-warn fp-b" if close else "fp-t3", "warning" if close else "")


def _of(used: int, limit: int | None, label: str, reader: Reader) -> None:
    with words(number(used, reader), tag="b"):
        words(
            " " + _("of {limit}").format(limit=number(limit, reader)) if limit is not None else f" {_('no limit')}",
            "fp-of",
        )
    if limit is not None:
        meter(used, limit, label=label)


@contextmanager
def _tile(name: str) -> Iterator[None]:
    with ui.element("div").classes("fp-card fp-tile"):
        words(name)
        yield


def _under(text: str, classes: str = "fp-t3", symbol: str = "") -> None:
    with ui.element("div").classes("fp-under-tile").classes(classes):
        if symbol:
            icon(symbol, size=14)
        words(text)
