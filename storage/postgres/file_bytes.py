"""The bytes of stored files in PostgreSQL, in pieces of 1 MiB, so that every server and worker reads them.

A row of `file_bytes` stands for the bytes of one file, and its rows of `file_pieces` hold them. A draft is written to a
file in the data folder first, as with SQLite, and then stored in pieces without the lock of writers, under an id of its
own. The transaction that adds the row of `files` only gives the draft its hash; a draft without one belongs to nobody
and is removed after an hour. The bytes of a draft are written before that transaction commits, so they are on disk with
it.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
from sqlalchemy import Engine

from engine.core.errors import DatabaseAway, StorageUnavailable
from storage.engines import storage_faults
from storage.file_bytes import DRAFTS, LEFT_OVER_SECONDS, BytesGone, Draft, FileBytes
from storage.postgres.faults import as_away, is_connection_fault
from storage.statements import Statement

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)
T = TypeVar("T")

#: The seconds between two tries of a step to reach the database.
_AGAIN_SECONDS: Final = 0.5
PIECE_BYTES: Final = 1 << 20

_BEGIN: Final = """
    insert into file_bytes (id, size, at) values (%s, %s, cast(extract(epoch from clock_timestamp()) * 1000 as bigint))
"""
_ADD: Final = "insert into file_pieces (bytes_id, number, content) values (%s, %s, %s)"
_DISCARD: Final = "delete from file_bytes where id = %s and sha256 is null"
_FIND: Final = "select id from file_bytes where sha256 = %s and size = %s"
_READ: Final = "select content from file_pieces where bytes_id = %s and number = %s"
_OLD: Final = """
    select sha256 from file_bytes
     where sha256 is not null and at < cast(extract(epoch from clock_timestamp()) * 1000 as bigint) - %s order by sha256
"""
_OLD_DRAFTS: Final = """
    delete from file_bytes
     where sha256 is null and at < cast(extract(epoch from clock_timestamp()) * 1000 as bigint) - %s
"""

_TOUCH = Statement(
    """
    update file_bytes set at = cast(extract(epoch from clock_timestamp()) * 1000 as bigint)
     where sha256 = :sha256 and size = :size
    """
)
_PLACE = Statement(
    """
    update file_bytes set sha256 = :sha256, at = cast(extract(epoch from clock_timestamp()) * 1000 as bigint)
     where id = :id
    """
)
_REMOVE = Statement("delete from file_bytes where sha256 = :sha256")


class StoredDraft(Draft):
    """Bytes that are being written to a file in the data folder, and with `finish` to the database."""

    def __init__(self, path: Path, stored: PostgresFileBytes) -> None:
        super().__init__(path)
        self.id = path.name
        self._stored = stored
        self._is_stored = False

    def finish(self) -> None:
        """Stores everything in pieces and computes `sha256`. Raises StorageUnavailable."""
        super().finish()
        self._is_stored = True
        try:
            self._stored.store(self.id, self.path, self.size)
        except StorageUnavailable:
            self.discard()
            raise
        self.path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Removes what was written, unless it was placed. What is in the database is removed in the background."""
        super().discard()
        if self._is_stored:
            self._is_stored = False
            self._stored.discard(self.id)

    def _sync(self, descriptor: int) -> None:
        """Does nothing: the file in the data folder need not outlive the process."""


