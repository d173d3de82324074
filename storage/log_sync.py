"""Puts the committed transactions of a SQLite database on disk, in a thread, while the next transaction runs.

SQLite would do it in the commit (`synchronous=FULL`), for whose time no process can write. A commit without it has
written its frames into the write-ahead log (`synchronous=NORMAL`), in order and each with a checksum over all before it:
once the log is synced, they are there after a power cut as well.

The log may be opened and closed beside SQLite (`storage.write_ahead_log`).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

log = logging.getLogger(__name__)

_sync_data = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync

#: How long other users of the database are waited for when its log is begun anew.
_BUSY_SECONDS = 10.0

#: Is called with the error when the disk refused, else with None.
Then = Callable[[OSError | None], None]


class LogSync:
    """The thread starts when it is first needed, and ends with `close`."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._log = database.with_name(f"{database.name}-wal")
        #: A sync has failed, and the log is not known to be whole since.
        self._is_doubtful = False
        self._descriptor: int | None = None
        self._syncing = threading.Lock()
        #: Who waits for a sync, and None when the thread shall end.
        self._waiting: SimpleQueue[Then | None] = SimpleQueue()
        #: How many calls of `after_sync` are not done.
        self._open = 0
        self._counting = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def is_idle(self) -> bool:
        """True when no sync is under way in the thread, and none waits."""
        return self._open == 0

    def sync(self) -> OSError | None:
        """Puts everything that is committed on disk. Returns the error when the disk refuses.

        After a sync that failed the log may have a hole that no later sync fills, since the system takes pages that it
        could not write for written. So the log is then moved into the database, with a sync of that, and begun anew;
        nothing counts as being on disk before this has succeeded.
        """
        with self._syncing:
            if self._is_doubtful:
                return self._begin_anew()
            try:
                _sync_data(self._open_log())
            except FileNotFoundError:
                return None  # SQLite removed the log after it had moved and synced all of it
            except OSError as error:
                log.warning("The disk did not take the log of the database (%s): it is begun anew", error)
                self._is_doubtful = True
                return self._begin_anew()
            return None

    def _begin_anew(self) -> OSError | None:
        """Leaves nothing in the log: everything that was committed is in the database, and on disk, afterwards."""
        try:
            with contextlib.closing(sqlite3.connect(self._database, timeout=_BUSY_SECONDS)) as connection:
                connection.execute("pragma synchronous=FULL")
                is_busy, *_ = connection.execute("pragma wal_checkpoint(truncate)").fetchone()
        except sqlite3.Error as error:
            return OSError(errno.EIO, f"the log cannot be moved into the database ({error})")
        if is_busy:
            return OSError(errno.EBUSY, "the log is in use and cannot be moved into the database")
        self._is_doubtful = False
        return None

    def after_sync(self, then: Then) -> None:
        """Calls `then` in the thread after a sync that begins now or later. The calls come in order. While the system has
        no thread left, it does both here.
        """
        if self._thread is None and not self._has_started():
            then(self.sync())
            return
        with self._counting:
            self._open += 1
        self._waiting.put(then)

    def _has_started(self) -> bool:
        thread = threading.Thread(target=self._run, name="log-sync", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return False
        self._thread = thread
        return True

    def close(self) -> None:
        """Does what waits, and ends the thread."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(timeout=30)
            self._thread = None
        self._close_log()

    def _run(self) -> None:
        is_closing = False
        while not is_closing:
            waiting = [self._waiting.get()]
            while not self._waiting.empty():
                waiting.append(self._waiting.get())
            is_closing = None in waiting
            together = [then for then in waiting if then is not None]
            if together:
                fault = self.sync()
                for then in together:
                    then(fault)
                with self._counting:
                    self._open -= len(together)

    def _open_log(self) -> int:
        """Returns the descriptor of the file that has the name of the log now."""
        found = self._log.stat()
        if self._descriptor is not None and os.path.samestat(found, os.fstat(self._descriptor)):
            return self._descriptor
        self._close_log()
        self._descriptor = os.open(self._log, os.O_RDWR | os.O_CLOEXEC)
        return self._descriptor

    def _close_log(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)
