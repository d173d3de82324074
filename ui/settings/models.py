"""Settings, Models: connections to language models with a Test button, write-only keys, and the Simulated model."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from nicegui import ui
from sqlalchemy.orm import Session
from starlette.requests import Request

from engine.actions.connections import remember_models, remove_connection
from engine.check.server import outbound_rules
from engine.errors import Refusal
from engine.outside.connection_check import TestResult, check_connection
from engine.outside.connections import ModelConnection, Provider
from engine.outside.http import Door
from engine.outside.local_servers import find_local_servers
from engine.outside.prices import Price, find_price
from engine.providers import PROVIDERS
from engine.vault.opening import open_connection
from storage.connections import ConnectionRow, PriceRow, list_connections, list_prices
from ui.look import feedback
from ui.look.parts import badge, button, card, icon, note, status_badge, words
from ui.look.text import _, cost, duration, plural
from ui.opened import times_of
from ui.settings.connection_forms import ask_price, connection_form
from ui.settings.places import settings_page
from ui.visit import App, Visit, visit

SHOWN_MODELS = 12


@dataclass(frozen=True)
class SeenConnections:
    """What the page shows."""

    connections: tuple[ConnectionRow, ...]
    prices: tuple[PriceRow, ...]


def look_at_connections(session: Session, workspace_id: str) -> SeenConnections:
    """The connections without their keys, and the owner's prices."""
    return SeenConnections(tuple(list_connections(session, workspace_id)), tuple(list_prices(session, workspace_id)))


def register(app: App) -> None:
    """Registers `/settings/models`."""
    settings = app.settings
    door = Door(outbound_rules(settings, app.database))

    @ui.page("/settings/models", language="en-US")
    async def open_models(request: Request) -> None:
        here = visit(app, request)
        door.replace_rules(outbound_rules(settings, app.database))  # as Settings, Server says now
        await ModelsPage(here, door).build()


