"""Queries for people: their accounts, roles and who may sign in."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine.core.errors import NotFound
from engine.core.ids import UserId, new_id
from engine.core.roles import Role
from storage.database import now
from storage.tables import User


class Person(Struct, frozen=True):
    """A person with an account. `disabled` people cannot sign in."""

    id: str
    workspace_id: str
    name: str
    email: str
    role: Role
    disabled: bool
    created_at: int
    #: When the person was last active, to the minute; None before the first sign-in.
    seen_at: int | None = None


def list_people(session: Session, workspace_id: str) -> list[Person]:
    """Returns everybody of a workspace, in the order of their accounts' creation."""
    rows = session.scalars(select(User).where(User.workspace_id == workspace_id).order_by(User.created_at, User.id))
    return [person_of(row) for row in rows]


def has_owner(session: Session, workspace_id: str) -> bool:
    """True when the workspace has an owner who can sign in; False until it is set up."""
    return count_owners(session, workspace_id) > 0


def count_owners(session: Session, workspace_id: str) -> int:
    """Returns the number of owners who can sign in."""
    return session.scalars(
        select(func.count())
        .select_from(User)
        .where(User.workspace_id == workspace_id, User.role == Role.OWNER, User.disabled_at.is_(None))
    ).one()


def find_user(session: Session, email: str) -> User | None:
    """Returns the ORM row of the account with this e-mail address (in lower case), for an action to change."""
    return session.scalars(select(User).where(User.email == email)).one_or_none()


def find_account(session: Session, user_id: str | None) -> User | None:
    """Returns the ORM row of the account with this id, for an action; None without one."""
    return None if user_id is None else session.get(User, user_id)


def hold_account(session: Session, workspace_id: str, user_id: str) -> User:
    """Returns the ORM row of an account of this workspace, for an action to change. Raises NotFound."""
    user = session.get(User, user_id)
    if user is None or user.workspace_id != workspace_id:
        raise NotFound(f"Nobody has the id `{user_id}`")
    return user


def insert_account(
    session: Session, workspace_id: str, name: str, email: str, *, role: Role, password_hash: str
) -> User:
    """Adds an account; returns its ORM row."""
    user = User(
        id=UserId(new_id("user")),
        workspace_id=workspace_id,
        email=email,
        name=name,
        role=role,
        password_hash=password_hash,
        created_at=now(session),
    )
    session.add(user)
    session.flush()
    return user


def person_of(row: User) -> Person:
    """Returns the account as the pages need it, without the hash of its password."""
    disabled = row.disabled_at is not None
    return Person(row.id, row.workspace_id, row.name, row.email, Role(row.role), disabled, row.created_at, row.seen_at)
