"""How long inputs, results and steps of a flow's jobs are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from storage.retention import KEEP_DAYS
from ui.forms.form import Field
from ui.kit.parts import button, card
from ui.kit.text import _

if TYPE_CHECKING:
    from ui.flows.settings_tab import FlowSettings

MOST_DAYS = 3_650


def draw(settings: FlowSettings) -> None:
    """The card, where we are."""
    kept = settings.flow.settings.get(KEEP_DAYS)
    with card(_("Kept values")), ui.element("div").classes("fp-form fp-narrow"):
        days = Field(
            _("Keep inputs, results and steps for"),
            _("days"),
            _(
                "Empty: as long as the server keeps them, 30 days unless its owner chose otherwise. Afterwards a job's URL answers 410; its line in Jobs stays."
            ),
        )
        with days.place:
            shown = "" if kept is None else str(kept)
            box = days.control(ui.input(value=shown).props("outlined dense inputmode=numeric"))

        async def keep() -> None:
            text = (box.value or "").strip()
            if text and not (text.isdigit() and 1 <= int(text) <= MOST_DAYS):
                days.error(f"{_('Write a whole number from')} 1 {_('to')} {MOST_DAYS}, {_('or nothing.')}")
                return
            days.error("")
            await settings.keep({KEEP_DAYS: int(text) if text else None}, _("It counts from the next clean-up on."))

        with ui.element("div"):
            button(_("Save the days"), keep).set_enabled(settings.may_edit)
