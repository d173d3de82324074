"""What a plural action is going to read first.

With PostgreSQL that is asked for in the trip that begins the transaction. SQLite needs no trips, and makes no use of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy.orm import Session

#: Makes some of the reads that the action will make on these items, as the action itself makes them. No row is found, and
#: nothing may be written.
LookAhead = Callable[[Session, Sequence[Any]], None]

FORESEEN: Final[dict[Callable[..., Any], LookAhead]] = {}


def foresee(action: Callable[..., Any], look_ahead: LookAhead) -> None:
    """Says what a plural action will read first. A read that it makes with other values is only slower."""
    FORESEEN[action] = look_ahead
