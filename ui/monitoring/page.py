"""Monitoring: endpoints in a table, tiles and charts, for a range of time, filtered by flow and key, updated live.

The URL contains the range and the filters (`/monitoring?range=7d&flow=flow_1&key=key_2`). `flow_monitoring` draws the
same for one flow.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct
from msgspec.structs import replace
from nicegui import ui
from sqlalchemy.orm import Session
from starlette.requests import Request

from engine.core.clock import MINUTE
from storage.database import now
from storage.job_documents import list_key_labels
from storage.monitoring.curves import Curves, read_curves, read_mark
from storage.monitoring.figures import Figures, Tried, read_figures, read_tried
from storage.monitoring.period import Filters, Period
from ui.kit import feedback
from ui.kit.assets import asset_url
from ui.kit.parts import button, link, link_button, words
from ui.kit.text import Reader, _, number, plural
from ui.monitoring.callers import CallerTable
from ui.monitoring.cards import ChartCards
from ui.monitoring.endpoints import EndpointTable
from ui.monitoring.filter_bar import FilterBar, View, load_choices, range_choice
from ui.monitoring.tiles import monitoring_tiles
from ui.monitoring.words import RANGE_WORDS, cost_words
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import every, opened, times_of
from ui.parts.quota import quota_note

#: Interval of the checks for changes, which are cheap when nothing changed; and the least time between two drawings.
LOOK_SECONDS = 0.5
REST_SECONDS = 1.0


class MonitoringContents(Struct, frozen=True):
    """All figures of one read, from one transaction. `curves` None: the charts' data was not read yet. `keys`: key id ->
    label.
    """

    mark: tuple[Any, ...]
    figures: Figures
    curves: Curves | None
    keys: Mapping[str, str]
    #: What was run in the Playground; None where the figures are of one key or environment.
    tried: Tried | None


def load_mark(session: Session, workspace_id: str) -> tuple[Any, ...]:
    """Reads a value that differs when figures may have changed, and once a minute."""
    return (*read_mark(session, workspace_id), now(session) // MINUTE)


def load_figures(
    session: Session,
    workspace_id: str,
    view: View,
    reader: Reader,
    mark: tuple[Any, ...] | None,
    *,
    curves: bool = True,
) -> MonitoringContents | None:
    """Reads the figures of a view. Returns None when nothing happened since `mark`."""
    at = now(session)
    fresh = (*load_mark(session, workspace_id), view)
    if fresh == mark:
        return None
    period = Period.in_zone(at, view.range_name, reader.zone)
    figures = read_figures(session, workspace_id, view.filters, period)
    drawn = read_curves(session, workspace_id, view.filters, period) if curves else None
    filters = view.filters
    of_all = filters.key_id is None and filters.environment is None
    tried = read_tried(session, workspace_id, filters.flow_id, period) if of_all else None
    return MonitoringContents(fresh, figures, drawn, list_key_labels(session, workspace_id), tried)


def register(app: App) -> None:
    """Registers `/monitoring`."""

    @page_at("/monitoring")
    async def open_monitoring(request: Request) -> None:
        page_session = await open_page_session(app, request)
        choices = await page_session.query(load_choices)
        board = Board(page_session, View.of(request.query_params, choices))
        seen = await page_session.query(load_figures, board.view, board.reader, None, curves=False)
        quota = await quota_note(page_session)
        with opened(page_session, _("Monitoring"), active="monitoring", sub="") as page:
            quota.draw()
            with page.actions:
                FilterBar(board.view, choices, board.turn).build()
            board.build(table=True)
            if seen is not None:
                board.show(seen)
        every(LOOK_SECONDS, board.follow)
        quota.watch()


async def flow_monitoring(page_session: PageSession, flow_id: str, on_how: Callable[[], Any] | None = None) -> None:
    """Draws tiles and charts of one flow in the current slot and updates them until the slot is cleared.

    `on_how` shows how to send a call.
    """
    board = Board(page_session, View(filters=Filters(flow_id=flow_id)), on_how=on_how)
    seen = await page_session.query(load_figures, board.view, board.reader, None, curves=False)  # they follow
    with ui.element("div").classes("fp-col"):
        with ui.element("div").classes("fp-row"):
            board.sub = words("", "fp-s13 fp-t2", tag="p")
            words("", "fp-sp")
            range_choice(board.view, board.turn_range)
        board.build(table=False)
    if seen is not None:
        board.show(seen)
    every(LOOK_SECONDS, board.follow)


class Board:
    """Table, tiles and charts of a view, updated in place when something happened."""

    def __init__(self, page_session: PageSession, view: View, on_how: Callable[[], Any] | None = None) -> None:
        self.page_session = page_session
        self.view = view
        self.on_how = on_how
        self.times = times_of(page_session)
        self.reader = self.times.reader
        self.mark: tuple[Any, ...] | None = None
        self.sub: Any = None
        self.drawn_at = 0.0

    def build(self, *, table: bool) -> None:
        """Draws the empty elements; `show` fills them. `table`: with those of endpoints and callers."""
        ui.add_head_html(f'<link rel="stylesheet" href="{asset_url("monitoring.css")}">')
        if self.sub is None:
            self.sub = words("", "fp-sub fp-under", tag="p")
        with ui.element("div").classes("fp-col fp-monitoring"):
            self.tried = ui.element("p").classes("fp-s13 fp-t2")
            self.endpoints = EndpointTable(self.times) if table else None
            self.tiles = ui.element("div").classes("fp-tiles fp-tiles--figures")
            self.callers = CallerTable(self.times) if table else None
            self.nothing = ui.element("section").classes("fp-card")
            self.charts_place = ui.element("div")
            with self.charts_place:
                self.cards = ChartCards(
                    self.reader, by="model" if self.view.filters.flow_id else "flow", turnable=table
                )

    async def follow(self) -> None:
        """Reads the figures again, unless they were drawn a moment ago."""
        if time.monotonic() - self.drawn_at >= REST_SECONDS:
            await self.look()

    async def look(self) -> None:
        """Reads the figures again when something happened, and once a minute."""
        view = self.view
        if self.mark is not None and self.mark == (*await self.page_session.query_again(load_mark), view):
            return
        seen = await self.page_session.query_again(load_figures, view, self.reader, self.mark)
        if seen is not None and view == self.view and not self.tiles.is_deleted:
            self.show(seen)

    async def turn_range(self, range_name: str) -> None:
        """Shows another range of time."""
        await self.turn(replace(self.view, range_name=range_name))

    async def turn(self, view: View) -> None:
        """Shows another view."""
        self.view = view
        await self.look()

    def show(self, seen: MonitoringContents) -> None:
        """Draws the figures."""
        figures = seen.figures
        self.sub.text = self._sentence()
        self._show_tried(seen.tried)
        if self.endpoints is not None:
            self.endpoints.show(figures.endpoints, self.view.range_name)
            self.endpoints.place.visible = bool(figures.endpoints)
        if self.callers is not None:
            self.callers.show(figures, seen.keys, self.view.filters, self.view.range_name)
        self.tiles.clear()
        with self.tiles:
            monitoring_tiles(figures, self.view.range_name, self.reader, of_api=self.view.filters.of_api)
        quiet = not figures.requests and not figures.refused
        self._show_nothing(figures, quiet=quiet)
        self.charts_place.visible = not quiet
        if seen.curves is not None:  # the first read has none: without a mark the next look reads all
            self.mark = seen.mark
            self.drawn_at = time.monotonic()
            if not quiet:
                self.cards.show(figures, seen.curves, self.view.filters, self.view.range_name)

    def _show_tried(self, tried: Tried | None) -> None:
        self.tried.clear()
        self.tried.visible = tried is not None and bool(tried.runs or tried.refused)
        if tried is None or not self.tried.visible:
            return
        query = {"environment": "playground", "range": self.view.range_name, "flow": self.view.filters.flow_id or ""}
        filtered = urlencode({name: value for name, value in query.items() if value})
        said = _("In the Playground in the same time: {runs}, {failed} failed, cost {cost}.").format(
            runs=plural(tried.runs, _("run"), _("runs"), self.reader),
            failed=number(tried.failed, self.reader),
            cost=cost_words(tried.cost, self.reader),
        )
        if tried.refused:
            rows = _("{count} rows of batches were refused before they ran.")
            if tried.refused == 1:
                rows = _("{count} row of a batch was refused before it ran.")
            said += " " + rows.format(count=number(tried.refused, self.reader))
        with self.tried:
            words(said + " ")
            link(_("See them in Jobs"), f"/jobs?{filtered}")
            if tried.refused:
                words(" · ")
                link(_("See what was refused"), f"/jobs?tab=refused&{filtered}")

    def _sentence(self) -> str:
        span = _("The last {range_words}").format(range_words=RANGE_WORDS[self.view.range_name][1])
        if not self.view.filters.of_api:
            return _("{span} of runs in the Playground. They do not count toward your plan.").format(span=span)
        if self.endpoints is None:
            return _("{span} of calls to this API. Runs in the Playground do not count.").format(span=span)
        return _("{span} of calls to your APIs. Runs in the Playground do not count.").format(span=span)

    def _show_nothing(self, figures: Figures, *, quiet: bool) -> None:
        self.nothing.visible = quiet
        self.nothing.clear()
        if not quiet:
            return
        span = RANGE_WORDS[self.view.range_name][1]
        live = [one for one in figures.endpoints if one.live_version is not None]
        with self.nothing:
            if not self.view.filters.of_api:
                with feedback.empty(
                    "monitoring",
                    _("No runs in the last {span}").format(span=span),
                    _("Run a flow in the Playground: it appears here."),
                ):
                    link_button(_("Open the Playground"), "/playground", icon="schema")
                return
            sentence = _("A call appears here a second after it was made.")
            if not live and self.on_how is None:
                sentence = _("Deploy a flow first: it gets an address that programs can call.")
            if self.endpoints is not None:
                sentence += " " + _("For runs in the Playground choose “Playground runs” under All keys.")
            with feedback.empty("monitoring", _("No calls in the last {span}").format(span=span), sentence):
                if self.on_how is not None:
                    button(_("How to send one"), self.on_how, icon="code")
                elif live:
                    link_button(_("How to send one"), f"/flows/{live[0].flow_id}", icon="code")
                else:
                    link_button(_("Go to Saved Flows"), "/flows", icon="folder_open")
