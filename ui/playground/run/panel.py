"""The Run panel: starts runs of the draft, follows them, and informs its parts and the page."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from nicegui import background_tasks, ui
from sqlalchemy.orm import Session

from engine.actions.jobs import RunOptions, cancel_run, run_in_playground
from engine.core.errors import FlowInvalid, PayloadInvalid, Refusal
from engine.core.ids import FlowId, JobId
from engine.flow.document import Document, Node, load_document
from engine.flow.edits import Op
from engine.flow.flow_warnings import FlowWarning
from engine.flow.version_comparison import answers_may_differ, content_of
from storage.job_documents import get_job_flow
from storage.jobs import read_value
from storage.questions import list_questions_of_job
from ui.flow_view.job_watch import Look, statuses
from ui.kit import feedback
from ui.kit.frame import reader
from ui.kit.parts import button
from ui.kit.text import _
from ui.page_session import PageSession
from ui.page_shell import times_of
from ui.parts.ask_owners import asking
from ui.parts.job_words import row_of_batch
from ui.parts.kept_files import file_keeper
from ui.parts.question_cards import Asked, QuestionCards
from ui.playground.run.batch_view import BatchView
from ui.playground.run.compare_view import CompareView
from ui.playground.run.controls import Controls
from ui.playground.run.follow import follow_job, show_when_readable
from ui.playground.run.input_form import InputForm
from ui.playground.run.live_text import LiveText
from ui.playground.run.log_view import LogView
from ui.playground.run.steps_tab import StepsTab

if TYPE_CHECKING:
    from ui.parts.open_drafts import OpenDraft

#: How many questions of a run are shown at once; the others come when these are answered.
_MAX_QUESTIONS = 5
TABS = {"steps": _("Steps"), "log": _("Log"), "batch": _("Batch"), "compare": _("Compare")}


class PanelCalls(Struct, frozen=True):
    """What the Run panel calls of the page around it.

    `status` gets the changed states of nodes, None when a run begins; `fix` gets a node and a field; `simulated` returns
    the warning that a connected model is not used; `run` is called when another run is shown, `progress` after each
    reading of the run and each change of the input, and `result_seen` when the person presses into the steps and their
    results.
    """

    status: Callable[[dict[str, Any] | None], None]
    open_node: Callable[[str], Awaitable[None]]
    fix: Callable[[str, str], Awaitable[None]]
    edit: Callable[[Sequence[Op]], Awaitable[Any]]
    simulated: Callable[[], FlowWarning | None]
    last_job: Callable[[], Awaitable[Look | None]]
    run: Callable[[], None]
    progress: Callable[[], None]
    result_seen: Callable[[], None]


class RunPanel:
    """Runs the draft and shows the run."""

    def __init__(self, page_session: PageSession, draft: OpenDraft, payload: dict[str, Any], calls: PanelCalls) -> None:
        self.page_session = page_session
        self.draft = draft
        self.reader = reader()
        self.calls = calls
        self.job_id: JobId | None = None
        self.look: Look | None = None
        #: The input of the run that is shown; None while it is not known.
        self.ran: Mapping[str, Any] | None = None
        #: The flow as it ran; None while it is not known.
        self.ran_flow: Document | None = None
        self._compared: tuple[Document, Document, bool] | None = None
        #: The state of each node in the run, by node id.
        self.shown: dict[str, dict[str, Any]] = {}
        self._starting = False
        self._stopping = False
        #: The notice that the flow cannot run yet.
        self._cannot_run: ui.element | None = None
        self.live = LiveText(page_session)
        self._draw(payload)
        self.steps.box.on("pointerdown", calls.result_seen, [])

    # Calls from other parts of the page.

    def name_inner(self, inner: Mapping[str, Node]) -> None:
        """Sets the nodes of called flows, by the names of their steps."""
        self.log.inner = self.compare.inner = inner
        self.steps.name_inner(inner)

    @property
    def running(self) -> bool:
        """True while a run is in progress; one that only waits for a person is not."""
        if self.job_id is None:
            return False
        return self.look is None or not (self.look.job.ended or self._waits)

    @property
    def _waits(self) -> bool:
        """True while the run that is shown waits for a person, and nothing else of it goes on."""
        look = self.look
        return look is not None and look.job.waits_for_person and not self._stopping

    def document_changed(self) -> None:
        """Updates the input form, and says when the run that is shown was one of another flow."""
        self.input.document_changed()
        self._mark_earlier()

    async def run(self, until: str | None = None) -> None:
        """Runs the flow on the canvas; `until` runs only this node and the nodes it needs."""
        await self._start(self.input.payload, RunOptions(until=until))

    async def run_from(self, node_id: str) -> None:
        """Runs this node and all nodes after it.

        Outputs of earlier nodes are taken from the shown run, or from the newest one.
        """
        if self.running:
            return
        earlier = await self.calls.last_job()
        if earlier is None:
            feedback.told(_("Everything runs: there is no earlier run whose outputs could be used."))
            await self.run()
            return
        job_id = earlier.job.id
        given = await self._payload_of(job_id)
        if given is None:
            feedback.told(_("Everything runs: the outputs of the earlier run are not kept any more."))
            await self.run()
            return
        await self._start(given if isinstance(given, dict) else {}, RunOptions(start=node_id, reuse=job_id))

    async def stop(self) -> None:
        """Cancels the run. The panel shows the state cancelling until the work has stopped."""
        if self.job_id is None or self._stopping:
            return
        self._stopping = True
        self._tick()
        if await self.page_session.try_execute(cancel_run, self.job_id) is None:
            self._stopping = False
            self._tick()

    def watch(self, job_id: JobId, payload: Mapping[str, Any] | None = None, document: Document | None = None) -> None:
        """Shows this job and follows it until it ends. `payload` and `document`: what it runs, where it is known."""
        self.job_id, self.look, self.shown, self._stopping = job_id, None, {}, False
        self.ran, self.ran_flow = copy.deepcopy(payload), document
        self.calls.run()
        self.calls.status(None)
        self.asks.show(())
        self.steps.begin()
        self.log.begin()
        self._mark_earlier()
        follow = follow_job(
            self.page_session,
            job_id,
            wanted=lambda: self.job_id == job_id and not self.panel.is_deleted,
            live=self.live,
            on_look=self._show,
            on_tick=self._tick,
        )
        background_tasks.create(follow, name=f"run panel {job_id}")

    async def show_again(self, look: Look) -> None:
        """Shows the newest run of the flow, which another page, or this one before a reload, has begun."""
        payload = await self._payload_of(look.job.id)
        stored = (await self.page_session.query(get_job_flow, look.job)).document
        document = load_document(stored) if stored else None
        if self.job_id is not None or self.panel.is_deleted:
            return
        if not look.job.ended:
            self.watch(JobId(look.job.id), payload, document)
            return
        self.job_id, self.ran, self.ran_flow = JobId(look.job.id), payload, document
        self._show(look)
        self._mark_earlier()

    async def _payload_of(self, job_id: str) -> Any:
        def read(session: Session, _workspace: str) -> Any:
            return read_value(session, job_id, "payload")

        return await self.page_session.query(read)

    # Drawing.

    def _draw(self, payload: dict[str, Any]) -> None:
        may_run = self.page_session.may("run flows")
        edit = self.calls.edit if self.page_session.may("edit flows") else None
        with ui.element("section").classes("fp-runp") as self.panel:
            self.panel.props["aria-label"] = _("Run")
            self.controls = Controls(
                TABS,
                reader=self.reader,
                clock=self.page_session.app.database.clock,
                may_run=may_run,
                on_run=self.run_clicked,
                on_stop=self.stop,
                on_tab=self._open_tab,
            )
            with ui.element("div").classes("fp-rb"):
                said = _("You can look at this flow; editors and owners run it.")
                self.input = InputForm(
                    self.draft,
                    payload,
                    edit=edit,
                    on_run_all=self._run_samples if may_run else None,
                    on_change=self._input_changed,
                    on_enter=self.run_clicked if may_run else None,
                    why_not="" if may_run else asking(self.page_session, said),
                    keep_file=file_keeper(self.page_session),
                )
                self.steps = StepsTab(
                    self.page_session,
                    self.draft,
                    self.reader,
                    live=self.live,
                    on_open=self.calls.open_node,
                    on_fix=self.calls.fix if edit else None,
                    on_run_from=self.run_from if may_run else None,
                    edit=edit,
                    simulated=self.calls.simulated,
                )
                with self.steps.earlier:
                    self.take_row = button(_("Put its input into the form"), self._take_row, icon="edit", small=True)
                    self.run_row = button(_("Run this row again"), self._run_row, icon="replay", small=True)
                with ui.element("div").classes("fp-asks-run") as asks:
                    self.asks = QuestionCards(self.page_session, times_of(self.page_session), self._look_at_questions)
                asks.move(self.steps.box, 0)
                self.log = LogView(self.page_session, self.draft, self.reader)
                self.batch = BatchView(self.page_session, self.draft, self.reader, on_open=self._show_run)
                self.compare = CompareView(self.page_session, self.draft, self.reader)
        self._show_tab("steps")

    def _input_changed(self) -> None:
        self._mark_earlier()
        self.calls.progress()

    def _mark_earlier(self) -> None:
        """Says so when the run that is shown had another input than the form has now, or ran another flow."""
        row = row_of_batch(self.look.job) if self.look else ""
        other_input = self.ran is not None and self.ran != self.input.payload
        self.run_row.visible = bool(row) and self.page_session.may("run flows")
        self.run_row.set_enabled(not self.running)
        self.take_row.visible = self.run_row.visible and other_input
        self.steps.mark_earlier(
            other_input=other_input,
            other_flow=self.ran_flow is not None and self._answers_otherwise(self.ran_flow),
            row=row,
        )

    def _answers_otherwise(self, ran: Document) -> bool:
        now = self.draft.document
        if self._compared is None or self._compared[0] is not ran or self._compared[1] is not now:
            otherwise = ran is not now and answers_may_differ(content_of(ran), content_of(now))
            self._compared = (ran, now, otherwise)
        return self._compared[2]

    async def run_clicked(self) -> None:
        """Starts a run; called by the Run button and Ctrl+Enter."""
        if self.input.ready():
            await self.run()

    async def _open_tab(self, name: str) -> None:
        self._show_tab(name)
        views: dict[str, LogView | BatchView | CompareView]
        views = {"log": self.log, "batch": self.batch, "compare": self.compare}
        for one, view in views.items():
            if one != name:
                view.hide()
        if name in views:
            await views[name].show()

    def _show_tab(self, name: str) -> None:
        places = {
            "steps": self.steps.box,
            "log": self.log.box,
            "batch": self.batch.box,
            "compare": self.compare.box,
        }
        for one, place in places.items():
            place.visible = one == name

    async def _run_samples(self) -> None:
        self.controls.tabs.value = "batch"
        await self.batch.run_samples()

    def offer_batch(self, dataset_id: str) -> None:
        """Opens the tab in which a batch is started, with this dataset chosen."""
        self.batch.wanted = dataset_id
        self.controls.tabs.value = "batch"

    async def _show_run(self, job_id: JobId) -> None:
        payload = await self._payload_of(job_id)
        self.controls.tabs.value = "steps"
        self.watch(job_id, payload)

    def _take_row(self) -> None:
        if self.ran is not None:
            self.input.take_row(dict(self.ran))

    async def _run_row(self) -> None:
        """Runs the input of the row that is shown, which stands in the form then, as that of every run."""
        if self.running or self._starting:
            return
        if self.ran is None:
            feedback.failed(_("The input of this row is not kept any more."), _("Type it into the form and press Run."))
            return
        self._take_row()
        if self.input.ready():
            await self._start(self.input.payload, RunOptions(again=self.job_id, now=True))

    # The run in progress.

    async def _start(self, payload: dict[str, Any], options: RunOptions) -> None:
        if self.running or self._starting:
            return
        self._starting = True
        feedback.forget_failures()
        if self._cannot_run is not None and not self._cannot_run.is_deleted:
            self._cannot_run.delete()
        self.controls.busy(waits=True)
        try:
            document = await self.draft.settled()
            checked = await self.page_session.checked(document, payload, options.until, kept=options.repeats)
            job_id = await self.page_session.execute(
                run_in_playground, FlowId(self.draft.flow_id), document, payload, options, checked
            )
        except PayloadInvalid as refusal:
            if not self.input.show_refusal(refusal):
                feedback.refused(refusal)
            return
        except FlowInvalid as refusal:
            first = refusal.problems[0]
            self._cannot_run = feedback.failed(
                _("The flow cannot run yet."),
                first.message,
                action=_("Show me") if first.node_id else "",
                on_action=lambda: self.calls.fix(first.node_id or "", first.pointer),
            )
            return
        except Refusal as refusal:
            feedback.refused(refusal)
            return
        finally:
            self._starting = False
            self.controls.busy(waits=False)
        self.controls.tabs.value = "steps"
        if self._waits:
            feedback.told(
                _("The run before still waits for an answer."),
                action=_("Open Waiting"),
                on_action=lambda: ui.navigate.to("/waiting", new_tab=True),
            )
        self.watch(job_id, payload, document)

    def _tick(self) -> None:
        if self.look is not None:
            self.controls.show(self.look.job, stopping=self._stopping)
            self.steps.tick()
            self.asks.tell_times()

    def _show(self, look: Look) -> None:
        fresh_run, was_running = self.look is None, self.running
        self.look = look
        fresh = statuses(look, self.draft.document, self.reader)
        changed = {node_id: status for node_id, status in fresh.items() if self.shown.get(node_id) != status}
        if look.job.ended:
            changed |= dict.fromkeys([node_id for node_id in self.shown if node_id not in fresh])
        self.shown = fresh
        if changed:
            self.calls.status(changed)
        self._tick()
        self.steps.show(look, fresh)
        if fresh_run or self.running != was_running:
            self._mark_earlier()
        if look.job.questions:
            self._show_beside(look, self._look_at_questions, "run panel questions")
        self._show_beside(look, lambda: self.log.follow(look), "run panel log")
        self.calls.progress()

    def _show_beside(self, look: Look, show: Callable[[], Awaitable[None]], name: str) -> None:
        """Shows a part of the run in a task. When it cannot be read now, it is read later, unless the run is read anew."""

        def is_wanted() -> bool:
            return self.look is look and not self.panel.is_deleted

        background_tasks.create(show_when_readable(show, wanted=is_wanted), name=name)

    async def _look_at_questions(self) -> None:
        """Shows what the run asks a person, who can answer right here."""
        look = self.look
        if look is None:
            return
        found = await self.page_session.query(list_questions_of_job, look.job.id)
        if self.look is not None and self.look.job.id == look.job.id and not self.panel.is_deleted:
            ended = self.look.job.ended
            self.asks.show([Asked(one) for one in found if one.open and not ended][:_MAX_QUESTIONS])
            if self.look.job.status == "failed":
                self.asks.forget_answer()

    def show_end(self) -> None:
        """Shows how the run ended, also while a step of it was chosen."""
        self.controls.tabs.value = "steps"
        self.steps.show_end()