class PostgresFileBytes(FileBytes):
    """The bytes of all files. `folder`: where drafts and copies lie for a while. `ask_seconds`: for how long the thread of
    a step asks again while the database is away; 0 in a server, whose callers are told at once.
    """

    in_folder = False

    def __init__(self, folder: Path, readers: Engine, ask_seconds: float = 0.0) -> None:
        super().__init__(folder)
        self._ask_seconds = ask_seconds
        self._closing = threading.Event()
        # Each statement is a transaction of its own, which does not wait for the lock of writers.
        self._engine = readers.execution_options(isolation_level="AUTOCOMMIT", postgresql_readonly=False)
        self._remover = ThreadPoolExecutor(1, thread_name_prefix="drafts")

    def store(self, draft_id: str, path: Path, size: int) -> None:
        """Stores the bytes of a draft in pieces. Raises StorageUnavailable."""
        self._ask_again(lambda: self._store(draft_id, path, size))

    def _store(self, draft_id: str, path: Path, size: int) -> None:
        with self._connected() as connection:
            connection.execute(_DISCARD, (draft_id,))  # what an earlier try has left
            connection.execute(_BEGIN, (draft_id, size))
            for number, piece in enumerate(_pieces(path)):
                connection.execute(_ADD, (draft_id, number, piece))

    def discard(self, draft_id: str) -> None:
        """Removes a draft in the background, unless it was placed."""
        with contextlib.suppress(RuntimeError):  # this process ends; another removes it
            self._remover.submit(self._discard, draft_id)

    def place(self, draft: Draft, session: Session | None = None) -> None:
        """Gives a finished draft its hash; equal bytes that are there already stay. Called in a write."""
        assert isinstance(draft, StoredDraft)
        assert session is not None
        same = {"sha256": draft.sha256, "size": draft.size}
        if not _TOUCH.count(session, same):
            _REMOVE.run(session, {"sha256": draft.sha256})  # damaged, since its size differs
            if not _PLACE.count(session, {"sha256": draft.sha256, "id": draft.id}):
                raise StorageUnavailable("What was received of a file is not there any more")

    def read(self, sha256: str, size: int) -> bytes:
        """Returns the bytes of a file. Raises BytesGone and StorageUnavailable."""
        return self._ask_again(lambda: b"".join(self._stored_pieces(sha256, size)))

    def is_there(self, sha256: str, size: int) -> bool:
        """True when bytes of this size are stored; their content is not read."""
        with self._connected() as connection:
            return connection.execute(_FIND, (sha256, size)).fetchone() is not None

    def remove(self, sha256: str, session: Session | None = None) -> None:
        """Removes bytes that no row names any more. Called in a write."""
        assert session is not None
        _REMOVE.run(session, {"sha256": sha256})

    def hold(self, sha256: str, size: int) -> Path | None:
        """Writes a copy into the data folder; None when the bytes are gone or damaged. Raises StorageUnavailable."""
        copy = self.folder / DRAFTS / f"copy-{secrets.token_hex(12)}"
        try:
            copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with copy.open("xb") as file:
                for piece in self._stored_pieces(sha256, size):
                    file.write(piece)
        except BytesGone:
            copy.unlink(missing_ok=True)
            return None
        except OSError as error:
            copy.unlink(missing_ok=True)
            raise StorageUnavailable(f"A file could not be written: {error.strerror or error}") from error
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
        return copy

    def give_back(self, path: Path) -> None:
        """Removes the copy that `hold` made."""
        path.unlink(missing_ok=True)

    def old_hashes(self, *, older_than_seconds: float = LEFT_OVER_SECONDS) -> Iterator[str]:
        """Yields the hashes of bytes that were placed, or placed again, longer ago than this."""
        with self._connected() as connection:
            found = connection.execute(_OLD, (int(older_than_seconds * 1_000),)).fetchall()
        yield from (row[0] for row in found)

    def remove_old_drafts(self, *, older_than_seconds: float = LEFT_OVER_SECONDS) -> int:
        """Removes drafts that a killed process left. Returns how many."""
        with self._connected() as connection:
            removed = connection.execute(_OLD_DRAFTS, (int(older_than_seconds * 1_000),)).rowcount
        return removed + super().remove_old_drafts(older_than_seconds=older_than_seconds)

    def close(self) -> None:
        """Waits until the drafts that nobody wants are removed."""
        self._closing.set()
        self._remover.shutdown(wait=True)

    def _new_draft(self, path: Path) -> Draft:
        return StoredDraft(path, self)

    def _stored_pieces(self, sha256: str, size: int) -> Iterator[bytes]:
        """Yields the pieces of a file, the last one only when they are what was stored. Raises BytesGone."""
        digest, left, number, last = hashlib.sha256(), size, 0, b""
        with self._connected() as connection:
            row = connection.execute(_FIND, (sha256, size)).fetchone()
            while row is not None and left > 0:
                piece = connection.execute(_READ, (row[0], number), binary=True).fetchone()
                if piece is None:
                    break
                if last:
                    yield last
                last, number = piece[0], number + 1
                digest.update(last)
                left -= len(last)
        if row is None or left or digest.hexdigest() != sha256:
            raise BytesGone(sha256)
        yield last

    def _ask_again(self, work: Callable[[], T]) -> T:
        until = time.monotonic() + self._ask_seconds
        while True:
            try:
                return work()
            except DatabaseAway as away:
                if not away.may_pass or time.monotonic() >= until or self._closing.wait(_AGAIN_SECONDS):
                    raise

    def _discard(self, draft_id: str) -> None:
        try:
            with self._connected() as connection:
                connection.execute(_DISCARD, (draft_id,))
        except StorageUnavailable as error:
            log.warning("What was received of a file is removed later: %s", error)

    @contextlib.contextmanager
    def _connected(self) -> Generator[psycopg.Connection[Any]]:
        """A connection on which each statement is a transaction of its own. Raises StorageUnavailable."""
        try:
            with storage_faults(), self._engine.connect() as connection:
                driver: Any = connection.connection.driver_connection
                try:
                    yield driver
                except psycopg.Error:
                    connection.invalidate()
                    raise
        except psycopg.Error as error:
            if is_connection_fault(error):
                raise as_away(error) from error
            raise StorageUnavailable(f"The database said: {error}") from error


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
