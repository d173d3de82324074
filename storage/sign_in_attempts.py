"""Queries for failed passwords and links of the last minutes, and for the places from which people signed in.

A subject says for what a failure counts, in the form that `engine.actions.sign_in_limits` writes; it contains no e-mail
address.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from storage.database import now
from storage.statements import Statement
from storage.tables import SignInFailure, SignInPlace, User

#: How many places are kept of a person: those used last.
PLACES = 50


def add_failure(session: Session, subject: str) -> int:
    """Stores a failure now; returns the id of its row."""
    row = SignInFailure(subject=subject, at=now(session))
    session.add(row)
    session.flush()
    return row.id


def failures_of(session: Session, subject: str) -> list[int]:
    """Returns the times of the failures of this subject, oldest first."""
    found = select(SignInFailure.at).where(SignInFailure.subject == subject).order_by(SignInFailure.at)
    return list(session.scalars(found))


def count_failures(session: Session) -> int:
    """Returns the number of failures of all subjects."""
    return session.scalars(select(func.count()).select_from(SignInFailure)).one()


def oldest_failure(session: Session) -> int:
    """Returns the time of the oldest failure."""
    return session.scalars(select(func.min(SignInFailure.at))).one() or now(session)


def forget_failures_outside(session: Session, after: int, until: int) -> None:
    """Keeps the failures later than `after`, `until` at most, and removes all others."""
    session.execute(delete(SignInFailure).where(or_(SignInFailure.at <= after, SignInFailure.at > until)))


def forget_failures(session: Session, subject: str, rows: Collection[int]) -> None:
    """Removes all failures of a subject, and these rows of other subjects."""
    session.execute(delete(SignInFailure).where(or_(SignInFailure.subject == subject, SignInFailure.id.in_(rows))))


def forget_failures_of_account(session: Session, account: str) -> None:
    """Removes all failures of an account: those of the subjects `account` and `account@network`."""
    mine = or_(SignInFailure.subject == account, SignInFailure.subject.startswith(f"{account}@", autoescape=True))
    session.execute(delete(SignInFailure).where(mine))


def is_known_place(session: Session, email: str, place: str) -> bool:
    """True when the account with this e-mail address signed in from this place before."""
    return _knows(session, email, SignInPlace.place == place)


def is_known_network(session: Session, email: str, network: str) -> bool:
    """True when the account with this e-mail address signed in from this network before."""
    return _knows(session, email, SignInPlace.network == network)


_NOTE_PLACE = Statement(
    "insert into sign_in_places (user_id, place, network, seen_at) values (:user_id, :place, :network, :seen_at)"
    " on conflict (user_id, place) do update set seen_at = excluded.seen_at"
)


def note_place(session: Session, user_id: str, place: str, network: str) -> None:
    """Stores where a person signed in; beyond PLACES the place that was used longest ago is removed."""
    values = {"user_id": user_id, "place": place, "network": network, "seen_at": now(session)}
    _NOTE_PLACE.run(session, values)
    newest = (
        select(SignInPlace.place)
        .where(SignInPlace.user_id == user_id)
        .order_by(SignInPlace.seen_at.desc(), SignInPlace.place)
        .limit(PLACES)
    )
    session.execute(delete(SignInPlace).where(SignInPlace.user_id == user_id, SignInPlace.place.not_in(newest)))


def _knows(session: Session, email: str, where: object) -> bool:
    found = select(SignInPlace.place).join(User, User.id == SignInPlace.user_id).where(User.email == email, where)  # type: ignore[arg-type]
    return session.scalars(found.limit(1)).first() is not None
