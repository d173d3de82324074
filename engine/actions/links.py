"""Links printed at the server's terminal: to set up the first owner, or to set a new password.

A token is 256 random bits, stored as SHA-256, lives 15 minutes, works once, and a new one voids the one before (S19).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.orm import Session

from engine.clock import MINUTE, SECOND
from engine.errors import Conflict, LinkNotValid, NotFound
from storage.audit import add_entry
from storage.database import now
from storage.members import (
    find_link,
    find_user,
    has_owner,
    hash_token,
    last_link_at,
    list_people,
    void_links,
)
from storage.models import SetupToken, User

Purpose = Literal["setup", "reset"]

LIFETIME = 15 * MINUTE
RENEWAL = 60 * SECOND


@dataclass(frozen=True)
class Link:
    """What a link that still works is for; `email` is set for a new password."""

    purpose: Purpose
    workspace_id: str
    email: str | None


def link_path(token: str) -> str:
    """The page that takes the token, whatever it is for."""
    return f"/setup/{token}"


def new_setup_token(session: Session, workspace_id: str) -> str:
    """A token that lets its holder become the first owner. Raises Conflict when there is an owner."""
    if has_owner(session, workspace_id):
        owners = ", ".join(person.email for person in list_people(session, workspace_id) if person.role == "owner")
        raise Conflict(
            f"This Flowport has an owner already ({owners})",
            remedy="For a new password run `app.py setup-link --reset EMAIL`.",
        )
    return _new_token(session, workspace_id, "setup", None)


def renew_setup_token(session: Session, workspace_id: str) -> str | None:
    """A fresh token when a visitor finds no owner; None when the last one is younger than a minute or there is an owner."""
    last = last_link_at(session, workspace_id, "setup")
    if has_owner(session, workspace_id) or (last is not None and now(session) - last < RENEWAL):
        return None
    return _new_token(session, workspace_id, "setup", None)


def new_reset_token(session: Session, workspace_id: str, email: str) -> str:
    """A token that lets its holder set a new password for this account. Raises NotFound."""
    user = find_user(session, email.strip().lower())
    if user is None or user.workspace_id != workspace_id:
        raise NotFound(f"Nobody has the e-mail address `{email}`", remedy="Check its spelling.")
    add_entry(session, _Terminal(workspace_id), "print reset link", user.id, user.email)
    return _new_token(session, workspace_id, "reset", user.id)


def get_link(session: Session, token: str) -> Link:
    """What the link is for. Raises LinkNotValid for one that is unknown, used up or too old; they look the same."""
    row = find_link(session, token)
    if row is None:
        raise LinkNotValid
    user = session.get(User, row.user_id) if row.user_id else None
    purpose: Purpose = row.purpose  # type: ignore[assignment] - only written here
    return Link(purpose, row.workspace_id, user.email if user else None)


def use_link(session: Session, token: str, purpose: Purpose) -> SetupToken:
    """Uses the link up, in the transaction of the verb that it allows. Raises LinkNotValid."""
    row = find_link(session, token)
    if row is None or row.purpose != purpose:
        raise LinkNotValid
    row.used_at = now(session)
    return row


def _new_token(session: Session, workspace_id: str, purpose: Purpose, user_id: str | None) -> str:
    void_links(session, workspace_id, purpose, user_id)
    token = secrets.token_urlsafe(32)
    session.add(
        SetupToken(
            token_hash=hash_token(token),
            purpose=purpose,
            workspace_id=workspace_id,
            user_id=user_id,
            created_at=now(session),
            expires_at=now(session) + LIFETIME,
        )
    )
    return token


@dataclass(frozen=True)
class _Terminal:
    """The server's terminal, in the audit log."""

    workspace_id: str
    actor: str = "command line"
    name: str = "Command line"
    address: str = ""
