"""How often a password or a link may be wrong, and for whom that counts (security.md S21).

A guesser is a network: an IPv4 /24 or an IPv6 /64, since whoever has one address of it has them all. Wrong passwords count by
account and network, by network over all accounts, and, for networks the person never signed in from, by account over all networks.
An address that somebody signed in from has a count of its own and no other: what strangers do, neighbours in the same network
included, locks nobody out there.

Everything is counted before the password is looked at, so that guesses sent at once cannot outrun the count, and is kept in the
database, so that a restart forgets nothing. Unknown e-mail addresses are counted like known ones.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.orm import Session

from engine.actions.links import SETUP_PURPOSES, Link, Purpose, get_link
from engine.core.clock import MINUTE
from engine.core.errors import LinkNotValid, RateLimited
from storage.database import Database, now
from storage.guesses import (
    add_failure,
    count_failures,
    failures_of,
    forget_failures,
    forget_failures_of_account,
    forget_old_failures,
    is_known_network,
    is_known_place,
    oldest_failure,
)
from storage.sessions import hash_token

WINDOW = 15 * MINUTE
PER_ACCOUNT_AND_NETWORK = 5
PER_ACCOUNT = 50
PER_NETWORK = 20
#: Codes of a second factor from networks its person never signed in from: whoever gives them knows the password already.
CODES_PER_ACCOUNT = 10
LINKS_PER_NETWORK = 20
#: Rows of failures in 15 minutes over all networks and accounts; a failure has up to three. Then only known addresses come in.
ROWS_IN_ALL = 30_000
#: Above this many rows failures are counted and no longer written to the audit log, or strangers could fill it.
ROWS_AUDITED = 3_000

_AT_ONCE = "Or, to come in at once, ask an owner for a reset link (Settings, Team), or run app.py setup-link --reset EMAIL on the server."


@dataclass(frozen=True)
class Try:
    """A sign-in under way: `rows` count it as a failure until `succeeded` takes them back; `own` is the count of who signs in."""

    own: str
    rows: tuple[int, ...]


def place_of(address: str) -> str:
    """What is remembered of where somebody signed in: the IPv4 address, the IPv6 /64; another text as it is."""
    ip = _ip(address)
    return str(ip) if isinstance(ip, ipaddress.IPv4Address) else network_of(address)


def network_of(address: str) -> str:
    """The network that counts as one guesser: `203.0.113.0/24`, `2001:db8:1:2::/64`; a text that is no address as it is."""
    ip = _ip(address)
    if ip is None:
        return address[:64]
    return str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 64), strict=False))


def begin_try(session: Session, email: str, address: str, *, code: bool = False) -> Try:
    """Counts a password, or the code after it, as a failure, to be taken back when it was right. Raises RateLimited."""
    forget_old_failures(session, now(session) - WINDOW)
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
    """The same for somebody who is signed in and gives their password again: strangers' guesses do not count for them."""
    forget_old_failures(session, now(session) - WINDOW)
    return _begin(session, f"{_account(email)}@signed in")


def succeeded(session: Session, tried: Try) -> None:
    """Takes a try back, and forgets the earlier failures of this account from this network."""
    forget_failures(session, tried.own, tried.rows)


def forget_all(session: Session, email: str) -> None:
    """Somebody proved who they are by a link: nothing that was counted for their account stands in their way."""
    forget_failures_of_account(session, _account(email))
    forget_failures_of_account(session, _code(email))


def is_audited(session: Session) -> bool:
    """Whether a failure gets a line in the audit log: not in a flood of them."""
    return count_failures(session) <= ROWS_AUDITED


async def open_link(
    database: Database, token: str, address: str, purposes: Collection[Purpose] = SETUP_PURPOSES
) -> Link:
    """`get_link` for whoever sits at this address. Raises LinkNotValid, and RateLimited when too many links were wrong there."""

    def look(session: Session) -> Link | None:
        forget_old_failures(session, now(session) - WINDOW)
        subject = f"links:{network_of(address)}"
        _refuse_after(
            session, subject, LINKS_PER_NETWORK, "From your network too many links were opened that do not work"
        )
        try:
            return get_link(session, token, purposes)
        except LinkNotValid:
            _refuse_a_flood(session)
            add_failure(session, subject)
            return None

    link = await database.write(look)
    if link is None:
        raise LinkNotValid
    return link


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
    """An IPv4 address written as IPv6 is the IPv4 address; a zone (`%eth0`) says nothing about the network."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if isinstance(ip, ipaddress.IPv6Address) else ip
