"""All rows of a PostgreSQL database, read and written by COPY in one transaction, and who uses the database meanwhile."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Generator, Iterable, Iterator
from typing import Any, Final, cast

import psycopg
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from engine.core.clock import Millis
from storage.engines import driver_of
from storage.file_bytes import BytesGone
from storage.migrations.postgres import list_tables, others_told, read_schema
from storage.migrations.schema import newest_schema
from storage.postgres.connections import WRITE_LOCK, make_migration_engine
from storage.postgres.file_bytes import PIECE_BYTES
from storage.postgres.message_turns import SharedTurns
from storage.queue import TURNS
from storage.server_figures import LIVING_MS
from storage.statements import DRIVER
from storage.table_rows import Kind, MovedTable, Row, moved_tables

_TYPES: Final[dict[Kind, str]] = {"int": "int8", "bool": "bool", "json": "text", "bytes": "bytea", "text": "text"}
_LIVING: Final = """
    select kind, host, pid from workers
     where beat_at > cast(extract(epoch from clock_timestamp()) * 1000 as bigint) - %s order by kind, host, pid
"""
_USERS: Final = """
    select coalesce(application_name, ''), coalesce(host(client_addr), 'the same machine'), count(*)
      from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and application_name like 'flowport%%'
     group by 1, 2 order by 1, 2
"""
_PIECES: Final = """
    select piece.content from file_pieces piece join file_bytes of on of.id = piece.bytes_id
     where of.sha256 = %s and of.size = %s order by piece.number
"""
_PUT_FILE: Final = """
    insert into file_bytes (id, sha256, size, at)
    values (%s, %s, %s, cast(extract(epoch from clock_timestamp()) * 1000 as bigint))
"""
_PUT_PIECE: Final = "insert into file_pieces (bytes_id, number, content) values (%s, %s, %s)"
#: Tables that `storage.tables` does not name: of Huey, of the bytes of files, and for search in knowledge.
_OTHERS: Final = frozenset(
    {"task", "kv", "schedule", "counter", "file_bytes", "file_pieces", "knowledge_words", "knowledge_points"}
)


#: A connection in the transaction of a move, for those outside `storage` who hand it on.
Opened = Connection


class PostgresRows:
    """A PostgreSQL database in the transaction of a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = cast("psycopg.Connection[Any]", connection.connection.driver_connection)

    def read(self, table: MovedTable) -> Iterator[Row]:
        """Yields all rows."""
        columns = (
            f'"{name}"::text' if kind == "json" else f'"{name}"'
            for name, kind in zip(table.columns, table.kinds, strict=True)
        )
        statement = f"copy (select {', '.join(columns)} from {table.name}) to stdout"  # noqa: S608 - own names
        with self._connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            copy.set_types([_TYPES[kind] for kind in table.kinds])
            yield from copy.rows()

    def write(self, table: MovedTable, rows: Iterable[Row]) -> None:
        """Adds rows, and lets the table's sequence go on behind them, that of rows of datasets also behind removed ones."""
        with self._connection.cursor() as cursor:
            with cursor.copy(f"copy {table.name} ({table.listed}) from stdin".encode()) as copy:
                for row in rows:
                    copy.write_row(row)
            if table.numbered is not None:
                newest = f"select max({table.numbered}) as m from {table.name}"  # noqa: S608 - own names
                if table.name == "dataset_rows":
                    newest += " union select max(removed_to) from datasets"
                cursor.execute(
                    f"select setval(pg_get_serial_sequence(%s, %s), max(m)) from ({newest}) newest"  # noqa: S608 - own names
                    " having max(m) is not null".encode(),
                    (table.name, table.numbered),
                )


