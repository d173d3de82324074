"""Finds the rows of a dataset by their value in a column, for a Save rows node.

A row's `key` is the text of its value in the dataset's key column, so an index leads to it. All keys of a large dataset
take seconds to compute, in which nothing else is written. So a step that compares another column looks through the texts
of the rows, and its column becomes the key column only when the one before is out of use.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import re2
from sqlalchemy import ColumnElement, Text, cast, or_, select
from sqlalchemy.orm import Session

from storage.datasets import CHUNK
from storage.statements import Statement, is_sqlite
from storage.tables import Dataset, DatasetRow

#: The most characters of a text that is its own key. Keys that 0.2 stored are longer texts cut there.
MAX_KEY = 1_000
#: So many searches by other columns in a row make the column of the last one the key column.
OUT_OF_USE = 100
#: How many characters of a value are looked for in the texts of rows before they are parsed.
_LOOKED_FOR = 100
#: Blanks around a text, as JSON writes them.
_BLANKS = r"(?:[\s\p{Z}\x{85}]|\\(?:[a-tv-z]|u[0-9a-f]{4}))*"

#: Its types leave `escape` out.
_RE2: Any = re2

_KEY = Statement("update dataset_rows set key = :key where id = :id")
_KEY_POSTGRES = Statement(
    """
    update dataset_rows set key = changed.key
      from unnest(cast(:ids as bigint[]), cast(:keys as text[])) as changed (id, key)
     where dataset_rows.id = changed.id
    """
)


def key_text(value: Any) -> str | None:
    """Returns a value as a key: `5`, `5.0` and `"5"` give the same one. None: the value is no key. A long text is its
    beginning and a hash.
    """
    text = _compared(value)
    if len(text) <= MAX_KEY:
        return text or None
    return text[:900] + hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _compared(value: Any) -> str:
    """Returns what is compared of a value as a text; "" when it is no key."""
    if value is None or isinstance(value, str):
        return (value or "").strip()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def find_by_value(session: Session, dataset: Dataset, column: str, value: Any) -> list[DatasetRow]:
    """Returns the rows, in order, whose value in a column gives the same key as this one, which gives one."""
    if dataset.key_column not in (None, column):
        dataset.key_misses += 1
        if dataset.key_misses < OUT_OF_USE:
            return [*_rows(session, _ids_by_text(session, dataset, column, value))]
    if dataset.key_misses:
        dataset.key_misses = 0
    if dataset.key_column != column:
        _use_key(session, dataset, column)
    key, cut = key_text(value), _compared(value)[:MAX_KEY]
    rows = session.scalars(
        select(DatasetRow)
        .where(DatasetRow.dataset_id == dataset.id, DatasetRow.key.in_({key, cut}))
        .order_by(DatasetRow.id)
    )
    return [row for row in rows if len(row.key or "") < MAX_KEY or key_text(row.data.get(column)) == key]


def _use_key(session: Session, dataset: Dataset, column: str) -> None:
    """Makes a column the key column: from now on, rows are found by its values through the index."""
    dataset.key_column = column
    rows = session.execute(
        select(DatasetRow.id, DatasetRow.data)
        .where(DatasetRow.dataset_id == dataset.id)
        .execution_options(yield_per=CHUNK)
    )
    keys = [{"id": row_id, "key": key_text(data.get(column))} for row_id, data in rows]
    if keys and is_sqlite(session):
        _KEY.run(session, *keys)
    elif keys:
        _KEY_POSTGRES.run(session, {"ids": [one["id"] for one in keys], "keys": [one["key"] for one in keys]})
    session.expire_all()


def _ids_by_text(session: Session, dataset: Dataset, column: str, value: Any) -> list[int]:
    key, sought = key_text(value), _Sought(column, _compared(value))
    texts = session.execute(
        select(DatasetRow.id, cast(DatasetRow.data, Text))
        .where(DatasetRow.dataset_id == dataset.id, *sought.conditions())
        .order_by(DatasetRow.id)
        .execution_options(yield_per=CHUNK)
    )
    return [
        row_id for row_id, text in texts if sought.may_be_in(text) and key_text(json.loads(text).get(column)) == key
    ]


class _Sought:
    """What the texts of all rows with a value in a column have, so that few others are parsed."""

    def __init__(self, column: str, compared: str) -> None:
        part = compared[:_LOOKED_FOR]
        self._parts = sorted(one[1:-1] for one in _written(part))
        self._pattern: Any = None
        if compared[0] in "[{":  # a list or a group, whose keys a row may have in another order
            self._parts = []
            return
        names, parts = ("|".join(map(_RE2.escape, one)) for one in (_written(column), self._parts))
        found = f"(?:{parts})" + ("" if part != compared else rf'(?:{_BLANKS}"|(?:\.0)?[,}}])')
        if len(compared) > 16 and compared.lstrip("-").isdigit():
            self._parts.append("e+")  # a large number with an exponent
            found += r"|[0-9.]+e\+"
        self._pattern = _RE2.compile(rf'(?:{names}): ?(?:-?|"{_BLANKS})(?:{found})')

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """Conditions that the database looks at."""
        if self._parts:
            text = cast(DatasetRow.data, Text)
            yield or_(*(text.contains(part, autoescape=True) for part in self._parts))

    def may_be_in(self, text: str) -> bool:
        """Tells whether a row with this text has to be parsed."""
        return self._pattern is None or self._pattern.search(text) is not None


def _written(text: str) -> list[str]:
    """Returns how a text may stand in rows: 0.2 escaped letters in those that were changed."""
    return sorted({json.dumps(text, ensure_ascii=False), json.dumps(text)})


def _rows(session: Session, ids: list[int]) -> Iterator[DatasetRow]:
    for first in range(0, len(ids), CHUNK):
        yield from session.scalars(
            select(DatasetRow).where(DatasetRow.id.in_(ids[first : first + CHUNK])).order_by(DatasetRow.id)
        )
