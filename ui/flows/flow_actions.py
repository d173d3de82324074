"""What a person does with a whole flow, from the list and from its page: save, copy, export, undeploy, delete.

Each function asks for confirmation when data could be lost, runs one action and shows its result. It returns True or an
id when the action was done.
"""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct
from nicegui import ui
from sqlalchemy.orm import Session

from engine.actions.deployments import undeploy
from engine.actions.flows import UNTITLED, delete_flow, duplicate_flow, export_flow
from engine.actions.keys import find_try_key
from engine.core.clock import DAY, HOUR
from engine.core.errors import Refusal
from engine.core.ids import FlowId
from engine.flow.yaml_files import as_yaml
from storage.called_flow_uses import list_callers
from storage.database import now
from storage.flows import FlowRow
from storage.hooks import count_hooks
from storage.keys import list_keys
from storage.monitoring.overview import count_callers_since, count_calls_since
from storage.schedules import count_schedules
from ui.kit import feedback
from ui.kit.ask import ask_text
from ui.kit.text import _, number, plural
from ui.page_session import PageSession
from ui.parts.flow_uses import confirm_delete
from ui.parts.open_drafts import drafts_of

#: Calls are counted up to this number.
_MAX_COUNTED = 10_001


async def save_flow_as(page_session: PageSession, flow: FlowRow) -> FlowId | None:
    """Asks for a title and adds the flow to the library."""
    suggestion = "" if flow.title == UNTITLED else flow.title
    title = await ask_text(_("Save As"), _("Title"), suggestion, _("Save"))
    return await save_as(page_session, flow.id, title) if title else None


async def save_as(page_session: PageSession, flow_id: str, title: str) -> FlowId | None:
    """Adds the flow to the library under this title. A refusal is shown and gives None."""
    with feedback.refusals_told():
        async with drafts_of(page_session.app).borrowed(page_session, flow_id) as draft:
            return await draft.save_as(page_session, title)
    return None


async def duplicate(page_session: PageSession, flow: FlowRow) -> FlowId | None:
    """Makes a copy that is not deployed."""
    copy = await page_session.try_execute(duplicate_flow, flow.id)
    if copy is not None:
        feedback.told(
            _("Copied as Copy of {title}.").format(title=flow.title),
            _("It is not deployed."),
            action=_("Open"),
            on_action=lambda: ui.navigate.to(f"/flows/{copy}"),
        )
    return copy


async def export(page_session: PageSession, flow: FlowRow, kind: Literal["json", "yaml"] = "json") -> None:
    """Downloads the flow as a file that the import reads: its newest version, or the draft when there is no version."""
    file = await page_session.try_execute(export_flow, flow.id)
    if file is None:
        return
    try:
        text = await page_session.beside(as_yaml, file) if kind == "yaml" else file.dumps()
    except Refusal as refusal:
        feedback.refused(refusal)
        return
    name = file_name(flow.title, kind)
    ui.download.content(text.encode(), name, f"application/{kind}")
    feedback.told(_("Saved as {name}.").format(name=name), _("It is where your browser keeps what it downloads."))


def file_name(title: str, kind: str = "json") -> str:
    """Returns `website-analyzer.flow.json` for `Website analyzer`."""
    words = re.sub(r"[^a-z0-9]+", "-", title.casefold()).strip("-")[:60]
    return f"{words or 'flow'}.flow.{kind}"


async def undeploy_flow(page_session: PageSession, flow: FlowRow) -> bool:
    """Asks for confirmation, then stops accepting calls."""
    callers = await page_session.query(_count_callers, flow.id, page_session.app.database.clock.now() - HOUR)
    sure = await feedback.confirm(
        _("Undeploy {title}?").format(title=flow.title),
        _("Calls are refused from now on. Running jobs finish, and the flow stays. You can deploy it again any time."),
        verb=_("Undeploy API"),
        danger=True,
        keep=_("Keep it live"),
        note_text=_("{keys} called it in the last hour.").format(keys=plural(callers, _("key"), _("keys")))
        if callers
        else "",
    )
    if not sure:
        return False
    with feedback.refusals_told() as outcome:
        await page_session.execute(undeploy, flow.id)
    if outcome.refused:
        return False
    feedback.told(
        _("{title} is undeployed.").format(title=flow.title),
        _("Calls are refused until it is deployed again, at the same address."),
    )
    return True


def _count_callers(session: Session, workspace_id: str, flow_id: str, since: int) -> int:
    """How many keys called a flow since then, without the one of “Try it now”, whose calls come from these pages."""
    return count_callers_since(session, workspace_id, flow_id, since, find_try_key(session, workspace_id))


class _Uses(Struct, frozen=True):
    """What is bound to a flow: calls of the last 30 days, and keys, schedules and incoming webhooks."""

    calls: int
    keys: int
    schedules: int
    hooks: int


def _read_uses(session: Session, workspace_id: str, flow_id: str) -> _Uses:
    at = now(session)
    bound = [key for key in list_keys(session, workspace_id) if key.flow_ids is not None and flow_id in key.flow_ids]
    return _Uses(
        count_calls_since(session, workspace_id, flow_id, at - 30 * DAY, _MAX_COUNTED),
        sum(key.status(at) == "active" for key in bound),
        count_schedules(session, workspace_id, flow_id),
        count_hooks(session, workspace_id, flow_id),
    )


def _uses_in_words(uses: _Uses) -> list[str]:
    said = []
    if uses.calls >= _MAX_COUNTED:
        said.append(
            _("It was called more than {count} times in the last 30 days.").format(count=number(_MAX_COUNTED - 1))
        )
    elif uses.calls:
        calls = plural(uses.calls, _("call"), _("calls"))
        said.append(_("It had {calls} in the last 30 days.").format(calls=calls))
    if uses.keys:
        keys = plural(uses.keys, _("key is made for it"), _("keys are made for it"))
        said.append(_("{keys}; their calls of it fail from then on.").format(keys=keys))
    if uses.schedules:
        schedules = plural(uses.schedules, _("schedule"), _("schedules"))
        said.append(_("{schedules} of it will be gone, too.").format(schedules=schedules))
    if uses.hooks:
        hooks = plural(uses.hooks, _("incoming webhook"), _("incoming webhooks"))
        said.append(_("{hooks} of it will be gone, too: their addresses answer no more.").format(hooks=hooks))
    return said


async def delete(page_session: PageSession, flow: FlowRow) -> bool:
    """Asks for confirmation, for a flow that is live or that other flows call by typing its title, and deletes the flow.

    Its jobs stay until their retention ends.
    """
    live = flow.live_version is not None
    lost = (
        _(
            "Its API is switched off, and the flow is gone for good. Its runs stay in Jobs for as long as runs are kept. Tables and collections that it used stay."
        )
        if live
        else _(
            "The flow is gone for good. Its runs stay in Jobs for as long as runs are kept. Tables and collections that it used stay."
        )
    )
    callers = await page_session.query(list_callers, flow.id)
    uses = await page_session.query(_read_uses, flow.id)
    if not await confirm_delete(flow.title, " ".join([lost, *_uses_in_words(uses)]), callers, typed=live):
        return False
    with feedback.refusals_told() as outcome:
        await page_session.execute(delete_flow, flow.id, "delete" if callers else "refuse")
    if not outcome.refused:
        feedback.told(_("{title} is deleted.").format(title=flow.title))
    return not outcome.refused
