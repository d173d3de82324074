"""Actions of people on their own account: create the first owner, join, sign in and out, change name and password.

`team` has an owner's actions on other people. Hashing a password takes 20 milliseconds and 19 MiB by design. Actions
that hash are therefore coroutines on the Database: they hash in a separate thread and never inside a transaction.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.actions.one_time_links import get_link, use_link
from engine.actions.passwords import check_password, fits, hash_now, hash_password
from engine.actions.principal import Principal
from engine.actions.sign_in import Browser, SecondStep, as_principal, enter, entered, start_session
from engine.actions.sign_in_limits import (
    Try,
    begin_own_try,
    begin_try,
    forget_all,
    is_audited,
    succeeded,
)
from engine.core.errors import Conflict, FieldError, Invalid, LinkNotValid, NotFound, SignInFailed
from engine.core.roles import Role
from storage.audit import add_entry
from storage.database import Database
from storage.links import void_links
from storage.members import find_account, find_user, has_owner, hold_account, insert_account
from storage.second_factors import has_second_factor
from storage.sessions import end_session, end_sessions, find_signed_in
from storage.settings import KNOWN_HOST, SERVER, put_setting
from storage.workspaces import find_first_workspace, is_first_workspace

if TYPE_CHECKING:
    from storage.tables import User

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")


async def set_up_owner(
    database: Database, token: str, name: str, email: str, password: str, browser: Browser = Browser()
) -> str:
    """Creates the first owner with a set-up link and signs them in; returns the session cookie.

    Raises LinkNotValid and Invalid.
    """
    await database.read(get_link, token)
    name, email = check_person(name, email)
    hashed = await hash_password(password)

    def make(session: Session) -> str:
        workspace_id = use_link(session, token, "setup").workspace_id
        if has_owner(session, workspace_id):
            raise LinkNotValid
        void_links(session, workspace_id, "setup", None)
        user = _add_user(session, workspace_id, name, email, Role.OWNER, hashed)
        add_entry(session, as_principal(user, browser), "set up", user.id, email)
        if browser.host and is_first_workspace(session, workspace_id):  # other tenants name no host of the server
            put_setting(session, SERVER, KNOWN_HOST, browser.host)
        return start_session(session, user, browser)

    return await database.write(make)


async def join(
    database: Database, token: str, name: str, email: str, password: str, browser: Browser = Browser()
) -> str:
    """Creates an account with an invitation and signs in; returns the session cookie.

    An invitation for an e-mail address always creates an account with that address. Raises LinkNotValid, Invalid,
    Conflict and SecondStep.
    """
    link = await database.read(get_link, token, ("invite",))
    name, email = check_person(name, link.email or email)
    hashed = await hash_password(password)

    def make(session: Session) -> str | SecondStep:
        invitation = use_link(session, token, "invite")
        role = Role(invitation.role)
        user = _add_user(session, invitation.workspace_id, name, email, role, hashed)
        add_entry(session, as_principal(user, browser), "join", user.id, f"{email}, as {role}")
        return enter(session, user, browser)

    return entered(await database.write(make))


async def set_new_password(database: Database, token: str, password: str, browser: Browser = Browser()) -> str:
    """Sets a password with a reset link, ends all sessions and signs in; returns the session cookie.

    Raises LinkNotValid, Invalid, and SecondStep (the password is set) when a second factor is required.
    """
    await database.read(get_link, token)
    hashed = await hash_password(password)

    def reset(session: Session) -> str | SecondStep:
        user = find_account(session, use_link(session, token, "reset").user_id)
        if user is None or user.disabled_at is not None:
            raise LinkNotValid
        user.password_hash = hashed
        end_sessions(session, user.id)
        forget_all(session, user.email)
        void_links(session, user.workspace_id, "second step", user.id)
        add_entry(session, as_principal(user, browser), "reset password", user.id, user.email)
        return enter(session, user, browser)

    return entered(await database.write(reset))


async def sign_in(database: Database, email: str, password: str, browser: Browser = Browser()) -> str:
    """Signs a person in and returns the cookie of the new session.

    Raises SignInFailed alike, and after the same amount of work, for an unknown address, a wrong password and a
    disabled account; RateLimited, with `retry_after` in seconds, after too many failures; SecondStep when the password
    is correct and a second factor is required.
    """
    email = email.strip().lower()

    def begin(session: Session) -> tuple[Try, str | None]:
        return begin_try(session, email, browser.address), _stored_hash(session, email)

    tried, stored = await database.write(begin)
    if not await fits(stored, password):
        await database.write(_note_failure, email, browser)
        raise SignInFailed

    def finish(session: Session) -> str | SecondStep:
        user = _user_that_still_has(session, email, stored)
        succeeded(session, tried)
        answer = enter(session, user, browser)
        if not isinstance(answer, SecondStep):
            add_entry(session, as_principal(user, browser), "sign in", user.id, user.email)
        return answer

    return entered(await database.write(finish))


async def change_password(database: Database, cookie: str, old: str, new: str, browser: Browser = Browser()) -> str:
    """Changes the password, ends all sessions and returns the cookie of a new one.

    Raises SignInFailed, Invalid, and SecondStep (the password is set) when an owner must first set up a second factor.
    """
    check_password(new)

    def begin(session: Session) -> tuple[str, Try, str | None]:
        person = find_signed_in(session, cookie)
        if person is None:
            raise SignInFailed
        return person.email, begin_own_try(session, person.email), _stored_hash(session, person.email)

    email, tried, stored = await database.write(begin)
    if not await fits(stored, old):
        raise SignInFailed("The old password is not the right one")
    hashed = await hash_password(new)

    def change(session: Session) -> str | SecondStep:
        user = _user_that_still_has(session, email, stored)
        user.password_hash = hashed
        end_sessions(session, user.id)
        void_links(session, user.workspace_id, "second step", user.id)
        void_links(session, user.workspace_id, "reset", user.id)
        succeeded(session, tried)
        add_entry(session, as_principal(user, browser), "change password", user.id, user.email)
        # the ended session had passed the second factor, so no new code is required
        if has_second_factor(session, user.id):
            return start_session(session, user, browser)
        return enter(session, user, browser)

    return entered(await database.write(change))


def change_name(session: Session, principal: Principal, name: str) -> None:
    """Changes the name of the acting person. Raises Invalid, and NotFound for an actor without an account."""
    user = find_account(session, principal.actor)
    if user is None or user.workspace_id != principal.workspace_id:
        raise NotFound
    was, (user.name, _) = user.name, check_person(name, user.email)
    if user.name != was:
        add_entry(session, principal, "change name", user.id, f"{was} is now {user.name}")


def note_jobs_seen(session: Session, principal: Principal, until: int) -> None:
    """Stores that the person has seen the runs that failed until this time: they are no news to them."""
    account = hold_account(session, principal.workspace_id, principal.actor)
    account.jobs_seen_at = max(account.jobs_seen_at or account.created_at, until)


def ensure_owner(session: Session, workspace_id: str, email: str, password_hash: str) -> bool:
    """Creates the owner that the environment names and returns True; returns False when an owner exists.

    Raises Invalid.
    """
    if has_owner(session, workspace_id):
        return False
    name, email = check_person(email.split("@", maxsplit=1)[0], email)
    user = _add_user(session, workspace_id, name, email, Role.OWNER, password_hash)
    add_entry(session, as_principal(user, Browser()), "set up", user.id, f"{email}, by FLOWPORT_ADMIN_EMAIL")
    return True


def password_hash_now(password: str) -> str:
    """Returns the password hash for `ensure_owner`, synchronously. Raises Invalid."""
    return hash_now(password)


def sign_out(session: Session, cookie: str) -> None:
    """Ends the session of a cookie. Does nothing for an unknown cookie."""
    end_session(session, cookie)


def sign_out_everywhere(session: Session, principal: Principal) -> None:
    """Ends every session of the acting person."""
    end_sessions(session, principal.actor)
    add_entry(session, principal, "sign out everywhere", principal.actor)


def _stored_hash(session: Session, email: str) -> str | None:
    user = find_user(session, email)
    return None if user is None or user.disabled_at is not None else user.password_hash


def _note_failure(session: Session, email: str, browser: Browser) -> None:
    """Writes a failed sign-in to the audit log, also for an unknown address, so that both take the same time.

    The address that was typed is not stored when it is unknown.
    """
    if not is_audited(session):
        return
    user = find_user(session, email)
    first = find_first_workspace(session)
    workspace_id = user.workspace_id if user is not None else first.id if first is not None else ""
    subject, detail = (user.id, user.email) if user is not None else ("", "an unknown e-mail address")
    add_entry(session, _Somebody(workspace_id, browser.address), "fail to sign in", subject, detail)


def _user_that_still_has(session: Session, email: str, stored: str | None) -> User:
    user = find_user(session, email)
    if user is None or user.disabled_at is not None or user.password_hash != stored:
        raise SignInFailed
    return user


def _add_user(session: Session, workspace_id: str, name: str, email: str, role: Role, password_hash: str) -> User:
    if find_user(session, email) is not None:
        raise Conflict(
            f"`{email}` has an account already",
            remedy="Sign in with it, or use another e-mail address.",
            errors=(FieldError("/email", "conflict", f"{email} has an account already: sign in with it"),),
        )
    return insert_account(session, workspace_id, name, email, role=role, password_hash=password_hash)


class _Somebody(Struct, frozen=True):
    """An unidentified person at an IP address, as an actor in the audit log."""

    workspace_id: str
    address: str
    actor: str = "somebody"
    name: str = "Somebody"


def check_person(name: str, email: str) -> tuple[str, str]:
    """Validates name and e-mail address and returns them in the stored form. Raises Invalid with every wrong field."""
    name, email = name.strip(), email.strip().lower()
    wrong = []
    if not 1 <= len(name) <= 100:
        wrong.append(FieldError("/name", "required", "a name has 1 to 100 characters"))
    if not _EMAIL.fullmatch(email):
        wrong.append(FieldError("/email", "format", "an e-mail address is like ada@example.com"))
    if wrong:
        raise Invalid("; ".join(error.detail for error in wrong), errors=tuple(wrong))
    return name, email
