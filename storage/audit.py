"""The audit log: who deployed, rotated, revoked or changed a limit, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from storage.database import now
from storage.models import AuditEntry


class Actor(Protocol):
    """Who did it (`engine.actions.principal.Principal`)."""

    @property
    def workspace_id(self) -> str: ...
    @property
    def actor(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def address(self) -> str: ...


@dataclass(frozen=True)
class AuditRow:
    """One line of the log: at `at` `name` did `verb` to `subject`."""

    at: int
    actor: str
    verb: str
    subject: str
    detail: str
    address: str


def add_entry(session: Session, actor: Actor, verb: str, subject: str, detail: str = "") -> None:
    """Writes a line. `subject` is an id, `detail` a sentence without any secret."""
    session.execute(
        insert(AuditEntry).values(
            workspace_id=actor.workspace_id,
            at=now(session),
            actor=f"{actor.name} ({actor.actor})" if actor.name.lower() != actor.actor else actor.actor,
            verb=verb,
            subject=subject,
            detail=detail,
            address=actor.address,
        )
    )


def list_entries(session: Session, workspace_id: str, limit: int = 200) -> list[AuditRow]:
    """The newest lines first."""
    rows = session.scalars(
        select(AuditEntry).where(AuditEntry.workspace_id == workspace_id).order_by(AuditEntry.id.desc()).limit(limit)
    )
    return [AuditRow(row.at, row.actor, row.verb, row.subject, row.detail, row.address) for row in rows]
