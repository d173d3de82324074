"""The Flow Playground page: bar, palette, canvas, inspector and Run panel around one shared draft."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from nicegui import background_tasks, ui
from starlette.requests import Request
from starlette.responses import RedirectResponse

from engine.actions.flows import create_flow, rename_flow, save_as, save_version
from engine.actions.samples import example_payload
from engine.errors import NotFound, Problem, Refusal
from engine.flow.document import Document, Position
from engine.flow.edits import Op, add_node, add_note, connect_ops, difference_ops, paste_ops
from engine.flow.layout import with_places
from engine.flow.validation import marks, problems
from engine.ids import JobId
from engine.nodes import CATALOG, NODE_TYPES
from storage.flows import FlowRow, get_draft, get_flow, list_flows
from ui.flows.deploy import deploy_flow
from ui.look import feedback
from ui.look.ask import ask_text
from ui.look.frame import frame
from ui.look.parts import button, drop_menu, icon, icon_button, menu_item, status_line, tile, words
from ui.look.text import _, plural
from ui.playground.canvas_element import FlowCanvas, Marks
from ui.playground.draft import Drafts, OpenDraft
from ui.playground.inspector import Inspector
from ui.playground.node_views import NODE_VIEWS
from ui.playground.palette import node_list, palette
from ui.playground.run_panel import RunPanel
from ui.playground.versions import Versions
from ui.visit import App, Visit, visit

_STYLE = '<link rel="stylesheet" href="/assets/playground.css">'
#: Seconds a page may be without its connection and still be the same page (canvas.md trap 8).
RECONNECT_SECONDS = 60.0


def register(app: App) -> None:
    """Registers `/playground` and `/playground/{id}`."""
    drafts = Drafts()

    @ui.page("/playground", language="en-US")
    async def open_new(request: Request) -> RedirectResponse:
        here = visit(app, request)
        return RedirectResponse(f"/playground/{await _empty_draft(here)}")

    @ui.page("/playground/{flow_id}", language="en-US", reconnect_timeout=RECONNECT_SECONDS)
    async def open_flow(request: Request, flow_id: str, node: str = "", job: str = "") -> None:
        here = visit(app, request)
        try:
            flow = await here.see(get_flow, flow_id)
            draft = await drafts.open(here, flow_id)
        except NotFound as refusal:
            with frame(_("Flow not found"), active="playground", person=here.frame_person):
                feedback.refusal_card(refusal)
            return
        await PlaygroundPage(here, drafts, draft, flow).build(select=node, job=job)


async def _empty_draft(here: Visit) -> str:
    """A flow that was never touched is opened again; else a new one is made."""
    for flow in await here.see(list_flows):
        if not flow.newest_version and flow.draft_revision == 1:
            row = await here.see(get_draft, flow.id)
            if row.document == Document().dumps():
                return flow.id
    return await here.do(create_flow)


class PlaygroundPage:
    """One tab of the Playground."""

    def __init__(self, here: Visit, drafts: Drafts, draft: OpenDraft, flow: FlowRow) -> None:
        self.visit = here
        self.drafts = drafts
        self.draft = draft
        self.flow = flow
        self.client_id = secrets.token_hex(8)
        self.selected: list[str] = []
        self.found: list[Problem] = []
        self.shown_marks: dict[str, Marks] = {}

    async def build(self, *, select: str, job: str) -> None:
        """Draws the page."""
        ui.add_head_html(_STYLE)
        self.payload = await self.visit.see(example_payload, self.flow.id, self.draft.document)
        self.first_selection = select
        with (
            frame(
                self.flow.title,
                active="playground",
                person=self.visit.frame_person,
                rail=True,
                h1=False,
                search=self.visit.find_flows,
            ) as self.page,
            ui.element("div").classes("fp-pg"),
        ):
            self._draw_bar()
            with ui.element("div").classes("fp-work fp-work--wide") as self.work:
                self.palette = palette(self._add_from_palette)
                self._draw_stage()
                self.run_panel = RunPanel(
                    self.visit,
                    self.draft,
                    self.payload,
                    on_status=self._show_status,
                    on_open=self._open_node,
                    on_edit=self._edit,
                )
                self.inspector = Inspector(
                    self.visit,
                    self.draft,
                    edit=self._edit,
                    on_close=self._close_inspector,
                    on_delete=self._delete_node,
                )
                self.inspector.run_panel = self.run_panel
        self.draft.listeners[self.client_id] = self._changed_elsewhere
        ui.context.client.on_delete(lambda: self.drafts.leave(self.draft, self.client_id))
        ui.timer(10.0, self._draw_sentence)
        self._document_changed()
        if job:
            self.run_panel.watch(JobId(job))

    # The bar above the canvas.

    def _draw_bar(self) -> None:
        with ui.element("div").classes("fp-pbar"):
            icon_button("add", _("Add a node"), self._toggle_palette).classes("fp-more")
            with ui.element("button").classes("fp-title").props("type=button") as title:
                self.title = words(self.flow.title, "fp-cut", tag="h1")
                self.title.style("font: inherit; letter-spacing: inherit")
                icon("edit", "fp-t3", size=14)
            title.on("click", self._rename, [])
            words("", "fp-vl")
            self.sentence = ui.element("div").classes("fp-live").props("role=status")
            words("", "fp-sp")
            self.problems_button = button(_("No problems"), icon="check_circle", kind="quiet", small=True)
            self.problems_button.props("aria-haspopup=menu")
            with self.problems_button, drop_menu(_("Problems")):
                self.problems_list = ui.element("div")
            versions_button = button(_("Versions"), icon="history", kind="quiet", small=True).props(
                "aria-haspopup=menu"
            )
            with versions_button, drop_menu(_("Versions")) as menu:
                entries = ui.element("div")
            versions = Versions(
                self.visit,
                lambda: self.flow,
                lambda: self.draft.document,
                restore=self._restore,
                make_live=self._make_live,
                save_with_note=self._save_with_note,
            )
            menu.on_value_change(lambda event: versions.fill(entries) if event.value else None)
            self.buttons = ui.element("div").classes("fp-row")
            self._draw_buttons()
        self._draw_sentence()

    def _draw_buttons(self) -> None:
        self.buttons.clear()
        with self.buttons:
            if self.flow.newest_version:
                button(_("Save"), self._save, small=True)
            button(_("Save As"), self._save_as, small=True, kind="normal" if self.flow.newest_version else "main")
            if self.flow.newest_version:
                verb = _("Update API") if self.flow.live_version else _("Deploy API")
                button(verb, self._deploy, icon="rocket_launch", kind="main")

    def _draw_sentence(self) -> None:
        """What is a draft and what is live, in words."""
        now = self.visit.app.database.clock.now()
        age = max(0, now - self.draft.saved_at) // 1000
        when = (
            _("just now")
            if age < 5
            else f"{age} s {_('ago')}"
            if age < 60
            else f"{plural(age // 60, 'min', 'min')} {_('ago')}"
        )
        self.sentence.clear()
        with self.sentence:
            icon("edit", "fp-warn", size=16)
            with ui.element("span"):
                words(_("Draft"), "fp-warn fp-b")
                words(f", {_('saved')} {when}.")
            if self.flow.live_version:
                words("", "fp-dot fp-ok")
                with ui.element("span"):
                    words(f"{_('Version')} {self.flow.live_version}", "fp-ok fp-b")
                    words(f" {_('is live')}")
            elif not self.flow.newest_version:
                words(_("Not in Saved Flows yet."))

    def _draw_problems(self) -> None:
        count = len(self.found)
        self.problems_button.text = plural(count, _("problem"), _("problems")) if count else _("No problems")
        self.problems_button.props(f"icon={'sym_o_warning' if count else 'sym_o_check_circle'}")
        self.problems_list.clear()
        with self.problems_list:
            if not count:
                words(_("Nothing stands in the way of a deployment."), "fp-person", tag="p")
            for problem in self.found:
                item = menu_item(problem.message, lambda problem=problem: self._go_to(problem), icon="warning")
                item.style("max-width: 460px")

    async def _go_to(self, problem: Problem) -> None:
        if problem.node_id:
            self.canvas.focus_node(problem.node_id)
            await self._open_node(problem.node_id, tab="set_up")

    async def _rename(self) -> None:
        title = await ask_text(_("Rename the flow"), _("Title"), self.flow.title, _("Rename"))
        if title and title != self.flow.title:
            await self.visit.try_do(rename_flow, self.flow.id, title)
            await self._read_flow()

    async def _save(self) -> None:
        version = await self.visit.try_do(save_version, self.flow.id, based_on=self.flow.newest_version)
        if version is not None:
            await self._read_flow()
            feedback.told(f"{_('Saved as version')} {version}.", _("Callers get it when you deploy it."))

    async def _save_with_note(self) -> None:
        note = await ask_text(_("Save with a note"), _("What is new?"), "", _("Save"))
        version = await self.visit.try_do(save_version, self.flow.id, note, self.flow.newest_version) if note else None
        if version is not None:
            await self._read_flow()
            feedback.told(f"{_('Saved as version')} {version}.", _("Callers get it when you deploy it."))

    async def _restore(self, document: Document) -> None:
        if await self._edit(difference_ops(self.draft.document, document)):
            await self.inspector.refresh()
            feedback.told(_("The version is on the canvas."), _("Undo takes it back. Nothing changed for callers."))

    async def _deploy(self) -> None:
        if await deploy_flow(self.visit, self.flow) is not None:
            ui.navigate.to(f"/flows/{self.flow.id}")
        else:
            await self._read_flow()

    async def _make_live(self, number: int) -> None:
        await deploy_flow(self.visit, self.flow, number)
        await self._read_flow()

    async def _save_as(self) -> None:
        suggestion = "" if not self.flow.newest_version and self.flow.title == "Untitled flow" else self.flow.title
        title = await ask_text(_("Save As"), _("Title"), suggestion, _("Save"))
        if not title:
            return
        flow_id = await self.visit.try_do(save_as, self.flow.id, title)
        if flow_id is None:
            return
        if flow_id != self.flow.id:
            ui.navigate.to(f"/playground/{flow_id}")
            return
        await self._read_flow()
        feedback.told(f"{_('Saved as')} {title}.", _("It is in Saved Flows now."))

    async def _read_flow(self) -> None:
        self.flow = await self.visit.see(get_flow, self.flow.id)
        self.title.text = self.flow.title
        self.page.title(self.flow.title)
        self._draw_buttons()
        self._draw_sentence()

    # The canvas.

    def _draw_stage(self) -> None:
        with ui.element("div").classes("fp-stage"):
            with ui.element("div").classes("fp-canvas-box"):
                self.canvas = FlowCanvas(
                    self.flow.id,
                    client_id=self.client_id,
                    node_types=NODE_VIEWS,
                    readonly=not self.visit.may("edit flows"),
                    on_ready=self._canvas_ready,
                    on_change=self._canvas_changed,
                    on_select=self._selected,
                    on_invalid=lambda _message: None,
                    on_add_request=self._add_requested,
                    on_plus_request=self._plus_requested,
                    on_paste_request=self._paste_requested,
                    on_open=lambda message: self._open_node(message["id"]),
                    on_run_request=lambda _message: self.run_panel.run(),
                    on_save_request=lambda _message: self._save() if self.flow.newest_version else self._save_as(),
                    on_search_request=lambda _message: self._toggle_palette(),
                )
                self.canvas.classes("w-full h-full")
            self.blank = ui.element("div").classes("fp-blank")
            self.steps_list = ui.element("div").classes("fp-steps")

    async def _canvas_ready(self, message: dict[str, Any]) -> None:
        newest = 0
        for pending in message.get("pending") or []:
            newest = max(newest, int(pending["seq"]))
            try:
                await self.draft.change(self.visit, str(pending.get("clientId")), pending["ops"], int(pending["seq"]))
            except Refusal as refusal:
                feedback.refused(refusal)
        self.shown_marks = {}
        self.canvas.load_graph({**with_places(self.draft.document).as_json(), "rev": self.draft.revision})
        if newest:
            self.canvas.ack(newest, self.draft.revision)
        self._document_changed()
        if self.first_selection:
            self.canvas.focus_node(self.first_selection)
            await self._open_node(self.first_selection)

    async def _store_places(self) -> None:
        """A flow that came without places is spread out on screen; the first edit stores that too."""
        placed = with_places(self.draft.document)
        if placed is not self.draft.document:
            await self.draft.change(self.visit, self.client_id, difference_ops(self.draft.document, placed))

    async def _canvas_changed(self, message: dict[str, Any]) -> None:
        ops: list[Op] = message["ops"]
        try:
            await self._store_places()
            revision = await self.draft.change(self.visit, self.client_id, ops, int(message["seq"]))
        except Refusal as refusal:
            feedback.refused(refusal)
            self.canvas.ack(message["seq"], self.draft.revision)  # refused is answered: it must not be sent again
            self.canvas.load_graph({**self.draft.document.as_json(), "rev": self.draft.revision}, fit=False)
            return
        self.canvas.ack(message["seq"], revision)
        self._document_changed()
        drawn = [op["edge"] for op in ops if op["op"] == "addEdge"]
        if message.get("reason") == "connect" and drawn:
            await self._edit(connect_ops(self.draft.document, drawn[0], CATALOG))
        if self.inspector.node_id and message.get("reason") in {"undo", "redo", "connect", "delete"}:
            await self.inspector.refresh()

    async def _edit(self, ops: Sequence[Op], *, select: Sequence[str] = ()) -> bool:
        """An edit made by the server for this tab: applied here, undoable here, told to the other tabs."""
        if not ops:
            return True
        try:
            await self._store_places()
            revision = await self.draft.change(self.visit, self.client_id, ops)
        except Refusal as refusal:
            feedback.refused(refusal)
            return False
        self.canvas.apply_ops(list(ops), revision, history=True, select=list(select) or None)
        self._document_changed()
        return True

    def _changed_elsewhere(self, ops: Sequence[Op], revision: int, client: str) -> None:
        if client == self.client_id:
            return
        self.canvas.apply_ops(list(ops), revision, history=False)
        self._document_changed()
        touched = {op.get("id") or op.get("node", {}).get("id") for op in ops}
        if self.inspector.node_id in touched:
            background_tasks.create(self.inspector.refresh(), name="inspector refresh")

    def _document_changed(self) -> None:
        """What follows from another document: marks, problems, the input form, the list of steps, the sentence."""
        document = self.draft.document
        self.found = problems(document, CATALOG) if document.nodes else []
        fresh: dict[str, Marks] = {node_id: Marks(**asdict(mark)) for node_id, mark in marks(document, CATALOG).items()}
        if changed := {node_id: mark for node_id, mark in fresh.items() if self.shown_marks.get(node_id) != mark}:
            self.canvas.set_marks(changed)
        self.shown_marks = fresh
        self._draw_problems()
        self.inspector.show_problems(self.found)
        self.run_panel.document_changed()
        self._draw_blank()
        self._draw_steps()
        self._draw_sentence()

    async def _add_from_palette(self, kind: str) -> None:
        after = self.selected[0] if len(self.selected) == 1 else None
        if after is None and self.draft.document.nodes:
            last = [
                node.id
                for node in self.draft.document.nodes
                if not any(edge.source == node.id for edge in self.draft.document.edges)
            ]
            after = last[-1] if last else None
        await self._add(kind, after=after)

    async def _add(
        self,
        kind: str,
        *,
        position: Position | None = None,
        after: str | None = None,
        port: str | None = None,
        between: str | None = None,
    ) -> None:
        node_type = CATALOG.get(kind)
        if node_type is None:
            return
        node_id, ops = add_node(
            self.draft.document, node_type, CATALOG, position=position, after=after, port=port, between=between
        )
        if await self._edit(ops, select=[node_id]):
            self.selected = [node_id]
            self.palette.classes(remove="fp-pal--open")
            await self._open_node(node_id, tab="set_up")

    async def _add_requested(self, message: dict[str, Any]) -> None:
        place = message.get("position")
        position = Position(x=place["x"], y=place["y"]) if place else None
        if message.get("type") == "note":
            note_id, ops = add_note(self.draft.document, position or Position())
            await self._edit(ops, select=[note_id])
            return
        await self._add(
            str(message.get("type")),
            position=position,
            after=message.get("after"),
            port=message.get("port"),
            between=message.get("between"),
        )

    async def _plus_requested(self, message: dict[str, Any]) -> None:
        """`+` on a port or an edge: a choice of what fits there."""
        between = message.get("edge")
        fits = [kind for kind in NODE_TYPES if kind.accepts_input and (kind.ports or not between)]
        if any(node.type == "api_output" for node in self.draft.document.nodes):
            fits = [kind for kind in fits if kind.type != "api_output"]
        with ui.dialog() as dialog, ui.card().style("width: 300px; max-height: 70vh"):
            words(_("Add a node"), "fp-b", tag="h2")
            node_list(fits, dialog.submit, drag=False)
        chosen = await dialog
        dialog.delete()
        if chosen:
            self.canvas.request_add(
                chosen,
                after=message.get("after"),
                port=message.get("port"),
                between=between,
                x=message.get("x"),
                y=message.get("y"),
            )

    async def _paste_requested(self, message: dict[str, Any]) -> None:
        place = message.get("position")
        try:
            new, ops = paste_ops(
                self.draft.document,
                message.get("nodes") or [],
                message.get("edges") or [],
                message.get("notes") or [],
                at=Position(x=place["x"], y=place["y"]) if place else None,
            )
        except Refusal as refusal:
            feedback.refused(refusal)
            return
        await self._edit(ops, select=new)

    async def _delete_node(self, node_id: str) -> None:
        node = self.draft.document.node(node_id)
        if node is None:
            return
        gone: list[Op] = [
            {"op": "removeEdge", "edge": edge.model_dump()}
            for edge in self.draft.document.edges
            if node_id in {edge.source, edge.target}
        ]
        await self._edit([*gone, {"op": "removeNode", "node": node.model_dump()}])
        await self._close_inspector()

    # Selection and inspector.

    async def _selected(self, message: dict[str, Any]) -> None:
        nodes = [str(node_id) for node_id in message.get("nodes") or []]
        if nodes == self.selected:
            return
        self.selected = nodes
        await self._inspect(nodes[0] if len(nodes) == 1 else None)

    async def _open_node(self, node_id: str, *, tab: str | None = None) -> None:
        if self.draft.document.node(node_id) is None:
            return
        if self.selected != [node_id]:
            self.selected = [node_id]
            self.canvas.select_nodes([node_id])
        if self.inspector.node_id != node_id or tab:
            await self._inspect(node_id, tab=tab)

    async def _inspect(self, node_id: str | None, *, tab: str | None = None) -> None:
        if node_id is None and self.inspector.node_id is None:
            return
        await self.inspector.show(node_id, tab=tab)
        self.inspector.show_problems(self.found)
        self.work.classes(remove="fp-work--wide") if node_id else self.work.classes("fp-work--wide")
        self._draw_steps()

    async def _close_inspector(self) -> None:
        self.selected = []
        self.canvas.select_nodes([])
        await self._inspect(None)

    def _show_status(self, changed: dict[str, Any] | None) -> None:
        if changed is None:
            self.canvas.clear_status()
        else:
            self.canvas.set_status(changed)
            if any(status and status["state"] in {"done", "failed"} for status in changed.values()):
                background_tasks.create(self.inspector.show_last_run(), name="last run")
        self._draw_steps()

    # Narrow screens and the empty canvas.

    def _draw_steps(self) -> None:
        """The flow as a list of steps: below 768 px, and for the keyboard and screen readers."""
        if not hasattr(self, "steps_list"):
            return
        self.steps_list.clear()
        with self.steps_list:
            for number, node in enumerate(self.draft.document.nodes):
                kind = CATALOG.get(node.type)
                if number:
                    ui.element("div").classes("fp-join")
                with ui.element("button").classes("fp-card-step").props("type=button") as card:
                    if self.inspector.node_id == node.id:
                        card.classes("fp-on")
                    tile(kind.group if kind else "transform", kind.icon if kind else "help")
                    with ui.element("span").style("min-width: 0; flex: 1"):
                        words(node.name, "fp-b fp-cut", tag="div")
                        words(kind.title if kind else node.type, "fp-t2 fp-s12", tag="div")
                    if shown := self.run_panel.shown.get(node.id):
                        status_line(shown["state"] if shown["state"] != "done" else "completed", shown["word"])
                    icon("chevron_right", "fp-t3")
                card.on("click", lambda _event, node_id=node.id: self._open_node(node_id))
            button(_("Add a step"), self._toggle_palette, icon="add", kind="quiet").classes("w-full")

    def _toggle_palette(self) -> None:
        if "fp-pal--open" in self.palette._classes:
            self.palette.classes(remove="fp-pal--open")
        else:
            self.palette.classes("fp-pal--open")

    def _draw_blank(self) -> None:
        empty = not self.draft.document.nodes
        self.blank.visible = empty
        self.blank.clear()
        if not empty:
            return
        with self.blank, ui.element("div"):
            words(_("Start with the input"), tag="h2")
            words(_("Every flow that becomes an API begins with what callers send."), "fp-t2", tag="p").style(
                "margin: 6px 0 12px"
            )
            with ui.element("button").classes("fp-choice").props("type=button") as first:
                tile("io", "input")
                with ui.element("span"):
                    words(_("Add an API Input"), "fp-b", tag="div")
                    words(_("Define the fields of the request"), "fp-t2", tag="div")
            first.on("click", lambda: self._add("api_input"), [])
            with ui.element("a").classes("fp-choice").props("href=/templates"):
                tile("transform", "dashboard")
                with ui.element("span"):
                    words(_("Begin with a template"), "fp-b", tag="div")
                    words(_("Ready-made flows that run at once, without a key"), "fp-t2", tag="div")
