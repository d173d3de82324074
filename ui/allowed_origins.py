"""Which pages may open a socket: those this server itself sent (security.md S23).

A page of another site could otherwise act in the name of whoever is signed in, and a name that a stranger points at this
server (DNS rebinding) would count as this server.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from engine.core.settings import LOOPBACK, Settings


class Origins:
    """The addresses that count as this server's own."""

    def __init__(self, settings: Settings) -> None:
        named = [settings.public_url, *settings.allowed_origins]
        self._named = {_origin(address) for address in named if address}

    def accepts(self, origin: str, scheme: str, host: str, known_hosts: Iterable[str] = ()) -> bool:
        """Whether a page from `origin` may talk to the server that was called as `scheme://host`.

        Named origins always may. Others must be the called address itself, and that must be localhost, an IP address, the
        host of a named origin or one of `known_hosts` (`name:port` as the owner opened it, or `name` for every port).
        """
        said = _origin(origin)
        if said in self._named:
            return True
        if not said or said != _origin(f"{scheme}://{host}"):
            return False
        name = urlsplit(f"//{host}").hostname or ""
        hosts = {urlsplit(address).netloc for address in self._named} | set(known_hosts)
        return name in LOOPBACK or name.endswith(".localhost") or _is_ip(name) or host in hosts or name in hosts


def _origin(address: str) -> str:
    """`https://flows.example.com`: scheme, name and port in one form; the usual port is left out."""
    try:
        parts = urlsplit(address.lower())
        port = parts.port
    except ValueError:
        return ""
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{parts.hostname}" + (f":{port}" if port not in {None, usual} else "")


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
