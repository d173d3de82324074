"""Whether AI assistants may use the flow as a tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from ui.kit.parts import card, copy_button, words
from ui.kit.text import _
from ui.page_shell import base_address

if TYPE_CHECKING:
    from ui.flows.settings_tab import FlowSettings


def draw(settings: FlowSettings) -> None:
    """The card, where we are."""
    offered = bool(settings.flow.settings.get("mcp"))
    address = f"{base_address(settings.here)}/mcp"
    with card(_("AI assistants (MCP)")), ui.element("div").classes("fp-form fp-narrow"):
        switch = ui.switch(_("Offer this flow as a tool"), value=offered)
        switch.set_enabled(settings.may_edit)
        hint = words(
            _(
                "Assistants that speak the Model Context Protocol find it by title and description and call it with an API key. "
                "Each call is a job and counts toward the limits."
            ),
            "fp-hint",
            tag="p",
        )
        switch.props["aria-describedby"] = hint.html_id

        async def keep() -> None:
            if not await settings.keep({"mcp": bool(switch.value) or None}):
                switch.set_value(offered)

        switch.on("update:model-value", keep, [])
        with ui.element("div").classes("fp-row"):
            words(address, "fp-mono fp-cut")
            copy_button(address, _("Copy address"))
