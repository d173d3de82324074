"""The run of a flow that a goal made: how far it is, what it asks, and what it answers or why it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from nicegui import ui
from sqlalchemy.orm import Session

from engine.actions.jobs import run_in_playground
from engine.core.errors import Refusal, Unavailable
from engine.core.ids import JobId
from engine.flow.called_flows import AGENT
from engine.flow.contract import input_fields, payload_schema, sample_payload
from engine.flow.document import Document
from engine.flow.node_context import Json
from engine.nodes.model_answers import SAME_TEXTS
from engine.outbound.practice_site import PRACTICE_HOST
from storage.flows import get_flow
from storage.jobs import JobRow, read_value
from storage.questions import list_questions_of_job
from storage.steps import PartRow, StepRow, list_parts
from ui.flow_view.job_watch import Look, look_at, seen_seq
from ui.flows.deploy import deploy_flow
from ui.flows.flow_states import draft_differs
from ui.flows.goal_box import times_note, triggers_path
from ui.flows.goal_flow import GoalFlow, Made
from ui.flows.made_up_note import choices_not_kept, how_made_up
from ui.flows.try_it import roomy
from ui.forms.form import Form
from ui.forms.specs import specs_of_schema
from ui.kit import feedback
from ui.kit.parts import button, icon, link_button, note, status_badge, words
from ui.kit.scroll import into_view
from ui.kit.text import _
from ui.page_session import PageSession
from ui.page_shell import times_of
from ui.parts.agent_trace import draw_looked_up
from ui.parts.kept_files import file_keeper
from ui.parts.question_cards import Asked, QuestionCards
from ui.parts.same_texts import same_texts_note, step_with_same_texts, texts_differ
from ui.parts.value_shapes import names_of_groups
from ui.parts.value_view import readable
from ui.parts.written_rows import WrittenRows

#: How long the page waits for a change of the job before it reads it again, in seconds.
WAIT_SECONDS = 0.4
#: How many questions of the run are shown at once; the others come when these are answered.
_MAX_QUESTIONS = 5
#: How many warnings of steps are shown below a result.
_MAX_WARNINGS = 5
#: Codes of connections that failed, and a page that needs none.
_NOT_REACHED = frozenset({"connect_failed", "timed_out"})
_PRACTICE = f"https://{PRACTICE_HOST}/"
_RUNS = _("Your flow is running. Its answer appears here.")
_ASKS = _("Your flow waits for an answer. Approve or refuse below, then it goes on.")


class GoalRun:
    """The newest run of the flow, drawn into the current container.

    `times`: the note about times, which is hidden once the flow is live; `use_my_documents`: asks for documents in place
    of the practice documents.
    """

    def __init__(
        self,
        page_session: PageSession,
        flow: GoalFlow,
        times: ui.element | None,
        use_my_documents: Callable[[], Awaitable[None]],
    ) -> None:
        self.page_session = page_session
        self.flow = flow
        self.goal = flow.blanks.goal
        self.times = times
        self.use_my_documents = use_my_documents
        #: The run that the page shows; an earlier one goes on, but nobody looks at it any more.
        self.job_id: JobId | None = None
        #: The questions of runs that were brought into view.
        self.asked_of_me: set[str] = set()
        #: The input that the person tried last in place of the sample.
        self.tried: dict[str, Any] | None = None
        #: The form of what was tried, once somebody typed in it.
        self.typed: Form | None = None
        #: What was tried last before the page was opened, without the fields that questions ask for.
        self.tried_before: dict[str, Any] = {}
        self.old = note(
            _("Press {verb} to see what the flow answers now.").format(verb=_("Run it again")),
            kind="warn",
            icon="history",
            strong=_("This is from what you filled in before."),
        ).props("role=status")
        self.old.visible = False
        self.place = ui.element("section").classes("fp-goal-result").props("role=status")
        self.place.visible = False
        #: What can be done with the flow, below its answer.
        self.acts: ui.element | None = None
        self.asks = QuestionCards(self.page_session, times_of(self.page_session), self._show_questions)

    def mark_old(self) -> None:
        """Says that the result belongs to other answers than those that are filled in now."""
        self.old.visible = self.place.visible and self.flow.made is not None

    def take_typed(self) -> bool:
        """Takes what was typed as the input to try. False when it cannot be used, which its field says."""
        if self.typed is not None:
            if wrong := self.typed.problems():
                self.typed.focus(next(iter(wrong)))
                return False
            self.tried = self.typed.value
        return True

    def begin(self) -> _Progress:
        """Shows that a run begins; an earlier one is shown no more."""
        self.job_id = None
        return self._show_running()

    def refuse(self, refusal: Refusal) -> None:
        """Shows why the flow was not stored or does not run."""
        self._begin_result()
        with self.place:
            feedback.refusal_card(refusal)
        into_view(self.place)

    async def run(self, made: Made) -> None:
        """Runs the flow with what was tried last, or with its sample, and shows the run until it ends."""
        await self._run(made, self._payload(made.document) if self.tried is None else self.tried)

    async def resume(self, job_id: JobId, *, in_view: bool) -> None:
        """Shows the newest run of the flow, when the page is opened again. `in_view`: scrolls to it when it has ended."""
        self.job_id = job_id
        look = await self.page_session.query(look_at, job_id)
        if look is not None and look.job.ended:
            if look.job.status == "completed":
                await self._remember_tried(job_id)
            await self._show_end(look, in_view=in_view)
            return
        await self._follow(job_id, self._show_running())

    def _payload(self, document: Document) -> dict[str, Any]:
        """The first sample, with what was tried in its place before the page was opened."""
        sample = sample_payload(document)
        if not self.tried_before:
            return sample
        return {name: value for name, value in sample.items() if name in self.goal.asked_fields} | self.tried_before

    async def _run(self, made: Made, payload: dict[str, Any]) -> None:
        running = self.begin()
        try:
            checked = await self.page_session.checked(made.document, payload)
            self.job_id = job_id = await self.page_session.execute(
                run_in_playground, made.flow_id, made.document, payload, checked=checked
            )
        except Refusal as refusal:
            self.refuse(refusal)
            return
        await self._follow(job_id, running)

    async def _remember_tried(self, job_id: JobId) -> None:
        payload = await self.page_session.query(lambda session, _workspace_id: read_value(session, job_id, "payload"))
        if self.flow.made is not None and isinstance(payload, dict):
            names = {str(field.get("name")) for field in input_fields(self.flow.made.document)} - self.goal.asked_fields
            self.tried_before = {name: value for name, value in payload.items() if name in names}

    async def _follow(self, job_id: JobId, running: _Progress) -> None:
        """Shows how far the run is until it ends, and then what it answered. While the database cannot be read, it tries
        again.
        """
        seen = -1
        async with self.page_session.app.waiters.subscribe(job_id) as changes:
            while self._is_shown(job_id):
                try:
                    look = await self.page_session.query(look_at, job_id, seen)
                    if not self._is_shown(job_id):
                        return
                    if look is not None and look.job.ended:
                        await self._show_end(look)
                        return
                    self.asks.tell_times()
                    if look is not None:
                        running.tell(look.job)
                        if look.job.questions:
                            await self._show_questions()
                        seen = seen_seq(look)
                except Unavailable:
                    await asyncio.sleep(WAIT_SECONDS)
                    continue
                await changes.wait(WAIT_SECONDS)

    def _is_shown(self, job_id: JobId) -> bool:
        """False once the button was pressed again or the tab was closed."""
        return self.job_id == job_id and not self.place.is_deleted

    def _begin_result(self) -> None:
        self.old.visible = False
        self.place.visible = True
        self.place.clear()
        self.typed = None
        self.asks.show(())

    def _show_running(self) -> _Progress:
        self._begin_result()
        with self.place:
            running = _Progress()
        into_view(self.place)
        return running

    async def _show_questions(self) -> None:
        """Shows what the run asks a person, who can answer right here."""
        job_id = self.job_id
        if job_id is None:
            return
        found = await self.page_session.query(list_questions_of_job, job_id)
        if not self._is_shown(job_id):
            return
        asked = [Asked(one) for one in found if one.open][:_MAX_QUESTIONS]
        fresh = {one.question.id for one in asked} - self.asked_of_me
        self.asked_of_me |= fresh
        self.asks.show(asked)
        if fresh:  # the last line first: a tall card then shows its title
            into_view(self.asks.box)
            into_view(self.place)

    async def _show_end(self, look: Look, *, in_view: bool = True) -> None:
        job_id = JobId(look.job.id)
        agents = [] if self.flow.made is None else [one for one in self.flow.made.document.nodes if one.type == AGENT]

        def values_of(session: Session, workspace_id: str) -> tuple[Json, Json, dict[str, list[PartRow]]]:
            parts = {one.name: list_parts(session, workspace_id, job_id, one.id, "") for one in agents}
            return read_value(session, job_id, "result"), read_value(session, job_id, "payload"), parts

        result, payload, parts = await self.page_session.query(values_of)
        if not self._is_shown(job_id) or self.flow.made is None:
            return
        self._begin_result()
        with self.place:
            if look.job.status == "completed":
                written = self._draw_result(self.flow.made, look, result, payload, looked_up=parts)
            else:
                self._draw_failure(look.job.error or {}, _run_path(self.flow.made, job_id))
                written = WrittenRows(self.page_session)
        await written.show(look.job)
        if in_view:
            into_view(self.place)

    def _draw_result(
        self,
        made: Made,
        look: Look,
        result: Json,
        payload: Json,
        *,
        looked_up: Mapping[str, Sequence[PartRow]],
    ) -> WrittenRows:
        """Draws what the flow answers. Returns the place for the rows that it wrote."""
        simulated = look.job.simulated
        with ui.element("div").classes("fp-card fp-goal-card"):
            with ui.element("div").classes("fp-row"):
                words(_("This is what your flow answers"), "fp-grow", tag="h2")
                status_badge("simulated" if simulated else "completed")
            reader, heads = times_of(self.page_session).reader, names_of_groups(made.document)
            if step_with_same_texts(look.job, look.steps) and not texts_differ(result):
                same_texts_note(_("All fields of the answer are the same text:"))
            readable(result, label=_("What your flow answers"), reader=reader, heads=heads)
            written = WrittenRows(self.page_session)
            _draw_warnings(made.document, look.steps)
            for step, parts in looked_up.items():
                if parts:
                    draw_looked_up(parts, reader, step)
            if simulated:
                words(f"{how_made_up(made.document)} {choices_not_kept(self.goal)}".strip(), "fp-hint", tag="p")
            self._draw_tried(made, payload)
            if self.flow.blanks.searched.practice_in(made.document):
                with note(
                    _("They only show how it works. Add your own files, then run it again."),
                    kind="warn",
                    icon="library_add",
                    strong=_("Answers come from the practice documents."),
                ).classes("fp-note--act"):
                    button(_("Use my documents"), self.use_my_documents, icon="upload_file", kind="main", small=True)
            self.acts = ui.element("div").classes("fp-goal-acts")
            self._draw_acts(self.acts, made, look.job.id)
            words(
                _(
                    "Not quite right? Change what you filled in and run it again, or change the steps in the Playground."
                ),
                "fp-hint",
                tag="p",
            )
        return written

    def _draw_tried(self, made: Made, payload: Json) -> None:
        """Draws the input that was tried, to try another one, where no question above asks for it."""
        fields = input_fields(made.document)
        if all(str(field.get("name")) in self.goal.asked_fields for field in fields) or not isinstance(payload, dict):
            return
        with ui.element("section").classes("fp-goal-tried") as section:
            title = words(_("This was tried. Try something else:"), "fp-b fp-s13", tag="h3")
            section.props["aria-labelledby"] = title.html_id
            specs = roomy(specs_of_schema(payload_schema(fields)), payload)
            form = Form(
                specs,
                payload,
                lambda _pointer, _value: self._note_typed(form),
                keep_file=file_keeper(self.page_session),
            )

            async def again() -> None:
                if wrong := form.problems():
                    form.focus(next(iter(wrong)))
                    return
                self.tried = form.value
                await self._run(made, form.value)

            button(_("Try it with this"), again, icon="play_arrow", small=True)

    def _note_typed(self, form: Form) -> None:
        self.typed = form

    def _draw_acts(self, place: ui.element, made: Made, job_id: str, *, ran: bool = True) -> None:
        """Draws what can be done with the flow, and once it is deployed that it is live. `ran`: the result is that of what
        is filled in.
        """
        place.clear()
        flow = made.flow
        live = flow.live_version is not None
        if self.times is not None:
            self.times.visible = not live  # then it stands beside the words that the flow is live
        with place:
            if live and not draft_differs(flow):
                with note(
                    _("Every program with a key can call it now."),
                    kind="ok",
                    icon="check_circle",
                    strong=_("Version {number} is live.").format(number=flow.live_version),
                ).classes("fp-note--act"):
                    link_button(_("Open the flow's page"), f"/flows/{flow.id}", icon="arrow_forward", small=True)
                if (self.flow.time or self.goal.timed) and not made.scheduled:
                    times_note(self.flow.time, triggers_path(flow.id))
            elif live:
                note(
                    _("Callers get what you see here once you press Update API.")
                    if ran
                    else _("Callers get what you filled in once you press Update API."),
                    icon="info",
                    strong=_("Version {number} is live, with what you filled in before.").format(
                        number=flow.live_version
                    ),
                )
            with ui.element("div").classes("fp-row fp-goal-go"):
                link_button(_("Open it in the Playground"), _run_path(made, job_id), icon="schema")
                if self.page_session.may("deploy") and (not live or draft_differs(flow)):
                    verb = _("Update API") if live else _("Deploy API")
                    kind = "normal" if self.flow.blanks.searched.practice_in(made.document) else "main"
                    button(verb, lambda: self._deploy(place, made, job_id), icon="rocket_launch", kind=kind)

    def draw_acts_again(self) -> None:
        """Draws what can be done with the flow after it was changed without a run."""
        if (
            self.acts is not None
            and not self.acts.is_deleted
            and self.flow.made is not None
            and self.job_id is not None
        ):
            self._draw_acts(self.acts, self.flow.made, self.job_id, ran=False)

    def _draw_failure(self, error: Mapping[str, Any], path: str) -> None:
        todo = str(error.get("remedy") or _("Change what you filled in above and run it again."))
        asks = any(one.kind in {"address", "addresses"} for one in self.goal.questions)
        if asks and error.get("code") in _NOT_REACHED:
            todo = _("Change the address above, or try the practice page, which needs no internet: {address}").format(
                address=_PRACTICE
            )
        card = feedback.error_card(
            _("The run stopped before its end"),
            happened=str(error.get("message") or _("It was stopped.")),
            why=str(error.get("why") or ""),
            todo=todo,
            code=str(error.get("code") or ""),
        )
        with card.actions:
            link_button(_("See where in the Playground"), path, icon="schema", small=True)

    async def _deploy(self, place: ui.element, made: Made, job_id: str) -> None:
        async def on_live() -> None:
            if not place.is_deleted:
                self._draw_acts(place, await self.flow.read_again(made), job_id)

        await deploy_flow(self.page_session, await self.page_session.query(get_flow, made.flow_id), on_live=on_live)


class _Progress:
    """How far a run is, drawn into the current container."""

    def __init__(self) -> None:
        with ui.element("div").classes("fp-card fp-row fp-goal-running"):
            self.turning = icon("progress_activity", "fp-acc")
            self.running = words(_RUNS, "fp-b")
            self.progress = words("", "fp-t2 fp-s13")

    def tell(self, job: JobRow) -> None:
        """Shows the steps that are done, or that the run waits for a person."""
        self.turning.visible = not job.waits_for_person
        self.running.text = _ASKS if job.waits_for_person else _RUNS
        self.progress.text = _("{done} of {total} steps are done").format(done=job.steps_done, total=job.steps_total)


def _draw_warnings(document: Document, steps: Sequence[StepRow]) -> None:
    """Draws what the steps warned of, each warning once. The one about same texts stands above the result."""
    found = dict.fromkeys((step.node_id, said) for step in steps for said in step.warnings if said != SAME_TEXTS)
    for node_id, said in list(found)[:_MAX_WARNINGS]:
        node = document.node(node_id)
        note(said, kind="warn", icon="warning", strong=f"{node.name}:" if node is not None else "")


def _run_path(made: Made, job_id: str) -> str:
    return f"/playground/{made.flow_id}?job={job_id}"
