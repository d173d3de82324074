"""Jobs: every call and every run, updated live, with filters in the URL; and the calls that were refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from nicegui import ui
from sqlalchemy.orm import Session
from starlette.requests import Request

from engine.actions.jobs import cancel_waiting
from engine.core.errors import ParameterInvalid
from engine.core.job_status import STATUSES
from storage.job_documents import list_flow_titles, list_key_labels
from storage.jobs import ANY_TRIGGER, JobFilters, JobPage, count_jobs, count_queued, list_beginnings, list_jobs
from storage.questions import list_refusers
from storage.refusals import RefusalFilters, count_refused_calls
from storage.schedules import list_started_by_hand
from storage.triggers import list_trigger_titles
from ui.jobs.filters import ANY, REFUSED, STEPS_FAILED, Narrowed, environment_words
from ui.jobs.jobs_csv import CSV_PATH
from ui.jobs.refused_calls import RefusedCalls, RefusedView, count_words, load_refused
from ui.kit import feedback
from ui.kit.parts import STATES, button, icon, link_button, note, words
from ui.kit.tab_bar import tab_bar
from ui.kit.text import Reader, _, number, plural
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import every, not_twice, one_at_a_time, opened, times_of
from ui.parts.failure_words import failure_word
from ui.parts.filter_choice import filter_choice
from ui.parts.job_table import LARGEST_INPUT, job_table
from ui.parts.job_words import trigger_word
from ui.parts.quota import quota_note
from ui.parts.table_downloads import TableDownloads
from ui.parts.time_range import Span, span_choice

#: Rows per page, so that the page is drawn within half a second.
PAGE_SIZE = 30
LOOK_SECONDS = 1.0
#: How many jobs are counted that fit the filters.
MAX_COUNTED = 1_000


class JobListContents(Struct, frozen=True):
    """The data that the page shows."""

    page: JobPage
    titles: Mapping[str, str]
    keys: Mapping[str, str]
    #: Calls of the same flow, key, environment and time that were refused. They are no jobs.
    refused: int
    #: What jobs name as their trigger -> its title.
    triggers: Mapping[str, str]
    #: The jobs that a person started with a schedule.
    by_hand: frozenset[str]
    #: Who refused what these jobs asked, by the ids of the jobs.
    refusers: Mapping[str, str]
    #: The beginnings of their inputs as JSON text, by the ids of the jobs.
    inputs: Mapping[str, str]
    #: How many jobs fit the filters, and whether there are no more.
    count: tuple[int, bool]


def load_jobs(session: Session, workspace_id: str, filters: JobFilters, cursor: str) -> JobListContents:
    """Reads a page of jobs, and counts the refused calls. An invalid cursor starts with the newest."""
    try:
        page = list_jobs(session, workspace_id, filters, PAGE_SIZE, cursor or None)
    except ParameterInvalid:
        page = list_jobs(session, workspace_id, filters, PAGE_SIZE)
    refused = count_refused_calls(session, workspace_id, _refusals_like(filters))
    return JobListContents(
        page,
        list_flow_titles(session, workspace_id),
        list_key_labels(session, workspace_id),
        refused,
        list_trigger_titles(session, workspace_id),
        list_started_by_hand(session, workspace_id, page.jobs),
        list_refusers(session, workspace_id, page.jobs),
        list_beginnings(session, page.jobs, LARGEST_INPUT),
        count_jobs(session, workspace_id, filters, MAX_COUNTED),
    )


def _refusals_like(filters: JobFilters) -> RefusalFilters:
    """The filters of refused calls that fit those of jobs: the same flow, key, environment and time."""
    environments = filters.environments
    after, before = filters.created_after, filters.created_before
    return RefusalFilters(
        flow_id=filters.flow_id,
        key_id=filters.key_id,
        since=None if after is None else after + 1,
        until=None if before is None else before - 1,
        environment=environments[0] if len(environments) == 1 else None,  # of several it is all that have calls
    )


def register(app: App) -> None:
    """Registers `/jobs`."""

    @page_at("/jobs")
    async def open_jobs(request: Request, tab: str = "") -> None:
        page_session = await open_page_session(app, request)
        said = dict(request.query_params)
        first = "refused" if tab == "refused" else "all"
        times = times_of(page_session)
        view = RefusedView.of(said)
        alike = Narrowed(flow=view.flow, key=view.key, environment=view.environment, span=view.span)
        narrowed = Narrowed.of(said) if first == "all" else alike
        if first == "all":
            view = replace(view, code="", call="")
        now, zone = times.clock.now(), times.reader.zone
        jobs = await page_session.query(load_jobs, narrowed.filters(now, zone), narrowed.cursor)
        calls = await page_session.query(load_refused, view.filters(now, zone))
        quota = await quota_note(page_session)
        with opened(page_session, _("Jobs"), active="jobs") as page:
            quota.draw()
            tabs = tab_bar({"all": _("All jobs"), "refused": _refused_word(calls.count, times.reader)}, first)

            def counted(count: int) -> None:
                next(tab for tab in tabs if tab.props["name"] == "refused").props["label"] = _refused_word(
                    count, times.reader
                )

            with page.actions:
                files = TableDownloads(CSV_PATH, narrowed.query())
                files.box.classes("" if first == "all" else "fp-unseen")
            with ui.tab_panels(tabs, value=first, animated=False):
                with ui.tab_panel("all"):
                    listed = JobsList(page_session, narrowed, tabs, jobs, files, counted)
                with ui.tab_panel("refused"):
                    refused = RefusedCalls(page_session, view, tabs, calls, counted)
            quota.watch()

        async def opened_tab() -> None:
            on_refused = tabs.value == "refused"
            # The buttons keep their place, so that the tabs do not move.
            files.box.classes(add="fp-unseen" if on_refused else "", remove="" if on_refused else "fp-unseen")
            source: Narrowed | RefusedView = listed.narrowed if on_refused else refused.view
            await (refused if on_refused else listed).take(source.flow, source.key, source.environment, source.span)
            ui.navigate.history.replace(refused.view.path() if on_refused else listed.narrowed.path())

        tabs.on_value_change(opened_tab)


class JobsList:
    """The tab with all jobs; `files` are the links to the same list as a file.

    `counted` is told how many calls were refused whenever that changes.
    """

    def __init__(
        self,
        page_session: PageSession,
        narrowed: Narrowed,
        tabs: ui.tabs,
        seen: JobListContents,
        files: TableDownloads,
        counted: Callable[[int], None],
    ) -> None:
        self.page_session = page_session
        self.narrowed = narrowed
        self.tabs = tabs
        self.times = times_of(page_session)
        self.seen = seen
        self.files = files
        self.counted = counted
        self.filters = ui.element("div").classes("fp-filters")
        with self.filters:
            self._draw_filters()
        self.body = ui.element("div").classes("fp-col")
        self._draw()
        #: The failed runs that this page has shown -> when they ended.
        self._failed: dict[str, int] = {}
        every(LOOK_SECONDS, self.look)
        every(LOOK_SECONDS, self.see)

    def _draw_filters(self) -> None:
        box = ui.input(value=self.narrowed.q, placeholder=_("Job id or error text"))
        box.props("outlined dense clearable debounce=300").classes("fp-finder")
        box.props["aria-label"] = _("Search in jobs")
        box.props["title"] = looked_through()
        with box.add_slot("prepend"):
            icon("search", size=16)
        box.on_value_change(lambda event: self._narrow(q=(event.value or "").strip()))
        statuses = {ANY: _("Any status")}
        for status in STATUSES:
            statuses[status] = STATES[status][0]
            if status == "completed":
                statuses |= {STEPS_FAILED: STATES[STEPS_FAILED][0], REFUSED: _("Refused by a person")}
        if self.narrowed.error:
            self._draw_error()
        self._select(_("Status"), statuses, self.narrowed.status, "status")
        self._select(_("Flow"), {ANY: _("All flows"), **by_word(self.seen.titles)}, self.narrowed.flow, "flow")
        self._select(_("Environment"), environment_words(), self.narrowed.environment, "environment")
        self._select(_("Key"), {ANY: _("All keys"), **by_word(self.seen.keys)}, self.narrowed.key, "key")
        if self.seen.triggers or self.narrowed.trigger:
            triggers = {
                ANY: _("Started by anything"),
                ANY_TRIGGER: _("Started by a schedule or a webhook"),
                "schedule:": _("Started by a schedule"),
                "hook:": _("Started by a webhook"),
                **by_word(self.seen.triggers),
            }
            if self.narrowed.trigger not in triggers:
                triggers[self.narrowed.trigger] = trigger_word(self.narrowed.trigger)
            self._select(_("Started by"), triggers, self.narrowed.trigger, "trigger")
        span_choice(self.narrowed.span, self._span)

    def _draw_error(self) -> None:
        """Draws the kind of error to which the list is narrowed, as a button that takes it away."""
        word = failure_word(self.narrowed.error)

        async def take_away() -> None:
            await self._narrow(error="")
            one.delete()

        one = button(word, take_away, icon="close")
        one.props["aria-label"] = _("Only {word}: show other jobs, too").format(word=word)
        one.props["title"] = one.props["aria-label"]

    def _select(self, label: str, options: dict[str, str], value: str, name: str) -> None:
        filter_choice(label, options, value, lambda chosen: self._narrow(**{name: chosen}))

    async def _span(self, span: Span) -> None:
        await self._narrow(span=span)

    async def take(self, flow: str, key: str, environment: str, span: Span) -> None:
        """Takes over the filters that the refused calls have, when this tab is opened."""
        mine = self.narrowed
        if (flow, key, environment, span) != (mine.flow, mine.key, mine.environment, mine.span):
            self.narrowed = replace(mine, flow=flow, key=key, environment=environment, span=span, cursor="")
            self.files.narrow(self.narrowed.query())
            self.filters.clear()
            with self.filters:
                self._draw_filters()
        await self.look()

    async def _narrow(self, **changes: Any) -> None:
        self.narrowed = replace(self.narrowed, **{"cursor": "", **changes})
        self.files.narrow(self.narrowed.query())
        ui.navigate.history.replace(self.narrowed.path())
        await self.look()

    @one_at_a_time
    async def look(self) -> None:
        """Reads the page of jobs again and draws it when it changed or while a job is running."""
        if self.tabs.value != "all":
            return
        filters = self.narrowed.filters(self.times.clock.now(), self.times.reader.zone)
        fresh = await self.page_session.query_again(load_jobs, filters, self.narrowed.cursor)
        if fresh != self.seen or any(job.status == "processing" for job in fresh.page.jobs):
            self.seen = fresh
            self.counted(fresh.refused)
            self._draw()

    async def see(self) -> None:
        """Notes the failed runs that the person sees, once none is left that this page has not shown, also one after
        another; asks for those only when it shows another one. It is not part of `look`, so that the list never waits for
        it.
        """
        failed = {job.id: job.completed_at or 0 for job in self.seen.page.jobs if job.status == "failed"}
        if self.tabs.value == "all" and not failed.keys() <= self._failed.keys():
            shown = self._failed | failed
            await self.page_session.see_failed_runs(shown)
            self._failed = shown

    def _draw(self) -> None:
        page = self.seen.page
        self.body.clear()
        with self.body:
            self._draw_refused()
            if self.narrowed.q:
                words(looked_through(), "fp-s13 fp-t2", tag="p")
            if page.jobs:
                words(self._count_words(), "fp-s13 fp-t2", tag="p").props("role=status")
                if self.narrowed.status == "queued" and self.page_session.may("run flows"):
                    button(_("Cancel all that wait"), not_twice(self._cancel_waiting), icon="cancel")
            with ui.element("section").classes("fp-card"):
                if page.jobs:
                    names = {**self.seen.keys, **self.seen.triggers}
                    job_table(
                        page.jobs,
                        self.times,
                        titles=self.seen.titles,
                        keys=names,
                        by_hand=self.seen.by_hand,
                        refusers=self.seen.refusers,
                        inputs=self.seen.inputs,
                        label=_("Jobs"),
                    )
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

    async def _cancel_waiting(self) -> None:
        """Asks, and cancels the jobs that wait and fit the filters; none that comes meanwhile."""
        now = self.times.clock.now()
        filters = self.narrowed.filters(now, self.times.reader.zone)
        filters = replace(filters, created_before=min(filters.created_before or now + 1, now + 1))
        count = await self.page_session.query(count_queued, filters)
        sure = count and await feedback.confirm(
            _("Cancel all that wait?"),
            _("{jobs} with these filters will not run. Jobs that run go on.").format(
                jobs=plural(count, _("waiting job"), _("waiting jobs"), self.times.reader)
            ),
            verb=_("Cancel them"),
            danger=True,
            keep=_("Keep them"),
        )
        cancelled = 0
        with feedback.refusals_told():
            while sure and (part := await self.page_session.execute(cancel_waiting, filters)):
                cancelled += part
        if cancelled:
            jobs = plural(cancelled, _("job is cancelled"), _("jobs are cancelled"), self.times.reader)
            feedback.told(_("{jobs}.").format(jobs=jobs))
        await self.look()

    def _count_words(self) -> str:
        (count, is_all), reader = self.seen.count, self.times.reader
        if is_all:
            return plural(count, _("job"), _("jobs"), reader)
        return _("{count} or more jobs").format(count=number(max(count, len(self.seen.page.jobs)), reader))

    def _draw_refused(self) -> None:
        """Draws how many calls are not in the list because they were refused."""
        count = self.seen.refused
        if not count or self.narrowed.q or self.narrowed.cursor:
            return
        said = (
            _("call was refused and did not become a job.")
            if count == 1
            else _("calls were refused and did not become jobs.")
        )
        with note("", icon="block", strong=f"{count_words(count, self.times.reader)} {said}"):
            button(_("Show refused calls"), lambda: self.tabs.set_value("refused"), small=True)

    def _draw_empty(self) -> None:
        if not self.narrowed.empty or self.narrowed.cursor:
            with feedback.empty("filter_alt_off", _("No job fits these filters"), _("Take one away to see more.")):
                link_button(_("Show all jobs"), "/jobs")
        else:
            with feedback.empty(
                "inbox", _("No jobs yet"), _("Each call of an API and each run in the Playground becomes a job here.")
            ):
                link_button(_("Go to Saved Flows"), "/flows", icon="folder_open")


def looked_through() -> str:
    """Says what the search looks through."""
    return _("The search looks at ids of jobs, titles of flows and texts of errors, not at inputs and results.")


def _refused_word(count: int, reader: Reader) -> str:
    """The label of the tab with its number."""
    return _("Refused {count}").format(count=count_words(count, reader)) if count else _("Refused")


def by_word(options: Mapping[str, str]) -> dict[str, str]:
    """Sorts choices by their labels."""
    return dict(sorted(options.items(), key=lambda one: one[1].casefold()))
