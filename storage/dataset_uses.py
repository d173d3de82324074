"""Which flows use a dataset, in their draft, newest version or live version, or start with its rows.

A flow names a dataset by id or by name, its schedules by id.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.flow_uses import FlowUse, Naming, agent_tools, namings_of, uses_of
from storage.tables import Dataset, Flow
from storage.tables_triggers import Schedule

TYPES = frozenset({"dataset_source", "dataset_sink", "look_up_row"})
#: A pattern for LIKE that matches every document with one of these nodes.
_MARK = '%"dataset%'


def list_uses(session: Session, workspace_id: str) -> dict[str, tuple[FlowUse, ...]]:
    """Returns dataset id -> the flows that use it, sorted by title. Datasets that no flow uses are left out."""
    datasets = session.execute(select(Dataset.id, Dataset.name).where(Dataset.workspace_id == workspace_id))
    drawn = namings_of(session, workspace_id, _MARK, _named_in)
    return uses_of([(row.id, row.name) for row in datasets], chain(drawn, _started_with(session, workspace_id)))


def _started_with(session: Session, workspace_id: str) -> Iterator[Naming]:
    """Yields the dataset of each schedule that starts a job per row."""
    rows = session.execute(
        select(Flow.id, Flow.title, Flow.live_version, Schedule.source)
        .join(Schedule, Schedule.flow_id == Flow.id)
        .where(Flow.workspace_id == workspace_id, Flow.deleted_at.is_(None))
    )
    for row in rows:
        if row.source.get("kind") == "dataset":
            yield Naming(row.id, row.title, row.live_version is not None, {row.source["dataset_id"]})


def _named_in(document: Any) -> set[str]:
    found: list[object] = []
    for node in document.get("nodes", ()):
        config: dict[str, Any] = node.get("config") or {}
        if node.get("type") in TYPES:
            found.append(config.get("dataset"))
        found += [tool.get("dataset") for tool in agent_tools(node, "dataset")]
    return {named for named in found if isinstance(named, str)}
