"""Monitoring: how the endpoints do, in a table, tiles and charts, for a range of time, narrowed by flow and key, live.

What is chosen stands in the address (`/monitoring?range=7d&flow=flow_1&key=key_2`). `flow_monitoring` draws the same for one flow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from nicegui import ui
from sqlalchemy.orm import Session
from starlette.requests import Request

from engine.clock import MINUTE, SECOND
from storage.database import now
from storage.flows import FlowRow, list_flows
from storage.keys import KeyRow, list_keys
from storage.monitoring_curves import Curves, read_curves, read_mark
from storage.monitoring_figures import Figures, read_figures
from storage.monitoring_period import RANGES, Narrowing, Period
from ui import feedback
from ui.assets import asset_url
from ui.monitoring_cards import ChartCards
from ui.monitoring_endpoints import EndpointTable
from ui.monitoring_tiles import monitoring_tiles
from ui.monitoring_words import FIRST_RANGE, RANGE_WORDS
from ui.opened import every, opened, times_of
from ui.parts import ENVIRONMENTS, button, drop_menu, icon, link_button, menu_item, segments, words
from ui.text import Reader, _
from ui.times import when
from ui.visit import App, Visit, visit

LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class View:
    """What is shown: a range of time, and what it is narrowed to."""

    range_name: str = FIRST_RANGE
    narrowing: Narrowing = Narrowing()

    @classmethod
    def of(cls, range_name: str, flow: str, key: str, environment: str, choices: Choices) -> View:
        """As an address says it; what is not there is left out."""
        return cls(
            range_name if range_name in RANGES else FIRST_RANGE,
            Narrowing(
                flow if flow in {one.id for one in choices.flows} else None,
                key if key in {one.id for one in choices.keys} else None,
                environment if environment in ENVIRONMENTS else None,
            ),
        )

    def path(self) -> str:
        """The address of this view."""
        chosen = self.narrowing
        said = {
            "range": self.range_name if self.range_name != FIRST_RANGE else None,
            "flow": chosen.flow_id,
            "key": chosen.key_id,
            "environment": chosen.environment,
        }
        said = {name: value for name, value in said.items() if value}
        return "/monitoring" + (f"?{urlencode(said)}" if said else "")


@dataclass(frozen=True)
class Choices:
    """Flows and keys to narrow by."""

    flows: tuple[FlowRow, ...]
    keys: tuple[KeyRow, ...]


@dataclass(frozen=True)
class Seen:
    """One look: everything from the same moment. `curves` None: not looked at yet."""

    mark: tuple[Any, ...]
    figures: Figures
    curves: Curves | None


def look_at_choices(session: Session, workspace_id: str) -> Choices:
    """The workspace's flows and keys."""
    return Choices(tuple(list_flows(session, workspace_id)), tuple(list_keys(session, workspace_id)))


