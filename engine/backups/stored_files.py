"""The stored files in a backup: one entry with all of them, since a list of their names may be longer than a piece.

The entry is, for each file, its SHA-256 (32 bytes), its size (8 bytes, big-endian) and its bytes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from engine.backups.sealed_file import PIECE
from engine.core.errors import BackupUnreadable
from storage.backup import list_file_hashes, read_pieces
from storage.file_bytes import FILES_FOLDER, FileBytes

#: The name of the entry, and of the folder in the data folder.
FILES: Final = FILES_FOLDER
_HEAD: Final = struct.Struct(">32sQ")


def bytes_in(data: Path) -> list[tuple[str, int]]:
    """Returns hash and size of every file that the database of a data folder names."""
    return list_file_hashes(data)


def link_files(data: Path, copy: Path, folder: Path) -> list[tuple[Path, int]]:
    """Keeps the bytes that the copy of the database names, while retention goes on: as links in a new folder, or as
    copies where the disk has no links. Files whose bytes are gone are left out. Returns (path, size) of each.
    """
    stored = FileBytes(data / FILES)
    kept = []
    for sha256, size in bytes_in(copy):
        if not stored.is_there(sha256, size):
            continue
        folder.mkdir(mode=0o700, exist_ok=True)
        target = folder / sha256
        try:
            os.link(stored.path_of(sha256), target)
        except FileNotFoundError:
            continue
        except OSError:
            shutil.copyfile(stored.path_of(sha256), target)
        kept.append((target, size))
    return kept


def stored_in(data: Path) -> list[tuple[Path, int]]:
    """Returns (path, size) of the files that the database of a folder names and that lie beside it."""
    stored = FileBytes(data / FILES)
    named = bytes_in(data)
    return [(stored.path_of(sha256), size) for sha256, size in named if stored.is_there(sha256, size)]


def packed_size(files: list[tuple[Path, int]]) -> int:
    """Returns the size of the entry."""
    return sum(_HEAD.size + size for _, size in files)


def packed(files: list[tuple[Path, int]]) -> Iterator[bytes]:
    """Yields the entry in pieces."""
    for path, size in files:
        yield _HEAD.pack(bytes.fromhex(path.name), size)
        yield from read_pieces(path, PIECE)


def unpack_files(pieces: Iterator[bytes], size: int, folder: Path) -> None:
    """Writes the files of an entry into a new folder, as they lie in a data folder. Raises BackupUnreadable."""
    stored = FileBytes(folder)
    folder.mkdir(mode=0o700)
    left = size
    while left > 0:
        head = next(pieces, b"")
        if len(head) != _HEAD.size:
            raise BackupUnreadable("Its stored files cannot be read")
        digest, rest = _HEAD.unpack(head)
        left -= len(head) + rest
        target = stored.path_of(digest.hex())
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = hashlib.sha256()
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            while rest > 0:
                piece = next(pieces, None)
                if piece is None:
                    raise BackupUnreadable("It holds less than its list of files says")
                rest -= len(piece)
                found.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if rest or found.digest() != digest:
            raise BackupUnreadable("A stored file in it is damaged")
    if left:
        raise BackupUnreadable("It holds other files than its list says")
