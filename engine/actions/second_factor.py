"""Verbs around the second factor: a code of an authenticator app (TOTP, RFC 6238: 6 digits, 30 seconds), or a recovery code.

The key is sealed, bound to its person; until it is confirmed only the form it stands in has it, so that nobody else who knows the
password has seen the key that is confirmed. A code counts in its own 30 seconds and the ones before and after, and once. Guesses are
counted in `guesses`, apart from those of passwords: whoever knows a password gets no tries for codes back by giving it again.
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyotp import random_base32
from pyotp.totp import TOTP
from sqlalchemy.orm import Session

from engine.actions.guesses import begin_own_try, begin_try, is_audited, succeeded
from engine.actions.links import use_link
from engine.actions.passwords import fits
from engine.actions.principal import Principal, require_may
from engine.actions.sessions import Browser, as_principal, start_session
from engine.core.clock import SECOND
from engine.core.errors import Conflict, LinkNotValid, SecretUnreadable, SignInFailed
from engine.core.roles import Role
from engine.secrets.sealing import Vault
from storage.audit import add_entry
from storage.database import Database, now
from storage.links import find_link
from storage.members import find_account, hold_account
from storage.second_factors import (
    find_second_factor,
    has_second_factor,
    insert_second_factor,
    owners_need_second_factor,
    put_recovery_codes,
    remove_second_factor,
    use_recovery_code,
)
from storage.sessions import end_sessions, find_signed_in
from storage.settings import OWNERS_NEED_SECOND_FACTOR, put_setting

if TYPE_CHECKING:
    from storage.tables import User

RECOVERY_CODES = 10
_STEP_SECONDS = 30
_ISSUER = "Flowport"
#: Letters and digits that are not taken for each other.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True)
class SetUp:
    """What an authenticator app is told: the key as text, and the address that a QR code holds.

    `sealed` is the key for the form that confirms it.
    """

    email: str
    key: str
    uri: str
    sealed: str


def at_step(session: Session, token: str) -> User:
    """Who gave the right password. Raises LinkNotValid for a step that is unknown, used or too old."""
    link = find_link(session, token)
    user = find_account(session, link.user_id) if link is not None and link.purpose == "second step" else None
    if user is None or user.disabled_at is not None:
        raise LinkNotValid
    return user


def wants_set_up(session: Session, token: str) -> bool:
    """Whether the step is to set a second factor up, not to give a code. Raises LinkNotValid."""
    return not has_second_factor(session, at_step(session, token).id)


async def give_code(database: Database, vault: Vault, token: str, code: str, browser: Browser) -> str:
    """Ends a sign-in with a code: returns the cookie. Raises LinkNotValid, SignInFailed and RateLimited."""

    def check(session: Session) -> str | None:
        user = at_step(session, token)
        tried = begin_try(session, user.email, browser.address, code=True)
        if not _accepts(session, vault, user, code, browser):
            if is_audited(session):
                add_entry(session, as_principal(user, browser), "give a wrong code", user.id, user.email)
            return None
        succeeded(session, tried)
        use_link(session, token, "second step")
        add_entry(session, as_principal(user, browser), "sign in", user.id, f"{user.email}, with a code")
        return start_session(session, user, browser)

    return _accepted(await database.write(check))


def begin_set_up(session: Session, vault: Vault, *, cookie: str = "", token: str = "", sealed: str = "") -> SetUp:
    """What to tell the app: of somebody who is signed in (`cookie`), or at the step before it (`token`).

    `sealed` is what an earlier call gave, to show it again. Raises LinkNotValid, SignInFailed, and Conflict when it is on already.
    """
    user = _signed_in(session, cookie) if cookie else at_step(session, token)
    if has_second_factor(session, user.id):
        raise Conflict("Your second factor is on already", remedy="Turn it off first to set up another app.")
    key = _open(vault, user, sealed) or random_base32()
    uri = TOTP(key).provisioning_uri(name=user.email, issuer_name=_ISSUER)
    return SetUp(user.email, key, uri, vault.seal(user.workspace_id, _vault_id(user), key))


async def turn_on(
    database: Database, vault: Vault, cookie: str, password: str, sealed: str, code: str, browser: Browser
) -> list[str]:
    """Confirms the app of somebody who is signed in; returns the recovery codes. Raises SignInFailed, RateLimited, Conflict.

    Other browsers are signed out: the password alone had opened their sessions.
    """

    def begin(session: Session):  # noqa: ANN202 - who, and what counts them
        user = _signed_in(session, cookie)
        return begin_own_try(session, user.email), user.password_hash

    tried, stored = await database.write(begin)
    if not await fits(stored, password):
        raise SignInFailed("The password is not the right one", remedy="Check it and try again.")

    def confirm(session: Session) -> list[str] | None:
        user = _signed_in(session, cookie)
        codes = _confirm(session, vault, user, sealed, code, browser)
        if codes is not None:
            succeeded(session, tried)
            end_sessions(session, user.id, but=cookie)
        return codes

    return _accepted(await database.write(confirm))


async def turn_on_at_step(
    database: Database, vault: Vault, token: str, sealed: str, code: str, browser: Browser
) -> tuple[list[str], str]:
    """The same for an owner who needs it to sign in: the recovery codes, and the cookie."""

    def confirm(session: Session) -> tuple[list[str], str] | None:
        user = at_step(session, token)
        tried = begin_try(session, user.email, browser.address, code=True)
        codes = _confirm(session, vault, user, sealed, code, browser)
        if codes is None:
            return None
        succeeded(session, tried)
        use_link(session, token, "second step")
        add_entry(session, as_principal(user, browser), "sign in", user.id, user.email)
        end_sessions(session, user.id)
        return codes, start_session(session, user, browser)

    return _accepted(await database.write(confirm))


async def turn_off(database: Database, vault: Vault, cookie: str, proof: str, browser: Browser) -> None:
    """Turns one's own off; `proof` is the password or a code. Raises SignInFailed, RateLimited, Conflict while owners need it."""

    def begin(session: Session):  # noqa: ANN202 - who, and what counts them
        user = _signed_in(session, cookie)
        if user.role == Role.OWNER and owners_need_second_factor(session, user.workspace_id):
            raise Conflict(
                "Owners sign in with a second factor here",
                remedy="Another owner can reset yours, or switch that off, under Settings, Team.",
            )
        return begin_own_try(session, user.email), user.password_hash

    tried, stored = await database.write(begin)
    password = await fits(stored, proof)

    def end(session: Session) -> bool | None:
        user = _signed_in(session, cookie)
        if not password and not _accepts(session, vault, user, proof, browser):
            return None
        succeeded(session, tried)
        if remove_second_factor(session, user.id):
            add_entry(session, as_principal(user, browser), "turn off second factor", user.id, user.email)
        return True

    _accepted(await database.write(end))


