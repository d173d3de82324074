"""The counting of connections, without a network."""

from __future__ import annotations

import pytest

from api.connection_limits import (
    MAX_OF_ONE,
    MOST,
    TURNED_AWAY_AT_ONCE,
    ConnectionLimits,
    Connections,
    Standing,
    limits_for,
    network_of,
)

LIMITS = ConnectionLimits(most=10, most_of_one=3)


class Line:
    """A connection that records that it was closed to free its slot."""

    gone = False

    def __init__(self, *, unread: bool = False) -> None:
        self.unread = unread

    def has_unread(self) -> bool:
        return self.unread

    def make_room(self) -> None:
        self.gone = True


def entered(connections: Connections, address: str, times: int, *, busy: bool = True) -> list[Line]:
    lines = [Line() for _ in range(times)]
    for line in lines:
        assert connections.enter(line, address) is Standing.IN
        if busy:
            connections.busy(line)
    return lines


def test_one_address_has_its_limit_and_others_keep_their_places() -> None:
    connections = Connections(LIMITS)
    first, *_ = entered(connections, "203.0.113.7", 3)
    assert connections.enter(Line(), "203.0.113.7") is Standing.TURNED_AWAY
    assert connections.enter(Line(), "203.0.113.8") is Standing.IN
    connections.leave(first)
    assert connections.enter(Line(), "203.0.113.7") is Standing.IN


def test_at_the_limit_of_an_address_its_own_longest_idle_connection_makes_room() -> None:
    connections = Connections(LIMITS)
    (other,) = entered(connections, "203.0.113.8", 1, busy=False)
    lines = entered(connections, "203.0.113.7", 3, busy=False)
    connections.busy(lines[0])
    for _ in range(2):
        entered(connections, "203.0.113.7", 1)
    assert [line.gone for line in lines] == [False, True, True]
    assert connections.enter(Line(), "203.0.113.7") is Standing.TURNED_AWAY
    assert not other.gone
    connections.idle(lines[0])
    entered(connections, "203.0.113.7", 1)
    assert lines[0].gone


def test_nothing_is_kept_of_an_address_that_has_gone() -> None:
    connections = Connections(LIMITS)
    for line in entered(connections, "203.0.113.7", 3, busy=False):
        connections.leave(line)
    assert not connections._of_caller
    assert not connections._idle_of


def test_the_addresses_of_one_ipv6_network_count_as_one_caller() -> None:
    connections = Connections(LIMITS)
    for end in ("1", "2", "ffff:1:2:3"):
        entered(connections, f"2001:db8:1:1:{end}" if ":" in end else f"2001:db8:1:1::{end}", 1)
    assert connections.enter(Line(), "2001:db8:1:1::77") is Standing.TURNED_AWAY
    assert connections.enter(Line(), "2001:db8:1:2::77") is Standing.IN


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_a_caller_is_an_ipv4_address_or_an_ipv6_network(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "10.1.2.3", "192.0.2.9"])
def test_this_machine_and_trusted_proxies_have_no_limit_of_their_own(address: str) -> None:
    connections = Connections(LIMITS, ("10.0.0.0/8", "192.0.2.9", "a-name"))
    entered(connections, address, 10)
    # refused for the total limit, as this address has no connection
    assert connections.enter(Line(), "198.51.100.1") is Standing.TURNED_AWAY


def test_when_all_places_are_taken_who_has_been_idle_longest_makes_room() -> None:
    connections = Connections(LIMITS)
    lines = entered(connections, "127.0.0.1", 10, busy=False)
    connections.busy(lines[0])
    connections.busy(lines[1])
    connections.idle(lines[1])
    entered(connections, "203.0.113.7", 1)
    assert [line.gone for line in lines] == [False, False, True, *[False] * 7]
    entered(connections, "203.0.113.8", 1)
    assert [line.gone for line in lines] == [False, False, True, True, *[False] * 6]


def test_one_that_is_kept_for_a_next_request_goes_after_those_that_brought_none() -> None:
    connections = Connections(LIMITS)
    kept, *silent = entered(connections, "127.0.0.1", 10, busy=False)
    connections.busy(kept)
    connections.idle(kept)
    connections.busy(silent[-1])
    entered(connections, "203.0.113.7", 3)
    assert [line.gone for line in silent] == [True, True, True, *[False] * 6]
    for line in silent[3:]:
        connections.busy(line)
    assert not kept.gone
    entered(connections, "203.0.113.8", 1)
    assert kept.gone


def test_a_socket_and_a_request_that_is_worked_on_never_make_room() -> None:
    connections = Connections(LIMITS)
    lines = entered(connections, "127.0.0.1", 9)
    request, socket = Line(), Line()
    connections.enter(request, "127.0.0.1")
    connections.hand_over(request, socket)
    assert connections.enter(Line(), "203.0.113.7") is Standing.TURNED_AWAY
    connections.leave(socket)
    assert connections.enter(Line(), "203.0.113.7") is Standing.IN
    assert not any(line.gone for line in lines)


def test_a_crowd_over_the_limit_is_shut_out_without_being_heard() -> None:
    connections = Connections(LIMITS)
    entered(connections, "203.0.113.7", 3)
    turned_away = [Line() for _ in range(TURNED_AWAY_AT_ONCE)]
    assert {connections.enter(line, "203.0.113.7") for line in turned_away} == {Standing.TURNED_AWAY}
    assert connections.enter(Line(), "203.0.113.7") is Standing.SHUT_OUT
    connections.leave(turned_away[0])
    assert connections.enter(Line(), "203.0.113.7") is Standing.TURNED_AWAY


@pytest.mark.parametrize("descriptors", [64, 256, 1024, 4096, 65_536])
def test_the_limits_leave_descriptors_for_everything_else(descriptors: int) -> None:
    limits = limits_for(descriptors)
    assert 8 <= limits.most_of_one <= min(MAX_OF_ONE, limits.most)
    assert limits.most <= MOST
    if descriptors >= 256:
        assert limits.most + limits.backlog + TURNED_AWAY_AT_ONCE + 40 <= descriptors


def test_a_request_that_has_arrived_is_not_closed_by_a_burst_of_silent_connections() -> None:
    connections = Connections(LIMITS)
    asking = Line(unread=True)
    connections.enter(asking, "127.0.0.1")
    silent = entered(connections, "127.0.0.1", 3 * LIMITS.most, busy=False)
    assert not asking.gone
    assert [line.gone for line in silent].count(True) == 2 * LIMITS.most + 1


def test_when_all_have_sent_something_the_first_makes_room() -> None:
    connections = Connections(LIMITS)
    lines = [Line(unread=True) for _ in range(LIMITS.most + 1)]
    for line in lines:
        assert connections.enter(line, "127.0.0.1") is Standing.IN
    assert [line.gone for line in lines] == [True, *[False] * LIMITS.most]
