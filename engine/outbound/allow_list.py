"""What the owner allows beyond the public web: the entries of FLOWPORT_OUTBOUND_ALLOW and FLOWPORT_WEBHOOK_ALLOW.

An entry is `name`, `*.name`, an IP address or a network in CIDR form, each optionally with `:port` (`[v6]:port`). Without a
port it allows every port. An allowed name may lead to any address; an allowed address may be reached by any name.

An entry that would open more than somebody's own network is refused: a network larger than the largest private one, and a
`*` above names that strangers register.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal

import httpx2
from tld import is_tld

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

DEFAULT_PORTS = frozenset({80, 443, 8080, 8443})

#: Last labels of names that nobody can register: they belong to whoever runs the network.
INTERNAL_SUFFIXES = (
    "local", "internal", "lan", "home", "corp", "intranet", "private", "localdomain", "localhost",
    "home.arpa", "arpa", "onion", "i2p", "svc", "alt",
)  # fmt: skip

#: The shortest prefix of an entry: 10.0.0.0/8 and fc00::/7 are the largest private networks there are.
_SHORTEST_PREFIX = {4: 8, 6: 7}
#: IPv6 that carries an IPv4 address behind these bits: there the IPv4 bound counts.
_CARRIERS = tuple(ip_network(text) for text in ("::/96", "::ffff:0:0/96", "64:ff9b::/96", "2002::/16"))

_ENTRY = re.compile(r"^(?:\[(?P<v6>[^\]]+)\](?P<v6_prefix>/\d+)?|(?P<rest>[^\[\]:]+))(?::(?P<port>[^:]*))?\Z")
#: A name that can be looked up, lower case; an underscore is common although no registry takes it.
NAME = re.compile(r"^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
#: A last label like this makes a name a number in disguise (`127.1`, `0x7f000001`): some resolvers read it as an address.
NUMERIC_END = re.compile(r"(?:^|\.)(?:\d+|0x[0-9a-f]*)\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Allowed:
    """One entry: a name (with `below`: every name under it, not itself) or a network, and a port or None for every port."""

    name: str = ""
    below: bool = False
    network: Network | None = None
    port: int | None = None

    def covers_name(self, host: str, port: int) -> bool:
        """Whether it allows this name (lower case, without final dot) at this port."""
        if not self.name or self.port not in (None, port):
            return False
        return host.endswith(f".{self.name}") if self.below else host == self.name

    def covers_address(self, address: Address, port: int) -> bool:
        """Whether it allows this address at this port."""
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


#: Whose list opens more than the public web for a request: the one for flows, the one for webhooks that callers name, or none.
Reach = Literal["flows", "callers", "public"]


@dataclass(frozen=True)
class OutboundRules:
    """What the owner set: entries beyond the public web, a company proxy (`http://user:password@host:port`), more ports.

    `allow` is for flows, `callers` for the webhooks that callers name. `proxy_looks_up`: names of https addresses go to the
    proxy as they are, and where they lead is the proxy's decision alone.
    """

    allow: tuple[Allowed, ...] = ()
    proxy: str | None = field(default=None, repr=False)
    extra_ports: tuple[int, ...] = ()
    callers: tuple[Allowed, ...] = ()
    proxy_looks_up: bool = False
    browser_sandbox: bool = True

    @property
    def ports(self) -> frozenset[int]:
        """Ports that any public address may be asked at."""
        return DEFAULT_PORTS | frozenset(self.extra_ports)

    def entries(self, reach: Reach) -> tuple[Allowed, ...]:
        """The list that counts for a request."""
        return {"flows": self.allow, "callers": self.callers, "public": ()}[reach]


def parse_allow_list(text: str) -> tuple[Allowed, ...]:
    """The entries of a comma list (line breaks count as commas). Raises ValueError with a sentence for the owner."""
    entries = [piece.strip() for piece in re.split(r"[,\n]", text)]
    return tuple(dict.fromkeys(_parse_entry(entry) for entry in entries if entry))


def covers(entries: Iterable[Allowed], host: str, port: int) -> bool:
    """Whether an entry names a host (lower case, an IP address without brackets) at a port; nothing is looked up."""
    try:
        address = ip_address(host)
    except ValueError:
        return any(entry.covers_name(host.rstrip("."), port) for entry in entries)
    return any(entry.covers_address(address, port) for entry in entries)


def kept_entries(text: str) -> tuple[tuple[Allowed, ...], tuple[str, ...]]:
    """The entries of a list that was stored earlier, and a sentence for each that counts no more."""
    entries: list[Allowed] = []
    refused: list[str] = []
    for piece in re.split(r"[,\n]", text):
        try:
            entries += parse_allow_list(piece)
        except ValueError as error:
            refused.append(str(error))
    return tuple(dict.fromkeys(entries)), tuple(refused)


def allowed_origin(url: str) -> Allowed:
    """The entry that allows exactly the host and port of a URL, like a model connection's base URL. Raises ValueError."""
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
    """Refuses a `*` above names that strangers register, like `*.com`, `*.co.uk` or `*.github.io`."""
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
    """Refuses a network that is larger than any private one."""
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
