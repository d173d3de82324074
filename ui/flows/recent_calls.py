"""First calls, and Newest calls when there are more: those of a flow, with the version that answered, updated live."""

from __future__ import annotations

from msgspec import Struct
from nicegui import ui
from sqlalchemy.orm import Session

from storage.flows import FlowRow
from storage.job_documents import list_key_labels
from storage.jobs import PUBLIC, JobFilters, JobRow, list_jobs
from storage.refusals import RefusalFilters, RefusedRow, list_refused_calls
from ui.kit.parts import STATES, badge, button, card, icon, link, status_badge, words
from ui.kit.text import _, plural
from ui.page_session import PageSession
from ui.page_shell import every, one_at_a_time, times_of
from ui.parts.accept_field import UnknownField, accept_field, asked_types, draft_fields, in_draft, unknown_fields_of
from ui.parts.job_words import environment_word, job_took, state_words
from ui.parts.refusal_words import what_was_wrong
from ui.parts.refused_answer import caller_sees

MOST = 5
LOOK_SECONDS = 1.0


class RecentCalls(Struct, frozen=True):
    """The newest calls, the latest first. `more`: there are older ones."""

    calls: tuple[JobRow | RefusedRow, ...]
    more: bool
    labels: dict[str, str]
    known: dict[str, frozenset[str]]
    types: dict[str, str]


def load_recent_calls(session: Session, workspace_id: str, flow_id: str) -> RecentCalls:
    """Reads the newest calls of a flow, whichever version was live."""
    filters = JobFilters(flow_id=flow_id, environments=PUBLIC)
    jobs = list_jobs(session, workspace_id, filters, limit=MOST + 1).jobs
    refused = list_refused_calls(session, workspace_id, RefusalFilters(flow_id=flow_id), limit=MOST + 1)
    found = sorted([*jobs, *refused], key=_at, reverse=True)
    both = found[:MOST]
    known = draft_fields(session, workspace_id, {flow_id}) if any(_fields(call) for call in both) else {}
    types = asked_types(session, workspace_id, {flow_id}).get(flow_id, {}) if refused else {}
    return RecentCalls(tuple(both), len(found) > MOST, list_key_labels(session, workspace_id), known, types)


def _fields(call: JobRow | RefusedRow) -> tuple[UnknownField, ...]:
    return () if isinstance(call, JobRow) else unknown_fields_of(call)


def _at(call: JobRow | RefusedRow) -> int:
    return call.created_at if isinstance(call, JobRow) else call.at


