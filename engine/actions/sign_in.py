"""Completes a sign-in: with a session, or with a second step when a second factor is on or required."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from engine.actions.one_time_links import add_link
from engine.actions.principal import Principal
from engine.actions.sign_in_limits import network_of, place_of
from engine.core.clock import MINUTE
from engine.core.roles import Role
from storage.database import now
from storage.members import Person, person_of
from storage.second_factors import has_second_factor, owners_need_second_factor
from storage.sessions import end_session, insert_session
from storage.sign_in_attempts import note_place

if TYPE_CHECKING:
    from storage.tables import User

#: Milliseconds for entering the code or setting up a second factor after the password was accepted.
STEP_LIFETIME = 10 * MINUTE


@dataclass(frozen=True)
class Browser:
    """The client of a sign-in: IP address, User-Agent, the host of the request (`10.0.0.5:8080`), and the cookie of the
    session that it has by now, which a new one replaces.
    """

    address: str = ""
    name: str = ""
    host: str = ""
    cookie: str = field(default="", repr=False)


class SecondStep(Exception):  # a result, not an error
    """The password is correct and a second step is required. `token` identifies the sign-in, once and for ten minutes.

    The step is to enter a code or, with `set_up`, to set up a second factor.
    """

    def __init__(self, token: str, *, set_up: bool) -> None:
        super().__init__("a second step is wanted")
        self.token = token
        self.set_up = set_up


def enter(session: Session, user: User, browser: Browser) -> str | SecondStep:
    """Starts a session and returns its cookie, or returns the second step that the person must take first.

    Call it after the password was verified or set.
    """
    on = has_second_factor(session, user.id)
    if not on and not (user.role == Role.OWNER and owners_need_second_factor(session, user.workspace_id)):
        return start_session(session, user, browser)
    return SecondStep(
        add_link(session, "second step", user.workspace_id, STEP_LIFETIME, user_id=user.id), set_up=not on
    )


def entered(answer: str | SecondStep) -> str:
    """Returns the cookie that `enter` returned.

    Raises SecondStep, after the transaction that created it was committed.
    """
    if isinstance(answer, SecondStep):
        raise answer
    return answer


def start_session(session: Session, user: User, browser: Browser) -> str:
    """Creates a session and returns its cookie.

    The session that the browser has by now ends: it may be another person's, and signing out would end the new one only.
    """
    if browser.cookie:
        end_session(session, browser.cookie)
    cookie = secrets.token_urlsafe(32)
    user.seen_at = now(session)
    if browser.address:
        note_place(session, user.id, place_of(browser.address), network_of(browser.address))
    insert_session(session, user.id, cookie, address=browser.address, browser=browser.name)
    return cookie


def as_principal(user: User, browser: Browser) -> Principal:
    """Returns the person as a principal, before they have a session."""
    person: Person = person_of(user)
    return Principal(person.workspace_id, person.id, person.name, person.role, browser.address)  # type: ignore[arg-type]
