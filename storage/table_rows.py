"""The rows of all tables as plain values, the same whether they come from SQLite or PostgreSQL: what a move and a
snapshot copy from one database to another.

A row is a tuple of int, bool, str, bytes and None in the order of `MovedTable.columns`; JSON is its text. The tables of
Huey and of processes are left out: they describe what runs, not what is kept.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from msgspec import Struct
from sqlalchemy import JSON, Boolean, Integer, LargeBinary, Table

from storage.file_bytes import BytesGone, FileBytes
from storage.tables import Base

Kind = Literal["int", "bool", "json", "bytes", "text"]
Row = tuple[Any, ...]

#: Tables that are not copied: processes have ended.
_LEFT_OUT: Final = frozenset({"workers"})
#: How many replaced values are named one by one.
REPLACED_NAMED: Final = 200
_SUM: Final = 1 << 128


class MovedTable(Struct, frozen=True):
    """A table that is copied. `key`: the places of the primary key among the columns."""

    name: str
    columns: tuple[str, ...]
    kinds: tuple[Kind, ...]
    key: tuple[int, ...]
    #: The column whose values a sequence gives; None without one.
    numbered: str | None

    @property
    def listed(self) -> str:
        """The columns for a statement, quoted."""
        return ", ".join(f'"{name}"' for name in self.columns)


@cache
def moved_tables() -> tuple[MovedTable, ...]:
    """Returns the tables, each after those that it refers to."""
    return tuple(_described(table) for table in Base.metadata.sorted_tables if table.name not in _LEFT_OUT)


def _described(table: Table) -> MovedTable:
    columns = tuple(column.name for column in table.columns)
    numbered = table.autoincrement_column
    return MovedTable(
        table.name,
        columns,
        tuple(_kind(column.type) for column in table.columns),
        tuple(columns.index(column.name) for column in table.primary_key.columns),
        None if numbered is None else numbered.name,
    )


def _kind(of: Any) -> Kind:
    if isinstance(of, Boolean):
        return "bool"
    if isinstance(of, Integer):
        return "int"
    if isinstance(of, JSON):
        return "json"
    return "bytes" if isinstance(of, LargeBinary) else "text"


@dataclass
class Sums:
    """How many rows a table has, and a hash of all of them that does not depend on their order (BLAKE2b of each row, added
    up).
    """

    rows: int = 0
    hash: int = 0

    def add(self, table: MovedTable, row: Row) -> None:
        """Counts a row."""
        told = tuple(_told(kind, value) for kind, value in zip(table.kinds, row, strict=True))
        mark = blake2b(repr(told).encode("utf-8", "surrogatepass"), digest_size=16)
        self.rows += 1
        self.hash = (self.hash + int.from_bytes(mark.digest())) % _SUM


def _told(kind: Kind, value: Any) -> Any:
    if value is None:
        return None
    if kind == "bytes":
        return blake2b(value).digest()
    if kind == "json" and value[:1] in _NUMBER_BEGINS:  # SQLite stores a bare number in a JSON column as a number
        number = json.loads(value)
        return int(number) if isinstance(number, float) and number.is_integer() else number
    return value


_NUMBER_BEGINS = frozenset("-0123456789")


class Replaced(Struct, frozen=True):
    """A value in which characters were replaced, because PostgreSQL cannot store them. `key`: the row's primary key."""

    table: str
    column: str
    key: str


@dataclass
class Copied:
    """What was copied: the sums of each table, the values that were changed (the first ones only), and how many."""

    tables: dict[str, Sums] = field(default_factory=dict)
    replaced: list[Replaced] = field(default_factory=list)
    replaced_count: int = 0

    @property
    def rows(self) -> int:
        """How many rows there are in all tables."""
        return sum(sums.rows for sums in self.tables.values())


class NotTheSame(Exception):
    """A copied table does not read like the one it was copied from."""


class Rows(Protocol):
    """One database, in one transaction."""

    def read(self, table: MovedTable) -> Iterator[Row]:
        """Yields all rows, in any order."""
        ...

    def write(self, table: MovedTable, rows: Iterable[Row]) -> None:
        """Adds rows to an empty table."""
        ...


#: Called with the table that is being copied, and how many rows of it are.
Progress = Callable[[str, int], None]


def copy_rows(source: Rows, target: Rows, *, tell: Progress) -> Copied:
    """Copies all tables and reads the copy back. NUL and halves of surrogate pairs become the replacement character.

    Raises NotTheSame.
    """
    copied = Copied()
    for table in moved_tables():
        sums = copied.tables[table.name] = Sums()
        target.write(table, _watched(table, source.read(table), sums, copied, tell))
        found = sums_of(target, table)
        if found != sums:
            raise NotTheSame(
                f"The table {table.name} has {found.rows} rows instead of {sums.rows}, or one of them reads differently"
            )
        tell(table.name, sums.rows)
    return copied


