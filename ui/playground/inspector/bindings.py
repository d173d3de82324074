"""The input fields of a node: one field per binding, with its error, suggestions and preview below it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

import jsonpointer
from nicegui import ui

from engine.flow.document import Node
from engine.flow.node_type import NodeType
from ui.flow_view.canvas_types import NodeName
from ui.kit.parts import button, icon, icon_button, sentence, words
from ui.kit.text import _
from ui.playground.inspector.binding_field import BindingField
from ui.playground.inspector.broken_chips import draw_replacements
from ui.playground.state.replacements import BrokenData, replaced
from ui.playground.state.suggestions import Suggestion

#: Called with the node's new inputs and the name of the input that changed.
Changed = Callable[[dict[str, Any], str], Any]


@dataclass
class Place:
    """One field and the elements below it."""

    pointer: str
    field: BindingField
    trouble: ui.element
    menus: dict[str, ui.menu] = dataclass_field(default_factory=dict)  #: what to use instead of each broken chip


class Bindings:
    """The inputs of one node as fields. A clicked chip goes into the field that last had the focus.

    `draw` draws the fields of a node type (`input_fields.draw_inputs`), which calls `field` for each of them.
    """

    def __init__(
        self,
        node: Node,
        kind: NodeType,
        nodes: Mapping[str, NodeName],
        on_change: Changed,
        draw: Callable[[Bindings], None],
        *,
        readonly: bool = False,
        fields: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        self.node = node
        self.kind = kind
        self.nodes = dict(nodes)
        self.inputs: dict[str, Any] = dict(node.inputs)
        self.on_change = on_change
        self._draw = draw
        self.readonly = readonly
        #: The fields of the flow that the node calls, with their types; None for nodes whose inputs have free names.
        self.fields = fields
        self.raw = False
        self.places: list[Place] = []
        self.previews: dict[str, ui.element] = {}
        self.offers: dict[str, ui.element] = {}
        #: Text boxes for the names of inputs that the designer names, by the pointer of the named input.
        self.names: dict[str, ui.input] = {}
        self.errors: dict[str, str] = {}
        self.broken: Callable[[str], list[str]] = lambda _text: []
        self.replacements: Callable[[str], BrokenData | None] = lambda _raw: None
        self.on_drawn: Callable[[], Any] | None = None
        self.box = ui.element("div").classes("fp-stack")
        self.draw()

    # Calls from the inspector.

    def take(self, raw: str, name: str) -> Any:
        """Inserts a chip when no field has the focus: into the first field, or as a new input of this name where names
        are free.
        """
        if not self.kind.free_form or self.fields is not None:
            if self.places:
                self.places[0].field.insert(raw)
            return None
        fresh = self.free_name(name)
        done = self.put_anew({**self.inputs, fresh: raw}, fresh)
        self.focus(f"/inputs/{jsonpointer.escape(fresh)}")
        return done

    def show_problems(self, problems: Mapping[str, tuple[str, bool]]) -> None:
        """Marks fields by pointer (`/inputs/url`) with a sentence and whether the value is wrong (True) or only
        missing.
        """
        for place in self.places:
            mine = next(
                (found for pointer, found in problems.items() if _within(pointer, place.pointer)),
                None,
            )
            place.field.show_trouble(bad=bool(mine and mine[1]), broken=self.broken(place.field.text))
            place.trouble.clear()
            place.menus.clear()
            with place.trouble:
                if mine is not None:
                    with ui.element("p").classes("fp-hint fp-bad" if mine[1] else "fp-hint fp-warn fp-row"):
                        icon("error" if mine[1] else "warning", size=14)
                        sentence(mine[0], tag="span")
                if not self.readonly:
                    self._draw_replacements(place)

    def _draw_replacements(self, place: Place) -> None:
        for raw in dict.fromkeys(self.broken(place.field.text)):
            if (found := self.replacements(raw)) is not None:
                place.menus[raw] = draw_replacements(found, lambda new, raw=raw: self._replace(place, raw, new))

    def _replace(self, place: Place, raw: str, new: str) -> Any:
        text = replaced(place.field.text, raw, new)
        place.field.put(text)
        return place.field.on_change(text)

    def has_field(self, pointer: str) -> bool:
        """True when a problem at this pointer is shown at one of the fields."""
        return any(_within(pointer, place.pointer) for place in self.places)

    def name_nodes(self, nodes: Mapping[str, NodeName]) -> None:
        """Updates the names on chips after nodes were added or renamed."""
        if nodes == self.nodes:
            return
        self.nodes = dict(nodes)
        for place in self.places:
            place.field.name_nodes(nodes)

    def show_raw(self, raw: bool) -> None:  # noqa: FBT001 - bound to a switch
        """Switches all fields between chips and the raw form with `{{ }}`."""
        self.raw = raw
        for place in self.places:
            place.field.show_raw(raw)

    def show_offers(self, offers: Sequence[Suggestion], take: Callable[[Suggestion], Any]) -> None:
        """Shows one-click suggestions under the fields they would fill."""
        for box in self.offers.values():
            box.clear()
        for offer in offers:
            if (box := self.offers.get(offer.name)) is not None:
                with box:
                    made = button(offer.sentence, lambda offer=offer: take(offer), icon="add_link", small=True)
                    made.classes("fp-offer")

    def focus(self, pointer: str) -> None:
        """Moves the keyboard focus into the field that a problem concerns."""
        for place in self.places:
            if _within(pointer, place.pointer):
                place.field.focus()
                return

    def name(self, pointer: str) -> None:
        """Moves the keyboard focus into the name box of a new field."""
        if pointer in self.names:
            self.names[pointer].run_method("select")

    def follow(self, node: Node) -> bool:
        """Updates the fields after the draft changed elsewhere. False when the node now needs other fields."""
        if list(node.inputs) != list(self.inputs) and self.kind.free_form:
            return False
        for name, value in node.inputs.items():
            if isinstance(value, dict | list) and value != self.inputs.get(name):
                return False
        self.node, self.inputs = node, dict(node.inputs)
        for place in self.places:
            value = _at(self.inputs, place.pointer)
            if isinstance(value, str) or value is None:
                place.field.put(value or "")
        return True

    # Drawing.

    def draw(self) -> None:
        """Draws all fields again."""
        self.box.clear()
        self.places.clear()
        self.previews.clear()
        self.offers.clear()
        self.names.clear()
        with self.box:
            self._draw(self)
        if self.on_drawn is not None:
            self.on_drawn()

    def field(
        self, pointer: str, label: str, value: Any, on_change: Callable[[Any], Any], *, single: bool
    ) -> BindingField:
        """Draws one field. A literal that is not a string is shown as JSON and keeps its type."""
        literal = value is not None and not isinstance(value, str)
        text = "" if value is None else json.dumps(value, ensure_ascii=False, indent=2) if literal else value

        def changed(new: str) -> Any:
            if not literal:
                return on_change(new)
            try:
                parsed = json.loads(new)
            except ValueError:
                field.show_trouble(bad=True, broken=[])
                return None
            field.show_trouble(bad=False, broken=[])
            return on_change(parsed)

        field = BindingField(
            text,
            label=label,
            nodes=self.nodes,
            on_change=changed,
            single=single and not isinstance(value, dict | list),
            language="json" if literal else "",
            placeholder="" if self.readonly else _("Type, or drag data here"),
            readonly=self.readonly,
        )
        if self.raw:
            field.show_raw(self.raw)
        trouble = ui.element("div")
        field.describe(trouble.html_id)
        place = Place(pointer, field, trouble)
        field.on("broken", lambda event: self._open_replacements(place, str(event.args)))
        self.places.append(place)
        return field

    def _open_replacements(self, place: Place, raw: str) -> None:
        if raw in place.menus:
            place.menus[raw].open()

    # Changes of the inputs.

    def put(self, name: str, value: Any) -> Any:
        """Stores the value of one input. Where names are free, an empty value removes the input."""
        self.inputs = {**self.inputs, name: value}
        if value == "" and not self.kind.free_form:
            self.inputs.pop(name)
        return self.on_change(dict(self.inputs), name)

    def put_anew(self, inputs: dict[str, Any], name: str) -> Any:
        """Stores other inputs and draws them again."""
        self.inputs = inputs
        done = self.on_change(dict(inputs), name)
        self.draw()
        return done

    def free_name(self, wish: str) -> str:
        """A name that no field has yet."""
        wish = "".join(letter if letter.isalnum() else "_" for letter in wish.lower()).strip("_") or "field"
        name, number = wish, 2
        while name in self.inputs:
            name, number = f"{wish}_{number}", number + 1
        return name

    def row_buttons(
        self, name: str, at: int, count: int, move: Callable[[int], Any], remove: Callable[[], Any]
    ) -> None:
        """Buttons to move a row up or down and to remove it."""
        if self.readonly:
            return
        if count > 1:
            up = icon_button("arrow_upward", f"{_('Move up')} {name}", lambda: move(at - 1), tip=False)
            up.set_enabled(at > 0)
            down = icon_button("arrow_downward", f"{_('Move down')} {name}", lambda: move(at + 1), tip=False)
            down.set_enabled(at < count - 1)
        icon_button("close", f"{_('Remove')} {name}", remove, tip=False)


def preview(box: ui.element, text: str, *, item: int | None = None, trouble: str = "") -> None:
    """Shows the value of the last run under a field; `item` is the index of the list item, from 0."""
    box.clear()
    with box, ui.element("div").classes("fp-pv"):
        icon("error" if trouble else "visibility", "fp-bad" if trouble else "", size=14)
        with ui.element("span"):
            when = _("Last run:") if item is None else f"{_('Last run, item')} {item + 1}:"
            words(f"{when} ", "fp-b")
            words(trouble or text or _("(empty)"))


def _within(pointer: str, around: str) -> bool:
    return pointer == around or pointer.startswith(f"{around}/")


def _at(inputs: Mapping[str, Any], pointer: str) -> Any:
    value: Any = inputs
    for part in pointer.removeprefix("/inputs").split("/")[1:]:
        key = jsonpointer.unescape(part)
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value
