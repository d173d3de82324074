"""Sums of costs that no stored number breaks.

The costs that a job may have are limited today (`engine/models/price.py`). Rows of older versions may hold any number, and
two of them may be more than the databases count to; SQLite then fails the whole statement.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Float, cast, func

#: The most that a sum of costs is said to be: two of them can still be added in the database.
MAX_NANOS: Final = 4 * 10**18


def sum_nanos(column: Any) -> ColumnElement[float]:
    """Returns the sum of a column of nano-dollars, in floating point, which is exact up to nine million dollars; see
    `as_nanos`.
    """
    return func.coalesce(func.sum(cast(column, Float)), 0.0)


def as_nanos(total: Any) -> int:
    """Returns what `sum_nanos` found as a whole number, MAX_NANOS at most."""
    return min(int(total or 0), MAX_NANOS)
