"""Queries for the audit log: who changed a deployment, key, limit or setting, signed in or tried to, and when."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from storage.database import now
from storage.tables import AuditEntry


class Actor(Protocol):
    """Who made a change (`engine.actions.principal.Principal`)."""

    @property
    def workspace_id(self) -> str: ...
    @property
    def actor(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def address(self) -> str: ...


class AuditRow(Struct, frozen=True):
    """One entry of the log: at the time `at` (milliseconds), `name` did `verb` to `subject`."""

    at: int
    actor: str
    verb: str
    subject: str
    detail: str
    address: str
    id: int = 0


class AuditFilters(Struct, frozen=True):
    """Which entries to list; None: all.

    `actor` is compared with the text of an entry. Times are milliseconds, both included.
    """

    actor: str | None = None
    verbs: tuple[str, ...] | None = None
    since: int | None = None
    until: int | None = None


def add_entry(session: Session, actor: Actor, verb: str, subject: str, detail: str = "") -> None:
    """Adds an entry. `subject` is an id; `detail` is a sentence that contains no secret."""
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


def list_entries(
    session: Session,
    workspace_id: str,
    limit: int = 200,
    filters: AuditFilters = AuditFilters(),
    before: int | None = None,
) -> list[AuditRow]:
    """Returns entries, newest first; `before` is the id of the last entry of the previous page."""
    wanted = [AuditEntry.workspace_id == workspace_id]
    if filters.actor is not None:
        wanted.append(AuditEntry.actor == filters.actor)
    if filters.verbs is not None:
        wanted.append(AuditEntry.verb.in_(filters.verbs))
    if filters.since is not None:
        wanted.append(AuditEntry.at >= filters.since)
    if filters.until is not None:
        wanted.append(AuditEntry.at <= filters.until)
    if before is not None:
        wanted.append(AuditEntry.id < before)
    rows = session.scalars(select(AuditEntry).where(*wanted).order_by(AuditEntry.id.desc()).limit(limit))
    return [AuditRow(row.at, row.actor, row.verb, row.subject, row.detail, row.address, row.id) for row in rows]


def list_actors(session: Session, workspace_id: str) -> list[str]:
    """Returns the distinct actors in the log, sorted."""
    found = select(AuditEntry.actor).where(AuditEntry.workspace_id == workspace_id).distinct()
    return list(session.scalars(found.order_by(AuditEntry.actor)))