class PostgresFiles:
    """The bytes of stored files in the transaction of a connection (`storage.postgres.file_bytes`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = cast("psycopg.Connection[Any]", connection.connection.driver_connection)

    def read(self, sha256: str, size: int) -> bytes:
        """Returns the bytes of a file. Raises BytesGone."""
        with self._connection.cursor(binary=True) as cursor:
            pieces = cursor.execute(_PIECES, (sha256, size)).fetchall()
        content = b"".join(piece for (piece,) in pieces)
        if len(content) != size or hashlib.sha256(content).hexdigest() != sha256:
            raise BytesGone(sha256)
        return content

    def put(self, sha256: str, content: bytes) -> None:
        """Stores the bytes of a file."""
        id_ = secrets.token_hex(12)
        with self._connection.cursor() as cursor:
            cursor.execute(_PUT_FILE, (id_, sha256, len(content)))
            for number, first in enumerate(range(0, len(content), PIECE_BYTES)):
                cursor.execute(_PUT_PIECE, (id_, number, content[first : first + PIECE_BYTES]))


@contextlib.contextmanager
def reading_all(url: str, *, alone: bool) -> Generator[Connection]:
    """A read-only transaction on one snapshot. `alone`: no process of Flowport can write meanwhile."""
    engine = make_migration_engine(url)
    try:
        with engine.connect() as connection:
            driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
            _wait_for_ever(driver)
            if alone:
                driver.execute(f"select pg_advisory_lock{WRITE_LOCK}".encode())
            driver.commit()  # the snapshot begins after the lock is there
            connection.rollback()
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                yield connection
    finally:
        engine.dispose()


@contextlib.contextmanager
def writing_all(url: str) -> Generator[Connection]:
    """A transaction in which no process of Flowport can write; it is kept when the body ends without an error."""
    engine = make_migration_engine(url)
    try:
        with engine.begin() as connection:
            _wait_for_ever(cast("psycopg.Connection[Any]", connection.connection.driver_connection))
            connection.exec_driver_sql(f"select pg_advisory_xact_lock{WRITE_LOCK}")
            yield connection
    finally:
        engine.dispose()


def _wait_for_ever(driver: psycopg.Connection[Any]) -> None:
    """Lifts limits that a server may have for all its users: copying a large database takes minutes."""
    for name, value in (("statement_timeout", 0), ("idle_in_transaction_session_timeout", 0), ("lock_timeout", 10_000)):
        driver.execute(f"set {name} = {value}".encode())


@contextlib.contextmanager
def session_in(connection: Connection, at: Millis) -> Generator[Session]:
    """Yields a session in the transaction of a connection, as a write of `storage.database` gets it, and commits at the end.
    `at` is the time that `now` returns in it.
    """
    info: dict[str, Any] = {"now": at, "after_commit": [], TURNS: SharedTurns(), DRIVER: driver_of(connection)}
    with Session(connection, expire_on_commit=False, join_transaction_mode="create_savepoint", info=info) as session:
        yield session
        session.commit()


def what_it_holds(connection: Connection) -> str:
    """Says what is in a database that should be empty; "" when there is nothing, or only Flowport's empty tables."""
    found = list_tables(connection)
    own = {table.name for table in moved_tables()}
    known = own | _OTHERS | {"workers", "write_marks", "alembic_version"}
    if others := [name for name in found if name not in known]:
        return others_told(others)
    if found and not own <= set(found):
        return "the tables of another version of Flowport"
    filled = [name for name in found if name in own | _OTHERS and _has_rows(connection, name)]
    if filled:
        counts = {name: _count(connection, name) for name in ("workspaces", "flows", "users", "jobs")}
        return f"a Flowport already: {', '.join(f'{count:,} {name}' for name, count in counts.items())}"
    if found and read_schema(connection) != newest_schema():
        return "the tables of another version of Flowport"
    return ""


def forget_points(connection: Connection) -> None:
    """Removes the table for search by meaning from an empty database: the next start makes and fills it
    (`storage.postgres.vector_search`).
    """
    connection.exec_driver_sql("drop table if exists knowledge_points")


def list_users(connection: Connection) -> list[str]:
    """Says which processes of Flowport have this database open: those that send heartbeats, or where the connections of
    others come from.
    """
    if connection.exec_driver_sql(_USERS).first() is None:
        return []
    kinds = {"worker": "a worker", "server": "a server", "api": "a server without pages"}
    living = connection.exec_driver_sql(_LIVING, (LIVING_MS,)).all()
    return [f"{kinds.get(kind, kind)} on {host} (process {pid})" for kind, host, pid in living] or [
        f"{name} from {host} ({count} {'connection' if count == 1 else 'connections'})"
        for name, host, count in connection.exec_driver_sql(_USERS)
    ]


def _has_rows(connection: Connection, name: str) -> bool:
    return connection.exec_driver_sql(f'select 1 from "{name}" limit 1').first() is not None  # noqa: S608 - own names


def _count(connection: Connection, name: str) -> int:
    return connection.exec_driver_sql(f'select count(*) from "{name}"').scalar() or 0  # noqa: S608 - own names
