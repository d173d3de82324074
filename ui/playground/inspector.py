"""The inspector: the selected node's settings, its values in the last run, and its help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nicegui import background_tasks, ui

from engine.errors import Problem
from engine.flow.document import Node, Policy
from engine.flow.edits import Op, update_node
from engine.flow.node_type import NodeType
from engine.nodes import CATALOG
from storage.connections import list_connections
from ui.forms.form import Form
from ui.forms.specs import FieldSpec, specs_of_model
from ui.look import feedback
from ui.look.code_view import value_view
from ui.look.markdown import markdown
from ui.look.parts import icon, icon_button, pick_chip, status_badge, tile, words
from ui.look.text import _
from ui.playground.bindings import Bindings, preview
from ui.playground.data import labels_of, sources_for
from ui.visit import Visit

if TYPE_CHECKING:
    from ui.playground.draft import OpenDraft
    from ui.playground.run_panel import RunPanel

#: Applies operations as this person's edit (undoable on the canvas).
Edit = Callable[[list[Op]], Any]


class Inspector:
    """Shows one node at a time; `edit` applies what was changed."""

    def __init__(
        self,
        visit: Visit,
        draft: OpenDraft,
        *,
        edit: Edit,
        on_close: Callable[[], Any],
        on_delete: Callable[[str], Any],
    ) -> None:
        self.visit = visit
        self.draft = draft
        self.edit = edit
        self.on_close = on_close
        self.on_delete = on_delete
        self.run_panel: RunPanel | None = None
        self.node_id: str | None = None
        self.tab = "set_up"
        self.bindings: Bindings | None = None
        self.form: Form | None = None
        self.problems_box: ui.element | None = None
        self.panel = ui.element("aside").classes("fp-insp")
        self.panel.visible = False

    async def show(self, node_id: str | None, *, tab: str | None = None) -> None:
        """Shows a node, or nothing."""
        node = self.draft.document.node(node_id) if node_id else None
        self.tab = tab or self.tab
        self.node_id = node.id if node else None
        self.panel.visible = node is not None
        self.panel.clear()
        self.bindings = self.form = None
        if node is not None:
            self.panel.props["aria-label"] = node.name
            with self.panel:
                await self._draw(node)

    async def refresh(self) -> None:
        """Draws the same node again, after somebody else changed it."""
        await self.show(self.node_id)

    def show_problems(self, problems: list[Problem]) -> None:
        """Marks the fields that have a problem and lists the sentences."""
        if self.node_id is None or self.problems_box is None:
            return
        mine = [problem for problem in problems if problem.node_id == self.node_id]
        by_pointer = {problem.pointer: problem.message for problem in mine if problem.blocks_import}
        if self.bindings:
            self.bindings.show_problems(by_pointer)
        if self.form:
            self.form.show_errors(
                {
                    pointer.removeprefix("/config"): text
                    for pointer, text in by_pointer.items()
                    if pointer.startswith("/config")
                }
            )
        self.problems_box.clear()
        with self.problems_box:
            for problem in mine:
                with ui.element("div").classes("fp-note fp-note--warn"):
                    icon("warning", "fp-warn")
                    words(problem.message)

    async def show_last_run(self) -> None:
        """Values of the last run under each field."""
        if self.run_panel is None or self.node_id is None or self.bindings is None:
            return
        given = await self.run_panel.step_value(self.node_id, "input")
        if not isinstance(given, dict) or self.bindings is None:
            return
        if sources := self.bindings.kind.source_inputs:  # a source shows what became of it
            given |= dict.fromkeys(sources, await self.run_panel.step_value(self.node_id, "output"))
        for name, box in self.bindings.previews.items():
            if name in given and not box.is_deleted:
                preview(box, given[name])

    async def _draw(self, node: Node) -> None:
        kind = CATALOG.get(node.type)
        self._draw_head(node, kind)
        if kind is None:
            words(
                f"{_('There is no kind of node called')} {node.type}. {_('Delete it, or put another in its place.')}",
                "fp-ibody",
                tag="p",
            )
            return
        tabs = {"set_up": _("Set up"), "input": _("Input"), "output": _("Output"), "help": _("Help")}
        with ui.tabs().props("no-caps align=left dense") as bar:
            for name, title in tabs.items():
                ui.tab(name, label=title)
        bar.value = self.tab
        body = ui.element("div").classes("fp-ibody")

        async def change() -> None:
            self.tab = str(bar.value)
            await self._draw_tab(body, node.id, kind)

        bar.on_value_change(change)
        await self._draw_tab(body, node.id, kind)

    def _draw_head(self, node: Node, kind: NodeType | None) -> None:
        with ui.element("div").classes("fp-ih"):
            tile(kind.group if kind else "transform", kind.icon if kind else "help")
            with ui.element("div").style("min-width: 0; flex: 1"):
                words(node.name, tag="h2")
                words(kind.title if kind else node.type, "fp-s12 fp-t3", tag="div")
            if kind and node.config.get("model") == "simulated":
                status_badge("simulated")
            if kind and kind.type != "api_input" and self.run_panel:
                icon_button("play_arrow", _("Run this node"), self._run_node)
            icon_button("delete", _("Delete this node"), lambda: self.on_delete(node.id))
            icon_button("close", _("Close"), self.on_close)

    async def _run_node(self) -> None:
        if self.run_panel and self.node_id:
            await self.run_panel.run(until=self.node_id)

    async def _draw_tab(self, body: ui.element, node_id: str, kind: NodeType) -> None:
        node = self.draft.document.node(node_id)
        if node is None:
            return
        body.clear()
        self.bindings = self.form = None
        with body:
            match self.tab:
                case "set_up":
                    await self._draw_set_up(node, kind)
                case "help":
                    words(kind.tooltip, "fp-b", tag="p")
                    markdown(kind.help)
                case name:
                    await self._draw_value(node, name)

    async def _draw_set_up(self, node: Node, kind: NodeType) -> None:
        self.problems_box = ui.element("div").classes("fp-stack").props("role=status")
        label = ui.element("div").classes("fp-f")
        with label:
            with ui.element("label").classes("fp-lab"):
                words(_("Label"))
            box = ui.input(value=node.label).props("outlined dense")
            box.props["aria-label"] = _("Label")
            box.on("change", lambda: self._rename(node.id, box.value or ""))
        if kind.inputs.model_fields or kind.free_form:
            self.bindings = Bindings(node, kind, labels_of(self.draft.document), self._inputs_changed)
        if kind.config.model_fields:
            self.form = Form(await self._specs(kind), node.config, self._config_changed)
        if self.bindings:
            self._draw_sources(node)
        self._draw_policy(node, kind)
        await self.show_last_run()

    async def _specs(self, kind: NodeType) -> list[FieldSpec]:
        """The fields of the settings; a model is chosen among those the workspace has."""
        specs = list(specs_of_model(kind.config))
        if "model" not in kind.config.model_fields:
            return specs
        models = [("simulated", _("Simulated model (no key needed)"))]
        for connection in await self.visit.see(list_connections):
            models += [
                (f"{connection.name}:{name}", f"{name} {_('from')} {connection.name}") for name in connection.models
            ]
        return [replace(spec, kind="select", choices=tuple(models)) if spec.name == "model" else spec for spec in specs]

    def _draw_sources(self, node: Node) -> None:
        sources = sources_for(self.draft.document, node.id, CATALOG)
        with ui.element("div").classes("fp-f"):
            with ui.element("div").classes("fp-lab"):
                words(_("Data from earlier steps"))
                words("", "fp-sp")
                raw = ui.switch(_("Raw form")).props("dense")
                raw.on_value_change(lambda event: self.bindings and self.bindings.show_raw(bool(event.value)))
            if not sources:
                words(_("Connect a node before this one to use its data here."), "fp-t2", tag="p")
                return
            with ui.element("div").classes("fp-srcs"):
                for source in sources:
                    kind = CATALOG.get(source.node.type)
                    with ui.element("div").classes("fp-src"):
                        with ui.element("div").classes("fp-row"):
                            tile(kind.group if kind else "transform", kind.icon if kind else "help", small=True)
                            words(source.node.name, "fp-b fp-cut")
                        with ui.element("div").classes("fp-cs"):
                            for datum in source.data:
                                chip = pick_chip(
                                    datum.name,
                                    datum.type_word,
                                    lambda raw=datum.raw: self.bindings and self.bindings.insert(raw),
                                )
                                chip.props["aria-label"] = f"{_('Insert')} {source.node.name} › {datum.name}"

    def _draw_policy(self, node: Node, kind: NodeType) -> None:
        if kind.group == "io":
            return
        with feedback.fold(_("Time limit and failures")):
            self.policy_form = Form(specs_of_model(Policy), node.policy.model_dump(), self._policy_changed)

    async def _draw_value(self, node: Node, name: str) -> None:
        value = await self.run_panel.step_value(node.id, name) if self.run_panel else None
        if (
            self.run_panel is None
            or self.run_panel.look is None
            or all(step.node_id != node.id for step in self.run_panel.look.steps)
        ):
            words(_("Run the flow to see what went in and what came out here."), "fp-t2", tag="p")
            return
        value_view(value, label=f"{_('Output') if name == 'output' else _('Input')} {node.name}")

    async def _rename(self, node_id: str, label: str) -> None:
        node = self.draft.document.node(node_id)
        if node is not None and label.strip() != node.label:
            await self.edit([update_node(node, label=label.strip()[:200])])

    async def _inputs_changed(self, inputs: dict[str, Any], name: str) -> None:
        node = self.draft.document.node(self.node_id or "")
        if node is not None and inputs != node.inputs:
            await self.edit([update_node(node, inputs=inputs)])

    def _config_changed(self, _pointer: str, _value: Any) -> None:
        node = self.draft.document.node(self.node_id or "")
        if node is not None and self.form is not None and self.form.value != node.config:
            self._edit_soon(update_node(node, config=self.form.value))

    def _policy_changed(self, _pointer: str, _value: Any) -> None:
        node = self.draft.document.node(self.node_id or "")
        if node is not None:
            self._edit_soon(update_node(node, policy={**Policy().model_dump(), **self.policy_form.value}))

    def _edit_soon(self, op: Op) -> None:
        """A form tells its changes without waiting; the draft takes them one after another."""

        async def edit() -> None:
            with self.panel:
                await self.edit([op])

        background_tasks.create(edit(), name="inspector edit")
