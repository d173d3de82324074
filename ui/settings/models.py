"""Settings, Models and secrets: model connections with a Test button, write-only keys, and the Simulated model."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct
from nicegui import ui
from sqlalchemy.orm import Session
from starlette.requests import Request

from engine.actions.connections import remember_models, remove_connection
from engine.core.errors import Refusal
from engine.core.web_addresses import split_url
from engine.jobs.outbound_rules import outbound_rules
from engine.models.connection_test import TestResult, check_connection
from engine.models.saved_connections import open_connection
from engine.outbound.client import OutboundClient
from engine.secrets.opening import find_unreadable
from engine.secrets.sealing import Vault
from storage.connections import (
    SIMULATED,
    ConnectionRow,
    FlowUse,
    PriceRow,
    flows_using,
    list_connections,
    list_prices,
)
from storage.owner_notes import OwnerNoteRow, list_open_notes
from storage.secrets import SecretRow, list_secrets
from storage.settings import SECRET_HOSTS_FOUND, find_setting
from storage.workspaces import is_first_workspace
from ui.kit import feedback
from ui.kit.parts import button, card, icon, link, status_badge, words
from ui.kit.text import _, plural
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import one_at_a_time, times_of
from ui.parts.ask_owners import ask_note
from ui.parts.found_servers import FoundServers
from ui.settings.connection_card import CardActions, ConnectionCard, Prices, prices_of
from ui.settings.connection_forms import ConnectionForm
from ui.settings.navigation import settings_page
from ui.settings.open_notes import draw_open_notes
from ui.settings.secrets_card import draw_secrets

#: Pages that send people here to connect a model: the beginning of the path -> the words of the link back.
_BACK: Final = {
    "/playground/": _("Back to the flow"),
    "/flows/": _("Back to the flow's page"),
    "/templates": _("Back to Templates"),
    "/start": _("Back to Start"),
    "/knowledge": _("Back to Knowledge"),
}


class SeenModels(Struct, frozen=True):
    """The data of the page. `uses`: the flows that use each connection and the Simulated model. `opens_addresses`: a
    connection opens its own address, as this is the server's first workspace.
    """

    connections: Sequence[ConnectionRow]
    prices: Sequence[PriceRow]
    uses: Mapping[str, Sequence[FlowUse]]
    notes: Sequence[OwnerNoteRow]
    secrets: Sequence[SecretRow]
    hosts_found: bool
    opens_addresses: bool
    #: The ids of connections and secrets whose sealed values cannot be opened.
    unreadable: frozenset[str]


def load_models(session: Session, workspace_id: str, vault: Vault) -> SeenModels:
    """Reads the connections without their keys, the owner's prices, the flows that use them, and the open notes."""
    return SeenModels(
        list_connections(session, workspace_id),
        list_prices(session, workspace_id),
        flows_using(session, workspace_id),
        list_open_notes(session, workspace_id),
        list_secrets(session, workspace_id),
        bool(find_setting(session, workspace_id, SECRET_HOSTS_FOUND)),
        is_first_workspace(session, workspace_id),
        find_unreadable(session, workspace_id, vault),
    )


def register(app: App) -> None:
    """Registers `/settings/models`."""
    settings = app.settings
    outbound = OutboundClient(outbound_rules(settings, app.database))

    @page_at("/settings/models")
    async def open_models(request: Request) -> None:
        page_session = await open_page_session(app, request)
        outbound.replace_rules(outbound_rules(settings, app.database))  # uses the current rules of Settings, Server
        await ModelsPage(page_session, outbound, *_way_back(request.headers.get("referer", ""))).build()


def _way_back(referer: str) -> tuple[str, str]:
    """Returns the path of the page that led here and the words of the link to it; "" for one without a need for it."""
    try:
        came = split_url(referer)
    except ValueError:
        return "", ""
    label = next((label for place, label in _BACK.items() if came.path.startswith(place)), "")
    return (f"{came.path}?{came.query}".rstrip("?"), label) if label else ("", "")


