"""What only SQLite has: a write-ahead log, and a number that changes with commits of other connections
(`data_version`).
"""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from pathlib import Path
from typing import Literal

from sqlalchemy import make_url
from sqlalchemy.orm import Session

from engine.core.errors import StorageUnavailable
from storage.statements import DRIVER, Statement

_PREFIX = "sqlite:///"


def is_sqlite(url: str) -> bool:
    """True for the URL of a SQLite file."""
    return url.startswith(_PREFIX)


def checkpoint(url: str, mode: Literal["passive", "truncate"]) -> bool:
    """Moves the write-ahead log into the file; `truncate` also empties it. Returns False while another connection uses it.

    Raises StorageUnavailable.
    """
    try:
        with contextlib.closing(_connect(url)) as connection:
            busy, _pages, _moved = connection.execute(f"pragma wal_checkpoint({mode})").fetchone()
    except sqlite3.Error as error:
        raise StorageUnavailable(str(error)) from error
    return not busy


@functools.lru_cache(maxsize=16)
def file_of(url: str) -> Path:
    """Returns the path of the database file."""
    path = make_url(url).database
    assert path, "the URL of a file names it"
    return Path(path)


def write_anew(url: str) -> None:
    """Rebuilds the database file without unused space (VACUUM), which blocks other writers. Raises StorageUnavailable."""
    try:
        with contextlib.closing(_connect(url)) as connection:
            connection.execute("pragma temp_store=MEMORY")
            connection.execute("vacuum")
    except sqlite3.Error as error:
        raise StorageUnavailable(str(error)) from error


_VERSION = Statement("pragma data_version")


def read_version(session: Session) -> int | None:
    """Returns a number that differs from the previous one on this connection when another connection has committed since;
    None for another database than SQLite. Cheap enough for every tick of a page.
    """
    if DRIVER not in session.info:
        return None
    return _VERSION.row(session, {})[0]


class DataVersion:
    """Detects commits of other connections. Used from one thread at a time."""

    def __init__(self, url: str) -> None:
        self._connection = _connect(url)

    def read(self) -> int:
        """Returns a number that differs from the previous one when another connection has committed since."""
        return self._connection.execute("pragma data_version").fetchone()[0]

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


def _connect(url: str) -> sqlite3.Connection:
    return sqlite3.connect(file_of(url), timeout=1, check_same_thread=False)
