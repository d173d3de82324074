"""The value of an input as fields: text with chips, a list with a field per item, a group with a field per name.

Lists and groups stand in one another up to three levels deep; what is deeper is shown as JSON. A change draws no other
field again, so the cursor stays where it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import jsonpointer
from nicegui import ui

from engine.flow.json_values import read_strictly
from engine.flow.value_types import NUMBER, YES_NO
from ui.forms.row_buttons import RowButtons, moved
from ui.forms.values import lines_of, same
from ui.kit.parts import button, icon_button, menu_button, menu_item, words
from ui.kit.text import _
from ui.playground.inspector.binding_field import BindingField
from ui.playground.inspector.bindings import Bindings

LEVELS: Final = 3
#: Lines that are taken from one paste.
_MAX_LINES: Final = 1000
TEXT, LIST, GROUP, JSON = "text", "list", "group", "json"
_TURNS: Final = {
    TEXT: (_("Write it as text"), "notes"),
    LIST: (_("Make it a list"), "format_list_bulleted"),
    GROUP: (_("Make it a group"), "data_object"),
    JSON: (_("Write it as JSON"), "code"),
}
#: What a value is handed on as -> the entry of the menu, the line below the field, and the icon of the entry.
_TYPES: Final = {
    NUMBER: (_("As a number"), _("Handed on as a number: “39.90 EUR” becomes 39.9."), "looks_one"),
    YES_NO: (_("As yes or no"), _("Handed on as yes or no: yes when there is something."), "check_circle"),
    "": (_("As it is"), "", "undo"),
}
#: The name before the colon in a line of a text.
_LINE_NAME: Final = re.compile(r"[\w-]+")
#: Called with the new value.
Changed = Callable[[Any], Any]
#: Gives the pointer of a value, which changes when rows move.
Where = Callable[[], str]


class BoundValue:
    """A value of any type. `draw_menu` draws the menu that gives it another type."""

    def __init__(
        self,
        bindings: Bindings,
        where: Where,
        label: str,
        value: Any,
        changed: Changed,
        *,
        single: bool = True,
        tall: bool = False,
        level: int = 1,
        on_lines: Callable[[str], Any] | None = None,
    ) -> None:
        self.bindings, self.where, self.label = bindings, where, label
        self.value: Any = value
        self._on_lines = on_lines
        self._changed, self._single, self._tall, self._level = changed, single, tall, level
        self.kind = kind_of(value, level)
        self._turned: tuple[Any, Any] | None = None  #: what the last turn made, and what it was made of
        self._box = ui.element("div").classes("fp-bound")
        self._field: BindingField | None = None
        self._inner: BoundList | BoundGroup | None = None
        self._draw()

    def put(self, value: Any) -> None:
        """Shows a value that was changed elsewhere, in the same fields where it has the same type."""
        if same(value, self.value) or (value is None and not self.value):
            return
        if value is None and self._inner is not None:
            value = [] if self.kind == LIST else {}
        kind = JSON if self.kind == JSON and not isinstance(value, str) and value is not None else None
        kind = kind or kind_of(value, self._level)
        self.value = value
        if kind != self.kind:
            self.kind = kind
            self._draw()
        elif self._inner is not None:
            self._inner.put(value)
        elif self._field is not None:
            self._field.put(_as_text(value))

    def rename(self, label: str) -> None:
        """Gives the field another name."""
        if label == self.label:
            return
        self.label = label
        if self._field is not None:
            self._field.props["label"] = label
        if self._inner is not None:
            self._inner.rename(label)

    def focus(self) -> None:
        """Moves the keyboard focus into the value."""
        if self._field is not None:
            self._field.focus()
        elif self._inner is not None:
            self._inner.focus()

    def take_next(self) -> None:
        """Makes this the value that takes the next chip; the keyboard focus stays where it is."""
        if self._field is not None:
            self._field.take_next()

    def take(self, raw: str) -> Any:
        """Puts a chip in: into a list as an item, otherwise in place of the value."""
        if isinstance(self._inner, BoundList):
            return self._inner.take(raw)
        self.put(raw)
        return self._changed(raw)

    def draw_menu(self, name: str, types: TypeChoice | None = None) -> None:
        """Draws the menu that turns the value into text, a list, a group or JSON; `types`: what it is handed on as."""
        if self.bindings.readonly:
            return
        with menu_button(_("More for {name}").format(name=name), name="more_vert"):
            for kind, (text, symbol) in _TURNS.items():
                if self._level < LEVELS or kind not in {LIST, GROUP}:
                    menu_item(text, lambda kind=kind: self.turn(kind), icon=symbol)
            if types is not None:
                types.draw_entries()

    def turn(self, kind: str) -> Any:
        """Gives the value another type. What is written in it stays, as far as the type has room for it; turning it back
        at once gives what it was.
        """
        if kind == self.kind:
            return None
        made, was = self._turned or (None, None)
        back = self._turned is not None and same(made, self.value) and kind_of(was, self._level) == kind
        value = was if back else turned(self.value, kind)
        self._turned = value, self.value
        self.kind, self.value = kind, value
        self._draw()
        self.bindings.drawn()
        return self._changed(self.value)

    def _draw(self) -> None:
        self._box.clear()
        self._field = self._inner = None
        with self._box:
            if self.kind == LIST and isinstance(self.value, list):
                self._inner = BoundList(
                    self.bindings, self.where, self.label, list(self.value), self._told, level=self._level
                )
            elif self.kind == GROUP and isinstance(self.value, dict):
                self._inner = BoundGroup(
                    self.bindings, self.where, self.label, dict(self.value), self._told, level=self._level
                )
            else:
                self._field = self.bindings.field(
                    self.where, self.label, self.value, self._told, single=self._single and self.kind == TEXT
                ).classes("" if self._tall else "fp-binding--short")
                if self._on_lines is not None and self.kind == TEXT:
                    self._field.split_lines(self._on_lines)

    def _told(self, value: Any) -> Any:
        self.value = value
        return self._changed(value)


class TypeChoice:
    """What the value of a field is handed on as: as it is, as a number, or as yes or no.

    `draw` shows it below the field; `draw_entries` draws the entries of the menu. `put` stores the choice.
    """

    def __init__(self, chosen: str, put: Callable[[str], Any]) -> None:
        self.chosen, self._put = chosen, put
        self._said: ui.element | None = None

    def draw(self) -> None:
        """Draws the line that tells the type, when there is one."""
        with ui.element("p").classes("fp-hint fp-row") as self._said:
            self._words = words("")
        self.show(self.chosen)

    def draw_entries(self) -> None:
        """Draws an entry for each type into the current menu."""
        ui.separator()
        for kind, (text, _told, symbol) in _TYPES.items():
            menu_item(text, lambda kind=kind: self._choose(kind), icon=symbol)

    def show(self, chosen: str) -> None:
        """Shows a type that was chosen elsewhere."""
        self.chosen = chosen
        if self._said is not None:
            self._words.text = _TYPES[chosen][1]
            self._said.visible = bool(chosen)

    def _choose(self, kind: str) -> Any:
        if kind == self.chosen:
            return None
        self.show(kind)
        return self._put(kind)


class BoundList:
    """A field per item, with buttons that move and remove it."""

    def __init__(
        self, bindings: Bindings, where: Where, label: str, value: list[Any], changed: Changed, *, level: int = 1
    ) -> None:
        self.bindings, self.where, self.label = bindings, where, label
        self._changed, self.level = changed, level
        self.rows: list[_Item] = []
        self._place = ui.element("div").classes("fp-list")
        if not bindings.readonly:
            self._add_button = button(_("Add an item"), self._add, icon="add", small=True)
            self._add_button.props["aria-label"] = _("Add an item to {title}").format(title=label)
        self._fill(value)

    @property
    def value(self) -> list[Any]:
        """The items."""
        return [row.bound.value for row in self.rows]

    def put(self, value: Any) -> None:
        """Shows other items: each row keeps its fields and takes its item."""
        items = value if isinstance(value, list) else []
        for row in self.rows[len(items) :]:
            row.element.delete()
        del self.rows[len(items) :]
        for row, item in zip(self.rows, items, strict=False):
            row.bound.put(item)
        self._fill(items[len(self.rows) :])

    def rename(self, label: str) -> None:
        """Names the fields by the new name of the list."""
        self.label = label
        self.number()

    def focus(self) -> None:
        """Moves the keyboard focus into the first item."""
        if self.rows:
            self.rows[0].bound.focus()

    def remove(self, row: _Item) -> Any:
        """Removes an item; the others stay as they are."""
        self.rows.remove(row)
        row.element.delete()
        return self.told()

    def move(self, row: _Item, by: int) -> Any:
        """Moves an item up or down."""
        return self.told() if moved(self.rows, row, by) else None

    def paste(self, row: _Item, text: str) -> Any:
        """Makes an item of each line. They begin in this row when nothing stands in it, else after it."""
        at, items = self.rows.index(row), self.value
        begin = at if items[at] in ("", None) else at + 1
        self.put([*items[:begin], *lines_of(text)[:_MAX_LINES], *items[at + 1 :]])
        done = self.told()
        self.bindings.drawn()
        return done

    def take(self, raw: str) -> Any:
        """Puts a chip into the first empty item, or adds an item for it."""
        at = next((at for at, one in enumerate(self.value) if one in ("", None)), len(self.rows))
        self.put([*self.value[:at], raw, *self.value[at + 1 :]])
        done = self.told()
        self.bindings.drawn()
        return done

    def told(self) -> Any:
        """Stores the list as it is shown now."""
        self.number()
        return self._changed(self.value)

    def number(self) -> None:
        """Names each row by its place."""
        for at, row in enumerate(self.rows):
            row.number(at, len(self.rows))

    def _fill(self, items: list[Any]) -> None:
        for item in items:
            with self._place:
                self.rows.append(_Item(self, item))
        self.number()

    def _add(self) -> Any:
        self._fill([""])
        done = self.told()
        self.rows[-1].bound.focus()
        self.bindings.drawn()
        return done


class _Item:
    """One row of a list."""

    def __init__(self, items: BoundList, value: Any) -> None:
        self.items = items
        bindings = items.bindings
        with ui.element("div").classes("fp-row fp-pairrow") as self.element:
            self.bound = BoundValue(
                bindings,
                self._where,
                "",
                value,
                self._told,
                level=items.level + 1,
                on_lines=lambda text: items.paste(self, text),
            )
            self._buttons = None
            if not bindings.readonly:
                self.bound.draw_menu(items.label)
                self._buttons = RowButtons(lambda: items.remove(self), lambda by: items.move(self, by))

    def number(self, at: int, count: int) -> None:
        """Takes the row's place."""
        label = f"{self.items.label} {at + 1}"
        self.bound.rename(label)
        if self._buttons is not None:
            self._buttons.name(label, at, count)

    def _where(self) -> str:
        return f"{self.items.where()}/{self.items.rows.index(self)}"

    def _told(self, _value: Any) -> Any:
        return self.items.told()


