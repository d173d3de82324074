"""Settings, Tools: MCP servers whose tools agents may call, with a Test button that lists them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace
from nicegui import ui
from sqlalchemy.orm import Session
from starlette.requests import Request

from engine.actions.tool_servers import allow_tool, allow_tools, remember_tools, remove_tool_server
from engine.core.errors import Refusal
from engine.flow.node_context import NodeFailed
from engine.jobs.outbound_rules import outbound_rules
from engine.outbound.client import OutboundClient
from engine.secrets.opening import find_unreadable
from engine.secrets.sealing import Vault
from engine.tool_servers.saved_servers import open_tool_server
from engine.tool_servers.session import opened
from storage.connections import FlowUse
from storage.tool_servers import ListedTool, ToolServerRow, list_tool_servers, servers_in_flows
from ui.kit import feedback
from ui.kit.parts import badge, button, card, icon, link, note, unreadable_badge, words
from ui.kit.text import _, plural
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import every, one_at_a_time, times_of
from ui.parts.ask_owners import ask_note
from ui.settings.navigation import settings_page
from ui.settings.tool_server_form import ToolServerForm

LOOK_SECONDS = 5.0
#: Flows that are named under a server.
SHOWN_FLOWS = 4


class SeenServers(Struct, frozen=True):
    """The data of the page. `uses`: the flows that use each server, by its name."""

    servers: Sequence[ToolServerRow]
    uses: Mapping[str, Sequence[FlowUse]]
    #: The ids of servers whose keys cannot be opened.
    unreadable: frozenset[str]


def load_tool_servers(session: Session, workspace_id: str, vault: Vault) -> SeenServers:
    """Reads the servers without their keys, and the flows that use them."""
    return SeenServers(
        list_tool_servers(session, workspace_id),
        servers_in_flows(session, workspace_id),
        find_unreadable(session, workspace_id, vault),
    )


def register(app: App) -> None:
    """Registers `/settings/tools`."""
    settings = app.settings
    outbound = OutboundClient(outbound_rules(settings, app.database))

    @page_at("/settings/tools")
    async def open_tools(request: Request) -> None:
        page_session = await open_page_session(app, request)
        outbound.replace_rules(outbound_rules(settings, app.database))  # uses the current rules of Settings, Server
        await ToolsPage(page_session, outbound).build()


class ToolsPage:
    """One open page of MCP servers."""

    def __init__(self, page_session: PageSession, outbound: OutboundClient) -> None:
        self.page_session = page_session
        self.outbound = outbound
        self.may = page_session.may("manage connections")
        self.times = times_of(page_session)
        #: What the last test of a server on this page gave: "" when it worked.
        self.tested: dict[str, NodeFailed | None] = {}
        self.cards: dict[str, _ServerCard] = {}
        #: The servers that are being tested, and how many choices of this page are being stored.
        self.testing: set[str] = set()
        self._storing = 0

    async def build(self) -> None:
        """Draws the page."""
        self.seen = await self.page_session.query(load_tool_servers, self.page_session.app.vault)
        sub = _("Services whose tools an Agent may use. Flows, datasets and web addresses need nothing here.")
        with settings_page(self.page_session, "tools", sub) as page:
            if self.may:
                with page.actions:
                    self.add_button = button(_("Add a server"), self._begin, icon="add")
            else:
                ask_note(self.page_session, _("Owners set up tools."))
            self.making = ui.element("div")
            self.list = ui.element("div").classes("fp-col")
            with card(_("What is an MCP server?")), ui.element("div").classes("fp-col"):
                words(
                    _(
                        "Many services offer their functions to AI models by the Model Context Protocol (MCP): a shop its orders, a calendar its dates. Their help pages give an address, which often ends in /mcp, and a key. Enter both here, look at what the service offers, and choose what your agents may use."
                    ),
                    "fp-s13 fp-t2",
                    tag="p",
                )
                words(
                    _(
                        "Flowport calls it like any other address: one inside your own network is refused until an owner allows it under Settings, Server, Allowed addresses. Servers that run as a program on somebody’s computer cannot be reached."
                    ),
                    "fp-s13 fp-t2",
                    tag="p",
                )
            self.draw()
        every(LOOK_SECONDS, self._look_again)

    @one_at_a_time
    async def _look(self) -> None:
        self.seen = await self.page_session.query(load_tool_servers, self.page_session.app.vault)
        self.draw()

    @one_at_a_time
    async def _look_again(self) -> None:
        """Draws what somebody else has changed. The flows that use the servers are read only then: all are searched."""
        servers = await self.page_session.query_again(list_tool_servers)
        if not self._storing and servers != self.seen.servers:
            self.seen = await self.page_session.query(load_tool_servers, self.page_session.app.vault)
            self.draw()

    # Adding and changing.

    def _begin(self) -> None:
        self._open_form(_("A new server"), None)

    def change(self, row: ToolServerRow) -> None:
        """Opens the form of the server."""
        self._open_form(_("Change {name}").format(name=row.name), row)

    def _open_form(self, title: str, row: ToolServerRow | None) -> None:
        self.add_button.visible = False
        self.making.clear()
        with self.making, card(title):
            form = ToolServerForm(self.page_session, self._made, self._stop, row=row)
        form.first.run_method("focus")

    def _stop(self) -> None:
        self.making.clear()
        self.add_button.visible = True

    async def _made(self, server_id: str) -> None:
        self._stop()
        self.tested.pop(server_id, None)
        await self._look()
        await self.test(server_id)

    async def remove(self, row: ToolServerRow) -> None:
        """Removes the server after a question."""
        told = _("Its key is deleted. Agents that use it fail until it is there again.")
        if uses := self.seen.uses.get(row.name):
            told = _("Used by {flows}. {told}").format(flows=plural(len(uses), _("flow"), _("flows")), told=told)
        if not await feedback.confirm(_("Remove {name}?").format(name=row.name), told, verb=_("Remove"), danger=True):
            return
        with feedback.refusals_told() as outcome:
            await self.page_session.execute(remove_tool_server, row.id)
        if not outcome.refused:
            feedback.told(_("{name} is removed.").format(name=row.name))
            await self._look()

    async def test(self, server_id: str) -> None:
        """Asks the server for its tools, stores them and shows what came of it."""
        row = next((one for one in self.seen.servers if one.id == server_id), None)
        if row is None:
            return
        self.testing.add(server_id)
        try:
            await self._test(row)
        finally:
            self.testing.discard(server_id)
        await self._look()

    async def _test(self, row: ToolServerRow) -> None:
        server_id = row.id
        self.cards[server_id].show_testing()
        vault = self.page_session.app.vault
        try:
            address = await self.page_session.query(
                lambda session, workspace_id: open_tool_server(session, vault, workspace_id, row.name)
            )
        except Refusal as refusal:
            self.tested[server_id] = NodeFailed(f"{refusal.title}.", why=refusal.detail, remedy=refusal.remedy)
            return
        if address is not None:
            try:
                async with opened(self.outbound, address) as session:
                    tools = await session.list_tools()
            except NodeFailed as failed:
                self.tested[server_id] = failed
            else:
                self.tested[server_id] = None
                await self.page_session.try_execute(remember_tools, server_id, tools)

    async def allow(self, server_id: str, name: str, *, allowed: bool) -> None:
        """Stores whether agents may call a tool. The page shows it already, and is drawn when something else differs."""
        self.seen = replace(
            self.seen, servers=[_with_choice(row, server_id, name, allowed=allowed) for row in self.seen.servers]
        )
        self._storing += 1
        try:
            await self.page_session.try_execute(allow_tool, server_id, name, allowed=allowed)
        finally:
            self._storing -= 1
        await self._look_again()

    async def allow_only(self, server_id: str, names: Sequence[str]) -> None:
        """Stores that agents may call these tools of the server and no other."""
        await self.page_session.try_execute(allow_tools, server_id, names)
        await self._look()

    # Drawing.

    def draw(self) -> None:
        """Draws the servers."""
        self.cards = {}
        self.list.clear()
        with self.list:
            if not self.seen.servers:
                with (
                    ui.element("section").classes("fp-card"),
                    feedback.empty(
                        "handyman",
                        _("No server yet"),
                        _("Agents use flows, datasets and web addresses without one."),
                    ),
                ):
                    pass
            for row in self.seen.servers:
                self.cards[row.id] = _ServerCard(self, row)


def _with_choice(row: ToolServerRow, server_id: str, name: str, *, allowed: bool) -> ToolServerRow:
    """Returns the row as it will be stored."""
    if row.id != server_id:
        return row
    chosen = {*row.allowed, name} if allowed else {*row.allowed} - {name}
    return replace(row, allowed=tuple(tool.name for tool in row.tools if tool.name in chosen))


class _ServerCard:
    """One server: address, result of the last test, its tools, and the flows that use it."""

    def __init__(self, page: ToolsPage, row: ToolServerRow) -> None:
        self.page = page
        self.row = row
        with card(row.name) as box:
            if page.may:
                with box.head:
                    self._verb(_("Test"), lambda: page.test(row.id), "network_check")
                    self._verb(_("Change"), lambda: page.change(row))
                    self._verb(_("Remove"), lambda: page.remove(row))
            with ui.element("div").classes("fp-col"):
                with ui.element("div").classes("fp-row fp-wrap-row fp-s13"):
                    words(row.url, "fp-mono fp-cut")
                    if row.id in page.seen.unreadable:
                        unreadable_badge()
                    elif row.secret_id:
                        badge(_("Key stored"), icon="key")
                self._draw_uses()
                self.result = ui.element("div").classes("fp-col").props("role=status")
                if row.id in page.testing:
                    self.show_testing()
                else:
                    with self.result:
                        self._draw_result()
                self._draw_tools()

    def _verb(self, text: str, work: Callable[[], Awaitable[None] | None], symbol: str = "") -> None:
        made = button(text, work, icon=symbol or None, small=True, kind="normal" if symbol else "quiet")
        made.props["aria-label"] = f"{text} {self.row.name}"

    def show_testing(self) -> None:
        """Shows that the test is running."""
        self.result.clear()
        with self.result, ui.element("div").classes("fp-row fp-s13 fp-t2"):
            icon("progress_activity", size=16)
            words(_("Asking for its tools, up to 20 seconds..."))

    def _draw_uses(self) -> None:
        uses = self.page.seen.uses.get(self.row.name, ())
        if not uses:
            return
        with ui.element("div").classes("fp-row fp-wrap-row fp-s13 fp-t2"):
            words(_("Used by"))
            for use in uses[:SHOWN_FLOWS]:
                link(use.title, f"/flows/{use.flow_id}")
            if len(uses) > SHOWN_FLOWS:
                words(_("and {count} more").format(count=len(uses) - SHOWN_FLOWS))

    def _draw_result(self) -> None:
        if self.row.id not in self.page.tested:
            if self.row.listed_at is None:
                words(_("Not tested yet: press Test to see what it offers."), "fp-s13 fp-t2", tag="p")
            return
        failed = self.page.tested[self.row.id]
        if failed is None:
            count = plural(len(self.row.tools), _("tool"), _("tools"))
            note(_("It answers and offers {count}.").format(count=count), kind="ok", icon="check_circle")
            return
        note(" ".join(filter(None, (failed.message, failed.why, failed.remedy))), kind="bad", icon="error")

    def _draw_tools(self) -> None:
        if not self.row.tools:
            return
        words(_("Which of its tools may agents use?"), "fp-b fp-s13")
        if not self.row.offered and self.page.may:
            note(_("None is allowed yet: agents can use nothing of this server."), kind="warn")
        with ui.element("ul").classes("fp-models fp-tools"):
            for tool in self.row.tools:
                with ui.element("li"):
                    self._draw_tool(tool)
        if self.page.may and len(self.row.tools) > 2:
            with ui.element("div").classes("fp-row"):
                button(_("Allow all that only read"), self._allow_reading, kind="link", small=True)
                button(_("Allow none"), lambda: self.page.allow_only(self.row.id, ()), kind="link", small=True)

    def _draw_tool(self, tool: ListedTool) -> None:
        with ui.element("div").classes("fp-grow fp-tool"):
            box = ui.checkbox(
                tool.name,
                value=tool.name in self.row.allowed,
                on_change=lambda event: self.page.allow(self.row.id, tool.name, allowed=bool(event.value)),
            ).props("dense")
            box.set_enabled(self.page.may)
            words(tool.description or _("The server says nothing about it."), "fp-s12 fp-t2 fp-tool-about", tag="p")
        if tool.reads:
            badge(_("Only reads"), icon="visibility")
        else:
            badge(_("May change something"), kind="warn", icon="edit")

    async def _allow_reading(self) -> None:
        await self.page.allow_only(self.row.id, [tool.name for tool in self.row.tools if tool.reads])
