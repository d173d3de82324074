"""Actions on the second factor: TOTP codes of an authenticator app (RFC 6238: 6 digits, 30 seconds) and recovery codes.

The TOTP key is encrypted and bound to its person. Until it is confirmed, only the set-up form holds it (encrypted), so
that another person who knows the password cannot have seen the key that gets confirmed. A code is accepted once, during
its own period of 30 seconds and the ones before and after. Wrong codes are counted separately from wrong passwords:
otherwise somebody who knows the password could reset the count by entering it again.
"""

from __future__ import annotations

import hmac
import re
import secrets
from typing import TYPE_CHECKING

from msgspec import Struct
from pyotp import random_base32
from pyotp.totp import TOTP
from sqlalchemy.orm import Session

from engine.actions.one_time_links import use_link
from engine.actions.passwords import fits
from engine.actions.principal import Principal, require_may
from engine.actions.sign_in import Browser, as_principal, start_session
from engine.actions.sign_in_limits import begin_own_try, begin_try, is_audited, succeeded
from engine.core.clock import SECOND
from engine.core.errors import Conflict, LinkNotValid, SecretUnreadable, SignInFailed
from engine.core.logging_setup import hide_in_logs
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
from storage.secrets import second_factor_bound
from storage.sessions import end_sessions, find_signed_in
from storage.settings import OWNERS_NEED_SECOND_FACTOR, put_setting

if TYPE_CHECKING:
    from storage.tables import User

RECOVERY_CODES = 10
_STEP_SECONDS = 30
_ISSUER = "Flowport"
#: Characters of recovery codes, without those that are easily confused.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


class SetUp(Struct, frozen=True):
    """Data for an authenticator app: the key as text, and the `otpauth://` URI for a QR code.

    `sealed` is the encrypted key, which the form sends back for confirmation.
    """

    email: str
    key: str
    uri: str
    sealed: str


def at_step(session: Session, token: str) -> User:
    """Returns the person whose sign-in waits for the second step.

    Raises LinkNotValid for an unknown, used or expired token.
    """
    link = find_link(session, token)
    user = find_account(session, link.user_id) if link is not None and link.purpose == "second step" else None
    if user is None or user.disabled_at is not None:
        raise LinkNotValid
    return user


def wants_set_up(session: Session, token: str) -> bool:
    """Tells whether the second step is the set-up of a second factor instead of entering a code.

    Raises LinkNotValid.
    """
    return not has_second_factor(session, at_step(session, token).id)


async def give_code(database: Database, vault: Vault, token: str, code: str, browser: Browser) -> str:
    """Completes a sign-in with a code and returns the session cookie.

    Raises LinkNotValid, SignInFailed and RateLimited.
    """

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
    """Creates the data for an authenticator app, for a signed-in person (`cookie`) or one at the second step (`token`).

    `sealed` is the value of an earlier call, to show the same key again. Raises LinkNotValid, SignInFailed, and
    Conflict when the second factor is already on. The log filter learns the key that is kept only: this page may be opened
    again and again, with another key each time.
    """
    user = _signed_in(session, cookie) if cookie else at_step(session, token)
    if has_second_factor(session, user.id):
        raise Conflict("Your second factor is on already", remedy="Turn it off first to set up another app.")
    key = _open(vault, user, sealed, hide=False) or random_base32()
    uri = TOTP(key).provisioning_uri(name=user.email, issuer_name=_ISSUER)
    kept = vault.seal(user.workspace_id, second_factor_bound(user.id), key, hide=False)
    return SetUp(user.email, key, uri, kept)


async def turn_on(
    database: Database, vault: Vault, cookie: str, password: str, sealed: str, code: str, browser: Browser
) -> list[str]:
    """Turns on the second factor of a signed-in person and returns the recovery codes.

    Other sessions of the person end, because they were opened with the password alone. Raises SignInFailed, RateLimited
    and Conflict.
    """

    def begin(session: Session):  # noqa: ANN202 - the attempt and the stored hash
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
    """Turns on the second factor of an owner who needs it to sign in; returns the recovery codes and the session
    cookie.

    Raises LinkNotValid, SignInFailed, RateLimited and Conflict.
    """

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
    """Turns off the acting person's second factor. `proof` is the password or a code.

    Raises SignInFailed, RateLimited, and Conflict when owners must have a second factor.
    """

    def begin(session: Session):  # noqa: ANN202 - the attempt and the stored hash
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
    """Removes another person's second factor, as an owner. Raises NotFound, and Conflict for the owner's own."""
    require_may(principal, "manage people")
    user = hold_account(session, principal.workspace_id, user_id)
    if user.id == principal.actor:
        raise Conflict("This is your own second factor", remedy="Turn it off under Your account.")
    if remove_second_factor(session, user.id):
        add_entry(session, principal, "reset second factor", user.id, user.email)


def require_second_factor(session: Session, principal: Principal, *, needed: bool) -> None:
    """Sets whether owners must sign in with a second factor; open sessions continue.

    Raises Conflict when the acting owner has no second factor.
    """
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
    key = _open(vault, user, sealed, hide=False)
    step = None if key is None else _step_of(session, key, code, after=0)
    if key is None or step is None:
        return None
    hide_in_logs(key)
    insert_second_factor(session, user.id, sealed, last_step=step)
    codes = ["-".join(_letters(4) for _ in range(4)) for _ in range(RECOVERY_CODES)]
    put_recovery_codes(session, user.id, [_plain(one) for one in codes])
    add_entry(session, as_principal(user, browser), "turn on second factor", user.id, user.email)
    return codes


def _accepts(session: Session, vault: Vault, user: User, code: str, browser: Browser) -> bool:
    """Tells whether a code is valid as a TOTP or recovery code, and marks it as used."""
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
    """Returns the TOTP time step of a code, or None.

    Accepted are the current step and its neighbours, if they are later than `after`. An `after` that no code can have now
    is of a clock that was ahead and was set right: it would refuse every code until then.
    """
    app, step = TOTP(key), now(session) // SECOND // _STEP_SECONDS
    if after > step + 1:
        after = 0
    found = (
        one
        for one in (step - 1, step, step + 1)
        if one > after and hmac.compare_digest(app.generate_otp(one).encode(), _plain(code).encode())
    )
    return next(found, None)


def _open(vault: Vault, user: User, sealed: str, *, hide: bool = True) -> str | None:
    """Decrypts the TOTP key; None when it was encrypted with another server's key or the text is invalid.

    In that case recovery codes still work, and the person can set up a new app.
    """
    try:
        return vault.open(user.workspace_id, second_factor_bound(user.id), sealed, hide=hide)
    except SecretUnreadable:
        return None


def _signed_in(session: Session, cookie: str) -> User:
    person = find_signed_in(session, cookie)
    if person is None:
        raise SignInFailed
    return hold_account(session, person.workspace_id, person.id)


def _accepted(answer):  # noqa: ANN001, ANN202 - passes any result through
    """Raises SignInFailed for None, after the transaction that counted the wrong code was committed."""
    if answer is None:
        raise SignInFailed(
            "The code is not the right one", remedy="Wait for the next one and check the clock of your phone."
        )
    return answer


def _letters(count: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(count))


def _plain(code: str) -> str:
    """Removes the separators that people type between the parts of a code."""
    return re.sub(r"[\s-]", "", code[:100]).lower()
