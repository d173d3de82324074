"""Queries for sessions: in which browsers a person is signed in, and for how long.

Cookies and link tokens are found by their SHA-256; neither is stored.
"""

from __future__ import annotations

import hashlib

from msgspec import Struct
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from engine.core.clock import DAY, HOUR, MINUTE
from storage.database import now
from storage.members import Person, person_of
from storage.tables import SignIn, User

#: A session ends after so many milliseconds without activity ...
IDLE = 12 * HOUR
#: ... and after so many in any case.
LONGEST = 30 * DAY


class SignedInBrowser(Struct, frozen=True):
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
    """Returns the person of a cookie; None when it is unknown, idle for longer than `IDLE` or older than `LONGEST`, or
    the person is disabled.
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
