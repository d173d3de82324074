"""The Flow Playground page: top bar, palette, canvas, inspector and Run panel, all working on one shared draft."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from nicegui import background_tasks, ui
from nicegui.events import GenericEventArguments
from sqlalchemy.orm import Session

from engine.actions.datasets import add_column
from engine.actions.samples import next_input
from engine.core.errors import Problem, Refusal
from engine.core.ids import JobId
from engine.flow.branch_edits import answer_field
from engine.flow.contract import sample_payload
from engine.flow.document import Document, load_document
from engine.flow.edits import Op, difference_ops
from engine.flow.flow_warnings import FlowWarning
from engine.flow.output_schemas import binding_schema
from engine.flow.value_types import typed_schemas
from engine.nodes.known_datasets import fill_other_column, find_known
from storage.datasets import ColumnType
from storage.flows import FlowRow, list_flows
from storage.job_documents import get_job_flow
from storage.jobs import find_job, read_value
from ui.flow_view.canvas_types import ListScope, Marks
from ui.flow_view.job_watch import Look
from ui.flow_view.list_frames import frames_of
from ui.kit import feedback
from ui.kit.assets import asset_url
from ui.kit.cookies import cookie_script
from ui.kit.frame import frame
from ui.kit.text import _
from ui.page_session import PageSession
from ui.page_shell import every
from ui.parts.ask_owners import asking
from ui.parts.mending import ops_to_mend
from ui.parts.open_drafts import Drafts, OpenDraft
from ui.parts.written_rows import calls_before_a_run, writes_before_a_run
from ui.playground.bar import BarCalls, PlaygroundBar
from ui.playground.canvas.canvas_events import CanvasEvents
from ui.playground.canvas.empty_canvas import Blank
from ui.playground.canvas.flow_list import flow_list
from ui.playground.canvas.palette import palette
from ui.playground.canvas.step_actions import StepActions
from ui.playground.canvas.steps_list import StepsList
from ui.playground.inspector.inspector import Inspector
from ui.playground.next_step_line import Guide, NextStepLine
from ui.playground.run.panel import PanelCalls, RunPanel
from ui.playground.state.deleted_steps import name_deleted
from ui.playground.state.dependencies import SIMULATED_MODEL, FlowDependencies, load_dependencies
from ui.playground.state.next_step import NextStep, load_past
from ui.playground.state.only_model import model_for, replace_simulated_ops

_STYLE = "".join(
    f'<link rel="stylesheet" href="{asset_url(name)}">' for name in ("pages.css", "playground.css")
)  # pages.css styles the flow page's elements that the deploy dialog also shows
LOOK_SECONDS = 10.0
#: Name of the cookie that stores whether this browser shows flows as a list of steps.
STEPS_COOKIE = "fp_steps"
#: Name of the cookie that stores which flow this browser showed last.
LAST_COOKIE = "fp_last_flow"
#: Browser handler for Ctrl+Enter (run) and Ctrl+S (save). It first moves the focus out of the focused input so that the
#: input sends its value to the server. The script is constant: it contains no text of a flow.
_KEYS = """(event) => {
  const key = event.key.toLowerCase();
  if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey || !["enter", "s"].includes(key)) return;
  event.preventDefault();
  event.stopPropagation();
  const typing = document.activeElement;
  if (typing?.matches("input, textarea")) { typing.blur(); typing.focus(); }
  setTimeout(() => emit(key)); // a field tells its value a moment after it was left
}"""


#: Makes the Run panel large and brings it into view, unless it shows enough of the result. The script is constant.
_LARGE_RUN_PANEL = """
  const result = document.querySelector('.fp-runp .fp-rc[role="region"]');
  if (result) {  // it may stand there already: say where
    result.scrollTop = 0;
    result.focus({ preventScroll: true });
    const mark = getComputedStyle(result).getPropertyValue("--fp-accent");
    result.animate([{ boxShadow: `inset 0 0 0 3px ${mark}` }, { boxShadow: `inset 0 0 0 3px transparent` }], 1500);
  }
  const shown = document.querySelector(".fp-runp")?.getBoundingClientRect();
  if (shown && shown.height >= 240 && shown.top >= 0 && shown.bottom <= innerHeight + 1) return;
  const work = document.querySelector(".fp-work");
  if (work) work.dataset.run = "large";
  const panel = document.querySelector(".fp-runp");
  panel?.querySelector(".fp-run-size")?.setAttribute("aria-pressed", "true");
  panel?.scrollIntoView({ block: "nearest" });
