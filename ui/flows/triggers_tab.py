"""The tab of a flow's page with what starts the flow without a call of its API: schedules and incoming webhooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from nicegui import ui
from sqlalchemy.orm import Session

from engine.actions.samples import example_payload
from engine.flow.document import Document, load_document
from engine.secrets.opening import find_unreadable
from storage.flows import FlowRow, get_draft, get_version
from storage.jobs import JobFilters, list_jobs
from storage.triggers import SHOWN, FlowTriggers, load_flow_triggers
from ui.flows.hooks_card import HooksCard
from ui.flows.schedules_card import SchedulesCard
from ui.kit.text import ENGLISH
from ui.page_session import PageSession
from ui.page_shell import base_address, every, one_at_a_time
from ui.parts.job_words import state_words

_LOOK_SECONDS = 2.0


class TriggersContents(Struct, frozen=True):
    """What the tab shows: the document that callers get, or else the newest one, with an example input."""

    triggers: FlowTriggers
    document: Document
    payload: dict[str, Any]
    #: Of the newest jobs of its schedules: job id -> its state and the words for it.
    outcomes: dict[str, tuple[str, str]]


def load_triggers_tab(session: Session, workspace_id: str, flow: FlowRow) -> TriggersContents:
    """Reads the contents of the tab."""
    number = flow.live_version or flow.newest_version
    text = (
        get_version(session, workspace_id, flow.id, number).document
        if number
        else get_draft(session, workspace_id, flow.id).document
    )
    document = load_document(text)
    payload = example_payload(session, workspace_id, flow.id, document)
    triggers = load_flow_triggers(session, workspace_id, flow.id)
    outcomes = {
        job.id: state_words(job, ENGLISH)
        for one in triggers.schedules
        if any(start.job_id for start in triggers.starts.get(one.id, ()))
        for job in list_jobs(session, workspace_id, JobFilters(trigger=f"schedule:{one.id}"), limit=SHOWN).jobs
    }
    return TriggersContents(triggers, document, payload, outcomes)


class TriggersTab:
    """Draws the tab in the current slot, and again when something changes; open forms stay."""

    def __init__(self, page_session: PageSession, flow: Callable[[], FlowRow]) -> None:
        self.page_session = page_session
        self.flow = flow
        self.shown: tuple[object, ...] = ()

    async def draw(self) -> None:
        """Draws the tab."""
        place = ui.context.slot.parent
        seen = await self.page_session.query(load_triggers_tab, self.flow())
        if place.is_deleted:  # the person has opened another page meanwhile
            return
        self.schedules = SchedulesCard(self.page_session, self.again)
        self.hooks = HooksCard(self.page_session, base_address(self.page_session), self.again)
        self.hooks.unreadable = await self.page_session.query(find_unreadable, self.page_session.app.vault)
        self._show(seen)
        every(_LOOK_SECONDS, self.again)

    @one_at_a_time
    async def again(self) -> None:
        """Reads the tab again, and draws what changed."""
        seen = await self.page_session.query_again(load_triggers_tab, self.flow())
        if self.hooks.unreadable:
            self.hooks.unreadable = await self.page_session.query_again(find_unreadable, self.page_session.app.vault)
        if not self.schedules.place.is_deleted:
            self._show(seen)

    def _show(self, seen: TriggersContents) -> None:
        flow = self.flow()
        shown = (seen, flow.live_version, self.hooks.unreadable)
        if shown == self.shown:
            return
        self.shown = shown
        self.schedules.show(flow, seen.triggers, seen.document, seen.payload, seen.outcomes)
        self.hooks.show(flow, seen.triggers, seen.document)
