"""Model servers that were found on this machine, each with a button that connects it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

from nicegui import ui

from engine.actions.connections import add_connection
from engine.models.local_servers import SEARCH_SECONDS, FoundServer
from engine.outbound.client import OutboundClient
from storage.connections import ConnectionRow, list_connections
from ui.kit.parts import button, icon, words
from ui.kit.text import _, number, plural
from ui.page_session import PageSession

Connected = Callable[[str], Awaitable[None]]


class FoundServers:
    """The servers found when this server started, and "Check again". Only for the server's first workspace: the
    connections of others open no address inside.

    `on_connected` gets the name of the new connection.
    """

    def __init__(self, page_session: PageSession, outbound: OutboundClient, on_connected: Connected) -> None:
        self.page_session = page_session
        self.outbound = outbound
        self.on_connected = on_connected
        self.rows: Sequence[ConnectionRow] = ()
        with ui.element("div").classes("fp-row"):
            words(_("A model server of your own costs nothing and keeps everything here."), "fp-s13 fp-t2 fp-grow")
            self.again = button(_("Check again"), self._check_again, icon="refresh", small=True)
        self.again.visible = bool(page_session.app.local_servers.ports)
        self.list = ui.element("div").classes("fp-col").props("role=status")

    def show(self, rows: Sequence[ConnectionRow]) -> None:
        """Draws the servers without a connection; `rows` are the existing connections."""
        self.rows = rows
        self.list.clear()
        with self.list:
            found = fresh_servers(self.page_session, rows)
            for server in found:
                server_row(self.page_session, server, self.on_connected)
            if not found:
                words(self._nothing(), "fp-s13 fp-t2", tag="p")

    def _nothing(self) -> str:
        local_servers = self.page_session.app.local_servers
        if not local_servers.ports:
            return _(
                "Flowport does not look for model servers here: whoever runs it has switched that off "
                "(FLOWPORT_LOCAL_SERVERS). Add yours as a connection."
            )
        if local_servers.found:
            return _("Every server that was found is connected.")
        ports = ", ".join(str(port) for port in local_servers.ports)
        return _(
            "No model server answered on this machine or the host of its container. Ports looked at: {ports}."
        ).format(ports=ports)

    async def _check_again(self) -> None:
        self.again.disable()
        self.list.clear()
        with self.list, ui.element("div").classes("fp-row fp-s13 fp-t2"):
            icon("progress_activity", size=16)
            words(_("Looking, up to {search_seconds} seconds...").format(search_seconds=number(SEARCH_SECONDS)))
        try:
            await self.page_session.app.local_servers.look(self.outbound)
        finally:
            self.again.enable()
        self.show(self.rows)


def fresh_servers(page_session: PageSession, rows: Sequence[ConnectionRow]) -> tuple[FoundServer, ...]:
    """The found servers that no connection uses."""
    return page_session.app.local_servers.fresh(row.base_url for row in rows)


def server_row(page_session: PageSession, server: FoundServer, on_connected: Connected) -> None:
    """Draws one found server with [Use it]."""
    with ui.element("div").classes("fp-row fp-found"):
        icon("dns", "fp-ok")
        words(server.kind.title, "fp-b")
        count = plural(len(server.models), _("model"), _("models"))
        words(f"{server.base_url}, {count}", "fp-t2 fp-s13 fp-cut")
        words("", "fp-sp")
        use = button(_("Use it"), lambda: _use(page_session, server, on_connected), small=True)
        use.props["aria-label"] = _("Use it: {title}").format(title=server.kind.title)


async def _use(page_session: PageSession, server: FoundServer, on_connected: Connected) -> None:
    taken = {row.name for row in await page_session.query(list_connections)}
    name = _free_name(server.kind.name, taken)
    made = await page_session.try_execute(
        add_connection,
        page_session.app.vault,
        name,
        server.kind.provider,
        base_url=server.base_url,
        models=server.models,
    )
    if made is not None:
        await on_connected(name)


def _free_name(wanted: str, taken: Collection[str]) -> str:
    names = (wanted, *(f"{wanted}-{number}" for number in range(2, 1_000)))
    return next(name for name in names if name not in taken)
