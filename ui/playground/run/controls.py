"""The head of the Run panel: the state of the run in words and figures, the tabs, Run and Stop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from nicegui import ui

from engine.core.clock import Clock
from storage.jobs import JobRow
from ui.kit.parts import button, icon_button, status_badge, words
from ui.kit.tab_bar import tab_bar
from ui.kit.text import Reader, _, cost, duration, tokens
from ui.parts.job_words import state_words

#: Browser handler that enlarges the panel or restores its size; the server does not store the size.
_RESIZE = """(event) => {
  const work = event.currentTarget.closest(".fp-work");
  const large = work.dataset.run !== "large";
  work.dataset.run = large ? "large" : "";
  event.currentTarget.setAttribute("aria-pressed", String(large));
}"""


class Controls:
    """Drawn once; `show` updates it from the job."""

    def __init__(
        self,
        tabs: Mapping[str, str],
        *,
        reader: Reader,
        clock: Clock,
        may_run: bool,
        on_run: Callable[[], Awaitable[None]],
        on_stop: Callable[[], Awaitable[None]],
        on_tab: Callable[[str], Awaitable[None]],
    ) -> None:
        self.reader = reader
        self.clock = clock
        self.may_run = may_run
        self._said: tuple[str, str, bool] | None = None
        with ui.element("div").classes("fp-rh"):
            words(_("Run"), tag="h2")
            self.state = ui.element("span").classes("fp-row").props("role=status")
            self.figures = words("", "fp-t2 fp-num fp-nw fp-cut")
            words("", "fp-sp")
            self.tabs = tab_bar(tabs, next(iter(tabs)), on_tab, small=True)
            self.run_button = button(_("Run"), on_run, icon="play_arrow", small=True)
            self.run_button.props("title='Ctrl+Enter'")
            if not may_run:
                self.run_button.disable()
                self.run_button.props["title"] = _("You can look at this flow; editors and owners run it.")
            self.stop_button = button(_("Stop"), on_stop, icon="stop", small=True)
            self.stop_button.visible = False
            size = icon_button("unfold_more", _("Larger Run panel"), tip=False).classes("fp-run-size")
            size.props("aria-pressed=false").on("click", js_handler=_RESIZE)

    def busy(self, *, waits: bool) -> None:
        """Shows that a run was requested and the server has not answered yet."""
        self.run_button.set_enabled(self.may_run and not waits)

    def show(self, job: JobRow, *, stopping: bool) -> None:
        """Shows the state of the job, which is `cancelling` until its work has stopped.

        While it only waits for a person the next run can be started: the button never becomes Stop under their hand.
        """
        going = not job.ended and (stopping or not job.waits_for_person)
        self.stop_button.visible = going and self.may_run
        self.stop_button.set_enabled(not stopping)
        self.run_button.visible = not going
        state, said = state_words(job, self.reader)
        if not job.ended and stopping:
            state, said = "cancelling", ""
        if self._said != (state, said, job.simulated):
            self._said = (state, said, job.simulated)
            self.state.clear()
            with self.state:
                status_badge(state, said)
                if job.simulated:
                    status_badge("simulated")
        self.figures.text = self._figures(job)

    def _figures(self, job: JobRow) -> str:
        end = job.completed_at or job.waiting_since or self.clock.now()
        said = [duration(max(0, end - (job.started_at or job.created_at) - job.waited_ms) / 1000, self.reader)]
        if job.model_calls:
            said += [tokens(job.input_tokens + job.output_tokens, self.reader)]
            said += [cost(None if job.cost_nanos is None else job.cost_nanos / 1e9, self.reader)]
        return " · ".join(said)
