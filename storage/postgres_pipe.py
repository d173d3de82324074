"""Fewer round trips for the writes of a batch: a statement is sent together with the next one whose rows are wanted.

`storage.statements` runs a dozen statements for an accepted job and looks at the rows of half of them. A round trip to
PostgreSQL takes longer than most of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import psycopg
from sqlalchemy.exc import DBAPIError

from storage.postgres import translated

#: The key in `Connection.info` for the PipedDriver of the transaction.
PIPED: Final = "piped"
_SAVEPOINT, _RELEASE, _ROLLBACK = "savepoint verb", "release verb", "rollback to verb"


class PipedDriver:
    """A connection of psycopg with the interface of sqlite3, as `PostgresDriver`; statements wait until `flush`, or until
    somebody asks for rows. Their errors are raised there. What waits when the transaction ends is not sent: it is at most
    the release of a savepoint.
    """

    __slots__ = ("_connection", "_skips_release", "_waiting")

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._waiting: list[_Later] = []
        self._skips_release = False

    def execute(self, sql: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> _Later:
        """Takes a statement with `:name` or `?` parameters."""
        if sql == _ROLLBACK:
            return self._roll_back()
        if sql == _RELEASE and self._skips_release:
            self._skips_release = False
            return _Later(self, sql, b"", None)
        query, names = translated(sql)
        found = [values[name] for name in names] if isinstance(values, Mapping) else values
        later = _Later(self, sql, query, found or None)
        self._waiting.append(later)
        return later

    def executemany(self, sql: str, rows: Iterable[Mapping[str, Any] | Sequence[Any]]) -> None:
        """Takes a statement for each row of values."""
        for row in rows:
            self.execute(sql, row)

    def flush(self) -> None:
        """Sends what waits, in one round trip. Raises the errors of SQLAlchemy, without the values."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            if len(waiting) == 1:
                waiting[0].cursor = self._connection.execute(waiting[0].query, waiting[0].values)
                return
            with self._connection.pipeline():
                for later in waiting:
                    later.cursor = self._connection.execute(later.query, later.values)
        except psycopg.Error as error:
            raise DBAPIError.instance(waiting[-1].sql, None, error, psycopg.Error, hide_parameters=True) from error

    def _roll_back(self) -> _Later:
        """Forgets what waits since the savepoint; when that was sent, the server goes back to it."""
        marks = [number for number, later in enumerate(self._waiting) if later.sql == _SAVEPOINT]
        later = _Later(self, _ROLLBACK, _ROLLBACK.encode(), None)
        if marks:
            del self._waiting[marks[-1] :]
            self._skips_release = True
            return later
        self._waiting = [later]
        self.flush()
        return later


class _Later:
    """A statement that waits, and its answer once it was sent."""

    __slots__ = ("_driver", "cursor", "query", "sql", "values")

    def __init__(self, driver: PipedDriver, sql: str, query: bytes, values: Any) -> None:
        self._driver = driver
        self.sql = sql
        self.query = query
        self.values = values
        self.cursor: psycopg.Cursor[Any] | None = None

    def _sent(self) -> psycopg.Cursor[Any]:
        if self.cursor is None:
            self._driver.flush()
        assert self.cursor is not None
        return self.cursor

    @property
    def rowcount(self) -> int:
        """How many rows the statement changed."""
        return self._sent().rowcount

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Returns all rows; none of a statement that returns nothing."""
        cursor = self._sent()
        return cursor.fetchall() if cursor.description else []
