"""Decides which pages may open a socket: those that this server itself sent (S23).

Otherwise a page of another site could act with the session of whoever is signed in, and a host name that an attacker
resolves to this server's address (DNS rebinding) would count as this server.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from engine.core.settings import LOOPBACK, Settings, origin_of
from engine.core.web_addresses import split_url

_PORT = re.compile(r":[0-9]+$")


class Origins:
    """The origins that count as this server's own."""

    def __init__(self, settings: Settings) -> None:
        named = [settings.public_url, *settings.allowed_origins]
        self._named = {_origin(address) for address in named} - {""}

    def accepts(self, origin: str, scheme: str, host: str, known_hosts: Iterable[str] = ()) -> bool:
        """Whether a page from `origin` may open a socket to the server that was called as `scheme://host`.

        Configured origins always may. Any other origin must be the called address itself, and its host must be
        localhost, an IP address, the host of a configured origin or one of `known_hosts` (`name:port` as the owner
        opened it, or `name` for every port).
        """
        said = _origin(origin)
        if not said:
            return False
        if said in self._named:
            return True
        if said != _origin(f"{scheme}://{host}"):
            return False
        named = said.partition("://")[2]
        name = split_url(said).hostname or ""
        if name in LOOPBACK or name.endswith(".localhost") or _is_ip(name):
            return True
        at_every_port = {split_url(address).netloc for address in self._named}
        for known in known_hosts:
            # the usual port may be written out, which browsers leave out
            host = _origin(f"{scheme}://{known}").partition("://")[2]
            if host == named:
                return True
            if not _PORT.search(known):
                at_every_port.add(host)
        return named in at_every_port or name in at_every_port


def _origin(address: str) -> str:
    """Normalises an origin to scheme, name and port as browsers send them, for example `https://flows.example.com`; "" for
    what is none.
    """
    return origin_of(address) or ""


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
