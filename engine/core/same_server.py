"""Whether a stored key may go on to a changed address."""

from __future__ import annotations

from engine.core.web_addresses import split_url

_PORTS = {"http": 80, "https": 443}


def keeps_its_key(before: str, after: str) -> bool:
    """True when the key of one web address may be sent to the other: host and port are the same, however they are
    written, or both ports are those of their schemes. Never from https to http, where it would travel in the clear.
    """
    scheme_before, host_before, port_before = _origin(before)
    scheme, host, port = _origin(after)
    same_port = port == port_before or (port == _PORTS.get(scheme) and port_before == _PORTS.get(scheme_before))
    same_scheme = scheme == scheme_before or (scheme_before, scheme) == ("http", "https")
    return host == host_before and same_port and same_scheme


def _origin(address: str) -> tuple[str, str, int | None]:
    parts = split_url(address)
    return parts.scheme, (parts.hostname or "").removesuffix("."), parts.port or _PORTS.get(parts.scheme)
