"""The card with the schedules of a flow: when each starts next, its newest starts, and what went wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nicegui import ui

from engine.actions.schedules import pause_schedule, remove_schedule, resume_schedule, start_schedule
from engine.core.do_first import TOO_MUCH_FIRST
from engine.core.error_codes import RefusalCode
from engine.core.errors import Invalid, Unavailable
from engine.flow.contract import input_fields
from engine.flow.document import Document
from engine.flow.file_values import is_file_value
from engine.flow.references import as_text
from engine.flow.times_asked import times_kept, times_of_flow
from engine.jobs.submit.bodies import MAX_CHECKS, NotChecked
from engine.triggers.timing import in_words
from storage.flows import FlowRow
from storage.schedules import ScheduleRow, StartRow
from storage.triggers import FlowTriggers
from ui.flows.schedule_form import ScheduleForm, field_words, results_note
from ui.kit import feedback
from ui.kit.feedback import empty, fold
from ui.kit.parts import Column, badge, button, card, link, note, status_line, table, words
from ui.kit.scroll import into_view
from ui.kit.text import _, plural
from ui.page_session import PageSession
from ui.page_shell import not_twice, times_of
from ui.parts.ask_owners import asking
from ui.parts.start_words import start_words


class SchedulesCard:
    """Draws the card in the current slot; `show` draws what was read again, while no form is open.

    `again` reads what is shown again, and calls `show`.
    """

    def __init__(self, page_session: PageSession, again: Callable[[], Awaitable[object]]) -> None:
        self.page_session = page_session
        self.times = times_of(page_session)
        self.may = page_session.may("deploy")
        self.editing: ScheduleRow | None = None
        self.form_open = False
        self.unfolded: set[str] = set()
        self.again = again
        self.place = ui.element("div")

    def show(
        self,
        flow: FlowRow,
        seen: FlowTriggers,
        document: Document,
        payload: Mapping[str, Any],
        outcomes: Mapping[str, tuple[str, str]],
    ) -> None:
        """Draws the schedules as they are now; an open form stays as it is. `outcomes`: the states of their jobs."""
        self.outcomes = outcomes
        self.flow, self.seen, self.document, self.payload = flow, seen, document, payload
        if not self.form_open:
            self._draw()

    def _draw(self) -> None:
        self.place.clear()
        with self.place, card(_("Schedules"), _("The flow starts by itself at these times.")) as box:
            if self.form_open:
                ScheduleForm(
                    self.page_session,
                    self.flow.id,
                    self.document,
                    self.payload,
                    self.seen.datasets,
                    schedule=self.editing,
                    asked=None if self.seen.schedules else times_of_flow(self.flow.title, self.flow.description),
                    on_done=self._close,
                )
                return
            if self.may and self.seen.schedules:
                with box.head:
                    button(_("Add a schedule"), self._add, icon="add", small=True)
            if not self.seen.schedules:
                self._draw_empty()
                return
            if self.flow.live_version is None:
                note(
                    _("Nothing starts before you press Deploy API."),
                    kind="warn",
                    icon="cloud_off",
                    strong=_("This flow is not deployed."),
                )
            for schedule in self.seen.schedules:
                self._draw_one(schedule)

    def _draw_empty(self) -> None:
        asked = times_of_flow("", times_kept(self.flow.description))
        said = _("Choose a time, and the flow runs by itself: a report every Monday at 9:00, or a check every hour.")
        if asked is not None:
            said = _("“{times}” was asked for. Press Add a schedule: the form begins with these times.").format(
                times=asked.said
            )
        with empty("schedule", _("No schedule yet"), said):
            if self.may:
                button(_("Add a schedule"), self._add, icon="add", kind="main")
            else:
                words(asking(self.page_session, _("Editors and owners can add schedules.")), "fp-hint", tag="p")

    def _draw_one(self, schedule: ScheduleRow) -> None:
        starts = self.seen.starts.get(schedule.id, ())
        with ui.element("section").classes("fp-trigger") as section:
            section.props["aria-label"] = schedule.title
            with ui.element("div").classes("fp-row fp-wrap-row"):
                words(schedule.title, "fp-b fp-wrap-text", tag="h3")
                if schedule.paused:
                    badge(_("Paused"), kind="warn", icon="pause")
                elif schedule.trouble:
                    badge(_("The last start was refused"), kind="bad", icon="error")
            words(_when(schedule), "fp-t2 fp-s13 fp-wrap-text", tag="div")
            with ui.element("div").classes("fp-s13"):
                if schedule.next_at is not None:
                    told = start_words(schedule.next_at, schedule.time_zone, self.times)
                    words(_("Next start: {told}").format(told=told), "fp-num")
                else:
                    words(_("It does not start until you resume it."))
            words(self._source_words(schedule), "fp-t2 fp-s13 fp-wrap-text", tag="div")
            if self.may:  # above what comes and goes, so that a button stays under the pointer
                self._draw_verbs(schedule)
            told = (
                self.flow.live_version is None and (schedule.trouble or {}).get("code") == RefusalCode.FLOW_NOT_DEPLOYED
            )
            if schedule.trouble and not told:
                trouble = schedule.trouble
                text = " ".join(_sentence(trouble.get(part)) for part in ("detail", "remedy") if trouble.get(part))
                note(text, kind="bad", icon="error", strong=_sentence(trouble.get("title")))
            results_note(self.document, self.seen.datasets, schedule.id)
            if starts:
                self._draw_history(schedule, starts)
            else:
                words(_("Last starts: none yet"), "fp-t2 fp-s13", tag="p")

    def _draw_verbs(self, schedule: ScheduleRow) -> None:
        with ui.element("div").classes("fp-row fp-wrap-row"):
            verbs = (
                (_("Start now"), not_twice(self._start), "play_arrow"),
                (_("Resume"), self._resume, "play_circle") if schedule.paused else (_("Pause"), self._pause, "pause"),
                (_("Change"), self._change, "edit"),
                (_("Remove"), self._remove, "delete"),
            )
            for name, work, symbol in verbs:
                made = button(name, lambda work=work: work(schedule), icon=symbol, small=True, kind="quiet")
                made.props["aria-label"] = f"{name}: {schedule.title}"

    def _draw_history(self, schedule: ScheduleRow, starts: tuple[StartRow, ...]) -> None:
        with fold(_("Last starts"), open_at_first=schedule.id in self.unfolded or starts[0].trouble is not None):
            columns = [Column(_("Started")), Column(_("How")), Column(_("What came of it"))]
            rows = table(columns, label=_("Last starts of {title}").format(title=schedule.title), stacks=True)
            for start in starts:
                with rows.row():
                    rows.cell(start_words(start.at, schedule.time_zone, self.times), "fp-num fp-t2")
                    with rows.cell(classes="fp-wrap-text"):
                        self._draw_how(schedule, start)
                    with rows.cell(classes="fp-wrap-text"):
                        self._draw_outcome(schedule, start)

    def _draw_how(self, schedule: ScheduleRow, start: StartRow) -> None:
        if start.by_hand:
            words(_("By hand"), "fp-t2")
            return
        words(
            _("Planned for {start}").format(start=start_words(start.slot, schedule.time_zone, self.times)),
            "fp-t2 fp-num",
        )

    def _draw_outcome(self, schedule: ScheduleRow, start: StartRow) -> None:
        if start.trouble:
            badge(_(RefusalCode.REFUSED), kind="bad", icon="error")
            said = " ".join(
                _sentence(start.trouble.get(part)) for part in ("title", "detail") if start.trouble.get(part)
            )
            words(said, "fp-hint fp-wrap-text", tag="div")
            return
        if start.job_id:
            state, said = self.outcomes.get(start.job_id, ("", ""))
            verbs = {"completed": _("Show the result"), "failed": _("See what happened")}
            with ui.element("span").classes("fp-row fp-wrap-row"):
                if state:
                    status_line(state, said)
                link(verbs.get(state, _("Show the job")), f"/jobs/{start.job_id}")
        elif start.jobs:
            link(plural(start.jobs, _("job"), _("jobs"), self.times.reader), f"/jobs?trigger=schedule:{schedule.id}")
        else:
            words(_("The dataset had no rows, so nothing was started."), "fp-t2")
        if start.missed:
            missed = plural(start.missed, _("further time passed"), _("further times passed"), self.times.reader)
            words(_("{missed} while the server did not run.").format(missed=missed), "fp-hint", tag="div")
        if start.left_out_count:
            rows = plural(start.left_out_count, _("row was left out"), _("rows were left out"), self.times.reader)
            first = "; ".join(
                _("row {number}: {text}").format(number=one["number"], text=one["text"]) for one in start.left_out or ()
            )
            words(f"{rows}. {first}", "fp-hint fp-wrap-text", tag="div")

    def _source_words(self, schedule: ScheduleRow) -> str:
        source = schedule.source
        if source["kind"] == "dataset":
            name = next((one.name for one in self.seen.datasets if one.id == source["dataset_id"]), None)
            if name is None:
                return _("With the rows of a dataset that was deleted")
            return _("Once for each row of the dataset {name}").format(name=name)
        if not source["payload"]:
            return _("Without input")
        says = {str(field.get("name")): field.get("description") for field in input_fields(self.document)}
        said = "; ".join(
            f"{field_words(name, says.get(name))}: {_short(value)}"
            for name, value in source["payload"].items()
            if value is not None
        )
        return _("With this input: {said}").format(said=said)

    # The verbs.

    def _add(self) -> None:
        self._open(None)

    def _change(self, schedule: ScheduleRow) -> None:
        self._open(schedule)

    def _open(self, schedule: ScheduleRow | None) -> None:
        self.editing, self.form_open = schedule, True
        self._draw()
        into_view(self.place)

    async def _close(self) -> None:
        self.editing, self.form_open = None, False
        await self.again()
        self._draw()

    async def _start(self, schedule: ScheduleRow) -> None:
        start = None
        with feedback.refusals_told():
            start = await self._started(schedule)
        if start is not None:
            feedback.told(_("It has started."), _("Its job stands under Last starts."))
            self.unfolded.add(schedule.id)
            await self._close()

    async def _started(self, schedule: ScheduleRow) -> StartRow:
        for _attempt in range(MAX_CHECKS):
            checked = await self.page_session.checked_start(schedule.id)
            with contextlib.suppress(NotChecked):  # its input has changed meanwhile
                return await self.page_session.execute(start_schedule, schedule.id, checked)
        raise Unavailable(TOO_MUCH_FIRST, remedy="Nothing was started. Try again.")

    async def _pause(self, schedule: ScheduleRow) -> None:
        with feedback.refusals_told():
            await self.page_session.execute(pause_schedule, schedule.id)
        await self._close()

    async def _resume(self, schedule: ScheduleRow) -> None:
        with feedback.refusals_told():
            await self.page_session.execute(resume_schedule, schedule.id)
        await self._close()

    async def _remove(self, schedule: ScheduleRow) -> None:
        if await feedback.confirm(
            _("Remove this schedule?"),
            _("“{title}” starts no more. Its jobs stay.").format(title=schedule.title),
            verb=_("Remove it"),
            danger=True,
        ):
            with feedback.refusals_told():
                await self.page_session.execute(remove_schedule, schedule.id)
            await self._close()


def _when(schedule: ScheduleRow) -> str:
    """Returns in words when it starts. Of a schedule whose title is its time only the zone, so that the time is said once."""
    try:
        said = in_words(schedule.timing, schedule.time_zone)
    except Invalid:
        return _("A time that this server cannot read")
    if said == f"{schedule.title}, {schedule.time_zone}":
        return _("Time zone: {zone}").format(zone=schedule.time_zone)
    return said


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_short(one) for one in value[:3]) + ("…" if len(value) > 3 else "")
    said = value["name"] if is_file_value(value) else as_text(value)
    text = " ".join(said.split())
    return text if len(text) <= 60 else f"{text[:60]}…"


def _sentence(text: Any) -> str:
    said = str(text or "")
    return said if not said or said.endswith((".", "?", "!")) else f"{said}."
