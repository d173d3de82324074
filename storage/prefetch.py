"""Sends what an action is going to ask for first, before the action asks.

With PostgreSQL that is sent in the trip that begins the transaction, so that the lock of writers is held for fewer trips.
SQLite needs no trips, and makes no use of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Struct
from sqlalchemy.orm import Session

#: Runs some of the statements that the action will run, as the action itself runs them. It is run without a database, and
#: each statement returns no row. The items are those of a plural action; of one that `writes`, its arguments.
LookAhead = Callable[[Session, Sequence[Any]], None]


class Prefetch(Struct, frozen=True):
    """What is known of an action. Its reads count until something is written.

    `steady`: nothing that the action writes changes them, so they count to its end. `writes`: the action is not plural, and
    what is prefetched is a write, which it will make whatever it finds. Both hold only when no other action shares the
    transaction.
    """

    look_ahead: LookAhead
    steady: bool = False
    writes: bool = False


PREFETCHES: Final[dict[Callable[..., Any], Prefetch]] = {}


def prefetch(action: Callable[..., Any], look_ahead: LookAhead, *, steady: bool = False, writes: bool = False) -> None:
    """Registers the reads with which an action begins, so that they are sent together with BEGIN. An action that then asks
    with other values only takes another trip.
    """
    PREFETCHES[action] = Prefetch(look_ahead, steady, writes)