class BoundGroup:
    """A row of a name and a value for each name.

    A name that is missing or taken stays in its box, with the reason; until it is mended the former one counts.
    """

    def __init__(
        self, bindings: Bindings, where: Where, label: str, value: dict[str, Any], changed: Changed, *, level: int = 1
    ) -> None:
        self.bindings, self.where, self.label = bindings, where, label
        self._changed, self.level = changed, level
        self.rows: list[_Named] = []
        self._place = ui.element("div").classes("fp-list")
        if not bindings.readonly:
            self._add_button = button(_("Add"), self._add, icon="add", small=True)
        self._fill(value)
        self.rename(label)

    @property
    def value(self) -> dict[str, Any]:
        """The names with their values."""
        return {row.name: row.bound.value for row in self.rows}

    def put(self, value: Any) -> None:
        """Shows other names and values: each row keeps its fields."""
        wanted = value if isinstance(value, dict) else {}
        for row in self.rows[len(wanted) :]:
            row.element.delete()
        del self.rows[len(wanted) :]
        rest = list(wanted.items())
        for row, (name, one) in zip(self.rows, rest, strict=False):
            row.put(name, one)
        self._fill(dict(rest[len(self.rows) :]))

    def rename(self, label: str) -> None:
        """Names the fields by the new name of the group."""
        self.label = label
        if not self.bindings.readonly:
            self._add_button.props["aria-label"] = _("Add to {label}").format(label=label)
        for row in self.rows:
            row.label()

    def focus(self) -> None:
        """Moves the keyboard focus into the first value."""
        if self.rows:
            self.rows[0].bound.focus()

    def trouble_with(self, row: _Named, name: str) -> str:
        """Why the row cannot have this name; "" when it can."""
        if not name:
            return _("This needs a name.")
        return _("Another one has this name.") if any(one.name == name and one is not row for one in self.rows) else ""

    def remove(self, row: _Named) -> Any:
        """Removes a row; the others stay as they are."""
        self.rows.remove(row)
        row.element.delete()
        return self.told()

    def told(self) -> Any:
        """Stores the group as it is shown now."""
        return self._changed(self.value)

    def _fill(self, value: Mapping[str, Any]) -> None:
        for name, one in value.items():
            with self._place:
                self.rows.append(_Named(self, name, one))

    def _add(self) -> Any:
        number = 1
        while any(row.name == f"name_{number}" for row in self.rows):
            number += 1
        self._fill({f"name_{number}": ""})
        done = self.told()
        self.rows[-1].box.select()
        self.rows[-1].bound.take_next()
        self.bindings.drawn()
        return done


