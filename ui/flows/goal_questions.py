"""The questions of a goal: they fill in the blanks of its template, and the finished flow runs at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from nicegui import run, ui
from sqlalchemy.orm import Session

from engine.actions.datasets import bring_samples
from engine.actions.flows import GOAL, create_flow, rename_flow, save_draft
from engine.actions.jobs import run_in_playground
from engine.actions.knowledge import bring_documents
from engine.core.errors import Refusal
from engine.core.ids import FlowId, JobId
from engine.flow.called_flows import AGENT
from engine.flow.contract import input_fields, payload_schema, sample_payload
from engine.flow.document import Document, load_document
from engine.flow.file_values import FILE_SCHEMA
from engine.flow.goals import (
    FILES,
    LONGEST,
    BadAnswer,
    Goal,
    Question,
    all_goals,
    answers_in,
    filled,
    first_answers,
    read_answer,
    title_of,
)
from engine.flow.node_context import Json
from engine.flow.times_asked import time_asked, with_times
from engine.flow.version_comparison import draft_changes
from engine.flow.wish_answers import answers_asked
from engine.knowledge.samples import sample_documents
from engine.outbound.practice_site import PRACTICE_HOST
from engine.table_files.samples import sample_tables
from storage.connections import ConnectionRow, list_connections
from storage.flows import FlowRow, find_flow, get_draft, get_flow
from storage.jobs import JobFilters, JobRow, list_jobs, read_value
from storage.questions import list_questions_of_job
from storage.schedules import count_schedules
from storage.steps import PartRow, list_parts
from ui.flow_view.job_watch import Look, look_at, seen_seq
from ui.flows.deploy import deploy_flow
from ui.flows.documents_choice import DocumentsChoice
from ui.flows.goal_box import goal_path, times_note, triggers_path
from ui.flows.made_up_note import how_made_up, worth_of_answers
from ui.flows.practice_page import is_practice_page, show_practice_page
from ui.flows.state import draft_differs
from ui.flows.table_choice import WIDGET, TableChoice
from ui.flows.templates import all_templates, find_template, template_sketch
from ui.flows.try_it import roomy
from ui.forms.form import Form
from ui.forms.specs import specs_of_schema
from ui.kit import feedback
from ui.kit.parts import button, icon, link, link_button, note, status_badge, words
from ui.kit.scroll import into_view
from ui.kit.text import _
from ui.page_session import PageSession
from ui.page_shell import times_of
from ui.parts.agent_trace import draw_looked_up
from ui.parts.kept_files import file_keeper
from ui.parts.model_wanted import model_button
from ui.parts.question_cards import Asked, QuestionCards
from ui.parts.value_shapes import names_of_groups
from ui.parts.value_view import readable
from ui.parts.written_rows import WrittenRows

SIMULATED = "simulated"
#: How long the page waits for a change of the job before it reads it again, in seconds.
WAIT_SECONDS = 0.4
#: How many questions of the run are shown at once; the others come when these are answered.
_MOST_QUESTIONS = 5
_MODEL = "fp_model"
#: Codes of connections that failed, and a page that needs none.
_NOT_REACHED = frozenset({"connect_failed", "timed_out"})
_PRACTICE = f"https://{PRACTICE_HOST}/"
_RUNS = _("Your flow is running. Its answer appears here.")
_ASKS = _("Your flow waits for an answer. Approve or refuse below, then it goes on.")


@dataclass(frozen=True)
class Made:
    """A flow that a goal made: its row, its draft, and its newest run."""

    flow: FlowRow
    document: Document
    job_id: JobId | None
    #: True when it has a schedule.
    scheduled: bool = False

    @property
    def flow_id(self) -> FlowId:
        """The id of the flow."""
        return FlowId(self.flow.id)


def load_made(session: Session, workspace_id: str, flow_id: str) -> Made | None:
    """Reads a flow that was made here; None when it is gone."""
    flow = find_flow(session, workspace_id, flow_id)
    if flow is None:
        return None
    document = load_document(get_draft(session, workspace_id, flow_id).document)
    runs = list_jobs(session, workspace_id, JobFilters(flow_id=flow_id, environments=("playground",)), limit=1).jobs
    scheduled = bool(count_schedules(session, workspace_id, flow_id))
    return Made(flow, document, JobId(runs[0].id) if runs else None, scheduled)


async def way_to_answers(page_session: PageSession, flow: FlowRow) -> str:
    """The address of the questions whose answers are in the draft of a flow. "" for a flow that no goal made, or that
    has become another one since.
    """
    goal = await run.io_bound(_find_goal, str(flow.settings[GOAL])) if GOAL in flow.settings else None
    if goal is None:
        return ""
    questions = GoalQuestions(page_session, goal, asked="")
    await questions.tables.load()
    draft = await page_session.query(get_draft, flow.id)
    fits = questions.is_from_here(load_document(draft.document))
    return f"{goal_path(goal)}&flow={quote(flow.id)}" if fits else ""


def _find_goal(name: str) -> Goal | None:
    """Finds the goal, and reads the templates: the first call of a process takes long."""
    all_templates()
    return all_goals().find(name)


class GoalQuestions:
    """The page of one goal: its questions, the button that makes the flow and runs it, and what the flow answers."""

    def __init__(self, page_session: PageSession, goal: Goal, *, asked: str) -> None:
        self.page_session = page_session
        self.goal = goal
        self.template = find_template(goal.template)
        self.asked = asked
        #: The times that the wish names; "" when it names none.
        self.time = time_asked(asked)[0]
        self.times: ui.element | None = None
        self.back = f"/start?asked={quote(asked)}" if asked else "/start"
        self.connections: Sequence[ConnectionRow] = ()
        self.documents = DocumentsChoice(page_session, self.template.file.document, self._changed)
        self.tables = TableChoice(page_session, self.template.file.document)
        #: The flow once it is made; pressing the button again changes its draft.
        self.made: Made | None = None
        #: A flow that was made here and then changed elsewhere. It is left as it is.
        self.changed: Made | None = None
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

    async def load(self, flow_id: str = "") -> None:
        """Reads which models there are, and the flow that was made here before."""
        self.connections = await self.page_session.query(list_connections)
        await self.documents.load()
        await self.tables.load()
        if not flow_id or not self.page_session.may("edit flows"):
            return
        before = await self.page_session.query(load_made, flow_id)
        if before is not None and self.is_from_here(before.document):
            self.made = before
            self.documents.choose_that_of(before.document)
        else:
            self.changed = before

    def is_from_here(self, document: Document) -> bool:
        """True when the answers that stand in a document make this document."""
        try:
            answers = self._read(answers_in(self.goal, document))
        except BadAnswer:
            return False
        ours = _with_model(filled(self.goal, self.template.file.document, answers), _model_of(document))
        ours = self.documents.put_into(ours, self.documents.that_of(document))
        return draft_changes(self.tables.put_into(ours), self.tables.put_into(document)).same

    def _read(self, shown: Mapping[str, Json]) -> dict[str, Json]:
        """The answers as they are filled in. Raises BadAnswer."""
        return {one.name: read_answer(one, shown.get(one.name)) for one in self.goal.questions}

    def draw(self) -> None:
        """Draws the questions into the current container."""
        with ui.element("div").classes("fp-first fp-goal-page"):
            with link("", self.back, "fp-b fp-row"):
                icon("arrow_back", size=16)
                words(_("Something else"))
            words(self.goal.title, "fp-headline", tag="h1")
            words(self.goal.says, "fp-lead", tag="p")
            if not self.page_session.may("edit flows"):
                note(_("Editors and owners can make this flow. Your role may look at flows."), icon="visibility")
                return
            with ui.element("section").classes("fp-card fp-goal-card"):
                template_sketch(self.template)
                self.documents.draw()
                self.form = Form(
                    specs_of_schema(self._schema()),
                    self._first(),
                    lambda pointer, _value: self._changed(pointer),
                    keep_file=file_keeper(self.page_session),
                    widgets={WIDGET: self.tables.draw},
                )
                self._draw_pages()
                self._draw_model_note()
                if self.time or self.goal.timed:
                    self.times = times_note(self.time)
                    self.times.visible = self.made is None or self.made.flow.live_version is None
                self._draw_changed()
                with ui.element("div").classes("fp-row fp-goal-go"):
                    verb = _("Make it and run it") if self.made is None else _("Run it again")
                    self.go = button(verb, self._make, icon="play_arrow", kind="main", big=True)
                    words(_("You can change every step later."), "fp-t2 fp-s13")
            self.old = note(
                _("Press {verb} to see what the flow answers now.").format(verb=_("Run it again")),
                kind="warn",
                icon="history",
                strong=_("This is from what you filled in before."),
            ).props("role=status")
            self.old.visible = False
            self.place = ui.element("section").classes("fp-goal-result").props("role=status")
            self.place.visible = False
            self.asks = QuestionCards(self.page_session, times_of(self.page_session), self._show_questions)
            if self.made is not None and self.made.job_id is not None:
                job_id = self.made.job_id
                ui.timer(0.01, lambda: self._resume(job_id), once=True)

    def _draw_changed(self) -> None:
        if self.changed is None:
            return
        with note(
            _("It stays as it is. The button below makes a new one."),
            icon="info",
            strong=_("The flow that you made here was changed since."),
        ).classes("fp-note--act"):
            link_button(_("Open it in the Playground"), f"/playground/{self.changed.flow_id}", small=True)

    # The questions.

    def _schema(self) -> dict[str, Any]:
        fields = {one.name: _schema_of(one) for one in self.goal.questions}
        if models := self._models():
            fields[_MODEL] = {
                "title": _("Which model should answer?"),
                "enum": list(models),
                "words": models,
                "description": _("The Simulated model costs nothing and makes its answers up."),
            }
        may_be_empty = {one.name for one in self.goal.questions if one.kind in FILES}
        required = [name for name in fields if name not in may_be_empty]
        return {"type": "object", "properties": fields, "required": required}

    def _draw_pages(self) -> None:
        """Draws the way to look at the practice page that a question names."""
        self.look = ui.element("p").classes("fp-row fp-wrap-row fp-s13 fp-t2")
        with self.look:
            words(_("The practice page is there for flows only."))
            button(_("Look at the page"), self._look_at_page, icon="visibility", small=True, kind="quiet")
        self._show_pages()

    def _practice_page(self) -> str:
        """The first practice page that stands in a question; "" without one."""
        typed = self.form.value
        asked = [str(typed.get(one.name) or "") for one in self.goal.questions if one.kind == "address"]
        return next((one for one in asked if is_practice_page(one)), "")

    def _show_pages(self) -> None:
        self.look.visible = bool(self._practice_page())

    async def _look_at_page(self) -> None:
        if page := self._practice_page():
            await show_practice_page(page)

    def _first(self) -> dict[str, Json]:
        models = list(self._models())
        answers = (
            answers_in(self.goal, self.made.document)
            if self.made is not None
            else first_answers(self.goal, self.template.file.document) | answers_asked(self.goal, self.asked)
        )
        tables = {one.name for one in self.goal.questions if one.kind == "table"}
        answers |= {name: self.tables.chosen(answers[name]) for name in tables}
        return answers | ({_MODEL: models[0]} if models else {})

    def _models(self) -> dict[str, str]:
        """The models to choose from, the connected ones first; none when the flow asks no model or none is there."""
        if not self.template.simulated or not self.connections:
            return {}
        found = {f"{row.name}:{model}": f"{model} ({row.name})" for row in self.connections for model in row.offered}
        return found | {SIMULATED: _("Simulated model")} if found else {}

    def _draw_model_note(self) -> None:
        if not self.template.simulated or self._models():
            return
        with note(
            _(
                "until a model is connected. That takes somebody with a key of a provider of models, like OpenAI. Until "
                "then everything else works, and the flow stays the same."
            )
            + f" {self._not_kept()}".rstrip(),
            kind="sim",
            icon="science",
            strong=worth_of_answers(self.template.file.document),
        ).classes("fp-note--act"):
            model_button(self.page_session, self.goal.title)

    def _not_kept(self) -> str:
        """Says that what was chosen of the answer's form is for a connected model; "" where nothing is chosen of it."""
        asked = [one for one in self.goal.questions if one.kind in {"choice", "number"}]
        if not any(f"<{one.name}>" in self.goal.instruction for one in asked):
            return ""
        return _("The Simulated model keeps to no language, number or style that you choose; a connected model does.")

    def _answers(self) -> dict[str, Json] | None:
        """The answers as they are filled in; None when one cannot be used, which its field says."""
        typed = self.form.value
        found, wrong = {}, {f"{pointer}": text for pointer, text in self.form.unread.items()}
        for one in self.goal.questions:
            try:
                found[one.name] = read_answer(one, typed.get(one.name))
            except BadAnswer as bad:
                wrong.setdefault(f"/{one.name}", str(bad))
        self.form.show_errors(wrong)
        if wrong:
            self.form.focus(next(iter(wrong)))
            return None
        return found

    # The flow and its run.

    async def _make(self) -> None:
        answers = self._answers()
        if answers is None:
            return
        if self.typed is not None:
            if wrong := self.typed.problems():
                self.typed.focus(next(iter(wrong)))
                return
            self.tried = self.typed.value
        model = str(self.form.value.get(_MODEL) or SIMULATED)
        self.go.disable()
        self.job_id = None
        self._show_running()
        try:
            made = await self._store(answers, model)
        except Refusal as refusal:
            self._show_refusal(refusal)
            return
        finally:
            self.go.enable()
        self.go.text = _("Run it again")
        await self._run(made, self._payload(made.document) if self.tried is None else self.tried)

    def _payload(self, document: Document) -> dict[str, Any]:
        """The first sample, with what was tried in its place before the page was opened."""
        sample = sample_payload(document)
        if not self.tried_before:
            return sample
        return {name: value for name, value in sample.items() if name in self.goal.asked_fields} | self.tried_before

    async def _run(self, made: Made, payload: dict[str, Any]) -> None:
        """Runs the flow with this input."""
        self.job_id = None
        self._show_running()
        try:
            self.job_id = job_id = await self.page_session.execute(
                run_in_playground, made.flow_id, made.document, payload
            )
        except Refusal as refusal:
            self._show_refusal(refusal)
            return
        await self._follow(job_id)

    async def _store(self, answers: Mapping[str, Json], model: str) -> Made:
        """Makes the flow at the first time, with the tables that it brings; later it changes the draft.

        The address of the page then names the flow, so that it is found again after a look at another page.
        """
        document = _with_model(filled(self.goal, self.template.file.document, answers), model)
        document = self.documents.put_into(document, self.documents.chosen)
        made = await self._mine()
        if made is None:
            if samples := sample_tables(document):
                await self.page_session.execute(bring_samples, samples)
            if documents := sample_documents(document):
                await self.page_session.execute(bring_documents, documents)
            begin = _with_model(self._unchanged() or document, model)
            begin = self.documents.put_into(begin, self.documents.chosen)
            title = title_of(self.goal, answers)
            says = with_times(self.goal.says, self.time)
            made = await self._load(
                await self.page_session.execute(
                    create_flow, title, begin, says, template=self.goal.template, goal=self.goal.name
                )
            )
            ui.navigate.history.replace(f"{goal_path(self.goal, self.asked)}&flow={quote(made.flow_id)}")
            await self.tables.load()
        document = self.tables.put_into(document)
        if not draft_changes(made.document, document).same:  # answers of one's own are the first change of the flow
            revision = made.flow.draft_revision
            await self.page_session.execute(save_draft, made.flow_id, document, revision, as_described=True)
        if made.flow.title == self._title_in(made.document) != (title := title_of(self.goal, answers)):
            await self.page_session.execute(rename_flow, made.flow_id, title)
        self.made = await self._load(made.flow_id)
        return self.made

    async def _load(self, flow_id: FlowId) -> Made:
        made = await self.page_session.query(load_made, flow_id)
        assert made is not None
        return made

    async def _mine(self) -> Made | None:
        """The flow that this page made; None when there is none, or when it was changed elsewhere since."""
        if self.made is None:
            return None
        stored = await self.page_session.query(load_made, self.made.flow_id)
        return stored if stored is not None and draft_changes(self.made.document, stored.document).same else None

    def _unchanged(self) -> Document | None:
        """The flow with the answers that stood in the questions at first; None when one of them is missing."""
        document = self.template.file.document
        try:
            return filled(self.goal, document, self._read(first_answers(self.goal, document)))
        except BadAnswer:
            return None

    def _title_in(self, document: Document) -> str:
        return title_of(self.goal, self._read(answers_in(self.goal, document)))

    async def _resume(self, job_id: JobId) -> None:
        """Shows the newest run of the flow, when the page is opened again."""
        self.job_id = job_id
        look = await self.page_session.query(look_at, job_id)
        if look is not None and look.job.ended:
            if look.job.status == "completed":
                await self._remember_tried(job_id)
            await self._show_end(look)
            return
        self._show_running()
        await self._follow(job_id)

    async def _remember_tried(self, job_id: JobId) -> None:
        payload = await self.page_session.query(lambda session, _workspace_id: read_value(session, job_id, "payload"))
        if self.made is not None and isinstance(payload, dict):
            names = {str(field.get("name")) for field in input_fields(self.made.document)} - self.goal.asked_fields
            self.tried_before = {name: value for name, value in payload.items() if name in names}

    async def _follow(self, job_id: JobId) -> None:
        """Shows how far the run is until it ends, and then what it answered."""
        seen = -1
        async with self.page_session.app.waiters.subscribe(job_id) as changes:
            while self._is_shown(job_id):
                look = await self.page_session.query(look_at, job_id, seen)
                if not self._is_shown(job_id):
                    return
                if look is not None:
                    seen = seen_seq(look)
                    if look.job.ended:
                        await self._show_end(look)
                        return
                    self._tell_progress(look.job)
                    if look.job.questions:
                        await self._show_questions()
                await changes.wait(WAIT_SECONDS)

    def _is_shown(self, job_id: JobId) -> bool:
        """False once the button was pressed again or the tab was closed."""
        return self.job_id == job_id and not self.place.is_deleted

    def _changed(self, pointer: str = "") -> None:
        """`pointer`: the question that has another answer now; "" for the documents to answer from."""
        if not pointer or any(pointer == f"/{one.name}" and one.kind == "table" for one in self.goal.questions):
            self._fit_first_try()
        self._show_pages()
        self._mark_old()

    def _fit_first_try(self) -> None:
        """Empties what is tried first while it is still the template's, which another table or other documents cannot
        answer; puts it there again with the template's own.
        """
        first = first_answers(self.goal, self.template.file.document)
        shown = self.form.value
        tables = [one.name for one in self.goal.questions if one.kind == "table"]
        own = bool(self.documents.chosen) or any(
            self.tables.chosen(shown.get(name)) != self.tables.chosen(first[name]) for name in tables
        )
        for one in self.goal.questions:
            if one.about_sample:
                if own and shown.get(one.name) == first[one.name]:
                    self.form.write(f"/{one.name}", "")
                elif not own and not str(shown.get(one.name) or "").strip():
                    self.form.write(f"/{one.name}", str(first[one.name]))

    # The result.

    def _mark_old(self) -> None:
        """Says that the result belongs to other answers than those that the form holds now."""
        self.old.visible = self.place.visible and self.made is not None

    def _begin_result(self) -> None:
        self.old.visible = False
        self.place.visible = True
        self.place.clear()
        self.typed = None
        self.asks.show(())

    def _show_running(self) -> None:
        self._begin_result()
        with self.place, ui.element("div").classes("fp-card fp-row fp-goal-running"):
            self.turning = icon("progress_activity", "fp-acc")
            self.running = words(_RUNS, "fp-b")
            self.progress = words("", "fp-t2 fp-s13")
        into_view(self.place)

    def _tell_progress(self, job: JobRow) -> None:
        self.turning.visible = not job.waits_for_person
        self.running.text = _ASKS if job.waits_for_person else _RUNS
        self.progress.text = _("{done} of {total} steps are done").format(done=job.steps_done, total=job.steps_total)

    async def _show_questions(self) -> None:
        """Shows what the run asks a person, who can answer right here."""
        job_id = self.job_id
        if job_id is None:
            return
        found = await self.page_session.query(list_questions_of_job, job_id)
        if not self._is_shown(job_id):
            return
        asked = [Asked(one) for one in found if one.open][:_MOST_QUESTIONS]
        fresh = {one.question.id for one in asked} - self.asked_of_me
        self.asked_of_me |= fresh
        self.asks.show(asked)
        if fresh:  # the last line first: a tall card then shows its title
            into_view(self.asks.box)
            into_view(self.place)

    def _show_refusal(self, refusal: Refusal) -> None:
        self._begin_result()
        with self.place:
            feedback.refusal_card(refusal)
        into_view(self.place)

    async def _show_end(self, look: Look) -> None:
        job_id = JobId(look.job.id)
        agents = [] if self.made is None else [one for one in self.made.document.nodes if one.type == AGENT]

        def values_of(session: Session, workspace_id: str) -> tuple[Json, Json, dict[str, list[PartRow]]]:
            parts = {one.name: list_parts(session, workspace_id, job_id, one.id, "") for one in agents}
            return read_value(session, job_id, "result"), read_value(session, job_id, "payload"), parts

        result, payload, parts = await self.page_session.query(values_of)
        if not self._is_shown(job_id) or self.made is None:
            return
        self._begin_result()
        with self.place:
            if look.job.status == "completed":
                self._draw_result(
                    self.made, result, payload, simulated=look.job.simulated, job_id=job_id, looked_up=parts
                )
            else:
                self._draw_failure(look.job.error or {}, _run_path(self.made, job_id))
                self.written = WrittenRows(self.page_session)
        await self.written.show(look.job)
        into_view(self.place)

    def _draw_result(
        self,
        made: Made,
        result: Json,
        payload: Json,
        *,
        simulated: bool,
        job_id: str,
        looked_up: Mapping[str, Sequence[PartRow]],
    ) -> None:
        with ui.element("div").classes("fp-card fp-goal-card"):
            with ui.element("div").classes("fp-row"):
                words(_("This is what your flow answers"), "fp-grow", tag="h2")
                status_badge("simulated" if simulated else "completed")
            reader, heads = times_of(self.page_session).reader, names_of_groups(made.document)
            readable(result, label=_("What your flow answers"), reader=reader, heads=heads)
            self.written = WrittenRows(self.page_session)
            for step, parts in looked_up.items():
                if parts:
                    draw_looked_up(parts, reader, step)
            if simulated:
                words(f"{how_made_up(made.document)} {self._not_kept()}".strip(), "fp-hint", tag="p")
            self._draw_tried(made, payload)
            if self.documents.practice_in(made.document):
                with note(
                    _("They only show how it works. Add your own files, then run it again."),
                    kind="warn",
                    icon="library_add",
                    strong=_("Answers come from the practice documents."),
                ).classes("fp-note--act"):
                    button(_("Use my documents"), self.documents.use_mine, icon="upload_file", kind="main", small=True)
            self.acts = ui.element("div").classes("fp-goal-acts")
            self._draw_acts(made, job_id)
            words(
                _(
                    "Not quite right? Change what you filled in and run it again, or change the steps in the Playground."
                ),
                "fp-hint",
                tag="p",
            )

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

    def _draw_acts(self, made: Made, job_id: str) -> None:
        """Draws what can be done with the flow, and once it is deployed that it is live."""
        self.acts.clear()
        flow = made.flow
        live = flow.live_version is not None
        if self.times is not None:
            self.times.visible = not live  # then it stands beside the words that the flow is live
        with self.acts:
            if live and not draft_differs(flow):
                with note(
                    _("Every program with a key can call it now."),
                    kind="ok",
                    icon="check_circle",
                    strong=_("Version {number} is live.").format(number=flow.live_version),
                ).classes("fp-note--act"):
                    link_button(_("Open the flow's page"), f"/flows/{flow.id}", icon="arrow_forward", small=True)
                if (self.time or self.goal.timed) and not made.scheduled:
                    times_note(self.time, triggers_path(flow.id))
            elif live:
                note(
                    _("Callers get what you see here once you press Update API."),
                    icon="info",
                    strong=_("Version {number} is live, with what you filled in before.").format(
                        number=flow.live_version
                    ),
                )
            with ui.element("div").classes("fp-row fp-goal-go"):
                link_button(_("Open it in the Playground"), _run_path(made, job_id), icon="schema")
                if self.page_session.may("deploy") and (not live or draft_differs(flow)):
                    verb = _("Update API") if live else _("Deploy API")
                    kind = "normal" if self.documents.practice_in(made.document) else "main"
                    button(verb, lambda: self._deploy(made, job_id), icon="rocket_launch", kind=kind)

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

    async def _deploy(self, made: Made, job_id: str) -> None:
        async def on_live() -> None:
            if not self.acts.is_deleted:
                self.made = await self._load(made.flow_id)
                self._draw_acts(self.made, job_id)

        await deploy_flow(self.page_session, await self.page_session.query(get_flow, made.flow_id), on_live=on_live)


