"""A value of any type as a form: text, a number, yes or no, a list or a group, up to three levels deep."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec.structs import replace
from nicegui import ui

from ui.forms.boxes import Box
from ui.forms.part import Owner, Part
from ui.forms.specs import ABSENT, YES_NO, Absent, FieldSpec, Json
from ui.forms.values import lines_of, parse
from ui.kit.parts import words
from ui.kit.text import _, type_word

#: Lists and groups in one another that are drawn as a form. What is deeper is shown as JSON.
LEVELS: Final = 3

TEXT, NUMBER, YES_OR_NO, LIST, GROUP, MIXED, JSON = "text", "number", "yes_no", "list", "group", "mixed", "json"
_KINDS: Final = {
    TEXT: type_word("string"),
    NUMBER: type_word("number"),
    YES_OR_NO: type_word("boolean"),
    LIST: type_word("array"),
    GROUP: type_word("object"),
}
_ITEM_KINDS: Final = {**_KINDS, MIXED: _("Different kinds")}


class AnyValue(Part):
    """A value with a choice of its type. A list has a choice for all of its items."""

    is_view = True

    def __init__(
        self, owner: Owner, spec: FieldSpec, around: Part | None, value: Json, label: str | None = None
    ) -> None:
        super().__init__(owner, spec, around, value)
        self.title = label or spec.title
        self._level = 1 + sum(isinstance(one, AnyValue) for one in _around(self))
        self._quiet = False
        self.kind = kind_of(value, spec.only)
        self.items_kind = items_kind_of(value)
        with self.labelled(label, group=True).place:
            self._kinds = None if spec.only else self._draw_choice()
            self._item_kinds = self._draw_item_choice()
            self._body = ui.element("div")
        self._part = self._draw(value)

    def pointer_of(self, inner: Part) -> str:
        """The inner part shows this value."""
        return self.pointer

    @property
    def value(self) -> Json:
        """What is written in the part that is shown."""
        return self._part.value

    def inner(self) -> Iterator[Part]:
        """The part that is shown."""
        yield self._part

    def rename(self, label: str) -> None:
        """Names the choice and the value by their new place."""
        self.title = label
        super().rename(label)
        self._part.rename(label)

    def inner_changed(self) -> None:
        """Keeps the value up to date."""
        self.known = self._part.value

    def take(self, value: Json) -> None:
        """Shows another value, in the same boxes where it has the same type."""
        self.known = value
        kind, items = kind_of(value, self.spec.only), items_kind_of(value)
        empty = isinstance(value, Absent) or value is None or value == []
        if (kind == self.kind or isinstance(value, Absent)) and (empty or items == self.items_kind):
            self._part.take(value)
        else:
            self.kind, self.items_kind = kind, items
            self._redraw(value)

    # The choice of the type.

    def _draw_choice(self) -> ui.select:
        pick = self._select(_KINDS, self.kind, _("Type"))
        pick.on_value_change(lambda event: self._chosen(str(event.value)))
        return pick

    def _draw_item_choice(self) -> ui.element:
        with ui.element("div").classes("fp-row fp-each") as row:
            words(_("Each item is"), "fp-t2 fp-s13")
            self._items_pick = self._select(_ITEM_KINDS, self.items_kind, _("Each item is"))
            self._items_pick.on_value_change(lambda event: self._items_chosen(str(event.value)))
        return row

    def _select(self, kinds: Mapping[str, str], kind: str, label: str) -> ui.select:
        offered = {one: word for one, word in kinds.items() if self._level < LEVELS or one not in {LIST, GROUP, MIXED}}
        offered |= {kind: kinds[kind]} if kind in kinds else {JSON: "JSON"}
        pick = ui.select(offered, value=kind).props("outlined dense options-dense").classes("fp-kind")
        pick.props["aria-label"] = f"{self.title}, {label}"
        if self.owner.read_only:
            pick.props("readonly")
        return pick

    def _chosen(self, kind: str) -> None:
        if self._quiet or kind == self.kind:
            return
        text = self._text()
        value = converted(self.value, text, kind)
        self.kind, self.items_kind = kind, items_kind_of(value)
        self._redraw(value, text if isinstance(value, Absent) else "")
        self.tell()

    def _items_chosen(self, kind: str) -> None:
        if self._quiet or kind == self.items_kind:
            return
        items = self.value if isinstance(self.value, list) else []
        self.items_kind = kind
        self._redraw([_item_converted(one, kind) for one in items])
        self.tell()

    def _text(self) -> str:
        """The text in the box, also when it cannot be read."""
        return str(self._part.box.value or "") if isinstance(self._part, Box) else ""

    # The value.

    def _redraw(self, value: Json, typed: str = "") -> None:
        self._quiet = True
        if self._kinds is not None:
            self._kinds.value = self.kind
        self._items_pick.value = self.items_kind
        self._quiet = False
        self._body.clear()
        self._part = self._draw(value)
        if typed and isinstance(self._part, Box) and isinstance(value, Absent):
            self._part.write(typed)
        self.known = self._part.value

    def _draw(self, value: Json) -> Part:
        self._item_kinds.visible = self.kind == LIST and not self._is_too_deep(value)
        with self._body:
            return self.owner.make(self._spec(value), self, value, self.title or self.spec.type_word)

    def _is_too_deep(self, value: Json) -> bool:
        return self._level > LEVELS and isinstance(value, list | dict)

    def _spec(self, value: Json) -> FieldSpec:
        spec = replace(spec_of_kind(self.kind), title=self.title, required=self.spec.required)
        if self.kind == JSON or self._is_too_deep(value):
            return replace(spec, kind="json", only=self.spec.only, item=None)
        if self.kind == LIST:
            return replace(spec, item=spec_of_kind(self.items_kind, whole=True), min_items=self.spec.min_items)
        return spec


def kind_of(value: Json, only: str = "") -> str:
    """The type of a value, as the choice names it. What has another type than it must have is shown as JSON."""
    wanted = {"array": LIST, "object": GROUP}.get(only)
    if isinstance(value, Absent) or value is None:
        return wanted or TEXT
    found = TEXT
    if isinstance(value, bool):
        found = YES_OR_NO
    elif isinstance(value, int | float):
        found = NUMBER
    elif isinstance(value, Mapping):
        found = GROUP
    elif isinstance(value, Sequence) and not isinstance(value, str):
        found = LIST
    return found if wanted in {None, found} else JSON


def items_kind_of(value: Json) -> str:
    """The type that all items of a list have; text for an empty one."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return TEXT
    kinds = {kind_of(one) for one in value}
    return kinds.pop() if len(kinds) == 1 else MIXED if kinds else TEXT


