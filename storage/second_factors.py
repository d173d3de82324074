"""Queries for second factors: the sealed key of an authenticator app, and the recovery codes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from msgspec import Struct
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from storage.database import now
from storage.sessions import hash_token
from storage.settings import OWNERS_NEED_SECOND_FACTOR, find_setting
from storage.tables import RecoveryCode, SecondFactor, User


class SeenFactor(Struct, frozen=True):
    """A person's second factor as shown to them: since when it is on (None: it is off), and how many recovery codes are
    left.
    """

    since: int | None
    codes: int


def find_second_factor(session: Session, user_id: str) -> SecondFactor | None:
    """Returns the ORM row of the person's second factor, for an action to change; None without one."""
    return session.get(SecondFactor, user_id)


def insert_second_factor(session: Session, user_id: str, sealed: str, *, last_step: int) -> None:
    """Turns a person's second factor on. `last_step`: the time step (RFC 6238) of the code that was just used."""
    session.add(SecondFactor(user_id=user_id, sealed=sealed, created_at=now(session), last_step=last_step))


def has_second_factor(session: Session, user_id: str) -> bool:
    """True when the person's sign-in asks for a code."""
    return find_second_factor(session, user_id) is not None


def owners_need_second_factor(session: Session, workspace_id: str) -> bool:
    """True when owners of this workspace must sign in with a second factor."""
    return bool(find_setting(session, workspace_id, OWNERS_NEED_SECOND_FACTOR))


def see_second_factor(session: Session, workspace_id: str, user_id: str) -> SeenFactor:
    """Returns what the person's own page shows."""
    since = session.scalars(
        select(SecondFactor.created_at)
        .join(User, User.id == SecondFactor.user_id)
        .where(User.workspace_id == workspace_id, User.id == user_id)
    ).one_or_none()
    codes = session.scalars(select(func.count()).where(RecoveryCode.user_id == user_id)).one()
    return SeenFactor(since, codes)


def people_with_second_factor(session: Session, workspace_id: str) -> frozenset[str]:
    """Returns the ids of the people whose sign-in asks for a code."""
    return frozenset(
        session.scalars(
            select(SecondFactor.user_id)
            .join(User, User.id == SecondFactor.user_id)
            .where(User.workspace_id == workspace_id)
        )
    )


def put_recovery_codes(session: Session, user_id: str, codes: Collection[str]) -> None:
    """Replaces the person's recovery codes with these; only their SHA-256 is stored."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    session.add_all(RecoveryCode(user_id=user_id, code_hash=hash_token(code)) for code in codes)


def use_recovery_code(session: Session, user_id: str, code: str) -> bool:
    """Removes a recovery code that was used; returns False when it is not one of the person's."""
    gone: Any = session.execute(
        delete(RecoveryCode).where(RecoveryCode.user_id == user_id, RecoveryCode.code_hash == hash_token(code))
    )
    return gone.rowcount == 1


def remove_second_factor(session: Session, user_id: str) -> bool:
    """Removes the second factor and its recovery codes; returns False when there was none."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    gone: Any = session.execute(delete(SecondFactor).where(SecondFactor.user_id == user_id))
    return gone.rowcount == 1
