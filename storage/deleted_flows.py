"""What is left of a deleted flow, which retention removes in small writes: its draft at once, and its versions with all
that hangs on them once no job of it is left, since jobs show and run the version that they were accepted with.

The row with its title stays until nothing that Monitoring keeps can name the flow any more.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from storage.files import drop_uses
from storage.flows import EMPTY_DRAFT
from storage.hooks import remove_hooks
from storage.schedules import remove_schedules
from storage.statements import Statement, is_sqlite
from storage.tables import Flow

#: A version is as large as that many rows of the other tables.
_VERSION_ROWS: Final = 20
_TABLES: Final = ("flow_versions", "snapshots", "deployments", "sent_fields", "webhook_secrets")
_HAS_JOBS = Statement("select 1 from jobs where flow_id = :id limit 1")
_HAS_ROWS = {table: Statement(f"select 1 from {table} where flow_id = :id limit 1") for table in _TABLES}  # noqa: S608 - no outside text
_REMOVE = {
    (table, place): Statement(
        f"delete from {table} where {place} in (select {place} from {table} where flow_id = :id limit :most)"  # noqa: S608 - no outside text
    )
    for table in _TABLES
    for place in ("rowid", "ctid")
}
_REMOVE_ROW = Statement(
    """
    delete from flows where id = :id and deleted_at is not null
       and not exists (select 1 from jobs where jobs.flow_id = flows.id)
    """
)


def has_draft(session: Session, flow_id: str) -> bool:
    """True when a deleted flow still has its draft or its description."""
    left = (Flow.draft != EMPTY_DRAFT) | (Flow.description != "")
    return session.scalar(select(1).where(Flow.id == flow_id, Flow.deleted_at.is_not(None), left)) is not None


def forget_draft(session: Session, flow_id: str) -> int:
    """Removes both. Returns 1."""
    forgotten = {"draft": EMPTY_DRAFT, "description": ""}
    session.execute(update(Flow).where(Flow.id == flow_id, Flow.deleted_at.is_not(None)).values(forgotten))
    drop_uses(session, "flow", flow_id)
    return 1


def has_jobs(session: Session, flow_id: str) -> bool:
    """True when a job of the flow is left."""
    return _HAS_JOBS.row(session, {"id": flow_id}) is not None


def has_parts(session: Session, flow_id: str) -> bool:
    """True when a deleted flow without jobs still has versions or what belongs to them."""
    if has_jobs(session, flow_id):
        return False
    settings = session.scalar(select(Flow.settings).where(Flow.id == flow_id, Flow.deleted_at.is_not(None)))
    if settings is None:
        return False  # it was brought back
    return bool(settings) or any(one.row(session, {"id": flow_id}) is not None for one in _HAS_ROWS.values())


def remove_parts(session: Session, flow_id: str, most: int) -> int:
    """Removes about `most` rows of it, its settings with the last ones. Returns how many rows; 0: there was none."""
    if not _is_deleted(session, flow_id):
        return 0
    place = "rowid" if is_sqlite(session) else "ctid"
    removed = 0
    for table in _TABLES:
        most_here = max(1, most // _VERSION_ROWS) if table == "flow_versions" else most
        removed = _REMOVE[table, place].count(session, {"id": flow_id, "most": most_here})
        if removed:
            return removed
    session.execute(update(Flow).where(Flow.id == flow_id).values(settings={}))
    return removed


def remove_row(session: Session, flow_id: str) -> int:
    """Removes the row of a deleted flow that has no parts. Returns how many there were."""
    workspace_id = session.scalar(select(Flow.workspace_id).where(Flow.id == flow_id))
    if workspace_id is None or not _is_deleted(session, flow_id):
        return 0
    remove_schedules(session, workspace_id, flow_id=flow_id)
    remove_hooks(session, workspace_id, flow_id=flow_id)
    return _REMOVE_ROW.count(session, {"id": flow_id})


def _is_deleted(session: Session, flow_id: str) -> bool:
    """False when the flow was brought back; while the transaction lasts, it is not."""
    deleted = select(Flow.id).where(Flow.id == flow_id, Flow.deleted_at.is_not(None))
    return session.scalar(deleted.with_for_update()) is not None
