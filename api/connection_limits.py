"""Limits how many connections the server holds, in total and per caller (rule S29).

A caller is the peer address of the connection; for IPv6 it is the /64 network of the address. X-Forwarded-For belongs
to a request and cannot be counted per connection, so trusted proxies and loopback addresses have no limit of their own;
what waits behind them is bounded by workspace (`api.http.held_calls`).

Each connection needs a file descriptor, and a second one while a file is sent. `limits_for` reserves descriptors for
the database, the worker, model calls and the like, and gives connections half of the rest.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import islice
from typing import Protocol

from msgspec import Struct
from uvicorn.middleware.proxy_headers import _TrustedHosts

#: Upper limit of connections, because each one needs memory.
MOST = 4096
#: Connections of one caller that is not a trusted proxy.
MAX_OF_ONE = 256
#: Descriptors reserved for everything other than callers' connections: an idle server has about 30 open, and each model
#: or web call needs more.
KEPT_BACK = 96
#: This many connections above the limit are still read until the head of the request is complete, so that the 503 has
#: the form that the request needs. Further ones get the 503 immediately.
TURNED_AWAY_AT_ONCE = 32
#: How many idle connections are asked whether something has arrived on them, before the first of them is closed.
LOOKED_AT = 32


class ConnectionLimits(Struct, frozen=True):
    """`most` is the limit of connections in total and `most_of_one` that of one caller; `backlog` is the length of the
    listen queue.
    """

    most: int
    most_of_one: int

    @property
    def backlog(self) -> int:
        """The listen backlog. The event loop accepts the whole backlog before it can refuse one connection, so it is
        not longer than `most`.
        """
        return min(2048, self.most)


def limits_for(descriptors: int) -> ConnectionLimits:
    """Returns the connection limits of a process that may open `descriptors` file descriptors."""
    most = min(MOST, max(16, (descriptors - KEPT_BACK) // 2))
    return ConnectionLimits(most, min(MAX_OF_ONE, max(8, most // 4)))


class Standing(Enum):
    """How a new connection is treated."""

    IN = "in"
    #: Over the limit: the request is answered with 503 after its head has been read.
    TURNED_AWAY = "turned away"
    #: Over the limit by far: the connection gets a 503 before anything is read.
    SHUT_OUT = "shut out"


class Connection(Protocol):
    """The connection as `Connections` uses it."""

    def make_room(self) -> None:
        """Closes the connection, which is idle, because a new connection needs its slot."""
        ...

    def has_unread(self) -> bool:
        """True when the client has sent something that the server has not read yet."""
        ...


class Connections:
    """Counts the open connections of a server. Not thread-safe: only the event loop may use it."""

    def __init__(self, limits: ConnectionLimits, proxies: Iterable[str] = ()) -> None:
        self.limits = limits
        self._trusted = _TrustedHosts(list(proxies))
        self._callers: dict[Connection, str] = {}
        self._of_caller: Counter[str] = Counter()
        self._turned_away: set[Connection] = set()
        #: Connections that wait for their client to send or to read, the longest idle first.
        self._idle: dict[Connection, None] = {}
        self._idle_of: defaultdict[str, dict[Connection, None]] = defaultdict(dict)
        #: The idle connections that have not yet sent a whole request. They are closed before idle keep-alive
        #: connections.
        self._unproven: dict[Connection, None] = {}

    def enter(self, connection: Connection, address: str) -> Standing:
        """Counts a new connection if a slot is free or can be freed.

        At the total limit an idle connection is closed (`_next_to_leave`). At the limit of one caller only idle
        connections of the same caller are closed, because one address may be shared by many people.
        """
        caller = "" if self._is_proxy(address) else network_of(address)
        places = self._idle
        if caller and self._of_caller[caller] >= self.limits.most_of_one:
            places = self._idle_of[caller]
        if places is not self._idle or len(self._callers) >= self.limits.most:
            leaving = self._next_to_leave(places)
            if leaving is None:
                return self._turn_away(connection)
            self.leave(leaving)
            leaving.make_room()
        self._callers[connection] = caller
        self._of_caller[caller] += 1
        self.idle(connection)
        self._unproven[connection] = None
        return Standing.IN

    def hand_over(self, connection: Connection, successor: Connection) -> None:
        """Transfers the slot of an HTTP connection that was upgraded to a WebSocket. A WebSocket is never idle."""
        self.busy(connection)
        caller = self._callers.pop(connection, None)
        if caller is not None:
            self._callers[successor] = caller

    def leave(self, connection: Connection) -> None:
        """Removes a connection that has ended."""
        self._turned_away.discard(connection)
        self.busy(connection)
        caller = self._callers.pop(connection, None)
        if caller is not None:
            self._of_caller[caller] -= 1
            if not self._of_caller[caller]:
                del self._of_caller[caller]
                self._idle_of.pop(caller, None)

    def busy(self, connection: Connection) -> None:
        """Marks the connection as working on a complete request."""
        self._unproven.pop(connection, None)
        if connection in self._idle:
            del self._idle[connection]
            del self._idle_of[self._callers[connection]][connection]

    def idle(self, connection: Connection) -> None:
        """Marks the connection as idle: its response is complete, or its client does not read the response or sends
        nothing more.
        """
        if connection in self._callers:
            self._idle[connection] = None
            self._idle_of[self._callers[connection]][connection] = None

    def _next_to_leave(self, places: dict[Connection, None]) -> Connection | None:
        """Returns the connection that gives up its slot, None when all are busy.

        At the total limit that is the longest idle one without a whole request. One whose client has sent something
        that is not read yet is passed over: else a burst of silent connections, which the event loop accepts at once,
        would close the connection of a request that has just arrived.
        """
        unproven = self._unproven if places is self._idle else {}
        silent = (one for one in islice(unproven, LOOKED_AT) if not one.has_unread())
        return next(silent, None) or next(iter(unproven), None) or next(iter(places), None)

    def _is_proxy(self, address: str) -> bool:
        """Tells whether the address is a trusted proxy or a loopback address."""
        found = _ip_of(address)
        return str(found or address) in self._trusted or (found is not None and found.is_loopback)

    def _turn_away(self, connection: Connection) -> Standing:
        if len(self._turned_away) >= TURNED_AWAY_AT_ONCE:
            return Standing.SHUT_OUT
        self._turned_away.add(connection)
        return Standing.TURNED_AWAY


def network_of(address: str) -> str:
    """Returns the key by which a caller is counted: the IPv4 address, the /64 of an IPv6 address, or the text itself
    when it is not an IP address.
    """
    found = _ip_of(address)
    if found is None:
        return address
    return str(found) if found.version == 4 else str(ip_network((found, 64), strict=False))


def _ip_of(address: str) -> IPv4Address | IPv6Address | None:
    """Parses an address without its zone id and unwraps IPv4-mapped IPv6. Returns None when it is not an IP address."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
