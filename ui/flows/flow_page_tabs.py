"""The tabs of a flow's page except API: Schedules and webhooks, Versions, Jobs, Monitoring and Settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct
from nicegui import ui
from sqlalchemy.orm import Session

from engine.flow.document import Document, load_document
from storage.flows import DeploymentRow, FlowRow, VersionLine, get_draft, get_version, list_deployments, list_versions
from storage.job_documents import list_key_labels
from storage.jobs import JobFilters, JobPage, list_beginnings, list_jobs
from storage.questions import list_refusers
from storage.schedules import list_started_by_hand
from storage.triggers import list_trigger_titles
from ui.flow_view.compare_versions import by_whom, show_version
from ui.flows.canvas_choice import load_canvas
from ui.flows.deploy import deploy_flow
from ui.flows.settings_tab import draw_settings
from ui.flows.triggers_tab import TriggersTab
from ui.kit import feedback
from ui.kit.long_lists import draw_in_parts
from ui.kit.parts import Column, TableElement, button, card, link_button, status_badge, table, words
from ui.kit.text import _
from ui.monitoring.page import flow_monitoring
from ui.page_session import PageSession
from ui.page_shell import times_of
from ui.parts.job_table import LARGEST_INPUT, job_table
from ui.parts.open_drafts import drafts_of

SHOWN_JOBS = 20
#: Times in which a version was live that its row shows.
MAX_PERIODS = 2


class LivePeriod(Struct, frozen=True):
    """A time in which callers got a version; `version` is None while the flow was undeployed, `until` None until now."""

    version: int | None
    since: int
    until: int | None
    actor: str


def live_periods(history: Sequence[DeploymentRow]) -> list[LivePeriod]:
    """Returns from when to when each version was live, newest first, from the history of an endpoint, newest first."""
    ends = [None, *(entry.at for entry in history)]
    return [
        LivePeriod(entry.version, entry.at, until, entry.actor) for entry, until in zip(history, ends, strict=False)
    ]


class FlowTabs:
    """Draws a tab in the current slot.

    `flow` returns the flow as last read; `changed` is called after the flow was changed.
    """

    def __init__(
        self,
        page_session: PageSession,
        flow: Callable[[], FlowRow],
        *,
        changed: Callable[[], Awaitable[None]],
        show_api: Callable[[], None],
    ) -> None:
        self.page_session = page_session
        self.flow = flow
        self.changed = changed
        self.show_api = show_api
        self.times = times_of(page_session)

    async def draw(self, name: str) -> None:
        """Draws `triggers`, `versions`, `jobs`, `monitoring` or `settings`."""
        match name:
            case "triggers":
                await TriggersTab(self.page_session, self.flow).draw()
            case "versions":
                await self._versions()
            case "jobs":
                await self._jobs()
            case "monitoring":
                await self._monitoring()
            case "settings":
                draw_settings(self.page_session, self.flow(), self.changed)

    async def _versions(self) -> None:
        flow = self.flow()
        place = ui.context.slot.parent
        versions, history = await self.page_session.query(_load_versions, flow.id)
        if place.is_deleted:  # the person has opened another page meanwhile
            return
        if not versions:
            with (
                ui.element("section").classes("fp-card"),
                feedback.empty(
                    "save",
                    _("No version yet"),
                    _("Save As in the Playground makes version 1. A version never changes."),
                ),
            ):
                link_button(_("Open in Playground"), f"/playground/{flow.id}", icon="schema")
            return
        said = _("A version never changes. The live one is what callers get.")
        if len(versions) > 1 and self.page_session.may("deploy"):
            said += " " + _(
                "To go back, press Make live: callers get that version again. Put on the canvas changes nothing for them: "
                "it brings the version into the Playground, to work on."
            )
        with card(_("Versions"), said, padded=False):
            columns = [
                Column(_("Version")),
                Column(_("Note")),
                Column(_("Saved")),
                Column(_("When callers got it"), width="23%"),
                Column(_("What to do"), hidden=True, right=True),
            ]
            rows = table(columns, label=_("Versions"), stacks=True, tall=True)
            periods = live_periods(history)
            lived: dict[int | None, list[LivePeriod]] = {}
            for period in periods:
                lived.setdefault(period.version, []).append(period)

            def draw(version: VersionLine) -> None:
                self._draw_version(rows, version, lived.get(version.number, []))

            draw_in_parts(versions, draw, _("Older versions"))
        if history:
            with card(_("What was live"), padded=False):
                columns = [
                    Column(_("What callers got")),
                    *(Column(title, named=True) for title in (_("From"), _("To"), _("By"))),
                ]
                past = table(columns, label=_("What was live"), stacks=True)
                draw_in_parts(periods, lambda period: self._draw_period(past, period), _("Earlier"))

    def _draw_version(self, rows: TableElement, version: VersionLine, periods: Sequence[LivePeriod]) -> None:
        with rows.row():
            with rows.cell(), ui.element("span").classes("fp-row"):
                words(_("Version {number}").format(number=version.number), "fp-b")
                if version.number == self.flow().live_version:
                    status_badge("live")
            rows.cell(version.note, "fp-t2 fp-wrap-text")
            with rows.cell():
                words(self.times.moment(version.created_at), "fp-t2")
                words(_("by {by_whom}").format(by_whom=by_whom(version.created_by)), "fp-s12 fp-t3", tag="div")
            with rows.cell(classes="fp-wrap-text fp-roomy"):
                self._when_live(periods)
            with rows.cell(), ui.element("span").classes("fp-row fp-right"):
                self._version_verbs(version)

    def _draw_period(self, rows: TableElement, period: LivePeriod) -> None:
        with rows.row():
            rows.cell(
                _("Version {version}").format(version=period.version)
                if period.version
                else _("Nothing, it was undeployed"),
                "fp-b" if period.until is None else "",
            )
            rows.cell(self.times.moment(period.since), "fp-t2")
            rows.cell(_("now") if period.until is None else self.times.moment(period.until), "fp-t2")
            rows.cell(by_whom(period.actor), "fp-t2")

    def _when_live(self, periods: Sequence[LivePeriod]) -> None:
        """Draws when callers got a version, the newest time first."""
        if not periods:
            words(_("never live"), "fp-t3")
        for period in periods[:MAX_PERIODS]:
            since = self.times.moment(period.since)
            if period.until is None:
                words(_("live since {since}").format(since=since), "fp-ok fp-b", tag="div")
                continue
            until = self.times.moment(period.until)
            words(_("live from {since} to {until}").format(since=since, until=until), "fp-t2", tag="div")
        if len(periods) > MAX_PERIODS:
            words(_("and earlier, see What was live"), "fp-s12 fp-t3", tag="div")

    def _version_verbs(self, version: VersionLine) -> None:
        view = button(_("View"), lambda: self.view(version), small=True, kind="quiet")
        view.props["aria-label"] = _("View version {number}").format(number=version.number)
        if self.page_session.may("edit flows"):
            button(_("Put on the canvas"), lambda: self.restore(version.number), small=True, kind="quiet")
        if self.page_session.may("deploy") and version.number != self.flow().live_version:
            button(_("Make live"), lambda: self._make_live(version.number), small=True)

    async def view(self, version: VersionLine, *, with_canvas: bool = False) -> None:
        """Shows a version's graph, compared with what is live now, or with what is on the canvas."""
        flow = self.flow()
        document, draft = await self.page_session.query(_load_documents, flow.id, version.number)
        chosen = await show_version(self.page_session, flow, version, document, draft, with_canvas=with_canvas)
        if chosen == "restore":
            await self.restore(version.number)
        elif chosen == "live":
            await self._make_live(version.number)

    async def restore(self, number: int) -> None:
        """Replaces the draft by a version; asks first when no version has all of what is on the canvas."""
        canvas = await self.page_session.query(load_canvas, self.flow().id, number)
        lost = (
            _("What is on the canvas now was not saved as a version and is replaced. Callers notice nothing.")
            if canvas.kept_as is None
            else _(
                "Steps that are not connected are in no version and are taken off the canvas. Callers notice nothing."
            )
        )
        sure = (canvas.kept_as is not None and not canvas.loose) or await feedback.confirm(
            _("Put version {number} on the canvas?").format(number=number),
            lost,
            verb=_("Put on the canvas"),
        )
        if not sure:
            return
        with feedback.refusals_told() as outcome:
            async with drafts_of(self.page_session.app).borrowed(self.page_session, self.flow().id) as draft:
                await draft.restore(self.page_session, number)
        if not outcome.refused:
            feedback.told(
                _("Version {number} is on the canvas.").format(number=number), _("Nothing changed for callers.")
            )
            await self.changed()

    async def _make_live(self, number: int) -> None:
        await deploy_flow(self.page_session, self.flow(), number)
        await self.changed()

    async def _jobs(self) -> None:
        flow = self.flow()
        place = ui.context.slot.parent
        jobs, labels, by_hand, refusers, inputs = await self.page_session.query(_load_jobs, flow.id)
        if place.is_deleted:
            return
        if not jobs.jobs:
            with (
                ui.element("section").classes("fp-card"),
                feedback.empty(
                    "inbox", _("No jobs yet"), _("Each call and each run in the Playground becomes a job here.")
                ),
            ):
                link_button(_("Run it in the Playground"), f"/playground/{flow.id}", icon="play_arrow")
            return
        with card(_("Newest jobs"), padded=False) as box:
            with box.head:
                link_button(_("All jobs of this flow"), f"/jobs?flow={flow.id}", kind="link", small=True)
            job_table(
                jobs.jobs,
                self.times,
                titles=None,
                keys=labels,
                by_hand=by_hand,
                refusers=refusers,
                inputs=inputs,
                label=_("Newest jobs of this flow"),
            )

    async def _monitoring(self) -> None:
        await flow_monitoring(self.page_session, self.flow().id, self.show_api)


def _load_versions(session: Session, workspace_id: str, flow_id: str) -> tuple[list[VersionLine], list[DeploymentRow]]:
    return list_versions(session, workspace_id, flow_id), list_deployments(session, workspace_id, flow_id)


def _load_documents(session: Session, workspace_id: str, flow_id: str, number: int) -> tuple[Document, Document]:
    version = get_version(session, workspace_id, flow_id, number)
    draft = get_draft(session, workspace_id, flow_id)
    return load_document(version.document), load_document(draft.document)


def _load_jobs(
    session: Session, workspace_id: str, flow_id: str
) -> tuple[JobPage, dict[str, str], frozenset[str], dict[str, str], dict[str, str]]:
    jobs = list_jobs(session, workspace_id, JobFilters(flow_id=flow_id), limit=SHOWN_JOBS)
    labels = {**list_key_labels(session, workspace_id), **list_trigger_titles(session, workspace_id)}
    by_hand = list_started_by_hand(session, workspace_id, jobs.jobs)
    refusers = list_refusers(session, workspace_id, jobs.jobs)
    return jobs, labels, by_hand, refusers, list_beginnings(session, jobs.jobs, LARGEST_INPUT)
