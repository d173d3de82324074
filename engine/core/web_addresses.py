"""Parts of web addresses: patterns of hosts and ports, with the same meaning to all common engines, checks of hosts and
ports, and the only calls of what takes addresses apart.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit  # noqa: TID251 - bounded here

#: The characters of an address that somebody saves. Most servers take no longer ones.
LONGEST_ADDRESS: Final = 2_000
#: A port from 1 to 65535 as a group.
PORT: Final = "(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
#: What may follow a host where programs read leniently: nothing, a colon, or a port, also with zeros before it.
LENIENT_PORT: Final = rf"(:(0*{PORT})?)?"
#: An IPv6 address in brackets.
IPV6: Final = r"\[[0-9A-Fa-f:.]+\]"
#: The characters of a name but hyphens and dots: letters and digits, also beyond ASCII, and `_`, which internal names
#: often have.
_LETTER: Final = r"[^\s\x00-/:-@\[-^`{-\xa0]"
_LABEL: Final = rf"{_LETTER}([^\s\x00-,./:-@\[-^`{{-\xa0]{{0,61}}{_LETTER})?"
#: A name that can be looked up, or an IPv4 address.
HOST_NAME: Final = rf"{_LABEL}(\.{_LABEL})*\.*"
#: Matches names whose last label is numeric (`127.1`, `0x7f000001`): some resolvers read such a name as an IPv4
#: address.
NUMERIC_END: Final = re.compile(r"(?:^|\.)(?:\d+|0x[0-9a-f]*)\Z", re.IGNORECASE | re.ASCII)
#: The most characters of a user, host and port of which some are beyond ASCII; those count as they are escaped, which is
#: six or more. No host that can be looked up has as many.
_LONGEST_PLACE: Final = 2_000


def split_url(url: str) -> SplitResult:
    """Does what `urlsplit` does. Raises ValueError for what it cannot read, and for a host that is far too long: to
    normalise it takes time that grows with the square of its accents, and holds all threads.
    """
    _check_place(url)
    return urlsplit(url)


def join_url(base: str, url: str) -> str:
    """Does what `urljoin` does. Raises ValueError as `split_url` does."""
    _check_place(url)
    return urljoin(base, url)


def _check_place(url: str) -> None:
    if not url.isascii() and len(urlsplit(url.encode("ascii", "backslashreplace").decode()).netloc) > _LONGEST_PLACE:
        raise ValueError("the host is too long")


def is_encoded_number(host: str) -> bool:
    """Tells whether a host ends in a number and is no IP address in its usual form."""
    host = host.rstrip(".")
    if NUMERIC_END.search(host) is None:
        return False
    try:
        ip_address(host)
    except ValueError:
        return True
    return False


def has_good_port(parts: SplitResult) -> bool:
    """Tells whether the port in an address is missing or exists."""
    try:
        return parts.port != 0
    except ValueError:
        return False
