"""The collections of a workspace as forms and checks of flows need them."""

from __future__ import annotations

from sqlalchemy.orm import Session

from engine.nodes.known_collections import KnownCollection
from storage.knowledge import list_collections


def known_collections(session: Session, workspace_id: str) -> tuple[KnownCollection, ...]:
    """Returns id, name and number of pieces of each collection of the workspace."""
    return tuple(KnownCollection(one.id, one.name, one.pieces) for one in list_collections(session, workspace_id))
