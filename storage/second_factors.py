"""Queries for second factors: the sealed key of an authenticator app, and the recovery codes beside it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from storage.database import now
from storage.members import hash_token
from storage.settings import OWNERS_NEED_SECOND_FACTOR, find_setting
from storage.tables import RecoveryCode, SecondFactor, User


@dataclass(frozen=True)
class SeenFactor:
    """What a person sees of their own: since when it is on (None: it is off), and how many recovery codes are left."""

    since: int | None
    codes: int


def find_second_factor(session: Session, user_id: str) -> SecondFactor | None:
    """The person's, for a verb."""
    return session.get(SecondFactor, user_id)


def insert_second_factor(session: Session, user_id: str, sealed: str, *, last_step: int) -> None:
    """Turns a person's on: from now on their sign-in asks for a code. `last_step`: the one that was just given."""
    session.add(SecondFactor(user_id=user_id, sealed=sealed, created_at=now(session), last_step=last_step))


def has_second_factor(session: Session, user_id: str) -> bool:
    """Whether the person's sign-in asks for a code."""
    return find_second_factor(session, user_id) is not None


def owners_need_second_factor(session: Session, workspace_id: str) -> bool:
    """Whether owners of this workspace sign in with a second factor or set one up."""
    return bool(find_setting(session, workspace_id, OWNERS_NEED_SECOND_FACTOR))


def see_second_factor(session: Session, workspace_id: str, user_id: str) -> SeenFactor:
    """For the person's own page."""
    since = session.scalars(
        select(SecondFactor.created_at)
        .join(User, User.id == SecondFactor.user_id)
        .where(User.workspace_id == workspace_id, User.id == user_id)
    ).one_or_none()
    codes = session.scalars(select(func.count()).where(RecoveryCode.user_id == user_id)).one()
    return SeenFactor(since, codes)


def people_with_second_factor(session: Session, workspace_id: str) -> frozenset[str]:
    """The ids of those whose sign-in asks for a code."""
    return frozenset(
        session.scalars(
            select(SecondFactor.user_id)
            .join(User, User.id == SecondFactor.user_id)
            .where(User.workspace_id == workspace_id)
        )
    )


def put_recovery_codes(session: Session, user_id: str, codes: Collection[str]) -> None:
    """Keeps these codes in place of the ones before."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    session.add_all(RecoveryCode(user_id=user_id, code_hash=hash_token(code)) for code in codes)


def use_recovery_code(session: Session, user_id: str, code: str) -> bool:
    """Uses a code up; False when it is none of the person's."""
    gone: Any = session.execute(
        delete(RecoveryCode).where(RecoveryCode.user_id == user_id, RecoveryCode.code_hash == hash_token(code))
    )
    return gone.rowcount == 1


def remove_second_factor(session: Session, user_id: str) -> bool:
    """Removes it with its recovery codes; False when there was none."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    gone: Any = session.execute(delete(SecondFactor).where(SecondFactor.user_id == user_id))
    return gone.rowcount == 1
