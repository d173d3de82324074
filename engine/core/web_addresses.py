"""Parts of web addresses: patterns of hosts and ports, with the same meaning to all common engines, and checks of hosts
and ports.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult

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
