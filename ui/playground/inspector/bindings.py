"""The input fields of a node: one field per binding, with its error, suggestions and preview below it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Protocol

from nicegui import ui

from engine.flow.document import Node
from engine.flow.node_type import NodeType
from engine.flow.storable_values import unfit
from engine.flow.value_types import type_of
from ui.flow_view.canvas_types import NodeName
from ui.kit.parts import button, icon, sentence, show_in_place, words
from ui.kit.text import _
from ui.playground.inspector.binding_field import BindingField
from ui.playground.inspector.broken_chips import draw_replacements
from ui.playground.inspector.list_writing import draw_list_writings
from ui.playground.state.replacements import BrokenData, replaced
from ui.playground.state.suggestions import Suggestion

#: Characters of a preview that are shown when the pointer rests on it.
_MAX_TITLE = 600
#: Called with the node's new inputs and the name of the input that changed.
Changed = Callable[[dict[str, Any], str], Any]
#: Called with the pointer of a text, the template that writes a list in it, and what makes the text with a reference to that.
WriteList = Callable[[str, str, Callable[[str], str]], Any]


@dataclass
class Place:
    """One field and the elements below it. `where` gives its pointer, which changes when rows move."""

    where: Callable[[], str]
    field: BindingField
    trouble: ui.element
    menus: dict[str, ui.menu] = dataclass_field(default_factory=dict)  #: what to use instead of each broken chip
    #: True once the field was left or a problem was clicked: until then nobody is told that its value is missing.
    left: bool = False
    told: tuple[Any, ...] = (None, ())  #: what stands below the field

    @property
    def pointer(self) -> str:
        """The pointer of the value that the field shows now."""
        return self.where()


class Shown(Protocol):
    """What shows the value of one input, or all inputs where their names are free."""

    def put(self, value: Any) -> None:
        """Shows a value that was changed elsewhere, in the same fields where it has the same type."""


class Items(Protocol):
    """What shows a list."""

    def take(self, raw: str) -> Any:
        """Puts a chip into the first empty item, or adds an item for it."""


class FreeRows(Shown, Protocol):
    """What shows inputs whose names are free."""

    def add(self, name: str, value: Any) -> Any:
        """Adds an input; the keyboard stays where it is."""


class Bindings:
    """The inputs of one node as fields. A clicked chip goes into the field that last had the focus, or was just
    added.

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
        on_type: Callable[[str, str], Any] | None = None,
        on_list: WriteList | None = None,
    ) -> None:
        self.node = node
        self.kind = kind
        self.nodes = dict(nodes)
        self.inputs: dict[str, Any] = dict(node.inputs)
        self.on_change = on_change
        self.on_type = on_type
        self.on_list = on_list
        self._draw = draw
        self.readonly = readonly
        #: The fields of the flow that the node calls, with their types; None for nodes whose inputs have free names.
        self.fields = fields
        self.raw = False
        self._places: list[Place] = []
        self._problems: dict[str, tuple[str, bool]] = {}
        #: What shows each input, by its name.
        self.shown: dict[str, Shown] = {}
        #: What shows the inputs where their names are free.
        self.rows: FreeRows | None = None
        #: What shows the first input when it is a list.
        self.items: Items | None = None
        self.previews: dict[str, ui.element] = {}
        self.offers: dict[str, ui.element] = {}
        self.errors: dict[str, str] = {}
        self.broken: Callable[[str], list[str]] = lambda _text: []
        self.replacements: Callable[[str], BrokenData | None] = lambda _raw: None
        self._writing: ui.menu | None = None  #: how a list is written, beside the chip that was pressed
        self.on_drawn: Callable[[], Any] | None = None
        self.box = ui.element("div").classes("fp-stack")
        self.draw()

    @property
    def has_types(self) -> bool:
        """True when the node can hand a field on as a number, or as yes or no."""
        return self.on_type is not None and "types" in self.kind.config.model_fields

    def type_of(self, name: str) -> str:
        """What a field is handed on as; "" when it stays as it is."""
        return type_of(self.node.config, name)

    def put_type(self, name: str, value_type: str) -> Any:
        """Stores what a field is handed on as."""
        return self.on_type(name, value_type) if self.on_type is not None else None

    @property
    def places(self) -> list[Place]:
        """The fields that are there now."""
        self._places = [one for one in self._places if not one.field.is_deleted]
        return self._places

    # Calls from the inspector.

    def take(self, raw: str, name: str) -> Any:
        """Inserts a chip when no field has the focus: into the first field, as another item of a list, or as a new input
        of this name where names are free.
        """
        if self.rows is not None:
            return self.rows.add(self.free_name(name), raw)
        if self.items is not None:
            return self.items.take(raw)
        if self.places:
            self.places[0].field.insert(raw)
        return None

    def show_problems(self, problems: Mapping[str, tuple[str, bool]]) -> None:
        """Marks fields by pointer (`/inputs/url`) with a sentence and whether the value is wrong (True) or only
        missing. A missing value is told once its field was left.
        """
        self._problems = dict(problems)
        for place in self.places:
            mine = next(
                (found for pointer, found in problems.items() if _within(pointer, place.pointer)),
                None,
            )
            if mine is not None and not mine[1] and not place.left and not place.field.text.strip():
                mine = None
            broken = self.broken(place.field.text)
            place.field.show_trouble(bad=bool(mine and mine[1]), broken=broken)
            instead = {} if self.readonly else {raw: self.replacements(raw) for raw in broken}
            self._draw_trouble(place, mine, {raw: found for raw, found in instead.items() if found is not None})

    def _draw_trouble(self, place: Place, mine: tuple[str, bool] | None, instead: Mapping[str, BrokenData]) -> None:
        """Draws what stands below a field. It stays while it is the same: leaving a field by a press on one of these
        buttons must not put another button in its place. The room of what is no longer told stays, so that the data below does
        not move under the press that puts it in.
        """
        told = (mine, tuple(instead.items()))
        if told == place.told:
            return
        place.told = told
        show_in_place(place.trouble, shown=mine is not None or bool(instead))
        place.menus.clear()
        if mine is None and not instead:
            return
        place.trouble.clear()
        with place.trouble:
            if mine is not None:
                with ui.element("p").classes("fp-hint fp-bad" if mine[1] else "fp-hint fp-warn fp-row"):
                    icon("error" if mine[1] else "warning", size=14)
                    sentence(mine[0], tag="span")
            for raw, found in instead.items():
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
                self._leave(place)
                place.field.focus()
                return

    def _leave(self, place: Place) -> None:
        if not place.left:
            place.left = True
            self.show_problems(self._problems)

    def follow(self, node: Node) -> None:
        """Shows the inputs after the draft changed elsewhere."""
        self.node = node
        self.show(dict(node.inputs))

    def show(self, inputs: dict[str, Any]) -> None:
        """Shows inputs that are already stored. Fields whose value is of the same type stay, and so does the cursor."""
        self.inputs = inputs
        if self.rows is not None:
            self.rows.put(inputs)
        for name, shown in self.shown.items():
            shown.put(inputs.get(name))
        self.drawn()

    # Drawing.

    def draw(self) -> None:
        """Draws all fields again."""
        self.box.clear()
        self._writing = None
        self._places.clear()
        self.previews.clear()
        self.offers.clear()
        self.shown.clear()
        self.rows = self.items = None
        with self.box:
            self._draw(self)
        self.drawn()

    def keep_room(self, *, kept: bool) -> None:
        """Keeps the room of a preview under each field, or gives it up."""
        self.box.classes(add="fp-has-run") if kept else self.box.classes(remove="fp-has-run")

    def drawn(self) -> None:
        """Called after fields came: shows what stands around them."""
        if self.on_drawn is not None:
            self.on_drawn()

    def field(
        self,
        pointer: str | Callable[[], str],
        label: str,
        value: Any,
        on_change: Callable[[Any], Any],
        *,
        single: bool,
    ) -> BindingField:
        """Draws one field. A literal that is not a string is shown as JSON and keeps its type."""
        literal = value is not None and not isinstance(value, str)
        text = "" if value is None else json.dumps(value, ensure_ascii=False, indent=2) if literal else value

        def changed(new: str) -> Any:
            if not literal:
                return on_change(new)
            try:
                parsed = json.loads(new)
            except (ValueError, RecursionError):
                field.show_trouble(bad=True, broken=[])
                return None
            why = next((said for _, said in unfit(parsed)), "")
            field.show_trouble(bad=bool(why), broken=[])
            if why:
                return self._draw_trouble(place, (why, True), {})
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
        place = Place((lambda: pointer) if isinstance(pointer, str) else pointer, field, trouble)
        field.on("broken", lambda event: self._open_replacements(place, str(event.args)))
        if self.kind.source_inputs or (not single and self._is_text(place.pointer)):
            field.ask_at_lists(lambda chip, before, fields: self._choose_writing(place, chip, before, fields))
        field.on("left", lambda _event: self._leave(place), [])
        self._places.append(place)
        return field

    def _open_replacements(self, place: Place, raw: str) -> None:
        if raw in place.menus:
            place.menus[raw].open()

    def _is_text(self, pointer: str) -> bool:
        """True for an input that is always a text, like that of a model."""
        info = self.kind.inputs.model_fields.get(pointer.split("/")[2])
        return self.on_list is not None and info is not None and info.annotation is str

    def _choose_writing(self, place: Place, raw: str, before: int, fields: Sequence[str]) -> None:
        """Asks how a list is written in a text, at the chip with `before` equal chips in front of it. A template writes it
        itself; what another text is to have is written by a template of its own.
        """

        def take(new: str) -> Any:
            parts = place.field.text.split(raw)
            at = before + 1
            if not 0 < at < len(parts) or new == raw:  # the chip was deleted meanwhile, or stays
                return None

            def with_piece(piece: str) -> str:
                return f"{raw.join(parts[:at])}{piece}{raw.join(parts[at:])}"

            if self.on_list is not None and not self.kind.source_inputs:
                return self.on_list(place.pointer, new, with_piece)
            text = with_piece(new)
            place.field.put(text)
            return place.field.on_change(text)

        if self._writing is not None:
            self._writing.delete()
        with self.box:
            self._writing = draw_list_writings(raw, fields, take)

    # Changes of the inputs.

    def put(self, name: str, value: Any) -> Any:
        """Stores the value of one input. An empty value removes the input, unless names are free; so does a list or a
        group without entries where an input without a value takes what the step before gives.
        """
        self.inputs = {**self.inputs, name: value}
        gone = (value == "" and not self.kind.free_form) or (name == self.kind.source_input and value in ([], {}))
        if gone:
            self.inputs.pop(name)
        return self.on_change(dict(self.inputs), name)

    def put_all(self, inputs: dict[str, Any], name: str) -> Any:
        """Stores other inputs, which the fields show already."""
        self.inputs = inputs
        return self.on_change(dict(inputs), name)

    def free_name(self, wish: str) -> str:
        """A name that no field has yet."""
        wish = "".join(letter if letter.isalnum() else "_" for letter in wish.lower()).strip("_") or "field"
        name, number = wish, 2
        while name in self.inputs:
            name, number = f"{wish}_{number}", number + 1
        return name


def preview_box() -> ui.element:
    """The place of a preview under a field. It keeps its room once there is a last run, so that nothing below it moves."""
    return ui.element("div").classes("fp-pvroom")


def preview(box: ui.element, text: str, *, item: int | None = None, trouble: str = "") -> None:
    """Shows a value with the data of the last run under a field; `item` is the index of the list item, from 0."""
    box.clear()
    with box, ui.element("div").classes("fp-pv"):
        icon("error" if trouble else "visibility", "fp-bad" if trouble else "", size=14)
        with ui.element("span"):
            # The value as it is bound now, which may have changed since: only the data is that of the last run.
            when = (
                _("With the last run's data:")
                if item is None
                else _("With the last run's data, item {item}:").format(item=item + 1)
            )
            words(f"{when} ", "fp-b")
            words(trouble or text or _("(empty)")).props["title"] = (trouble or text)[:_MAX_TITLE]


def _within(pointer: str, around: str) -> bool:
    return pointer == around or pointer.startswith(f"{around}/")
