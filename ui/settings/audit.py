"""Settings, Audit log, for owners: who did what, when and from where, with filters in the URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from nicegui import ui
from sqlalchemy.orm import Session
from starlette.requests import Request

from storage.audit import AuditFilters, AuditRow, list_entries
from ui.kit import feedback
from ui.kit.parts import Column, button, link, link_button, table, words
from ui.kit.text import _
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import every, one_at_a_time, times_of
from ui.parts.ask_owners import ask_note
from ui.parts.filter_choice import filter_choice
from ui.parts.table_downloads import TableDownloads
from ui.parts.time_range import Span, span_choice
from ui.settings.audit_csv import CSV_PATH, PATH, AuditView
from ui.settings.audit_lines import KINDS, Places, is_about_its_actor, load_names, load_places, more, what
from ui.settings.navigation import settings_page

PAGE_SIZE = 50
LOOK_SECONDS = 5.0
ANY = ""


class SeenLog(Struct, frozen=True):
    """The data of the page. It has one entry more than is shown when there are older ones."""

    rows: tuple[AuditRow, ...]
    #: Every actor in the log, and what they are called.
    actors: Mapping[str, str]
    places: Places


def load_log(session: Session, workspace_id: str, filters: AuditFilters, before: int | None) -> SeenLog:
    """Reads a page of entries and the subjects to which they may link."""
    rows = list_entries(session, workspace_id, PAGE_SIZE + 1, filters, before)
    return SeenLog(tuple(rows), load_names(session, workspace_id), load_places(session, workspace_id))


def register(app: App) -> None:
    """Registers `/settings/audit`."""

    @page_at("/settings/audit")
    async def open_audit(request: Request) -> None:
        await AuditPage(await open_page_session(app, request), AuditView.of(dict(request.query_params))).build()


class AuditPage:
    """One open page of the audit log."""

    def __init__(self, page_session: PageSession, view: AuditView) -> None:
        self.page_session = page_session
        self.view = view
        self.times = times_of(page_session)

    async def build(self) -> None:
        """Draws the page."""
        may = self.page_session.may("manage people")
        if may:
            self.seen = await self._see()
        with settings_page(self.page_session, "audit", _("Who did what, when and from where.")) as page:
            if not may:
                ask_note(self.page_session, _("Only owners see who did what."))
                return
            with page.actions:
                self.files = TableDownloads(CSV_PATH, self.view.query())
            with ui.element("div").classes("fp-filters"):
                self._draw_filters()
            self.body = ui.element("div").classes("fp-col")
            self._draw()
        every(LOOK_SECONDS, self._look)

    async def _see(self) -> SeenLog:
        filters = self.view.filters(self.times.clock.now(), self.times.reader.zone)
        return await self.page_session.query_again(load_log, filters, self.view.before)

    @one_at_a_time
    async def _look(self) -> None:
        if not self.page_session.may("manage people"):
            return
        fresh = await self._see()
        if fresh != self.seen:
            self.seen = fresh
            self._draw()

    # Filters.

    def _draw_filters(self) -> None:
        actors = sorted(self.seen.actors.items(), key=lambda item: item[1].casefold())
        self._select(_("Who"), {ANY: _("Everybody"), **dict(actors)}, self.view.who, "who")
        self._select(_("What"), {ANY: _("Everything"), **KINDS}, self.view.kind, "kind")
        span_choice(self.view.span, self._span)

    def _select(self, label: str, options: Mapping[str, str], value: str, name: str) -> None:
        filter_choice(label, options, value, lambda chosen: self._narrow(**{name: chosen}))

    async def _span(self, span: Span) -> None:
        await self._narrow(span=span)

    async def _narrow(self, **changes: Any) -> None:
        self.view = replace(self.view, **{"before": None, **changes})
        self.files.narrow(self.view.query())
        ui.navigate.history.replace(self.view.path())
        self.seen = await self._see()
        self._draw()

    # Entries.

    def _draw(self) -> None:
        rows, older = self.seen.rows[:PAGE_SIZE], len(self.seen.rows) > PAGE_SIZE
        self.body.clear()
        with self.body:
            with ui.element("section").classes("fp-card"):
                if rows:
                    self._draw_rows(rows)
                else:
                    with feedback.empty(
                        "filter_alt_off", _("Nothing fits these filters"), _("Take one away to see more.")
                    ):
                        link_button(_("Show everything"), PATH)
            if self.view.before is not None or older:
                with ui.element("nav").classes("fp-row fp-pages") as pages:
                    pages.props["aria-label"] = _("Pages of the log")
                    if self.view.before is not None:
                        button(_("Newest"), lambda: self._narrow(before=None), icon="first_page")
                    words("", "fp-sp")
                    if older:
                        last = rows[-1].id
                        button(_("Older lines"), lambda: self._narrow(before=last), icon="chevron_right")

    def _draw_rows(self, rows: tuple[AuditRow, ...]) -> None:
        columns = [Column(_("When"), width="130px"), Column(_("What")), Column(_("From"), width="130px")]
        listed = table(columns, label=_("Audit log"), tall=True, stacks=True).props("tabindex=0")
        for row in rows:
            with listed.row():
                listed.cell(self.times.moment(row.at), "fp-t2 fp-nw")
                with listed.cell(classes="fp-wrap-text"):
                    words(self.seen.actors.get(row.actor, row.actor) + " ", "fp-b")
                    words(what(row.verb) + " ")
                    place = None if is_about_its_actor(row) else self.seen.places.known.get(row.subject)
                    if place is not None:
                        link(place[0], place[1], "fp-in-text")
                    if said := more(row):
                        words(said, "fp-s12 fp-t3 fp-wrap-text", tag="div")
                listed.cell(row.address, "fp-mono fp-s12 fp-t2")
