"""Which flows use a collection of knowledge, in their draft, newest version or live version.

A flow names a collection by id or by name, in the setting `collection` of a node; the tools of an agent name one too.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.flow_uses import FlowUse, namings_of, uses_of
from storage.tables_knowledge import KnowledgeCollection

#: A pattern for LIKE that matches every document that names a collection.
_MARK = '%"collection"%'


def list_knowledge_uses(session: Session, workspace_id: str) -> dict[str, tuple[FlowUse, ...]]:
    """Returns collection id -> the flows that use it, sorted by title. Collections that no flow uses are left out."""
    collections = session.execute(
        select(KnowledgeCollection.id, KnowledgeCollection.name).where(
            KnowledgeCollection.workspace_id == workspace_id, KnowledgeCollection.deleted_at.is_(None)
        )
    )
    return uses_of([(row.id, row.name) for row in collections], namings_of(session, workspace_id, _MARK, _named_in))


def _named_in(document: Any) -> set[str]:
    """Returns what the settings of the nodes name as `collection`, at any depth."""
    found: set[str] = set()
    waiting: list[dict[str, Any] | list[Any] | str | float | None] = [
        node.get("config") for node in document.get("nodes", ())
    ]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if isinstance(named := value.get("collection"), str):
                found.add(named)
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return found
