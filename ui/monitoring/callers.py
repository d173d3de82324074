"""The table of callers: for each key who called, what failed and why, with links to these jobs and refused calls."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace
from nicegui import ui

from storage.jobs import ANY_TRIGGER
from storage.monitoring.counts import STEPS_FAILED
from storage.monitoring.figures import CallerFigures, Figures
from storage.monitoring.period import Filters
from ui.kit.parts import Column, TableElement, link, table, words
from ui.kit.text import _, number
from ui.kit.times import Times
from ui.monitoring.drawn_charts import jobs_path
from ui.monitoring.words import kind_word


class CallerTable:
    """The table."""

    def __init__(self, times: Times) -> None:
        self.times = times
        self.shown: tuple[object, ...] = ()
        self.place = ui.element("section").classes("fp-card fp-callers")
        self.place.props["aria-label"] = _("Calls by key")

    def show(self, figures: Figures, labels: Mapping[str, str], filters: Filters, range_name: str) -> None:
        """Draws the rows when they changed. `labels`: key id -> what the key is called on the page."""
        self.place.visible = bool(figures.callers) and filters.of_api
        said = (figures.callers, labels, filters, range_name, self.times.clock.now() // 60_000)
        if said == self.shown or not self.place.visible:
            return
        self.shown = said
        self.place.clear()
        columns = [
            Column(_("Key")),
            *(
                Column(name, right=True)
                for name in (_("Requests"), _("Failed"), _("Completed with failed steps"), _("Refused"))
            ),
            Column(_("Last error"), width="34%"),
        ]
        with self.place:
            with ui.element("div").classes("fp-chart-head"):
                words(_("Calls by key"), tag="h2")
                words(_("each caller has a key of its own; a number leads to these jobs"), "fp-s12 fp-t3")
            rows = table(columns, label=_("Calls by key"), stacks=True)
            for one in figures.callers:
                if one.key_id:
                    self._row(rows, one, labels.get(one.key_id) or _("No known key"), filters, range_name)
                    continue
                # A call needs a key to be accepted: jobs without one were started by schedules and webhooks.
                started, refused = _by_refusal(one)
                if started.by_status:
                    self._row(rows, started, _("Schedules and webhooks"), filters, range_name, ANY_TRIGGER)
                if refused.kinds:
                    self._row(rows, refused, _("No known key"), filters, range_name)

    def _row(
        self, rows: TableElement, one: CallerFigures, name: str, filters: Filters, range_name: str, trigger: str = ""
    ) -> None:
        mine = replace(filters, key_id=one.key_id or filters.key_id)
        with rows.row():
            rows.cell(name, "fp-b")
            for count, path in (
                (one.requests, jobs_path(mine, range_name, None, status="", trigger=trigger)),
                (one.by_status.get("failed", 0), jobs_path(mine, range_name, None, trigger=trigger)),
                (
                    one.by_status.get(STEPS_FAILED, 0),
                    jobs_path(mine, range_name, None, status=STEPS_FAILED, trigger=trigger),
                ),
                (one.refused, jobs_path(mine, range_name, None, refused=True)),
            ):
                with rows.cell():
                    self._count(count, path)
            with rows.cell("", "fp-wrap-text fp-s13"):
                last = one.last_error
                if last is None:
                    words(_("None"), "fp-t3")
                else:
                    said = f"{kind_word(last)}, {self.times.ago(last.last_at)}"
                    link(said, jobs_path(mine, range_name, last, trigger=trigger))

    def _count(self, count: int, path: str) -> None:
        if count:
            link(number(count, self.times.reader), path, "fp-num")
        else:
            words("0", "fp-num fp-t3")


def _by_refusal(one: CallerFigures) -> tuple[CallerFigures, CallerFigures]:
    """The figures of the jobs, and those of the refused calls."""
    return (
        replace(one, kinds=tuple(kind for kind in one.kinds if not kind.refused)),
        replace(one, by_status={}, kinds=tuple(kind for kind in one.kinds if kind.refused)),
    )
