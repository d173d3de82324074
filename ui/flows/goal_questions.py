"""The questions of a goal: they fill in the blanks of its template, and the finished flow runs at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from nicegui import ui
from sqlalchemy.orm import Session

from engine.actions.datasets import bring_samples
from engine.actions.flows import create_flow, save_draft
from engine.actions.jobs import run_in_playground
from engine.core.errors import Refusal
from engine.core.ids import FlowId, JobId
from engine.flow.contract import sample_payload
from engine.flow.document import Document
from engine.flow.goals import LONGEST, BadAnswer, Goal, Question, filled, first_answers, read_answer
from engine.flow.node_type import Json
from engine.table_files.samples import sample_tables
from storage.connections import ConnectionRow, list_connections
from storage.flows import get_flow
from storage.jobs import read_value
from ui.flow_view.job_watch import Look, look_at
from ui.flows.deploy import deploy_flow
from ui.flows.templates import find_template, template_sketch
from ui.forms.form import Form
from ui.forms.specs import specs_of_schema
from ui.kit import feedback
from ui.kit.parts import button, icon, link, link_button, note, status_badge, words
from ui.kit.text import _
from ui.page_session import PageSession
from ui.page_shell import times_of
from ui.parts.model_wanted import model_button
from ui.parts.value_view import readable

SIMULATED = "simulated"
#: How long the page waits for a change of the job before it reads it again, in seconds.
WAIT_SECONDS = 0.4
_MODEL = "fp_model"


class GoalQuestions:
    """The page of one goal: its questions, the button that makes the flow and runs it, and what the flow answers."""

    def __init__(self, page_session: PageSession, goal: Goal, *, asked: str) -> None:
        self.page_session = page_session
        self.goal = goal
        self.template = find_template(goal.template)
        self.back = f"/start?asked={quote(asked)}" if asked else "/start"
        self.connections: Sequence[ConnectionRow] = ()
        #: The flow once it is made; pressing the button again changes its draft.
        self.flow_id: FlowId | None = None
        self.revision = 0
        #: The run that the page shows; an earlier one goes on, but nobody looks at it any more.
        self.job_id: JobId | None = None

    async def load(self) -> None:
        """Reads which models there are."""
        self.connections = await self.page_session.query(list_connections)

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
                self.form = Form(specs_of_schema(self._schema()), self._first())
                self._draw_model_note()
                with ui.element("div").classes("fp-row fp-goal-go"):
                    self.go = button(_("Make it and run it"), self._make, icon="play_arrow", kind="main", big=True)
                    words(_("You can change every step later."), "fp-t2 fp-s13")
            self.place = ui.element("section").classes("fp-goal-result").props("role=status")
            self.place.visible = False

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
        return {"type": "object", "properties": fields, "required": list(fields)}

    def _first(self) -> dict[str, Json]:
        models = list(self._models())
        return first_answers(self.goal, self.template.file.document) | ({_MODEL: models[0]} if models else {})

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
            _("until a model is connected. The flow is the same, and you can connect one later."),
            kind="sim",
            icon="science",
            strong=_("The answers are made up"),
        ):
            model_button(self.page_session, self.goal.title)

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
        document = filled(self.goal, self.template.file.document, answers)
        document = _with_model(document, str(self.form.value.get(_MODEL) or SIMULATED))
        self.go.disable()
        self.job_id = None
        self._show_running()
        try:
            await self._store(document)
            assert self.flow_id is not None
            payload = sample_payload(document)
            self.job_id = job_id = await self.page_session.execute(run_in_playground, self.flow_id, document, payload)
        except Refusal as refusal:
            self._begin_result()
            with self.place:
                feedback.refusal_card(refusal)
            return
        finally:
            self.go.enable()
        await self._follow(job_id)

    async def _store(self, document: Document) -> None:
        """Makes the flow at the first time, with the tables that it brings; later it changes the draft."""
        if self.flow_id is not None:
            self.revision = await self.page_session.execute(save_draft, self.flow_id, document, self.revision)
            return
        if samples := sample_tables(document):
            await self.page_session.execute(bring_samples, samples)
        self.flow_id = await self.page_session.execute(create_flow, self.goal.title, document, self.goal.says)
        flow = await self.page_session.query(get_flow, self.flow_id)
        self.revision = flow.draft_revision

    async def _follow(self, job_id: JobId) -> None:
        """Shows how far the run is until it ends, and then what it answered."""
        seen = -1
        async with self.page_session.app.waiters.subscribe(job_id) as changes:
            while self._is_shown(job_id):
                look = await self.page_session.query(look_at, job_id, seen)
                if not self._is_shown(job_id):
                    return
                if look is not None:
                    seen = look.job.last_seq
                    if look.job.ended:
                        await self._show_end(look)
                        return
                    self.progress.text = _("{done} of {total} steps are done").format(
                        done=look.job.steps_done, total=look.job.steps_total
                    )
                await changes.wait(WAIT_SECONDS)

    def _is_shown(self, job_id: JobId) -> bool:
        """False once the button was pressed again or the tab was closed."""
        return self.job_id == job_id and not self.place.is_deleted

    # The result.

    def _begin_result(self) -> None:
        self.place.visible = True
        self.place.clear()

    def _show_running(self) -> None:
        self._begin_result()
        with self.place, ui.element("div").classes("fp-card fp-row fp-goal-running"):
            icon("progress_activity", "fp-acc")
            words(_("Your flow is running"), "fp-b")
            self.progress = words("", "fp-t2 fp-s13")

    async def _show_end(self, look: Look) -> None:
        job_id = look.job.id

        def result_of(session: Session, _workspace: str) -> Json:
            return read_value(session, job_id, "result")

        result = await self.page_session.query(result_of)
        if not self._is_shown(job_id):
            return
        self._begin_result()
        path = f"/playground/{self.flow_id}?job={job_id}"
        with self.place:
            if look.job.status != "completed":
                self._draw_failure(look.job.error or {}, path)
                return
            with ui.element("div").classes("fp-card fp-goal-card"):
                with ui.element("div").classes("fp-row"):
                    words(_("This is what your flow answers"), "fp-grow", tag="h2")
                    status_badge("simulated" if look.job.simulated else "completed")
                if look.job.simulated:
                    words(
                        _("No model is connected: the words are copied from the input, only to show the form."),
                        "fp-hint",
                        tag="p",
                    )
                readable(result, label=_("What your flow answers"), reader=times_of(self.page_session).reader)
                with ui.element("div").classes("fp-row fp-goal-go"):
                    link_button(_("Open it in the Playground"), path, icon="schema", kind="main")
                    if self.page_session.may("deploy"):
                        button(_("Deploy API"), self._deploy, icon="rocket_launch")
                words(
                    _(
                        "Not quite right? Change an answer above and run it again, or change the steps in the Playground."
                    ),
                    "fp-hint",
                    tag="p",
                )

    def _draw_failure(self, error: Mapping[str, Any], path: str) -> None:
        card = feedback.error_card(
            _("The run stopped before its end"),
            happened=str(error.get("message") or _("It was stopped.")),
            why=str(error.get("why") or ""),
            todo=str(error.get("remedy") or _("Change an answer above and run it again.")),
            code=str(error.get("code") or ""),
        )
        with card.actions:
            link_button(_("See where in the Playground"), path, icon="schema", small=True)

    async def _deploy(self) -> None:
        if self.flow_id is not None:
            await deploy_flow(self.page_session, await self.page_session.query(get_flow, self.flow_id))


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
        case "long":
            return asked | {"type": "string", "maxLength": LONGEST}
        case "address":
            return asked | {"type": "string", "example": "https://example.com"}
    return asked | {"type": "string"}


def _with_model(document: Document, model: str) -> Document:
    """Sets this model in every step that asks one."""
    nodes = tuple(
        node.model_copy(update={"config": {**node.config, "model": model}}) if node.config.get("model") else node
        for node in document.nodes
    )
    return document.model_copy(update={"nodes": nodes})
