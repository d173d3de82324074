"""The Flow Playground page: bar, palette, canvas, inspector and Run panel around one shared draft."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from nicegui import background_tasks, ui
from nicegui.events import GenericEventArguments
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import RedirectResponse

from engine.actions.flows import create_flow
from engine.actions.samples import example_payload
from engine.core.errors import NotFound, Problem
from engine.core.ids import JobId
from engine.flow.document import Document
from engine.flow.edits import Op, difference_ops
from storage.flows import FlowRow, get_draft, get_flow, list_flows
from storage.jobs import find_job, read_value
from ui.flow_view.canvas_types import ListScope, Marks
from ui.flow_view.job_watch import Look
from ui.flow_view.list_frames import frames_of
from ui.kit import feedback
from ui.kit.assets import asset_url
from ui.kit.frame import frame
from ui.kit.text import _
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import every
from ui.parts.open_drafts import Drafts, OpenDraft, drafts_of
from ui.playground.bar import PlaygroundBar
from ui.playground.canvas.canvas_events import CanvasEvents
from ui.playground.canvas.empty_canvas import Blank
from ui.playground.canvas.palette import palette
from ui.playground.canvas.step_actions import StepActions
from ui.playground.canvas.steps_list import StepsList
from ui.playground.inspector.inspector import Inspector
from ui.playground.run.panel import RunPanel
from ui.playground.state.dependencies import FlowDependencies, load_dependencies

_STYLE = "".join(
    f'<link rel="stylesheet" href="{asset_url(name)}">' for name in ("pages.css", "playground.css")
)  # what the deploy dialog shows is drawn as on a flow's page
#: Seconds a page may be without its connection and still be the same page (canvas.md trap 8).
RECONNECT_SECONDS = 60.0
LOOK_SECONDS = 10.0
#: Remembers in the browser that a person reads flows as a list of steps.
STEPS_COOKIE = "fp_steps"
#: Run and save from anywhere on the page. What is being typed is told to the server first. Constant: no text of a flow is in it.
_KEYS = """(event) => {
  const key = event.key.toLowerCase();
  if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey || !["enter", "s"].includes(key)) return;
  event.preventDefault();
  event.stopPropagation();
  const typing = document.activeElement;
  if (typing?.matches("input, textarea")) { typing.blur(); typing.focus(); }
  setTimeout(() => emit(key)); // a field tells its value a moment after it was left
}"""


def register(app: App) -> None:
    """Registers `/playground` and `/playground/{id}`."""
    drafts = drafts_of(app)

    @page_at("/playground")
    async def open_new(request: Request) -> RedirectResponse:
        page_session = open_page_session(app, request)
        return RedirectResponse(f"/playground/{await _empty_draft(page_session)}")

    @page_at("/playground/{flow_id}", reconnect_timeout=RECONNECT_SECONDS)
    async def open_flow(request: Request, flow_id: str, node: str = "", job: str = "") -> None:
        page_session = open_page_session(app, request)
        try:
            flow = await page_session.query(get_flow, flow_id)
            draft = await drafts.open(page_session, flow_id)
        except NotFound as refusal:
            with frame(_("Flow not found"), active="playground", person=page_session.frame_person):
                feedback.refusal_card(refusal)
            return
        page = PlaygroundPage(page_session, drafts, draft, flow, as_steps=request.cookies.get(STEPS_COOKIE) == "1")
        await page.build(select=node, job=job)


def payload_of_job(session: Session, workspace_id: str, flow_id: str, job_id: str) -> dict[str, Any] | None:
    """What a job of this flow was given, so that it can be tried again; None when it is not kept or none of its jobs."""
    job = find_job(session, workspace_id, job_id)
    if job is None or job.flow_id != flow_id:
        return None
    payload = read_value(session, job_id, "payload")
    return payload if isinstance(payload, dict) else {}


async def _empty_draft(page_session: PageSession) -> str:
    """A flow that was never touched is opened again; else a new one is made."""
    for flow in await page_session.query(list_flows):
        if not flow.newest_version and flow.draft_revision == 1:
            row = await page_session.query(get_draft, flow.id)
            if row.document == Document().dumps():
                return flow.id
    return await page_session.execute(create_flow)


class PlaygroundPage:
    """One tab of the Playground: it builds the parts and tells each what the others did."""

    def __init__(
        self, page_session: PageSession, drafts: Drafts, draft: OpenDraft, flow: FlowRow, *, as_steps: bool
    ) -> None:
        self.page_session = page_session
        self.drafts = drafts
        self.draft = draft
        self.first_flow = flow
        self.as_steps = as_steps
        self.client_id = secrets.token_hex(8)
        self.selection: list[str] = []
        self.found: list[Problem] = []
        self.shown_marks: dict[str, Marks] = {}
        self.shown_frames: list[ListScope] = []

    async def build(self, *, select: str, job: str) -> None:
        """Draws the page."""
        ui.add_head_html(_STYLE)
        payload = await self.page_session.query(example_payload, self.draft.flow_id, self.draft.document)
        self.dependencies = await self._load_dependencies()
        given = await self.page_session.query(payload_of_job, self.draft.flow_id, job) if job else None
        self.first_selection = select
        with (
            frame(
                self.first_flow.title,
                active="playground",
                person=self.page_session.frame_person,
                rail=True,
                h1=False,
                search=self.page_session.find_flows,
            ) as frame_page,
            ui.element("div").classes("fp-pg").classes("fp-pg--steps" if self.as_steps else "") as self.root,
        ):
            self.root.on("keydown.capture", self._pressed, js_handler=_KEYS)
            self.bar = PlaygroundBar(
                self.page_session,
                self.draft,
                self.first_flow,
                toggle_palette=self.toggle_palette,
                go_to=self._go_to,
                restore=self._restore,
                retitle=frame_page.title,
                as_steps=self.as_steps,
                show_as=self._show_as,
            )
            self.bar.draw()
            await self.bar.read_live()
            with ui.element("div").classes("fp-work fp-work--wide") as self.work:
                self.palette = palette(self._add_from_palette)
                with ui.element("div").classes("fp-stage"):
                    self.events = CanvasEvents(self.page_session, self.draft, self.client_id, self)
                    with ui.element("div").classes("fp-canvas-box"):
                        self.canvas = self.events.draw().classes("w-full h-full")
                    self.blank = Blank(self._begin)
                    self.steps = self._steps()
                self.run_panel = RunPanel(
                    self.page_session,
                    self.draft,
                    payload if given is None else given,
                    on_status=self._show_status,
                    on_open=self.open_node,
                    on_fix=self._go_to_field,
                    on_edit=self.events.edit,
                    last_job=self._last_job,
                )
                self.run_panel.name_inner(self.dependencies.calls.inner)
                self.inspector = Inspector(
                    self.page_session,
                    self.draft,
                    self.run_panel,
                    edit=self.events.edit,
                    on_open=self.open_node,
                    on_close=self.close_inspector,
                    on_delete=self.events.delete_node,
                )
                self.inspector.catalog = self.dependencies.catalog
        self.run_panel.input.touched = given is not None  # a sample must not take the place of the job's input
        self.draft.listeners[self.client_id] = self._changed_elsewhere
        ui.context.client.on_delete(lambda: self.drafts.leave(self.draft, self.client_id))
        self.document_changed()
        every(LOOK_SECONDS, self._look)
        if given is not None:
            self.run_panel.watch(JobId(job))

    def _steps(self) -> StepsList:
        verbs = StepActions(
            lambda: self.draft.document,
            self.events.edit,
            making=self.draft.making,
            open_node=self.opened,
            run=self.run,
            undo=self.canvas.undo,
            redo=self.canvas.redo,
        )
        verbs.list = StepsList(
            on_verb=verbs.act,
            look=self._draw_steps,
            may_edit=self.page_session.may("edit flows"),
            may_run=self.page_session.may("run flows"),
        )
        return verbs.list

    async def _look(self) -> None:
        """The draft grows older, and what the flow refers to may have been made or removed elsewhere."""
        self.bar.draw_sentence()
        await self._read_dependencies()

    async def _read_dependencies(self) -> None:
        fresh = await self._load_dependencies()
        if fresh != self.dependencies and not self.root.is_deleted:
            self.dependencies = fresh
            self.inspector.catalog = fresh.catalog
            self.run_panel.name_inner(fresh.calls.inner)
            self.document_changed()

    async def _load_dependencies(self) -> FlowDependencies:
        return await self.page_session.query(load_dependencies, self.draft.flow_id, self.draft.document)

    # The document.

    def document_changed(self) -> None:
        """What follows from another document: marks, problems, the input form, the list of steps, the sentence."""
        document = self.draft.document
        self.found = self.dependencies.problems(document)
        if not self.dependencies.covers(document):  # something was chosen, saved or deployed meanwhile
            background_tasks.create(self._read_dependencies(), name="dependencies of the flow")
        fresh = self.dependencies.marks(document)
        if changed := {node_id: mark for node_id, mark in fresh.items() if self.shown_marks.get(node_id) != mark}:
            self.canvas.set_marks(changed)
        self.shown_marks = fresh
        self._frame_lists(document)
        self.bar.show_problems(self.found)
        self.inspector.show_problems(self.found)
        self.inspector.document_changed()
        self.run_panel.document_changed()
        self.blank.draw(empty=not document.nodes)
        self._draw_steps()
        self.bar.draw_sentence()

    def _frame_lists(self, document: Document) -> None:
        """Frames round what runs once per item."""
        frames = frames_of(document)
        if frames != self.shown_frames:
            self.shown_frames = frames
            self.canvas.set_scopes(frames)

    def _changed_elsewhere(self, ops: Sequence[Op], revision: int, client: str, name: str) -> None:
        if client == self.client_id:
            return
        self.events.changed_elsewhere(ops, revision, name)
        self.document_changed()
        touched = {op.get("id") or op.get("node", {}).get("id") for op in ops}
        if self.inspector.node_id in touched:
            background_tasks.create(self.inspector.refresh(), name="inspector refresh")

    async def _restore(self, document: Document) -> None:
        if await self.events.edit(difference_ops(self.draft.document, document)):
            await self.inspector.refresh()
            feedback.told(_("The version is on the canvas."), _("Undo takes it back. Nothing changed for callers."))

    async def _add_from_palette(self, kind: str) -> None:
        await self.events.add_after(kind, self.selection[0] if len(self.selection) == 1 else None)

    # What the canvas asks for.

    async def canvas_loaded(self) -> None:
        """The canvas is new: it knows no marks yet, and the address may name a node."""
        self.shown_marks = {}
        self.shown_frames = []
        self.document_changed()
        if self.first_selection:
            self.canvas.focus_node(self.first_selection)
            await self.open_node(self.first_selection)

    async def run(self, mode: str, node_id: str) -> None:
        """Runs everything, up to and with one node (`node`), or from one node on (`from`)."""
        await self.draft.settled()
        if mode == "from":
            await self.run_panel.run_from(node_id)
        elif mode == "node":
            await self.run_panel.run(until=node_id)
        else:
            await self.run_panel.run_clicked()

    async def _pressed(self, event: GenericEventArguments) -> None:
        await (self.save() if event.args == "s" else self.run("all", ""))

    async def save(self) -> None:
        """Ctrl+S."""
        await self.bar.save()

    def toggle_palette(self) -> None:
        """Opens or closes the palette where it is folded."""
        if "fp-pal--open" in self.palette.classes:
            self.palette.classes(remove="fp-pal--open")
        else:
            self.palette.classes("fp-pal--open")

    # Selection and inspector.

    async def selected(self, nodes: list[str], edges: list[str]) -> None:
        """One node, or one connection, is inspected."""
        chosen = nodes or edges
        if chosen == self.selection:
            return
        self.selection = chosen
        if len(nodes) == 1 and nodes[0] == self.inspector.node_id:
            return  # it was opened before the canvas told that it is selected
        if not nodes and len(edges) == 1:
            await self.inspector.show_edge(edges[0])
            self.work.classes(remove="fp-work--wide")
            return
        await self._inspect(nodes[0] if len(nodes) == 1 else None)

    async def open_node(self, node_id: str, *, tab: str | None = None) -> None:
        """Selects the node and shows it in the inspector."""
        if self.draft.document.node(node_id) is None:
            return
        self.palette.classes(remove="fp-pal--open")
        if self.selection != [node_id]:
            self.selection = [node_id]
            self.canvas.select_nodes([node_id])
        if self.inspector.node_id != node_id or tab:
            await self._inspect(node_id, tab=tab)

    async def opened(self, node_id: str) -> None:
        """Opened by the keyboard or a double click: the keyboard goes along, the inspector is far from the list and the canvas."""
        await self.open_node(node_id)
        self.inspector.take_keyboard()

    async def close_inspector(self) -> None:
        """Nothing is selected any more."""
        node_id, self.selection = self.inspector.node_id, []
        closed = node_id or self.inspector.edge_id
        if node_id and self.steps.shown:
            self.steps.focus(node_id)
        elif node_id:  # an id is a slug
            ui.run_javascript(f"document.querySelector('[data-node={node_id}]')?.focus({{preventScroll: true}})")
        self.canvas.deselect([closed] if closed else [])
        await self._inspect(None)

    async def refresh_inspector(self) -> None:
        """The canvas changed what may be open."""
        if self.inspector.node_id:
            await self.inspector.refresh()

    async def _inspect(self, node_id: str | None, *, tab: str | None = None) -> None:
        if node_id is None and not self.inspector.panel.visible:
            return
        await self.inspector.show(node_id, tab=tab)
        self.inspector.show_problems(self.found)
        self.work.classes(remove="fp-work--wide") if node_id else self.work.classes("fp-work--wide")
        self._draw_steps()

    async def _go_to(self, problem: Problem) -> None:
        if problem.node_id:
            await self._go_to_field(problem.node_id, problem.pointer)

    async def _go_to_field(self, node_id: str, pointer: str) -> None:
        self.canvas.focus_node(node_id)
        await self.open_node(node_id, tab="set_up")
        self.inspector.focus(pointer)

    async def _last_job(self) -> Look | None:
        return await self.inspector.last_run.look()

    def _show_status(self, changed: dict[str, Any] | None) -> None:
        if changed is None:
            self.canvas.clear_status()
        else:
            self.canvas.set_status(changed)
            if any(status and status["state"] in {"done", "failed"} for status in changed.values()):
                background_tasks.create(self.inspector.show_last_run(), name="last run")
        self._draw_steps()

    # The list of steps, and the first node.

    def _show_as(self, as_steps: bool) -> None:  # noqa: FBT001 - bound to a switch
        """The canvas or the list of steps; the browser remembers which."""
        self.as_steps = as_steps
        self.root.classes("fp-pg--steps") if as_steps else self.root.classes(remove="fp-pg--steps")
        ui.run_javascript(f"document.cookie = '{STEPS_COOKIE}={int(as_steps)};path=/;max-age=31536000;samesite=lax'")
        if not as_steps:
            self.canvas.fit()

    def _draw_steps(self) -> None:
        if hasattr(self, "inspector"):
            self.steps.draw(self.draft.document, self.run_panel.shown, self.shown_marks, self.inspector.node_id)

    async def _begin(self) -> None:
        """The first node; what was pressed is gone, so its settings take the keyboard."""
        await self.events.add("api_input")
        self.inspector.take_keyboard()
