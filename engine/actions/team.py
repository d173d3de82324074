"""Actions of an owner on other people: invite, change role, disable and enable.

When people lose the role of owner or are disabled, the links they created become invalid, so that they cannot return
with one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from engine.actions.keys import revoke_key
from engine.actions.members import check_person
from engine.actions.one_time_links import add_link
from engine.actions.principal import EVERYBODY, Principal, require_may
from engine.core.clock import DAY
from engine.core.errors import Conflict, FieldError, Invalid, NotFound
from engine.core.roles import Role
from storage.audit import add_entry
from storage.database import now
from storage.keys import KeyRow, list_keys_shown_to
from storage.links import find_invitation, void_invitations_for, void_links, void_links_by
from storage.members import count_owners, find_user, hold_account
from storage.sessions import end_sessions

if TYPE_CHECKING:
    from storage.tables import User

#: Lifetime of an invitation, and of a reset link created by an owner, in milliseconds.
INVITED_FOR = 7 * DAY
RESET_FOR = DAY


def invite(session: Session, principal: Principal, role: Role, email: str = "") -> str:
    """Creates an invitation with this role and returns its token, which is shown once.

    With `email`, only an account with that address can be created, and earlier invitations for it become invalid.
    Raises Invalid, and Conflict when the person already has an account.
    """
    require_may(principal, "manage people")
    _check_role(role)
    email = email.strip().lower()
    if email:
        check_person("Somebody", email)
        known = find_user(session, email)
        if known is not None and known.workspace_id == principal.workspace_id:
            raise Conflict(
                f"{known.name} ({email}) has an account already",
                remedy="Change their role, or make a reset link for them.",
                errors=(FieldError("/email", "conflict", f"{known.name} has an account with this address already"),),
            )
        void_invitations_for(session, principal.workspace_id, email)
    add_entry(session, principal, "invite", "", f"{email or 'anybody with the link'}, as {role}")
    return add_link(
        session,
        "invite",
        principal.workspace_id,
        INVITED_FOR,
        role=role,
        email=email or None,
        created_by=principal.actor,
    )


def withdraw_invitation(session: Session, principal: Principal, invitation_id: str) -> None:
    """Invalidates an open invitation.

    Raises NotFound for an unknown, used or expired one, and for one of another workspace.
    """
    require_may(principal, "manage people")
    invitation = find_invitation(session, principal.workspace_id, invitation_id)
    if invitation is None:
        raise NotFound("This invitation is not open any more")
    invitation.used_at = now(session)
    add_entry(
        session,
        principal,
        "withdraw invitation",
        "",
        f"{invitation.email or 'anybody with the link'}, as {invitation.role}",
    )


def renew_invitation(session: Session, principal: Principal, invitation_id: str) -> str:
    """Replaces an open invitation by one with the same role and address, and returns its token, which is shown once.

    Raises NotFound for an unknown, used or expired one, and for one of another workspace; Conflict when the person has an
    account by now.
    """
    require_may(principal, "manage people")
    before = find_invitation(session, principal.workspace_id, invitation_id)
    if before is None:
        raise NotFound("This invitation is not open any more")
    role, email = Role(before.role), before.email or ""
    withdraw_invitation(session, principal, invitation_id)
    return invite(session, principal, role, email)


def change_role(session: Session, principal: Principal, user_id: str, role: Role) -> None:
    """Changes a person's role and ends their sessions. Raises NotFound, and Conflict for the last owner."""
    require_may(principal, "manage people")
    _check_role(role)
    user = hold_account(session, principal.workspace_id, user_id)
    if user.role == role:
        return
    _keep_an_owner(session, user)
    was, user.role = user.role, role
    end_sessions(session, user.id)
    void_links_by(session, user.workspace_id, user.id)
    add_entry(session, principal, "change role", user.id, f"{user.email}: {was} to {role}")


def disable_person(
    session: Session, principal: Principal, user_id: str, revoke: Iterable[str] | None = ()
) -> list[KeyRow]:
    """Disables a person immediately and revokes the keys with the ids in `revoke`, or with None all that they have seen.

    Everything else they created is kept. Returns the valid keys that they have seen, as they were before: from now on they
    see no other.

    Raises NotFound, and Conflict for the last owner.
    """
    require_may(principal, "manage people")
    user = hold_account(session, principal.workspace_id, user_id)
    if user.disabled_at is None:
        _keep_an_owner(session, user)
        user.disabled_at = now(session)
        end_sessions(session, user.id)
        void_links_by(session, user.workspace_id, user.id)
        void_links(session, user.workspace_id, "reset", user.id)
        add_entry(session, principal, "disable person", user.id, user.email)
    seen = list_keys_shown_to(session, principal.workspace_id, user.id)
    for key_id in [key.id for key in seen] if revoke is None else revoke:
        revoke_key(session, principal, key_id)
    return seen


def enable_person(session: Session, principal: Principal, user_id: str) -> None:
    """Enables a disabled person. Raises NotFound."""
    require_may(principal, "manage people")
    user = hold_account(session, principal.workspace_id, user_id)
    if user.disabled_at is not None:
        user.disabled_at = None
        add_entry(session, principal, "enable person", user.id, user.email)


def make_reset_link(session: Session, principal: Principal, user_id: str) -> str:
    """Creates a password reset link for a person and returns its token. It replaces an earlier one.

    The old password works until the link is used. Raises NotFound, and Conflict for a disabled person.
    """
    require_may(principal, "manage people")
    user = hold_account(session, principal.workspace_id, user_id)
    if user.disabled_at is not None:
        raise Conflict(f"{user.name} is shut out", remedy="Let them in again first.")
    void_links(session, user.workspace_id, "reset", user.id)
    add_entry(session, principal, "make reset link", user.id, user.email)
    return add_link(session, "reset", user.workspace_id, RESET_FOR, user_id=user.id, created_by=principal.actor)


def sign_out_person(session: Session, principal: Principal, user_id: str) -> None:
    """Ends every session of a person. Raises NotFound."""
    require_may(principal, "manage people")
    user = hold_account(session, principal.workspace_id, user_id)
    end_sessions(session, user.id)
    add_entry(session, principal, "sign out person", user.id, user.email)


def _check_role(role: str) -> None:
    if role not in EVERYBODY:
        raise Invalid(f"`{role}` is not a role", remedy=f"Choose one of {', '.join(EVERYBODY)}.")


def _keep_an_owner(session: Session, user: User) -> None:
    if user.role == Role.OWNER and user.disabled_at is None and count_owners(session, user.workspace_id) == 1:
        raise Conflict(f"{user.name} is the only owner", remedy="Make somebody else an owner first.")
