"""Ports in web addresses: as a pattern, and as a check of one that was split."""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult

#: A port from 1 to 65535 as a group of a regular expression, with the same meaning to all common engines.
PORT: Final = "(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"


def has_good_port(parts: SplitResult) -> bool:
    """Tells whether the port in an address is missing or exists."""
    try:
        return parts.port != 0
    except ValueError:
        return False
