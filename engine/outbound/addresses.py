"""Decides which addresses a flow may connect to: the public internet plus the owner's allow-list.

Every network in the special-purpose registries that `ssrfguard` carries is refused. So are addresses that embed an IPv4
address (mapped, translated, 6to4, Teredo) and IPv6 addresses outside 2000::/3. Host names of internal networks are
refused before any DNS query. The owner's allow-list is checked first and overrides these rules.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Literal

import httpx2
from msgspec import Struct
from ssrfguard import DEFAULT_DENIED, AddressTable, Block, Policy, Reach

from engine.core.redaction import cut
from engine.core.web_addresses import NUMERIC_END
from engine.outbound.allow_list import INTERNAL_SUFFIXES, NAME, Address, Allowed
from engine.outbound.errors import BadUrl

#: Refused in addition to the networks of the special-purpose registries, which do not list these two.
_MORE_NETWORKS = (
    "168.63.129.16/32",  # the platform service that every Azure virtual machine can reach
    "2001::/23",  # all of the IETF protocol assignments, including the sub-ranges that the registry marks as global
)
_PUBLIC_IPV6 = ip_network("2000::/3")

#: Which resolved addresses of a name are accepted: "any" (the owner allowed the name itself), "public" ones, or only
#: those that the allow-list covers ("allowed").
Reachable = Literal["any", "public", "allowed"]


class Forbidden(Exception):  # internal signal; `error_messages` turns it into an AddressNotAllowed error
    """An address must not be connected to. `rule` is the reason as a sentence fragment that names no address."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


#: Longest address that `read_url` keeps, in characters.
_MAX_KEPT = 500
ENCODED_RULE = "its host ends in a number and is no IP address in its usual form"
PRIVATE_RULE = "it leads into a private or reserved network"


class Destination(Struct, frozen=True):
    """What may be connected to for one host and port.

    `address` is set when the host is a literal IP address. Otherwise the name must be resolved, and `reachable` says
    which of its addresses are accepted.
    """

    host: str
    port: int
    reachable: Reachable
    address: Address | None = None
    #: The rule to report when a resolved address is refused and `reachable` is "allowed".
    rule: str = PRIVATE_RULE


class Guard(Struct, frozen=True):
    """The address rules of one connection pool: the allow-list entries and the ports that every public address may be
    reached at.
    """

    allow: tuple[Allowed, ...]
    ports: frozenset[int]

    def destination(self, host: str, port: int) -> Destination:
        """Applies every rule that needs no DNS query.

        `host` is lower case, ASCII (IDNA) and without brackets. Raises Forbidden.
        """
        host = host.rstrip(".")
        address = literal_address(host)
        if address is not None:
            if any(entry.covers_address(address, port) for entry in self.allow):
                return Destination(host, port, "any", address)
            if not is_public(address):  # before the port: another port would not help
                raise Forbidden(PRIVATE_RULE)
            if rule := self._broken_port(port):
                raise Forbidden(rule)
            return Destination(host, port, "public", address)
        if NUMERIC_END.search(host):
            raise Forbidden(ENCODED_RULE)
        if any(entry.covers_name(host, port) for entry in self.allow):
            return Destination(host, port, "any")
        rule = _broken_name(host) or self._broken_port(port)
        if rule is None:
            return Destination(host, port, "public")
        if not any(entry.network and entry.port in (None, port) for entry in self.allow):
            raise Forbidden(rule)
        return Destination(host, port, "allowed", rule=rule)

    def check(self, destination: Destination, answers: Sequence[Address]) -> None:
        """Requires that every address that the name resolved to is permitted. Raises Forbidden."""
        for address in answers:
            if destination.reachable == "any" or any(
                entry.covers_address(address, destination.port) for entry in self.allow
            ):
                continue
            if destination.reachable == "allowed":
                raise Forbidden(destination.rule)
            if not is_public(address):
                raise Forbidden(PRIVATE_RULE)

    def lists(self, host: str, port: int, peer: Address | None) -> bool:
        """Tells whether an allow-list entry covers a host that answered, by its name or by the IP address of the
        connection.
        """
        return any(
            entry.covers_name(host.rstrip("."), port) or (peer is not None and entry.covers_address(peer, port))
            for entry in self.allow
        )

    def loopback(self, destination: Destination) -> list[Address]:
        """Returns the permitted loopback addresses for `localhost` without a DNS query.

        Raises Forbidden when there is none.
        """
        both = [ip_address("127.0.0.1"), ip_address("::1")]
        open_ones = [
            address
            for address in both
            if destination.reachable == "any"
            or any(entry.covers_address(address, destination.port) for entry in self.allow)
        ]
        if not open_ones:
            raise Forbidden(destination.rule)
        return open_ones

    def _broken_port(self, port: int) -> str | None:
        if port in self.ports:
            return None
        return f"port {port} is not among the open ports ({', '.join(map(str, sorted(self.ports)))})"


