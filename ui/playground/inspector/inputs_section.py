"""The inputs of a node on the tab "Set up": fields, available data, one-click suggestions, and previews of the last
run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nicegui import background_tasks, ui

from engine.core.errors import Problem
from engine.flow.document import Document, Node
from engine.flow.edits import named_ops, update_node
from engine.flow.node_type import Catalog, NodeType
from engine.flow.output_schemas import OutputSchemas
from engine.flow.references import Reference
from engine.flow.step_list import insert_before
from engine.flow.value_types import with_type
from ui.flow_view.canvas_types import NodeName
from ui.flow_view.node_views import names_of
from ui.forms.values import with_value
from ui.kit import feedback
from ui.kit.parts import words
from ui.kit.text import _
from ui.page_session import PageSession
from ui.parts.open_drafts import Edit, OpenDraft
from ui.playground.inspector.bindings import Bindings
from ui.playground.inspector.data_list import DataList
from ui.playground.inspector.input_fields import draw_inputs
from ui.playground.inspector.previews import Previews, nodes_used
from ui.playground.inspector.renaming import edit_inputs
from ui.playground.state.available_data import (
    NOT_RUN,
    broken_finder,
    nodes_on_offer,
    outside_lists,
    source_of,
    source_of_run,
    with_first_items,
)
from ui.playground.state.last_run import LastRun
from ui.playground.state.replacements import broken_data
from ui.playground.state.suggestions import Suggestion, ops_of, suggestions

#: Number of earlier nodes whose data is listed at first; the search loads the others.
NEAREST = 20


class InputsSection:
    """Draws itself into the current container.

    `item` is the list item that is shown; `fields` are the fields of the called flow.
    """

    def __init__(
        self,
        page_session: PageSession,
        draft: OpenDraft,
        node: Node,
        kind: NodeType,
        *,
        last_run: LastRun,
        edit: Edit,
        catalog: Catalog,
        item: int,
        fields: Sequence[Mapping[str, Any]] | None,
    ) -> None:
        self.page_session = page_session
        self.draft = draft
        self.node_id = node.id
        self.kind = kind
        self.last_run = last_run
        self.edit = edit
        self.catalog = catalog
        self.item = item
        self.readonly = not page_session.may("edit flows")
        self.data_list: DataList | None = None
        self.no_data: ui.element | None = None  #: shown in place of the data list while the node has no earlier node
        self._all_sources = False
        self._offered_of: tuple[list[tuple[str, str]], dict[str, NodeName]] | None = None
        raw_row = ui.element("div").classes("fp-rawrow")
        self.bindings = Bindings(
            node,
            self.kind,
            names_of(self.draft.document, self.draft.deleted),
            self._inputs_changed,
            draw_inputs,
            readonly=self.readonly,
            fields=fields,
            on_type=self._type_changed,
            on_list=self._write_list,
        )
        raw_row.visible = bool(self.bindings.places)

        def drawn() -> None:
            raw_row.visible = bool(self.bindings.places)
            background_tasks.create(self._drawn_anew(), name="inputs drawn anew")

        self.bindings.on_drawn = drawn
        with raw_row:
            raw = ui.switch(_("Raw form")).props("dense left-label")
            raw.on_value_change(lambda event: self.bindings.show_raw(bool(event.value)))
            raw_said = words(_("Data as programs write it, in {{ }} in place of chips."), "fp-t3 fp-s12")
            raw_said.bind_visibility_from(raw, "value")
        self.previews = Previews(self.page_session, self.last_run, self.kind, lambda: self.node, self.bindings)
        if not self.kind.accepts_input or self.readonly:
            return
        with ui.element("div").classes("fp-f"):
            with ui.element("div").classes("fp-lab"):
                words(_("Data from earlier steps"))
                words("", "fp-sp")
                words(_("click, or drag"), "fp-t3 fp-s12")
            self.no_data = words(_("Connect a node before this one to use its data here."), "fp-t2", tag="p")
            self.data_list = DataList(on_pick=self._take, on_all=self._show_all)

    @property
    def node(self) -> Node | None:
        """The node in the current document."""
        return self.draft.document.node(self.node_id)

    def show_problems(self, problems: Sequence[Problem]) -> None:
        """Shows the problems of this node at the fields they concern."""
        document = self.draft.document
        self.bindings.broken = broken_finder(document, self.node_id, self.catalog)
        self.bindings.replacements = lambda raw: broken_data(
            document, self.node_id, raw, self.catalog, self.previews.outputs, deleted=self.draft.deleted
        )
        self.bindings.show_problems({one.pointer: (one.message, one.blocks_import) for one in problems})

    def has_field(self, pointer: str) -> bool:
        """True when a problem at this pointer is shown at one of the fields."""
        return self.bindings.has_field(pointer)

    def focus(self, pointer: str) -> None:
        """Moves the keyboard focus into the field that a problem concerns."""
        self.bindings.focus(pointer)

    def follow(self, node: Node) -> None:
        """Updates the fields after the draft changed elsewhere."""
        self.bindings.follow(node)

    def put(self, inputs: dict[str, Any]) -> None:
        """Shows inputs that are already stored in the draft."""
        self.bindings.show(inputs)

    def take_fields(self, fields: Sequence[Mapping[str, Any]] | None) -> None:
        """Draws the fields of another called flow in place of the present ones."""
        self.bindings.fields = fields
        self.bindings.draw()

    def preview_soon(self) -> None:
        """Updates the suggestions now and the previews once no change came for a moment."""
        self._show_offers()
        self.previews.soon()

    async def look_again(self) -> None:
        """Reads the last run again and redraws available data, suggestions, previews and cost."""
        node = self.node
        if node is None:
            return
        steps = await self.last_run.steps(self.node_id)
        item = steps[min(self.item, len(steps) - 1)].index if steps else ()
        self._offered_of = _around(self.draft.document)
        earlier = nodes_on_offer(self.draft.document, self.node_id)
        shown = earlier if self._all_sources else earlier[:NEAREST]
        wanted = list(dict.fromkeys([*nodes_used(node, self.kind), *shown]))
        self.previews.outputs = with_first_items(self.draft.document, await self.last_run.outputs(wanted, item))
        self.previews.item = self.item
        if self.bindings.box.is_deleted:
            return
        if self.data_list is not None and self.no_data is not None:
            nodes = [one for node_id in shown if (one := self.draft.document.node(node_id)) is not None]
            outside = outside_lists(self.draft.document, self.node_id)
            schemas = OutputSchemas(self.draft.document, self.catalog)
            sources = [
                source_of(
                    one,
                    self.previews.outputs.get(one.id, NOT_RUN),
                    schemas.out(one),
                    outside=one.id in outside,
                )
                for one in nodes
            ]
            self.data_list.show([*sources, source_of_run()], more=len(shown) < len(earlier))
            self.no_data.visible, self.data_list.visible = not earlier, bool(earlier)
        self.bindings.name_nodes(names_of(self.draft.document, self.draft.deleted))
        self._show_offers()
        await self.previews.show()

    @property
    def is_behind(self) -> bool:
        """True when nodes or connections were added, removed or renamed since the available data was last drawn."""
        return self._offered_of is not None and self._offered_of != _around(self.draft.document)

    async def _drawn_anew(self) -> None:
        if not self.bindings.box.is_deleted:
            self._show_offers()
            await self.previews.show()

    def _take(self, picked: Mapping[str, str]) -> Any:
        return self.bindings.take(str(picked["raw"]), str(picked["name"]))

    async def _show_all(self) -> None:
        if not self._all_sources:
            self._all_sources = True
            await self.look_again()

    async def _inputs_changed(self, inputs: dict[str, Any], _name: str) -> None:
        if await edit_inputs(self.draft, self.bindings, inputs, self.catalog, self.edit):
            self.preview_soon()

    async def _type_changed(self, name: str, value_type: str) -> None:
        node = self.node
        if node is not None:
            await self.edit([update_node(node, config=with_type(node, name, value_type))])
            self.preview_soon()

    async def _write_list(self, pointer: str, template: str, with_piece: Callable[[str], str]) -> None:
        """Adds a Text Template before this step that writes a list, and puts what it gives into the text."""
        async with self.draft.making:
            node = self.node
            if node is None:
                return
            document = self.draft.document
            made, ops = insert_before(document, self.catalog["text_template"], self.catalog, node.id)
            label = _("List as text")
            inputs = with_value(node.inputs, pointer.removeprefix("/inputs"), with_piece(str(Reference(made, "out"))))
            ops = [*named_ops(ops, label, {"template": template}), update_node(node, inputs=inputs)]
            done = await self.edit(ops)
        if done and (node := self.node) is not None:
            self.follow(node)
            with self.bindings.box:
                feedback.told(_("The new step “{label}” before this one writes the list.").format(label=label))

    def _show_offers(self) -> None:
        if not self.readonly and not self.bindings.box.is_deleted:
            offers = suggestions(self.draft.document, self.node_id, self.catalog, self.previews.outputs)
            self.bindings.show_offers(offers, self._take_offer)

    async def _take_offer(self, offer: Suggestion) -> None:
        node = self.node
        if node is None:
            return
        ops = ops_of(offer, self.draft.document, self.node_id, self.catalog)
        if await self.edit(ops) and (node := self.node) is not None:
            self.follow(node)


def _around(document: Document) -> tuple[list[tuple[str, str]], dict[str, NodeName]]:
    """The parts of the document that decide which data a node may use and how that data is named."""
    return [(edge.source, edge.target) for edge in document.edges], names_of(document)
