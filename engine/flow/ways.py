"""The steps that decide between two ways: their types and ports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CONDITION: Final = "condition"
#: The type of a Look up a row, and its ports. It has no data on the second.
LOOK_UP: Final = "look_up_row"
FOUND: Final = "found"
NOT_FOUND: Final = "not_found"
#: Type -> its two ports, neither of which is for a special case, as `refused` of an Approval is.
WAYS: Final[Mapping[str, tuple[str, str]]] = {CONDITION: ("yes", "no"), LOOK_UP: (FOUND, NOT_FOUND)}
_OTHER: Final = {one: other for first, last in WAYS.values() for one, other in ((first, last), (last, first))}


def other_side(port: str) -> str:
    """Returns `no` for `yes`, and `yes` for `no`; the same of the other pairs in `WAYS`."""
    return _OTHER[port]


def port_words(port: str) -> str:
    """Returns a port as it is called on the canvas: `not found`."""
    return port.replace("_", " ")
