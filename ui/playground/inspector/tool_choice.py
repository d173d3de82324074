"""Fields for the tools of an agent: the flow that it may run, an MCP server, and which of that server's tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nicegui import ui

from engine.flow.called_flows import AGENT
from engine.flow.document import Node
from storage.tool_servers import ToolServerRow, list_tool_servers
from ui.forms.specs import FieldSpec, Json
from ui.kit.parts import link, words
from ui.kit.text import _
from ui.page_session import PageSession
from ui.playground.inspector.choice_box import choice_box
from ui.playground.state.called_flows import choices

if TYPE_CHECKING:
    from ui.forms.form import Form, Widget

_GONE_FLOW = _("A flow that is gone")


class ToolChoice:
    """Draws the form widgets `tool_flow`, `tool_server` and `server_tools`.

    Call `load` before drawing, because the form itself does not wait.
    """

    def __init__(self, page_session: PageSession, flow_id: str, node: Callable[[], Node | None]) -> None:
        self.page_session = page_session
        self.flow_id = flow_id
        self.node = node
        self.flows: Sequence[tuple[str, str]] = ()
        self.servers: Sequence[ToolServerRow] = ()
        #: Draws the tools of the server of an entry again, by the pointer of the entry.
        self._redraw: dict[str, Callable[[str], None]] = {}

    async def load(self, node: Node) -> None:
        """Loads the flows and servers of the workspace for an agent."""
        if node.type == AGENT:
            self.flows = await self.page_session.query(choices, self.flow_id)
            self.servers = await self.page_session.query(list_tool_servers)

    @property
    def widgets(self) -> Mapping[str, Widget]:
        """The widgets by name, for `Form(widgets=...)`."""
        return {
            "tool_flow": self.draw_flow,
            "tool_server": self.draw_server,
            "server_tools": self.draw_server_tools,
        }

    def draw_flow(self, form: Form, spec: FieldSpec, pointer: str, value: Json) -> None:
        """Draws the choice of a flow. A chosen one that is gone stays in the list."""
        options = dict(self.flows)
        chosen = value if isinstance(value, str) and value else None
        if chosen and chosen not in options:
            options[chosen] = _GONE_FLOW
        choice_box(form, spec, options, chosen, lambda picked: form.change(pointer, picked or ""))
        if not self.flows:
            words(_("No other flow is saved yet. Make one that does the work, and save it."), "fp-t3 fp-s12", tag="p")

    def draw_server(self, form: Form, spec: FieldSpec, pointer: str, value: Json) -> None:
        """Draws the choice of an MCP server."""
        options = {row.name: row.name for row in self.servers}
        chosen = value if isinstance(value, str) and value else None
        if chosen and chosen not in options:
            options[chosen] = _("{chosen} (is gone)").format(chosen=chosen)

        def pick(picked: Any) -> None:
            form.change(pointer, picked or "")
            if redraw := self._redraw.get(_entry(pointer)):
                redraw(picked or "")

        choice_box(form, spec, options, chosen, pick)
        if self.page_session.may("manage connections"):
            link(_("Set up servers"), "/settings/tools", "fp-s13", new_tab=True)
        elif not self.servers:
            words(_("None yet: an owner sets them up under Settings, Tools."), "fp-t3 fp-s12", tag="p")

    def draw_server_tools(self, form: Form, spec: FieldSpec, pointer: str, value: Json) -> None:
        """Draws a box for each tool of the chosen server that agents may use."""
        place = ui.element("div").classes("fp-stack")
        chosen = [one for one in value if isinstance(one, str)] if isinstance(value, list | tuple) else []

        def draw(server: str) -> None:
            if place.is_deleted:
                return
            place.clear()
            with place:
                self._draw_tools(form, spec, pointer, server, chosen)

        self._redraw[_entry(pointer)] = draw
        draw(self._server_at(pointer))

    def _draw_tools(self, form: Form, spec: FieldSpec, pointer: str, server: str, chosen: list[str]) -> None:
        row = next((one for one in self.servers if one.name == server), None)
        if row is None:
            words(_("Choose a server first."), "fp-t3 fp-s12", tag="p")
            return
        if not row.offered:
            words(
                _("No tool of this server is allowed yet: an owner allows them under Settings, Tools."),
                "fp-warn fp-s12",
                tag="p",
            )
        names = [tool.name for tool in row.offered]

        def toggle(name: str, on: bool) -> None:  # noqa: FBT001 - bound to a checkbox
            kept = {*chosen, name} if on else set(chosen) - {name}
            chosen[:] = [one for one in names if one in kept]
            form.change(pointer, list(chosen))

        for tool in row.offered:
            box = ui.checkbox(
                tool.name,
                value=tool.name in chosen,
                on_change=lambda event, name=tool.name: toggle(name, bool(event.value)),
            ).props("dense")
            box.set_enabled(not form.read_only)
            if tool.description:
                words(tool.description.split("\n")[0][:200], "fp-s12 fp-t3 fp-tool-about", tag="p")
        for gone in [one for one in chosen if one not in names]:
            words(_("{gone}: not allowed any more").format(gone=gone), "fp-warn fp-s12", tag="p")

    def _server_at(self, pointer: str) -> str:
        node = self.node()
        entries = node.config.get("tools") if node is not None else None
        at = pointer.split("/")[2]
        if not isinstance(entries, list | tuple) or not at.isdigit() or int(at) >= len(entries):
            return ""
        entry = entries[int(at)]
        return str(entry.get("server") or "") if isinstance(entry, Mapping) else ""


def _entry(pointer: str) -> str:
    """Returns the pointer of the entry around a field: `/tools/2` of `/tools/2/only`."""
    return pointer.rpartition("/")[0]
