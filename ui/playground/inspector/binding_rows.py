"""Inputs with names that the designer gives (API Output, Set Fields), one block per name.

Renaming, moving or removing one field changes its own block only. Called by `input_fields.py`.
"""

from __future__ import annotations

from typing import Any

import jsonpointer
from nicegui import ui
from nicegui.events import GenericEventArguments

from ui.forms.row_buttons import RowButtons, moved
from ui.kit.parts import button, words
from ui.kit.text import _
from ui.playground.inspector.bindings import Bindings, preview_box
from ui.playground.inspector.bound_values import BoundValue, NameBox, TypeChoice


def draw_free(bindings: Bindings) -> None:
    """One block per name, each with a menu, and a button that adds one."""
    bindings.rows = _Fields(bindings)


#: Browser handlers: a chip that is dragged onto the fields makes a field of its own. A chip that is dropped into the text
#: of one field goes there instead, and does not come here.
_OVER = """(event) => {
  if (event.dataTransfer.types.includes("application/x-flowport-reference")) event.preventDefault();
}"""
_DROPPED = """(event) => {
  const raw = event.dataTransfer.getData("application/x-flowport-reference");
  if (!raw) return;
  event.preventDefault();
  emit({ raw, name: event.dataTransfer.getData("application/x-flowport-name") });
}"""


class _Fields:
    """All named inputs of a node."""

    def __init__(self, bindings: Bindings) -> None:
        self.bindings = bindings
        self.rows: list[_Field] = []
        with ui.element("div").classes("fp-stack fp-freedrop") as around:
            self._place = ui.element("div").classes("fp-stack")
            none = _("No fields yet. Click data from earlier steps or drag it here, or add a field for each value.")
            self._none = words(none, "fp-t2", tag="p")
            bindings.offers[""] = ui.element("div")
            if not bindings.readonly:
                button(_("Add a field"), self._add, icon="add", small=True).classes("fp-self-start")
                around.on("dragover", js_handler=_OVER)
                around.on("drop", self._dropped, js_handler=_DROPPED)
        self.put(bindings.inputs)

    def put(self, value: Any) -> None:
        """Shows other names and values. A field that keeps its name or its place keeps its elements."""
        names = list(value)
        for row in [row for row in self.rows if row.name not in value]:
            at = self.rows.index(row)
            if at < len(names) and not any(one.name == names[at] for one in self.rows):
                row.take(names[at])  # it was renamed elsewhere
            else:
                self._drop(row)
        known = {row.name: row for row in self.rows}
        self.rows = []
        for at, (name, one) in enumerate(value.items()):
            row = known.get(name) or self._draw(name, one)
            row.bound.put(one)
            row.types.show(self.bindings.type_of(name))
            if row.element.parent_slot and row.element.parent_slot.children.index(row.element) != at:
                row.element.move(target_index=at)
            self.rows.append(row)
        self.number()

    def add(self, name: str, value: Any) -> Any:
        """Adds a field with a value. The keyboard stays at the chips, so that the next one makes a field of its own."""
        self._append(name, value)
        done = self.told(name)
        self.bindings.drawn()
        return done

    def _dropped(self, event: GenericEventArguments) -> Any:
        return self.bindings.take(str(event.args["raw"]), str(event.args["name"]))

    def trouble_with(self, row: _Field, name: str) -> str:
        """Why the field cannot have this name; "" when it can."""
        if not name:
            return _("A field needs a name.")
        taken = any(one.name == name and one is not row for one in self.rows)
        return _("Another field has this name.") if taken else ""

    def move(self, row: _Field, by: int) -> Any:
        """Moves a field up or down."""
        if not moved(self.rows, row, by):
            return None
        self.number()
        return self.told(row.name)

    def remove(self, row: _Field) -> Any:
        """Removes a field; the others stay as they are."""
        self.rows.remove(row)
        self._drop(row)
        self.number()
        return self.told(row.name)

    def told(self, name: str) -> Any:
        """Stores the fields as they are shown now."""
        return self.bindings.put_all({row.name: row.bound.value for row in self.rows}, name)

    def number(self) -> None:
        """Tells each field its place."""
        self._none.visible = not self.rows
        for at, row in enumerate(self.rows):
            row.number(at, len(self.rows))

    def _add(self) -> Any:
        number = len(self.rows) + 1
        while any(row.name == f"field_{number}" for row in self.rows):
            number += 1
        row = self._append(f"field_{number}", "")
        done = self.told(row.name)
        row.box.select()
        row.bound.take_next()
        self.bindings.drawn()
        return done

    def _append(self, name: str, value: Any) -> _Field:
        row = self._draw(name, value)
        self.rows.append(row)
        self.number()
        return row

    def _draw(self, name: str, value: Any) -> _Field:
        with self._place:
            return _Field(self, name, value)

    def _drop(self, row: _Field) -> None:
        self.bindings.previews.pop(row.name, None)
        row.element.delete()


class _Field:
    """One named input."""

    def __init__(self, fields: _Fields, name: str, value: Any) -> None:
        self.fields, self.name = fields, name
        bindings = fields.bindings
        self._buttons: RowButtons | None = None
        with ui.element("div").classes("fp-f fp-free") as self.element:
            with ui.element("div").classes("fp-row fp-free-head") as head:
                self.box = NameBox(
                    name,
                    _("Field name {name}").format(name=name),
                    self._rename,
                    readonly=bindings.readonly,
                    classes="fp-freename",
                )
                if not bindings.readonly:
                    self._buttons = RowButtons(lambda: fields.remove(self), lambda by: fields.move(self, by))
            self.bound = BoundValue(bindings, self._where, name, value, self._told, single=False)
            self.types = TypeChoice(bindings.type_of(name), lambda kind: bindings.put_type(self.name, kind))
            if bindings.has_types:
                self.types.draw()
            with head:
                self.bound.draw_menu(name, self.types if bindings.has_types else None)
            self.preview = bindings.previews[name] = preview_box()

    def number(self, at: int, count: int) -> None:
        """Takes the place of the field among the others."""
        if self._buttons is not None:
            self._buttons.name(self.name, at, count)

    def take(self, name: str) -> None:
        """Takes another name."""
        self.fields.bindings.previews.pop(self.name, None)
        self.name = name
        self.fields.bindings.previews[name] = self.preview
        self.box.put(name)
        self.bound.rename(name)

    def _where(self) -> str:
        return f"/inputs/{jsonpointer.escape(self.name)}"

    def _told(self, _value: Any) -> Any:
        return self.fields.told(self.name)

    def _rename(self, name: str) -> Any:
        if trouble := self.fields.trouble_with(self, name):
            self.box.complain(trouble)
            return None
        self.box.complain("")
        if name == self.name:
            return None
        self.take(name)
        self.fields.number()
        return self.fields.told(name)
