"""Stores the settings of one flow for the sections of its Settings tab."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from msgspec import Struct
from nicegui import ui

from engine.actions.flows import change_flow_settings
from storage.flows import FlowRow
from ui.kit import feedback
from ui.kit.text import _
from ui.page_session import PageSession

T = TypeVar("T", bound=ui.element)


class FlowSettings(Struct, frozen=True):
    """The flow, page and callback that a section gets. `changed` is called after the flow was changed."""

    page_session: PageSession
    flow: FlowRow
    may_edit: bool
    changed: Callable[[], Awaitable[None]]

    def box(self, drawn: T) -> T:
        """Dresses a text box of the tab; it shows its value and takes no typing where the person may not edit."""
        drawn.props("outlined dense").props.set_bool("readonly", not self.may_edit)
        return drawn

    async def keep(self, changes: dict[str, Any], when: str = "") -> bool:
        """Stores settings and shows a toast. A refusal is shown too. Returns True when the settings are stored."""
        with feedback.refusals_told() as outcome:
            await self.page_session.execute(change_flow_settings, self.flow.id, changes)
        if not outcome.refused:
            feedback.told(_("Saved."), when)
            await self.changed()
        return not outcome.refused
