"""Finds the rows of a dataset by their value in a column, for a Save rows node.

A row's `key` is the text of its value in the dataset's key column, so an index leads to it. All keys of a large dataset
take seconds to write, so that is done in pieces, each in a transaction. A step that compares another column looks through
the texts of the rows before its transaction, and its column becomes the key column only when the one before is out of use.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import re2
from msgspec import Struct
from sqlalchemy import ColumnElement, Text, cast, null, or_, select, true
from sqlalchemy.orm import Session

from storage.datasets import CHUNK, hold_dataset, named, no_dataset, rows_of
from storage.statements import Statement, is_sqlite
from storage.tables import Dataset, DatasetRow

#: The most characters of a text that is its own key. Keys that 0.2 stored are longer texts cut there.
MAX_KEY = 1_000
#: So many searches by other columns in a row make the column of the last one the key column.
OUT_OF_USE = 100
#: The most rows with the same value that a step writes over.
MAX_SAME = 1_000
#: How many rows, and characters of their JSON texts, a transaction reads or writes, which takes some ten milliseconds.
PIECE_ROWS, PIECE_CHARS = 500, 1 << 20
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


class Turn(Struct, frozen=True):
    """The turn of a step to write what takes long: its workspace does one of these at a time. `ids`: the rows with the
    value, as they were found by their texts at a `revision` of the dataset.
    """

    revision: int = -1
    ids: tuple[int, ...] = ()


class TakesLong(Exception):  # an expected event: whoever began the transaction begins it again in its turn
    """A step's write needs a turn. `lacks_keys`: `write_some_keys` comes first; otherwise `look_through` does, when the
    write has its turn already.
    """

    def __init__(self, column: str, value: Any, *, lacks_keys: bool = False) -> None:
        super().__init__("a step's write takes long")
        self.column = column
        self.value = value
        self.lacks_keys = lacks_keys


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


def find_by_value(
    session: Session, dataset: Dataset, column: str, value: Any, turn: Turn | None = None
) -> Sequence[int]:
    """Returns the ids of rows, in order, whose value in a column gives the same key as this one, which gives one; of more
    than MAX_SAME one more than that. Raises TakesLong.
    """
    if dataset.key_column not in (None, column):
        ids = _found_before(session, dataset, column, value, turn)
        dataset.key_misses += 1
        if dataset.key_misses >= OUT_OF_USE:
            _use_key(session, dataset, column)
        return ids
    if dataset.key_misses:
        dataset.key_misses = 0
    if dataset.key_column is None and is_small(dataset):
        _use_key(session, dataset, column)
    if dataset.key_column is None or dataset.keyed_to is not None:
        raise TakesLong(column, value, lacks_keys=True)
    key, cut = key_text(value), _compared(value)[:MAX_KEY]
    rows: Any = session.execute(
        select(DatasetRow.id, DatasetRow.key, DatasetRow.data if len(cut) == MAX_KEY else null())
        .where(*rows_of(dataset), DatasetRow.key.in_({key, cut}))
        .limit(MAX_SAME + 1)
    )
    return sorted(row_id for row_id, its, data in rows if len(its or "") < MAX_KEY or key_text(data.get(column)) == key)


def look_through(session: Session, workspace_id: str, name: str, column: str, value: Any) -> Turn:
    """Finds rows by their texts, for a write that follows; it takes up to a second. Raises NotFound."""
    dataset = session.scalars(named(workspace_id, name)).first()
    if dataset is None:
        raise no_dataset(name)
    return Turn(dataset.revision, tuple(_ids_by_text(session, dataset, column, value)))


def write_some_keys(session: Session, workspace_id: str, name: str, column: str) -> bool:
    """Writes keys of the next rows for a column that is to be the key column, or is. Returns False when all rows have
    theirs, or another column was made the key column. Raises NotFound.
    """
    dataset = hold_dataset(session, workspace_id, name)
    if dataset.key_column is None:
        _use_key(session, dataset, column)
    if dataset.key_column != column or dataset.keyed_to is None:
        return False
    rows = some_rows(session, dataset, dataset.keyed_to)
    _put_keys(session, [(row_id, json.loads(text)) for row_id, text, _ in rows], column)
    dataset.keyed_to = rows[-1][0] if rows else None
    return dataset.keyed_to is not None


def some_rows(session: Session, dataset: Dataset, after: int) -> list[tuple[int, str, str | None]]:
    """Returns the next rows of the table after an id, as many as a transaction may change: id, JSON text and `written_by`."""
    found: list[tuple[int, str, str | None]] = []
    size = 0
    rows = session.execute(
        select(DatasetRow.id, cast(DatasetRow.data, Text), DatasetRow.written_by)
        .where(DatasetRow.dataset_id == dataset.id, DatasetRow.id > max(after, dataset.rows_after))
        .where(true() if dataset.rows_to is None else DatasetRow.id <= dataset.rows_to)
        .order_by(DatasetRow.id)
        .limit(PIECE_ROWS)
        .execution_options(yield_per=20)
    )
    for row_id, text, written_by in rows:
        found.append((row_id, text, written_by))
        size += len(text)
        if size >= PIECE_CHARS:
            break
    rows.close()
    return found


def _use_key(session: Session, dataset: Dataset, column: str) -> None:
    """Makes a column the key column: rows are found by its values through the index. The keys of a large dataset are
    written by `write_some_keys`, those of a small one at once.
    """
    dataset.key_column, dataset.keyed_to, dataset.key_misses = column, 0, 0
    if is_small(dataset):
        rows = session.execute(select(DatasetRow.id, DatasetRow.data).where(*rows_of(dataset)))
        _put_keys(session, [(row_id, data) for row_id, data in rows], column)
        dataset.keyed_to = None


def _put_keys(session: Session, rows: Sequence[tuple[int, Any]], column: str) -> None:
    keys = [{"id": row_id, "key": key_text(data.get(column))} for row_id, data in rows]
    if keys and is_sqlite(session):
        _KEY.run(session, *keys)
    elif keys:
        _KEY_POSTGRES.run(session, {"ids": [one["id"] for one in keys], "keys": [one["key"] for one in keys]})


def is_small(dataset: Dataset) -> bool:
    """True when a transaction may look through all rows."""
    return dataset.row_count <= PIECE_ROWS and dataset.byte_count <= PIECE_CHARS


def _found_before(session: Session, dataset: Dataset, column: str, value: Any, turn: Turn | None) -> Sequence[int]:
    if is_small(dataset):
        return list(_ids_by_text(session, dataset, column, value))
    if turn is None or turn.revision != dataset.revision:
        raise TakesLong(column, value)
    return turn.ids


def _ids_by_text(session: Session, dataset: Dataset, column: str, value: Any) -> Iterator[int]:
    key, sought = key_text(value), _Sought(column, _compared(value))
    texts = session.execute(
        select(DatasetRow.id, cast(DatasetRow.data, Text))
        .where(*rows_of(dataset), *sought.conditions())
        .order_by(DatasetRow.id)
        .execution_options(yield_per=CHUNK)
    )
    found = (
        row_id for row_id, text in texts if sought.may_be_in(text) and key_text(json.loads(text).get(column)) == key
    )
    return islice(found, MAX_SAME + 1)


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
