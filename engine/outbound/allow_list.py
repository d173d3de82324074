"""Allow-lists that open addresses beyond the public internet (FLOWPORT_OUTBOUND_ALLOW and FLOWPORT_WEBHOOK_ALLOW).

An entry is `name`, `*.name`, an IP address or a network in CIDR notation, each optionally followed by `:port`
(`[v6]:port` for IPv6). An entry without a port allows every port. An allowed name may resolve to any address; an
allowed address may be reached through any name.

Entries that are too broad are rejected: a network larger than the largest private network, and a wildcard directly
below a public suffix, where anybody can register names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal

import httpx2
from msgspec import Struct
from tld import is_tld

from engine.core.web_addresses import NUMERIC_END

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

DEFAULT_PORTS = frozenset({80, 443, 8080, 8443})

#: Top-level labels that cannot be registered in the public DNS; only the operator of a network can define names below
#: them.
INTERNAL_SUFFIXES = (
    "local", "internal", "lan", "home", "corp", "intranet", "private", "localdomain", "localhost",
    "home.arpa", "arpa", "onion", "i2p", "svc", "alt",
)  # fmt: skip

#: Shortest accepted prefix length by IP version: 10.0.0.0/8 and fc00::/7 are the largest private networks.
_SHORTEST_PREFIX = {4: 8, 6: 7}
#: IPv6 networks whose addresses embed an IPv4 address after the prefix; there the IPv4 limit applies to the embedded
#: part.
_CARRIERS = tuple(ip_network(text) for text in ("::/96", "::ffff:0:0/96", "64:ff9b::/96", "2002::/16"))

_ENTRY = re.compile(r"^(?:\[(?P<v6>[^\]]+)\](?P<v6_prefix>/\d+)?|(?P<rest>[^\[\]:]+))(?::(?P<port>[^:]*))?\Z")
#: A lower-case host name. Underscores are accepted because internal names often contain them.
NAME = re.compile(r"^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")


class Allowed(Struct, frozen=True):
    """One entry: a name or a network, and a port. `port` None means every port.

    With `below` set, the entry covers every name below `name` but not `name` itself.
    """

    name: str = ""
    below: bool = False
    network: Network | None = None
    port: int | None = None

    def covers_name(self, host: str, port: int) -> bool:
        """Tells whether the entry allows this host name (lower case, without a trailing dot) at this port."""
        if not self.name or self.port not in (None, port):
            return False
        return host.endswith(f".{self.name}") if self.below else host == self.name

    def covers_address(self, address: Address, port: int) -> bool:
        """Tells whether the entry allows this IP address at this port."""
        if self.network is None or self.port not in (None, port):
            return False
        return address.version == self.network.version and address in self.network

    def __str__(self) -> str:
        if self.network is None:
            shown = f"*.{self.name}" if self.below else self.name
        else:
            single = self.network.prefixlen == self.network.max_prefixlen
            shown = str(self.network.network_address) if single else str(self.network)
            if self.network.version == 6 and self.port is not None:
                shown = f"[{shown}]"
        return shown if self.port is None else f"{shown}:{self.port}"


#: Which allow-list applies to a request: the list for flows, the list for webhook URLs that API callers send, or none
#: ("public").
Reach = Literal["flows", "callers", "public"]


@dataclass(frozen=True)
class OutboundRules:
    """The server's settings for outbound requests.

    `allow` is the allow-list for flows, `callers` the one for webhook URLs that API callers send. `proxy` is the URL of
    a company proxy (`http://user:password@host:port`). `extra_ports` are ports that every public address may be reached
    at, in addition to `DEFAULT_PORTS`. `proxy_looks_up`: the proxy gets https hosts by name and resolves them itself,
    so only the proxy decides which addresses they lead to.
    """

    allow: tuple[Allowed, ...] = ()
    proxy: str | None = field(default=None, repr=False)
    extra_ports: tuple[int, ...] = ()
    callers: tuple[Allowed, ...] = ()
    proxy_looks_up: bool = False
    browser_sandbox: bool = True

    @property
    def ports(self) -> frozenset[int]:
        """The ports that every public address may be reached at."""
        return DEFAULT_PORTS | frozenset(self.extra_ports)

    def entries(self, reach: Reach) -> tuple[Allowed, ...]:
        """Returns the allow-list that applies to a request."""
        return {"flows": self.allow, "callers": self.callers, "public": ()}[reach]


def parse_allow_list(text: str) -> tuple[Allowed, ...]:
    """Parses an allow-list separated by commas or line breaks.

    Raises ValueError with a message for the owner when an entry is invalid.
    """
    entries = [piece.strip() for piece in re.split(r"[,\n]", text)]
    return tuple(dict.fromkeys(_parse_entry(entry) for entry in entries if entry))


def covers(entries: Iterable[Allowed], host: str, port: int) -> bool:
    """Tells whether an entry covers a host at a port, without a DNS query.

    `host` is lower case; an IPv6 address has no brackets.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return any(entry.covers_name(host.rstrip("."), port) for entry in entries)
    return any(entry.covers_address(address, port) for entry in entries)


