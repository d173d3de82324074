"""The form of an MCP server: name, address and key. A stored key can be replaced but not read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from engine.actions.tool_servers import AUTHORIZATION, add_tool_server, change_tool_server
from engine.core.errors import Refusal
from storage.tool_servers import ToolServerRow
from ui.forms.form import Field
from ui.kit.feedback import fold
from ui.kit.parts import button
from ui.kit.text import _
from ui.page_session import PageSession


class ToolServerForm:
    """Adds an MCP server or changes `row`. `on_made` gets its id."""

    def __init__(
        self,
        page_session: PageSession,
        on_made: Callable[[str], Awaitable[None]],
        on_cancel: Callable[[], None],
        *,
        row: ToolServerRow | None = None,
    ) -> None:
        self.page_session = page_session
        self.on_made = on_made
        self.row = row
        self.boxes: dict[str, ui.input] = {}
        self.fields: dict[str, Field] = {}
        with ui.element("div").classes("fp-form fp-narrow"):
            if row is None:
                self._box(
                    "name",
                    _("Name"),
                    "",
                    _("Agents name it with this, like `shop`: small letters, digits, underscores."),
                )
            self._box(
                "url",
                _("Address"),
                row.url if row else "",
                _("As the service gives it, like `https://tools.example.com/mcp`."),
            )
            kept = row is not None and row.secret_id is not None
            told = (
                _("A key is stored. Leave this empty to keep it; another address drops it.")
                if kept
                else _("Kept sealed on this server; nobody can read it here again. Leave it empty when it needs none.")
            )
            self._box("key", _("Key"), "", told, secret=True)
            if kept:
                self.drop = ui.checkbox(_("Remove the stored key")).props("dense")
            else:
                self.drop = None
            header = row.header if row else AUTHORIZATION
            with fold(_("More"), open_at_first=header != AUTHORIZATION), ui.element("div").classes("fp-form fp-foldin"):
                self._box(
                    "header",
                    _("Header of the key"),
                    header,
                    _("Authorization unless the service says otherwise; a key in it is sent as a bearer token."),
                )
            with ui.element("div").classes("fp-row"):
                button(_("Save and test"), self._save, kind="main")
                button(_("Cancel"), on_cancel, kind="quiet")

    @property
    def first(self) -> ui.input:
        """The box that is filled in first."""
        return self.boxes["url" if self.row else "name"]

    def _box(self, name: str, label: str, value: str, help_text: str, *, secret: bool = False) -> None:
        field = self.fields[f"/{name}"] = Field(label, _("optional") if secret else "", help_text)
        with field.place:
            box = ui.input(value=value, password=secret).props("outlined dense spellcheck=false")
            box.props("autocomplete=new-password" if secret else "autocomplete=off")
            self.boxes[name] = field.control(box)

    async def _save(self) -> None:
        for field in self.fields.values():
            field.error("")
        written = {name: (box.value or "").strip() for name, box in self.boxes.items()}
        vault = self.page_session.app.vault
        try:
            if self.row is None:
                server_id = await self.page_session.execute(
                    add_tool_server,
                    vault,
                    written["name"],
                    written["url"],
                    key=written["key"],
                    header=written["header"],
                )
            else:
                server_id = self.row.id
                dropped = self.drop is not None and bool(self.drop.value)
                key = written["key"] or ("" if dropped else None)
                await self.page_session.execute(
                    change_tool_server,
                    vault,
                    server_id,
                    url=written["url"],
                    key=key,
                    header=written["header"],
                    began=self.row,
                )
        except Refusal as refusal:
            self._show(refusal)
            return
        self.boxes["key"].value = ""
        await self.on_made(server_id)

    def _show(self, refusal: Refusal) -> None:
        first = self.fields.get("/name") or self.fields["/url"]
        if not refusal.errors:
            first.error(f"{refusal.detail or refusal.title}. {refusal.remedy}")
        for error in refusal.errors:
            self.fields.get(error.pointer, first).error(f"{error.detail[:1].upper()}{error.detail[1:]}.")