class ModelsPage:
    """One open page of connections. `back`: the path of the page that led here, with the words of the link to it."""

    def __init__(self, page_session: PageSession, outbound: OutboundClient, back: str, back_label: str) -> None:
        self.back, self.back_label = back, back_label
        self.page_session = page_session
        self.outbound = outbound
        self.may = page_session.may("manage connections")
        self.times = times_of(page_session)
        self.tested: dict[str, TestResult] = {}
        self.cards: dict[str, ConnectionCard] = {}
        self.found: FoundServers | None = None

    async def build(self) -> None:
        """Draws the page."""
        self.seen = await self.page_session.query(load_models, self.page_session.app.vault)
        sub = _(
            "A Prompt names one of these connections and a model of it. Keys are kept sealed and never shown again."
        )
        with settings_page(self.page_session, "models", sub) as page:
            if self.back:
                with link("", self.back, "fp-b fp-row"):
                    icon("arrow_back", size=16)
                    words(self.back_label)
            if self.may:
                with page.actions:
                    self.add_button = button(_("Add a connection"), self._begin, icon="add")
            else:
                ask_note(self.page_session, _("Owners set up models and secrets."))
            self.making = ui.element("div")
            self.asked = ui.element("div")
            self.list = ui.element("div").classes("fp-col")
            if self.may and self.seen.opens_addresses:
                with card(_("On this machine")), ui.element("div").classes("fp-col"):
                    self.found = FoundServers(self.page_session, self.outbound, self._made)
            with card(_("Simulated model")), ui.element("div").classes("fp-col"):
                with ui.element("div").classes("fp-row"):
                    status_badge("simulated")
                    words(_("Always there, costs nothing, needs no key."), "fp-b fp-s13")
                words(
                    _(
                        "It copies words and numbers out of the prompt and guesses where it must choose, so that a flow can be tried before a real model is connected. Its answers are marked on the node, in the job and in the API's answer. It never answers in place of another model: only steps in which it is chosen ask it."
                    ),
                    "fp-s13 fp-t2",
                    tag="p",
                )
            self.secrets = ui.element("div")
            await self._draw()

    @one_at_a_time
    async def _look(self) -> None:
        self.seen = await self.page_session.query(load_models, self.page_session.app.vault)
        await self._draw()

    # Adding and changing.

    def _begin(self) -> None:
        self._open_form(_("A new connection"), None)

    def _change(self, row: ConnectionRow) -> None:
        self._open_form(_("Change {name}").format(name=row.name), row)

    def _open_form(self, title: str, row: ConnectionRow | None) -> None:
        self.add_button.visible = False
        self.making.clear()
        with self.making, card(title):
            form = ConnectionForm(
                self.page_session, self._made, self._stop, row=row, opens_address=self.seen.opens_addresses
            )
        (form.boxes["base_url"] if row else form.provider).run_method("focus")

    def _stop(self) -> None:
        self.making.clear()
        self.add_button.visible = True

    async def _made(self, name: str) -> None:
        self._stop()
        self.tested.pop(name, None)
        await self._look()
        await self._test(name)

    async def _remove(self, row: ConnectionRow) -> None:
        told = _("Its key and your prices are deleted. Flows whose Prompt names it fail until it is there again.")
        if uses := self.seen.uses.get(row.name):
            told = _("Used by {flows}. {told}").format(flows=plural(len(uses), _("flow"), _("flows")), told=told)
        if not await feedback.confirm(_("Remove {name}?").format(name=row.name), told, verb=_("Remove"), danger=True):
            return
        with feedback.refusals_told() as outcome:
            await self.page_session.execute(remove_connection, row.name)
        if not outcome.refused:
            feedback.told(_("{name} is removed.").format(name=row.name))
            await self._look()

    async def _test(self, name: str) -> None:
        if name not in self.cards:
            return
        self.cards[name].show_testing()
        vault = self.page_session.app.vault
        try:
            connection = await self.page_session.query(
                lambda session, workspace_id: open_connection(session, vault, workspace_id, name)
            )
        except Refusal as refusal:
            self.tested[name] = TestResult(False, str(refusal))
        else:
            if connection is None:
                await self._look()
                return
            self.tested[name] = await check_connection(self.outbound, connection)
            if self.tested[name].ok:
                await self.page_session.try_execute(remember_models, name, self.tested[name].models)
        await self._look()

    # Drawing.

    async def _draw(self) -> None:
        seen = self.seen
        prices = await asyncio.to_thread(
            prices_of, seen.connections, seen.prices, self.page_session.app.database.clock.now()
        )
        self.asked.clear()
        if self.may:
            with self.asked:
                draw_open_notes(self.page_session, seen.notes, self.times, self._look)
        self._draw_connections(prices)
        self.secrets.clear()
        with self.secrets:
            draw_secrets(
                self.page_session,
                seen.secrets,
                self.times,
                self._look,
                hosts_found=seen.hosts_found,
                unreadable=seen.unreadable,
            )
        if self.found is not None:
            self.found.show(seen.connections)

    def _draw_connections(self, prices: Prices) -> None:
        wide_open = {name for name, shown in self.cards.items() if shown.all_models}
        verbs = CardActions(self._test, self._change, self._remove, self._look) if self.may else None
        self.cards = {}
        self.list.clear()
        with self.list:
            if not self.seen.connections:
                with (
                    ui.element("section").classes("fp-card"),
                    feedback.empty(
                        "auto_awesome",
                        _("No model connected yet"),
                        _(
                            "Flows from the start page and templates use the Simulated model while no real one is connected."
                        ),
                    ),
                ):
                    if self.may:
                        button(_("Connect a model"), self._begin, icon="add", kind="main")
            for row in self.seen.connections:
                self.cards[row.name] = ConnectionCard(
                    self.page_session,
                    row,
                    prices,
                    uses=self.seen.uses.get(row.name, ()),
                    simulating=[use for use in self.seen.uses.get(SIMULATED, ()) if use.in_draft],
                    reader=self.times.reader,
                    tested=self.tested.get(row.name),
                    verbs=verbs,
                    all_models=row.name in wide_open,
                    readable=row.id not in self.seen.unreadable,
                )
