"""The inspector of a connection: the source's data at the left, the target's inputs at the right, mapped by chips.

With the mouse, chips are dragged onto an input. By keyboard, Enter on a chip inserts it into the input that last had
the focus.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nicegui import ui

from engine.core.errors import Problem
from engine.flow.document import Edge, Node
from engine.flow.edits import update_node
from engine.flow.node_type import Catalog
from engine.flow.output_schemas import out_schema
from engine.nodes import CATALOG
from ui.flow_view.node_views import names_of
from ui.kit import feedback
from ui.kit.parts import button, icon, icon_button, menu_button, menu_item, words
from ui.kit.text import _
from ui.page_session import PageSession
from ui.parts.open_drafts import Edit, OpenDraft
from ui.playground.inspector.bindings import Bindings, preview
from ui.playground.inspector.called_flow_fields import CalledFields
from ui.playground.inspector.data_list import DataList
from ui.playground.inspector.input_fields import draw_inputs
from ui.playground.inspector.renaming import edit_inputs
from ui.playground.state.available_data import NOT_RUN, broken_finder, source_of
from ui.playground.state.field_previews import nodes_in, preview_of
from ui.playground.state.last_run import LastRun
from ui.playground.state.replacements import broken_data
from ui.playground.state.suggestions import Suggestion, suggestions


class EdgeMapping:
    """The inspector of one connection; drawn once."""

    def __init__(
        self,
        page_session: PageSession,
        draft: OpenDraft,
        edge: Edge,
        *,
        last_run: LastRun,
        edit: Edit,
        catalog: Catalog,
        open_node: Callable[[str], Any],
        on_close: Callable[[], Any],
    ) -> None:
        self.page_session = page_session
        self.draft = draft
        self.edge = edge
        self.last_run = last_run
        self.edit = edit
        self.open_node = open_node
        self.on_close = on_close
        self.readonly = not page_session.may("edit flows")
        self.bindings: Bindings | None = None
        self.outputs: dict[str, Any] = {}
        self.catalog = catalog

    @property
    def target(self) -> Node | None:
        """The target node in the current document."""
        return self.draft.document.node(self.edge.target)

    async def draw(self) -> None:
        """Draws the editor into the current container."""
        source, target = self.draft.document.node(self.edge.source), self.target
        if source is None or target is None:
            return
        kind = CATALOG.get(target.type)
        called = CalledFields(self.page_session, self.draft, target)
        await called.load()
        self._draw_head(source, target)
        with ui.element("div").classes("fp-ibody"):
            if kind is None or not (kind.free_form or kind.inputs.model_fields):
                words(
                    _("{name} takes no data; it only runs after {before}.").format(
                        name=target.name, before=source.name
                    ),
                    "fp-t2",
                    tag="p",
                )
                return
            self.offers_box = ui.element("div").classes("fp-stack")
            with ui.element("div").classes("fp-map"):
                with ui.element("section").classes("fp-map-from") as left:
                    left.props["aria-label"] = _("Data of {name}").format(name=source.name)
                    words(_("From"), "fp-lab", tag="h3")
                    data = DataList(on_pick=self._take, on_all=lambda: None)
                with ui.element("section").classes("fp-map-to") as right:
                    right.props["aria-label"] = _("Inputs of {name}").format(name=target.name)
                    with ui.element("div").classes("fp-lab"):
                        words(_("Into"), tag="h3")
                        words(target.name, "fp-t3 fp-cut")
                    self.bindings = Bindings(
                        target,
                        kind,
                        names_of(self.draft.document),
                        self._changed,
                        draw_inputs,
                        readonly=self.readonly,
                        fields=called.fields(target),
                    )
        self.outputs = await self.last_run.outputs(
            list(
                dict.fromkeys(
                    [source.id, *(one for value in target.inputs.values() for one in nodes_in(value, source=False))]
                )
            )
        )
        if data.is_deleted:
            return
        given = self.outputs.get(source.id, NOT_RUN)
        data.show([source_of(source, given, out_schema(source, self.catalog, self.draft.document))], more=False)
        self.bindings.on_drawn = self._show_around
        self._show_around()

    def follow(self) -> bool:
        """Updates the fields after the draft changed elsewhere. False when the editor must be drawn again."""
        target = self.target
        if target is None or self.bindings is None or self.edge not in self.draft.document.edges:
            return False
        if self.bindings.fields is not None:  # another flow may be called now
            return False
        self.bindings.name_nodes(names_of(self.draft.document))
        self.bindings.follow(target)
        return True

    def show_problems(self, problems: Sequence[Problem]) -> None:
        """Marks the inputs that have a problem."""
        if self.bindings is None:
            return
        document, node_id = self.draft.document, self.edge.target
        self.bindings.broken = broken_finder(document, node_id, self.catalog)
        self.bindings.replacements = lambda raw: broken_data(document, node_id, raw, self.catalog, self.outputs)
        self.bindings.show_problems(
            {one.pointer: (one.message, one.blocks_import) for one in problems if one.node_id == node_id}
        )

    def _draw_head(self, source: Node, target: Node) -> None:
        with ui.element("div").classes("fp-ih"):
            with ui.element("span").classes("fp-tile-i fp-g-transform"):
                icon("conversion_path", size=20)
            with ui.element("div").style("min-width: 0; flex: 1"):
                words(f"{source.name} → {target.name}", tag="h2")
                words(_("Connection"), "fp-s12 fp-t3", tag="div")
            with menu_button(_("More for this connection")):
                menu_item(_("Open {name}").format(name=source.name), lambda: self.open_node(source.id), icon="west")
                menu_item(_("Open {name}").format(name=target.name), lambda: self.open_node(target.id), icon="east")
                if not self.readonly:
                    menu_item(_("Delete this connection"), self._delete, icon="delete", danger=True)
            icon_button("close", _("Close"), self.on_close)

    async def _delete(self) -> None:
        await self.edit([{"op": "removeEdge", "edge": self.edge.model_dump()}])
        await self.on_close()

    def _take(self, picked: Mapping[str, str]) -> Any:
        return self.bindings.take(str(picked["raw"]), str(picked["name"])) if self.bindings else None

    async def _changed(self, inputs: dict[str, Any], _name: str) -> None:
        if self.bindings is not None and await edit_inputs(self.draft, self.bindings, inputs, self.catalog, self.edit):
            self._show_around()

    def _show_around(self) -> None:
        """Draws the suggestions and previews."""
        target = self.target
        if target is None or self.bindings is None or self.bindings.box.is_deleted:
            return
        kind = CATALOG[target.type]
        self.bindings.keep_room(kept=bool(self.outputs))
        for name, box in self.bindings.previews.items():
            source = name in kind.source_inputs
            value = self.bindings.inputs.get(name)
            if any(one in self.outputs for one in nodes_in(value, source=source)):
                shown = preview_of(value, self.outputs, source=source)
                preview(box, shown.text, trouble=shown.trouble)
            else:
                box.clear()
        if self.readonly:
            return
        offers = suggestions(self.draft.document, target.id, self.catalog, self.outputs, source=self.edge.source)
        self.offers_box.clear()
        with self.offers_box:
            if len(offers) > 1:
                button(
                    _("Fill all {count}").format(count=len(offers)),
                    lambda: self._fill(offers),
                    icon="auto_fix_high",
                    small=True,
                )
        self.bindings.show_offers(offers, lambda offer: self._fill([offer]))

    async def _fill(self, offers: Sequence[Suggestion]) -> None:
        target = self.target
        if target is None or self.bindings is None:
            return
        inputs = dict(target.inputs)
        for offer in offers:
            inputs |= offer.inputs
        if await self.edit([update_node(target, inputs=inputs)]):
            self.bindings.show(inputs)


def offer_to_fill(draft: OpenDraft, edge: Mapping[str, Any], *, edit: Edit) -> None:
    """After a connection was drawn: offers to fill the target's empty inputs from its source, as one edit that can be
    undone.
    """
    offers = suggestions(draft.document, str(edge["target"]), CATALOG, source=str(edge["source"]))
    if not offers:
        return

    async def fill() -> None:
        node = draft.document.node(str(edge["target"]))
        if node is None:
            return
        inputs = dict(node.inputs)
        for offer in offers:
            inputs |= offer.inputs
        await edit([update_node(node, inputs=inputs)])

    names = draft.document.node(str(edge["target"]))
    feedback.told(
        _("Connected {name}.").format(name=names.name if names else ""),
        "; ".join(f"{offer.sentence}?" for offer in offers),
        action=_("Fill") if len(offers) == 1 else _("Fill all {count}").format(count=len(offers)),
        on_action=fill,
    )
