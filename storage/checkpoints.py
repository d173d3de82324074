"""Moves the write-ahead log of a SQLite database into the file, in a thread of the server.

By default SQLite does this in the commit that makes the log longer than 1,000 pages. That commit, and every write behind
it, then waits until those pages are on disk: with a million jobs they lie all over the file, which takes 50 ms and more.
A checkpoint of this thread stops nobody, except for the last few pages of a long log.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading

from engine.core.log_throttle import LogThrottle
from storage.sqlite_file import file_of, is_sqlite
from storage.write_ahead_log import LogPlace, end_of_log

log = logging.getLogger(__name__)

#: The interval of checks, which read a few bytes of a file in memory.
LOOK_SECONDS = 0.1
#: The thread begins when so many pages are in the log and not in the file.
PAGES = 1_000
#: From this length on the log is started anew, for which writers wait until its last pages are in the file.
LONG_PAGES = 4_000
#: How often that is tried while others write, and the pause between two tries.
TRIES, PAUSE_SECONDS = 40, 0.002


class Checkpoints:
    """Runs from `start` until `stop`; does nothing for another database than SQLite."""

    def __init__(self, url: str) -> None:
        self._url = url
        #: The end of what the last checkpoint moved.
        self._moved = LogPlace()
        #: Time and size of the log file when it was last read, and when the look before that read it.
        self._read: tuple[int, int] | None = None
        self._read_before: tuple[int, int] | None = None
        self._log_throttle = LogThrottle()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look_for_ever, name="checkpoints", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        if is_sqlite(self._url):
            self._thread.start()

    def stop(self) -> None:
        """Ends the thread after the checkpoint that it is making."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def pass_over(self, connection: sqlite3.Connection) -> None:
        """Makes a checkpoint when the log is long enough."""
        end = end_of_log(file_of(self._url))
        moved = self._moved.frames if self._moved.salts == end.salts else 0
        if end.frames - moved < PAGES:
            return
        self._read = None  # whether it succeeds is seen at the next look
        _busy, _pages, moved = connection.execute("pragma wal_checkpoint(passive)").fetchone()
        self._moved = LogPlace(end.salts, moved)
        if end.frames >= LONG_PAGES:
            self._begin_anew(connection)

    def is_unchanged(self) -> bool:
        """True when nobody wrote to the log since a look at it that found nothing to do.

        A file system may give two writes within some milliseconds the same time, so the log is read once more.
        """
        try:
            found = file_of(self._url).with_name(f"{file_of(self._url).name}-wal").stat()
        except OSError:
            return False
        current = found.st_mtime_ns, found.st_size
        if current == self._read == self._read_before:
            return True
        self._read, self._read_before = current, self._read
        return False

    def _begin_anew(self, connection: sqlite3.Connection) -> None:
        """Moves the pages that were written meanwhile too, so that the next write begins the log anew."""
        for _ in range(TRIES):
            with contextlib.suppress(sqlite3.OperationalError):
                busy, _pages, _moved = connection.execute("pragma wal_checkpoint(restart)").fetchone()
                if not busy:
                    return
            if self._stop.wait(PAUSE_SECONDS):
                return

    def _look_for_ever(self) -> None:
        """Looks until `stop`. After an error the database is opened anew, since a failed look may have been about that."""
        while not self._stop.is_set():
            try:
                with contextlib.closing(self._connect()) as connection:
                    self._look_until_stopped(connection)
            except Exception as error:  # noqa: BLE001 - without this thread the log grows until the disk is full
                if self._log_throttle.may_say("wait"):
                    log.info("The write-ahead log was not moved into the file yet: %s", error)
                self._stop.wait(LOOK_SECONDS)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(file_of(self._url), timeout=0, isolation_level=None)

    def _look_until_stopped(self, connection: sqlite3.Connection) -> None:
        connection.execute("pragma synchronous=FULL")
        while not self._stop.wait(LOOK_SECONDS):
            if not self.is_unchanged():
                self.pass_over(connection)
