"""Finds out which pages of a SQLite database were written recently, by reading its write-ahead log
(https://sqlite.org/fileformat2.html#walformat).

The log has a header of 32 bytes, and then a frame for each written page: a header of 24 bytes and the page. SQLite
restarts the log with other salts when all frames have been copied into the database and no reader uses the log.

Only the log may be read like this. SQLite's locks are those of the process on the database file and on the file `-shm`:
whoever opens and closes one of these beside SQLite gives up all of them, and two processes then write at the same time.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

_HEAD, _FRAME_HEAD = 32, 24


class LogPlace(Struct, frozen=True):
    """A position in the log after a commit: the number of frames in the log with these salts."""

    salts: bytes = b""
    frames: int = 0


def pages_since(database: Path, place: LogPlace) -> tuple[set[int], LogPlace]:
    """Returns the numbers of the pages that were committed after `place`, and the end of the log. After a restart of
    the log these are all of its pages.

    No page is missed while a reader keeps a snapshot at least as old as `place`: the log can then restart at most once,
    before the next write.
    """
    found: set[int] = set()
    log = database.with_name(f"{database.name}-wal")
    if not log.exists():
        return found, LogPlace()
    with log.open("rb") as file:
        head = file.read(_HEAD)
        salts = head[16:24]
        if len(salts) < 8:  # the log was truncated
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
            if any(frame[4:8]):  # only the last frame of a transaction has the size of the database here
                found |= uncommitted
                uncommitted = set()
                end = number + 1
    return found, LogPlace(salts, end)


def end_of_log(database: Path) -> LogPlace:
    """Returns the end of the log, with the frames of a transaction that is being written. It reads about twenty frame
    headers, since the frames with the salts of the log's header come first.
    """
    log = database.with_name(f"{database.name}-wal")
    try:
        with log.open("rb") as file:
            head = file.read(_HEAD)
            salts = head[16:24]
            if len(salts) < 8:  # the log was truncated
                return LogPlace()
            length = _FRAME_HEAD + int.from_bytes(head[8:12])
            first, last = 0, (log.stat().st_size - _HEAD) // length
            while first < last:
                middle = (first + last) // 2
                file.seek(_HEAD + middle * length + 8)
                if file.read(8) == salts:
                    first = middle + 1
                else:
                    last = middle
            return LogPlace(salts, first)
    except FileNotFoundError:
        return LogPlace()
