"""Verbs of an owner about other people: invite them, change their role, shut them out, let them in again.

Whoever loses the role of owner, or is shut out, takes the links they made along: a link kept in a pocket lets nobody back in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from engine.actions.keys import revoke_key
from engine.actions.links import add_link
from engine.actions.members import check_person
from engine.actions.principal import EVERYBODY, Principal, require_may
from engine.core.clock import DAY
from engine.core.errors import Conflict, FieldError, Invalid, NotFound
from engine.core.roles import Role
from storage.audit import add_entry
from storage.database import now
from storage.links import find_invitation, void_invitations_for, void_links, void_links_by
from storage.members import count_owners, find_user, hold_account
from storage.sessions import end_sessions

if TYPE_CHECKING:
    from storage.tables import User

#: How long an invitation, and a reset link that an owner hands on, can be used.
INVITED_FOR = 7 * DAY
RESET_FOR = DAY


def invite(session: Session, principal: Principal, role: Role, email: str = "") -> str:
    """The token of a link to join with this role, for the one with `email` or for whoever has it. It is shown once.

    A new invitation for an e-mail address replaces the one before. Raises Invalid, and Conflict when they are here already.
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
    """Makes an open invitation useless. Raises NotFound for one that is unknown, used, too old or somebody else's."""
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


def change_role(session: Session, principal: Principal, user_id: str, role: Role) -> None:
    """Gives somebody another role and ends their sessions. Raises NotFound, and Conflict for the last owner."""
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


def disable_person(session: Session, principal: Principal, user_id: str, revoke: Iterable[str] = ()) -> None:
    """Shuts somebody out at once and revokes the keys with the ids in `revoke`; what else they made stays.

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
    for key_id in revoke:
        revoke_key(session, principal, key_id)


def enable_person(session: Session, principal: Principal, user_id: str) -> None:
    """Lets somebody in again. Raises NotFound."""
    require_may(principal, "manage people")
    user = hold_account(session, principal.workspace_id, user_id)
    if user.disabled_at is not None:
        user.disabled_at = None
        add_entry(session, principal, "enable person", user.id, user.email)


def make_reset_link(session: Session, principal: Principal, user_id: str) -> str:
    """The token of a link with which somebody chooses a new password. Raises NotFound, and Conflict for one who is shut out.

    It replaces the one before. Until it is used, the old password works.
    """
    require_may(principal, "manage people")
    user = hold_account(session, principal.workspace_id, user_id)
    if user.disabled_at is not None:
        raise Conflict(f"{user.name} is shut out", remedy="Let them in again first.")
    void_links(session, user.workspace_id, "reset", user.id)
    add_entry(session, principal, "make reset link", user.id, user.email)
    return add_link(session, "reset", user.workspace_id, RESET_FOR, user_id=user.id, created_by=principal.actor)


def sign_out_person(session: Session, principal: Principal, user_id: str) -> None:
    """Ends every session of somebody. Raises NotFound."""
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
