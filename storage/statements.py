"""Statements of the hot path: plain SQL that goes straight to the database driver where that is possible.

SQLAlchemy's execution layer costs ten times what SQLite needs for a row. Accepting and running a job takes a dozen or
more statements, so these are written as SQL and run on the transaction's own driver connection. With another database,
or in a session without a driver connection, the same text runs through SQLAlchemy.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Protocol, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from engine.core.json_text import json_text

#: The key in `session.info` for the driver connection, set by the database that opened the session.
DRIVER = "driver"

Values = Mapping[str, Any]
T = TypeVar("T")


class OtherDriver(Protocol):
    """A driver of another database with the interface of sqlite3, and with its own way to add several rows."""

    def execute(self, sql: str, values: Values = ..., /) -> Any: ...
    def executemany(self, sql: str, rows: Iterable[Values], /) -> object: ...
    def insert(self, table: str, columns: tuple[str, ...], end: str, rows: Sequence[Values], /) -> None: ...


class Statement:
    """SQL with `:name` parameters that PostgreSQL understands too.

    JSON columns take and return text (`to_json`, `from_json`).
    """

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self._text = text(sql)

    def row(self, session: Session, values: Values) -> Any:
        """Returns the first row as a tuple, or None."""
        rows = self.rows(session, values)
        return rows[0] if rows else None

    def rows(self, session: Session, values: Values) -> Sequence[Any]:
        """Returns all rows as tuples."""
        driver = self._driver(session)
        if driver is None:
            return session.execute(self._text, dict(values)).all()
        try:
            return driver.execute(
                self.sql, values
            ).fetchall()  # fetched to the end, since only then an update is complete
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def row_of_each(self, session: Session, several: Sequence[Values]) -> list[Any]:
        """Runs the statement once for each of the values. Returns the first row of each as a tuple, or None."""
        driver = self._driver(session)
        if driver is None:
            return [self.row(session, values) for values in several]
        try:
            found = _fetch_each(driver, self.sql, several)
        except sqlite3.Error as error:
            raise self._fault(error) from error
        return [rows[0] if rows else None for rows in found]

    def run(self, session: Session, *rows: Values) -> None:
        """Runs the statement once for each row of values."""
        driver = self._driver(session)
        if driver is None:
            session.execute(self._text, [dict(row) for row in rows])
            return
        try:
            if len(rows) == 1:
                driver.execute(self.sql, rows[0])
            else:
                driver.executemany(self.sql, rows)
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def count(self, session: Session, values: Values) -> int:
        """Runs the statement and returns how many rows it changed."""
        driver = self._driver(session)
        if driver is None:
            changed: Any = session.execute(self._text, dict(values))
            return changed.rowcount
        try:
            return driver.execute(self.sql, values).rowcount
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def _driver(self, session: Session) -> sqlite3.Connection | OtherDriver | None:
        driver = session.info.get(DRIVER)
        if driver is not None and session.in_transaction():
            session.flush()  # pending changes of the ORM must be visible to this statement
        return driver

    def _fault(self, error: sqlite3.Error) -> BaseException:
        """Returns the error as SQLAlchemy raises it, without the values, which may be somebody's payload."""
        return DBAPIError.instance(self.sql, None, error, sqlite3.Error, hide_parameters=True)


def _fetch_each(driver: sqlite3.Connection | OtherDriver, sql: str, several: Sequence[Values]) -> list[Sequence[Any]]:
    if isinstance(driver, sqlite3.Connection):
        return [driver.execute(sql, values).fetchall() for values in several]
    return [asked.fetchall() for asked in [driver.execute(sql, values) for values in several]]  # sent together


def is_sqlite(session: Session) -> bool:
    """True when the session's database is SQLite, False for PostgreSQL."""
    return session.get_bind().dialect.name == "sqlite"


#: The lengths of the parts that share a statement: few, so that the driver finds each statement prepared.
_PARTS = (64, 16, 4, 1)


class Insert(Statement):
    """Adds rows to a table, several with one statement: the driver gives up the interpreter lock for each statement, and
    beside a busy event loop getting it back takes longer than the statement.
    """

    def __init__(self, table: str, columns: Sequence[str], or_update: Sequence[str] = ()) -> None:
        named = ", ".join(f":{column}" for column in columns)
        begin = f"insert into {table} ({', '.join(columns)}) values "  # noqa: S608 - no outside text
        self._table = table
        self._end = ""
        if or_update:
            changed = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in or_update)
            self._end = f" on conflict ({', '.join(or_update)}) do update set {changed}"
        self._columns = tuple(columns)
        self._values_of: Callable[[Values], tuple[Any, ...]] = itemgetter(*columns)
        row = f"({', '.join('?' * len(columns))})"
        self._of_length = {length: f"{begin}{', '.join([row] * length)}{self._end}" for length in _PARTS}
        super().__init__(f"{begin}({named}){self._end}")

    def run(self, session: Session, *rows: Values) -> None:
        """Adds the rows, in order."""
        driver = self._driver(session)
        if driver is None or len(rows) <= 1:
            super().run(session, *rows)
            return
        if not isinstance(driver, sqlite3.Connection):
            driver.insert(self._table, self._columns, self._end, rows)
            return
        try:
            for part in in_parts(rows):
                driver.execute(self._of_length[len(part)], list(chain.from_iterable(map(self._values_of, part))))
        except sqlite3.Error as error:
            raise self._fault(error) from error


def in_parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yields the items in order, in parts whose lengths are in _PARTS."""
    at = 0
    for length in _PARTS:
        while len(items) - at >= length:
            yield items[at : at + length]
            at += length


def insert_into(table: str, columns: Sequence[str], or_update: Sequence[str] = ()) -> Insert:
    """Returns an INSERT of these columns; `or_update` names the unique key whose existing row is updated instead."""
    return Insert(table, columns, or_update)


def to_json(value: Any) -> str | None:
    """Returns the value for a JSON column; None stays NULL."""
    return None if value is None else json_text(value)


def from_json(value: Any) -> Any:
    """Returns the value of a JSON column, which some drivers have parsed already."""
    return json.loads(value) if isinstance(value, str) else value
