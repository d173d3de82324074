"""One-time links that replace a password: to create the first owner, to reset a password, and to accept an invitation.

A token has 256 random bits, is stored as SHA-256 and works once. Links printed at the server's terminal are valid for
15 minutes and invalidate earlier ones, except those that a visit or the start of one of several servers has printed
(S19); a reset link created by an owner is valid for one day, an invitation for seven.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.core.clock import MINUTE, SECOND
from engine.core.errors import Conflict, LinkNotValid, NotFound
from engine.core.roles import Role
from storage.audit import add_entry
from storage.database import now
from storage.links import find_link, insert_link, last_link_at, void_links
from storage.members import find_account, find_user, has_owner, list_people
from storage.second_factors import remove_second_factor
from storage.workspaces import is_first_workspace

if TYPE_CHECKING:
    from storage.tables import SetupToken

#: "second step": the password was correct, and a second-factor code is still required.
Purpose = Literal["setup", "reset", "invite", "second step"]

LIFETIME = 15 * MINUTE
RENEWAL = 60 * SECOND
#: The purposes of links that the page `/setup/<token>` accepts.
SETUP_PURPOSES: tuple[Purpose, ...] = ("setup", "reset")


class Link(Struct, frozen=True):
    """What a valid link allows. `email` is set for a password reset and optional for an invitation.

    `role` and `made_by` (the inviter's name) are set for invitations.
    """

    purpose: Purpose
    workspace_id: str
    email: str | None
    role: Role | None = None
    made_by: str = ""


def link_path(token: str) -> str:
    """Returns the path of the page for a set-up or reset token."""
    return f"/setup/{token}"


def invitation_path(token: str) -> str:
    """Returns the path of the page for an invitation token."""
    return f"/invite/{token}"


def new_setup_token(session: Session, workspace_id: str, *, voids: bool = True) -> str:
    """Creates a token that lets its holder become the first owner. `voids`: it invalidates earlier ones.

    Raises Conflict when an owner exists.
    """
    if has_owner(session, workspace_id):
        owners = ", ".join(person.email for person in list_people(session, workspace_id) if person.role == "owner")
        raise Conflict(
            f"This Flowport has an owner already ({owners})",
            remedy="For a new password run `.venv/bin/python app.py setup-link --reset EMAIL`.",
        )
    if voids:
        void_links(session, workspace_id, "setup", None)
    return add_link(session, "setup", workspace_id, LIFETIME)


def renew_setup_token(session: Session, workspace_id: str) -> str | None:
    """Creates a new set-up token when a visitor arrives and no owner exists.

    Earlier ones stay valid: the visitor may be a stranger, while the owner fills in the form of one. Returns None when an
    owner exists or the last token is less than a minute old.
    """
    last = last_link_at(session, workspace_id, "setup")
    if has_owner(session, workspace_id) or (last is not None and now(session) - last < RENEWAL):
        return None
    return add_link(session, "setup", workspace_id, LIFETIME)


def new_reset_token(session: Session, workspace_id: str | None, email: str) -> tuple[str, bool]:
    """Creates a token that resets the password of an account, and removes the account's second factor. Returns the token,
    and whether there was a second factor.

    `workspace_id` None: of any workspace, as an e-mail address has one account on a server. Raises NotFound, and Conflict
    for a disabled person, who could not use it.
    Only for the server's terminal, whose user has full access to the database anyway.
    """
    user = find_user(session, email.strip().lower())
    if user is None or workspace_id not in {None, user.workspace_id}:
        nobody = "Nobody" if workspace_id is None else "Nobody in this workspace"
        raise NotFound(f"{nobody} has the e-mail address `{email}`", remedy="Check its spelling.")
    workspace_id = user.workspace_id
    if user.disabled_at is not None:
        there = "" if is_first_workspace(session, workspace_id) else f" --workspace {workspace_id}"
        raise Conflict(
            f"{user.name} is shut out",
            remedy=f"Let them in again first with `app.py people enable {user.email}{there}`.",
        )
    add_entry(session, _Terminal(workspace_id), "print reset link", user.id, user.email)
    had_factor = remove_second_factor(session, user.id)
    if had_factor:
        add_entry(session, _Terminal(workspace_id), "reset second factor", user.id, user.email)
    void_links(session, workspace_id, "reset", user.id)
    return add_link(session, "reset", workspace_id, LIFETIME, user_id=user.id), had_factor


def get_link(session: Session, token: str, purposes: Collection[Purpose] = SETUP_PURPOSES) -> Link:
    """Returns what a link allows. Raises LinkNotValid alike for an unknown, used or expired token."""
    row = find_link(session, token)
    if row is None or row.purpose not in purposes:
        raise LinkNotValid
    purpose: Purpose = row.purpose  # type: ignore[assignment] - only written here
    role = None if row.role is None else Role(row.role)
    user = find_account(session, row.user_id)
    maker = find_account(session, row.created_by)
    return Link(purpose, row.workspace_id, user.email if user else row.email, role, maker.name if maker else "")


def use_link(session: Session, token: str, purpose: Purpose) -> SetupToken:
    """Marks a link as used, in the transaction of the action that it allows. Raises LinkNotValid."""
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
    """Stores a new link and returns its token, of which only the hash is stored. `lifetime` is in milliseconds.

    Callers check whether the actor may create the link.
    """
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


class _Terminal(Struct, frozen=True):
    """The server's terminal as an actor in the audit log."""

    workspace_id: str
    actor: str = "command line"
    name: str = "Command line"
    address: str = ""
