"""Who may read the API docs of a flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from ui.kit.parts import card, link, words
from ui.kit.text import _

if TYPE_CHECKING:
    from ui.flows.settings_tab import FlowSettings


def draw(settings: FlowSettings) -> None:
    """The card, where we are."""
    flow = settings.flow
    public = bool(flow.settings.get("public_docs"))
    with card(_("API docs")), ui.element("div").classes("fp-form fp-narrow"):
        switch = ui.switch(_("Anybody may read the API docs"), value=public)
        switch.set_enabled(settings.may_edit)
        hint = words(
            _(
                "Fields, errors and code, without a sign-in. Off: only people who are signed in here. Calling the API always takes a key."
            ),
            "fp-hint",
            tag="p",
        )
        switch.props["aria-describedby"] = hint.html_id

        async def keep() -> None:
            if not await settings.keep({"public_docs": bool(switch.value) or None}):
                switch.set_value(public)

        switch.on("update:model-value", keep, [])
        link(_("Open the docs"), f"/docs/flows/{flow.id}", "fp-s13", new_tab=True)