"""


def run_of_job(
    session: Session, workspace_id: str, flow_id: str, job_id: str
) -> tuple[dict[str, Any], Document | None] | None:
    """Returns the stored input of a job of this flow, and the flow as it ran where that is kept.

    None when the job belongs to another flow or its input is not kept.
    """
    job = find_job(session, workspace_id, job_id)
    if job is None or job.flow_id != flow_id:
        return None
    payload = read_value(session, job_id, "payload")
    if payload is None:
        return None
    stored = get_job_flow(session, workspace_id, job).document
    return payload if isinstance(payload, dict) else {}, load_document(stored) if stored else None


class PlaygroundPage:
    """One browser tab of the Playground.

    Creates the parts of the page and passes changes from one part to the others.
    """

    def __init__(
        self,
        page_session: PageSession,
        drafts: Drafts,
        draft: OpenDraft,
        flow: FlowRow,
        *,
        as_steps: bool,
        next_hidden: bool,
    ) -> None:
        self.page_session = page_session
        self.drafts = drafts
        self.draft = draft
        self.first_flow = flow
        self.as_steps = as_steps
        self.client_id = secrets.token_hex(8)
        self.selection: list[str] = []
        self.found: list[Problem] = []
        self.warned: list[FlowWarning] = []
        self.shown_marks: dict[str, Marks] = {}
        self.shown_frames: list[ListScope] = []
        self.remembered = False
        self.analysing = False
        self.next_hidden = next_hidden
        self.guide: Guide | None = None

    async def build(self, *, select: str, job: str, field: str = "", dataset: str = "") -> None:
        """Builds the page, with the node `select` selected, the keyboard focus in its field with the JSON pointer
        `field`, the input of the job `job` filled in, and a batch over the rows of `dataset` offered.
        """
        ui.context.client.on_delete(lambda: self.drafts.leave(self.draft, self.client_id))
        ui.add_head_html(_STYLE)
        payload = await self.page_session.query(next_input, self.draft.flow_id, self.draft.document)
        self.dependencies = await self._load_dependencies()
        self.flows = [] if self.page_session.may("edit flows") else await self.page_session.query(list_flows)
        given = await self.page_session.query(run_of_job, self.draft.flow_id, job) if job else None
        past = await self.page_session.query(load_past, self.draft.flow_id)  # no query once there are timers: `every`
        self.first_selection, self.first_field, self.first_dataset = select, field, dataset
        with (
            frame(
                self.first_flow.title,
                active="playground",
                person=self.page_session.frame_person,
                rail=True,
                h1=False,
                search=self.page_session.findable,
            ) as frame_page,
            ui.element("div").classes("fp-pg").classes("fp-pg--steps" if self.as_steps else "") as self.root,
        ):
            self.root.on("keydown.capture", self._pressed, js_handler=_KEYS)
            self.bar = PlaygroundBar(
                self.page_session,
                self.draft,
                self.first_flow,
                BarCalls(
                    toggle_palette=self.toggle_palette,
                    go_to=self._go_to,
                    mend=self.mend,
                    put_on_canvas=self._put_on_canvas,
                    retitle=frame_page.title,
                    show_as=self._show_as,
                    read=self._saw_result,
                ),
                as_steps=self.as_steps,
            )
            self.bar.draw()
            await self.bar.read_live()
            line = NextStepLine(self._take_next, hidden=self.next_hidden)
            with ui.element("div").classes("fp-work fp-work--wide") as self.work:
                self.palette = self._left_column()
                with ui.element("div").classes("fp-stage"):
                    self.events = CanvasEvents(self.page_session, self.draft, self.client_id, self)
                    with ui.element("div").classes("fp-canvas-box"):
                        self.canvas = self.events.draw().classes("w-full h-full")
                    self.blank = Blank(self._begin, may_edit=self.bar.may_edit)
                    self.steps = self._steps()
                self.run_panel = RunPanel(
                    self.page_session,
                    self.draft,
                    payload if given is None else given[0],
                    PanelCalls(
                        status=self._show_status,
                        open_node=self.open_node,
                        fix=self._go_to_field,
                        edit=self.events.edit,
                        simulated=self._simulated_warning,
                        last_job=self._last_job,
                        run=self._run_began,
                        progress=self._draw_next,
                        result_seen=self._saw_result,
                    ),
                )
                self.run_panel.name_inner(self.dependencies.calls.inner)
                self.inspector = Inspector(
                    self.page_session,
                    self.draft,
                    self.run_panel,
                    edit=self.events.edit_inspected,
                    on_open=self.open_node,
                    on_close=self.close_inspector,
                    on_delete=self.events.delete_node,
                    on_visible=self._make_room,
                    mend=self.mend,
                )
                self.inspector.catalog = self.dependencies.catalog
        self.guide = Guide(self.page_session, self.draft, self.bar, self.run_panel, line, past)
        # so that the first saved sample does not replace an input that ran
        self.run_panel.input.touched = given is not None or payload != sample_payload(self.draft.document)
        self.draft.listeners[self.client_id] = self._changed_elsewhere
        self.document_changed()
        every(LOOK_SECONDS, self._look)
        if given is not None:
            self.run_panel.watch(JobId(job), *given)

    def _left_column(self) -> ui.element:
        """Draws the palette, or for somebody who may only look the list of flows."""
        if self.bar.may_edit:
            return palette(self._add_from_palette)
        return flow_list(self.flows, self.draft.flow_id)

    def _steps(self) -> StepsList:
        self.verbs = verbs = StepActions(
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
        """Updates the age of the draft and reloads what the flow refers to, which other pages may have created or
        removed.
        """
        self.bar.draw_sentence()
        await self._read_dependencies()
        if self.guide is not None and self.bar.flow.live_version and not self.guide.past.called:
            self.guide.past = await self.page_session.query(load_past, self.draft.flow_id)
            self._draw_next()

    async def _read_dependencies(self) -> None:
        fresh = await self._load_dependencies()
        if fresh != self.dependencies and not self.root.is_deleted:
            self.dependencies = fresh
            self.inspector.catalog = fresh.catalog
            self.run_panel.name_inner(fresh.calls.inner)
            self.document_changed()

    async def _load_dependencies(self) -> FlowDependencies:
        return await self.page_session.query(
            load_dependencies, self.draft.flow_id, self.draft.document, self.page_session.app.settings
        )

    # Changes of the document.

    def document_changed(self) -> None:
        """Updates everything that is derived from the document: marks, problems, input form, list of steps, status
        sentence.
        """
        document = self.draft.document
        analysis = self.draft.derive(self.dependencies, self.dependencies.analyse_at_once)
        if not analysis.whole and not self.analysing:
            background_tasks.create(self._analyse_beside(), name="costly patterns of the flow")
        self.found = name_deleted(analysis.problems, document, self.draft.deleted)
        self.warned, self.unused = analysis.warnings, analysis.unused
        # the document refers to something that was not read yet
        if not self.dependencies.covers(document):
            background_tasks.create(self._read_dependencies(), name="dependencies of the flow")
        fresh = analysis.marks
        if changed := {node_id: mark for node_id, mark in fresh.items() if self.shown_marks.get(node_id) != mark}:
            self.canvas.set_marks(changed)
        self.shown_marks = fresh
        self._frame_lists(document)
        self.bar.show_problems(self.found, self.warned, [one for one in document.nodes if _is_loose(fresh, one.id)])
        self.inspector.show_problems(self.found, self.warned)
        self.inspector.document_changed()
        self.run_panel.document_changed()
        called, known = self.dependencies.calls.inner, self.dependencies.datasets
        self.run_panel.input.say_writes(
            writes_before_a_run(document, called, known), calls_before_a_run(document, called)
        )
        self.blank.draw(empty=not document.nodes)
        self._remember()
        self._draw_steps()
        self.bar.draw_sentence()
        self._draw_next()

    async def _analyse_beside(self) -> None:
        """Looks at what takes too long for the event loop, and shows it; again when something has changed meanwhile."""
        self.analysing = True
        try:
            document, known = self.draft.document, self.dependencies
            self.draft.note_derived(document, known, await self.page_session.beside(known.analyse, document))
        except Refusal:
            return  # too much of this person waits already; the next change tries again
        finally:
            self.analysing = False
        if not self.root.is_deleted:
            self.document_changed()

    def _remember(self) -> None:
        """Stores in a cookie that this browser showed this flow last, once something is in it."""
        if self.remembered or not (self.draft.document.nodes or self.first_flow.newest_version):
            return
        self.remembered = True
        self.canvas.client.run_javascript(
            cookie_script(LAST_COOKIE, self.draft.flow_id)
        )  # the pressed button may be gone

    def _frame_lists(self, document: Document) -> None:
        """Sends the canvas a frame for each group of nodes that run once per item of a list."""
        frames = frames_of(document)
        if frames != self.shown_frames:
            self.shown_frames = frames
            self.canvas.set_scopes(frames)

    def _changed_elsewhere(self, ops: Sequence[Op], revision: int, client: str, name: str) -> None:
        if client == self.client_id:
            return
        self.events.changed_elsewhere(ops, revision, name)
        self.document_changed()
        self.follow(ops)

    def follow(self, ops: Sequence[Op]) -> None:
        """Shows in the inspector what an edit changed that was not made there."""
        self.inspector.follow(ops)

    async def _put_on_canvas(self, document: Document) -> bool:
        """Replaces what is on the canvas, as one edit that can be undone. False when it was refused."""
        return await self.events.edit(difference_ops(self.draft.document, document))

    async def _add_from_palette(self, kind: str) -> None:
        await self.events.add_after(kind, self.selection[0] if len(self.selection) == 1 else None)

    # Events of the canvas.

    async def canvas_loaded(self) -> None:
        """Sends all marks and the last run to a canvas that just loaded, and opens the node, and the batch, that the page's
        address names.
        """
        self.shown_marks = {}
        self.shown_frames = []
        self.document_changed()
        await self._show_last_run()
        if self.first_selection:
            self.canvas.focus_node(self.first_selection)
            await self.open_node(self.first_selection, tab="set_up" if self.first_field else None)
            self.inspector.focus(self.first_field)
        if self.first_dataset:
            self.run_panel.offer_batch(self.first_dataset)
            self.canvas.client.run_javascript(_LARGE_RUN_PANEL)
            self.first_dataset = ""

    async def _show_last_run(self) -> None:
        """Shows the run that the panel shows, or before the first one of this page the newest one of the flow."""
        if self.run_panel.job_id is not None:
            self.canvas.set_status(self.run_panel.shown)  # type: ignore[arg-type]
            return
        look = await self._last_job()
        if look is not None and self.run_panel.job_id is None and not self.root.is_deleted:
            with self.root:
                await self.run_panel.show_again(look)

    async def run(self, mode: str, node_id: str) -> None:
        """Starts a run: of all nodes (`all`), up to and including one node (`node`), or from one node on (`from`)."""
        if not self.page_session.may("run flows"):
            feedback.told(asking(self.page_session, _("You can look at this flow; editors and owners run it.")))
            return
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
        """Saves the draft (Ctrl+S); somebody who may only look is told who may."""
        if not self.bar.may_edit:
            feedback.told(asking(self.page_session, _("You can look at this flow; editors and owners change it.")))
            return
        await self.bar.save()

    def toggle_palette(self) -> None:
        """Opens or closes the palette on screens where it can be folded."""
        if "fp-pal--open" in self.palette.classes:
            self.palette.classes(remove="fp-pal--open")
        else:
            self.palette.classes("fp-pal--open")

    # Selection and inspector.

    async def selected(self, nodes: list[str], edges: list[str]) -> None:
        """Shows the one selected node or the one selected connection in the inspector."""
        chosen = nodes or edges
        if chosen == self.selection:
            return
        self.selection = chosen
        if len(nodes) == 1 and nodes[0] == self.inspector.node_id:
            return  # `open_node` already shows it; this is the canvas reporting the selection
        if not nodes and len(edges) == 1:
            await self.inspector.show_edge(edges[0])
            return
        await self._inspect(nodes[0] if len(nodes) == 1 else None)

    async def open_node(self, node_id: str, *, tab: str | None = None) -> None:
        """Selects the node on the canvas and shows it in the inspector."""
        if self.draft.document.node(node_id) is None:
            return
        self.palette.classes(remove="fp-pal--open")
        if self.selection != [node_id]:
            self.selection = [node_id]
            self.canvas.select_nodes([node_id])
        if self.inspector.node_id != node_id or tab:
            await self._inspect(node_id, tab=tab)

    async def opened(self, node_id: str) -> None:
        """Opens a node after Enter or a double click and moves the keyboard focus into the inspector, which is far
        away in tab order.
        """
        await self.open_node(node_id)
        self.inspector.take_keyboard()

    async def close_inspector(self) -> None:
        """Closes the inspector and removes the selection."""
        node_id, self.selection = self.inspector.node_id, []
        closed = node_id or self.inspector.edge_id
        if node_id and self.steps.shown:
            self.steps.focus(node_id)
        elif node_id:  # node ids are slugs, so the id is safe inside the script
            with self.root:  # the button that was pressed may be gone by now
                ui.run_javascript(f"document.querySelector('[data-node={node_id}]')?.focus({{preventScroll: true}})")
        self.canvas.deselect([closed] if closed else [])
        await self._inspect(None)

    async def refresh_inspector(self) -> None:
        """Shows the inspected node or connection again after the canvas changed it."""
        if self.inspector.panel.visible:
            await self.inspector.refresh()
            self._draw_steps()

    async def _inspect(self, node_id: str | None, *, tab: str | None = None) -> None:
        if node_id is None and not self.inspector.panel.visible:
            return
        await self.inspector.show(node_id, tab=tab)
        self.inspector.show_problems(self.found, self.warned)
        self._draw_steps()

    async def mend(self, problem: Problem) -> None:
        """Presses the button of a problem or a warning: one edit that can be undone, or a way to the field."""
        if problem.code == "column_to_add":
            await self._add_column(problem)
            return
        async with self.draft.making:
            document = await self.draft.settled()
            ops = self._ops_to_mend(problem, document)
            done = bool(ops) and await self.events.edit(ops)
        if not ops:
            await self._go_to(problem)
        elif done:
            await self.show_mended(ops)

    def _ops_to_mend(self, problem: Problem, document: Document) -> list[Op]:
        """The operations behind the button of a problem or a warning."""
        node = document.node(problem.node_id or "") if problem.code == "no_column" else None
        meant = self.dependencies.meant_column(problem, document) if node else None
        if node is not None and meant is not None:
            return [fill_other_column(node, problem.pointer.removeprefix("/inputs/"), meant)]
        if problem.code == SIMULATED_MODEL:
            model = model_for(document, self.dependencies.connections, self.dependencies.only_model)
            return replace_simulated_ops(document, model) if model else []
        return ops_to_mend(problem, document, self.dependencies.catalog)

    def _simulated_warning(self) -> FlowWarning | None:
        return next((one for one in self.warned if one.problem.code == SIMULATED_MODEL), None)

    async def _add_column(self, problem: Problem) -> None:
        """Adds the column that a Save rows names to its dataset."""
        node = self.draft.document.node(problem.node_id or "")
        dataset = find_known(self.dependencies.datasets, node.config.get("dataset")) if node else None
        name = problem.pointer.removeprefix("/inputs/")
        if node is None or dataset is None or name not in node.inputs:
            return
        given = binding_schema(node.inputs[name], self.draft.document, self.dependencies.catalog)
        kinds = typed_schemas(node.config, {name: given})[name].get("type")
        kinds = [kinds] if isinstance(kinds, str) else kinds or ()
        kind: ColumnType = next((one for one in get_args(ColumnType) if one in kinds), "string")
        with feedback.refusals_told() as outcome:
            await self.page_session.execute(add_column, dataset.id, name, kind)
        if not outcome.refused:
            await self._read_dependencies()
            feedback.told(_("{dataset} has the column “{name}” now.").format(dataset=dataset.name, name=name))

    async def show_mended(self, ops: Sequence[Op]) -> None:
        """Opens the step that was added and still has to be filled in; otherwise says that it is done."""
        added = [str(op["node"]["id"]) for op in ops if op["op"] == "addNode"]
        to_fill_in = next((one for one in self.found if one.node_id in added and one.pointer), None)
        if to_fill_in is not None:
            await self._go_to(to_fill_in)
            if (field := answer_field(self.draft.document, str(to_fill_in.node_id))) is not None:
                joiner, own, others = field
                feedback.told(
                    _("This text is the “{field}” of this way.").format(field=own),
                    _("What callers get beside it, {others}, stands in the step “{joiner}”.").format(
                        others=", ".join(f"“{name}”" for name in others), joiner=joiner.name
                    ),
                )
            return
        await self.refresh_inspector()
        feedback.told(_("Done."), _("Undo takes it back."))

    def _make_room(self, inspected: bool) -> None:  # noqa: FBT001 - called by the inspector
        """Gives the canvas the inspector's column while the inspector is closed."""
        self.work.classes(remove="fp-work--wide") if inspected else self.work.classes("fp-work--wide")

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

    # The list of steps and the first node.

    def _show_as(self, as_steps: bool) -> None:  # noqa: FBT001 - bound to a switch
        """Switches between the canvas and the list of steps and stores the choice in a cookie."""
        self.as_steps = as_steps
        self.root.classes("fp-pg--steps") if as_steps else self.root.classes(remove="fp-pg--steps")
        ui.run_javascript(cookie_script(STEPS_COOKIE, str(int(as_steps))))
        if not as_steps:
            self.canvas.fit()

    def _draw_steps(self) -> None:
        if hasattr(self, "inspector"):
            self.steps.draw(self.draft.document, self.run_panel.shown, self.shown_marks, self.inspector.node_id)

    async def _begin(self) -> None:
        """Adds the first node.

        The pressed button disappears, so the keyboard focus moves to the settings of the node.
        """
        await self.events.add("api_input")
        self.inspector.take_keyboard()

    # The next step.

    def _draw_next(self) -> None:
        if self.guide is not None and not self.root.is_deleted:
            self.guide.draw(self.found[0] if self.found else None, self.warned, self.unused)

    def _run_began(self) -> None:
        if self.guide is not None:
            self.guide.run_began()
            self._draw_next()

    def _saw_result(self) -> None:
        """The person touched the result, or went on to save or deploy."""
        if self.guide is not None:
            self.guide.saw_result()
            self._draw_next()

    async def _take_next(self, step: NextStep) -> None:
        """Does the next step, or leads to where it is done."""
        match step.name:
            case "add_input":
                await self._begin()
            case "improve" if step.warning is not None:
                await self.mend(step.warning)
            case "describe_input" | "mend" | "connect" | "use":
                if step.node_id:
                    await self._go_to_field(step.node_id, step.pointer)
            case "add_step":
                await self.verbs.act("add_after", step.node_id)
            case "run" | "run_again":
                await self.run("all", "")
            case "look" | "look_at_failure":
                self._show_result()
            case "save":
                await self.bar.save()
            case "deploy" | "update":
                await self.bar.deploy()
            case "schedule" | "call" | "watch":
                paths = {"schedule": "/flows/{}?tab=triggers", "call": "/flows/{}", "watch": "/monitoring?flow={}"}
                ui.navigate.to(paths[step.name].format(self.draft.flow_id))

    def _show_result(self) -> None:
        self.run_panel.show_end()
        ui.run_javascript(_LARGE_RUN_PANEL)
        self._saw_result()


def _is_loose(marks: Mapping[str, Marks], node_id: str) -> bool:
    """True for a step that is not connected, which does not run."""
    return node_id in marks and marks[node_id].get("parked", False)