def reset_second_factor(session: Session, principal: Principal, user_id: str) -> None:
    """Takes somebody's second factor away, for an owner. Raises NotFound, and Conflict for the owner's own."""
    require_may(principal, "manage people")
    user = hold_account(session, principal.workspace_id, user_id)
    if user.id == principal.actor:
        raise Conflict("This is your own second factor", remedy="Turn it off under Your account.")
    if remove_second_factor(session, user.id):
        add_entry(session, principal, "reset second factor", user.id, user.email)


def require_second_factor(session: Session, principal: Principal, *, needed: bool) -> None:
    """Whether owners sign in with a second factor from now on; open sessions stay. Raises Conflict for an owner without one."""
    require_may(principal, "manage people")
    if needed and not has_second_factor(session, principal.actor):
        raise Conflict(
            "Your own second factor is off", remedy="Set it up under Your account first, so that you can come in again."
        )
    if needed != owners_need_second_factor(session, principal.workspace_id):
        put_setting(session, principal.workspace_id, OWNERS_NEED_SECOND_FACTOR, True if needed else None)
        if needed:
            add_entry(session, principal, "require second factor", principal.workspace_id, "of owners")
        else:
            add_entry(session, principal, "require no second factor", principal.workspace_id, "of owners")


def _confirm(session: Session, vault: Vault, user: User, sealed: str, code: str, browser: Browser) -> list[str] | None:
    if has_second_factor(session, user.id):
        raise Conflict("Your second factor is on already", remedy="Turn it off first to set up another app.")
    key = _open(vault, user, sealed)
    step = None if key is None else _step_of(session, key, code, after=0)
    if step is None:
        return None
    insert_second_factor(session, user.id, sealed, last_step=step)
    codes = ["-".join(_letters(4) for _ in range(4)) for _ in range(RECOVERY_CODES)]
    put_recovery_codes(session, user.id, [_plain(one) for one in codes])
    add_entry(session, as_principal(user, browser), "turn on second factor", user.id, user.email)
    return codes


def _accepts(session: Session, vault: Vault, user: User, code: str, browser: Browser) -> bool:
    """Whether this is a code of the app or a recovery code; either is used up."""
    factor = find_second_factor(session, user.id)
    if factor is None:
        return False
    key = _open(vault, user, factor.sealed)
    step = None if key is None else _step_of(session, key, code, after=factor.last_step)
    if step is not None:
        factor.last_step = step
        return True
    if not use_recovery_code(session, user.id, _plain(code)):
        return False
    add_entry(session, as_principal(user, browser), "use recovery code", user.id, user.email)
    return True


def _step_of(session: Session, key: str, code: str, *, after: int) -> int | None:
    """Which 30 seconds the code is of, when they are later than `after` and no further away than one."""
    app, step = TOTP(key), now(session) // SECOND // _STEP_SECONDS
    found = (
        one
        for one in (step - 1, step, step + 1)
        if one > after and hmac.compare_digest(app.generate_otp(one).encode(), _plain(code).encode())
    )
    return next(found, None)


def _open(vault: Vault, user: User, sealed: str) -> str | None:
    """The key; None when another server's key sealed it (recovery codes work then, and a new app), or nobody's."""
    try:
        return vault.open(user.workspace_id, _vault_id(user), sealed)
    except SecretUnreadable:
        return None


def _signed_in(session: Session, cookie: str) -> User:
    person = find_signed_in(session, cookie)
    if person is None:
        raise SignInFailed
    return hold_account(session, person.workspace_id, person.id)


def _accepted(answer):  # noqa: ANN001, ANN202 - whatever a right code gives
    """Refuses after the transaction that counted the wrong code."""
    if answer is None:
        raise SignInFailed(
            "The code is not the right one", remedy="Wait for the next one and check the clock of your phone."
        )
    return answer


def _vault_id(user: User) -> str:
    return f"second factor of {user.id}"


def _letters(count: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(count))


def _plain(code: str) -> str:
    """A code without what people put between its parts."""
    return re.sub(r"[\s-]", "", code[:100]).lower()