def is_public(address: Address) -> bool:
    """Tells whether an address belongs to the public internet: it is in none of the refused networks of this module."""
    return _POLICY.permits_address(address)


def is_localhost(host: str) -> bool:
    """Tells whether a name always means this machine (RFC 6761, section 6.3)."""
    return host == "localhost" or host.endswith(".localhost")


def read_url(text: str) -> httpx2.URL:
    """Parses and validates the URL of an outbound request.

    Accepts http and https URLs with a host and without user information; removes the fragment. Raises BadUrl.

    The last addresses without a query are kept; a query often carries a key.
    """
    return _read_url(text) if "?" in text or len(text) > _MAX_KEPT else _read_and_kept(text)


def _read_url(text: str) -> httpx2.URL:
    text = text.strip()
    shown = shown_url(text)
    if not text:
        raise BadUrl(
            "There is no web address to open: the text is empty. Bind a full address, like https://example.com/."
        )
    if len(text) > 8_192:
        raise BadUrl(f"The web address is {len(text):,} characters long, and the longest that is opened has 8,192.")
    if re.search(r"[\x00-\x1f\x7f\\]", text):
        raise BadUrl(f"`{shown}` is not opened: it holds a backslash or a control character. Write it without.")
    try:
        url = httpx2.URL(text)
    except (httpx2.InvalidURL, ValueError, UnicodeError) as error:
        raise BadUrl(
            f"`{shown}` is not a web address: its host or its port cannot be read. Write it like https://example.com/page."
        ) from error
    if url.scheme not in {"http", "https"}:
        if not url.scheme or (not url.raw_host and "." in text.split(":")[0]):
            raise BadUrl(f"`{shown}` is not a full web address. Begin it with https://.")
        raise BadUrl(f"`{shown}` is not opened: only http:// and https:// addresses are. Change how it begins.")
    if not url.raw_host:
        raise BadUrl(f"`{shown}` has no host. Write it in full, like https://example.com/page.")
    if url.userinfo or "@" in text.split("://", 1)[1].split("/", 1)[0].split("?", 1)[0].split("#", 1)[0]:
        raise BadUrl(
            f"`{shown}` is not opened: it carries a user name or password. "
            "Take it out and send it in an Authorization header filled from a secret."
        )
    if url.port == 0 or (url.port or 1) > 65_535:
        raise BadUrl(f"`{shown}` names a port that does not exist. Ports are whole numbers from 1 to 65535.")
    host = url.host.rstrip(".")
    if not host:
        raise BadUrl(f"`{shown}` has no host. Write it in full, like https://example.com/page.")
    if literal_address(url.raw_host.decode()) is None and not NAME.match(url.raw_host.decode().rstrip(".")):
        raise BadUrl(f"`{shown}` is not opened: its host is not a name that can be looked up. Check how it is written.")
    return url.copy_with(host=host, fragment=None) if host != url.host or url.fragment else url


_read_and_kept = functools.lru_cache(256)(_read_url)


def port_of(url: httpx2.URL) -> int:
    """Returns the port of a URL: the one it names, or the default of its scheme."""
    return url.port or (443 if url.scheme == "https" else 80)


def shown_url(url: object) -> str:
    """Formats a URL for messages: without user information, query and fragment, at most 120 characters."""
    text = re.sub(r"//[^/?#]*@", "//", str(url).strip().replace("\\", "/"))
    text = "".join(letter if letter.isprintable() else " " for letter in re.split(r"[?#]", text, maxsplit=1)[0])
    return cut(text, 120, mark="…")


@functools.lru_cache(1_024)
def literal_address(host: str) -> Address | None:
    """Returns the IP address that `host` is, or None when it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def _broken_name(host: str) -> str | None:
    if "." not in host:
        return "a name without a dot belongs to an internal network"
    for suffix in INTERNAL_SUFFIXES:
        if host.endswith(f".{suffix}") or host == suffix:
            return f"names that end in .{suffix} belong to internal networks"
    return None


def _closed_table() -> AddressTable:
    networks = {block.network for block in DEFAULT_DENIED.blocks} | {ip_network(text) for text in _MORE_NETWORKS}
    closed = [Block(network, "special", "", Reach.DENIED) for network in networks]
    everything_else = Block(ip_network("::/0"), "not global", "", Reach.DENIED)
    return AddressTable((*closed, everything_else, Block(_PUBLIC_IPV6, "global", "", Reach.PERMITTED)))


_POLICY = Policy(denied_networks=_closed_table())
