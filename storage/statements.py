"""Statements of the hot path: plain SQL that goes straight to the driver where that is possible.

SQLAlchemy's execution layer costs ten times what SQLite needs for a row. Accepting and running a job are some dozen
statements, so they are written as SQL once and run on the transaction's own driver connection; with another database, or on
a session without one, the same text runs through SQLAlchemy.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

#: Where a session keeps its driver connection (`session.info`), set by the database that opened it.
DRIVER = "driver"

Values = Mapping[str, Any]


class Statement:
    """SQL with `:name` values that PostgreSQL understands too. JSON columns take and give text (`to_json`, `from_json`)."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self._text = text(sql)

    def row(self, session: Session, values: Values) -> Any:
        """The only row as a tuple, or None."""
        rows = self.rows(session, values)
        return rows[0] if rows else None

    def rows(self, session: Session, values: Values) -> Sequence[Any]:
        """All rows as tuples."""
        driver = self._driver(session)
        if driver is None:
            return session.execute(self._text, dict(values)).all()
        try:
            return driver.execute(self.sql, values).fetchall()  # to the end: only then an update is done
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def run(self, session: Session, *rows: Values) -> None:
        """Runs it once for each row."""
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
            session.flush()  # what the ORM holds back must be seen here too
        return driver

    def _fault(self, error: sqlite3.Error) -> BaseException:
        """As SQLAlchemy would have raised it. The values are left out: they may be somebody's payload."""
        return DBAPIError.instance(self.sql, None, error, sqlite3.Error, hide_parameters=True)


def insert_into(table: str, columns: Sequence[str], or_update: Sequence[str] = ()) -> Statement:
    """An insert of these columns; `or_update` names the key whose older row is written over."""
    sql = f"insert into {table} ({', '.join(columns)}) values ({', '.join(':' + column for column in columns)})"  # noqa: S608 - our own names
    if or_update:
        changed = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in or_update)
        sql += f" on conflict ({', '.join(or_update)}) do update set {changed}"
    return Statement(sql)


def to_json(value: Any) -> str | None:
    """A JSON column's value; None stays NULL."""
    return None if value is None else json.dumps(value)


def from_json(value: Any) -> Any:
    """What a JSON column held; drivers that parse by themselves are left alone."""
    return json.loads(value) if isinstance(value, str) else value