class _Named:
    """One row of a group."""

    def __init__(self, group: BoundGroup, name: str, value: Any) -> None:
        self.group, self.name = group, name
        bindings = group.bindings
        with ui.element("div").classes("fp-row fp-pairrow") as self.element:
            self.box = NameBox(
                name,
                _("{label}: name").format(label=group.label),
                self._rename,
                readonly=bindings.readonly,
                classes="fp-pairname",
            )
            self.bound = BoundValue(
                bindings, self._where, f"{group.label}: {name}", value, self._told, level=group.level + 1
            )
            self._close = None
            if not bindings.readonly:
                self.bound.draw_menu(name)
                self._close = icon_button(
                    "close", _("Remove {name}").format(name=name), lambda: group.remove(self), tip=False
                )

    def put(self, name: str, value: Any) -> None:
        """Shows another name and value."""
        self._take(name)
        self.box.put(name)
        self.bound.put(value)

    def label(self) -> None:
        """Names box and value by the name of the group."""
        self.box.input.props["aria-label"] = _("{label}: name").format(label=self.group.label)
        self.bound.rename(f"{self.group.label}: {self.name}")

    def _take(self, name: str) -> None:
        if name == self.name:
            return
        self.name = name
        self.label()
        if self._close is not None:
            self._close.props["aria-label"] = _("Remove {name}").format(name=name)

    def _where(self) -> str:
        return f"{self.group.where()}/{jsonpointer.escape(self.name)}"

    def _told(self, _value: Any) -> Any:
        return self.group.told()

    def _rename(self, name: str) -> Any:
        if trouble := self.group.trouble_with(self, name):
            self.box.complain(trouble)
            return None
        self.box.complain("")
        if name == self.name:
            return None
        self._take(name)
        return self.group.told()