def spec_of_kind(kind: str, *, whole: bool = False) -> FieldSpec:
    """The field for a value of this type. `whole`: an item of a list, whose own items have types of their own."""
    word = _KINDS.get(kind, "")
    if kind == NUMBER:
        return FieldSpec(name="", title="", kind="number", type_word=word)
    if kind == YES_OR_NO:
        return FieldSpec(name="", title="", kind="select", type_word=word, choices=YES_NO, required=True)
    if kind in {LIST, GROUP} and whole:
        return FieldSpec(name="", title="", kind="any", type_word=word, only="array" if kind == LIST else "object")
    if kind == LIST:
        return FieldSpec(name="", title="", kind="list", type_word=word)
    if kind == GROUP:
        return FieldSpec(name="", title="", kind="pairs", type_word=word, item=spec_of_kind(MIXED))
    if kind == MIXED:
        return FieldSpec(name="", title="", kind="any", type_word=type_word(None))
    return FieldSpec(name="", title="", kind="textarea", type_word=word)


def converted(value: Json, text: str, kind: str) -> Json:
    """A value as another type; ABSENT where it has no such form, so that its text stays to be corrected."""
    if isinstance(value, Absent) and not text:
        return ABSENT
    if kind == LIST:
        return value if isinstance(value, list) else lines_of(text) if text else [value]
    if kind == GROUP:
        return value if isinstance(value, dict) else {_("value"): text if isinstance(value, Absent) else value}
    return _item_converted(text if isinstance(value, Absent) else value, kind)


def _item_converted(value: Json, kind: str) -> Json:
    if kind == TEXT:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if kind == NUMBER:
        number, wrong = parse(spec_of_kind(NUMBER), _as_text(value))
        return ABSENT if wrong else number
    if kind == YES_OR_NO:
        return _as_text(value).strip().lower() in {"true", "yes", "1"}
    if kind == LIST:
        return value if isinstance(value, list) else [value]
    if kind == GROUP:
        return value if isinstance(value, dict) else {_("value"): value}
    return value


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _around(part: Part) -> Iterator[Part]:
    around = part.around
    while around is not None:
        yield around
        around = around.around