def kept_entries(text: str) -> tuple[tuple[Allowed, ...], tuple[str, ...]]:
    """Parses a stored allow-list leniently: returns the valid entries, and one message for each entry that is no longer
    accepted.
    """
    entries: list[Allowed] = []
    refused: list[str] = []
    for piece in re.split(r"[,\n]", text):
        try:
            entries += parse_allow_list(piece)
        except ValueError as error:
            refused.append(str(error))
    return tuple(dict.fromkeys(entries)), tuple(refused)


def allowed_origin(url: str) -> Allowed:
    """Returns the entry that allows exactly the host and port of a URL, for example of a model connection's base URL.

    Raises ValueError when the URL has no host or is not http(s).
    """
    try:
        parsed = httpx2.URL(url.strip())
    except httpx2.InvalidURL as error:
        raise ValueError(f"`{url}` is not a web address.") from error
    port = parsed.port or {"http": 80, "https": 443}.get(parsed.scheme)
    if port is None or not parsed.raw_host:
        raise ValueError(f"`{url}` is not a web address: it begins with http:// or https:// and has a host.")
    host = parsed.raw_host.decode()
    return _parse_entry(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


def _parse_entry(entry: str) -> Allowed:
    if "://" in entry or ("/" in entry and not re.search(r"/\d+\]?(?::\d+)?$", entry)):
        raise ValueError(
            f"`{entry}` is a whole address. Write only the host, like `intranet.example.com` or `10.0.0.5:8080`."
        )
    if entry.count(":") > 1 and not entry.startswith("["):
        return Allowed(network=_network(entry, entry))  # an IPv6 address or network without a port
    match = _ENTRY.match(entry)
    if match is None:
        raise ValueError(
            f"`{entry}` cannot be read. Write a name, `*.name`, an IP address or a network, and maybe `:port`."
        )
    port = _port(match["port"], entry)
    if match["v6"] is not None:
        return Allowed(network=_network(match["v6"] + (match["v6_prefix"] or ""), entry), port=port)
    host = match["rest"].lower().rstrip(".")
    if "/" in host or NUMERIC_END.search(host):
        return Allowed(network=_network(host, entry), port=port)
    below = host.startswith("*.")
    name = _name(host.removeprefix("*."), entry)
    if below:
        _check_wildcard(name, entry)
    return Allowed(name=name, below=below, port=port)


def _check_wildcard(name: str, entry: str) -> None:
    """Rejects a wildcard directly below a public suffix, such as `*.com`, `*.co.uk` or `*.github.io`.

    Raises ValueError.
    """
    if name.rpartition(".")[2] in INTERNAL_SUFFIXES:
        return
    if "." not in name or is_tld(name, search_private=True):
        raise ValueError(
            f"`{entry}` would allow names that anybody can register. Put a name of your own behind the `*`, "
            "like `*.example.com`, or name each host."
        )


def _port(text: str | None, entry: str) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65_535):
        raise ValueError(f"`{entry}` ends in a port that does not exist. Ports are whole numbers from 1 to 65535.")
    return int(text)


def _network(text: str, entry: str) -> Network:
    try:
        found = ip_network(text)
    except ValueError:
        pass
    else:
        _check_size(found, entry)
        return found
    try:
        meant = ip_network(text, strict=False)
    except ValueError as error:
        raise ValueError(
            f"`{entry}` is not an IP address or network. Write it like `10.0.0.5` or `10.0.0.0/8`."
        ) from error
    raise ValueError(f"`{entry}` is not the first address of its network. Did you mean `{meant}`?")


def _check_size(network: Network, entry: str) -> None:
    """Rejects a network that is larger than the largest private network. Raises ValueError."""
    shortest = _SHORTEST_PREFIX[network.version]
    for carrier in _CARRIERS:
        if isinstance(network, IPv6Network) and isinstance(carrier, IPv6Network) and network.subnet_of(carrier):
            shortest = carrier.prefixlen + _SHORTEST_PREFIX[4]
    if network.prefixlen < shortest:
        raise ValueError(
            f"`{entry}` would allow far more than a network of your own: /{shortest} is the largest that can be allowed. "
            "Name the networks or hosts that are meant, like `10.0.0.0/8` or `192.168.1.20`."
        )


def _name(text: str, entry: str) -> str:
    if text in {"*", ""}:
        raise ValueError(f"`{entry}` would allow everything. Name the hosts or networks that flows may reach.")
    if not text.isascii():
        try:
            text = httpx2.URL(f"http://{text}/").raw_host.decode()
        except (httpx2.InvalidURL, UnicodeError) as error:
            raise ValueError(f"`{entry}` is not a name that can be looked up.") from error
    if len(text) > 253 or not NAME.match(text):
        raise ValueError(f"`{entry}` is not a name. A `*` may stand only at the start, like `*.example.com`.")
    return text
