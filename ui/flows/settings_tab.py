"""The Settings tab of a flow's page: one file per section, listed in the order they stand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from engine.actions.flows import change_flow_settings
from storage.flows import FlowRow
from ui.flows import settings_docs, settings_kept, settings_limit, settings_mcp, settings_title, settings_webhook
from ui.kit import feedback
from ui.kit.text import _
from ui.page_session import PageSession


@dataclass(frozen=True)
class FlowSettings:
    """What a section works with. `changed` is called when the flow was changed."""

    here: PageSession
    flow: FlowRow
    may_edit: bool
    changed: Callable[[], Awaitable[None]]

    async def keep(self, changes: dict[str, Any], when: str = "") -> bool:
        """Stores settings and says so; a refusal is told. True when they are stored."""
        with feedback.refusals_told() as outcome:
            await self.here.execute(change_flow_settings, self.flow.id, changes)
        if not outcome.refused:
            feedback.told(_("Saved."), when)
            await self.changed()
        return not outcome.refused


#: What the tab shows; a new section is a file with `draw(settings)` and a line here.
SECTIONS: tuple[Callable[[FlowSettings], None], ...] = (
    settings_title.draw,
    settings_limit.draw,
    settings_docs.draw,
    settings_kept.draw,
    settings_mcp.draw,
    settings_webhook.draw,
)


def draw_settings(here: PageSession, flow: FlowRow, changed: Callable[[], Awaitable[None]]) -> None:
    """Every section, where we are."""
    settings = FlowSettings(here, flow, here.may("edit flows"), changed)
    for section in SECTIONS:
        section(settings)
