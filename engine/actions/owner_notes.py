"""Actions on notes to the owner: an editor asks for a model, and the owner closes the note."""

from __future__ import annotations

from sqlalchemy.orm import Session

from engine.actions.principal import Principal, require_may
from engine.core.errors import Conflict
from storage.audit import add_entry
from storage.database import now
from storage.flows import get_flow
from storage.owner_notes import count_open_notes_of, find_open_note, hold_note, insert_note

#: Limit of open notes per person, so that one person cannot flood the owner's page.
MAX_OPEN = 20
MAX_TEXT = 500


def ask_owner(
    session: Session, principal: Principal, subject: str, *, flow_id: str | None = None, message: str = ""
) -> str:
    """Creates a note about a flow, or about `subject` without a flow, and returns its id.

    A repeated note about the same subject only updates the message. Raises NotFound for an unknown flow, and Conflict
    when the person has too many open notes.
    """
    require_may(principal, "edit flows")
    if flow_id is not None:
        subject = get_flow(session, principal.workspace_id, flow_id).title
    subject, message = subject.strip()[:MAX_TEXT], message.strip()[:MAX_TEXT]
    asked = find_open_note(session, principal.workspace_id, principal.actor, flow_id, subject)
    if asked is not None:
        asked.message = message or asked.message
        return asked.id
    if count_open_notes_of(session, principal.workspace_id, principal.actor) >= MAX_OPEN:
        raise Conflict(
            f"{MAX_OPEN} notes of yours wait for the owner already", remedy="Speak with the owner, then ask again."
        )
    note_id = insert_note(
        session,
        principal.workspace_id,
        user_id=principal.actor,
        name=principal.name,
        flow_id=flow_id,
        subject=subject,
        message=message,
    )
    add_entry(session, principal, "ask the owner", note_id, f"a model for {subject}")
    return note_id


def close_note(session: Session, principal: Principal, note_id: str) -> None:
    """Closes a note. Does nothing when it is already closed. Raises NotFound."""
    require_may(principal, "manage connections")
    note = hold_note(session, principal.workspace_id, note_id)
    if note.closed_at is None:
        note.closed_at, note.closed_by = now(session), principal.name
        add_entry(session, principal, "close note", note.id, f"{note.name} asked for a model for {note.subject}")
