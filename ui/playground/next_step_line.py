"""The line under the bar that says what to do next, with the button that does it or leads there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from nicegui import ui

from engine.core.errors import Problem
from engine.flow.contract import input_fields
from engine.flow.document import Document
from engine.flow.flow_warnings import EMPTY_RULE, FlowWarning
from engine.flow.times_asked import times_of_flow
from engine.flow.unused_results import UnusedResult
from engine.flow.version_comparison import draft_changes
from ui.kit.cookies import cookie_script
from ui.kit.parts import button, icon, icon_button, words
from ui.kit.text import _
from ui.page_session import PageSession
from ui.parts.mending import with_button
from ui.playground.state.next_step import NextStep, Past, Progress, Run, is_filled, next_step, run_of

if TYPE_CHECKING:
    from ui.parts.open_drafts import OpenDraft
    from ui.playground.bar import PlaygroundBar
    from ui.playground.run.panel import RunPanel

#: Name of the cookie that stores whether this browser hides the line.
NEXT_COOKIE = "fp_next"


class NextStepLine:
    """One line of a fixed height, so that nothing moves when its sentence changes. `on_act` takes the step."""

    def __init__(self, on_act: Callable[[NextStep], Awaitable[None]], *, hidden: bool) -> None:
        self._on_act = on_act
        self._step: NextStep | None = None
        self.hidden = hidden
        with ui.element("section").classes("fp-next") as self._line:
            self._line.props["aria-label"] = _("Next step")
            icon("lightbulb", "fp-acc")
            words(_("Next step"), "fp-b fp-nw fp-next-word")
            self._sentence = words("", "fp-next-text").props("role=status")
            self._button = button("", self._act, small=True)
            icon_button("close", _("Hide the next step"), self._hide, tip=False)
        self._show_again = icon_button("lightbulb", _("Show the next step"), self._unhide).classes("fp-next-again")
        self._draw()

    def show(self, step: NextStep | None) -> None:
        """Shows this step; an equal one changes nothing, so that it is announced once."""
        if step == self._step:
            return
        self._step = step
        if step is not None:
            self._sentence.text = step.sentence
            self._button.text = step.verb
            self._button.props.set_optional("icon", f"sym_o_{step.icon}" if step.icon else None)
            self._button.visible = bool(step.verb)
            self._line.props["data-step"] = step.name
        self._draw()

    async def _act(self) -> None:
        if self._step is not None:
            await self._on_act(self._step)

    def _hide(self) -> None:
        self._remember(hidden=True)

    def _unhide(self) -> None:
        self._remember(hidden=False)

    def _remember(self, *, hidden: bool) -> None:
        self.hidden = hidden
        ui.run_javascript(cookie_script(NEXT_COOKIE, str(int(not hidden))))
        self._draw()
        shown = self._show_again if hidden else self._button
        ui.run_javascript(f"document.getElementById('{shown.html_id}')?.focus()")

    def _draw(self) -> None:
        self._line.visible = self._step is not None and not self.hidden
        self._show_again.visible = self._step is not None and self.hidden


class Guide:
    """Knows how far the flow of a tab is, and keeps the line up to date."""

    def __init__(
        self,
        page_session: PageSession,
        draft: OpenDraft,
        bar: PlaygroundBar,
        run_panel: RunPanel,
        line: NextStepLine,
        past: Past,
    ) -> None:
        self.page_session = page_session
        self.draft = draft
        self.bar = bar
        self.run_panel = run_panel
        self.line = line
        self.past = past
        #: The document of the run that the page shows, and whether the person looked at its result.
        self.ran: Document | None = None
        self.looked = True
        self._compared: tuple[Document, Document, bool] | None = None

    def run_began(self) -> None:
        """Remembers what runs now."""
        self.ran, self.looked = self.draft.document, False

    def saw_result(self) -> None:
        """The person looked at the result of the run."""
        self.looked = True

    def draw(
        self, problem: Problem | None, warned: Sequence[FlowWarning] = (), unused: UnusedResult | None = None
    ) -> None:
        """Shows the next step. `problem`: the first one of the document; `warned`: its warnings; `unused`: a step whose
        data nobody reads.
        """
        warning = next((one for one in warned if one.mend or one.problem.code == EMPTY_RULE), None)
        flow = self.bar.flow
        step = next_step(
            Progress(
                self.draft.document,
                problem=problem,
                mend=with_button(problem, self.draft.document).verb if problem else "",
                warning=warning,
                unused=unused,
                filled=is_filled(input_fields(self.draft.document), self.run_panel.input.payload),
                run=self._run,
                changed=self.ran is not None and self._differs(self.ran),
                looked=self.looked,
                saved=bool(flow.newest_version),
                live_version=flow.live_version,
                live_differs=self.bar.live_differs,
                called=self.past.called,
                wants_times=not self.past.scheduled and times_of_flow(flow.title, flow.description) is not None,
                may_edit=self.bar.may_edit,
                may_deploy=self.page_session.may("deploy"),
            )
        )
        self.line.show(step)

    @property
    def _run(self) -> Run:
        if self.run_panel.job_id is None:
            return self.past.run
        look = self.run_panel.look
        if look is not None and look.job.waits_for_person:
            return "asks"
        return run_of(look.job.status) if look is not None else "running"

    def _differs(self, ran: Document) -> bool:
        """Whether the document has another content than what ran."""
        now = self.draft.document
        if self._compared is None or self._compared[0] is not ran or self._compared[1] is not now:
            self._compared = (ran, now, ran is not now and not draft_changes(ran, now).same)
        return self._compared[2]
