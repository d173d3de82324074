"""Forms for node settings, sample payloads and settings pages. The fields come from `ui/forms/specs.py`.

    form = Form(specs_of_model(Config), node.config, on_change=lambda pointer, value: ...)
    form = Form(specs_of_schema(schema), sample, on_change=changed, types=True, row=True)
        on_change(pointer, value)   called after each edit that can be parsed; the value ABSENT removes the key. Adding,
                                    removing and moving items passes the whole list with the list's pointer
        types                       shows the type beside the label ("Web address"), for payloads
        row                         places fields side by side, for short forms
        widgets                     {"model": draw}: draw(form, spec, pointer, value) draws fields with this `widget`
        json_views                  offers lists and groups as JSON too; usual where types are shown
        read_only                   shows the values and accepts no changes
        titles                      titles of what ids in the values name, for the heads of list items
        most                        how many values its lists draw at first
        keep_file                   stores a file that was dropped (`ui/parts/kept_files.py`); needed for fields of files
    form.value                      the current values (a copy)
    form.problems()                 {pointer: sentence}: unparsable, missing or out of range; also marks the fields
    form.unread                     {pointer: sentence}: typed text that cannot be parsed
    form.show_errors({...})         marks fields with sentences from elsewhere (an engine Problem or FieldError)
    form.set_value(value)           shows other values; what was typed stays where the value is the same
    form.reshape(specs, value)      shows other fields; fields that stay the same keep their elements
    form.focus("/url")              moves the keyboard focus to a field, for example after a click on a problem
    form.change(pointer, value)     for drawn widgets: stores a value and calls on_change
    box = Field("Title", "", "help"); with box.place: box.control(ui.input(...))      one labelled field without a form
    box.tell("Name", "optional", "other help")      changes label, type and help; the typed text stays

A list with many items draws the first ones (`ui/forms/amounts.py`); the others stay in its value.

A form is a tree of parts (`ui/forms/part.py`): a change draws no other part again, so that nothing is redrawn under the
cursor. What is wrong is shown when a field was left or by `problems()`, not while somebody is typing.

Labels are above their field (`.fp-f > label`). Help and errors are connected to their input for screen readers.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nicegui import ui

from ui.forms.amounts import MAX_VALUES, room_in
from ui.forms.any_value import AnyValue
from ui.forms.boxes import Box, Choice, Drawn, Switch
from ui.forms.field import Field
from ui.forms.file_box import FileBox, KeepFile
from ui.forms.groups import Group, NamedValues
from ui.forms.json_view import VIEWED, JsonView
from ui.forms.lists import ItemList
from ui.forms.part import Part
from ui.forms.specs import FieldSpec, Json
from ui.forms.values import keys_of, problems_of
from ui.kit.scroll import into_view

__all__ = ["Field", "Form"]

OnChange = Callable[[str, Json], Any]
Widget = Callable[["Form", FieldSpec, str, Json], None]

_PARTS: Mapping[str, Callable[..., Part]] = {
    "select": Choice,
    "list": ItemList,
    "objects": ItemList,
    "pairs": NamedValues,
    "group": Group,
    "any": AnyValue,
    "file": FileBox,
}


class Form:
    """A drawn form. The docstring of the module describes its parameters and methods."""

    def __init__(  # noqa: PLR0913 - the parameters of a drawn form, all but three by name
        self,
        specs: Sequence[FieldSpec],
        value: Json = None,
        on_change: OnChange | None = None,
        *,
        types: bool = False,
        row: bool = False,
        widgets: Mapping[str, Widget] | None = None,
        json_views: bool | None = None,
        read_only: bool = False,
        keep_file: KeepFile | None = None,
        titles: Mapping[str, str] | None = None,
        most: int = MAX_VALUES,
    ) -> None:
        self.specs = tuple(specs)
        self.most = most
        self.types = types
        self.read_only = read_only
        self.keep_file = keep_file
        self.titles = titles or {}
        self.json_views = types if json_views is None else json_views
        self.widgets = dict(widgets or {})
        self._on_change = None if read_only else on_change
        self._drawing: Drawn | None = None
        self._measure(value)
        self.element = ui.element("div").classes("fp-form fp-form--row" if row else "fp-form")
        with self.element:
            self._root = Group(self, _whole(self.specs), None, dict(value) if isinstance(value, Mapping) else {})

    @property
    def value(self) -> dict[str, Json]:
        """The current values."""
        return copy.deepcopy(self._root.value)

    def set_value(self, value: Json) -> None:
        """Shows other values without calling `on_change`."""
        self._measure(value)
        self._root.take(dict(value) if isinstance(value, Mapping) else {})

    def _measure(self, value: Json) -> None:
        self.room = room_in(value, self.most) if isinstance(value, Mapping) else self.most

    def reshape(self, specs: Sequence[FieldSpec], value: Json) -> None:
        """Shows other fields and values without calling `on_change`."""
        self.specs = tuple(specs)
        self._measure(value)
        self._root.respec(_whole(self.specs))
        self.set_value(value)

    def problems(self) -> dict[str, str]:
        """Returns what is wrong, by pointer, and shows it at the fields."""
        self._root.complete()
        found = {**problems_of(self.specs, self._root.value), **self.unread}
        self.show_errors(found)
        return found

    @property
    def unread(self) -> dict[str, str]:
        """Typed text that cannot be parsed, as a sentence by pointer."""
        return dict(self._root.unread())

    def missing_files(self) -> dict[str, str]:
        """Required files that are not there, as a sentence by pointer."""
        specs = [one for one in self.specs if one.kind == "file"]
        return problems_of(specs, self._root.value)

    def show_errors(self, errors: Mapping[str, str]) -> bool:
        """Marks exactly these fields. Returns whether each has a field.

        A pointer into a part without a field of its own marks the field that contains it.
        """
        parts = {pointer: self._part_at(pointer) for pointer in errors}
        self._mark_all(self._root, {id(part): errors[pointer] for pointer, part in parts.items()})
        return None not in parts.values()

    def _mark_all(self, part: Part, marked: Mapping[int, str]) -> None:
        for one in part.inner():
            self._mark_all(one, marked)
        if part is not self._root and not part.is_view:
            part.mark(marked.get(id(part), ""))

    def focus(self, pointer: str) -> None:
        """Moves the keyboard focus into a field, and scrolls to what stands below its box, like an error."""
        if (part := self._part_at(pointer, unfold=True)) is not None:
            part.focus()
            if part.field is not None:
                into_view(part.field)

    def change(self, pointer: str, value: Json) -> None:
        """Stores a value of a field that the page draws, and calls `on_change`."""
        part = self._part_at(pointer)
        if isinstance(part, Drawn):
            part.put(value)

    def write(self, pointer: str, text: str) -> None:
        """Writes into a box of the form, as if it was typed."""
        part = self._part_at(pointer)
        if isinstance(part, Box):
            part.box.value = text

    def _part_at(self, pointer: str, *, unfold: bool = False) -> Part | None:
        """The innermost part that is drawn around a pointer; None for the form itself."""
        part: Part = self._root
        for key in keys_of(pointer):
            if unfold:
                part.unfold(key)
            if (inner := part.at(key)) is None:
                break
            part = inner
            while part.is_view:
                part = next(part.inner())
        return None if part is self._root else part

    # What parts need (`ui.forms.part.Owner`).

    def make(self, spec: FieldSpec, around: Part | None, value: Json, label: str | None = None) -> Part:
        """Draws a part into the current container."""
        if self.has_widget(spec):
            return Drawn(self, spec, around, value, self._draw_widget)
        if self.json_views and spec.kind in VIEWED and not self.read_only and not _is_viewed(around):
            return JsonView(self, spec, around, value, lambda view: self._plain(spec, view, value, label))
        return self._plain(spec, around, value, label)

    def _draw_widget(self, part: Drawn) -> None:
        self._drawing = part
        self.widgets[part.spec.widget](self, part.spec, part.pointer, part.known)

    def draw_input(self, _spec: FieldSpec, _pointer: str, label: str) -> ui.element:
        """Draws a text box for the field that a widget of `widgets` is drawing. `label` is its name for screen readers."""
        assert self._drawing is not None
        return self._drawing.draw_box(label)

    def _plain(self, spec: FieldSpec, around: Part | None, value: Json, label: str | None) -> Part:
        if spec.kind == "switch":
            return Switch(self, spec, around, value)
        return _PARTS.get(spec.kind, Box)(self, spec, around, value, label)

    def has_widget(self, spec: FieldSpec) -> bool:
        """True when the page draws this field itself."""
        return bool(spec.widget) and spec.widget in self.widgets

    def told(self, pointer: str, value: Json) -> None:
        """Calls `on_change`."""
        if self._on_change is not None:
            self._on_change(pointer, copy.deepcopy(value))


def _whole(specs: tuple[FieldSpec, ...]) -> FieldSpec:
    return FieldSpec(name="", title="", kind="group", type_word="", fields=specs)


def _is_viewed(part: Part | None) -> bool:
    while part is not None:
        if isinstance(part, JsonView | AnyValue):
            return True
        part = part.around
    return False
