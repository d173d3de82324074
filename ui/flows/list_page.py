"""Saved Flows: every flow with its state, its last job and its figures; a row opens the flow's page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace
from nicegui import ui
from sqlalchemy.orm import Session
from starlette.requests import Request

from storage.first_steps import FirstSteps, read_first_steps
from storage.flows import FlowRow, FlowState, list_flows
from storage.monitoring.overview import Activity, list_activity, list_tried
from storage.schedules import ScheduleRow, list_schedules
from ui.flows import first_run, flow_actions
from ui.flows.flow_states import draft_differs, newer_draft, state_lines
from ui.flows.import_file import import_button, take_dropped
from ui.kit import feedback
from ui.kit.parts import (
    Column,
    button,
    icon,
    link,
    link_button,
    menu_button,
    menu_item,
    segments,
    table,
    words,
)
from ui.kit.text import _, number, percent, plural
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import every, one_at_a_time, opened, times_of
from ui.parts.charts import sparkline
from ui.parts.job_words import job_line
from ui.parts.start_words import start_words

LOOK_SECONDS = 5.0


class Library(Struct, frozen=True):
    """The data that the page shows."""

    flows: tuple[FlowRow, ...]
    activity: Mapping[str, Activity]
    steps: FirstSteps
    #: Flow id -> when one of its schedules starts it next and the zone of that schedule, None while all are paused.
    next_starts: Mapping[str, tuple[int, str] | None]
    #: The flows that ran, by a call or in the Playground.
    tried: frozenset[str]


def load_library(session: Session, workspace_id: str) -> Library:
    """Reads every flow with its activity in one transaction."""
    return Library(
        tuple(list_flows(session, workspace_id)),
        list_activity(session, workspace_id),
        read_first_steps(session, workspace_id),
        _next_starts(list_schedules(session, workspace_id)),
        list_tried(session, workspace_id),
    )


def _next_starts(schedules: list[ScheduleRow]) -> dict[str, tuple[int, str] | None]:
    found: dict[str, tuple[int, str] | None] = {}
    for one in schedules:
        mine = None if one.next_at is None else (one.next_at, one.time_zone)
        starts = [start for start in (found.get(one.flow_id), mine) if start is not None]
        found[one.flow_id] = min(starts, default=None)
    return found


def register(app: App) -> None:
    """Registers `/flows`."""

    @page_at("/flows")
    async def open_flows(request: Request) -> None:
        page_session = await open_page_session(app, request)
        library = await page_session.query(load_library)
        FlowsPage(page_session, library).build()


#: Most rows that are drawn at first. People with more flows search, or press the button that shows all.
AT_FIRST = 40


class FlowsPage:
    """One open page of saved flows."""

    def __init__(self, page_session: PageSession, library: Library) -> None:
        self.page_session = page_session
        self.library = library
        self.times = times_of(page_session)
        self.reader = self.times.reader
        self.text = ""
        self.only = "all"
        self.most = AT_FIRST

    def build(self) -> None:
        """Draws the page."""
        with opened(self.page_session, _("Saved Flows"), active="flows", sub="") as page:
            may_edit = self.page_session.may("edit flows")
            with page.actions:
                if may_edit:
                    self.upload = import_button(self.page_session)
                    take_dropped(ui.context.client.content, self.upload)
                    link_button(_("New flow"), "/playground/new", icon="add", kind="main")
            self.sub = words(self._sentence(), "fp-sub fp-under", tag="p")
            with ui.element("div").classes("fp-filters") as self.filters:
                box = ui.input(placeholder=_("Find a flow"), on_change=lambda event: self._find(event.value))
                box.props("outlined dense clearable debounce=150").classes("fp-finder")
                box.props["aria-label"] = _("Find a flow")
                with box.add_slot("prepend"):
                    icon("search", size=16)
                self.choice = ui.element("div")
                words("", "fp-sp")
                words(_("Changed last comes first"), "fp-s13 fp-t3 fp-desk")
            self.body = ui.element("div").classes("fp-col")
            self._draw()
        every(LOOK_SECONDS, self._look)

    def _sentence(self) -> str:
        saved = [flow for flow in self.library.flows if flow.newest_version]
        live = sum(flow.live_version is not None for flow in saved)
        if not self.library.flows:
            return _("Flows you save stand here.")
        if not saved:
            return _("Nothing is saved yet. Save As in the Playground puts a draft here.")
        flows = plural(len(saved), _("flow"), _("flows"))
        if drafts := len(self.library.flows) - len(saved):
            flows = _("{flows} and {drafts}").format(flows=flows, drafts=plural(drafts, _("draft"), _("drafts")))
        return _("{flows}, {live} live. A click opens the page of a flow.").format(flows=flows, live=live)

    @one_at_a_time
    async def _look(self) -> None:
        fresh = await self.page_session.query_again(load_library)
        # a row that changes keeps its place while the page is open, so that nobody opens the menu of another one
        place = {flow.id: at for at, flow in enumerate(self.library.flows)}
        fresh = replace(fresh, flows=tuple(sorted(fresh.flows, key=lambda flow: place.get(flow.id, -1))))
        if fresh != self.library:
            self.library = fresh
            self._draw()

    def _find(self, text: str | None) -> None:
        self.text = (text or "").strip().casefold()
        self._draw_body()

    def _narrow(self, only: str) -> None:
        self.only = only
        self._draw_body()

    def _draw(self) -> None:
        self.sub.text = self._sentence()
        self.filters.visible = bool(self.library.flows)
        self._draw_choice()
        self._draw_body()

    def _draw_choice(self) -> None:
        counts = {name: sum(map(test, self.library.flows)) for name, (_word, test) in _KINDS.items()}
        self.choice.clear()
        with self.choice:
            options = {
                name: f"{word} {counts[name]}"
                for name, (word, _test) in _KINDS.items()
                if name == "all" or counts[name]
            }
            if self.only not in options:
                self.only = "all"
            segments(options, self.only, self._narrow, label=_("Which flows"))

    def _draw_body(self) -> None:
        self.body.clear()
        with self.body:
            if not self.library.flows:
                first_run.cards(self.page_session, self.library.steps, beside=True)
                return
            _word, test = _KINDS[self.only]
            shown = [
                flow
                for flow in self.library.flows
                if test(flow) and self.text in f"{flow.title} {flow.description}".casefold()
            ]
            drawn = shown[: self.most]
            saved = [flow for flow in drawn if flow.newest_version]
            fresh = [flow for flow in drawn if not flow.newest_version]
            if saved:
                self._table(saved, _("Saved flows"))
            if fresh:
                words(_("Drafts"), "fp-over", tag="h2")
                words(
                    _("Every change in them is kept. Save As puts them among the saved flows."), "fp-s13 fp-t2", tag="p"
                )
                self._table(fresh, _("Drafts"))
            if len(drawn) < len(shown):
                with ui.element("div").classes("fp-row"):
                    words(
                        _("The first {count} of {total}.").format(
                            count=len(drawn), total=number(len(shown), self.reader)
                        ),
                        "fp-t2",
                    )
                    button(_("Show all"), self._show_more, small=True)
            if not shown:
                with feedback.empty("search_off", _("No flow fits"), _("Look for other words, or show all flows.")):
                    button(_("Show all"), self._show_all)
            if not self.library.steps.all_done and self.page_session.may("edit flows"):
                first_run.checklist(self.library.steps)

    def _show_all(self) -> None:
        ui.navigate.to("/flows")

    def _show_more(self) -> None:
        self.most = len(self.library.flows)
        self._draw_body()

    def _table(self, flows: list[FlowRow], label: str) -> None:
        may_deploy = self.page_session.may("deploy")
        wide_state = any(flow.live_version is not None and draft_differs(flow) for flow in flows)
        with_button = may_deploy and any(_wants_button(flow) for flow in flows)
        titles = Counter(flow.title for flow in self.library.flows)
        columns = [
            Column(_("Title")),
            Column(_("State"), width="210px" if wide_state else "130px"),
            Column(_("Last job"), width="190px"),
            Column(_("7 days"), width="116px"),
            Column(_("Errors"), right=True, width="76px"),
            Column(_("What to do"), hidden=True, right=True, width="178px" if with_button else "64px"),
        ]
        with ui.element("div").classes("fp-card"):
            rows = table(columns, label=label, tall=True).classes("fp-flows")
            for flow in flows:
                activity = self.library.activity.get(flow.id)
                with rows.row(on_open=lambda flow=flow: ui.navigate.to(f"/flows/{flow.id}")):
                    with rows.cell(classes="fp-title-cell"):
                        link(flow.title, f"/flows/{flow.id}", "fp-row-link fp-two-lines")
                        words(flow.description or self._changed(flow), "fp-s12 fp-t3 fp-two-lines", tag="div")
                        if titles[flow.title] > 1:
                            words(self._which(flow), "fp-s12 fp-t2 fp-wrap-text", tag="div")
                        self._next_start(flow)
                    with rows.cell(classes="fp-state-cell"):
                        state_lines(flow)
                    with rows.cell(classes="fp-last-cell"):
                        if activity and activity.last_job:
                            job_line(activity.last_job, self.times)
                        else:
                            tried = flow.id in self.library.tried
                            words(_("Tried, not called yet") if tried else _("None yet"), "fp-t3")
                    with rows.cell(classes="fp-desk-cell"):
                        if activity and any(activity.by_day):
                            sparkline(activity.by_day, quiet=flow.live_version is None)
                        else:
                            words(_("no calls"), "fp-t3 fp-s12")
                    rate = activity.error_rate if activity else None
                    rows.cell(
                        "" if rate is None else percent(rate, self.reader),
                        f"fp-desk-cell {'fp-warn fp-b' if rate else 'fp-t2'}",
                    )
                    with rows.cell(classes="fp-acts-cell").on("click.stop", js_handler="() => {}"):
                        self._actions(flow)

    def _next_start(self, flow: FlowRow) -> None:
        """Draws when a schedule starts the flow next."""
        if flow.id not in self.library.next_starts or flow.live_version is None:
            return
        start = self.library.next_starts[flow.id]
        with ui.element("div").classes("fp-row fp-s12 fp-t2"):
            icon("schedule" if start is not None else "pause", size=14)
            told = (
                _("Next start: {start}").format(start=start_words(*start, self.times))
                if start is not None
                else _("Schedule paused")
            )
            words(told, "fp-num fp-wrap-text")

    def _changed(self, flow: FlowRow) -> str:
        return _("Changed {updated_at}").format(updated_at=self.times.moment(flow.updated_at))

    def _which(self, flow: FlowRow) -> str:
        """Tells the flow from others with its title: when it was made, and how its id and its API's address end."""
        made = self.times.moment(flow.created_at)
        return _("Made {created_at}, address …{end}").format(created_at=made, end=flow.id[-5:])

    def _actions(self, flow: FlowRow) -> None:
        may_deploy = self.page_session.may("deploy")
        if may_deploy and not flow.newest_version:
            button(_("Save As"), lambda: self._save_as(flow), small=True)
        elif may_deploy and _wants_button(flow):
            verb = _("Update API") if flow.live_version is not None else _("Deploy API")
            link_button(verb, f"/flows/{flow.id}?deploy=1", icon="rocket_launch", small=True)
        with menu_button(_("More for {title}").format(title=flow.title)):
            menu_item(_("Open"), lambda: ui.navigate.to(f"/flows/{flow.id}"), icon="arrow_forward")
            menu_item(_("Open in Playground"), lambda: ui.navigate.to(f"/playground/{flow.id}"), icon="schema")
            if self.page_session.may("edit flows"):
                menu_item(_("Duplicate"), lambda: self._duplicate(flow), icon="content_copy")
            menu_item(_("Export"), lambda: flow_actions.export(self.page_session, flow), icon="download")
            with menu_item(
                _("Export as YAML"), lambda: flow_actions.export(self.page_session, flow, "yaml"), icon="download"
            ):
                ui.tooltip(_("The same flow as a file that programmers read and compare more easily."))
            if self.page_session.may("edit flows"):
                menu_item(_("Import..."), lambda: self.upload.run_method("pickFiles"), icon="upload")
            if may_deploy and flow.newest_version:
                ui.separator()
                if flow.live_version is None or newer_draft(flow):
                    verb = _("Update API") if flow.live_version is not None else _("Deploy API")
                    menu_item(verb, lambda: ui.navigate.to(f"/flows/{flow.id}?deploy=1"), icon="rocket_launch")
                if flow.live_version is not None:
                    menu_item(_("Undeploy API"), lambda: self._undeploy(flow), icon="cloud_off")
            if self.page_session.may("edit flows"):
                ui.separator()
                menu_item(_("Delete..."), lambda: self._delete(flow), icon="delete", danger=True)

    async def _save_as(self, flow: FlowRow) -> None:
        if await flow_actions.save_flow_as(self.page_session, flow):
            await self._look()

    async def _duplicate(self, flow: FlowRow) -> None:
        if await flow_actions.duplicate(self.page_session, flow):
            await self._look()

    async def _undeploy(self, flow: FlowRow) -> None:
        if await flow_actions.undeploy_flow(self.page_session, flow):
            await self._look()

    async def _delete(self, flow: FlowRow) -> None:
        if await flow_actions.delete(self.page_session, flow):
            await self._look()


def _wants_button(flow: FlowRow) -> bool:
    """Whether a row has a button beside its menu: Save As, Deploy API or Update API."""
    return not flow.newest_version or flow.live_version is None or newer_draft(flow)


_KINDS = {
    "all": (_("All"), lambda _flow: True),
    "live": (_("Live"), lambda flow: flow.live_version is not None),
    "saved": (_("Not deployed"), lambda flow: flow.state is FlowState.DRAFT),
    "undeployed": (_("Undeployed"), lambda flow: flow.state is FlowState.UNDEPLOYED),
    "draft": (_("Drafts"), lambda flow: flow.state is FlowState.NOT_SAVED),
}
