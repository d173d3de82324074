"""The cards of the charts: title, chart, and "Show as a table" with the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import events, ui

from storage.monitoring.curves import Curves
from storage.monitoring.figures import Figures
from storage.monitoring.period import Filters
from ui.kit.feedback import fold
from ui.kit.parts import Column, link, segments, table, words
from ui.kit.text import Reader, _
from ui.monitoring.drawn_charts import TITLES, Cell, Drawing, Drawings
from ui.monitoring.words import RANGE_WORDS
from ui.parts.charts import chart


class ChartCard:
    """One chart, updated in place. Its table is created when somebody opens it."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.drawing: Drawing | None = None
        self.chart: ui.plotly | None = None
        self.open = False
        with ui.element("section").classes("fp-card fp-chart-card") as card:
            with ui.element("div").classes("fp-chart-head"):
                heading = words(title, tag="h2")
                self.hint = words("", "fp-s12 fp-t3")
                words("", "fp-sp")
                self.head = ui.element("div")
            card.props["aria-labelledby"] = heading.html_id
            self.body = ui.element("div").classes("fp-chart-body")
            with fold(_("Show as a table")) as details:
                words(f": {title}", "fp-hide").move(details.default_slot.children[0])
                self.rows = ui.element("div").classes("fp-chart-rows")
            details.on("toggle", self._toggle, js_handler="(event) => emit(event.target.open)")

    def show(self, drawing: Drawing, hint: str) -> None:
        """Draws the chart or updates it."""
        self.hint.text = hint
        if drawing == self.drawing:
            return
        self.drawing = drawing
        if drawing.figure is None or self.chart is None:
            self.body.clear()
            self.chart = None
            with self.body:
                if drawing.figure is None:
                    words(drawing.empty, "fp-chart-empty fp-t2 fp-s13", tag="p")
                else:
                    self.chart = chart(drawing.figure, drawing.label, self._pick if drawing.paths else None)
        else:
            self.chart.props["aria-label"] = drawing.label
            self.chart.update_figure(drawing.figure)
        if self.open:
            self._draw_table()

    def _pick(self, number: int) -> None:
        if self.drawing is not None and number < len(self.drawing.paths):
            ui.navigate.to(self.drawing.paths[number])

    def _toggle(self, event: events.GenericEventArguments) -> None:
        self.open = bool(event.args)
        self.rows.clear()
        if self.open:
            self._draw_table()

    def _draw_table(self) -> None:
        if self.drawing is None:
            return
        self.rows.clear()
        with self.rows:
            if not self.drawing.rows:
                words(_("There is nothing in this time."), "fp-t2", tag="p")
                return
            columns = [Column(name, right=at >= self.drawing.worded) for at, name in enumerate(self.drawing.columns)]
            drawn = table(columns, label=self.title).props("tabindex=0")
            for row in self.drawing.rows:
                with drawn.row():
                    for cell in row:
                        _draw_cell(drawn.cell, cell)


def _draw_cell(add: Callable[..., Any], cell: Cell) -> None:
    if not cell.path:
        add(cell.text)
        return
    with add():
        link(cell.text, cell.path)


class ChartCards:
    """All charts of a page, drawn together."""

    def __init__(self, reader: Reader, *, by: str, turnable: bool) -> None:
        """`by`: whether costs are first shown by `flow` or by `model`; `turnable`: the person may change that."""
        self.by = by
        self.reader = reader
        self.drawings: Drawings | None = None
        with ui.element("div").classes("fp-charts"):
            self.cards = {name: ChartCard(title) for name, (title, _hint) in TITLES.items()}
            if turnable:
                with self.cards["costs"].head:
                    segments({"flow": _("By flow"), "model": _("By model")}, by, self._turn, label=_("Cost by"))

    def show(self, figures: Figures, curves: Curves, filters: Filters, range_name: str) -> None:
        """Draws the figures and curves."""
        self.drawings = Drawings(figures, curves, filters, self.reader, range_name)
        self.slot_words = RANGE_WORDS[range_name][3]
        for name, card in self.cards.items():
            drawing = self.drawings.costs(self.by) if name == "costs" else getattr(self.drawings, name)()
            card.show(drawing, TITLES[name][1] or self.slot_words)

    def _turn(self, by: str) -> None:
        self.by = by
        if self.drawings is not None:
            self.cards["costs"].show(self.drawings.costs(by), self.slot_words)
