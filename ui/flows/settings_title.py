"""Title and description of a flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from engine.actions.flows import rename_flow
from engine.core.errors import Refusal
from ui.forms.form import Field
from ui.kit import feedback
from ui.kit.parts import button, card
from ui.kit.text import _

if TYPE_CHECKING:
    from ui.flows.settings_tab import FlowSettings


def draw(settings: FlowSettings) -> None:
    """The card, where we are."""
    flow = settings.flow
    with card(_("Title and description")), ui.element("div").classes("fp-form fp-narrow"):
        title = Field(_("Title"))
        with title.place:
            title_box = title.control(ui.input(value=flow.title).props("outlined dense maxlength=200"))
        about = Field(_("Description"), help_text=_("People read it in Saved Flows, callers in the API's docs."))
        with about.place:
            about_box = about.control(ui.textarea(value=flow.description).props("outlined dense autogrow"))

        async def rename() -> None:
            title.error("")
            try:
                await settings.here.execute(rename_flow, flow.id, title_box.value or "", about_box.value or "")
            except Refusal as refusal:
                title.error(f"{refusal.detail}. {refusal.remedy}")
                return
            feedback.told(_("Saved."))
            await settings.changed()

        with ui.element("div"):
            button(_("Save"), rename).set_enabled(settings.may_edit)
