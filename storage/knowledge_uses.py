"""Which flows use a collection of knowledge, in their draft, newest version or live version.

A flow names a collection by id or by name, in the setting `collection` of a node; the tools of an agent name one too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from storage.tables import Flow, FlowVersion
from storage.tables_knowledge import KnowledgeCollection

#: A pattern for LIKE that matches every document that names a collection.
_MARK = '%"collection"%'


@dataclass(frozen=True)
class KnowledgeUse:
    """A flow that uses a collection.

    `live`: in its live version. `by_name`: by the collection's name, so that renaming breaks it.
    """

    flow_id: str
    title: str
    live: bool
    by_name: bool


def list_knowledge_uses(session: Session, workspace_id: str) -> dict[str, tuple[KnowledgeUse, ...]]:
    """Returns collection id -> the flows that use it, sorted by title. Collections that no flow uses are left out."""
    ids = {
        key: collection_id
        for collection_id, name in session.execute(
            select(KnowledgeCollection.id, KnowledgeCollection.name).where(
                KnowledgeCollection.workspace_id == workspace_id, KnowledgeCollection.deleted_at.is_(None)
            )
        )
        for key in (name, collection_id)
    }
    if not ids:
        return {}
    found: dict[tuple[str, str], KnowledgeUse] = {}
    for flow_id, title, live, document in _documents(session, workspace_id):
        for named in _named_in(json.loads(document)):
            if (collection_id := ids.get(named)) is None:
                continue
            before = found.get((collection_id, flow_id))
            found[collection_id, flow_id] = KnowledgeUse(
                flow_id,
                title,
                live or (before is not None and before.live),
                named != collection_id or (before is not None and before.by_name),
            )
    uses: dict[str, list[KnowledgeUse]] = {}
    for (collection_id, _flow_id), use in found.items():
        uses.setdefault(collection_id, []).append(use)
    return {
        collection_id: tuple(sorted(flows, key=lambda use: (use.title.casefold(), use.flow_id)))
        for collection_id, flows in uses.items()
    }


def _documents(session: Session, workspace_id: str) -> Iterator[tuple[str, str, bool, str]]:
    """Yields (flow id, title, whether it is the live version, document) of each document that may name a collection."""
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


def _named_in(document: Any) -> set[str]:
    """Returns what the settings of the nodes name as `collection`, at any depth."""
    found: set[str] = set()
    waiting = [node.get("config") for node in document.get("nodes", ())]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if isinstance(named := value.get("collection"), str):
                found.add(named)
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return found
