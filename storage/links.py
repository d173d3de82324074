"""Queries for links that set up the first owner, reset a password or invite.

Only the SHA-256 of their tokens is stored.
"""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from engine.core.roles import Role
from storage.database import now
from storage.sessions import hash_token
from storage.tables import SetupToken

#: The id of an invitation is the first characters of its token's hash; the link cannot be derived from it.
ID_LENGTH = 16


class Invitation(Struct, frozen=True):
    """An invitation that is still valid.

    `created_by`: the actor who made it. Without `email` anybody who has the link may use it.
    """

    id: str
    role: Role
    email: str | None
    created_by: str
    created_at: int
    expires_at: int


def find_link(session: Session, token: str) -> SetupToken | None:
    """Returns the link with this token when it is still valid, or None."""
    return session.scalars(
        select(SetupToken).where(
            SetupToken.token_hash == hash_token(token),
            SetupToken.used_at.is_(None),
            SetupToken.expires_at > now(session),
        )
    ).one_or_none()


def insert_link(
    session: Session,
    token: str,
    purpose: str,
    workspace_id: str,
    lifetime: int,
    *,
    user_id: str | None,
    role: Role | None,
    email: str | None,
    created_by: str | None,
) -> None:
    """Stores a link with the hash of its token. `lifetime` in milliseconds."""
    at = now(session)
    session.add(
        SetupToken(
            token_hash=hash_token(token),
            purpose=purpose,
            workspace_id=workspace_id,
            user_id=user_id,
            role=role,
            email=email,
            created_by=created_by,
            created_at=at,
            expires_at=at + lifetime,
        )
    )


def last_link_at(session: Session, workspace_id: str, purpose: str) -> int | None:
    """Returns when the newest link with this purpose was made, or None.

    A clock that was ahead leaves links from the future, which do not count.
    """
    return session.scalars(
        select(func.max(SetupToken.created_at)).where(
            SetupToken.workspace_id == workspace_id,
            SetupToken.purpose == purpose,
            SetupToken.created_at <= now(session),
        )
    ).one()


def void_links(session: Session, workspace_id: str, purpose: str, user_id: str | None) -> None:
    """Invalidates the links with this purpose: those of a person, or with None those that belong to no person."""
    same_person = SetupToken.user_id.is_(None) if user_id is None else SetupToken.user_id == user_id
    session.execute(_void(workspace_id, now(session)).where(SetupToken.purpose == purpose, same_person))


def void_invitations_for(session: Session, workspace_id: str, email: str) -> None:
    """Invalidates earlier invitations for this e-mail address."""
    session.execute(_void(workspace_id, now(session)).where(SetupToken.purpose == "invite", SetupToken.email == email))


def void_links_by(session: Session, workspace_id: str, actor: str) -> None:
    """Invalidates every link that this actor made."""
    session.execute(_void(workspace_id, now(session)).where(SetupToken.created_by == actor))


def list_invitations(session: Session, workspace_id: str) -> list[Invitation]:
    """Returns the invitations that are still valid, newest first."""
    rows = session.scalars(
        select(SetupToken)
        .where(
            SetupToken.workspace_id == workspace_id,
            SetupToken.purpose == "invite",
            SetupToken.used_at.is_(None),
            SetupToken.expires_at > now(session),
        )
        .order_by(SetupToken.created_at.desc(), SetupToken.token_hash)
    )
    return [_invitation(row) for row in rows]


def find_invitation(session: Session, workspace_id: str, invitation_id: str) -> SetupToken | None:
    """Returns the invitation with this id when it is still valid, for an action to change."""
    return session.scalars(
        select(SetupToken).where(
            SetupToken.workspace_id == workspace_id,
            SetupToken.purpose == "invite",
            func.substr(SetupToken.token_hash, 1, ID_LENGTH) == invitation_id,
            SetupToken.used_at.is_(None),
            SetupToken.expires_at > now(session),
        )
    ).one_or_none()


def _void(workspace_id: str, at: int):  # noqa: ANN202 - the caller extends the statement
    return (
        update(SetupToken)
        .where(SetupToken.workspace_id == workspace_id, SetupToken.used_at.is_(None))
        .values(used_at=at)
    )


def _invitation(row: SetupToken) -> Invitation:
    return Invitation(
        row.token_hash[:ID_LENGTH], Role(row.role), row.email, row.created_by or "", row.created_at, row.expires_at
    )
