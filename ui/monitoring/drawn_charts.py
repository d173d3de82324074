"""Computes the charts of Monitoring from figures and curves, each with the same numbers as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct

from storage.monitoring.counts import STEPS_FAILED, Cost, Took
from storage.monitoring.curves import Curves
from storage.monitoring.figures import Figures, Kind
from storage.monitoring.period import Filters
from ui.jobs.filters import BUT_PLAYGROUND
from ui.kit.text import Reader, _, number, plural, rolled_up_duration
from ui.monitoring.charts_over_time import Series, TimeAxis, lines, scale, stacked_bars
from ui.monitoring.words import SlotWords, cost_words, kind_word, usd
from ui.parts.charts import AMBER, BLUE, PURPLE, QUIET, RED, TEAL, Rank, ranking

MAX_KINDS = 5
MAX_SPENDERS = 3
#: Steps of an axis of seconds that are round as durations.
_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200)


class Cell(Struct, frozen=True):
    """A cell of a table; with a path it is a link."""

    text: str
    path: str = ""


class Drawing(Struct, frozen=True):
    """A chart and its table.

    `figure` None: there is no data, and `empty` says why. `paths`: where a click on a bar leads.
    """

    figure: dict[str, Any] | None
    label: str
    empty: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    paths: tuple[str, ...] = ()
    #: How many columns of the table are text; the others are numbers.
    worded: int = 1


def jobs_path(
    filters: Filters,
    range_name: str,
    kind: Kind | None,
    *,
    refused: bool = False,
    status: str = "failed",
    trigger: str = "",
) -> str:
    """The URL of the Jobs page with these filters: of one kind of error, or of all failed or refused calls. It lists no
    runs of the Playground when they are not counted.
    """
    said: dict[str, str | None] = {"flow": filters.flow_id, "key": filters.key_id, "range": range_name}
    said["trigger"] = trigger
    environment = filters.environment or (None if filters.key_id else BUT_PLAYGROUND)
    if kind.refused if kind else refused:
        said |= {"tab": "refused", "code": kind.code if kind else None, "environment": filters.environment}
    elif kind and kind.code == STEPS_FAILED:
        said |= {"status": STEPS_FAILED, "environment": environment}
    else:
        said |= {"status": status, "environment": environment, "error": kind.code if kind else None}
    return f"/jobs?{urlencode({name: value for name, value in said.items() if value})}"


def _what_it_did(kind: Kind) -> str:
    if kind.refused:
        return _("refused the call")
    return _("the job went on without it") if kind.code == STEPS_FAILED else _("made the job fail")


class Drawings:
    """Computes all charts from the figures of one read."""

    def __init__(
        self, figures: Figures, curves: Curves, filters: Filters, reader: Reader, range_name: str = ""
    ) -> None:
        self.range_name = range_name
        self.figures = figures
        self.curves = curves
        self.filters = filters
        self.reader = reader
        period = figures.period
        self.slots = SlotWords(period, reader)
        self.names = [self.slots.whole(start) for start in period.starts]
        self.axis = TimeAxis(period.starts, period.step, self.slots.ticks(), period.since)

    def requests(self) -> Drawing:
        """Jobs by status and refused calls, stacked."""
        parts = (
            (_("Completed"), BLUE, ("completed",)),
            (_("Completed, steps failed"), PURPLE, (STEPS_FAILED,)),
            (_("Not ended yet"), TEAL, ("queued", "processing")),
            (_("Cancelled"), QUIET, ("cancelled",)),
            (_("Failed"), RED, ("failed",)),
            (_("Refused"), AMBER, ("refused",)),
        )
        series = [
            self._series(
                name,
                colour,
                [sum(one.get(status, 0) for status in statuses) for one in self.figures.statuses],
                self._count,
            )
            for name, colour, statuses in parts
        ]
        series = [one for one in series if any(one.values)]
        highest = max(sum(one.values()) for one in self.figures.statuses)
        figure = stacked_bars(self.axis, series, scale(highest, self._count, whole=True)) if series else None
        return Drawing(
            figure,
            _("Requests by status: {jobs}, {count} refused").format(
                jobs=plural(self.figures.requests, _("job"), _("jobs"), self.reader),
                count=self._count(self.figures.refused),
            ),
            _("Nobody called in this time."),
            *self._table(series, self._count),
        )

    def run_time(self) -> Drawing:
        """The median and the 95th percentile of the run time of completed jobs."""
        return self._percentiles(
            self.curves.took,
            _("Run time of completed jobs: typical, and the slowest 5 %"),
            _("No job was completed in this time."),
        )

    def waiting(self) -> Drawing:
        """The median and the 95th percentile of the time from a job's acceptance to its start."""
        return self._percentiles(
            self.curves.waited,
            _("Time from acceptance to start: typical, and the slowest 5 %"),
            _("No job was started in this time."),
        )

    def costs(self, by: str) -> Drawing:
        """Cost of model calls, by `flow` or by `model`."""
        titles = {one.flow_id: one.title or _("Deleted flow") for one in self.figures.endpoints}
        spent: dict[str, Cost] = {}
        of_slot: dict[tuple[int, str], Cost] = {}
        for (slot, flow_id, connection, model), cost in self.figures.costs.items():
            name = titles.get(flow_id, _("Deleted flow")) if by == "flow" else f"{model} ({connection})"
            spent[name] = spent.get(name, Cost()) + cost
            of_slot[slot, name] = of_slot.get((slot, name), Cost()) + cost
        names = sorted(spent, key=lambda name: (-spent[name].nanos, name))
        shown = names[:MAX_SPENDERS] if len(names) > MAX_SPENDERS + 1 else names
        groups: list[tuple[str, tuple[str, ...]]] = [(name, (name,)) for name in shown]
        if len(shown) < len(names):
            groups.append((_("Others"), tuple(names[len(shown) :])))
        places = range(len(self.names))
        sums = [
            (name, [sum((of_slot.get((at, one), Cost()) for one in members), Cost()) for at in places])
            for name, members in groups
        ]
        series = [
            Series(
                name.partition(" (")[0] if by == "model" else name,
                colour,
                [usd(cost.nanos) for cost in costs],
                [
                    f"{slot}: {cost_words(cost, self.reader)}, {name}"
                    for slot, cost in zip(self.names, costs, strict=True)
                ],
            )
            for (name, costs), colour in zip(sums, (BLUE, TEAL, PURPLE, QUIET), strict=False)
        ]
        total = [sum((costs[at] for _name, costs in sums), Cost()) for at in places]
        highest = max(usd(cost.nanos) for cost in total)
        drawn = [one for one in series if any(one.values)]
        figure = stacked_bars(self.axis, drawn, scale(highest, self._money)) if drawn else None
        unknown = self.figures.cost.unknown
        return Drawing(
            figure,
            (_("Cost by flow: {cost}") if by == "flow" else _("Cost by model: {cost}")).format(
                cost=cost_words(self.figures.cost, self.reader)
            ),
            _("The price of these models is not known.") if unknown else _("Nothing was spent on models in this time."),
            (_("Time"), *(name for name, _costs in sums), _("Together")),
            tuple(
                (
                    Cell(self.names[at]),
                    *(Cell(cost_words(costs[at], self.reader)) for _name, costs in sums),
                    Cell(cost_words(total[at], self.reader)),
                )
                for at in places
                if total[at].calls
            ),
        )

    def errors(self) -> Drawing:
        """Failed jobs and refused calls by kind, the most frequent first."""
        kinds = self.figures.kinds
        shown = kinds if len(kinds) <= MAX_KINDS else kinds[: MAX_KINDS - 2]
        rest = kinds[len(shown) :]
        ranks = [
            self._rank(kind_word(kind), kind.count, refused=kind.refused, went_on=kind.code == STEPS_FAILED)
            for kind in shown
        ]
        paths = [self.path(kind) for kind in shown]
        others_word = {False: _("Other failures"), True: _("Other refused calls")}
        for refused in (False, True):
            others = [kind for kind in rest if kind.refused == refused]
            if others:
                ranks.append(self._rank(others_word[refused], sum(kind.count for kind in others), refused=refused))
                paths.append(self.path(None, refused=refused))
        return Drawing(
            ranking(ranks) if ranks else None,
            _("Errors by kind: {ranks}").format(
                ranks="; ".join(f"{one.name}, {one.words} {one.kind}" for one in ranks)
            ),
            _("Nothing failed and nothing was refused in this time."),
            (_("Kind"), _("What it did"), _("How often")),
            tuple(
                (
                    Cell(kind_word(kind), self.path(kind)),
                    Cell(_what_it_did(kind)),
                    Cell(self._count(kind.count)),
                )
                for kind in kinds
            ),
            tuple(paths),
            worded=2,
        )

    def at_once(self) -> Drawing:
        """The most jobs that held a slot at the same time, with the limit."""
        limit = self.figures.now.concurrency if self.filters.of_api else None
        highest = max(self.curves.at_once)
        series = [self._series(_("At once"), BLUE, list(self.curves.at_once), self._count)]
        figure = lines(
            self.axis,
            series,
            scale(max(highest, limit or 1), self._count, whole=True),
            limit=None if limit is None else (limit, _("Limit {count}").format(count=self._count(limit))),
            steps=True,
        )
        said = _("no limit") if limit is None else _("the limit is {count}").format(count=self._count(limit))
        return Drawing(
            figure,
            _("Jobs at once: at most {count}, {said}").format(count=self._count(highest), said=said),
            "",
            *self._table(series, self._count),
        )

    def path(self, kind: Kind | None, *, refused: bool = False) -> str:
        """The URL of the Jobs page with these filters."""
        return jobs_path(self.filters, self.range_name, kind, refused=refused)

    def _percentiles(self, tooks: Sequence[Took | None], label: str, empty: str) -> Drawing:
        def of(name: str, colour: str, pick: Callable[[Took], int], *, dashed: bool = False) -> Series:
            values = [None if took is None else pick(took) / 1000 for took in tooks]
            return self._series(name, colour, values, self._seconds, dashed=dashed)

        series = [
            of(_("Typical"), BLUE, lambda took: took.p50),
            of(_("Slowest 5 %"), PURPLE, lambda took: took.p95, dashed=True),
        ]
        highest = max((took.p95 / 1000 for took in tooks if took), default=0)
        known = any(tooks)
        figure = (
            lines(self.axis, series, scale(highest, self._axis_words(highest), steps=_SECONDS if highest >= 3 else ()))
            if known
            else None
        )
        return Drawing(figure, label, empty, *self._table(series if known else [], self._seconds))

    def _series(
        self,
        name: str,
        colour: str,
        values: Sequence[float | None],
        words: Callable[[float], str],
        *,
        dashed: bool = False,
    ) -> Series:
        said = [
            _("{slot}: unknown, {name}").format(slot=slot, name=name)
            if value is None
            else _("{slot}: {words}, {name}").format(slot=slot, words=words(value), name=name)
            for slot, value in zip(self.names, values, strict=True)
        ]
        return Series(name, colour, values, said, dashed)

    def _table(
        self, series: Sequence[Series], words: Callable[[float], str]
    ) -> tuple[tuple[str, ...], tuple[tuple[Cell, ...], ...]]:
        rows = [
            (Cell(slot), *(Cell("–" if one.values[at] is None else words(one.values[at] or 0)) for one in series))
            for at, slot in enumerate(self.names)
            if any(one.values[at] for one in series)
        ]
        return (_("Time"), *(one.name for one in series)), tuple(rows)

    def _rank(self, name: str, count: int, *, refused: bool, went_on: bool = False) -> Rank:
        kind, colour = (_("refused"), AMBER) if refused else (_("went on"), PURPLE) if went_on else (_("failed"), RED)
        return Rank(name, count, kind, colour, self._count(count))

    def _count(self, value: float) -> str:
        return number(value, self.reader)

    def _seconds(self, value: float) -> str:
        whole = value >= 1 and float(value).is_integer() and value < 60
        return f"{number(value, self.reader)} s" if whole or not value else rolled_up_duration(value, self.reader)

    def _axis_words(self, highest: float) -> Callable[[float], str]:
        """The labels of an axis of seconds. A short axis is in milliseconds throughout, so that no two labels are the same."""
        if highest >= 1:
            return self._seconds

        def milliseconds(value: float) -> str:
            places = len(f"{value * 1000:.4f}".rstrip("0").partition(".")[2])
            return f"{number(value * 1000, self.reader, places=places)} ms"

        return milliseconds

    def _money(self, value: float) -> str:
        """Formats dollars with as many decimal places as the value needs: `$0.05`."""
        shown = f"{value:.6f}".rstrip("0").rstrip(".")
        places = len(shown.partition(".")[2])
        return f"${number(value, self.reader, places=max(places, 2) if places else 0)}" if value else "0"


#: Name of a chart -> (title, hint). A hint of None is replaced by the length of a slot.
TITLES: Mapping[str, tuple[str, str | None]] = {
    "requests": (_("Requests by status"), None),
    "run_time": (_("Run time"), _("of completed jobs: typical, and the slowest 5 %")),
    "costs": (_("Cost"), None),
    "errors": (_("Errors by kind"), _("a click filters Jobs")),
    "waiting": (_("Waiting for a start"), _("typical, and the slowest 5 %")),
    "at_once": (_("Jobs at once"), _("the most at the same time")),
}
