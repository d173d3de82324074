"""Queries for snapshots: the documents of Playground runs, as they were on the canvas when Run was pressed."""

from __future__ import annotations

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from engine.core.ids import new_id
from storage.database import now
from storage.tables import Snapshot


def insert_snapshot(session: Session, flow_id: str, document: str) -> str:
    """Stores a document (JSON text); returns the snapshot's id."""
    snapshot_id = new_id("snap")
    session.execute(
        insert(Snapshot), {"id": snapshot_id, "flow_id": flow_id, "document": document, "created_at": now(session)}
    )
    return snapshot_id


def read_snapshot(session: Session, snapshot_id: str | None) -> str:
    """Returns the document as JSON text. Retention removes a snapshot together with the values of its jobs."""
    return session.scalars(select(Snapshot.document).where(Snapshot.id == snapshot_id)).one()
