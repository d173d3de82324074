"""Rows of a table as arrays, one for each column, so that any number of rows is one statement with as many values as the
table has columns.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import JSON, Boolean, Float, Integer, LargeBinary

from storage.postgres.libpq_statements import array_of
from storage.tables import Base

#: The kinds of columns, each with the type of its array and what is done with an element; the others are texts.
_KINDS: Final = (
    (Boolean, "boolean", "{}"),
    (Integer, "bigint", "{}"),
    (Float, "double precision", "{}"),
    (LargeBinary, "bytea", "{}"),
    (JSON, "text", "cast({} as json)"),
)
#: Stands between texts while all of them are escaped at once.
_BETWEEN: Final = "\x1f"


@functools.cache
def insert_of(table: str, columns: tuple[str, ...], end: str) -> str:
    """Returns the INSERT that takes an array for each column. `end`: what follows the rows."""
    of_table = Base.metadata.tables[table].columns
    arrays: list[str] = []
    elements: list[str] = []
    for number, column in enumerate(columns):
        kind = of_table[column].type
        name, element = next((one[1:] for one in _KINDS if isinstance(kind, one[0])), ("text", "{}"))
        arrays.append(f"cast(? as {name}[])")
        elements.append(element.format(f"c{number}"))
    names = ", ".join(f"c{number}" for number in range(len(columns)))
    return (
        f"insert into {table} ({', '.join(columns)}) select {', '.join(elements)}"  # noqa: S608 - own names
        f" from unnest({', '.join(arrays)}) as rows ({names}){end}"
    )


def arrays_of(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[str | None]:
    """Returns the literal of the array of each column."""
    return [_array(values) for values in zip(*([row[column] for column in columns] for row in rows), strict=True)]


def _array(values: Sequence[Any]) -> str | None:
    """Returns the literal of an array; None when all are null, as the rows are filled up with null."""
    kinds = set(map(type, values))
    if kinds == {int}:
        return f"{{{','.join(map(str, values))}}}"
    if kinds == {str}:
        joined = _BETWEEN.join(values)
        if joined.count(_BETWEEN) == len(values) - 1:
            escaped = joined.replace("\\", "\\\\").replace('"', '\\"').replace(_BETWEEN, '","')
            return f'{{"{escaped}"}}'
    elif kinds == {type(None)}:
        return None
    return array_of(values)
