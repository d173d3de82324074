"""How long a job of a flow may run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from engine.core.clock import SECOND
from engine.jobs.submit.accept import LIMIT_SECONDS, flow_limit_ms
from ui.forms.form import Field
from ui.kit.parts import button, card, link, words
from ui.kit.text import _, duration

if TYPE_CHECKING:
    from ui.flows.settings_tab import FlowSettings


def draw(settings: FlowSettings) -> None:
    """The card, where we are."""
    least, most = LIMIT_SECONDS
    seconds = flow_limit_ms(settings.flow.settings) // SECOND
    with card(_("Job limit")), ui.element("div").classes("fp-form fp-narrow"):
        limit = Field(
            _("A job may run for"),
            _("seconds"),
            f"{_('A job that takes longer is stopped and fails with')} `timeout`. {_('From')} {least} {_('seconds to')} {duration(most)}.",
        )
        with limit.place:
            box = limit.control(ui.input(value=str(seconds)).props("outlined dense inputmode=numeric"))

        async def keep() -> None:
            text = (box.value or "").strip()
            if not text.isdigit() or not least <= int(text) <= most:
                limit.error(f"{_('Write a whole number from')} {least} {_('to')} {most}.")
                return
            limit.error("")
            await settings.keep({"limit_seconds": int(text)}, _("It counts for the next job."))

        with ui.element("div"):
            button(_("Save the limit"), keep).set_enabled(settings.may_edit)
        with ui.element("p").classes("fp-hint"):
            words(_("How many jobs run at once is a limit of each environment, and of each key:") + " ")
            link(_("Limits and plan"), "/settings/limits")
            words(", ")
            link(_("API Keys"), "/settings/keys")
