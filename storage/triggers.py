"""What a flow's page and lists of jobs show of schedules and incoming webhooks."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.datasets import DatasetLine, list_datasets
from storage.hooks import DeliveryLine, HookRow, LastCall, find_last_call, list_hook_deliveries, list_hooks
from storage.schedules import ScheduleRow, StartRow, list_schedules, list_starts
from storage.tables_triggers import Hook, Schedule

#: How many starts and calls each of them shows.
SHOWN = 10


class FlowTriggers(Struct, frozen=True):
    """The schedules and hooks of a flow, with their newest starts and calls by id."""

    schedules: tuple[ScheduleRow, ...]
    starts: dict[str, tuple[StartRow, ...]]
    hooks: tuple[HookRow, ...]
    deliveries: dict[str, tuple[DeliveryLine, ...]]
    last_calls: dict[str, LastCall]
    datasets: tuple[DatasetLine, ...]


def load_flow_triggers(session: Session, workspace_id: str, flow_id: str) -> FlowTriggers:
    """Reads all that starts a flow without a call."""
    schedules = tuple(list_schedules(session, workspace_id, flow_id))
    hooks = tuple(list_hooks(session, workspace_id, flow_id))
    found = {hook.id: find_last_call(session, workspace_id, hook.id) for hook in hooks}
    return FlowTriggers(
        schedules,
        {one.id: tuple(list_starts(session, workspace_id, one.id, SHOWN)) for one in schedules},
        hooks,
        {one.id: tuple(list_hook_deliveries(session, workspace_id, one.id, SHOWN)) for one in hooks},
        {hook_id: call for hook_id, call in found.items() if call is not None},
        tuple(list_datasets(session, workspace_id)),
    )


def list_trigger_titles(session: Session, workspace_id: str) -> dict[str, str]:
    """Returns what jobs name as their trigger -> its title, for the schedules and hooks of a workspace."""
    found: dict[str, str] = {}
    for kind, table in (("schedule", Schedule), ("hook", Hook)):
        rows = session.execute(select(table.id, table.title).where(table.workspace_id == workspace_id))
        found |= {f"{kind}:{trigger_id}": title for trigger_id, title in rows}
    return found
