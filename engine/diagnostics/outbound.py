"""The checks that send requests: public address, internet access, browser and model connections.

They use OutboundClient.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime

from sqlalchemy.orm import Session

from engine.browser.browser import has_browser
from engine.core.clock import Clock
from engine.core.settings import Settings
from engine.core.web_addresses import split_url
from engine.diagnostics.findings import Line
from engine.flow.node_context import NodeFailed
from engine.models.connection_test import check_connection
from engine.models.connections import ModelConnection
from engine.models.saved_connections import open_connection
from engine.outbound.client import OutboundClient, OutboundFailed, OutboundRefused, allowed_origin
from engine.secrets.sealing import Vault
from storage.connections import list_connections
from storage.database import Database
from storage.settings import ADDRESS, SERVER, find_public_url, find_setting
from storage.workspaces import list_workspaces

#: Requested only when a person starts a check. IANA reserves the domain for examples (RFC 2606).
ANYWHERE = "https://example.com/"
ASK_SECONDS = 8.0
CLOCK_OFF_SECONDS = 30


async def check_outside(
    settings: Settings, database: Database, vault: Vault, outbound: OutboundClient, *, anywhere: str = ANYWHERE
) -> AsyncIterator[Line]:
    """Yields the lines in a fixed order, each as soon as it and those before it are known."""
    address = settings.public_url or database.read_now(_known_address)
    waiting = [_anywhere(outbound, anywhere, database.clock, proxied=bool(settings.outbound_proxy))]
    if address:
        waiting.insert(0, _public_address(outbound, address))
    if has_browser():
        waiting.append(_browser(outbound, sandbox=settings.browser_sandbox))
    connections = database.read_now(_connections, vault)
    lines = [asyncio.ensure_future(work) for work in (*waiting, *(_model(outbound, one) for one in connections))]
    if not address:
        yield Line(
            "Public address",
            "note",
            "None is set: links and endpoints are shown with the address a page was opened at.",
        )
    for line in lines:
        yield await line
    if not connections:
        yield Line("Models", "note", "No model is connected; flows can use the Simulated model.")


def _known_address(session: Session) -> str:
    """Returns the address that the owner set, or else the one that the last server had, whose environment may set one that a
    command does not see; "" when that was only its own machine.
    """
    last = find_setting(session, SERVER, ADDRESS)
    told = last if isinstance(last, str) and split_url(last).hostname != "localhost" else ""
    return find_public_url(session) or told


async def _browser(outbound: OutboundClient, *, sandbox: bool) -> Line:
    """Checks whether Page Scraper can open pages in a browser on this server."""
    try:
        version = await outbound.try_browser()
    except NodeFailed as error:
        return Line("Browser", "warn", f"{error.message} {error.why}".strip(), error.remedy)
    if not sandbox:
        return Line(
            "Browser",
            "warn",
            f"Chromium {version} starts without its sandbox: FLOWPORT_BROWSER_SANDBOX is off.",
            "A page that breaks out of Chromium is then in this server. Take the setting away where the sandbox can start.",
        )
    return Line("Browser", "ok", f"Chromium {version} starts, with its sandbox.")


async def _public_address(outbound: OutboundClient, address: str) -> Line:
    name = "Public address"
    fix = f"Check the name, its certificate, and that the proxy hands everything on to this server. It is {address}."
    if not split_url(address).hostname:
        return Line(
            name,
            "bad",
            f"`{address}` is not an address.",
            "Write it under Settings, Server, or in FLOWPORT_PUBLIC_URL.",
        )
    try:
        answer = await outbound.request(
            "GET",
            f"{address}/healthz",
            timeout_seconds=ASK_SECONDS,
            follow_redirects=False,
            allow_extra=(allowed_origin(address),),
        )
    except (OutboundRefused, OutboundFailed, NodeFailed) as error:
        return Line(name, "bad", f"{address} does not answer: {str(error).rstrip('.')}.", fix)
    if answer.status != 200 or b'"ok"' not in answer.body:
        return Line(name, "bad", f"{address} answers with status {answer.status}, but not like this server.", fix)
    return Line(name, "ok", f"{address} leads to this server or one like it.")


async def _anywhere(outbound: OutboundClient, url: str, clock: Clock, *, proxied: bool) -> Line:
    begun = time.monotonic()
    try:
        answer = await outbound.request("GET", url, timeout_seconds=ASK_SECONDS)
    except (OutboundRefused, OutboundFailed, NodeFailed) as error:
        way = "through FLOWPORT_OUTBOUND_PROXY" if proxied else "directly"
        return Line(
            "Outbound",
            "warn",
            f"{split_url(url).hostname} could not be reached {way}: {str(error).rstrip('.')}.",
            "Flows cannot read public pages. Check this machine's network and name server, or name the company proxy in FLOWPORT_OUTBOUND_PROXY. Without internet on purpose, leave it.",
        )
    took = time.monotonic() - begun
    off = _clock_off(answer.headers.get("date", ""), clock)
    if off is not None and abs(off) > CLOCK_OFF_SECONDS + took:
        direction = "ahead" if off > 0 else "behind"
        return Line(
            "Outbound",
            "warn",
            f"{split_url(url).hostname} answers, and by its clock this machine is {abs(off):.0f} s {direction}.",
            "Switch time synchronisation (NTP) on.",
        )
    return Line("Outbound", "ok", f"{split_url(url).hostname} answered in {took:.1f} s.")


def _clock_off(date: str, clock: Clock) -> float | None:
    try:
        return clock.now() / 1000 - parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return None


async def _model(outbound: OutboundClient, connection: ModelConnection | str) -> Line:
    if isinstance(connection, str):
        return Line(
            f"Model {connection}",
            "bad",
            "Its key cannot be opened with this server's `secret.key`.",
            "Enter the key again under Settings, Models and secrets.",
        )
    result = await check_connection(outbound, connection)
    if result.ok:
        return Line(f"Model {connection.name}", "ok", result.sentence)
    return Line(
        f"Model {connection.name}",
        "bad",
        result.sentence,
        "Settings, Models and secrets has the connection with its Test button.",
    )


def _connections(session: Session, vault: Vault) -> list[ModelConnection | str]:
    """Returns every model connection with its key, or only its name when the key cannot be decrypted."""
    from engine.core.errors import Refusal

    found: list[ModelConnection | str] = []
    for workspace in list_workspaces(session):
        for row in list_connections(session, workspace.id):
            try:
                opened = open_connection(session, vault, workspace.id, row.name)
            except Refusal:
                found.append(row.name)
                continue
            if opened is not None:
                found.append(opened)
    return found
