"""The tab "Set up" of a node: its settings, its inputs, the data on offer with previews of the last run, and what happens if it fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from nicegui import background_tasks, ui

from engine.core.errors import Problem
from engine.flow.document import Document, Node
from engine.flow.edits import Op, update_node
from engine.flow.node_type import Catalog, NodeType
from engine.nodes import CATALOG
from ui.flow_view.canvas_types import NodeName
from ui.flow_view.node_views import names_of
from ui.forms.form import Form
from ui.forms.specs import FieldSpec, specs_of_model
from ui.kit.parts import button, icon, words
from ui.kit.text import _
from ui.page_session import PageSession
from ui.parts.open_drafts import OpenDraft
from ui.playground.inspector.bindings import Bindings
from ui.playground.inspector.called_flow_fields import CalledFields
from ui.playground.inspector.curl_paste import paste_button
from ui.playground.inspector.data_list import DataList
from ui.playground.inspector.dataset_choice import DatasetChoice
from ui.playground.inspector.failure_policy import Failing
from ui.playground.inspector.fields_from_example import ask_for_example
from ui.playground.inspector.input_fields import draw_inputs
from ui.playground.inspector.model_picker import ModelPicker
from ui.playground.inspector.previews import Previews, nodes_used
from ui.playground.inspector.secret_headers import SecretHeaders
from ui.playground.state.available_data import NOT_RUN, broken_finder, earlier_nodes, source_of
from ui.playground.state.last_run import LastRun
from ui.playground.state.suggestions import Suggestion, suggestions

#: Earlier nodes on offer at first; the rest comes when it is looked for.
NEAREST = 20
#: Settings that stand above the inputs; the others below them.
_FIRST = frozenset({"model", "method", "dataset", "flow_id"})

Edit = Callable[[Sequence[Op]], Awaitable[Any]]


class SetUpTab:
    """Drawn once for a node; follows edits made elsewhere where its fields can."""

    def __init__(
        self, page_session: PageSession, draft: OpenDraft, node: Node, kind: NodeType, *, last_run: LastRun, edit: Edit
    ) -> None:
        self.page_session = page_session
        self.draft = draft
        self.node_id = node.id
        self.kind = kind
        self.last_run = last_run
        self.edit = edit
        self.item = 0
        self.readonly = not page_session.may("edit flows")
        self.bindings: Bindings | None = None
        self.forms: list[Form] = []
        self.failing: Failing | None = None
        self.data_list: DataList | None = None
        self.no_data: ui.element | None = None  #: what stands in its place while nothing comes before the node
        self.previews: Previews | None = None
        self.secrets = SecretHeaders(page_session, lambda: self.node.inputs.get("url") if self.node else None)
        self.called = CalledFields(page_session, draft, node)
        self.datasets = DatasetChoice(page_session, lambda: self.node)
        self.catalog: Catalog = CATALOG
        self.models = ModelPicker(page_session, draft.flow_id)
        self._all_sources = False
        self._offered_of: tuple[list[tuple[str, str]], dict[str, NodeName]] | None = None

    @property
    def node(self) -> Node | None:
        """The node as it is now."""
        return self.draft.document.node(self.node_id)

    async def draw(self) -> None:
        """Draws the tab where we are."""
        node = self.node
        assert node is not None
        self.problems_box = ui.element("div").classes("fp-stack").props("role=status")
        if node.type == "http_request" and not self.readonly:
            paste_button(self.page_session, lambda: self.node, self.edit, self._filled)
        specs = await self._specs()
        await self.called.load()
        await self.datasets.load(node)
        self._draw_form([spec for spec in specs if spec.name in _FIRST])
        if self.called.is_call:
            self.called_box = ui.element("div").classes("fp-stack")
            with self.called_box:
                self.called.draw(node)
        if self.kind.inputs.model_fields or self.kind.free_form:
            self._draw_inputs(node)
        rest = sorted((spec for spec in specs if spec.name not in _FIRST), key=lambda spec: spec.widget != "fields")
        if node.type == "api_input" and not self.readonly:
            self._draw_example()
        self._draw_form(rest)
        if self.kind.type not in {"api_input", "api_output"}:
            self.failing = Failing(self.kind, lambda: self.node, self._edit_soon, readonly=self.readonly)
        await self.look_again()

    # What the inspector asks.

    def show_problems(self, problems: Sequence[Problem]) -> None:
        """Errors at their fields; what has none stands above them."""
        mine = [problem for problem in problems if problem.node_id == self.node_id]
        if self.bindings:
            document, node_id = self.draft.document, self.node_id
            self.bindings.broken = broken_finder(document, node_id, self.catalog)
            self.bindings.show_problems({one.pointer: (one.message, one.blocks_import) for one in mine})
        in_settings = {
            one.pointer.removeprefix("/config"): one.message for one in mine if one.pointer.startswith("/config/")
        }
        for form in self.forms:
            form.show_errors({pointer: text for pointer, text in in_settings.items() if _has(form, pointer)})
        self.problems_box.clear()
        with self.problems_box:
            for one in mine:
                told = one.pointer.startswith("/config/") or (self.bindings and self.bindings.has_field(one.pointer))
                if not told:
                    with ui.element("div").classes("fp-note fp-note--warn"):
                        icon("warning", "fp-warn")
                        words(one.message)

    def follow(self) -> bool:
        """Shows what another tab or undo made of the node; False when it must be drawn anew."""
        node = self.node
        if node is None or self.called.is_stale(node) or (self.bindings and not self.bindings.follow(node)):
            return False
        for form in self.forms:
            shown = form.value
            if any(shown.get(spec.name) != node.config.get(spec.name) for spec in form.specs):
                form.set_value(node.config)
        if self.failing:
            self.failing.follow(node.policy)
        return True

    async def look_again(self) -> None:
        """Reads the last run anew: data on offer, offers, previews, cost."""
        node = self.node
        if node is None or self.previews is None:
            return
        steps = await self.last_run.steps(self.node_id)
        item = steps[min(self.item, len(steps) - 1)].index if steps else ()
        self._offered_of = _around(self.draft.document)
        earlier = earlier_nodes(self.draft.document, self.node_id)
        shown = earlier if self._all_sources else earlier[:NEAREST]
        wanted = list(dict.fromkeys([*nodes_used(node, self.kind), *shown]))
        self.previews.outputs = await self.last_run.outputs(wanted, item)
        self.previews.item = self.item
        if self.problems_box.is_deleted:
            return
        if self.data_list is not None and self.no_data is not None:
            nodes = [one for node_id in shown if (one := self.draft.document.node(node_id)) is not None]
            sources = [
                source_of(one, self.catalog, self.previews.outputs.get(one.id, NOT_RUN), self.draft.document)
                for one in nodes
            ]
            self.data_list.show(sources, more=len(shown) < len(earlier))
            self.no_data.visible, self.data_list.visible = not earlier, bool(earlier)
        if self.bindings is not None:
            self.bindings.name_nodes(names_of(self.draft.document))
        self._show_offers()
        await self.previews.show()

    @property
    def is_behind(self) -> bool:
        """Whether nodes or connections came or went, or have another name, since data was last offered."""
        return self._offered_of is not None and self._offered_of != _around(self.draft.document)

    def focus(self, pointer: str) -> None:
        """Puts the caret into the field of a problem."""
        if pointer.startswith("/inputs/") and self.bindings:
            self.bindings.focus(pointer)
        elif pointer.startswith("/config/"):
            wanted = pointer.removeprefix("/config")
            for form in self.forms:
                if _has(form, wanted):
                    form.focus(wanted)

    # Inputs.

    def _draw_inputs(self, node: Node) -> None:
        raw_row = ui.element("div").classes("fp-rawrow")
        self.bindings = Bindings(
            node,
            self.kind,
            names_of(self.draft.document),
            self._inputs_changed,
            draw_inputs,
            readonly=self.readonly,
            fields=self.called.fields(node),
        )
        raw_row.visible = bool(self.bindings.places)

        def drawn() -> None:
            raw_row.visible = bool(self.bindings and self.bindings.places)
            background_tasks.create(self._drawn_anew(), name="inputs drawn anew")

        self.bindings.on_drawn = drawn
        with raw_row:
            raw = ui.switch(_("Raw form")).props("dense left-label")
            raw.on_value_change(lambda event: self.bindings and self.bindings.show_raw(bool(event.value)))
        self.previews = Previews(self.page_session, self.last_run, self.kind, lambda: self.node, self.bindings)
        if not self.kind.accepts_input or self.readonly:
            return
        with ui.element("div").classes("fp-f"):
            with ui.element("div").classes("fp-lab"):
                words(_("Data from earlier steps"))
                words("", "fp-sp")
                words(_("drag, or Enter"), "fp-t3 fp-s12")
            self.no_data = words(_("Connect a node before this one to use its data here."), "fp-t2", tag="p")
            self.data_list = DataList(on_pick=self._take, on_all=self._show_all)

    async def _drawn_anew(self) -> None:
        if self.bindings and not self.bindings.box.is_deleted:
            self._show_offers()
            if self.previews:
                await self.previews.show()

    def _take(self, picked: Mapping[str, str]) -> Any:
        return self.bindings.take(str(picked["raw"]), str(picked["name"])) if self.bindings else None

    async def _show_all(self) -> None:
        if not self._all_sources:
            self._all_sources = True
            await self.look_again()

    async def _inputs_changed(self, inputs: dict[str, Any], _name: str) -> None:
        node = self.node
        if node is not None and inputs != node.inputs:
            await self.edit([update_node(node, inputs=inputs)])
            self._preview_soon()

    def _preview_soon(self) -> None:
        self._show_offers()
        if self.previews is not None:
            self.previews.soon()

    def _show_offers(self) -> None:
        if self.bindings and self.previews and not self.readonly and not self.bindings.box.is_deleted:
            offers = suggestions(self.draft.document, self.node_id, self.catalog, self.previews.outputs)
            self.bindings.show_offers(offers, self._take_offer)

    async def _take_offer(self, offer: Suggestion) -> None:
        node = self.node
        if node is None or self.bindings is None:
            return
        inputs = {**node.inputs, **offer.inputs}
        if await self.edit([update_node(node, inputs=inputs)]):
            self.bindings.inputs = inputs
            self.bindings.draw()

    async def _filled(self) -> None:
        await self.secrets.load()  # the paste may have made some
        node = self.node
        if node is None or self.bindings is None:
            return
        self.bindings.inputs = dict(node.inputs)
        self.bindings.draw()
        for form in self.forms:
            form.set_value(node.config)
        self._preview_soon()

    # Settings.

    async def _specs(self) -> list[FieldSpec]:
        """The fields of the settings; a model is chosen among those the workspace has."""
        specs = list(specs_of_model(self.kind.config))
        if any(spec.widget == "secrets" for spec in specs):
            await self.secrets.load()
        if any(spec.widget == "model" for spec in specs):
            await self.models.load()
        return await self.called.offered(specs)

    def _draw_form(self, specs: list[FieldSpec]) -> None:
        node = self.node
        if specs and node is not None:
            widgets = {"secrets": self.secrets.draw, "model": self.models.draw, **self.datasets.widgets}
            self.forms.append(Form(specs, node.config, self._config_changed, widgets=widgets, read_only=self.readonly))

    def _config_changed(self, pointer: str, _value: Any) -> None:
        name = pointer.split("/")[1]
        form = next((one for one in self.forms if any(spec.name == name for spec in one.specs)), None)
        node = self.node
        if node is None or form is None:
            return
        own = {spec.name for spec in form.specs}
        config = {key: value for key, value in node.config.items() if key not in own}
        config |= {key: value for key, value in form.value.items() if key in own}
        if config != node.config:
            self._edit_soon(update_node(node, config=config))

    def _draw_example(self) -> None:
        async def ask() -> None:
            fields, sample = await ask_for_example(self.node)
            node = self.node
            if fields is None or node is None:
                return
            config = {**node.config, "fields": fields}
            if sample is not None:
                config["samples"] = [*(node.config.get("samples") or []), sample]
            if await self.edit([update_node(node, config=config)]):
                self.follow()

        with ui.element("div").classes("fp-row"):
            button(_("From an example"), ask, icon="content_paste", small=True)
            words(_("Paste JSON or a curl line; the fields are drafted for you."), "fp-t3 fp-s12")

    def _edit_soon(self, op: Op) -> None:
        """A form tells its changes without waiting; the draft takes them one after another."""

        async def edit() -> None:
            with self.problems_box:
                await self.edit([op])
                await self._another_flow()
                self._preview_soon()

        background_tasks.create(edit(), name="inspector edit")

    async def _another_flow(self) -> None:
        """Another flow was chosen: its fields take the place of the other's."""
        node = self.node
        if node is None or self.bindings is None or not self.called.is_stale(node):
            return
        await self.called.load()
        if self.called_box.is_deleted:
            return
        self.called_box.clear()
        with self.called_box:
            self.called.draw(node)
        self.bindings.fields = self.called.fields(node)
        self.bindings.draw()


def _around(document: Document) -> tuple[list[tuple[str, str]], dict[str, NodeName]]:
    """What decides which data a node may use, and under which names."""
    return [(edge.source, edge.target) for edge in document.edges], names_of(document)


def _has(form: Form, pointer: str) -> bool:
    return any(pointer == f"/{spec.name}" or pointer.startswith(f"/{spec.name}/") for spec in form.specs)