class ModelsPage:
    """One open page of connections."""

    def __init__(self, here: Visit, door: Door) -> None:
        self.here = here
        self.door = door
        self.may = here.may("manage connections")
        self.reader = times_of(here).reader
        self.tested: dict[str, TestResult] = {}

    async def build(self) -> None:
        """Draws the page."""
        self.seen = await self.here.see(look_at_connections)
        sub = _(
            "A Prompt names one of these connections and a model of it. Keys are kept sealed and never shown again."
        )
        with settings_page(self.here, "models", sub) as page:
            if self.may:
                with page.actions:
                    self.add_button = button(_("Add a connection"), self._begin, icon="add")
            self.making = ui.element("div")
            self.list = ui.element("div").classes("fp-col")
            await self._draw()
            if self.may:
                self._draw_search()
            with card(_("Simulated model")), ui.element("div").classes("fp-col"):
                with ui.element("div").classes("fp-row"):
                    status_badge("simulated")
                    words(_("Always there, costs nothing, needs no key."), "fp-b fp-s13")
                words(
                    _(
                        "It copies words and numbers out of the prompt, so that a flow can be tried before a real model is connected. Its answers are marked on the node, in the job and in the API's answer, and it is never chosen by itself."
                    ),
                    "fp-s13 fp-t2",
                    tag="p",
                )
            if not self.may:
                note(_("The owner of this Flowport sets up connections."), icon="lock")

    async def _look(self) -> None:
        self.seen = await self.here.see(look_at_connections)
        await self._draw()

    # Adding and changing.

    def _begin(self, found: ModelConnection | None = None) -> None:
        self.add_button.visible = False
        self.making.clear()
        with self.making, card(_("A new connection")):
            connection_form(self.here, self._made, self._stop, found=found)

    def _change(self, row: ConnectionRow) -> None:
        self.add_button.visible = False
        self.making.clear()
        with self.making, card(f"{_('Change')} {row.name}"):
            connection_form(self.here, self._made, self._stop, row=row)

    def _stop(self) -> None:
        self.making.clear()
        self.add_button.visible = True

    async def _made(self, name: str) -> None:
        self._stop()
        self.tested.pop(name, None)
        await self._look()
        await self._test(name)

    async def _remove(self, row: ConnectionRow) -> None:
        sure = await feedback.confirm(
            f"{_('Remove')} {row.name}?",
            _("Its key is deleted. Flows whose Prompt names it fail until it is there again."),
            verb=_("Remove"),
            danger=True,
        )
        if not sure:
            return
        with feedback.refusals_told() as outcome:
            await self.here.do(remove_connection, row.name)
        if not outcome.refused:
            feedback.told(f"{row.name} {_('is removed.')}")
            await self._look()

    # Testing.

    async def _test(self, name: str) -> None:
        place = self.results.get(name)
        if place is None:
            return
        place.clear()
        with place, ui.element("div").classes("fp-row fp-s13 fp-t2"):
            icon("progress_activity", size=16)
            words(_("Asking for its models, up to 15 seconds..."))
        vault = self.here.app.vault
        try:
            connection = await self.here.see(
                lambda session, workspace_id: open_connection(session, vault, workspace_id, name)
            )
        except Refusal as refusal:
            self.tested[name] = TestResult(False, str(refusal))
        else:
            if connection is None:
                await self._look()
                return
            self.tested[name] = await check_connection(self.door, connection)
            if self.tested[name].ok:
                await self.here.try_do(remember_models, name, self.tested[name].models)
        await self._look()

    async def _search(self) -> None:
        self.found.clear()
        with self.found, ui.element("div").classes("fp-row fp-s13 fp-t2"):
            icon("progress_activity", size=16)
            words(_("Looking on this machine, up to 3 seconds..."))
        servers = await find_local_servers(self.door)
        known = {row.base_url for row in self.seen.connections}
        self.found.clear()
        with self.found:
            fresh = [server for server in servers if server.connection.base_url not in known]
            if not fresh:
                words(
                    _(
                        "No other model server answered. Ollama, LM Studio, vLLM and llama.cpp are looked for at their usual ports."
                    ),
                    "fp-s13 fp-t2",
                    tag="p",
                )
            for server in fresh:
                with ui.element("div").classes("fp-row fp-found"):
                    icon("dns", "fp-ok")
                    words(server.connection.name, "fp-b")
                    words(
                        f"{server.connection.base_url}, {plural(len(server.models), _('model'), _('models'))}",
                        "fp-t2 fp-s13 fp-cut",
                    )
                    words("", "fp-sp")
                    button(_("Use it"), lambda server=server: self._begin(server.connection), small=True)

    def _draw_search(self) -> None:
        with card(_("On this machine")), ui.element("div").classes("fp-col"):
            with ui.element("div").classes("fp-row"):
                words(_("A model server of your own costs nothing and keeps everything here."), "fp-s13 fp-t2 fp-grow")
                button(_("Look for servers"), self._search, icon="search", small=True)
            self.found = ui.element("div").classes("fp-col").props("role=status")

    # Drawing.

    async def _draw(self) -> None:
        prices = await asyncio.to_thread(self._prices)
        self.results: dict[str, ui.element] = {}
        self.list.clear()
        with self.list:
            if not self.seen.connections:
                with (
                    ui.element("section").classes("fp-card"),
                    feedback.empty(
                        "auto_awesome",
                        _("No model connected yet"),
                        _("Flows run with the Simulated model until you connect a real one."),
                    ),
                ):
                    pass
            for row in self.seen.connections:
                self._draw_connection(row, prices)

    def _draw_connection(self, row: ConnectionRow, prices: dict[tuple[str, str], Price | None]) -> None:
        with card(row.name, PROVIDERS[row.provider].title) as box:
            with box.head:
                if self.may:
                    test = button(_("Test"), lambda: self._test(row.name), icon="network_check", small=True)
                    test.props["aria-label"] = f"{_('Test')} {row.name}"
                    change = button(_("Change"), lambda: self._change(row), small=True, kind="quiet")
                    change.props["aria-label"] = f"{_('Change')} {row.name}"
                    remove = button(_("Remove"), lambda: self._remove(row), small=True, kind="quiet")
                    remove.props["aria-label"] = f"{_('Remove')} {row.name}"
            with ui.element("div").classes("fp-col"):
                with ui.element("div").classes("fp-row fp-wrap-row fp-s13"):
                    words(row.base_url or _("the provider's own address"), "fp-mono fp-t2")
                    badge(_("Key stored") if row.has_key else _("No key"), icon="key" if row.has_key else "key_off")
                    if row.local:
                        badge(_("Local, free"), kind="ok", icon="dns")
                self.results[row.name] = ui.element("div").classes("fp-col").props("role=status")
                with self.results[row.name]:
                    self._draw_result(row)
                self._draw_models(row, prices)

    def _draw_result(self, row: ConnectionRow) -> None:
        tested = self.tested.get(row.name)
        if tested is not None:
            took = f" ({duration(tested.seconds, self.reader)})" if tested.seconds else ""
            note(
                tested.sentence + took,
                kind="ok" if tested.ok else "bad",
                icon="check_circle" if tested.ok else "error",
            )

    def _draw_models(self, row: ConnectionRow, prices: dict[tuple[str, str], Price | None]) -> None:
        if not row.models:
            words(_("Test it to see its models."), "fp-s13 fp-t3", tag="p")
            return
        with ui.element("ul").classes("fp-models"):
            for model in row.models[:SHOWN_MODELS]:
                price = prices.get((row.name, model))
                with ui.element("li"):
                    words(f"{row.name}:{model}", "fp-mono fp-s13 fp-cut")
                    words("", "fp-sp")
                    if price is None:
                        badge(_("Price unknown"), kind="warn", icon="help")
                    else:
                        words(self._price_words(price), "fp-s12 fp-t2 fp-num fp-nw")
                    if self.may and not row.local:
                        set_it = button(
                            _("Set a price"),
                            lambda model=model, price=price: self._set_price(row.name, model, price),
                            kind="link",
                            small=True,
                        )
                        set_it.props["aria-label"] = f"{_('Set a price for')} {model}"
        if len(row.models) > SHOWN_MODELS:
            rest = plural(len(row.models) - SHOWN_MODELS, _("model"), _("models"))
            words(f"{_('and')} {rest} {_('more; a Prompt offers them all.')}", "fp-s12 fp-t3", tag="p")

    def _price_words(self, price: Price) -> str:
        if price.source == "local":
            return _("free")
        rates = f"{cost(price.input_nanos / 1e9, self.reader)} {_('in')}, {cost(price.output_nanos / 1e9, self.reader)} {_('out')}"
        own = f", {_('your price')}" if price.source == "own" else ""
        return f"{rates} {_('a million tokens')}{own}"

    async def _set_price(self, connection: str, model: str, price: Price | None) -> None:
        if await ask_price(self.here, connection, model, price):
            await self._look()

    def _prices(self) -> dict[tuple[str, str], Price | None]:
        """Loads the price table, so it runs in a thread."""
        at = self.here.app.database.clock.now()
        found = {}
        for row in self.seen.connections:
            own = {
                one.model: Price(one.input_nanos, one.output_nanos)
                for one in self.seen.prices
                if one.connection == row.name
            }
            provider: Provider = row.provider  # type: ignore[assignment] - checked when it was stored
            connection = ModelConnection(row.name, provider, row.base_url, None, row.local, own)
            for model in row.models[:SHOWN_MODELS]:
                found[row.name, model] = find_price(connection, model, at=at)
        return found
