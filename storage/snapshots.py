"""Documents that Playground runs are of: what was on the canvas when somebody pressed Run."""

from __future__ import annotations

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from engine.core.ids import new_id
from storage.database import now
from storage.tables import Snapshot


def insert_snapshot(session: Session, flow_id: str, document: str) -> str:
    """Stores a document as JSON text; returns its id."""
    snapshot_id = new_id("snap")
    session.execute(
        insert(Snapshot), {"id": snapshot_id, "flow_id": flow_id, "document": document, "created_at": now(session)}
    )
    return snapshot_id


def read_snapshot(session: Session, snapshot_id: str | None) -> str:
    """The document as JSON text. A job keeps its snapshot for as long as it is there."""
    return session.scalars(select(Snapshot.document).where(Snapshot.id == snapshot_id)).one()