def look_at_figures(
    session: Session, workspace_id: str, view: View, reader: Reader, mark: tuple[Any, ...] | None, *, curves: bool = True
) -> Seen | None:
    """The figures of a view, None when nothing happened since `mark`."""
    at = now(session)
    fresh = (*read_mark(session, workspace_id), at // MINUTE, view)
    if fresh == mark:
        return None
    offset = datetime.now(reader.zone) if at is None else when(at).astimezone(reader.zone)
    ahead = offset.utcoffset()
    period = Period.ending(at, view.range_name, round(ahead.total_seconds() * SECOND) if ahead else 0)
    figures = read_figures(session, workspace_id, view.narrowing, period)
    return Seen(fresh, figures, read_curves(session, workspace_id, view.narrowing, period) if curves else None)


def register(app: App) -> None:
    """Registers `/monitoring`."""

    @ui.page("/monitoring", language="en-US")
    async def open_monitoring(
        request: Request, flow: str = "", key: str = "", environment: str = ""
    ) -> None:
        here = visit(app, request)
        choices = await here.see(look_at_choices)
        view = View.of(request.query_params.get("range", ""), flow, key, environment, choices)
        board = Board(here, view)
        seen = await here.see(look_at_figures, view, board.reader, None, curves=False)
        with opened(here, _("Monitoring"), active="monitoring", sub="") as page:
            with page.actions:
                Filters(board, choices).build()
            board.build(table=True)
            if seen is not None:
                board.show(seen)
        every(LOOK_SECONDS, board.look)


async def flow_monitoring(here: Visit, flow_id: str, on_how: Callable[[], Any] | None = None) -> None:
    """Tiles and charts of one flow, where we are, live until the place is cleared. `on_how` shows how to send a call."""
    board = Board(here, View(narrowing=Narrowing(flow_id=flow_id)), on_how=on_how)
    seen = await here.see(look_at_figures, board.view, board.reader, None)
    with ui.element("div").classes("fp-col"):
        with ui.element("div").classes("fp-row"):
            board.sub = words("", "fp-s13 fp-t2", tag="p")
            words("", "fp-sp")
            range_choice(board)
        board.build(table=False)
    if seen is not None:
        board.show(seen)
    every(LOOK_SECONDS, board.look)


class Board:
    """Table, tiles and charts of a view, changed where they stand when something happened."""

    def __init__(self, here: Visit, view: View, on_how: Callable[[], Any] | None = None) -> None:
        self.here = here
        self.view = view
        self.on_how = on_how
        self.times = times_of(here)
        self.reader = self.times.reader
        self.mark: tuple[Any, ...] | None = None
        self.sub: Any = None

    def build(self, *, table: bool) -> None:
        """Draws the places; `show` fills them."""
        ui.add_head_html(f'<link rel="stylesheet" href="{asset_url("monitoring.css")}">')
        if self.sub is None:
            self.sub = words("", "fp-sub fp-under", tag="p")
        with ui.element("div").classes("fp-col fp-monitoring"):
            self.endpoints = EndpointTable(self.times) if table else None
            self.tiles = ui.element("div").classes("fp-tiles fp-tiles--six")
            self.nothing = ui.element("section").classes("fp-card")
            self.charts_place = ui.element("div")
            with self.charts_place:
                self.cards = ChartCards("flow" if table and not self.view.narrowing.flow_id else "model", self.reader)

    async def look(self) -> None:
        """Reads again when something happened, and once a minute."""
        view = self.view
        seen = await self.here.see(look_at_figures, view, self.reader, self.mark)
        if seen is not None and view == self.view and not self.tiles.is_deleted:
            self.show(seen)

    async def turn(self, view: View) -> None:
        """Shows something else."""
        self.view = view
        await self.look()

    def show(self, seen: Seen) -> None:
        """Draws what was seen."""
        figures = seen.figures
        self.sub.text = self._sentence()
        if self.endpoints is not None:
            self.endpoints.show(figures.endpoints, self.view.range_name)
            self.endpoints.place.visible = bool(figures.endpoints)
        self.tiles.clear()
        with self.tiles:
            monitoring_tiles(figures, self.view.range_name, self.reader)
        quiet = not figures.requests and not figures.refused
        self._show_nothing(figures, quiet=quiet)
        self.charts_place.visible = not quiet
        if seen.curves is not None:
            self.mark = seen.mark
            if not quiet:
                self.cards.show(figures, seen.curves, self.view.narrowing, self.view.range_name)

    def _sentence(self) -> str:
        span = f"{_('The last')} {RANGE_WORDS[self.view.range_name][1]}"
        if not self.view.narrowing.of_api:
            return f"{span} {_('of runs in the Playground. They hold no slot and do not count for the month.')}"
        return f"{span} {_('of calls to your APIs. Runs in the Playground do not count.')}"

    def _show_nothing(self, figures: Figures, *, quiet: bool) -> None:
        self.nothing.visible = quiet
        self.nothing.clear()
        if not quiet:
            return
        span = RANGE_WORDS[self.view.range_name][1]
        live = [one for one in figures.endpoints if one.live_version is not None]
        with self.nothing:
            if not self.view.narrowing.of_api:
                with feedback.empty("monitoring", f"{_('No runs in the last')} {span}", _("Run a flow in the Playground: it appears here.")):
                    link_button(_("Open the Playground"), "/playground", icon="schema")
                return
            sentence = _("A call appears here a second after it was made.")
            if not live and self.on_how is None:
                sentence = _("Deploy a flow first: it gets an address that programs can call.")
            with feedback.empty("monitoring", f"{_('No calls in the last')} {span}", sentence):
                if self.on_how is not None:
                    button(_("How to send one"), self.on_how, icon="code")
                elif live:
                    link_button(_("How to send one"), f"/flows/{live[0].flow_id}", icon="code")
                else:
                    link_button(_("Go to Saved Flows"), "/flows", icon="folder_open")


def range_choice(board: Board) -> None:
    """1 h, 24 h, 7 d, 30 d."""

    async def turn(name: str) -> None:
        await board.turn(replace(board.view, range_name=name))

    segments({name: said[0] for name, said in RANGE_WORDS.items()}, board.view.range_name, turn, label=_("Range of time"))


class Filters:
    """Flow, key and range at the head of the page; the address follows."""

    def __init__(self, board: Board, choices: Choices) -> None:
        self.board = board
        self.choices = choices

    def build(self) -> None:
        """Draws them where we are."""
        flows = [(None, _("All flows"), ""), *((one.id, one.title, "") for one in self.choices.flows)]
        self.flow = self._menu("schema", _("Flow"), flows, self._pick_flow)
        keys = [
            (None, _("All keys"), ""),
            *((f"environment:{name}", f"{ENVIRONMENTS[name][0]}, {_('all keys')}", ENVIRONMENTS[name][1]) for name in ("live", "test", "dev")),
            *((f"key:{one.id}", f"{one.label}, {ENVIRONMENTS[one.environment][0]}", "key") for one in self.choices.keys),
            ("environment:playground", _("Playground runs"), "schema"),
        ]
        self.key = self._menu("key", _("Key"), keys, self._pick_key)

        async def turn(name: str) -> None:
            await self._turn(replace(self.board.view, range_name=name))

        segments(
            {name: said[0] for name, said in RANGE_WORDS.items()},
            self.board.view.range_name,
            turn,
            label=_("Range of time"),
        )
        self._write(flows, keys)
        self.names = dict([(one[0], one[1]) for one in flows]), dict([(one[0], one[1]) for one in keys])

    def _menu(
        self, symbol: str, name: str, options: Sequence[tuple[str | None, str, str]], pick: Callable[[str | None], Any]
    ) -> ui.button:
        chosen = button(name, icon=symbol).classes("fp-pick").props("aria-haspopup=menu icon-right=sym_o_expand_more")
        with chosen, drop_menu(name, "max-height=60vh"):
            for value, text, sign in options:
                menu_item(text, lambda value=value: pick(value), icon=sign or None)
        return chosen
