"""Which flows use a dataset, in their draft, newest version or live version, or start with its rows.

A flow names a dataset by id or by name, its schedules by id.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from storage.tables import Dataset, Flow, FlowVersion
from storage.tables_triggers import Schedule

TYPES = frozenset({"dataset_source", "dataset_sink"})
#: A pattern for LIKE that matches every document with one of these nodes.
_MARK = '%"dataset%'


@dataclass(frozen=True)
class FlowUse:
    """A flow that uses a dataset.

    `live`: in its live version. `by_name`: by the dataset's name, so that renaming breaks it.
    """

    flow_id: str
    title: str
    live: bool
    by_name: bool


def list_uses(session: Session, workspace_id: str) -> dict[str, tuple[FlowUse, ...]]:
    """Returns dataset id -> the flows that use it, sorted by title. Datasets that no flow uses are left out."""
    ids = {
        key: dataset_id
        for dataset_id, name in session.execute(
            select(Dataset.id, Dataset.name).where(Dataset.workspace_id == workspace_id)
        )
        for key in (name, dataset_id)
    }
    if not ids:
        return {}
    found: dict[tuple[str, str], FlowUse] = {}
    for flow_id, title, live, all_named in chain(_drawn(session, workspace_id), _started_with(session, workspace_id)):
        for named in all_named:
            if (dataset_id := ids.get(named)) is None:
                continue
            before = found.get((dataset_id, flow_id))
            found[dataset_id, flow_id] = FlowUse(
                flow_id,
                title,
                live or (before is not None and before.live),
                named != dataset_id or (before is not None and before.by_name),
            )
    uses: dict[str, list[FlowUse]] = {}
    for (dataset_id, _flow_id), use in found.items():
        uses.setdefault(dataset_id, []).append(use)
    return {
        dataset_id: tuple(sorted(flows, key=lambda use: (use.title.casefold(), use.flow_id)))
        for dataset_id, flows in uses.items()
    }


def _documents(session: Session, workspace_id: str) -> Iterator[tuple[str, str, bool, str]]:
    """Yields (flow id, title, whether it is the live version, document) of each document that may name a dataset."""
    mine = (Flow.workspace_id == workspace_id, Flow.deleted_at.is_(None))
    for row in session.execute(select(Flow.id, Flow.title, Flow.draft).where(*mine, Flow.draft.like(_MARK))):
        yield row.id, row.title, False, row.draft
    versions = (
        select(Flow.id, Flow.title, Flow.live_version, FlowVersion.number, FlowVersion.document)
        .join(FlowVersion, FlowVersion.flow_id == Flow.id)
        .where(
            *mine,
            or_(FlowVersion.number == Flow.newest_version, FlowVersion.number == Flow.live_version),
            FlowVersion.document.like(_MARK),
        )
    )
    for row in session.execute(versions):
        yield row.id, row.title, row.number == row.live_version, row.document


def _drawn(session: Session, workspace_id: str) -> Iterator[tuple[str, str, bool, set[str]]]:
    """Yields (flow id, title, whether it is the live version, the datasets that its nodes name) of each document."""
    for flow_id, title, live, document in _documents(session, workspace_id):
        yield flow_id, title, live, _named_in(document)


def _started_with(session: Session, workspace_id: str) -> Iterator[tuple[str, str, bool, set[str]]]:
    """Yields (flow id, title, whether it is live, {dataset id}) of each schedule that starts a job per row."""
    rows = session.execute(
        select(Flow.id, Flow.title, Flow.live_version, Schedule.source)
        .join(Schedule, Schedule.flow_id == Flow.id)
        .where(Flow.workspace_id == workspace_id, Flow.deleted_at.is_(None))
    )
    for row in rows:
        if row.source.get("kind") == "dataset":
            yield row.id, row.title, row.live_version is not None, {row.source["dataset_id"]}


def _named_in(document: str) -> set[str]:
    found = set()
    for node in json.loads(document).get("nodes", ()):
        config = node.get("config") or {}
        if node.get("type") in TYPES:
            found.add(config.get("dataset"))
        elif node.get("type") == "agent":
            found |= {tool.get("dataset") for tool in config.get("tools") or () if tool.get("kind") == "dataset"}
    return {named for named in found if isinstance(named, str)}
