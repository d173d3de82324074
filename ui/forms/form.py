"""Forms for node settings, sample payloads and settings pages. The fields come from `ui/forms/specs.py`.

    form = Form(specs_of_model(Config), node.config, on_change=lambda pointer, value: ...)
    form = Form(specs_of_schema(schema), sample, on_change=changed, types=True, row=True)
        on_change(pointer, value)   called after each edit that can be parsed; the value ABSENT removes the key. Adding,
                                    removing and moving entries passes the whole list with the list's pointer
        types                       shows the type beside the label ("Web address"), for payloads
        row                         places fields side by side, for short forms
        widgets                     {"model": draw}: draw(form, spec, pointer, value) draws fields with this `widget`
        read_only                   shows the values and accepts no changes
    form.value                      the current values (a copy)
    form.problems()                 {pointer: sentence}: unparsable, missing or out of range; also marks the fields
    form.unread                     {pointer: sentence}: typed text that cannot be parsed
    form.show_errors({...})         marks fields with sentences from elsewhere (an engine Problem or FieldError)
    form.set_value(value)           draws other values
    form.focus("/url")              moves the keyboard focus to a field, for example after a click on a problem
    form.change(pointer, value)     for drawn widgets: stores a value and calls on_change
    box = Field("Title", "", "help"); with box.place: box.control(ui.input(...))      one labelled field without a form
    box.tell("Name", "optional", "other help")      changes label, type and help; the typed text stays

Labels are above their field (`.fp-f > label`). Help and errors are connected to their input for screen readers.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from nicegui import ui

from ui.forms.lists import draw_list, draw_object, draw_objects, draw_pairs
from ui.forms.specs import ABSENT, Absent, FieldSpec, Json
from ui.forms.values import get_at, parse, pointer_to, problem_of, problems_of, with_value
from ui.kit.parts import icon, sentence, words
from ui.kit.text import _

OnChange = Callable[[str, Json], Any]
Widget = Callable[["Form", FieldSpec, str, Json], None]
E = TypeVar("E", bound=ui.element)


class Field(ui.element):
    """A label with room for one control, help and an error.

    Use it as a context manager and create the control inside.
    """

    def __init__(self, label: str, type_text: str = "", help_text: str = "", *, group: bool = False) -> None:
        super().__init__("div")
        self.classes("fp-f")
        with self:
            self._label = words(label, "fp-lab" if group else "", tag="div" if group else "label")
            self._place = ui.element("div")
            with ui.element("p").classes("fp-hint fp-bad") as self._error:
                icon("error", size=14)
                self._error_text = words("")
            self._error.visible = False
        self._control: ui.element | None = None
        self._help: ui.element | None = None
        self.tell(label, type_text, help_text)
        if group:
            self._place.props("role=group")
            self._place.props["aria-labelledby"] = self._label.html_id

    @property
    def place(self) -> ui.element:
        """The container of the control."""
        return self._place

    def tell(self, label: str, type_text: str = "", help_text: str = "") -> None:
        """Changes the label, the type and the help text."""
        self._label.text = label
        self._label.clear()
        if type_text:
            with self._label:
                words(type_text, "fp-t3")
        if self._help is not None:
            self._help.delete()
        self._help = None
        if help_text:
            with self:
                self._help = sentence(help_text, "fp-hint")
            self._help.move(target_index=2)
        self._describe()

    def control(self, element: E) -> E:
        """Connects label, help and error to the control for screen readers."""
        self._control = element
        element.props["for"] = f"{element.html_id}-in"
        self._label.props["for"] = f"{element.html_id}-in"
        # Quasar sets aria-labelledby on a wrapper of a select's input, which `for` labels already
        if not isinstance(element, ui.select):
            element.props["aria-labelledby"] = self._label.html_id
        self._describe()
        return element

    def error(self, text: str) -> None:
        """Shows a sentence under the control; "" removes it.

        An equal sentence changes nothing, because a changed element is sent again with its value, also when that is a
        password.
        """
        if text == self._error_text.text:
            return
        self._error_text.text = text
        self._error.visible = bool(text)
        if self._control is not None:
            self._control.classes(add="fp-is-bad") if text else self._control.classes(remove="fp-is-bad")
            self._control.props.set_bool("aria-invalid", "true" if text else None)
            self._describe()

    def _describe(self) -> None:
        if self._control is None:
            return
        ids = [one.html_id for one in (self._help, self._error if self._error.visible else None) if one is not None]
        self._control.props.set_optional("aria-describedby", " ".join(ids) or None)

    def focus(self) -> None:
        """Moves the keyboard focus into the control."""
        if self._control is not None:
            self._control.run_method("focus")


class Form:
    """A drawn form. The docstring of the module describes its parameters and methods."""

    def __init__(
        self,
        specs: Sequence[FieldSpec],
        value: Json = None,
        on_change: OnChange | None = None,
        *,
        types: bool = False,
        row: bool = False,
        widgets: Mapping[str, Widget] | None = None,
        read_only: bool = False,
    ) -> None:
        self.specs = tuple(specs)
        self.types = types
        self.read_only = read_only
        self.widgets = dict(widgets or {})
        self._on_change = on_change
        self._value: Json = _own(value)
        self._fields: dict[str, Field] = {}
        self._unread: dict[str, str] = {}
        self._watchers: dict[str, Callable[[], None]] = {}
        self.element = ui.element("div").classes("fp-form fp-form--row" if row else "fp-form")
        self._draw_all()

    @property
    def value(self) -> dict[str, Json]:
        """The current values."""
        return copy.deepcopy(self._value)

    def set_value(self, value: Json) -> None:
        """Draws other values without calling `on_change`."""
        self._value = _own(value)
        self._unread.clear()
        self._draw_all()

    def problems(self) -> dict[str, str]:
        """Returns what is wrong, by pointer, and shows it at the fields."""
        found = {**problems_of(self.specs, self._value), **self._unread}
        self.show_errors(found)
        return found

    @property
    def unread(self) -> dict[str, str]:
        """Typed text that cannot be parsed, as a sentence by pointer."""
        return dict(self._unread)

    def show_errors(self, errors: Mapping[str, str]) -> None:
        """Marks exactly these fields.

        A pointer into a part without a field of its own marks the field that contains it.
        """
        for field in self._fields.values():
            field.error("")
        for pointer, text in errors.items():
            if field := self._field_around(pointer):
                field.error(text)

    def focus(self, pointer: str) -> None:
        """Moves the keyboard focus into a field."""
        if field := self._field_around(pointer):
            field.focus()

    def change(self, pointer: str, value: Json) -> None:
        """Stores a value and calls `on_change`."""
        self._value = with_value(self._value, pointer, value)
        if isinstance(value, list):  # entries of the list were added, removed or moved
            self._unread = {one: text for one, text in self._unread.items() if not one.startswith(f"{pointer}/")}
        if self._on_change is not None:
            self._on_change(pointer, value)
        for around, changed in list(self._watchers.items()):
            if pointer.startswith(f"{around}/"):
                changed()

    def watch(self, pointer: str, changed: Callable[[], None]) -> None:
        """Calls `changed` after each edit inside the part at `pointer`. Each part has one watcher."""
        self._watchers[pointer] = changed

    def at(self, pointer: str) -> Json:
        """The value at a pointer; ABSENT when there is none."""
        return get_at(self._value, pointer)

    def _field_around(self, pointer: str) -> Field | None:
        while pointer:
            if (field := self._fields.get(pointer)) and not field.is_deleted:
                return field
            pointer = pointer.rpartition("/")[0]
        return None

    def _draw_all(self) -> None:
        self.element.clear()
        self._fields.clear()
        self._watchers.clear()
        with self.element:
            self.draw(self.specs, "")

    def draw(self, specs: Sequence[FieldSpec], pointer: str) -> None:
        """Draws fields of the object at `pointer` into the current container."""
        for spec in specs:
            self.draw_one(spec, pointer_to(pointer, spec.name))

    def draw_one(self, spec: FieldSpec, pointer: str, *, label: str = "") -> None:
        """Draws one field. `label` replaces its title, for entries of a list."""
        value = get_at(self._value, pointer)
        widget = self.widgets.get(spec.widget) if spec.widget else None
        if widget is None and spec.kind == "switch":
            self._switch(spec, pointer, value)
            return
        many = spec.kind in {"list", "objects", "pairs", "group"} or widget is not None
        field = Field(label or spec.title, self._type_text(spec), spec.help, group=many)
        self._fields[pointer] = field
        with field.place:
            if widget is not None:
                widget(self, spec, pointer, value)
            elif spec.kind == "list":
                draw_list(self, spec, pointer)
            elif spec.kind == "objects":
                draw_objects(self, spec, pointer)
            elif spec.kind == "pairs":
                draw_pairs(self, spec, pointer)
            elif spec.kind == "group":
                with ui.element("div").classes("fp-group"):
                    draw_object(self, spec, pointer)
            elif spec.kind == "select":
                self._select(field, spec, pointer, value)
            else:
                self._box(spec, pointer, value, field)

    def _type_text(self, spec: FieldSpec) -> str:
        if not self.types:
            return ""
        return f"{spec.type_word}, {_('required')}" if spec.required and spec.default is ABSENT else spec.type_word

    def draw_input(self, spec: FieldSpec, pointer: str, label: str) -> ui.element:
        """Draws a text box without a label above it (one line of a list). `label` is its name for screen readers."""
        box = self._box(spec, pointer, get_at(self._value, pointer), None)
        box.props["aria-label"] = label
        return box

    def _box(self, spec: FieldSpec, pointer: str, value: Json, field: Field | None) -> ui.input | ui.textarea:
        def typed(text: str | None) -> None:
            parsed, wrong = parse(spec, text or "")
            if wrong:
                self._unread[pointer] = wrong
            else:
                self._unread.pop(pointer, None)
                self.change(pointer, parsed)
                wrong = problem_of(spec, parsed) if not isinstance(parsed, Absent) else ""
            if field is not None:
                field.error(wrong)

        long = spec.kind in {"textarea", "code", "json"}
        shown = _as_text(spec, value)
        box: ui.input | ui.textarea
        if long:
            box = ui.textarea(value=shown, on_change=lambda event: typed(event.value)).props("autogrow")
            box.classes("fp-mono" if spec.kind in {"code", "json"} else "")
        else:
            box = ui.input(value=shown, password=spec.secret, on_change=lambda event: typed(event.value))
        box.props("outlined dense debounce=250")
        box.props["placeholder"] = spec.example
        if spec.kind in {"number", "integer"}:
            box.props(f"inputmode={'numeric' if spec.kind == 'integer' else 'decimal'}")
        if spec.kind in {"code", "json", "number", "integer"} or spec.is_address:
            box.props("autocomplete=off autocapitalize=off spellcheck=false")
        if self.read_only:
            box.props("readonly")
        return field.control(box) if field is not None else box

    def _select(self, field: Field, spec: FieldSpec, pointer: str, value: Json) -> None:
        options: dict[Any, str] = dict(spec.choices)
        none_word = _("Not set")
        free = not spec.required and (spec.default in (ABSENT, None) or spec.nullable)
        labels = ([none_word] if free else []) + list(options.values())
        chosen = spec.default if isinstance(value, Absent) else value
        current = options.get(chosen) if isinstance(chosen, str | int | float | bool) else None

        def picked(word: str | None) -> None:
            field.error("")
            found = next((one for one, text in options.items() if text == word), ABSENT)
            self.change(pointer, found)

        box = ui.select(
            labels, value=current or (none_word if free else None), on_change=lambda event: picked(event.value)
        )
        box.props("outlined dense options-dense").classes("w-full")
        if self.read_only:
            box.props("readonly")
        field.control(box)

    def _switch(self, spec: FieldSpec, pointer: str, value: Json) -> None:
        now = value if isinstance(value, bool) else spec.default is True
        with ui.element("div").classes("fp-f"):
            inverted = bool(spec.inverted)
            toggle = ui.switch(
                spec.inverted or spec.title,
                value=now is not inverted,
                on_change=lambda event: self.change(pointer, bool(event.value) is not inverted),
            )
            if self.read_only:
                toggle.disable()
            if spec.help:
                hint = sentence(spec.help, "fp-hint")
                toggle.props["aria-describedby"] = hint.html_id


def _own(value: Json) -> dict[str, Json]:
    return copy.deepcopy(dict(value)) if isinstance(value, Mapping) else {}


def _as_text(spec: FieldSpec, value: Json) -> str:
    if isinstance(value, Absent) or (value is None and spec.kind != "json"):
        value = ABSENT if spec.default in (ABSENT, None) else spec.default
    if isinstance(value, Absent):
        return ""
    if isinstance(value, str) and spec.kind != "json":
        return value
    return json.dumps(value, ensure_ascii=False, indent=2 if spec.kind == "json" else None)
