"""Limits failed sign-ins and failed links by account and network (S21).

An attacker is identified by network: an IPv4 /24 or an IPv6 /64, since whoever controls one of its addresses usually
controls all. Wrong passwords are counted per account and network, per network over all accounts, and, for networks that
the person never signed in from, per account over all networks. An address that the person signed in from before has
only its own counter: failures elsewhere, even in the same network, do not lock the person out there.

An attempt is counted before the password is verified, so that parallel attempts cannot exceed the limit. The counters
are stored in the database and survive a restart. Unknown e-mail addresses are counted like known ones.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection
from typing import TypeVar

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.actions.one_time_links import SETUP_PURPOSES, Link, Purpose, get_link
from engine.core.clock import MINUTE
from engine.core.errors import LinkNotValid, QuestionLinkNotValid, RateLimited, Refusal
from engine.secrets.question_links import question_of_link
from engine.secrets.sealing import Vault
from storage.database import Database, now
from storage.questions import QuestionRow
from storage.sessions import hash_token
from storage.sign_in_attempts import (
    add_failure,
    count_failures,
    failures_of,
    forget_failures,
    forget_failures_of_account,
    forget_failures_outside,
    is_known_network,
    is_known_place,
    oldest_failure,
)

T = TypeVar("T")

WINDOW = 15 * MINUTE
PER_ACCOUNT_AND_NETWORK = 5
PER_ACCOUNT = 50
PER_NETWORK = 20
#: Wrong second-factor codes per account from unknown networks. The limit is low because the sender already knows the
#: password.
CODES_PER_ACCOUNT = 10
LINKS_PER_NETWORK = 20
#: Failure rows in 15 minutes over all networks and accounts; a failure has up to three rows. Above it, only known
#: addresses may sign in.
ROWS_IN_ALL = 30_000
#: Above this many rows, failures are no longer written to the audit log, so that attackers cannot fill it.
ROWS_AUDITED = 3_000

_AT_ONCE = "Or, to come in at once, ask an owner for a reset link (Settings, Team), or run .venv/bin/python app.py setup-link --reset EMAIL on the server."


class Try(Struct, frozen=True):
    """A sign-in in progress.

    `rows` count it as a failure until `succeeded` removes them; `own` is the counter of account and place.
    """

    own: str
    rows: tuple[int, ...]


def place_of(address: str) -> str:
    """Returns the place that is stored for a sign-in: an IPv4 address, or the /64 network of an IPv6 address.

    A text that is no address is returned unchanged.
    """
    ip = _ip(address)
    return str(ip) if isinstance(ip, ipaddress.IPv4Address) else network_of(address)


def network_of(address: str) -> str:
    """Returns the network of an address: `203.0.113.0/24` or `2001:db8:1:2::/64`; a text that is no address, shortened
    to 64 characters.
    """
    ip = _ip(address)
    if ip is None:
        return address[:64]
    return str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 64), strict=False))


def begin_try(session: Session, email: str, address: str, *, code: bool = False) -> Try:
    """Counts an attempt as a failure before the password (or, with `code`, the second factor) is verified.

    `succeeded` removes the failure again. Raises RateLimited.
    """
    _forget_old(session)
    place, network = place_of(address), network_of(address)
    account, most = (_code(email), CODES_PER_ACCOUNT) if code else (_account(email), PER_ACCOUNT)
    if is_known_place(session, email, place):
        return _begin(session, f"{account}@{place}")
    own = f"{account}@{network}"
    _refuse_a_flood(session)
    shared = [account]
    if address:
        shared.append(f"network:{network}")
        _refuse_after(session, shared[-1], PER_NETWORK, "From your network too many wrong passwords were sent")
    if not is_known_network(session, email, network):
        _refuse_after(session, account, most, "This e-mail address was tried too often, from many networks")
    return _begin(session, own, *shared)


def begin_own_try(session: Session, email: str) -> Try:
    """Counts an attempt of a signed-in person who confirms their password; failures of other people do not count.

    Raises RateLimited.
    """
    _forget_old(session)
    return _begin(session, f"{_account(email)}@signed in")


def succeeded(session: Session, tried: Try) -> None:
    """Removes the attempt and the earlier failures of this account from this place."""
    forget_failures(session, tried.own, tried.rows)


def forget_all(session: Session, email: str) -> None:
    """Removes all failures of an account, after its owner proved their identity with a link."""
    forget_failures_of_account(session, _account(email))
    forget_failures_of_account(session, _code(email))


def is_audited(session: Session) -> bool:
    """Tells whether a failure is written to the audit log; False during a flood of failures."""
    return count_failures(session) <= ROWS_AUDITED


async def open_link(
    database: Database, token: str, address: str, purposes: Collection[Purpose] = SETUP_PURPOSES
) -> Link:
    """Returns what a link allows, and counts invalid links per network.

    Raises LinkNotValid; after too many from this network, RateLimited for each further invalid one.
    """
    return await _counted(database, address, lambda session: get_link(session, token, purposes))


async def open_question(database: Database, vault: Vault, token: str, address: str) -> QuestionRow:
    """Returns the question of a link, open or not, and counts invalid links per network.

    Raises QuestionLinkNotValid; after too many from this network, RateLimited for each further invalid one.
    """
    return await _counted(database, address, lambda session: question_of_link(session, vault, token))


async def _counted(database: Database, address: str, find: Callable[[Session], T]) -> T:
    """Returns what a link leads to. When `find` says that it leads nowhere, this is counted for the network: in the same
    transaction, which the refusal must not undo.

    A valid link opens whatever others in the network sent: nobody guesses one, so there is nothing to keep from them.
    """

    def look(session: Session) -> T | Refusal:
        _forget_old(session)
        subject = f"links:{network_of(address)}"
        try:
            return find(session)
        except (LinkNotValid, QuestionLinkNotValid) as refusal:
            happened = "From your network too many links were opened that do not work"
            _refuse_after(session, subject, LINKS_PER_NETWORK, happened)
            _refuse_a_flood(session)
            add_failure(session, subject)
            return refusal

    found = await database.write(look)
    if isinstance(found, Refusal):
        raise found
    return found


def _forget_old(session: Session) -> None:
    """Removes the failures that do not count any more: the old ones, and those of a clock that was ahead and was set
    right, which would count until then. The clocks of several servers may differ by a little.
    """
    forget_failures_outside(session, now(session) - WINDOW, now(session) + MINUTE)


def _begin(session: Session, own: str, *shared: str) -> Try:
    _refuse_after(session, own, PER_ACCOUNT_AND_NETWORK, "From where you are this e-mail address was tried too often")
    return Try(own, tuple(add_failure(session, subject) for subject in (own, *shared)))


def _refuse_after(session: Session, subject: str, most: int, happened: str) -> None:
    failures = failures_of(session, subject)
    if len(failures) >= most:
        raise _wait(session, failures[-most], f"{happened}: {most} times in 15 minutes.")


def _refuse_a_flood(session: Session) -> None:
    if count_failures(session) >= ROWS_IN_ALL:
        raise _wait(session, oldest_failure(session), "This server is being tried with wrong passwords or links.")


def _wait(session: Session, since: int, happened: str) -> RateLimited:
    seconds = max(1, (since + WINDOW - now(session) + 999) // 1000)
    minutes = max(1, round(seconds / 60))
    wait = f"Wait {minutes} minute{'' if minutes == 1 else 's'}, then try again."
    return RateLimited(happened, remedy=f"{wait} {_AT_ONCE}", retry_after=seconds)


def _account(email: str) -> str:
    return f"account:{hash_token(email)}"


def _code(email: str) -> str:
    return f"code:{hash_token(email)}"


def _ip(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Parses an IP address; an IPv4-mapped IPv6 address becomes IPv4, a zone (`%eth0`) is ignored.

    None for other text.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if isinstance(ip, ipaddress.IPv6Address) else ip
