"""The form fields with several entries: lists of texts, lists of objects (the API Input's fields), names and values.

Drawn by `ui/forms/form.py`. Adding, removing and moving report the whole list as changed; typing reports one entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from nicegui import ui

from ui.forms.specs import Absent, FieldSpec, Json, fields_for, is_rule, without_other_rules
from ui.forms.values import pointer_to
from ui.kit.feedback import fold
from ui.kit.parts import button, icon, icon_button, words
from ui.kit.text import _, type_word

_EMPTY: Mapping[str, Json] = {"number": 0, "integer": 0}


class EditedForm(Protocol):
    """The methods of `ui.forms.form.Form` that the fields here call."""

    read_only: bool

    def at(self, pointer: str) -> Json:
        """The value at a pointer; ABSENT when there is none."""

    def change(self, pointer: str, value: Json) -> None:
        """Stores a value and calls `on_change`."""

    def watch(self, pointer: str, changed: Callable[[], None]) -> None:
        """Calls `changed` after each edit inside the part at `pointer`."""

    def draw(self, specs: Sequence[FieldSpec], pointer: str) -> None:
        """Draws fields of the object at `pointer`."""

    def draw_input(self, spec: FieldSpec, pointer: str, label: str) -> ui.element:
        """Draws a text box without a label above it."""
        ...

    def focus(self, pointer: str) -> None:
        """Moves the keyboard focus into a field."""


def draw_list(form: EditedForm, spec: FieldSpec, pointer: str) -> None:
    """Draws one line per entry."""
    item = spec.item
    if item is None:
        return
    word = spec.item_word or _("entry")

    def show(*, write: bool = False) -> None:
        rows.clear()
        entries, box = _list_at(form, pointer), None
        with rows:
            for at in range(len(entries)):
                with ui.element("div").classes("fp-item"):
                    with ui.element("div").classes("fp-f"):
                        box = form.draw_input(item, pointer_to(pointer, at), f"{spec.title}, {word} {at + 1}")
                    _row_buttons(form, pointer, at, len(entries), f"{word} {at + 1}", show)
        if write and box is not None:
            box.run_method("focus")

    def add() -> None:
        form.change(pointer, [*_list_at(form, pointer), _EMPTY.get(item.kind, "")])
        show(write=True)

    rows = ui.element("div").classes("fp-list")
    show()
    _add_button(form, word, add)


def draw_objects(form: EditedForm, spec: FieldSpec, pointer: str) -> None:
    """Draws one block per entry: its summary and, when it is unfolded, its fields."""
    word = spec.item_word or (_("field") if describes_field(spec) else _("entry"))
    opened: set[int] = set()

    def show() -> None:
        blocks.clear()
        entries = _list_at(form, pointer)
        with blocks:
            for at in range(len(entries)):
                _Block(form, spec, pointer, at, len(entries), word, opened, reshaped)

    def reshaped() -> None:
        opened.clear()  # the indexes of the entries changed
        show()

    def add() -> None:
        entries = _list_at(form, pointer)
        opened.clear()
        opened.add(len(entries))
        fresh = _new_item(spec)
        form.change(pointer, [*entries, fresh])
        show()
        if first := next(iter(fields_for(spec, fresh)), None):
            form.focus(pointer_to(pointer_to(pointer, len(entries)), first.name))

    blocks = ui.element("div").classes("fp-list")
    show()
    _add_button(form, word, add)


class _Block:
    """One object of a list: a head that folds it, and its fields."""

    def __init__(
        self,
        form: EditedForm,
        spec: FieldSpec,
        pointer: str,
        at: int,
        count: int,
        word: str,
        opened: set[int],
        show_all: Callable[[], None],
    ) -> None:
        self.form, self.spec, self.at, self.opened, self.word = form, spec, at, opened, word
        self.here = pointer_to(pointer, at)
        with ui.element("div").classes("fp-block"):
            with ui.element("div").classes("fp-bh"):
                with ui.element("button").classes("fp-bt").props("type=button") as self.head:
                    icon("chevron_right", size=16)
                    self.name = words("", "fp-b fp-cut")
                    self.note = words("", "fp-t3 fp-cut")
                self.head.on("click", self._toggle, [])
                _row_buttons(form, pointer, at, count, f"{word} {at + 1}", show_all)
            self.body = ui.element("div").classes("fp-bb")
        self._summary()
        self._show()

    def _summary(self) -> None:
        item = _object_at(self.form, self.here)
        names = {one.name for one in self.spec.fields}
        chosen = {one.name: {str(value): word for value, word in one.choices} for one in self.spec.fields}
        texts = [
            chosen[one.name].get(str(item[one.name]), str(item[one.name]))
            for one in fields_for(self.spec, item)
            if isinstance(item.get(one.name), str) and item[one.name]
        ]
        name = str(item.get("name") or item.get("title") or "") or (texts[0] if texts and "type" not in names else "")
        self.name.text = name or f"{self.word.capitalize()} {self.at + 1}"
        if "type" in names:
            kind = {"type": item.get("type") or "string", "format": item.get("format"), "items": item.get("items")}
            about = type_word(kind)
            self.note.text = f"{about}, {_('required')}" if item.get("required") else about
        else:
            self.note.text = " ".join(text for text in texts if text != name)[:80]

    def _toggle(self) -> None:
        self.opened.symmetric_difference_update({self.at})
        self._show()

    def _show(self) -> None:
        is_open = self.at in self.opened
        self.head.props["aria-expanded"] = "true" if is_open else "false"
        self.body.clear()
        self.body.visible = is_open
        if is_open:
            with self.body:
                draw_object(self.form, self.spec, self.here, self._summary)


def draw_object(form: EditedForm, spec: FieldSpec, here: str, changed: Callable[[], None] | None = None) -> None:
    """Draws the fields of the object at `here`. In the API Input they depend on the type that the object describes."""
    state = {"kind": _kind_of(_object_at(form, here)), "shown": _names(spec, _object_at(form, here))}
    place = ui.element("div").classes("fp-form")

    def show() -> None:
        item = _object_at(form, here)
        specs = fields_for(spec, item)
        follows_type = specs is not spec.fields and "type" in {one.name for one in spec.fields}
        place.clear()
        with place:
            form.draw([one for one in specs if not (follows_type and is_rule(one))], here)
            if follows_type and (rules := [one for one in specs if is_rule(one)]):
                used = any(one.name in item for one in rules)
                with fold(_("Rules and examples"), open_at_first=used), ui.element("div").classes("fp-form"):
                    form.draw(rules, here)

    def edited() -> None:
        if place.is_deleted:
            return
        item = _object_at(form, here)
        before, state["kind"] = state["kind"], _kind_of(item)
        if "type" in {one.name for one in spec.fields} and before != state["kind"]:
            if before[0] != state["kind"][0]:
                form.change(here, without_other_rules(spec, item))
            show()
            form.focus(pointer_to(here, "type" if before[0] != state["kind"][0] else "required"))
        elif state["shown"] != _names(spec, item):
            show()
            form.focus(pointer_to(here, "operator"))
        state["shown"] = _names(spec, item)
        if changed is not None:
            changed()

    show()
    form.watch(here, edited)


def _object_at(form: EditedForm, pointer: str) -> Mapping[str, Json]:
    item = form.at(pointer)
    return item if isinstance(item, Mapping) else {}


def _names(spec: FieldSpec, item: Mapping[str, Json]) -> list[str]:
    return [one.name for one in fields_for(spec, item)]


def _kind_of(item: Mapping[str, Json]) -> tuple[Json, bool]:
    return item.get("type", "string"), bool(item.get("required"))


def draw_pairs(form: EditedForm, spec: FieldSpec, pointer: str) -> None:
    """Draws rows of a name and a value, both free."""
    word = spec.item_word or _("entry")
    value = form.at(pointer)
    rows: list[list[str]] = [[str(name), str(one)] for name, one in value.items()] if isinstance(value, Mapping) else []

    def tell() -> None:
        form.change(pointer, {name: one for name, one in rows if name})

    def edit(row: list[str], at: int, text: str | None) -> None:
        row[at] = text or ""
        tell()

    def remove(row: list[str]) -> None:
        rows.remove(row)
        tell()
        show()

    def show(*, write: bool = False) -> None:
        place.clear()
        boxes: list[ui.input] = []
        with place:
            for number, row in enumerate(rows, 1):
                with ui.element("div").classes("fp-item"):
                    for at, what in enumerate((_("Name"), _("Value"))):
                        with ui.element("div").classes("fp-f"):
                            box = ui.input(value=row[at], on_change=lambda e, row=row, at=at: edit(row, at, e.value))
                            box.props("outlined dense debounce=250")
                            box.props["placeholder"] = what
                            box.props["aria-label"] = f"{spec.title}, {what} {number}"
                            box.set_enabled(not form.read_only)
                            boxes.append(box)
                    if not form.read_only:
                        icon_button("close", f"{_('Remove')} {word} {number}", lambda row=row: remove(row), tip=False)
        if write:
            boxes[-2].run_method("focus")  # the name box of the added row

    def add() -> None:
        rows.append(["", ""])
        show(write=True)

    place = ui.element("div").classes("fp-list")
    show()
    _add_button(form, word, add)


def _list_at(form: EditedForm, pointer: str) -> list[Json]:
    value = form.at(pointer)
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []


def describes_field(spec: FieldSpec) -> bool:
    """True when each entry describes a field of an API Input or of an answer: it has a name, a type and rules."""
    return {"name", "type", "format"} <= {one.name for one in spec.fields}


def _new_item(spec: FieldSpec) -> dict[str, Json]:
    fresh = {one.name: one.new for one in spec.fields if not isinstance(one.new, Absent)}
    return {"name": "", "type": "string", **fresh} if describes_field(spec) else fresh


def _add_button(form: EditedForm, word: str, add: Callable[[], None]) -> None:
    if not form.read_only:
        button(f"{_('Add')} {_article(word)} {word}", add, icon="add", small=True)


def _article(word: str) -> str:
    return _("an") if word[:1].lower() in "aeiou" else _("a")


def _row_buttons(form: EditedForm, pointer: str, at: int, count: int, name: str, show: Callable[[], None]) -> None:
    """Buttons to move an entry up or down and to remove it."""
    if form.read_only:
        return

    def put(entries: list[Json]) -> None:
        form.change(pointer, entries)
        show()

    def move(to: int) -> None:
        entries = _list_at(form, pointer)
        entries.insert(to, entries.pop(at))
        put(entries)

    def remove() -> None:
        entries = _list_at(form, pointer)
        del entries[at]
        put(entries)

    if count > 1:
        up = icon_button("arrow_upward", f"{_('Move up')} {name}", lambda: move(at - 1), tip=False)
        up.set_enabled(at > 0)
        down = icon_button("arrow_downward", f"{_('Move down')} {name}", lambda: move(at + 1), tip=False)
        down.set_enabled(at < count - 1)
    icon_button("close", f"{_('Remove')} {name}", remove, tip=False)
