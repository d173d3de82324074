"""The rows of one page as a table; a click on a cell opens the form of its row at that column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui

from storage.datasets import ColumnLine, RowLine
from ui.datasets.columns import ColumnHeads
from ui.datasets.words import column_word, number_text, two_places
from ui.kit.parts import words
from ui.kit.text import Reader, _, number
from ui.kit.times import time_of_text

_NUMBERS = frozenset({"number", "integer"})


class RowTable:
    """Draws itself where it is called.

    `chosen` None: rows cannot be selected; `heads` None: columns cannot be changed.
    """

    def __init__(
        self,
        rows: Sequence[RowLine],
        columns: Sequence[ColumnLine],
        reader: Reader,
        *,
        first: int,
        heads: ColumnHeads | None,
        chosen: set[int] | None,
        on_open: Callable[[int, str], Any],
        on_choose: Callable[[], Any],
    ) -> None:
        self.rows = rows
        self.columns = columns
        self.reader = reader
        self.first = first
        self.heads = heads
        self.chosen = chosen
        self.on_open = on_open
        self.on_choose = on_choose
        self._boxes: list[ui.checkbox] = []
        #: Columns whose numbers have two decimal places.
        self._two = {
            one.name for one in columns if one.type == "number" and two_places(row.data.get(one.name) for row in rows)
        }

    def draw(self) -> None:
        """Draws the table in a container that scrolls horizontally."""
        with ui.element("div").classes("fp-scroll fp-rows-box").props("tabindex=0 role=region") as box:
            box.props["aria-label"] = _("Rows")
            with ui.element("table").classes("fp-tb fp-rows") as table:
                table.props["aria-label"] = _("Rows")
                with ui.element("thead"), ui.element("tr"):
                    self._draw_heads()
                with ui.element("tbody"):
                    for at, row in enumerate(self.rows):
                        with ui.element("tr").classes("fp-open"):
                            self._draw_row(at, row)

    def _draw_heads(self) -> None:
        if self.chosen is not None:
            with ui.element("th").props("scope=col").classes("fp-pick"):
                every = ui.checkbox(value=all(row.id in self.chosen for row in self.rows))
                every.props["aria-label"] = _("Choose all rows of this page")
                every.on_value_change(lambda event: self._choose_all(bool(event.value)))
        words(_("Row"), tag="th").props("scope=col").classes("fp-r")
        for column in self.columns:
            right = "fp-r" if column.type in _NUMBERS else ""
            with ui.element("th").props("scope=col").classes(right), ui.element("span").classes("fp-colhead"):
                with ui.element("span").classes("fp-colname"):
                    words(column.name)
                    words(column_word(column.type), "fp-t3 fp-s12 fp-coltype")
                if self.heads is not None:
                    self.heads.draw(column)

    def _draw_row(self, at: int, row: RowLine) -> None:
        if self.chosen is not None:
            with ui.element("td").classes("fp-pick"):
                box = ui.checkbox(value=row.id in self.chosen)
                box.props["aria-label"] = _("Choose row {first}").format(first=number(self.first + at + 1, self.reader))
                box.on_value_change(lambda event: self._choose(row.id, bool(event.value)))
                self._boxes.append(box)
        shown = number(self.first + at + 1, self.reader)
        with ui.element("td").classes("fp-r"), ui.element("button").classes("fp-plain-button fp-t3") as opener:
            words(shown)
            opener.props("type=button")
            opener.props["aria-label"] = _("Open row {shown}").format(shown=shown)
            opener.on("click", lambda: self.on_open(at, ""), [])
        for column in self.columns:
            value = row.data.get(column.name)
            text = number_text(value, self.reader, two=column.name in self._two)
            time = time_of_text(value, self.reader) if isinstance(value, str) else ""
            cell = words(time or text, "fp-cell", tag="td").classes("fp-r" if column.type in _NUMBERS else "")
            if time:
                cell.props["title"] = value
            cell.on("click", lambda _event, name=column.name: self.on_open(at, name), [])

    def _choose(self, row_id: int, on: bool) -> None:  # noqa: FBT001 - a checkbox
        assert self.chosen is not None
        self.chosen.add(row_id) if on else self.chosen.discard(row_id)
        self.on_choose()

    def _choose_all(self, on: bool) -> None:  # noqa: FBT001 - a checkbox
        for box in self._boxes:
            box.value = on
