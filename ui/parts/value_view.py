"""A value as people read it, with its JSON folded below: results of runs and calls, inputs and outputs of steps.

    answer_view(value, label="Result", download=save, on_pick=pick, reader=reader)
        on_pick(path)   makes the names of fields buttons; path is a tuple of names and numbers

Names stand beside their values. A list of groups is a table, a web address a link, Markdown is rendered, a long text is
folded. Everything may be hostile: it is drawn with text elements, links lead to http and https only, and no picture is
loaded before a click (`value_shapes.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nicegui import ui

from engine.core.lone_surrogates import whole_utf8
from engine.core.web_addresses import split_url
from engine.flow.file_values import is_file_value
from engine.outbound.practice_site import PRACTICE_HOST
from ui.kit import feedback
from ui.kit.code_view import value_view
from ui.kit.feedback import fold
from ui.kit.field_titles import field_title
from ui.kit.markdown import foreign_markdown
from ui.kit.parts import button, copy_button, icon, link_button, segments, words
from ui.kit.text import ENGLISH, Reader, _, number, plural
from ui.kit.times import time_of_text
from ui.parts.kept_files import file_line, file_path
from ui.parts.value_shapes import (
    COUNT,
    GROUP,
    ValueTable,
    held_picture,
    in_words,
    is_markdown,
    is_picture_address,
    is_small_picture,
    table_of,
    web_address,
)

Path = tuple[str | int, ...]
OnPick = Callable[[Path], Any]
Download = str | Callable[[], Any]

#: Characters and lines of a text that are shown at first, in a field and in a cell, and the most that are ever shown.
_FIRST_TEXT, _FIRST_CELL, _FIRST_LINES, _MAX_TEXT = 600, 160, 12, 200_000
#: A cell with more characters than this has a wider column.
_LONG_CELL = 60
#: Entries of a list that are shown at first, and the most that are ever shown.
_FIRST_ROWS, _MAX_ROWS = 20, 500
#: Values that are drawn for one card, and the depth to which groups in groups are drawn.
_MAX_VALUES, _DEEPEST = 1_000, 5
#: Markdown texts that are rendered for one card; the others are shown as they were written.
_MAX_RENDERED = 4
#: A larger table is not copied, only saved as a file.
_MAX_COPIED = 100_000


def answer_view(
    value: Any,
    *,
    label: str,
    download: Download | None = None,
    on_pick: OnPick | None = None,
    reader: Reader = ENGLISH,
) -> ui.element:
    """Draws the value with its JSON in a fold."""
    with ui.element("div").classes("fp-answer-view") as whole:
        readable(value, label=label, download=download, on_pick=on_pick, reader=reader)
        with fold(_("The same as JSON, for programs")) as folded:
            place = ui.element("div")

        def unfold() -> None:
            if place.default_slot.children:
                return
            with place:
                value_view(value, label=label, download=download, on_pick=on_pick, reader=reader)

        folded.on("toggle", unfold, [])
    return whole


def readable(
    value: Any,
    *,
    label: str,
    download: Download | None = None,
    on_pick: OnPick | None = None,
    reader: Reader = ENGLISH,
    heads: Mapping[str, str] | None = None,
    pictures: bool = False,
) -> ui.element:
    """Draws the value without its JSON. `heads`: the names of columns of counts (`value_shapes.names_of_groups`);
    `pictures`: files that are pictures are shown small.
    """
    with ui.element("div").classes("fp-value").props("role=group") as whole:
        whole.props["aria-label"] = label
        drawn = _Drawn(on_pick, reader, heads or {}, pictures=pictures)
        if isinstance(value, Mapping) and list(value) == ["output"] and on_pick is None:
            drawn.draw(value["output"], ("output",), label)
        else:
            drawn.draw(value, (), label)
        if drawn.left <= 0 or drawn.cut:
            _more_note(download)
    return whole


def _more_note(download: Download | None) -> None:
    with ui.element("div").classes("fp-row fp-s12 fp-t3"):
        words(_("There is more than can be shown here."))
        if isinstance(download, str):
            link_button(_("Download all of it"), download, icon="download", kind="link", small=True).props("download")
        elif download is not None:
            button(_("Download all of it"), download, icon="download", kind="link", small=True)


class _Drawn:
    """Draws nested values. It stops after a fixed number of values, so that a large one cannot block the page."""

    def __init__(self, on_pick: OnPick | None, reader: Reader, heads: Mapping[str, str], *, pictures: bool) -> None:
        self.on_pick = on_pick
        self.pictures = pictures
        self.heads = heads
        self.reader = reader
        self.left = _MAX_VALUES
        self.cut = False
        self.rendered = 0

    def draw(self, value: Any, path: Path, name: str) -> None:
        """Draws a value of any kind into the current container."""
        self.left -= 1
        if isinstance(value, str):
            self._text(value, name)
        elif is_file_value(value):
            file_line(value, self.reader)
            if self.pictures and is_small_picture(value):
                picture = ui.element("img").classes("fp-file-picture")
                picture.props["src"] = file_path(value["file_id"])
                picture.props["alt"] = value["name"]
        elif isinstance(value, Mapping | list | tuple) and len(path) >= _DEEPEST:
            self._long(in_words(value), _FIRST_TEXT, "fp-mono")
        elif isinstance(value, Mapping):
            self._group(value, path)
        elif isinstance(value, list) and value and all(is_file_value(one) for one in value[:_MAX_ROWS]):
            self._list(value, path, name)
        elif (table := table_of(value)) is not None:
            _TableView(self, table, name)
        elif isinstance(value, list | tuple):
            self._list(value, path, name)
        elif value is None:
            words(_("none"), "fp-t3")
        else:
            words(in_words(value), "fp-num")

    def cell(self, value: Any) -> None:
        """Draws a value in one cell of a table."""
        if is_file_value(value):
            file_line(value, self.reader)
        elif isinstance(value, str) and (address := web_address(value)):
            _link(address)
        elif isinstance(value, str) and (time := time_of_text(value, self.reader)):
            words(time).props["title"] = value
        elif value is None or value == "":
            words(_("none") if value is None else _("empty"), "fp-t3")
        else:
            self._long(in_words(value), _FIRST_CELL)

    def _group(self, group: Mapping[str, Any], path: Path) -> None:
        if not group:
            words(_("nothing in it"), "fp-t3")
            return
        with ui.element("dl").classes("fp-vals"):
            for name, one in group.items():
                if self.left <= 0:
                    break
                with ui.element("div").classes("fp-val").classes("fp-val--tall" if _is_wide(one) else ""):
                    with ui.element("dt"):
                        self._name(str(name), (*path, str(name)))
                    with ui.element("dd"):
                        self.draw(one, (*path, str(name)), str(name))

    def _name(self, name: str, path: Path) -> None:
        shown = field_title(name)
        if self.on_pick is None:
            words(shown).props("dir=auto")
            return
        pick = self.on_pick
        key = words(shown, "fp-key fp-k", tag="button").props("type=button dir=auto")
        key.props["title"] = name
        key.on("click", lambda: pick(path), [])

    def _list(self, items: Sequence[Any], path: Path, name: str) -> None:
        if not items:
            words(_("none"), "fp-t3")
            return
        place = ui.element("ol" if any(isinstance(one, list | dict) for one in items) else "ul").classes("fp-val-list")

        def show(first: int, last: int) -> None:
            with place:
                for at in range(first, last):
                    if self.left <= 0:
                        return
                    with ui.element("li"):
                        self.draw(items[at], (*path, at), f"{name} {at + 1}")

        show(0, min(len(items), _FIRST_ROWS))
        self.show_more(len(items), lambda last: show(_FIRST_ROWS, last))

    def show_more(self, count: int, show: Callable[[int], None]) -> None:
        """Draws the button that shows the rest of a list."""
        if count <= _FIRST_ROWS:
            return
        last = min(count, _MAX_ROWS)
        self.cut = self.cut or last < count

        def more() -> None:
            self.left += last
            show(last)
            shown.delete()

        said = _("Show all {count}") if last == count else _("Show the first {count}")
        shown = button(said.format(count=number(last, self.reader)), more, kind="link", small=True)

    def _text(self, text: str, name: str) -> None:
        if not text:
            words(_("empty"), "fp-t3")
        elif address := web_address(text):
            _link(address)
        elif time := time_of_text(text, self.reader):
            words(time).props["title"] = text
        elif picture := held_picture(text):
            _picture(picture, name)
        elif self.rendered < _MAX_RENDERED and is_markdown(text):
            self.rendered += 1
            self._markdown(text)
        else:
            self._long(text, _FIRST_TEXT)

    def _markdown(self, text: str) -> None:
        def show(way: str) -> None:
            place.clear()
            with place:
                if way == "formatted":
                    foreign_markdown(text).props("dir=auto")
                else:
                    self._long(text, _FIRST_TEXT)

        segments(
            {"formatted": _("Formatted"), "written": _("As written")}, "formatted", show, label=_("Show the text as")
        ).classes("fp-val-ways")
        place = ui.element("div")
        show("formatted")

    def _long(self, text: str, first: int, classes: str = "") -> None:
        """Draws a text with its lines; a long one is folded."""
        begin = text
        if len(text) > first + first // 4 or text.count("\n") > _FIRST_LINES + _FIRST_LINES // 4:
            begin = "\n".join(text[:first].split("\n")[:_FIRST_LINES])
        block = words(begin if begin == text else f"{begin.rstrip()}…", f"fp-val-text {classes}", tag="div")
        block.props("dir=auto")
        if begin == text:
            return
        whole = text[:_MAX_TEXT]
        self.cut = self.cut or len(whole) < len(text)

        def turn() -> None:
            opened = block.text != whole
            block.text = whole if opened else f"{begin.rstrip()}…"
            turn_button.text = _("Show less") if opened else all_of_it
            turn_button.props["aria-expanded"] = "true" if opened else "false"

        length = plural(len(text), _("character"), _("characters"), self.reader)
        all_of_it = _("Show all ({length})").format(length=length)
        turn_button = button(all_of_it, turn, kind="link", small=True)
        turn_button.props["aria-expanded"] = "false"


class _TableView:
    """A list of groups as a table that can be sorted by a column, and copied or downloaded as CSV."""

    def __init__(self, drawn: _Drawn, table: ValueTable, name: str) -> None:
        self.drawn = drawn
        self.table = table
        self.by = ""
        self.descending = False
        self.first = _FIRST_ROWS
        drawn.left -= min(len(table.rows), _FIRST_ROWS) * len(table.shown_columns)
        self.heads: dict[str, tuple[ui.element, ui.icon]] = {}
        with ui.element("div").classes("fp-row fp-wrap-row fp-val-bar"):
            words(self._size_words(), "fp-s12 fp-t3")
            words("", "fp-sp")
            self._csv_button(name)
        with ui.element("div").classes("fp-scroll"), ui.element("table").classes("fp-tb fp-val-table") as whole:
            whole.props["aria-label"] = name
            with ui.element("thead"), ui.element("tr"):
                for column in table.shown_columns:
                    self._head(column)
            self.body = ui.element("tbody")
        self._rows()
        drawn.show_more(len(table.rows), self._all)

    def _size_words(self) -> str:
        table, reader = self.table, self.drawn.reader
        rows = plural(len(table.rows), _("row"), _("rows"), reader)
        if not (hidden := table.columns_left_out):
            return rows
        columns = plural(hidden, _("column"), _("columns"), reader)
        return _("{rows}, {columns} not shown").format(rows=rows, columns=columns)

    def _csv_button(self, name: str) -> None:
        text = self.table.as_csv()
        if len(text) <= _MAX_COPIED:
            copy_button(text, _("Copy as CSV"), name=_("Copy as CSV: {name}").format(name=name), kind="quiet")

        def save() -> None:
            called = "".join(letter for letter in name if letter.isalnum() or letter in "_-")[:60]
            content = whole_utf8(text)
            ui.download.content(content, f"{called or 'table'}.csv", "text/csv")
            feedback.told(_("{file} is downloaded.").format(file=f"{called or 'table'}.csv"))

        load = button(_("Download"), save, icon="download", kind="quiet", small=True)
        load.props["aria-label"] = _("Download as CSV: {name}").format(name=name)

    def _head(self, column: str) -> None:
        with ui.element("th").props("scope=col") as head:
            head.classes("fp-r" if column in self.table.numeric_columns else "")
            with ui.element("button").classes("fp-val-sort").props("type=button") as sorter:
                words(self._named(column)).props("dir=auto")
                arrow = icon("arrow_upward", size=14)
                arrow.visible = False
            sorter.on("click", lambda: self._sort(column), [])
        self.heads[column] = (head, arrow)

    def _named(self, column: str) -> str:
        """The column of a count that tells its groups apart has the name of their field; the others have their own."""
        counts = {GROUP, COUNT} <= set(self.table.columns)
        return field_title(self.drawn.heads.get(column, column) if counts else column)

    def _sort(self, column: str) -> None:
        """Sorts by a column, the second time in the other direction; the third time as it came."""
        if self.by != column:
            self.by, self.descending = column, False
        elif not self.descending:
            self.descending = True
        else:
            self.by, self.descending = "", False
        for name, (head, arrow) in self.heads.items():
            arrow.visible = name == self.by
            arrow.props["name"] = f"sym_o_arrow_{'downward' if self.descending else 'upward'}"
            direction = ("descending" if self.descending else "ascending") if name == self.by else None
            head.props.set_optional("aria-sort", direction)
        self._rows()

    def _all(self, last: int) -> None:
        self.first = last
        self._rows()

    def _rows(self) -> None:
        table = self.table.sorted_by(self.by, descending=self.descending) if self.by else self.table
        numeric = self.table.numeric_columns
        self.body.clear()
        with self.body:
            for row in table.rows[: self.first]:
                with ui.element("tr"):
                    for column in table.shown_columns:
                        value = row.get(column)
                        is_long = isinstance(value, str) and len(value) > _LONG_CELL
                        with ui.element("td").classes(
                            "fp-r" if column in numeric else "fp-val-long" if is_long else ""
                        ):
                            self.drawn.cell(value)


def _is_wide(value: Any) -> bool:
    """True for a value that needs the whole width, below its name."""
    if is_file_value(value) or (isinstance(value, list) and value and is_file_value(value[0])):
        return False
    return (isinstance(value, Mapping) and bool(value)) or table_of(value) is not None


def _link(address: str) -> None:
    """Draws a link that opens in another tab and tells its target nothing of this page.

    The practice site exists for flows only: its addresses are text, since a browser would find no server.
    """
    if split_url(address).hostname == PRACTICE_HOST:
        words(address, "fp-wrap-text").props("dir=auto")
        words(" " + _("(a practice page: flows can read it, browsers cannot)"), "fp-t3 fp-s12")
        return
    with words("", "fp-val-link", tag="a") as anchor:
        anchor.props["href"] = address
        anchor.props["target"] = "_blank"
        anchor.props["rel"] = "noopener noreferrer nofollow"
        words(address)
        icon("open_in_new", size=14)
        words(_("picture, opens in a new tab") if is_picture_address(address) else _("opens in a new tab"), "fp-hide")


def _picture(content: str, name: str) -> None:
    """Draws a button that shows the picture which the text holds; it is loaded from nowhere."""

    def show() -> None:
        place.clear()
        with place, ui.element("img").classes("fp-val-picture") as picture:
            picture.props["src"] = content
            picture.props["alt"] = name

    with ui.element("div") as place:
        button(_("Show the picture"), show, icon="visibility", small=True)
