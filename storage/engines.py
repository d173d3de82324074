"""How database connections are opened and transactions are started, and which database errors come from the storage."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError

from engine.core.errors import StorageUnavailable
from engine.core.settings import require_utf8
from storage.backup import DATABASE

BUSY_SECONDS = 10
#: The seconds between tries for the write lock while another process holds it. SQLite's own wait soon grows to 100 ms.
ASK_SECONDS = 0.0005
READERS = 4
#: The page cache of each connection in KiB; a server has about eight connections. The operating system caches the file
#: too.
CACHED_KIB = 4_000
#: The size to which the write-ahead log is cut after a checkpoint, in bytes; a large transaction makes it longer for a
#: while.
LOG_BYTES = 64 << 20
#: SQLite's default page size.
PAGE_BYTES = 4_096


def make_engine(url: str, *, immediate: bool, durable: bool = True) -> Engine:
    """Creates an engine that starts transactions itself: IMMEDIATE for the writer, deferred for readers.

    `durable`: a commit waits until it is on disk, and keeps the write lock until then (`storage.log_sync` has another
    way). Otherwise it is there with the next durable commit of any process, or with the next checkpoint; a power cut may
    undo the newest commits, in order, but never damages the file.
    """
    if not url.startswith("sqlite"):
        from storage.postgres.connections import make_postgres_engine

        return make_postgres_engine(url, writing=immediate, durable=durable, pool_size=READERS + 1)
    engine = create_engine(
        url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False}, pool_size=READERS + 1
    )

    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, record: Any) -> None:
        connection.isolation_level = None  # transactions are started below
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={'FULL' if durable else 'NORMAL'}",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            f"cache_size=-{CACHED_KIB}",
            f"journal_size_limit={LOG_BYTES}",
            f"wal_autocheckpoint={LOG_BYTES // PAGE_BYTES}",  # `storage/checkpoints.py` does it before, off the commits
            "secure_delete=ON",  # overwrites deleted data; this is the default of Debian's SQLite only
            # a writer waits for the lock itself, and with the lock it meets no other one
            "busy_timeout=0" if immediate else "query_only=ON",
        ):
            connection.execute(f"pragma {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if immediate:
            _begin_immediately(connection)
        else:
            connection.exec_driver_sql("BEGIN")

    return engine


def _begin_immediately(connection: Connection) -> None:
    """Takes the write lock. It retries at short intervals, since another process holds the lock for a millisecond or
    two.
    """
    driver = connection.connection.driver_connection
    assert driver is not None
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            driver.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise DBAPIError.instance("BEGIN IMMEDIATE", None, error, sqlite3.Error) from error
        time.sleep(ASK_SECONDS)


def driver_of(connection: Connection) -> Any:
    """Returns the connection that `storage.statements` use: of sqlite3, or one with its interface."""
    driver = connection.connection.driver_connection
    if isinstance(driver, sqlite3.Connection):
        return driver
    from storage.postgres.connections import PostgresDriver

    return PostgresDriver(cast("Any", driver))


def sqlite_url(data: Path) -> str:
    """Returns the SQLAlchemy URL of a data folder's database; characters such as `?` and `%` in its path are quoted. Raises
    BadSetting when the path is not UTF-8.
    """
    require_utf8(data)
    return URL.create("sqlite", database=str(data.absolute() / DATABASE)).render_as_string()


def is_storage_fault(error: DBAPIError) -> bool:
    """True when the disk or a lock caused the error, not the statement."""
    if type(error.orig).__module__.startswith("psycopg"):
        from storage.postgres.connections import is_postgres_fault

        return is_postgres_fault(error)
    said = str(error.orig).lower()
    signs = (
        "disk is full",
        "disk i/o",
        "readonly",
        "read-only",
        "unable to open",
        "locked",
        "malformed",
        "not a database",
        "no such savepoint",  # on a full disk SQLite rolls back everything, savepoints too
    )
    return isinstance(error, OperationalError) and any(sign in said for sign in signs)


@contextlib.contextmanager
def storage_faults() -> Generator[None]:
    """Turns a fault of the storage into StorageUnavailable."""
    try:
        yield
    except DBAPIError as error:
        if is_storage_fault(error):
            raise as_fault(error) from error
        raise


def as_fault(error: DBAPIError) -> DBAPIError | StorageUnavailable:
    """Returns StorageUnavailable for a fault of the storage, and any other error as it is."""
    if not is_storage_fault(error):
        return error
    first = _first_fault(error).orig
    if type(first).__module__.startswith("psycopg"):
        from storage.postgres.faults import as_away

        return as_away(cast("BaseException", first))
    return StorageUnavailable(f"The database said: {first}")


def _first_fault(error: DBAPIError) -> DBAPIError:
    """Returns the first error of a chain: after a full disk the rollback fails too."""
    first = error
    earlier = error.__context__
    while earlier is not None:
        if isinstance(earlier, DBAPIError):
            first = earlier
        earlier = earlier.__context__
    return first