class FirstCalls:
    """The card; it reads the calls again every second. Calls from before the live version went live stand apart."""

    def __init__(self, page_session: PageSession, flow: FlowRow) -> None:
        self.page_session = page_session
        self.flow_id = flow.id
        self.live_version = flow.live_version
        self.since = flow.deployed_at or 0
        self.times = times_of(page_session)
        self.calls: RecentCalls | None = None
        with card(_("First calls"), padded=False) as box:
            self.title = box.title
            with box.head, ui.element("span").classes("fp-st fp-s12 fp-b") as self.state:
                self.dot = words("", "fp-dot")
                self.dot.visible = False
                self.count = words("")
            self.list = ui.element("ul").classes("fp-lines").props("aria-live=polite")
            with ui.element("div").classes("fp-calls-foot fp-s12 fp-t3"):
                icon("schedule", size=14)
                self.foot = words("")
        every(LOOK_SECONDS, self.look)

    @one_at_a_time
    async def look(self) -> None:
        """Reads the calls and draws them when something changed."""
        fresh = await self.page_session.query_again(load_recent_calls, self.flow_id)
        running = any(isinstance(call, JobRow) and not call.ended for call in fresh.calls)
        if fresh != self.calls or running:
            self.calls = fresh
            self._draw(fresh)

    def _draw(self, seen: RecentCalls) -> None:
        older = [call for call in seen.calls if _at(call) < self.since]
        count = len(seen.calls) - len(older)
        self.title.text = _("Newest calls") if seen.more else _("First calls")
        self.count.text = plural(count, _("call"), _("calls"), self.times.reader) if count else _("none yet")
        self.state.visible = not seen.more
        self.dot.visible = count > 0
        self.state.classes(add="fp-ok" if count else "fp-t3", remove="fp-t3" if count else "fp-ok")
        self.foot.text = (
            _("The first five calls are shown here as they come. All calls stay under Jobs.")
            if not seen.more
            else _("These are the newest five. All calls stay under Jobs.")
        )
        self.list.clear()
        with self.list:
            for call in seen.calls:
                if older and call is older[0]:
                    before = _("Before version {number} went live:").format(number=self.live_version)
                    words(before, "fp-call fp-s12 fp-t3", tag="li")
                self._job(call, seen) if isinstance(call, JobRow) else self._refused(call, seen)

    def _job(self, job: JobRow, seen: RecentCalls) -> None:
        state, word = state_words(job, self.times.reader)
        _word, symbol, kind = STATES[state]
        with ui.element("li").classes("fp-call"):
            icon(symbol or "circle", f"fp-{kind}" if kind else "fp-t3")
            with ui.element("div").classes("fp-grow"):
                with ui.element("div").classes("fp-row"):
                    asks = job.waits_for_person
                    link(word if job.ended or asks else _("Accepted"), f"/jobs/{job.id}", "fp-b fp-s13 fp-row-link")
                    words("", "fp-sp")
                    words(self.times.clock_time(job.created_at), "fp-s12 fp-t3 fp-num fp-nw")
                took = job_took(job, self.times)
                said = (
                    _("{status} in {took}").format(status=word.lower(), took=took)
                    if job.ended and took
                    else _("not answered yet")
                    if asks
                    else f"{word.lower()} {took}".strip()
                )
                who = seen.labels.get(job.key_id or "") or environment_word(job.environment)
                with ui.element("div").classes("fp-s12 fp-t2 fp-cut"):
                    version = (
                        _("version {flow_version}").format(flow_version=job.flow_version) + ", "
                        if job.flow_version is not None
                        else ""
                    )
                    words(f"{version}{said} ")
                    words(f"· {who}", "fp-t3")
                if job.simulated:
                    status_badge("simulated", _("Made-up answer"))

    def _refused(self, call: RefusedRow, seen: RecentCalls) -> None:
        with ui.element("li").classes("fp-call"):
            icon("block", "fp-bad")
            with ui.element("div").classes("fp-grow"):
                with ui.element("div").classes("fp-row"):
                    words(what_was_wrong(call), "fp-b fp-s13")
                    words("", "fp-sp")
                    words(self.times.clock_time(call.at), "fp-s12 fp-t3 fp-num fp-nw")
                with ui.element("div").classes("fp-s12 fp-t2 fp-cut"):
                    words(_("refused ({status})").format(status=call.status) + " ")
                    words(f"· {seen.labels.get(call.key_id) or _('unknown key')}", "fp-t3")
                with ui.element("div").classes("fp-row fp-wrap-row fp-call-acts"):
                    for field in unknown_fields_of(call):
                        self._unknown(field, seen)
                    caller_sees(call, seen.types, kind="link", small=True)

    def _unknown(self, field: UnknownField, seen: RecentCalls) -> None:
        """Draws a button that adds the unknown field to the flow, or a text when the draft already has it."""
        there = in_draft(field, seen.known)
        if there:
            badge(_("In the draft"), kind="warn", icon="edit")
        elif there is False and self.page_session.may("edit flows"):
            accept = button(_("Accept this field"), lambda: self._accept(field), small=True)
            accept.props["aria-label"] = _("Accept this field: {name}").format(name=field.name)

    async def _accept(self, field: UnknownField) -> None:
        if await accept_field(self.page_session, field):
            await self.look()
