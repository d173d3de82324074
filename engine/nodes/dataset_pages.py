"""Reads a dataset page by page, so that a large one is never in memory as a whole, and begins anew when its rows were
replaced or a column of them is gone meanwhile: nobody gets rows of two states as one table.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from engine.flow.node_context import DatasetPage, NodeContext, NodeFailed

#: How often a reading begins.
_TRIES = 5

T = TypeVar("T")


class _RowsChanged(Exception):
    """The next rows are not those of the table whose rows were read."""


async def pages_of(dataset: str, context: NodeContext) -> AsyncIterator[DatasetPage]:
    """Yields the rows of a dataset, within `of_one_table`. Raises NodeFailed."""
    first = page = await context.datasets.read(dataset)
    while page.rows:
        yield page
        page = await context.datasets.read(dataset, page.after)
        if not page.goes_on or not set(first.columns) <= set(page.columns):
            raise _RowsChanged


async def of_one_table(read: Callable[[], Awaitable[T]]) -> T:
    """Returns what `read` makes of `pages_of` a dataset; it begins anew while the rows change. Raises NodeFailed."""
    for _ in range(_TRIES):
        try:
            return await read()
        except _RowsChanged:
            continue
    raise NodeFailed(
        "The dataset was replaced, or lost a column, each time its rows were read.",
        code="dataset_failed",
        why=f"The rows were begun {_TRIES} times, and rows of two tables are not mixed.",
        remedy="Try again when nobody imports into it any more.",
        passing=True,
    )
