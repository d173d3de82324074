"""Statements of the hot path: plain SQL that goes straight to the database driver where that is possible.

SQLAlchemy's execution layer costs ten times what SQLite needs for a row. Accepting and running a job takes a dozen or
more statements, so these are written as SQL and run on the transaction's own driver connection. With another database,
or in a session without a driver connection, the same text runs through SQLAlchemy.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from engine.core.json_text import json_text

#: The key in `session.info` for the driver connection, set by the database that opened the session.
DRIVER = "driver"

Values = Mapping[str, Any]


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

    def _driver(self, session: Session) -> sqlite3.Connection | None:
        driver = session.info.get(DRIVER)
        if driver is not None and session.in_transaction():
            session.flush()  # pending changes of the ORM must be visible to this statement
        return driver

    def _fault(self, error: sqlite3.Error) -> BaseException:
        """Returns the error as SQLAlchemy raises it, without the values, which may be somebody's payload."""
        return DBAPIError.instance(self.sql, None, error, sqlite3.Error, hide_parameters=True)


def insert_into(table: str, columns: Sequence[str], or_update: Sequence[str] = ()) -> Statement:
    """Returns an INSERT of these columns; `or_update` names the unique key whose existing row is updated instead."""
    sql = f"insert into {table} ({', '.join(columns)}) values ({', '.join(':' + column for column in columns)})"  # noqa: S608 - no outside text
    if or_update:
        changed = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in or_update)
        sql += f" on conflict ({', '.join(or_update)}) do update set {changed}"
    return Statement(sql)


def to_json(value: Any) -> str | None:
    """Returns the value for a JSON column; None stays NULL."""
    return None if value is None else json_text(value)


def from_json(value: Any) -> Any:
    """Returns the value of a JSON column, which some drivers have parsed already."""
    return json.loads(value) if isinstance(value, str) else value
