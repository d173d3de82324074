"""The page of a job: what happened, every step with its values, and the flow as it ran. Updated while the job runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict, replace
from nicegui import ui
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from engine.actions.called_flows import read_inner
from engine.actions.datasets import known_datasets
from engine.actions.deployments import endpoint_path
from engine.actions.erasing import erase_data, find_copies
from engine.actions.jobs import RunOptions, cancel_run, run_in_playground
from engine.code_samples import first_call
from engine.core.errors import FlowInvalid, NotFound, PayloadInvalid
from engine.core.ids import FlowId
from engine.core.lone_surrogates import whole_utf8
from engine.flow.document import Document, Node, load_document, with_huge_integers_as_text
from engine.flow.node_places import with_places
from engine.flow.validation import marks
from engine.jobs.server.erasing import WAIT_SECONDS, finish_erasing_soon
from engine.knowledge.known import known_collections
from engine.nodes import CATALOG
from engine.nodes.known_collections import KnownCollection, with_collections
from engine.nodes.known_datasets import KnownDataset, with_datasets
from storage.dataset_changes import RECEIPT_MS
from storage.job_documents import JobFlow, get_job_flow
from storage.jobs import JobRow, StoredValue, find_value, get_job, when_values_went
from storage.questions import QuestionRow, list_questions_of_job
from storage.schedules import list_started_by_hand
from storage.triggers import list_trigger_titles
from ui.flow_view.canvas_types import Marks
from ui.flow_view.flow_canvas import FlowCanvas
from ui.flow_view.job_watch import Look, look_at, statuses
from ui.flow_view.list_frames import frames_of
from ui.flow_view.node_views import NODE_VIEWS
from ui.jobs.erase_dialog import sure_to_erase
from ui.jobs.job_failure import draw_failure, draw_went_on
from ui.jobs.run_again import choose_way, load_ways
from ui.jobs.step_drawer import StepDrawer
from ui.jobs.step_list import FailedStep, StepLine, StepList, failed_steps, step_lines
from ui.kit.feedback import failed, refusals_told
from ui.kit.parts import (
    button,
    card,
    copy_button,
    icon,
    link,
    link_button,
    note,
    status_badge,
    status_line,
    table,
    words,
)
from ui.kit.text import _, tokens
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import every, not_twice, nothing_here, opened, times_of
from ui.parts.answer_words import refused_words
from ui.parts.ask_owners import asking
from ui.parts.job_words import (
    environment_word,
    job_badge,
    job_state,
    job_took,
    trigger_badge,
    version_that_ran,
    version_words,
)
from ui.parts.question_cards import Asked, QuestionCards, outcome_words
from ui.parts.refusal_words import first_wrong
from ui.parts.value_view import answer_view
from ui.parts.written_rows import WrittenRows, does_before_a_run, tables_of
from ui.pulse import RepeatedCall

LOOK_SECONDS = 0.5
#: Largest payload that is included in a curl command, in characters.
MAX_CURL = 100_000
#: How many open questions of the job are shown at once; the others come when these are answered.
MAX_QUESTIONS = 10
MAX_ANSWERS = 50


class JobContents(Struct, frozen=True):
    """The data with which the page begins."""

    look: Look
    flow: JobFlow
    payload: StoredValue | None
    result: StoredValue | None
    #: When input, result and steps were removed because their time was over or room was short; None while they are kept.
    values_gone_at: int | None = None
    #: What it has asked people.
    questions: tuple[QuestionRow, ...] = ()
    #: Titles of schedules and webhooks, when one of them started the job.
    triggers: Mapping[str, str] = field(default_factory=dict)
    #: The id of the job, when a person started it with a schedule.
    by_hand: frozenset[str] = frozenset()


def load_job(session: Session, workspace_id: str, job_id: str) -> JobContents:
    """Reads a job with all that its page shows. Raises NotFound."""
    job = get_job(session, workspace_id, job_id)
    look = look_at(session, workspace_id, job_id)
    assert look is not None, "nothing was seen before"
    return JobContents(
        look,
        get_job_flow(session, workspace_id, job),
        find_value(session, job_id, "payload"),
        find_value(session, job_id, "result"),
        when_values_went(session, job_id) if job.ended else None,
        tuple(list_questions_of_job(session, workspace_id, job_id)) if job.questions else (),
        list_trigger_titles(session, workspace_id) if job.trigger else {},
        list_started_by_hand(session, workspace_id, (job,)),
    )


def load_names(
    session: Session, workspace_id: str, document: Document
) -> tuple[dict[str, Node], tuple[KnownDataset, ...], tuple[KnownCollection, ...]]:
    """Reads what the nodes of a flow name by an id: nodes of called flows by their steps, datasets and collections."""
    inner = read_inner(session, workspace_id, document)
    return inner, known_datasets(session, workspace_id), known_collections(session, workspace_id)


def marks_of(
    document: Document, tables: Sequence[KnownDataset], collections: Sequence[KnownCollection]
) -> dict[str, Marks]:
    """Returns what the picture shows at each node, by node id: datasets and collections by their names, no problems."""
    catalog = with_collections(with_datasets(CATALOG, tables), collections)
    return {node_id: Marks(**{**asdict(mark), "problems": 0}) for node_id, mark in marks(document, catalog).items()}


def register(app: App) -> None:
    """Registers `/jobs/{job_id}`."""

    @page_at("/jobs/{job_id}")
    async def open_job(request: Request, job_id: str, step: str = "", item: str = "") -> Response | None:
        page_session = await open_page_session(app, request)
        try:
            seen = await page_session.query(load_job, job_id)
        except NotFound:
            return nothing_here(request)
        base = app.settings.public_url or f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"
        await JobDetailPage(page_session, seen, base).build(step, item)
        return None


class JobDetailPage:
    """One open page of a job."""

    def __init__(self, page_session: PageSession, seen: JobContents, base: str) -> None:
        self.page_session = page_session
        self.seen = seen
        self.base = base
        self.times = times_of(page_session)
        self.document = load_document(seen.flow.document) if seen.flow.document else Document()
        self.lines: list[StepLine] = []
        #: Nodes of called flows, by the names of their steps.
        self.inner: dict[str, Node] = {}
        #: What the nodes name by an id.
        self.tables: tuple[KnownDataset, ...] = ()
        self.collections: tuple[KnownCollection, ...] = ()
        #: Looks at the job while it runs; None for one that had ended when the page was opened.
        self.timer: RepeatedCall | None = None
        self.run_again = not_twice(self._run_again)

    @property
    def job(self) -> JobRow:
        """The job as last read."""
        return self.seen.look.job

    @property
    def _has_values(self) -> bool:
        """Whether its input, result and steps are still kept."""
        return self.job.data_erased_at is None and self.seen.values_gone_at is None

    async def build(self, step: str, item: str = "") -> None:
        """Draws the page; `step` opens that node's step, of the item with the index path `item`."""
        title = self.seen.flow.title or _("Deleted flow")
        self.inner, self.tables, self.collections = await self.page_session.query(load_names, self.document)
        with opened(self.page_session, title, active="jobs", crumbs=((_("Jobs"), "/jobs"),)) as self.page:
            self.sub = ui.element("div").classes("fp-job-sub fp-s13 fp-t2 fp-num")
            self.grid = ui.element("div").classes("fp-job")
            with self.grid:
                with ui.element("div").classes("fp-col"):
                    self.error_place = ui.element("div").classes("fp-col")
                    with ui.element("div").classes("fp-col"):
                        self.asks = QuestionCards(self.page_session, self.times, self._look)
                    self.result_place = ui.element("div").classes("fp-col")
                    self.written = WrittenRows(self.page_session)
                    with ui.element("div") as self.steps_place:
                        self.steps = StepList(self.job.id, self.times, self._choose)
                    self._draw_graph()
                    self.values_place = ui.element("div").classes("fp-col")
                self.drawer = StepDrawer(self.page_session, self.times, self._step_closed, self._move)
        self._draw()
        await self._show_written()
        mine = [one for one in self.lines if one.node_id == step]
        line = next((one for one in mine if one.index_path == item), next(iter(mine), None))
        if line is None and self.job.status == "failed":
            line = next((one for one in self.lines if one.step is not None and one.step.status == "failed"), None)
        if line is not None:
            await self._choose(line)
        if not self.job.ended:
            self.timer = every(LOOK_SECONDS, self._look)

    async def _look(self) -> None:
        """Reads what changed since the last call, while the job runs."""
        job_id = self.job.id
        fresh = await self.page_session.query_again(look_at, job_id, -1)
        if fresh is None:
            return
        changed = fresh != self.seen.look or fresh.job.ended  # the end until it is drawn
        if fresh.job.ended:
            self.seen = await self.page_session.query(load_job, job_id)
        elif changed and fresh.job.questions:
            asked = await self.page_session.query(list_questions_of_job, job_id)
            self.seen = replace(self.seen, look=fresh, questions=tuple(asked))
        else:
            self.seen = replace(self.seen, look=fresh)
        if changed:
            self._draw()
            if self.job.ended:
                await self._show_written()
            self.canvas_status()
            await self.drawer.refresh(self.job.id, self.lines)
            if self.job.ended and self.timer is not None:
                self.timer.deactivate()
        else:
            self._draw_sub()
            self.asks.tell_times()
            self.lines = step_lines(self.document, self.seen.look, self.times, self.inner)
            self.steps.grow(self.lines)

    def _draw(self) -> None:
        self.page.badges.clear()
        with self.page.badges, ui.element("span").classes("fp-row").props("role=status"):
            job_badge(self.job, self.times.reader)
            if self.job.simulated:
                status_badge("simulated")
        self._draw_actions()
        self._draw_sub()
        self.lines = step_lines(self.document, self.seen.look, self.times, self.inner)
        self._draw_error()
        self.asks.show([Asked(one) for one in self.seen.questions if one.open][:MAX_QUESTIONS])
        if self.job.status == "failed":
            self.asks.forget_answer()
        if self._has_values:
            self.steps.draw(self.lines, ended=self.job.ended)
        else:
            self.steps_place.clear()  # what is not known of its steps is not told
        self._draw_values()

    def _draw_actions(self) -> None:
        job, flow = self.job, self.seen.flow
        self.page.actions.clear()
        with self.page.actions:
            may_run = self.page_session.may("run flows")
            if not job.ended and may_run:
                stopping = job_state(job) == "cancelling"
                button(_("Cancelling") if stopping else _("Cancel"), self._cancel, icon="stop").set_enabled(
                    not stopping
                )
            kept = self._has_values
            if job.ended and kept and may_run and not flow.deleted and self.document.nodes:
                again = button(_("Run again"), self.run_again, icon="replay")
                with again:
                    ui.tooltip(
                        " ".join(
                            filter(
                                None,
                                [
                                    _("A run in the Playground with this input. It does not count toward your plan."),
                                    does_before_a_run(self.document, self.inner, self.tables),
                                ],
                            )
                        )
                    )
            if not flow.deleted and kept:
                link_button(_("Open in Playground with this input"), self._playground_path(), icon="schema")
            if (curl := self._curl()) is not None:
                copy_button(curl, _("Copy as curl"), small=False)
            if job.ended and job.data_erased_at is None and self.page_session.may("erase data"):
                button(_("Erase data"), self._erase, icon="delete")

    def _has_node(self, job: JobRow) -> bool:
        """Whether the node that failed is part of the flow that a retry would run."""
        node_id = str((job.error or {}).get("node_id") or "")
        return self._has_values and not self.seen.flow.deleted and self.document.node(node_id) is not None

    def _version(self) -> str:
        number = version_that_ran(self.job)
        return _("version {number}").format(number=number) if number is not None else _("the same canvas")

    def _curl(self) -> str | None:
        payload = self.seen.payload
        if payload is None or payload.size > MAX_CURL or not isinstance(payload.value, dict):
            return None
        return first_call(self.base + endpoint_path(self.job.flow_id), payload.value)

    def _draw_sub(self) -> None:
        job = self.job
        key = self.seen.flow.key_label
        said = [
            version_words(job),
            _("called by {key}").format(key=key) if key else "",
            environment_word(job.environment),
            self.times.moment(job.started_at or job.created_at),
            job_took(job, self.times) or _("not started yet"),
            self.times.cost(job.cost_nanos),
        ]
        if job.model_calls:
            said.append(tokens(job.input_tokens + job.output_tokens, self.times.reader))
        if job.attempts > 1:
            said.append(_("attempt {attempts}").format(attempts=job.attempts))
        self.sub.clear()
        with self.sub:
            words(" · ".join(filter(None, said)))
            if job.trigger:
                with ui.element("span").classes("fp-row"):
                    words(_("started by"))
                    with link("", f"/flows/{job.flow_id}?tab=triggers", "fp-quiet-link"):
                        trigger_badge(job, self.seen.triggers, self.seen.by_hand)
            self._draw_origin(job.run_options or {})
            with ui.element("span").classes("fp-row"):
                words(job.id, "fp-mono fp-t3", tag="code")
                copy_button(job.id, name=_("Copy the job id"), kind="quiet")

    def _draw_origin(self, options: dict[str, Any]) -> None:
        """Draws which job this one repeats, and from which node."""
        earlier = options.get("again") or options.get("reuse")
        if not earlier:
            return
        node = self.document.node(str(options.get("from") or ""))
        said = _("Retry from {name} of").format(name=node.name) if node is not None else _("Run again of")
        with ui.element("span").classes("fp-row"):
            icon("replay", "fp-t3", size=14)
            words(said)
            link(_("an earlier job"), f"/jobs/{earlier}")

    def _draw_error(self) -> None:
        job = self.job
        self.error_place.clear()
        with self.error_place:
            if job.data_erased_at is not None:
                note(
                    _("{data_erased_at}. Its input, result and steps are gone for good.").format(
                        data_erased_at=self.times.moment(job.data_erased_at)
                    ),
                    icon="delete",
                    strong=_("Data erased:"),
                )
            elif self.seen.values_gone_at is not None:
                note(
                    _(
                        "Its input, result and steps were removed {gone_at}, because their time was over or room was short. "
                        "So it cannot be run again: run the flow with an input of its own."
                    ).format(gone_at=self.times.moment(self.seen.values_gone_at)),
                    icon="schedule",
                    strong=_("Not kept any more:"),
                )
            if job_state(job) == "cancelling":
                note(
                    _("The work that is going on is being stopped; steps that ended are kept."),
                    icon="progress_activity",
                    strong=_("Cancelling."),
                )
            elif job.status == "failed":
                draw_failure(
                    job,
                    node=self.document.node(str((job.error or {}).get("node_id") or "")),
                    version=self._version(),
                    can_look=not self.seen.flow.deleted,
                    why_not=self._why_not(),
                    can_retry=self.page_session.may("run flows") and self._has_node(job),
                    on_retry=self.run_again,
                )
            elif job.status == "completed" and (refused := refused_words(self.seen.questions)):
                note("", kind="warn", icon="block", strong=f"{refused}.")
            if job.went_on and (failed := self._failed_steps()):
                can_change = not self.seen.flow.deleted and not self._why_not()
                draw_went_on(job, failed, can_change=can_change, open_step=self._choose)

    def _why_not(self) -> str:
        """Whom to ask for a change of the flow; empty for somebody who may change it."""
        if self.page_session.may("edit flows"):
            return ""
        return asking(self.page_session, _("Editors and owners can change the flow."))

    def _failed_steps(self) -> list[FailedStep]:
        return failed_steps(self.document, self.seen.look, self.lines, self.times.reader)

    def _draw_values(self) -> None:
        self.result_place.clear()
        self.values_place.clear()
        with self.result_place:
            if self.seen.result is not None:
                with card(_("Result")):
                    self._value(self.seen.result, _("Result"))
        with self.values_place:
            self._draw_answers()
            if self.seen.payload is not None:
                with card(_("Input")):
                    self._value(self.seen.payload, _("Input"))

    async def _show_written(self) -> None:
        """Shows which tables the job wrote into; of an old one, into which its flow saves rows."""
        old = self.job.created_at < self.times.clock.now() - RECEIPT_MS
        await self.written.show(self.job, tables_of(self.document, self.tables) if old else ())

    def _draw_answers(self) -> None:
        """Draws who answered what the job asked."""
        answered = [one for one in self.seen.questions if not one.open and one.outcome != "withdrawn"]
        if not answered:
            return
        columns = [_("Question"), _("Answer"), _("By"), _("When"), _("Note")]
        with card(_("Answers of people"), padded=False):
            rows = table(columns, label=_("Answers of people"), stacks=True)
            for one in answered[:MAX_ANSWERS]:
                with rows.row():
                    rows.cell(one.title or _("May it go on?"))
                    with rows.cell():
                        status_line(*outcome_words(one))
                    rows.cell(one.answered_by or _("nobody"))
                    rows.cell(self.times.moment(one.closed_at or one.asked_at))
                    rows.cell(one.note)

    def _value(self, stored: StoredValue, label: str) -> None:
        def download() -> None:
            text = json.dumps(stored.value, ensure_ascii=False, indent=2)
            content = whole_utf8(text)
            ui.download.content(content, f"{self.job.id}-{label.lower()}.json", "application/json")

        answer_view(stored.value, label=label, download=download, reader=self.times.reader)

    # Graph of the flow as it ran.

    def _draw_graph(self) -> None:
        self.canvas: FlowCanvas | None = None
        if not self.document.nodes:
            return
        title = _("{version}, as it ran").format(version=version_words(self.job))
        with card(title, padded=False), ui.element("div").classes("fp-graph"):
            self.canvas = FlowCanvas(
                f"job {self.job.id}",
                node_types=NODE_VIEWS,
                readonly=True,
                on_ready=self._canvas_ready,
                on_select=self._node_selected,
                on_open=self._node_opened,
            ).classes("w-full h-full")

    def _canvas_ready(self, _message: dict[str, Any]) -> None:
        assert self.canvas is not None
        self.canvas.load_graph({**with_places(with_huge_integers_as_text(self.document), CATALOG).as_json(), "rev": 1})
        self.canvas.set_marks(marks_of(self.document, self.tables, self.collections))
        self.canvas.set_scopes(frames_of(self.document))
        self.canvas_status()

    def canvas_status(self) -> None:
        """Shows the status of each node on the graph; the failed one is highlighted."""
        if self.canvas is not None:
            self.canvas.set_status(statuses(self.seen.look, self.document, self.times.reader))  # type: ignore[arg-type]

    async def _node_selected(self, message: dict[str, Any]) -> None:
        nodes = message.get("nodes") or []
        if len(nodes) == 1:
            await self._choose_node(str(nodes[0]))

    async def _node_opened(self, message: dict[str, Any]) -> None:
        await self._choose_node(str(message.get("id")))

    async def _choose_node(self, node_id: str) -> None:
        line = next((one for one in self.lines if one.node_id == node_id), None)
        if line is not None and line.step is not None:
            await self._choose(line)

    # Step drawer.

    async def _choose(self, line: StepLine) -> None:
        if line.step is None:
            return
        self.grid.classes(add="fp-job--open")
        self.steps.mark(line)
        await self.drawer.show(self.job.id, line)

    async def _move(self, by: int) -> None:
        run = [line for line in self.lines if line.step is not None]
        at = next((number for number, line in enumerate(run) if line.same(self.drawer.line)), None)
        if at is not None and 0 <= at + by < len(run):
            await self._choose(run[at + by])

    def _step_closed(self) -> None:
        self.grid.classes(remove="fp-job--open")
        self.steps.mark(None)

    # Actions.

    async def _cancel(self) -> None:
        if await self.page_session.try_execute(cancel_run, self.job.id) is not None:
            await self._look()

    async def _erase(self) -> None:
        if not await sure_to_erase():
            return
        copies = await self.page_session.query(find_copies, [self.job.id])
        if await self.page_session.try_execute(erase_data, self.job.id, copies) is not None:
            await finish_erasing_soon(self.page_session.app.database, WAIT_SECONDS)
            ui.navigate.to(f"/jobs/{self.job.id}")

    def _playground_path(self) -> str:
        return f"/playground/{self.job.flow_id}?job={self.job.id}"

    def _tell_why_not(self, strong: str, text: str) -> None:
        """Says why the flow does not run again, with the way to where that can be changed."""
        failed(
            strong,
            text,
            action=_("Open in Playground with this input"),
            on_action=lambda: ui.navigate.to(self._playground_path()),
        )

    async def _run_again(self, start: str | None = None) -> bool:
        """Runs the flow with the input of the job: from the node `start` on as it ran then, otherwise in the way that the
        person chooses where the flow was changed since. Returns whether the page is left.
        """
        with refusals_told():
            ways = await self.page_session.query(load_ways, self.job, self.document)
            way = await choose_way(ways) if start is None and len(ways) > 1 else ways[0]
            if way is None:
                return False
            payload = self.seen.payload.value if self.seen.payload is not None else {}
            reuse = self.job.id if start else None
            now = way.now if way.version is None else None
            options = RunOptions(start=start, reuse=reuse, again=self.job.id, version=way.version, now=now)
            try:
                checked = await self.page_session.checked(way.document, payload, kept=options.repeats)
                job_id = await self.page_session.execute(
                    run_in_playground, FlowId(self.job.flow_id), way.document, payload, options, checked
                )
            except FlowInvalid as refusal:
                self._tell_why_not(_("The flow cannot run yet."), refusal.problems[0].message)
                return False
            except PayloadInvalid as refusal:
                wrong = first_wrong([asdict(one) for one in refusal.errors])
                said = _("{wrong}. Change the input in the Playground and run it there.").format(wrong=wrong)
                self._tell_why_not(_("The input of this run does not fit that flow."), said)
                return False
            ui.navigate.to(f"/jobs/{job_id}")
            return True
        return False
