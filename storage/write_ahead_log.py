"""Which pages of SQLite's file were written lately: read from its write-ahead log (https://sqlite.org/fileformat2.html#walformat).

The log begins with a head of 32 bytes, then has a frame for each page that was written: 24 bytes of head and the page. The log is
begun anew, with other salts, when all of it was moved into the file and nobody reads from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_HEAD, _FRAME_HEAD = 32, 24


@dataclass(frozen=True)
class LogPlace:
    """A place in the log behind a commit: so many frames of the log that has these salts."""

    salts: bytes = b""
    frames: int = 0


def pages_since(database: Path, place: LogPlace) -> tuple[set[int], LogPlace]:
    """The numbers of the pages that were committed behind `place`, and where the log ends now; of another log all of its pages.

    Nothing is missed while one reader holds a snapshot that is not older than `place`: its log is begun anew at most once, and
    before anything else is written to it.
    """
    found: set[int] = set()
    log = database.with_name(f"{database.name}-wal")
    if not log.exists():
        return found, LogPlace()
    with log.open("rb") as file:
        head = file.read(_HEAD)
        salts = head[16:24]
        if len(salts) < 8:  # emptied
            return found, LogPlace()
        end = place.frames if place.salts == salts else 0
        length = _FRAME_HEAD + int.from_bytes(head[8:12])
        uncommitted: set[int] = set()
        for number in range(end, log.stat().st_size // length + 1):
            file.seek(_HEAD + number * length)
            frame = file.read(_FRAME_HEAD)
            if len(frame) < _FRAME_HEAD or frame[8:16] != salts:
                break
            uncommitted.add(int.from_bytes(frame[:4]))
            if any(frame[4:8]):  # the last frame of a transaction says how large the file is
                found |= uncommitted
                uncommitted = set()
                end = number + 1
    return found, LogPlace(salts, end)