def sums_of(rows: Rows, table: MovedTable) -> Sums:
    """Reads a table and returns its sums."""
    sums = Sums()
    for row in rows.read(table):
        sums.add(table, row)
    return sums


def _watched(table: MovedTable, rows: Iterable[Row], sums: Sums, copied: Copied, tell: Progress) -> Iterator[Row]:
    for number, row in enumerate(rows):
        if number % 1_000 == 0:
            tell(table.name, number)
        found = row
        for place, (kind, value) in enumerate(zip(table.kinds, row, strict=True)):
            if isinstance(value, str) and (clean := _storable(kind, value)) is not value:
                found = (*found[:place], clean, *found[place + 1 :])
                copied.replaced_count += 1
                if len(copied.replaced) < REPLACED_NAMED:
                    key = " ".join(str(row[at]) for at in table.key)
                    copied.replaced.append(Replaced(table.name, table.columns[place], key))
        sums.add(table, found)
        yield found


def _storable(kind: Kind, value: str) -> str:
    """Returns the value as PostgreSQL can store and search it; the same object when nothing has to change.

    Text has no NUL and no half of a surrogate pair; in a JSON column neither may stand as an escape, or no query can look
    into the value.
    """
    changed = value
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            changed = _LONE.sub("\ufffd", changed)
    if "\x00" in changed:
        changed = changed.replace("\x00", "\ufffd")
    if kind == "json" and ("\\u0000" in changed or _HALF.search(changed)):
        found = _ESCAPE.sub(lambda one: one[0] if one["kept"] or one["other"] else "\\ufffd", changed)
        changed = changed if found == changed else found
    return changed


_LONE = re.compile("[\ud800-\udfff]")
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(
    r"(?P<kept>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|\\u0000|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|(?P<other>\\.)"
)


class Files(Protocol):
    """The bytes of stored files of one database."""

    def read(self, sha256: str, size: int) -> bytes:
        """Returns the bytes of a file. Raises BytesGone."""
        ...

    def put(self, sha256: str, content: bytes) -> None:
        """Stores the bytes of a file."""
        ...


class FolderFiles:
    """The bytes of stored files in a folder, as a data folder has them."""

    def __init__(self, folder: Path) -> None:
        self._bytes = FileBytes(folder)

    def read(self, sha256: str, size: int) -> bytes:
        """Returns the bytes of a file. Raises BytesGone."""
        return self._bytes.read(sha256, size)

    def put(self, sha256: str, content: bytes) -> None:
        """Stores the bytes of a file. Raises StorageUnavailable."""
        self._bytes.place(self._bytes.draft_of(content))


class CopiedFiles(Struct, frozen=True):
    """How many files were copied, and their bytes. `missing`: those whose bytes were gone in the source."""

    count: int = 0
    size: int = 0
    missing: int = 0


def copy_files(named: Iterable[tuple[str, int]], source: Files, target: Files, *, tell: Progress) -> CopiedFiles:
    """Copies the bytes with these hashes and sizes; each is compared with its hash."""
    count = size = missing = 0
    for sha256, expected in named:
        try:
            target.put(sha256, source.read(sha256, expected))
        except BytesGone:
            missing += 1
            continue
        count += 1
        size += expected
        tell("stored files", count)
    return CopiedFiles(count, size, missing)


class SqliteRows:
    """A SQLite file. Nobody else writes to it while this is open; `commit` or `close` ends that."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=10, isolation_level=None)
        self._connection.text_factory = _text
        self._connection.execute("pragma foreign_keys=OFF")  # checked by `commit`, once
        self._connection.execute("begin immediate")

    def read(self, table: MovedTable) -> Iterator[Row]:
        """Yields all rows."""
        for row in self._connection.execute(f"select {table.listed} from {table.name}"):  # noqa: S608 - own names
            yield tuple(map(_from_sqlite, table.kinds, row))

    def write(self, table: MovedTable, rows: Iterable[Row]) -> None:
        """Adds rows."""
        places = ", ".join("?" * len(table.columns))
        self._connection.executemany(
            f"insert into {table.name} ({table.listed}) values ({places})",  # noqa: S608 - own names
            rows,
        )

    def commit(self) -> None:
        """Checks that every row has the rows that it refers to, and keeps what was written. Raises NotTheSame."""
        if broken := self._connection.execute("pragma foreign_key_check").fetchall():
            raise NotTheSame(f"Rows would be without those that they belong to: {broken[:5]}")
        self._connection.execute("commit")

    def close(self) -> None:
        """Forgets what was not committed."""
        self._connection.close()


def _text(stored: bytes) -> str:
    """Reads text, which SQLite does not check: what is no UTF-8 becomes halves of surrogate pairs, which are replaced."""
    return stored.decode("utf-8", "surrogateescape")


def _from_sqlite(kind: Kind, value: Any) -> Any:
    if value is None:
        return None
    if kind == "bool":
        return bool(value)
    if kind == "json" and not isinstance(value, str):
        return json.dumps(value)
    return value