def _run_path(made: Made, job_id: str) -> str:
    return f"/playground/{made.flow_id}?job={job_id}"


def _schema_of(question: Question) -> dict[str, Any]:
    """How a form asks this question."""
    asked: dict[str, Any] = {"title": question.ask, "description": question.hint}
    match question.kind:
        case "choice":
            return asked | {"enum": list(question.choices)}
        case "number":
            return asked | {"type": "integer", "minimum": question.least, "maximum": question.most}
        case "words":
            return asked | {"type": "array", "items": {"type": "string"}}
        case "addresses":
            return asked | {"type": "array", "items": {"type": "string", "format": "uri"}}
        case "file" | "files":
            return asked | _files_schema(question)
        case "long":
            return asked | {"type": "string", "maxLength": LONGEST}
        case "address":
            asked["format"] = "uri"
        case "table":
            asked["widget"] = WIDGET
    return asked | {"type": "string"}


def _files_schema(question: Question) -> dict[str, Any]:
    rules = {"file_kinds": list(question.takes), "max_file_mb": question.most_mb}
    file = {**FILE_SCHEMA, **{name: value for name, value in rules.items() if value}}
    return file if question.kind == "file" else {"type": "array", "items": file, "maxItems": question.most}


def _model_of(document: Document) -> str:
    """The model that the first step with one asks."""
    return next((str(node.config["model"]) for node in document.nodes if node.config.get("model")), SIMULATED)


def _with_model(document: Document, model: str) -> Document:
    """Sets this model in every step that asks one."""
    nodes = tuple(
        node.model_copy(update={"config": {**node.config, "model": model}}) if node.config.get("model") else node
        for node in document.nodes
    )
    return document.model_copy(update={"nodes": nodes})
