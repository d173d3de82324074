"""Jobs: every call and every run, updated live, with filters in the URL; and the calls that were refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nicegui import ui
from sqlalchemy.orm import Session
from starlette.requests import Request

from engine.core.errors import ParameterInvalid
from storage.job_documents import list_flow_titles, list_key_labels
from storage.jobs import JobFilters, JobPage, list_jobs
from ui.jobs.filters import STATUSES, STEPS_FAILED, Narrowed
from ui.jobs.jobs_csv import CSV_PATH
from ui.jobs.refused_calls import RefusedCalls, RefusedView, load_refused
from ui.kit import feedback
from ui.kit.parts import ENVIRONMENTS, STATES, button, icon, link_button, words
from ui.kit.tab_bar import tab_bar
from ui.kit.text import _
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import every, one_at_a_time, opened, times_of
from ui.parts.job_table import job_table
from ui.parts.quota import quota_note
from ui.parts.time_range import Span, span_choice

#: Rows per page, so that the page is drawn within half a second.
PAGE_SIZE = 30
LOOK_SECONDS = 1.0
ANY = ""


@dataclass(frozen=True)
class JobListContents:
    """The data that the page shows."""

    page: JobPage
    titles: Mapping[str, str]
    keys: Mapping[str, str]


def load_jobs(session: Session, workspace_id: str, filters: JobFilters, cursor: str) -> JobListContents:
    """Reads a page of jobs. An invalid cursor starts with the newest."""
    try:
        page = list_jobs(session, workspace_id, filters, PAGE_SIZE, cursor or None)
    except ParameterInvalid:
        page = list_jobs(session, workspace_id, filters, PAGE_SIZE)
    return JobListContents(page, list_flow_titles(session, workspace_id), list_key_labels(session, workspace_id))


def register(app: App) -> None:
    """Registers `/jobs`."""

    @page_at("/jobs")
    async def open_jobs(request: Request, tab: str = "") -> None:
        page_session = open_page_session(app, request)
        said = dict(request.query_params)
        first = "refused" if tab == "refused" else "all"
        times = times_of(page_session)
        narrowed = Narrowed.of(said) if first == "all" else Narrowed()
        view = RefusedView.of(said) if first == "refused" else RefusedView()
        now, zone = times.clock.now(), times.reader.zone
        jobs = await page_session.query(load_jobs, narrowed.filters(now, zone), narrowed.cursor)
        calls = await page_session.query(load_refused, view.filters(now, zone))
        quota = await quota_note(page_session)
        with opened(page_session, _("Jobs"), active="jobs") as page:
            quota.draw()
            tabs = tab_bar({"all": _("All jobs"), "refused": _("Refused")}, first)
            with page.actions:
                csv = link_button(_("Download CSV"), CSV_PATH + narrowed.query(), icon="download")
                csv.props("download").set_visibility(first == "all")
            with ui.tab_panels(tabs, value=first, animated=False):
                with ui.tab_panel("all"):
                    listed = JobsList(page_session, narrowed, tabs, jobs, csv)
                with ui.tab_panel("refused"):
                    refused = RefusedCalls(page_session, view, tabs, calls)
            quota.watch()

        def opened_tab() -> None:
            on_refused = tabs.value == "refused"
            csv.set_visibility(not on_refused)
            ui.navigate.history.replace(refused.view.path() if on_refused else listed.narrowed.path())

        tabs.on_value_change(opened_tab)


class JobsList:
    """The tab with all jobs; `csv` is the link to the same list as a file."""

    def __init__(
        self, page_session: PageSession, narrowed: Narrowed, tabs: ui.tabs, seen: JobListContents, csv: ui.element
    ) -> None:
        self.page_session = page_session
        self.narrowed = narrowed
        self.tabs = tabs
        self.times = times_of(page_session)
        self.seen = seen
        self.csv = csv
        with ui.element("div").classes("fp-filters"):
            self._draw_filters()
        self.body = ui.element("div").classes("fp-col")
        self._draw()
        every(LOOK_SECONDS, self.look)

    def _draw_filters(self) -> None:
        box = ui.input(value=self.narrowed.q, placeholder=_("Job id or words of an error"))
        box.props("outlined dense clearable debounce=300").classes("fp-finder")
        box.props["aria-label"] = _("Search in jobs")
        with box.add_slot("prepend"):
            icon("search", size=16)
        box.on_value_change(lambda event: self._narrow(q=(event.value or "").strip()))
        statuses = {ANY: _("Any status")}
        for status in STATUSES:
            statuses[status] = STATES[status][0]
            if status == "completed":
                statuses[STEPS_FAILED] = STATES[STEPS_FAILED][0]
        self._select(_("Status"), statuses, self.narrowed.status, "status")
        self._select(_("Flow"), {ANY: _("All flows"), **by_word(self.seen.titles)}, self.narrowed.flow, "flow")
        environments = {ANY: _("Any environment"), **{name: word for name, (word, *_rest) in ENVIRONMENTS.items()}}
        self._select(_("Environment"), environments, self.narrowed.environment, "environment")
        self._select(_("Key"), {ANY: _("All keys"), **by_word(self.seen.keys)}, self.narrowed.key, "key")
        span_choice(self.narrowed.span, self._span)

    def _select(self, label: str, options: dict[str, str], value: str, name: str) -> None:
        choice = ui.select(options, value=value if value in options else ANY)
        choice.props("outlined dense options-dense").classes("fp-filter")
        choice.props["aria-label"] = label
        choice.on_value_change(lambda event: self._narrow(**{name: event.value or ""}))

    async def _span(self, span: Span) -> None:
        await self._narrow(span=span)

    async def _narrow(self, **changes: Any) -> None:
        self.narrowed = replace(self.narrowed, **{"cursor": "", **changes})
        self.csv.props["href"] = CSV_PATH + self.narrowed.query()
        ui.navigate.history.replace(self.narrowed.path())
        await self.look()

    @one_at_a_time
    async def look(self) -> None:
        """Reads the page of jobs again and draws it when it changed or while a job is running."""
        if self.tabs.value != "all":
            return
        filters = self.narrowed.filters(self.times.clock.now(), self.times.reader.zone)
        fresh = await self.page_session.query(load_jobs, filters, self.narrowed.cursor)
        if fresh != self.seen or any(job.status == "processing" for job in fresh.page.jobs):
            self.seen = fresh
            self._draw()

    def _draw(self) -> None:
        page = self.seen.page
        self.body.clear()
        with self.body:
            with ui.element("section").classes("fp-card"):
                if page.jobs:
                    job_table(page.jobs, self.times, titles=self.seen.titles, keys=self.seen.keys, label=_("Jobs"))
                else:
                    self._draw_empty()
            if self.narrowed.cursor or page.next_cursor:
                with ui.element("nav").classes("fp-row fp-pages") as pages:
                    pages.props["aria-label"] = _("Pages of jobs")
                    if self.narrowed.cursor:
                        button(_("Newest"), lambda: self._narrow(cursor=""), icon="first_page")
                    words("", "fp-sp")
                    if page.next_cursor:
                        cursor = page.next_cursor
                        button(_("Older jobs"), lambda: self._narrow(cursor=cursor), icon="chevron_right")

    def _draw_empty(self) -> None:
        if not self.narrowed.empty or self.narrowed.cursor:
            with feedback.empty("filter_alt_off", _("No job fits these filters"), _("Take one away to see more.")):
                link_button(_("Show all jobs"), "/jobs")
        else:
            with feedback.empty(
                "inbox", _("No jobs yet"), _("Each call of an API and each run in the Playground becomes a job here.")
            ):
                link_button(_("Go to Saved Flows"), "/flows", icon="folder_open")


def by_word(options: Mapping[str, str]) -> dict[str, str]:
    """Sorts choices by their labels."""
    return dict(sorted(options.items(), key=lambda one: one[1].casefold()))
