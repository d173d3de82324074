"""The bytes of stored files, under the SHA-256 of their content: `files/sha256/ab/ab12...` in the data folder.

Bytes are written to a draft first, which is put to its place in the transaction that adds the row (`storage/files.py`),
and removed in the transaction that removes the last row. Both hold the write lock of the database, so neither can
happen between the steps of the other. What a killed process leaves behind is removed by `remove_old_drafts` and
`storage.files.remove_bytes_without_row`.

With PostgreSQL they lie in its tables, so that other machines read them too (`storage/postgres/file_bytes.py`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.core.errors import StorageUnavailable
from engine.core.media_types import HEAD_BYTES, TAIL_BYTES

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

FILES_FOLDER: Final = "files"
#: The key of the `FileBytes` in `session.info` of every write.
FILE_BYTES: Final = "file_bytes"
_SHA256 = "sha256"
DRAFTS = "drafts"
#: After how many seconds an unfinished draft belongs to nobody: an upload ends long before.
LEFT_OVER_SECONDS = 3_600.0


class BytesGone(Exception):
    """The bytes of a file are not in the data folder, or not those that were stored."""


class Draft:
    """Bytes that are being written. Afterwards it is placed (`FileBytes.place`) or discarded; both may be called twice."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.head = b""
        self.tail = b""
        self.sha256 = ""
        self._hash = hashlib.sha256()
        try:
            self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        except OSError as error:
            raise _not_written(error) from error

    def write(self, piece: bytes) -> None:
        """Adds bytes. Raises StorageUnavailable."""
        try:
            self._file.write(piece)
        except OSError as error:
            self.discard()
            raise _not_written(error) from error
        self._hash.update(piece)
        self.size += len(piece)
        if len(self.head) < HEAD_BYTES:
            self.head += piece[: HEAD_BYTES - len(self.head)]
        self.tail = (self.tail + piece[-TAIL_BYTES:])[-TAIL_BYTES:]

    def finish(self) -> None:
        """Writes everything to the disk and computes `sha256`. Raises StorageUnavailable."""
        try:
            self._file.flush()
            self._sync(self._file.fileno())
            self._file.close()
        except OSError as error:
            self.discard()
            raise _not_written(error) from error
        self.sha256 = self._hash.hexdigest()

    def discard(self) -> None:
        """Removes what was written, unless it was placed."""
        with contextlib.suppress(OSError):
            self._file.close()
        self.path.unlink(missing_ok=True)

    def _sync(self, descriptor: int) -> None:
        """Makes what was written durable."""
        os.fsync(descriptor)


class FileBytes:
    """The folder with the bytes of all files."""

    #: Whether the bytes lie in `folder`, where reading them waits for no other machine.
    in_folder = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def draft(self) -> Draft:
        """Returns a new draft. Raises StorageUnavailable."""
        drafts = self.folder / DRAFTS
        try:
            drafts.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _not_written(error) from error
        return self._new_draft(drafts / secrets.token_hex(12))

    def draft_of(self, content: bytes) -> Draft:
        """Returns a finished draft with this content. Raises StorageUnavailable."""
        draft = self.draft()
        draft.write(content)
        draft.finish()
        return draft

    def place(self, draft: Draft, session: Session | None = None) -> None:
        """Moves a finished draft to its place; equal bytes that are there already stay. Called in a write, with its
        session.

        Raises StorageUnavailable.
        """
        target = self.path_of(draft.sha256)
        if _has_size(target, draft.size):
            draft.path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                os.utime(target)  # `old_hashes` leaves it out
            return
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.path.replace(target)
            _sync_folder(target.parent)
        except OSError as error:
            raise _not_written(error) from error

    def read(self, sha256: str, size: int) -> bytes:
        """Returns the bytes of a file. Raises BytesGone."""
        try:
            content = self.path_of(sha256).read_bytes()
        except OSError as error:
            raise BytesGone(sha256) from error
        if len(content) != size or hashlib.sha256(content).hexdigest() != sha256:
            raise BytesGone(sha256)
        return content

    def is_there(self, sha256: str, size: int) -> bool:
        """True when bytes of this size are at the place; their content is not read."""
        return _has_size(self.path_of(sha256), size)

    def hold(self, sha256: str, size: int) -> Path | None:
        """Returns a file with these bytes, to send it, until `give_back`; None when they are gone.

        Raises StorageUnavailable.
        """
        return self.path_of(sha256) if self.is_there(sha256, size) else None

    def give_back(self, path: Path) -> None:
        """Says that the file of `hold` is needed no more."""

    def remove(self, sha256: str, session: Session | None = None) -> None:
        """Removes bytes that no row names any more. Called in a write, with its session."""
        with contextlib.suppress(OSError):
            self.path_of(sha256).unlink(missing_ok=True)

    def path_of(self, sha256: str) -> Path:
        """Returns where the bytes with this hash lie or would lie."""
        return self.folder / _SHA256 / sha256[:2] / sha256

    def old_hashes(self, *, older_than_seconds: float = LEFT_OVER_SECONDS) -> Iterator[str]:
        """Yields the hashes of bytes that were placed, or placed again, longer ago than this."""
        with contextlib.suppress(OSError):
            for prefix in sorted((self.folder / _SHA256).iterdir()):
                with contextlib.suppress(OSError):
                    yield from (path.name for path in sorted(prefix.iterdir()) if _is_old(path, older_than_seconds))

    def remove_old_drafts(self, *, older_than_seconds: float = LEFT_OVER_SECONDS) -> int:
        """Removes drafts that a killed process left. Returns how many."""
        removed = 0
        with contextlib.suppress(OSError):
            for path in (self.folder / DRAFTS).iterdir():
                if _is_old(path, older_than_seconds):
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed

    def close(self) -> None:
        """Ends what goes on in the background."""

    def _new_draft(self, path: Path) -> Draft:
        return Draft(path)


def _is_old(path: Path, seconds: float) -> bool:
    return path.stat().st_mtime < time.time() - seconds


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _sync_folder(folder: Path) -> None:
    """Makes a new name in a folder durable. Windows has no such call."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _not_written(error: OSError) -> StorageUnavailable:
    return StorageUnavailable(f"A file could not be written: {error.strerror or error}")
