"""Which addresses flows may reach: the public web, and what the owner allowed beyond it.

The table of ssrfguard names every special network; every one of them is closed here, also those that carry an IPv4 address
inside (mapped, translated, 6to4, Teredo) and IPv6 outside the global range. Names of internal networks are closed before
anything is looked up. The owner's list is asked first: it opens what these rules close.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Literal

import httpx2
from ssrfguard import DEFAULT_DENIED, AddressTable, Block, Policy, Reach

from engine.outbound.allow_list import INTERNAL_SUFFIXES, NAME, NUMERIC_END, Address, Allowed
from engine.outbound.errors import BadUrl

#: Closed although the registries of special networks do not list them.
_MORE_NETWORKS = (
    "168.63.129.16/32",  # the platform address of every Azure machine
    "2001::/23",  # IETF protocol assignments, with all exceptions in it
)
_PUBLIC_IPV6 = ip_network("2000::/3")

#: How far a name's addresses are free: any (the owner allowed the name), public ones, or only those the owner allowed.
Reachable = Literal["any", "public", "allowed"]


class Forbidden(Exception):  # noqa: N818 - the door turns it into the refusal a person reads
    """An address is closed. `rule` is the reason in words that name no address."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


ENCODED_RULE = "its host is a number in another form than a usual IP address"
PRIVATE_RULE = "it leads into a private or reserved network"


@dataclass(frozen=True)
class Ask:
    """What may be dialled for one host and port: `address` when the host is one, else the name and how far it may lead."""

    host: str
    port: int
    reachable: Reachable
    address: Address | None = None
    #: The rule that is broken unless the owner allowed every address.
    rule: str = PRIVATE_RULE


@dataclass(frozen=True)
class Guard:
    """The rules of one moment: the owner's entries and the ports open to everybody."""

    allow: tuple[Allowed, ...]
    ports: frozenset[int]

    def ask(self, host: str, port: int) -> Ask:
        """Checks what can be known before a look-up. `host` is lower case, ASCII, without brackets. Raises Forbidden."""
        host = host.rstrip(".")
        address = _literal(host)
        if address is not None:
            if any(entry.covers_address(address, port) for entry in self.allow):
                return Ask(host, port, "any", address)
            if rule := self._broken_port(port):
                raise Forbidden(rule)
            if not is_public(address):
                raise Forbidden(PRIVATE_RULE)
            return Ask(host, port, "public", address)
        if NUMERIC_END.search(host):
            raise Forbidden(ENCODED_RULE)
        if any(entry.covers_name(host, port) for entry in self.allow):
            return Ask(host, port, "any")
        rule = _broken_name(host) or self._broken_port(port)
        if rule is None:
            return Ask(host, port, "public")
        if not any(entry.network and entry.port in (None, port) for entry in self.allow):
            raise Forbidden(rule)
        return Ask(host, port, "allowed", rule=rule)

    def check(self, ask: Ask, answers: Sequence[Address]) -> None:
        """Every address a name led to must be open. Raises Forbidden."""
        for address in answers:
            if ask.reachable == "any" or any(entry.covers_address(address, ask.port) for entry in self.allow):
                continue
            if ask.reachable == "allowed":
                raise Forbidden(ask.rule)
            if not is_public(address):
                raise Forbidden(PRIVATE_RULE)

    def lists(self, host: str, port: int, peer: Address | None) -> bool:
        """Whether an entry covers a host that answered, by its name or by the address it answered from."""
        return any(
            entry.covers_name(host.rstrip("."), port) or (peer is not None and entry.covers_address(peer, port))
            for entry in self.allow
        )

    def loopback(self, ask: Ask) -> list[Address]:
        """What `localhost` means, without asking anybody: the loopback addresses that are open."""
        both = [ip_address("127.0.0.1"), ip_address("::1")]
        open_ones = [
            address
            for address in both
            if ask.reachable == "any" or any(entry.covers_address(address, ask.port) for entry in self.allow)
        ]
        if not open_ones:
            raise Forbidden(ask.rule)
        return open_ones

    def _broken_port(self, port: int) -> str | None:
        if port in self.ports:
            return None
        return f"port {port} is not among the ports that flows may use ({', '.join(map(str, sorted(self.ports)))})"


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, as the registries of special networks know it."""
    return _POLICY.permits_address(address)


def is_localhost(host: str) -> bool:
    """Names that mean this machine by definition (RFC 6761)."""
    return host == "localhost" or host.endswith(".localhost")


def read_url(text: str) -> httpx2.URL:
    """A text as the URL that will be asked: http or https, a host, no credentials, no fragment. Raises BadUrl."""
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
        raise BadUrl(f"`{shown}` is not a web address. Write it in full, like https://example.com/page.") from error
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
    if _literal(url.raw_host.decode()) is None and not NAME.match(url.raw_host.decode().rstrip(".")):
        raise BadUrl(f"`{shown}` is not opened: its host is not a name that can be looked up. Check how it is written.")
    return url.copy_with(host=host, fragment=None) if host != url.host or url.fragment else url


def port_of(url: httpx2.URL) -> int:
    """The port that will be asked."""
    return url.port or (443 if url.scheme == "https" else 80)


def shown_url(url: object) -> str:
    """A URL as a message may show it: without credentials, query and fragment, and not too long."""
    text = re.sub(r"//[^/?#]*@", "//", str(url).strip().replace("\\", "/"))
    text = "".join(letter if letter.isprintable() else " " for letter in re.split(r"[?#]", text, maxsplit=1)[0])
    return text if len(text) <= 120 else f"{text[:119]}…"


def _literal(host: str) -> Address | None:
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
