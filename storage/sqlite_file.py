"""What only SQLite has: a log beside its file, and a number that changes with the commits of other connections."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Literal

from engine.core.errors import StorageUnavailable

_PREFIX = "sqlite:///"


def is_sqlite(url: str) -> bool:
    """Whether this is the address of a SQLite file."""
    return url.startswith(_PREFIX)


def checkpoint(url: str, mode: Literal["passive", "truncate"]) -> bool:
    """Moves the log into the file; `truncate` empties it, too. False: another connection stands in the way just now.

    Raises StorageUnavailable.
    """
    try:
        with contextlib.closing(_connect(url)) as connection:
            busy, _pages, _moved = connection.execute(f"pragma wal_checkpoint({mode})").fetchone()
    except sqlite3.Error as error:
        raise StorageUnavailable(str(error)) from error
    return not busy


class DataVersion:
    """Tells whether another connection has committed. Used from one thread at a time."""

    def __init__(self, url: str) -> None:
        self._connection = _connect(url)

    def read(self) -> int:
        """Another number than before when somebody else has committed since."""
        return self._connection.execute("pragma data_version").fetchone()[0]

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()


def _connect(url: str) -> sqlite3.Connection:
    return sqlite3.connect(url.removeprefix(_PREFIX), timeout=1, check_same_thread=False)
