"""Queries for people: who is signed in, and who may sign in.

Cookies and link tokens are found by their SHA-256; neither is stored.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from engine.core.clock import DAY, HOUR, MINUTE
from engine.core.errors import NotFound
from engine.core.ids import UserId, new_id
from engine.core.roles import Role
from storage.database import now
from storage.tables import SignIn, User

IDLE = 12 * HOUR
LONGEST = 30 * DAY


@dataclass(frozen=True)
class Person:
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


@dataclass(frozen=True)
class SignedInBrowser:
    """A browser in which a person is signed in. `id` is the SHA-256 of its cookie."""

    id: str
    created_at: int
    seen_at: int
    address: str
    browser: str


def hash_token(token: str) -> str:
    """Returns the SHA-256 of a cookie or link token in hexadecimal."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def find_signed_in(session: Session, cookie: str) -> Person | None:
    """Returns the person of a cookie; None when it is unknown, idle for 12 h or older than 30 days, or the person is
    disabled.
    """
    if not cookie:
        return None
    at = now(session)
    row = session.execute(
        select(User)
        .join(SignIn, SignIn.user_id == User.id)
        .where(
            SignIn.token_hash == hash_token(cookie),
            SignIn.seen_at > at - IDLE,
            SignIn.created_at > at - LONGEST,
            User.disabled_at.is_(None),
        )
    ).scalar_one_or_none()
    return None if row is None else person_of(row)


def note_seen(session: Session, cookie: str) -> None:
    """Stores that the person is active, which keeps the session from becoming idle; at most one write per minute."""
    at = now(session)
    kept = session.scalars(
        update(SignIn)
        .where(SignIn.token_hash == hash_token(cookie), SignIn.seen_at <= at - MINUTE)
        .values(seen_at=at)
        .returning(SignIn.user_id)
    ).one_or_none()
    if kept is not None:
        session.execute(update(User).where(User.id == kept).values(seen_at=at))


def list_people(session: Session, workspace_id: str) -> list[Person]:
    """Returns everybody of a workspace, in the order of their accounts' creation."""
    rows = session.scalars(select(User).where(User.workspace_id == workspace_id).order_by(User.created_at, User.id))
    return [person_of(row) for row in rows]


def list_browsers(session: Session, workspace_id: str, user_id: str) -> list[SignedInBrowser]:
    """Returns the browsers in which a person is signed in, the last used first."""
    at = now(session)
    rows = session.scalars(
        select(SignIn)
        .join(User, User.id == SignIn.user_id)
        .where(
            User.workspace_id == workspace_id,
            SignIn.user_id == user_id,
            SignIn.seen_at > at - IDLE,
            SignIn.created_at > at - LONGEST,
        )
        .order_by(SignIn.seen_at.desc(), SignIn.token_hash)
    )
    return [SignedInBrowser(row.token_hash, row.created_at, row.seen_at, row.address, row.browser) for row in rows]


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


def insert_session(session: Session, user_id: str, cookie: str, *, address: str, browser: str) -> None:
    """Stores a session with the hash of this cookie, and removes all sessions that have expired."""
    at = now(session)
    session.execute(delete(SignIn).where(SignIn.created_at <= at - LONGEST))
    session.add(
        SignIn(
            token_hash=hash_token(cookie),
            user_id=user_id,
            created_at=at,
            seen_at=at,
            address=address[:64],
            browser=browser[:200],
        )
    )


def end_session(session: Session, cookie: str) -> None:
    """Signs out the browser with this cookie; an unknown cookie is ignored."""
    session.execute(delete(SignIn).where(SignIn.token_hash == hash_token(cookie)))


def end_sessions(session: Session, user_id: str, *, but: str = "") -> None:
    """Signs a person out of every browser, except the one with the cookie `but`."""
    session.execute(delete(SignIn).where(SignIn.user_id == user_id, SignIn.token_hash != hash_token(but)))


def person_of(row: User) -> Person:
    """Returns the account as the pages need it, without the hash of its password."""
    disabled = row.disabled_at is not None
    return Person(row.id, row.workspace_id, row.name, row.email, Role(row.role), disabled, row.created_at, row.seen_at)
