"""How many connections the server holds: in all, and for one caller (security.md S29).

A caller is the address at the other end of the connection, an IPv6 address with its whole /64. What a proxy says about who stands
behind it comes with each request and cannot be counted here: proxies that are trusted have no limit of their own, nor has this machine.

Each connection costs a descriptor, and one more while it is sent a file. What the process may have of them is therefore divided:
some stay for the database, the worker, model calls and the like, and the connections get half of the rest.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Protocol

from uvicorn.middleware.proxy_headers import _TrustedHosts

#: More connections than this need more memory than they are worth.
MOST = 4096
#: One caller who is no proxy.
MOST_OF_ONE = 256
#: Descriptors for everything that is no connection of a caller: 30 in a server at rest, some for each model and web call.
KEPT_BACK = 96
#: Over the limit, so many are still read up to their head: the answer then fits what was asked. More are turned away at once.
TURNED_AWAY_AT_ONCE = 32


@dataclass(frozen=True)
class ConnectionLimits:
    """`most` connections in all, `most_of_one` of one caller, `backlog` in the queue of the system."""

    most: int
    most_of_one: int

    @property
    def backlog(self) -> int:
        """The event loop takes all that wait in one go, before it can turn one away."""
        return min(2048, self.most)


def limits_for(descriptors: int) -> ConnectionLimits:
    """The limits of a process that may have so many descriptors."""
    most = min(MOST, max(16, (descriptors - KEPT_BACK) // 2))
    return ConnectionLimits(most, min(MOST_OF_ONE, max(8, most // 4)))


class Standing(Enum):
    """What becomes of a new connection."""

    IN = "in"
    #: Its request is answered with 503 once its head is there.
    TURNED_AWAY = "turned away"
    #: It gets its 503 before it says anything.
    SHUT_OUT = "shut out"


class Connection(Protocol):
    """A connection as the counting sees it."""

    def make_room(self) -> None:
        """Ends it: nothing is being done for it, another one needs its place."""
        ...


class Connections:
    """The open connections of a server. Not for threads: it belongs to the event loop."""

    def __init__(self, limits: ConnectionLimits, proxies: Iterable[str] = ()) -> None:
        self.limits = limits
        self._trusted = _TrustedHosts(list(proxies))
        self._callers: dict[Connection, str] = {}
        self._of_caller: Counter[str] = Counter()
        self._turned_away: set[Connection] = set()
        #: Connections whose caller has to send or read something before anything is done; who waits longest comes first.
        self._idle: dict[Connection, None] = {}
        self._idle_of: defaultdict[str, dict[Connection, None]] = defaultdict(dict)
        #: Of these, the ones that have brought no whole request yet. They make room before those that are kept for a next one.
        self._unproven: dict[Connection, None] = {}

    def enter(self, connection: Connection, address: str) -> Standing:
        """Counts a new connection, when there is a place for it.

        At the limit the one that has been idle longest makes room, at a caller's own limit one of that caller's: many people may sit
        behind one address.
        """
        caller = "" if self._is_proxy(address) else network_of(address)
        places = self._idle
        if caller and self._of_caller[caller] >= self.limits.most_of_one:
            places = self._idle_of[caller]
        if places is not self._idle or len(self._callers) >= self.limits.most:
            longest = next(iter(self._unproven if places is self._idle else ()), None) or next(iter(places), None)
            if longest is None:
                return self._turn_away(connection)
            self.leave(longest)
            longest.make_room()
        self._callers[connection] = caller
        self._of_caller[caller] += 1
        self.idle(connection)
        self._unproven[connection] = None
        return Standing.IN

    def hand_over(self, connection: Connection, successor: Connection) -> None:
        """The same connection goes on as another object: a request became a web socket. A socket is never idle."""
        self.busy(connection)
        caller = self._callers.pop(connection, None)
        if caller is not None:
            self._callers[successor] = caller

    def leave(self, connection: Connection) -> None:
        """The connection has ended."""
        self._turned_away.discard(connection)
        self.busy(connection)
        caller = self._callers.pop(connection, None)
        if caller is not None:
            self._of_caller[caller] -= 1
            if not self._of_caller[caller]:
                del self._of_caller[caller]
                self._idle_of.pop(caller, None)

    def busy(self, connection: Connection) -> None:
        """A whole request is there and being worked on."""
        self._unproven.pop(connection, None)
        if connection in self._idle:
            del self._idle[connection]
            del self._idle_of[self._callers[connection]][connection]

    def idle(self, connection: Connection) -> None:
        """An answer is complete, or its caller does not read it."""
        if connection in self._callers:
            self._idle[connection] = None
            self._idle_of[self._callers[connection]][connection] = None

    def _is_proxy(self, address: str) -> bool:
        """A proxy that is trusted, or this machine."""
        found = _ip_of(address)
        return str(found or address) in self._trusted or (found is not None and found.is_loopback)

    def _turn_away(self, connection: Connection) -> Standing:
        if len(self._turned_away) >= TURNED_AWAY_AT_ONCE:
            return Standing.SHUT_OUT
        self._turned_away.add(connection)
        return Standing.TURNED_AWAY


def network_of(address: str) -> str:
    """By what a caller is counted: the IPv4 address, or the /64 of an IPv6 one; what is no address counts as it is."""
    found = _ip_of(address)
    if found is None:
        return address
    return str(found) if found.version == 4 else str(ip_network((found, 64), strict=False))


def _ip_of(address: str) -> IPv4Address | IPv6Address | None:
    """The address without its zone, an IPv4 address in its own form; None for what is no address."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
