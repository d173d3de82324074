"""The form of a row: a field for each column according to its type. An empty field is stored as null."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from engine.actions.datasets import add_row, change_row
from engine.core.errors import Refusal
from engine.core.json_types import json_type
from storage.datasets import ColumnLine, DatasetLine, RowLine
from ui.datasets.words import column_word
from ui.forms.form import Form
from ui.forms.specs import FieldSpec, Kind
from ui.forms.values import pointer_to
from ui.kit.answer import answer_of
from ui.kit.feedback import open_page
from ui.kit.parts import button, note, words
from ui.kit.text import _, type_word
from ui.page_session import PageSession
from ui.page_shell import not_twice

#: Text longer than this, or with line breaks, gets a multi-line field.
LONG = 60
#: A column that an import took for whole numbers takes every number, as it does from an import and from a flow.
_KINDS: Mapping[str, Kind] = {
    "string": "text", "number": "number", "integer": "number", "boolean": "select", "array": "any", "object": "any",
}  # fmt: skip
#: Enter in a box of one line saves. The box is left first, so that what was typed last is sent before.
_ENTER = """(event) => {
    const box = event.target;
    if (box.tagName !== "INPUT" || box.getAttribute("role") === "combobox" || event.isComposing) return;
    event.preventDefault();
    box.blur();
    setTimeout(emit, 0);
}"""
_YES_NO = ((True, _("Yes")), (False, _("No")))


async def edit_row(
    page_session: PageSession, dataset: DatasetLine, row: RowLine | None, column: str = "", title: str = ""
) -> bool:
    """Shows a row (None: a new one) with the focus in `column`, in a new one in its first. Returns True when a row was stored."""
    read_only = not page_session.may("edit datasets")
    with open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg fp-dlg--wide"):
        title = title or (_("Row") if row else _("New row"))
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        told = ui.element("div").props("role=alert")
        before = row.data if row else {}
        with ui.element("div").classes("fp-dlg-body"):
            form = Form(specs_of(dataset, before), before, types=True, read_only=read_only)

        added = 0

        @not_twice
        async def save(*, more: bool = False) -> None:
            if form.problems():
                return
            values = {one.name: form.value.get(one.name) for one in dataset.columns}
            told.clear()
            try:
                if row is None:
                    await page_session.execute(
                        add_row, dataset.id, {name: one for name, one in values.items() if one is not None}
                    )
                else:
                    changed = {name: one for name, one in values.items() if one != before.get(name)}
                    await page_session.execute(change_row, dataset.id, row.id, changed)
            except Refusal as refusal:
                with told:
                    note(f"{refusal.detail or refusal.title}. {refusal.remedy}", kind="bad", icon="error")
                return
            nonlocal added
            added += row is None
            if not more:
                dialog.submit(True)
                return
            with told:
                said = _("1 row is added. Here is the next one.")
                if added > 1:
                    said = _("{added} rows are added. Here is the next one.").format(added=added)
                note(said, kind="ok", icon="check_circle")
            leave.text = _("Close")
            form.set_value({})
            form.focus(pointer_to("", dataset.columns[0].name))

        if not read_only:
            form.element.on("keydown.enter", save, js_handler=_ENTER)
        with ui.element("div").classes("fp-acts"):
            leave = button(_("Close") if read_only else _("Cancel"), lambda: dialog.submit(added > 0), kind="quiet")
            if not read_only:
                if row is None:
                    button(_("Add and next"), lambda: save(more=True), icon="add")
                button(_("Save") if row else _("Add"), save, kind="main")
    if row is None and not column and dataset.columns:
        column = dataset.columns[0].name
    if column:
        with open_page().layout:
            ui.timer(0.2, lambda: form.focus(pointer_to("", column)), once=True)
    return bool(await answer_of(dialog)) or added > 0


def specs_of(dataset: DatasetLine, row: Mapping[str, Any]) -> list[FieldSpec]:
    """Returns a field for each column; in a column of several types its type is that of the row's own value."""
    return [_spec(column, row.get(column.name)) for column in dataset.columns]


def _spec(column: ColumnLine, value: Any) -> FieldSpec:
    own = "string" if value is None else json_type(value)
    kind = _KINDS.get(column.type) or _KINDS[own]
    if kind == "text" and isinstance(value, str) and (len(value) > LONG or "\n" in value):
        kind = "textarea"
    word = column_word(column.type) if column.type in _KINDS else type_word(own)
    choices = _YES_NO if kind == "select" else ()
    only = (column.type if column.type in _KINDS else own) if kind == "any" else ""
    return FieldSpec(
        name=column.name, title=column.name, kind=kind, type_word=word, nullable=True, choices=choices, only=only
    )
