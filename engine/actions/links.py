"""Links that let somebody in without a password: to set up the first owner, to set a new password, to join.

A token is 256 random bits, stored as SHA-256, and works once. Links printed at the server's terminal live 15 minutes and a new one
voids the one before (S19); a reset link that an owner hands on lives a day, an invitation seven.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy.orm import Session

from engine.core.clock import MINUTE, SECOND
from engine.core.errors import Conflict, LinkNotValid, NotFound
from engine.core.roles import Role
from storage.audit import add_entry
from storage.database import now
from storage.links import find_link, insert_link, last_link_at, void_links
from storage.members import find_account, find_user, has_owner, list_people
from storage.second_factors import remove_second_factor

if TYPE_CHECKING:
    from storage.tables import SetupToken

#: "second step": the password was right, and a code is wanted before anybody is signed in.
Purpose = Literal["setup", "reset", "invite", "second step"]

LIFETIME = 15 * MINUTE
RENEWAL = 60 * SECOND
#: What `/setup/<token>` takes.
SETUP_PURPOSES: tuple[Purpose, ...] = ("setup", "reset")


@dataclass(frozen=True)
class Link:
    """What a link that still works is for; `email` is set for a new password and may be for an invitation.

    Of an invitation: the `role` it gives, and the name of who made it.
    """

    purpose: Purpose
    workspace_id: str
    email: str | None
    role: Role | None = None
    made_by: str = ""


def link_path(token: str) -> str:
    """The page that takes the token of a set-up or reset link."""
    return f"/setup/{token}"


def invitation_path(token: str) -> str:
    """The page that takes the token of an invitation."""
    return f"/invite/{token}"


def new_setup_token(session: Session, workspace_id: str) -> str:
    """A token that lets its holder become the first owner. Raises Conflict when there is an owner."""
    if has_owner(session, workspace_id):
        owners = ", ".join(person.email for person in list_people(session, workspace_id) if person.role == "owner")
        raise Conflict(
            f"This Flowport has an owner already ({owners})",
            remedy="For a new password run `app.py setup-link --reset EMAIL`.",
        )
    return _new_setup_token(session, workspace_id)


def renew_setup_token(session: Session, workspace_id: str) -> str | None:
    """A fresh token when a visitor finds no owner; None when the last one is younger than a minute or there is an owner."""
    last = last_link_at(session, workspace_id, "setup")
    if has_owner(session, workspace_id) or (last is not None and now(session) - last < RENEWAL):
        return None
    return _new_setup_token(session, workspace_id)


def new_reset_token(session: Session, workspace_id: str, email: str) -> str:
    """A token that lets its holder set a new password for this account, whose second factor is taken away. Raises NotFound.

    Only for the server's terminal: whoever sits there has the database.
    """
    user = find_user(session, email.strip().lower())
    if user is None or user.workspace_id != workspace_id:
        raise NotFound(f"Nobody has the e-mail address `{email}`", remedy="Check its spelling.")
    add_entry(session, _Terminal(workspace_id), "print reset link", user.id, user.email)
    if remove_second_factor(session, user.id):
        add_entry(session, _Terminal(workspace_id), "reset second factor", user.id, user.email)
    void_links(session, workspace_id, "reset", user.id)
    return add_link(session, "reset", workspace_id, LIFETIME, user_id=user.id)


def get_link(session: Session, token: str, purposes: Collection[Purpose] = SETUP_PURPOSES) -> Link:
    """What the link is for. Raises LinkNotValid for one that is unknown, used up or too old; they look the same."""
    row = find_link(session, token)
    if row is None or row.purpose not in purposes:
        raise LinkNotValid
    purpose: Purpose = row.purpose  # type: ignore[assignment] - only written here
    role = None if row.role is None else Role(row.role)
    user = find_account(session, row.user_id)
    maker = find_account(session, row.created_by)
    return Link(purpose, row.workspace_id, user.email if user else row.email, role, maker.name if maker else "")


def use_link(session: Session, token: str, purpose: Purpose) -> SetupToken:
    """Uses the link up, in the transaction of the verb that it allows. Raises LinkNotValid."""
    row = find_link(session, token)
    if row is None or row.purpose != purpose:
        raise LinkNotValid
    row.used_at = now(session)
    return row


def add_link(
    session: Session,
    purpose: Purpose,
    workspace_id: str,
    lifetime: int,
    *,
    user_id: str | None = None,
    role: Role | None = None,
    email: str | None = None,
    created_by: str | None = None,
) -> str:
    """Stores a new link, for the verbs that may make one; returns its token, which is not kept. `lifetime` in milliseconds."""
    token = secrets.token_urlsafe(32)
    insert_link(
        session,
        token,
        purpose,
        workspace_id,
        lifetime,
        user_id=user_id,
        role=role,
        email=email,
        created_by=created_by,
    )
    return token


def _new_setup_token(session: Session, workspace_id: str) -> str:
    void_links(session, workspace_id, "setup", None)
    return add_link(session, "setup", workspace_id, LIFETIME)


@dataclass(frozen=True)
class _Terminal:
    """The server's terminal, in the audit log."""

    workspace_id: str
    actor: str = "command line"
    name: str = "Command line"
    address: str = ""
