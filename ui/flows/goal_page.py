"""The page of one goal: its questions, the button that makes the flow and runs it, and what the flow answers."""

from __future__ import annotations

from urllib.parse import quote

from nicegui import run, ui

from engine.actions.flows import GOAL
from engine.core.errors import Refusal
from engine.flow.goal_search import find_goals
from engine.flow.goals import Goal, all_goals
from engine.flow.times_asked import time_asked
from storage.flows import FlowRow
from ui.flows.flow_states import draft_differs
from ui.flows.goal_box import goal_path, left_note, times_note
from ui.flows.goal_flow import FilledIn, GoalBlanks, GoalChoices, GoalFlow, Made, is_as_made
from ui.flows.goal_questions import GoalQuestions
from ui.flows.goal_run import GoalRun
from ui.flows.templates import all_templates, find_template, template_sketch
from ui.kit import feedback
from ui.kit.parts import button, icon, link, link_button, note, words
from ui.kit.text import _
from ui.page_session import PageSession


def blanks_of(goal: Goal) -> GoalBlanks:
    """The goal with its template."""
    return GoalBlanks(goal, find_template(goal.template).file.document)


async def way_to_answers(page_session: PageSession, flow: FlowRow) -> str:
    """The address of the questions whose answers are in the draft of a flow. "" for a flow that no goal made, or that
    has become another one since.
    """
    goal = await run.io_bound(_find_goal, str(flow.settings[GOAL])) if GOAL in flow.settings else None
    if goal is None or not await page_session.query(is_as_made, blanks_of(goal), flow.id):
        return ""
    return f"{goal_path(goal)}&flow={quote(flow.id)}&change=1"


def _find_goal(name: str) -> Goal | None:
    """Finds the goal, and reads the templates: the first call of a process takes long."""
    all_templates()
    return all_goals().find(name)


def draw_goal(
    page_session: PageSession,
    blanks: GoalBlanks,
    choices: GoalChoices,
    *,
    asked: str,
    change: bool = False,
    collection: str = "",
    table: str = "",
) -> None:
    """Draws the page of a goal into the current container. `asked`: the wish that led here; `change`: the person came to
    change the answers, not to look at the result; `collection` and `table`: the ids of the documents and of the table that
    are chosen at first, "" for those of the template.
    """
    goal = blanks.goal
    with ui.element("div").classes("fp-first fp-goal-page"):
        with link("", f"/start?asked={quote(asked)}" if asked else "/start", "fp-b fp-row"):
            icon("arrow_back", size=16)
            words(_("Something else"))
        words(goal.title, "fp-headline", tag="h1")
        words(goal.says, "fp-lead", tag="p")
        if page_session.may("edit flows"):
            GoalPage(page_session, blanks, choices, asked=asked, change=change, collection=collection, table=table)
        else:
            note(_("Editors and owners can make this flow. Your role may look at flows."), icon="visibility")


class GoalPage:
    """What somebody who may make flows does on the page of a goal."""

    def __init__(
        self,
        page_session: PageSession,
        blanks: GoalBlanks,
        choices: GoalChoices,
        *,
        asked: str,
        change: bool,
        collection: str,
        table: str,
    ) -> None:
        self.asked = asked
        time, made = time_asked(asked)[0], choices.made
        #: Pressing the button again changes the draft of this flow.
        self.flow = GoalFlow(page_session, blanks, made, time)
        times: ui.element | None = None
        with ui.element("section").classes("fp-card fp-goal-card"):
            template_sketch(find_template(blanks.goal.template))
            self.questions = GoalQuestions(
                page_session,
                blanks,
                choices,
                asked=asked,
                collection=collection,
                table=table,
                on_change=self._mark_old,
            )
            if time or blanks.goal.timed:
                times = times_note(time)
                times.visible = made is None or made.flow.live_version is None
            left_note(find_goals(asked))
            self.changed = ui.element("div").props("role=status")
            if choices.changed is not None:
                with self.changed:
                    _draw_changed(choices.changed)
            with ui.element("div").classes("fp-row fp-goal-go"):
                verb = _("Make it and run it") if made is None else _("Run it again")
                self.go = button(verb, self._make, icon="play_arrow", kind="main", big=True)
                self.keep = button(_("Save without a run"), self._save, icon="save", big=True)
                self.keep.visible = made is not None
                words(_("You can change every step later."), "fp-t2 fp-s13")
        self.run = GoalRun(page_session, self.flow, times, self.questions.documents.use_mine)
        if made is not None and (job_id := made.job_id) is not None:
            ui.timer(0.01, lambda: self.run.resume(job_id, in_view=not change), once=True)
        if change and made is not None:
            ui.timer(0.01, self.questions.focus_first, once=True)

    def _mark_old(self) -> None:
        self.run.mark_old()

    async def _make(self) -> None:
        """Makes the flow or changes it, and runs it."""
        filled_in = self.questions.read()
        if filled_in is None or not self.run.take_typed():
            return
        self._set_enabled(enabled=False)
        self.run.begin()
        try:
            made = await self._store(filled_in)
        except Refusal as refusal:
            self.run.refuse(refusal)
            return
        finally:
            self._set_enabled(enabled=True)
        self.go.text = _("Run it again")
        self.keep.visible = True
        self.changed.clear()
        await self.run.run(made)

    async def _save(self) -> None:
        """Changes the flow and runs nothing."""
        filled_in = self.questions.read()
        if filled_in is None:
            return
        self._set_enabled(enabled=False)
        try:
            with feedback.refusals_told():
                unchanged = await self.flow.find_unchanged()
                if unchanged is None:
                    self._show_changed()
                    return
                made = await self.flow.change(unchanged, filled_in, self.questions.tables.known)
                self.run.draw_acts_again()
                live = made.flow.live_version is not None and draft_differs(made.flow)
                said = _("Callers get it once you press Update API on its page.") if live else _("Nothing was run.")
                feedback.told(
                    _("Saved."),
                    said,
                    action=_("Open the flow's page"),
                    on_action=lambda: ui.navigate.to(f"/flows/{made.flow_id}"),
                )
        finally:
            self._set_enabled(enabled=True)

    def _show_changed(self) -> None:
        """Says that nothing was saved: the flow was changed elsewhere since this page read it."""
        assert self.flow.made is not None
        self.keep.visible = False
        self.changed.clear()
        with self.changed:
            _draw_changed(self.flow.made)
        feedback.failed(_("Nothing was saved."), _("The flow that you made here was changed since."))

    def _set_enabled(self, *, enabled: bool) -> None:
        """While one of the two buttons works, neither can be pressed."""
        self.go.set_enabled(enabled)
        self.keep.set_enabled(enabled)

    async def _store(self, filled_in: FilledIn) -> Made:
        """Makes the flow at the first time; later it changes the draft.

        The address of the page then names the flow, so that it is found again after a look at another page.
        """
        made = await self.flow.find_unchanged()
        if made is None:
            made = await self.flow.create(filled_in)
            ui.navigate.history.replace(f"{goal_path(self.flow.blanks.goal, self.asked)}&flow={quote(made.flow_id)}")
            await self.questions.tables.load()
        return await self.flow.change(made, filled_in, self.questions.tables.known)


def _draw_changed(changed: Made) -> None:
    with note(
        _("It stays as it is. The button below makes a new one."),
        icon="info",
        strong=_("The flow that you made here was changed since."),
    ).classes("fp-note--act"):
        link_button(_("Open it in the Playground"), f"/playground/{changed.flow_id}", small=True)
