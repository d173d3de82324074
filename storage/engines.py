"""How connections are opened and transactions begun, and which errors of a database are the disk's fault."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError

from engine.core.errors import StorageUnavailable

BUSY_SECONDS = 10
#: How often a writer asks for the lock that another process holds. SQLite itself would soon ask every 100 ms only.
ASK_SECONDS = 0.0005
READERS = 4
#: Pages of the file that every connection may keep for itself; a server has about eight of them. The system keeps the others.
CACHED_KIB = 4_000
#: What the log may keep of its size once it was moved into the file; a large transaction makes it longer for a while.
LOG_BYTES = 64 << 20


def make_engine(url: str, *, immediate: bool) -> Engine:
    """An engine whose transactions begin as we say: IMMEDIATE for the writer, deferred for readers."""
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=READERS + 1)
    engine = create_engine(
        url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False}, pool_size=READERS + 1
    )

    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, record: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            f"cache_size=-{CACHED_KIB}",
            f"journal_size_limit={LOG_BYTES}",
            "secure_delete=ON",  # what is deleted is overwritten; Debian's SQLite does so by itself, others do not
            *([] if immediate else ["query_only=ON"]),
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
    """Takes the write lock. Asked for in short steps: the other process holds it for a millisecond or two."""
    driver = connection.connection.driver_connection
    assert driver is not None
    until = time.monotonic() + BUSY_SECONDS
    driver.execute("pragma busy_timeout=0")
    try:
        while True:
            try:
                driver.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > until:
                    raise DBAPIError.instance("BEGIN IMMEDIATE", None, error, sqlite3.Error) from error
            time.sleep(ASK_SECONDS)
    finally:
        driver.execute(f"pragma busy_timeout={BUSY_SECONDS * 1_000}")


def sqlite_url(data: Path) -> str:
    """The database of a data folder."""
    return f"sqlite:///{data / 'flowport.db'}"


def is_storage_fault(error: DBAPIError) -> bool:
    """True when the disk or the lock is at fault, not the statement."""
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
        "no such savepoint",  # a full disk makes SQLite roll everything back, savepoints too
    )
    return isinstance(error, OperationalError) and any(sign in said for sign in signs)


@contextlib.contextmanager
def storage_faults() -> Iterator[None]:
    """Turns a fault of the disk into the refusal that says so."""
    try:
        yield
    except DBAPIError as error:
        if is_storage_fault(error):
            raise StorageUnavailable(f"The database said: {_first_fault(error).orig}") from error
        raise


def _first_fault(error: DBAPIError) -> DBAPIError:
    """What went wrong first: rolling back after a full disk fails too."""
    first = error
    earlier = error.__context__
    while earlier is not None:
        if isinstance(earlier, DBAPIError):
            first = earlier
        earlier = earlier.__context__
    return first
