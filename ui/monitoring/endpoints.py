"""The table of endpoints: figures of each flow's API, the most called first; a row opens the flow's page."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from storage.monitoring.counts import STEPS_FAILED
from storage.monitoring.figures import Endpoint
from ui.kit.parts import Column, Words, icon, link, table, words
from ui.kit.text import _, number, percent, plural, rolled_up_duration
from ui.kit.times import Times
from ui.monitoring.words import RANGE_WORDS, cost_words, kind_word, without_price
from ui.parts.charts import sparkline

#: A success rate below this share is highlighted as a warning.
GOOD = 0.99


class EndpointTable:
    """The table. Rows are updated in place, so that a link keeps the keyboard focus while figures change."""

    def __init__(self, times: Times) -> None:
        self.times = times
        self.rows: list[_EndpointRow] = []
        self.place = ui.element("section").classes("fp-card fp-endpoints")
        self.place.props["aria-label"] = _("Endpoints")

    def show(self, endpoints: Sequence[Endpoint], range_name: str) -> None:
        """Draws the rows or updates those that exist."""
        shape = [(one.flow_id, one.title, one.live_version, range_name) for one in endpoints]
        if shape != [row.shape for row in self.rows]:
            self._draw(endpoints, range_name)
        for row, one in zip(self.rows, endpoints, strict=True):
            row.show(one)

    def _draw(self, endpoints: Sequence[Endpoint], range_name: str) -> None:
        self.place.clear()
        columns = [
            Column(_("Flow")),
            Column(RANGE_WORDS[range_name][0], width="116px"),
            *(
                Column(name, right=True)
                for name in (_("Requests"), _("Success"), _("Typical"), _("Slowest 5 %"), _("Cost"), _("Refused"))
            ),
            Column(_("Last error"), width="24%"),
        ]
        with self.place:
            rows = table(columns, label=_("Endpoints"))
            self.rows = []
            for one in endpoints:
                path = f"/flows/{one.flow_id}" if one.title is not None and not one.deleted else ""
                with rows.row(on_open=(lambda path=path: ui.navigate.to(path)) if path else None):
                    self.rows.append(_EndpointRow(one, range_name, path, self.times))


class _EndpointRow:
    def __init__(self, one: Endpoint, range_name: str, path: str, times: Times) -> None:
        self.shape = (one.flow_id, one.title, one.live_version, range_name)
        self.times = times
        self.span = RANGE_WORDS[range_name][1]
        self.shown: Endpoint | None = None
        with words("", "fp-endpoint", tag="td"):
            if path:
                link(one.title or "", path, "fp-row-link fp-cut")
            else:
                words(one.title or _("Other calls"), "fp-t2 fp-b fp-cut")
            live = one.live_version
            note = _("v{live} is live").format(live=live) if live is not None else _("deleted") if one.deleted else ""
            state = words(note or (_("not live") if path else _("no flow of yours")), "fp-s12 fp-t3 fp-nw")
            if live is not None:
                state.props["title"] = _("The figures are those of all versions.")
        self.spark = words("", "fp-desk-cell", tag="td")
        self.requests, self.success, self.p50, self.p95, self.cost, self.refused = (
            self._cell(name)
            for name in (_("requests"), _("success"), _("typical"), _("slowest 5 %"), _("cost"), _("refused"))
        )
        self.last = words("", "fp-last-error fp-t2 fp-s12", tag="td")

    @staticmethod
    def _cell(name: str) -> Words:
        cell = words("", "fp-r", tag="td")
        cell.props["data-name"] = name
        return cell

    def show(self, one: Endpoint) -> None:
        """Writes the figures into the row."""
        if one == self.shown and one.last_error is None:
            return
        reader = self.times.reader
        self.requests.text = number(one.requests, reader)
        self.p50.text = rolled_up_duration(one.took.p50 / 1000, reader) if one.took else "–"
        self.p95.text = rolled_up_duration(one.took.p95 / 1000, reader) if one.took else "–"
        self.cost.text = cost_words(one.cost, reader)
        self.cost.props["title"] = without_price(one.cost, reader) if one.cost.unknown else ""
        self.refused.text = number(one.refused, reader)
        last = one.last_error
        self.last.text = f"{kind_word(last)}, {self.times.ago(last.last_at)}" if last else _("None")
        if self.shown is None or self.shown.by_slot != one.by_slot:
            self.spark.clear()
            if any(one.by_slot):
                with self.spark:
                    said = _("{requests}, the last {span}").format(
                        requests=plural(one.requests, _("request"), _("requests"), reader), span=self.span
                    )
                    sparkline(one.by_slot, said=said)
        if self.shown is None or self.shown.by_status != one.by_status:
            self.success.clear()
            lost = one.by_status.get(STEPS_FAILED, 0)
            low = (one.success is not None and one.success < GOOD) or lost > 0
            self.success.props["title"] = (
                _("{count} completed with failed steps").format(count=number(lost, reader)) if lost else ""
            )
            self.success.classes(add="fp-warn fp-b" if low else "", remove="" if low else "fp-warn fp-b")
            with self.success:
                if low:
                    icon("warning", size=14)
                words("–" if one.success is None else percent(one.success, reader))
        self.shown = one
