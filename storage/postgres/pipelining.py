"""Fewer round trips for the writes of a batch: a statement is sent together with the next one whose rows are wanted.

`storage.statements` runs a dozen statements for an accepted job and looks at the rows of half of them. A round trip to
PostgreSQL takes longer than most of them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Final, Self

import psycopg
from sqlalchemy.exc import DBAPIError

from storage.postgres.bulk_inserts import arrays_of, insert_of
from storage.postgres.connections import BEGIN, is_postgres_fault
from storage.postgres.libpq_statements import Asked, Translated, Wire, translated

#: The key in `Connection.info` for the PipedDriver of the transaction.
PIPED: Final = "piped"
_SAVEPOINT, _RELEASE, _ROLLBACK = "savepoint verb", "release verb", "rollback to verb"


class InDoubt(BaseException):
    """A statement failed, and it is not known whose it was: statements of several writes were sent together. Their
    transaction is rolled back, and they are run again `carefully`.

    Not an Exception, so that no write takes it for its own error.
    """


class PipedDriver:
    """The connection of a transaction with the interface of sqlite3, as `PostgresDriver`; statements wait until `flush`,
    or until somebody asks for rows.

    A savepoint is sent only when something may have to go back to it: when rows are asked for behind a write. `carefully`:
    each write is sent in its savepoint before the next one begins, so an error is that of the write that caused it.
    """

    __slots__ = ("_mark", "_prefetched", "_steady", "_waiting", "_wire", "carefully", "in_doubt", "may_change")

    def __init__(self, wire: Wire, *, carefully: bool) -> None:
        self._wire = wire
        self._waiting: list[_Later] = []
        self.carefully = carefully
        self.in_doubt = False
        #: Whether a statement came that may change something.
        self.may_change = False
        #: Where among the statements that wait a savepoint begins that was not sent; -1: there is none.
        self._mark = -1
        #: What was sent with BEGIN, and whether it counts until the end.
        self._prefetched: dict[Hashable, _Later] = {}
        self._steady = False

    def begin(
        self, lock: str, prefetched: Sequence[tuple[str, Mapping[str, Any]]], *, steady: bool = False
    ) -> list[tuple[Any, ...]]:
        """Sends BEGIN, the statement that takes the lock, and what is prefetched (`storage.prefetch`), in one trip. Returns the
        rows of the lock.
        """
        self.execute(BEGIN)
        locked = self.execute(lock)
        sent = {_key(sql, values): self.execute(sql, values) for sql, values in prefetched}
        rows = locked.fetchall()
        self._prefetched = sent
        self._steady = steady
        return rows

    def forget_times(self) -> None:
        """Has the prefetched reads made anew that name a time."""
        self._prefetched = {key: one for key, one in self._prefetched.items() if "at" not in translated(one.sql).names}

    def execute(self, sql: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> _Later:
        """Takes a statement with `:name` or `?` parameters."""
        if self._prefetched and isinstance(values, Mapping) and (known := self._prefetched.get(_key(sql, values))):
            if not known.reads:
                del self._prefetched[_key(sql, values)]  # it was made once
            return known
        later = self._later(sql, values)
        if later.has_plan and not later.reads:
            self.may_change = True
            if not self._steady:
                self._prefetched = {}
        if sql == _SAVEPOINT and self.carefully:
            self._waiting.append(later)
            self.flush()
        elif sql == _SAVEPOINT:
            self._mark = len(self._waiting)
        elif sql == _RELEASE and self._mark >= 0:
            self._mark = -1
        elif sql == _ROLLBACK and self._mark >= 0:
            del self._waiting[self._mark :]
        elif sql == _ROLLBACK:
            self._waiting = [later]
        else:
            self._waiting.append(later)
        return later

    def executemany(self, sql: str, rows: Iterable[Mapping[str, Any] | Sequence[Any]]) -> None:
        """Takes a statement for each row of values."""
        for row in rows:
            self.execute(sql, row)

    def insert(self, table: str, columns: tuple[str, ...], end: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds rows to a table by one statement. `end`: what follows the rows in it."""
        self.execute(insert_of(table, columns, end), arrays_of(columns, rows))

    def flush(self, *, ending: bool = False) -> None:
        """Sends what waits, in one round trip. Raises the errors of SQLAlchemy, without the values, or InDoubt. `ending`:
        nothing can go back to a savepoint any more.
        """
        if self.in_doubt:
            raise InDoubt
        waiting, self._waiting = self._waiting, []
        if self._mark >= 0 and not ending:
            if any(not later.reads for later in waiting[self._mark :]):
                waiting.insert(self._mark, self._later(_SAVEPOINT))
                self._mark = -1
            else:
                self._mark = 0
        if waiting:
            self._send(waiting)

    def send_first(self) -> None:
        """Sends what waits, with the savepoint, before a statement that goes through SQLAlchemy."""
        self._prefetched = {}
        self.may_change = True
        if self._mark >= 0:
            self._waiting.insert(self._mark, self._later(_SAVEPOINT))
            self._mark = -1
        self.flush()

    def _later(self, sql: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> _Later:
        translation = translated(sql)
        found = [values[name] for name in translation.names] if isinstance(values, Mapping) else values
        return _Later(self._wire, sql, translation, found, self.flush)

    def _send(self, waiting: Sequence[_Later]) -> None:
        try:
            self._wire.send(waiting)
        except psycopg.Error as error:
            raised: Any = DBAPIError.instance(waiting[-1].sql, None, error, psycopg.Error, hide_parameters=True)
            if self.carefully or is_postgres_fault(raised):
                raise raised from error
            self.in_doubt = True
            raise InDoubt from raised


def _key(sql: str, values: Mapping[str, Any]) -> Hashable:
    """Tells reads apart, but not by the time."""
    return sql, tuple(values[name] for name in translated(sql).names if name != "at")


class AheadDriver:
    """Collects the statements of a look-ahead (`storage.prefetch`)."""

    def __init__(self, *, writes: bool) -> None:
        self.statements: list[tuple[str, Mapping[str, Any]]] = []
        self._writes = writes

    def execute(self, sql: str, values: Mapping[str, Any]) -> Self:
        """Takes a statement."""
        if self._writes or translated(sql).reads:
            self.statements.append((sql, values))
        return self

    def fetchall(self) -> list[Any]:
        """Returns no rows."""
        return []


class _Later(Asked):
    """A statement that waits, and its answer once it was sent."""

    __slots__ = ("_flush",)

    def __init__(
        self, wire: Wire, sql: str, translation: Translated, values: Sequence[Any], flush: Callable[[], None]
    ) -> None:
        super().__init__(wire, sql, translation, values)
        self._flush = flush

    @property
    def rowcount(self) -> int:
        """How many rows the statement changed."""
        if self.result is None:
            self._flush()
        return super().rowcount

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Returns all rows; none of a statement that returns nothing."""
        if self.result is None:
            self._flush()
        return super().fetchall()
