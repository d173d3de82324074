"""How a sign-in ends: with a session, or, when a second factor is on or wanted, with a step in between."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from engine.actions.guesses import network_of, place_of
from engine.actions.links import add_link
from engine.actions.principal import Principal
from engine.core.clock import MINUTE
from engine.core.roles import Role
from storage.database import now
from storage.guesses import note_place
from storage.members import Person, person_of
from storage.second_factors import has_second_factor, owners_need_second_factor
from storage.sessions import insert_session

if TYPE_CHECKING:
    from storage.tables import User

#: How long somebody whose password was right may take for the code, or for setting a second factor up.
STEP_LIFETIME = 10 * MINUTE


@dataclass(frozen=True)
class Browser:
    """Where somebody sits: the address that counts, how the browser calls itself, and the host it opened (`10.0.0.5:8080`)."""

    address: str = ""
    name: str = ""
    host: str = ""


class SecondStep(Exception):  # noqa: N818 - an answer, not a fault
    """Nobody is signed in yet: `token` stands for the right password, once and for ten minutes.

    A code is wanted with it or, with `set_up`, an owner has to set up a second factor first.
    """

    def __init__(self, token: str, *, set_up: bool) -> None:
        super().__init__("a second step is wanted")
        self.token = token
        self.set_up = set_up


def enter(session: Session, user: User, browser: Browser) -> str | SecondStep:
    """What somebody gets whose password is right, or who has just chosen it: a cookie, or the step before it."""
    on = has_second_factor(session, user.id)
    if not on and not (user.role == Role.OWNER and owners_need_second_factor(session, user.workspace_id)):
        return start_session(session, user, browser)
    return SecondStep(
        add_link(session, "second step", user.workspace_id, STEP_LIFETIME, user_id=user.id), set_up=not on
    )


def entered(answer: str | SecondStep) -> str:
    """The cookie `enter` gave. Raises SecondStep, after the transaction that made it."""
    if isinstance(answer, SecondStep):
        raise answer
    return answer


def start_session(session: Session, user: User, browser: Browser) -> str:
    """Signs somebody in: returns the cookie."""
    cookie = secrets.token_urlsafe(32)
    user.seen_at = now(session)
    if browser.address:
        note_place(session, user.id, place_of(browser.address), network_of(browser.address))
    insert_session(session, user.id, cookie, address=browser.address, browser=browser.name)
    return cookie


def as_principal(user: User, browser: Browser) -> Principal:
    """The person as an actor, before they have a session."""
    person: Person = person_of(user)
    return Principal(person.workspace_id, person.id, person.name, person.role, browser.address)  # type: ignore[arg-type]
