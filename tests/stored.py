"""Looks at all that a data folder's database stores, and lets its disk be full or unreadable."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event, text
from sqlalchemy.orm import Session

from storage.statements import Statement
from tests.databases import url_of
from tests.postgres_cluster import POSTGRES

_TABLES = "select quote_ident(tablename) from pg_tables where schemaname = 'public' order by 1"


def places_of(data: Path, said: str) -> list[str]:
    """Returns the names of the files of the folder, and of the tables of its database in PostgreSQL, with this text."""
    found = [path.name for path in data.rglob("*") if path.is_file() and said.encode() in path.read_bytes()]
    return found + [table for table, row in _rows(data) if said in row or said.encode().hex() in row]


def all_of(data: Path) -> str:
    """Returns everything that is stored there, as one text."""
    files = [path.read_bytes().decode(errors="replace") for path in data.rglob("*") if path.is_file()]
    return "\n".join([*files, *(row for _, row in _rows(data))])


def _rows(data: Path) -> Iterator[tuple[str, str]]:
    """Yields (table, row as a text) of the database in PostgreSQL; nothing of SQLite."""
    url = url_of(data)
    if url is None:
        return
    import psycopg

    with psycopg.connect(url) as connection:
        for (table,) in connection.execute(_TABLES).fetchall():
            for (row,) in connection.execute(f"select t::text from {table} t"):
                yield table, row


def fill_disk(session: Session) -> None:
    """Lets writes fail as on a full disk from the next transaction on: those that need a new page of SQLite's file, and
    all writes of PostgreSQL.
    """
    session.execute(text("set default_transaction_read_only = on" if POSTGRES else "pragma max_page_count = 1"))


def free_disk(session: Session) -> None:
    """Ends it."""
    if POSTGRES:
        Statement("set default_transaction_read_only = off").run(
            session, {}
        )  # not taken for a change, which is refused
    else:
        session.execute(text("pragma max_page_count = 1073741823"))


@contextlib.contextmanager
def failing(engine: Engine, part: str = "") -> Iterator[list[str]]:
    """Lets the driver fail at each statement of an engine that contains this part. Yields what failed so far."""
    failed: list[str] = []
    dialect: Any = engine.dialect

    def fail(_cursor: object, statement: str, _values: object, context: Any) -> None:
        if part not in statement or context.engine is not engine:
            return
        failed.append(statement)
        raise dialect.dbapi.OperationalError("disk I/O error")

    event.listen(engine, "do_execute", fail)
    try:
        yield failed
    finally:
        event.remove(engine, "do_execute", fail)


def refuse_first_step(session: Session) -> None:
    """Lets the database refuse to store steps of the node `first`."""
    if not POSTGRES:
        session.execute(
            text(
                "create trigger refusing before insert on steps when new.node_id = 'first'"
                " begin select raise(abort, 'no'); end"
            )
        )
        return
    session.execute(text("alter table steps add check (node_id <> 'first')"))
    session.execute(text("create table refusing ()"))  # so that no other test gets this database
