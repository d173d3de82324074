"""The tab "Steps" of the Run panel: a row for each step, and the values of the chosen step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nicegui import background_tasks, ui

from engine.flow.document import Node
from engine.flow.flow_warnings import FlowWarning
from engine.run.steps import INNER
from storage.jobs import JobRow
from storage.steps import StepRow
from ui.flow_view.job_watch import Look, step_of
from ui.kit.parts import icon, words
from ui.kit.text import Reader, _
from ui.page_session import PageSession
from ui.parts.open_drafts import Edit, OpenDraft
from ui.playground.run.follow import show_when_readable
from ui.playground.run.live_text import LiveText
from ui.playground.run.step_rows import StepRows
from ui.playground.run.step_values import Fix, RunFrom, StepValuesPanel


class StepsTab:
    """Shows the run that it was given last. `on_open` is called with the node that was chosen."""

    def __init__(
        self,
        page_session: PageSession,
        draft: OpenDraft,
        reader: Reader,
        *,
        live: LiveText,
        on_open: Callable[[str], Awaitable[None]],
        on_fix: Fix | None,
        on_run_from: RunFrom | None,
        edit: Edit | None,
        simulated: Callable[[], FlowWarning | None],
    ) -> None:
        self.draft = draft
        self.live = live
        self._may_run = on_run_from is not None
        self.on_open = on_open
        #: The node whose values are shown, and for a node that runs once per item the index path of the item.
        self.node_id: str | None = None
        self.index_path: str | None = None
        self._look: Look | None = None
        self._shown: Mapping[str, dict[str, Any]] = {}
        self._drawn: Any = None
        with ui.element("div").classes("fp-rt fp-rt--steps") as self.box:
            with ui.element("div").classes("fp-row fp-wrap-row fp-earlier").props("role=status") as self.earlier:
                icon("history", size=16)
                self._why_earlier = words("")
            self.earlier.visible = False
            self.rows = StepRows(reader, self._choose, may_run=on_run_from is not None)
            self.values = StepValuesPanel(
                page_session,
                draft,
                reader,
                live=live,
                on_item=self._choose,
                on_fix=on_fix,
                on_run_from=on_run_from,
                edit=edit,
                simulated=simulated,
            )

    def name_inner(self, inner: Mapping[str, Node]) -> None:
        """Sets the nodes of called flows, by the names of their steps."""
        self.rows.inner = self.values.inner = inner
        self._show_rows()

    def begin(self) -> None:
        """Clears the tab at the start of another run."""
        self._look, self._shown, self._drawn = None, {}, None
        self.earlier.visible = False
        self.values.clear()
        self.rows.say(_("Waiting for the first step."))

    def show(self, look: Look, shown: Mapping[str, dict[str, Any]]) -> None:
        """Shows the current state of the run; `shown` is the state of each node on the canvas."""
        self._look, self._shown = look, shown
        self._show_rows()
        self._show_values()

    def tick(self) -> None:
        """Says at the rows which steps ask their model again."""
        self._show_rows()

    def mark_earlier(self, *, other_input: bool, other_flow: bool, row: str = "") -> None:
        """Says above the steps and the result whether they are those of an input or a flow that was changed since, and
        which `row` of a batch they are of.
        """
        self.earlier.visible = bool(other_input or other_flow or row)
        if row:
            was = (_("{row}, from before the flow was changed.") if other_flow else _("{row}.")).format(row=row)
            was += " " + _("Below are its steps and its result.")
            again = f"{was} " + _(
                "“Run this row again” runs it once more with the flow as it is now: the result in the batch stays, and a "
                "link beside the row leads to the new one."
            )
            if other_input:
                again += " " + _("The form has another input: “Run” runs that one, not this row.")
        elif other_flow:
            again = _("From before the flow was changed. Press Run to see what it gives now.")
            was = _("From before the flow was changed.")
        else:
            again = _("From the input before. Press Run to see what the new one gives.")
            was = _("From the input before.")
        self._why_earlier.text = again if self._may_run else was

    def show_end(self) -> None:
        """Shows the end of the run in place of the chosen step."""
        self.node_id, self.index_path, self._drawn = None, None, None
        self._show_rows()
        self._show_values()

    def _show_rows(self) -> None:
        if self._look is not None:
            chosen = (self.node_id or "", self.index_path)
            self.rows.show(self._look, self._shown, self.draft.document, chosen, self.live.asked_again)

    def _show_values(self) -> None:
        """Shows the chosen step; without one the text that a model is writing, then the end of the run.

        Redraws only changes.
        """
        look = self._look
        if look is None:
            return
        writing = None if look.job.ended else self.live.writing(look) or self._agent_at_work(look)
        step = step_of(look, self.node_id, self.index_path) if self.node_id else writing
        failed = look.job.ended and look.job.status == "failed" and (step is None or not step.error)
        if step is not None and not failed:
            if self._drawn != step:
                self._drawn = step
                self._show_beside(step, lambda: self.values.show_step(look, step), "run panel step")
            else:
                self._show_beside(step, lambda: self.values.follow(look, step), "run panel conversation")
        elif look.job.ended and self._drawn != look.job:
            self._drawn = look.job
            self._show_beside(look.job, lambda: self.values.show_end(look), "run panel end")

    def _show_beside(self, drawn: StepRow | JobRow, show: Callable[[], Awaitable[None]], name: str) -> None:
        """Shows values in a task. When they cannot be read now, they are read later, unless others are shown then."""

        def is_wanted() -> bool:
            return self._drawn == drawn and not self.box.is_deleted

        background_tasks.create(show_when_readable(show, wanted=is_wanted), name=name)

    def _agent_at_work(self, look: Look) -> StepRow | None:
        """Returns the agent's step that runs and began last, or None."""
        running = [step for step in look.steps if step.status == "running" and self.values.is_agent(step.node_id)]
        return running[-1] if running else None

    async def _choose(self, node_id: str, index_path: str | None) -> None:
        self.node_id, self.index_path = node_id, index_path
        self._drawn = None
        self._show_rows()
        look = self._look
        step = step_of(look, node_id, index_path) if look is not None else None
        if look is not None and step is not None:
            self._drawn = step
            await self.values.show_step(look, step)
        await self.on_open(node_id.partition(INNER)[0])