class NameBox:
    """The text box for a name. `renamed` is called with the name when the box was left after a change."""

    def __init__(
        self, name: str, label: str, renamed: Callable[[str], Any], *, readonly: bool, classes: str = ""
    ) -> None:
        self._said = ""
        self.input = box = ui.input(value=name).props("outlined dense autocomplete=off spellcheck=false")
        box.classes(classes)
        box.props["aria-label"] = label
        box.props.set_bool("readonly", readonly)
        box.on("change", lambda _event: renamed((box.value or "").strip()))

    def put(self, name: str) -> None:
        """Shows a name that was changed elsewhere."""
        if (self.input.value or "").strip() != name:
            self.input.value = name
            self.complain("")

    def complain(self, text: str) -> None:
        """Says what is wrong with the name; "" takes it back."""
        if text != self._said:  # an element is sent again with its text, so it is changed only when needed
            self._said = text
            self.input.props.set_bool("error", bool(text))
            self.input.props.set_optional("error-message", text or None)

    def select(self) -> None:
        """Moves the keyboard focus into the box and selects the name, so that typing replaces it."""
        self.input.run_method("select")


def kind_of(value: Any, level: int = 1) -> str:
    """How a value is shown."""
    if value is None or isinstance(value, str):
        return TEXT
    if isinstance(value, list) and level <= LEVELS:
        return LIST
    return GROUP if isinstance(value, dict) and level <= LEVELS else JSON


def turned(value: Any, kind: str) -> Any:
    """A value as another type, with what is in it."""
    if kind == TEXT:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    read = _read(value)
    if kind == LIST:
        if isinstance(read, list):
            return read
        return lines_of(value) or [""] if isinstance(value, str) else [value]
    if kind == GROUP:
        return read if isinstance(read, dict) else _named_lines(value) or {"name_1": value}
    return read if not isinstance(read, str) else {"name_1": read}


def _named_lines(value: Any) -> dict[str, str]:
    """The names and values of a text with lines like `name: value`; a line without a name belongs to the value above it.
    Empty for other texts.
    """
    found: dict[str, str] = {}
    for line in value.strip().splitlines() if isinstance(value, str) else ():
        name, sign, rest = line.partition(":")
        if sign and _LINE_NAME.fullmatch(name) and name not in found and rest[:1] in ("", " ", "{"):
            found[name] = rest.strip()
        elif found:
            found[next(reversed(found))] += f"\n{line}"
        else:
            return {}
    return found


def _read(value: Any) -> Any:
    """Text that is JSON as its value; other values as they are."""
    if not isinstance(value, str):
        return value
    try:
        return read_strictly(value)
    except ValueError:
        return value


def _as_text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
