"""The values of one step in the Run panel, item by item; or the result of the run when no step is chosen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from nicegui import ui
from sqlalchemy.orm import Session

from engine.flow.called_flows import AGENT
from engine.flow.document import Node
from engine.flow.edits import Op
from engine.flow.flow_warnings import FlowWarning
from engine.flow.node_context import Json
from engine.run.steps import INNER
from storage.jobs import StoredValue, find_value
from storage.questions import list_questions_of_job
from storage.steps import StepRow, list_parts
from ui.flow_view.job_watch import Look, items_around
from ui.kit.feedback import fold
from ui.kit.parts import button, icon, note, words
from ui.kit.text import Reader, _
from ui.page_session import PageSession
from ui.parts.agent_trace import AgentTrace, draw_looked_up
from ui.parts.answer_words import refused_words
from ui.parts.open_drafts import OpenDraft
from ui.parts.same_texts import same_texts_note, step_with_same_texts, texts_differ
from ui.parts.value_view import answer_view
from ui.parts.written_rows import WrittenRows
from ui.playground.run.failure import Fix, RunFrom, failure_card
from ui.playground.run.live_text import LiveText
from ui.playground.run.step_parts import (
    downloading,
    item_pager,
    node_title,
    nothing_words,
    step_facts,
    step_value,
)

#: Below the result of a run, what this many agents looked up is shown.
_MAX_AGENTS = 3


class StepValuesPanel:
    """Redrawn when another step is chosen or the chosen step changes. The most recent request replaces earlier ones."""

    def __init__(
        self,
        page_session: PageSession,
        draft: OpenDraft,
        reader: Reader,
        *,
        live: LiveText,
        on_item: Callable[[str, str], Awaitable[None]],
        on_fix: Fix | None,
        on_run_from: RunFrom | None,
        edit: Callable[[Sequence[Op]], Awaitable[Any]] | None,
        simulated: Callable[[], FlowWarning | None],
    ) -> None:
        self.page_session = page_session
        self.draft = draft
        self.reader = reader
        self.live = live
        self.on_item = on_item
        self.on_fix = on_fix
        self.on_run_from = on_run_from
        self.edit = edit
        self.simulated = simulated
        #: The conversation of the agent whose step is shown, and where it stands.
        self._trace: tuple[AgentTrace, str, str, str] | None = None
        #: Nodes of called flows, by the names of their steps.
        self.inner: Mapping[str, Node] = {}
        self._asked = 0
        self.box = ui.element("div").classes("fp-rc").props("tabindex=0 role=region")
        self.box.props["aria-label"] = _("Value")

    def clear(self) -> None:
        """Clears the values and discards reads in progress."""
        self._asked += 1
        self._trace = None
        self.box.clear()

    def is_agent(self, node_id: str) -> bool:
        """True for a step whose parts are shown as a conversation."""
        node = self.draft.document.node(node_id) or self.inner.get(node_id)
        return node is not None and node.type == AGENT

    def _title(self, node_id: str) -> str:
        return node_title(self.draft.document.node(node_id) or self.inner.get(node_id), node_id)

    async def follow(self, look: Look, step: StepRow) -> None:
        """Shows what the agent of the shown step did since the last call."""
        trace = self._trace
        if trace is None or trace[1:] != (look.job.id, step.node_id, step.index_path):
            return
        parts = await self.page_session.query(list_parts, look.job.id, step.node_id, step.index_path)
        if self._trace is trace and not trace[0].box.is_deleted:
            trace[0].show(parts, running=step.status == "running")

    async def _draw_conversation(self, look: Look, step: StepRow, given: StoredValue | None) -> None:
        """Draws the place of the conversation, and what there is of it."""
        message = given.value.get("message") if given is not None and isinstance(given.value, dict) else ""
        words(_("What “{step}” did").format(step=self._title(step.node_id)), tag="h3")
        trace = AgentTrace(self.reader, asked=message if isinstance(message, str) else "")
        self._trace = trace, look.job.id, step.node_id, step.index_path
        await self.follow(look, step)

    async def show_step(self, look: Look, step: StepRow) -> None:
        """Shows a step's output or error, and its input."""
        values = await self._read(look, step.node_id, step.index_path, "output", "input")
        if values is None:
            return
        self._trace = None
        output, given = values
        node = self.draft.document.node(step.node_id)
        title = self._title(step.node_id)
        with self.box:
            words(title, tag="h3")
            if step.index_path:
                self._draw_pager(look, step, title)
            step_facts(step, self.reader)
            if step.error:
                self._draw_error(step.error, look.job.id)
            if output is None and not step.error:
                words(nothing_words(step, "output"), "fp-t2", tag="p")
                if step.status == "running" and not self.is_agent(step.node_id):
                    self.live.draw(step)
            elif output is not None:
                words(_("Output"), tag="h3")
                step_value(
                    output,
                    step,
                    "output",
                    title=_("Output"),
                    reader=self.reader,
                    document=lambda: self.draft.document,
                    edit=self.edit if node is not None else None,
                )
            if self.is_agent(step.node_id) and not step.reused:
                await self._draw_conversation(look, step, given)
            if given is not None and not self.box.is_deleted:
                with self.box, fold(_("Input"), open_at_first=bool(step.error)):
                    step_value(given, step, "input", title=_("Input"), reader=self.reader)

    async def show_end(self, look: Look) -> None:
        """Shows the result of a run that ended, or why there is none."""
        job = look.job
        asked = await self.page_session.query(list_questions_of_job, job.id) if job.questions else ()
        values = await self._read(look, "", "", "result")
        if values is None:
            return
        with self.box:
            written = WrittenRows(self.page_session, new_tab=True)  # first, since a result may be long
            if job.status == "failed" and job.error:
                self._draw_error(job.error, job.id)
            elif job.status == "cancelled":
                words(_("The run was stopped. The steps that ended before are kept."), "fp-t2", tag="p")
            elif values[0] is not None:
                download = downloading(values[0].value, f"result-{job.id}")
                words(_("Result"), tag="h3")
                self._draw_same_texts(look, values[0].value)
                if job.simulated:
                    self._offer_model()
                if refused := refused_words(asked):
                    with ui.element("p").classes("fp-row fp-warn fp-b fp-s13"):
                        icon("block", size=16)
                        words(f"{refused}.")
                answer_view(values[0].value, label=_("Result"), download=download, reader=self.reader)
        await written.show(job)
        if job.status == "completed" and values[0] is not None and not written.box.is_deleted:
            await self._draw_looked_up(look)

    def _draw_same_texts(self, look: Look, result: Json) -> None:
        """Says at the result that a model gave the same text for all fields, with the way to the first such step; not once
        somebody corrected them.
        """
        told = step_with_same_texts(look.job, look.steps)
        if told is None or texts_differ(result):
            return
        with same_texts_note(
            _("All fields of the answer of “{step}” are the same text:").format(step=self._title(told))
        ):
            if (on_fix := self.on_fix) is not None:
                place = told.partition(INNER)[0]
                button(_("Open the step"), lambda: on_fix(place, "/config/model"), icon="my_location", small=True)

    def _offer_model(self) -> None:
        """Offers a connected model at the answer of the Simulated one."""
        edit, on_fix, warning = self.edit, self.on_fix, self.simulated()
        if edit is None or on_fix is None or warning is None:
            return
        problem = warning.problem
        with note(problem.message, kind="sim", icon="science").classes("fp-note--act") as told:

            async def use() -> None:
                ops = warning.mend() if (warning := self.simulated()) is not None and warning.mend else []
                if not ops:
                    await on_fix(problem.node_id or "", problem.pointer)
                elif await edit(ops) and not told.is_deleted:
                    told.visible = False

            button(warning.verb, use, icon="auto_awesome", small=True)

    async def _draw_looked_up(self, look: Look) -> None:
        """Draws what each agent of the run looked up, with its conversation."""
        agents = [step for step in look.steps if self.is_agent(step.node_id) and not step.reused and not step.error]
        for step in agents[:_MAX_AGENTS]:
            parts = await self.page_session.query(list_parts, look.job.id, step.node_id, step.index_path)
            if self.box.is_deleted or not parts:
                return
            with self.box:
                draw_looked_up(parts, self.reader, self._title(step.node_id))

    async def _read(self, look: Look, node_id: str, index_path: str, *names: str) -> list[StoredValue | None] | None:
        """Reads the values and clears the box for them; None when another request was made meanwhile."""
        self._asked += 1
        mine, job_id = self._asked, look.job.id

        def read(session: Session, _workspace: str) -> list[StoredValue | None]:
            return [find_value(session, job_id, name, node_id, index_path) for name in names]

        found = await self.page_session.query(read)
        if mine != self._asked or self.box.is_deleted:
            return None
        self.box.clear()
        return found

    def _draw_pager(self, look: Look, step: StepRow, title: str) -> None:
        items = sorted(
            (one for one in look.steps if one.node_id == step.node_id and one.index_path), key=lambda one: one.index
        )

        async def go(to: int) -> None:
            await self.on_item(step.node_id, items[max(0, min(to, len(items) - 1))].index_path)

        total = items_around(self.draft.document, look.steps, step)
        item_pager(items, items.index(step), go, self.reader, total=total, name=title)

    def _draw_error(self, error: dict[str, Any], job_id: str) -> None:
        failure_card(
            error,
            self.draft.document,
            job_id=job_id,
            on_fix=self.on_fix,
            on_run_from=self.on_run_from,
            edit=self.edit,
        )
