"""The drawer beside a job: input, output, attempts and log of one step."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from msgspec import Struct
from nicegui import ui
from sqlalchemy.orm import Session

from engine.core.errors import Refusal
from engine.core.lone_surrogates import whole_utf8
from engine.flow.called_flows import AGENT
from engine.nodes import CATALOG
from storage.jobs import StoredValue, find_value, get_job
from storage.steps import PartRow, list_parts
from ui.jobs.step_list import StepLine
from ui.kit.parts import icon, icon_button, key_values, note, status_badge, status_line, words
from ui.kit.tab_bar import tab_bar
from ui.kit.text import _, duration, number
from ui.kit.times import Times
from ui.page_session import PageSession
from ui.parts.agent_trace import AgentTrace
from ui.parts.job_words import step_words, way_words
from ui.parts.value_view import answer_view

#: The tab of an agent's step.
TALK = "talk"
TABS = {"input": _("Input"), "output": _("Output"), "tries": _("Tries"), "log": _("Log")}


class StoredStepValues(Struct, frozen=True):
    """The stored values of a step; None for a value that it does not have."""

    input: StoredValue | None
    output: StoredValue | None
    tries: StoredValue | None
    log: StoredValue | None
    #: What an agent did; empty for other steps.
    parts: tuple[PartRow, ...] = ()


def load_step(session: Session, workspace_id: str, job_id: str, node_id: str, index_path: str) -> StoredStepValues:
    """Reads the values of a step of a job in this workspace. Raises NotFound."""
    get_job(session, workspace_id, job_id)
    values = (find_value(session, job_id, name, node_id, index_path) for name in TABS)
    return StoredStepValues(*values, parts=tuple(list_parts(session, workspace_id, job_id, node_id, index_path)))


class StepDrawer:
    """Shows one step; `on_move(-1 or 1)` moves to the previous or next step."""

    def __init__(
        self,
        page_session: PageSession,
        times: Times,
        on_close: Callable[[], None],
        on_move: Callable[[int], Awaitable[None]],
    ) -> None:
        self.page_session = page_session
        self.times = times
        self.on_close = on_close
        self.on_move = on_move
        self.line: StepLine | None = None
        self.job_id = ""
        self.tab = ""
        self._trace: AgentTrace | None = None
        self.panel = ui.element("aside").classes("fp-drawer fp-card")
        self.panel.props["aria-label"] = _("Step")
        self.panel.visible = False

    async def show(self, job_id: str, line: StepLine) -> None:
        """Opens the drawer with this step."""
        before, self.line = self.line, line
        try:
            values = await self.page_session.query(load_step, job_id, line.node_id, line.index_path)
        except Refusal:
            if self.line is line:  # the step before stays, and this one can be chosen again
                self.line = before
            raise
        if self.line is not line:  # another step was chosen meanwhile, or the drawer closed
            return
        self.job_id, self.values = job_id, values
        failed = line.step is not None and line.step.status == "failed"
        self.tab = "tries" if failed and line.step is not None and line.step.tries > 1 else "output"
        if self.tab == "output" and self.values.output is None:
            self.tab = "input"
        if self.values.parts:
            self.tab = TALK
        self.panel.visible = True
        self._draw()

    async def refresh(self, job_id: str, lines: Sequence[StepLine]) -> None:
        """Updates the step while the job runs."""
        shown = self.line
        line = next((one for one in lines if one.same(shown)), None)
        if shown is not None and line is not None and line.step != shown.step:
            kept = self.tab
            await self.show(job_id, line)
            if self.line is line:
                self.tab = kept if kept in {"tries", "log"} else self.tab
                self._draw()
        elif shown is not None and line is not None and line.node_type == AGENT:
            values = await self.page_session.query(load_step, job_id, line.node_id, line.index_path)
            if self.line is not shown:
                return
            self.values = values
            if self._trace is None:
                self.tab = TALK
                self._draw()
            else:
                self._show_parts()

    def _close(self) -> None:
        self.line = None
        self.panel.visible = False
        self.on_close()

    def _draw(self) -> None:
        line = self.line
        assert line is not None
        assert line.step is not None, "only steps that ran are shown"
        step = line.step
        self.panel.clear()
        with self.panel:
            with ui.element("div").classes("fp-drawer-head"):
                with ui.element("div").classes("fp-grow"):
                    words(line.label, "fp-cut", tag="h2")
                    with ui.element("div").classes("fp-row fp-s12"):
                        status_line(step_words(step)[0], self._status_words()).classes("fp-b")
                        if step.simulated:
                            status_badge("simulated")
                icon_button("arrow_back", _("Step before"), lambda: self.on_move(-1), tip=False)
                icon_button("arrow_forward", _("Step after"), lambda: self.on_move(1), tip=False)
                icon_button("close", _("Close the step"), self._close, tip=False)
            if step.error:
                with ui.element("div").classes("fp-drawer-part"):
                    note(str(step.error.get("message", "")), kind="bad", icon="error")
            for warning in step.warnings:
                with ui.element("div").classes("fp-drawer-part"):
                    note(warning, kind="warn", icon="warning")
            self._trace = None
            titles = {TALK: _("Conversation"), **TABS} if self.values.parts else TABS
            tabs = tab_bar(titles, self.tab, self._remember, small=True)
            with ui.tab_panels(tabs, value=self.tab, animated=False).classes("fp-drawer-panels"):
                if self.values.parts:
                    with ui.tab_panel(TALK):
                        self._draw_conversation()
                with ui.tab_panel("input"):
                    self._value(
                        self.values.input, _("Input of {label}").format(label=line.label), _("It had no input.")
                    )
                with ui.tab_panel("output"):
                    if line.node_type in CATALOG and len(CATALOG[line.node_type].ports) > 1 and self.values.log:
                        words(way_words(self.values.log.value), "fp-b fp-s13", tag="p")
                    self._value(
                        self.values.output, _("Output of {label}").format(label=line.label), _("It has no output.")
                    )
                with ui.tab_panel("tries"):
                    self._draw_tries()
                with ui.tab_panel("log"):
                    self._draw_log()
            with ui.element("div").classes("fp-drawer-part"):
                reader = self.times.reader
                facts = [(_("Time"), duration(line.length_ms / 1000, reader))]
                if step.model_calls:
                    facts += [
                        (_("Model calls"), number(step.model_calls, reader)),
                        (
                            _("Tokens"),
                            _("{input_tokens} in, {output_tokens} out").format(
                                input_tokens=number(step.input_tokens, reader),
                                output_tokens=number(step.output_tokens, reader),
                            ),
                        ),
                        (_("Cost"), self.times.cost(step.cost_nanos)),
                    ]
                key_values(facts)

    def _draw_conversation(self) -> None:
        given = self.values.input.value if self.values.input is not None else {}
        message = given.get("message") if isinstance(given, dict) else ""
        self._trace = AgentTrace(self.times.reader, asked=message if isinstance(message, str) else "")
        self._show_parts()

    def _show_parts(self) -> None:
        step = self.line.step if self.line is not None else None
        if self._trace is not None and not self._trace.box.is_deleted:
            self._trace.show(self.values.parts, running=step is not None and step.status == "running")

    def _remember(self, tab: str) -> None:
        self.tab = tab

    def _status_words(self) -> str:
        assert self.line is not None
        assert self.line.step is not None
        step = self.line.step
        word = step_words(step)[1]
        took = duration(self.line.length_ms / 1000, self.times.reader)
        if step.tries > 1:
            return _("{word} after {tries} tries, {took}").format(word=word, tries=step.tries, took=took)
        return f"{word}, {took}"

    def _value(self, stored: StoredValue | None, label: str, nothing: str) -> None:
        if stored is None:
            words(nothing, "fp-s13 fp-t3", tag="p")
            return
        value: Any = stored.value

        def download() -> None:
            text = value if stored.cut else json.dumps(value, ensure_ascii=False, indent=2)
            content = whole_utf8(str(text))
            ui.download.content(content, "value.json", "application/json")

        answer_view(value, label=label, download=download, reader=self.times.reader)
        if stored.cut:
            words(_("Only the beginning of this value was kept."), "fp-s12 fp-t3", tag="p")

    def _draw_tries(self) -> None:
        tries = self.values.tries.value if self.values.tries is not None else None
        if not isinstance(tries, list) or not tries:
            words(_("One try was enough."), "fp-s13 fp-t3", tag="p")
            return
        with ui.element("ul").classes("fp-tries"):
            for one in tries:
                if one.get("waited_ms"):
                    with ui.element("li").classes("fp-t3"):
                        icon("schedule", size=16)
                        words(
                            _("waited {waited_ms}, then").format(
                                waited_ms=duration(one["waited_ms"] / 1000, self.times.reader)
                            )
                        )
                with ui.element("li"):
                    failed = bool(one.get("message"))
                    icon("error" if failed else "check_circle", "fp-bad" if failed else "fp-ok", size=16)
                    words(_("Try {number}").format(number=one.get("number")), "fp-b fp-nw")
                    words(str(one.get("message") or _("worked")), "fp-t2 fp-grow")
                    words(duration((one.get("duration_ms") or 0) / 1000, self.times.reader), "fp-num fp-nw")

    def _draw_log(self) -> None:
        log = self.values.log.value if self.values.log is not None else None
        if not isinstance(log, list) or not log:
            words(_("It logged nothing."), "fp-s13 fp-t3", tag="p")
            return
        with ui.element("ul").classes("fp-tries"):
            for entry in log:
                with ui.element("li"):
                    words(entry if isinstance(entry, str) else json.dumps(entry, ensure_ascii=False), "fp-mono fp-s12")
