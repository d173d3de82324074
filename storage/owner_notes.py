"""Queries for notes to the owner: requests of people that no owner has closed yet."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import ColumnElement, Nullable, func, select
from sqlalchemy.orm import Session

from engine.core.errors import NotFound
from engine.core.ids import new_id
from storage.database import now
from storage.tables import Flow, OwnerNote


class OwnerNoteRow(Struct, frozen=True):
    """A request by `name` about `subject`; `flow_id` is None when it is about no flow, or about a deleted one."""

    id: str
    user_id: str
    name: str
    flow_id: str | None
    subject: str
    message: str
    created_at: int


def list_open_notes(session: Session, workspace_id: str) -> list[OwnerNoteRow]:
    """Returns the open notes, newest first."""
    rows = session.execute(
        select(OwnerNote, Nullable(Flow.title))
        .outerjoin(Flow, (Flow.id == OwnerNote.flow_id) & Flow.deleted_at.is_(None))
        .where(OwnerNote.workspace_id == workspace_id, OwnerNote.closed_at.is_(None))
        .order_by(OwnerNote.created_at.desc(), OwnerNote.id)
    )
    return [
        OwnerNoteRow(
            note.id,
            note.user_id,
            note.name,
            None if title is None else note.flow_id,
            title or note.subject,
            note.message,
            note.created_at,
        )
        for note, title in rows
    ]


def count_open_notes(session: Session, workspace_id: str) -> int:
    """Returns the number of open notes."""
    return session.scalar(select(func.count()).select_from(OwnerNote).where(*_open(workspace_id))) or 0


def find_open_note(
    session: Session, workspace_id: str, user_id: str, flow_id: str | None, subject: str
) -> OwnerNote | None:
    """Returns this person's open note about the same flow, or without a flow about the same subject; None
    without one.
    """
    same = OwnerNote.subject == subject if flow_id is None else OwnerNote.flow_id == flow_id
    return session.scalars(select(OwnerNote).where(*_open(workspace_id), OwnerNote.user_id == user_id, same)).first()


def has_asked(session: Session, workspace_id: str, user_id: str, flow_id: str | None, subject: str) -> bool:
    """True when this person has an open note about the same."""
    return find_open_note(session, workspace_id, user_id, flow_id, subject) is not None


def count_open_notes_of(session: Session, workspace_id: str, user_id: str) -> int:
    """Returns the number of this person's open notes."""
    mine = select(func.count()).select_from(OwnerNote).where(*_open(workspace_id), OwnerNote.user_id == user_id)
    return session.scalar(mine) or 0


def hold_note(session: Session, workspace_id: str, note_id: str) -> OwnerNote:
    """Returns the note's ORM row, for an action to change. Raises NotFound."""
    row = session.scalars(
        select(OwnerNote).where(OwnerNote.workspace_id == workspace_id, OwnerNote.id == note_id)
    ).one_or_none()
    if row is None:
        raise NotFound("There is no such note", remedy="Settings, Models and secrets shows those that wait.")
    return row


def insert_note(
    session: Session,
    workspace_id: str,
    *,
    user_id: str,
    name: str,
    flow_id: str | None,
    subject: str,
    message: str,
) -> str:
    """Adds an open note to the owner; returns its id."""
    note = OwnerNote(
        id=new_id("note"),
        workspace_id=workspace_id,
        user_id=user_id,
        name=name,
        flow_id=flow_id,
        subject=subject,
        message=message,
        created_at=now(session),
        closed_at=None,
        closed_by=None,
    )
    session.add(note)
    return note.id


def _open(workspace_id: str) -> tuple[ColumnElement[bool], ...]:
    return OwnerNote.workspace_id == workspace_id, OwnerNote.closed_at.is_(None)
