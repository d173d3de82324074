"""Records in a worker's lock file whose code the worker executes, so that it can be read after the process was killed.

The worker maps its lock file (`engine.jobs.worker_locks`) into memory and writes there the id of the job whose task
runs on the event loop and the ids of the jobs that compute in threads. A worker whose interpreter is blocked cannot
report anything, but other processes can still read the file. The process that kills a worker writes the reason into the
file first; the process that reclaims the worker's jobs reads which of them may have been the cause.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Coroutine, Generator
from pathlib import Path
from typing import Any

#: Size of one field in bytes; every job id fits into it.
FIELD = 32
#: The largest number of threads that can be recorded at the same time.
MAX_THREADS = 64
#: Index of each field in the file: reason for the kill, process id, job on the event loop; then one field per thread.
_VERDICT, _PID, _LOOP, _THREADS = 0, 1, 2, 3
SIZE = FIELD * (_THREADS + MAX_THREADS)

#: Reasons for an end: the worker stopped responding; the worker was suspended by a signal (SIGSTOP), took too long to end
#: when the server stopped, or ended by an error that is none of its jobs'.
FROZEN, STOPPED = "frozen", "stopped"


class AtWork:
    """The worker's side, which writes the fields.

    When the disk is full, the map is memory that no other process can read.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        if descriptor is not None:
            try:
                # Writes zeros instead of only extending the file: touching a mapped page without a disk block ends the
                # process (SIGBUS).
                os.pwrite(descriptor, bytes(SIZE), 0)
            except OSError:
                descriptor = None
        self._map = mmap.mmap(-1 if descriptor is None else descriptor, SIZE)
        self._free = list(range(_THREADS, _THREADS + MAX_THREADS))
        self._put(_PID, str(os.getpid()).encode())

    def begin_in_thread(self, job_id: str) -> int:
        """Records that the job starts to compute in a thread; returns the index of the field, for `end_in_thread`."""
        place = self._free.pop()
        self._put(place, _field(job_id))
        return place

    def end_in_thread(self, place: int) -> None:
        """Records that the computation has ended; `place` is what `begin_in_thread` returned."""
        self._put(place, b"")
        self._free.append(place)

    def end_without_cause(self) -> None:
        """Records that this process ends for a reason that is none of its jobs, for those who reclaim them."""
        self._put(_VERDICT, _field(STOPPED))

    @property
    def on_loop(self) -> str | None:
        """The id of the job whose task runs on the event loop at this moment, or None."""
        return _text(self._map[_LOOP * FIELD : (_LOOP + 1) * FIELD]) or None

    def watched(self, job_id: str, coroutine: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
        """Wraps the coroutine of one of the job's tasks: while the coroutine executes, the file holds the job's id."""
        return _Watched(self._map, _field(job_id), coroutine)

    def _put(self, place: int, data: bytes) -> None:
        self._map[place * FIELD : (place + 1) * FIELD] = data.ljust(FIELD, b"\0")


class _Watched(Coroutine[Any, Any, Any]):
    """Wraps a coroutine. It is on the hot path: it costs two memory writes each time the event loop resumes
    the task.
    """

    __slots__ = ("_coroutine", "_field", "_map")

    def __init__(self, memory: mmap.mmap, field: bytes, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._map = memory
        self._field = field
        self._coroutine = coroutine

    def send(self, value: Any) -> Any:
        self._map[_LOOP_BEGIN:_LOOP_END] = self._field
        try:
            return self._coroutine.send(value)
        finally:
            self._map[_LOOP_BEGIN:_LOOP_END] = _NOBODY

    def throw(self, *error: Any) -> Any:
        self._map[_LOOP_BEGIN:_LOOP_END] = self._field
        try:
            return self._coroutine.throw(*error)
        finally:
            self._map[_LOOP_BEGIN:_LOOP_END] = _NOBODY

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coroutine.__await__()

    def __getattr__(self, name: str) -> Any:
        """Passes other attributes on: libraries read the name and the state of a task's coroutine."""
        return getattr(self._coroutine, name)


_LOOP_BEGIN, _LOOP_END = _LOOP * FIELD, (_LOOP + 1) * FIELD
_NOBODY = bytes(FIELD)


def give_up(path: Path, pid: int, *, responds: bool = False) -> None:
    """Writes into the lock file of a worker why it is killed: FROZEN when it does not respond, STOPPED when none of its
    jobs is the cause, because it is suspended or `responds`.

    Call it before the kill, while the state of `pid` can still be read. An error of the file system is ignored.
    """
    with contextlib.suppress(OSError), path.open("r+b") as file:
        file.write(_field(STOPPED if responds or is_stopped(pid) else FROZEN))


def suspects_in(descriptor: int) -> frozenset[str] | None:
    """Returns the ids of the jobs that may have ended a worker, from its lock file. None: any of its jobs may have.

    It returns None for a worker that nobody killed through `give_up` (out of memory, `kill -9`), since the job that it
    executed last need not be the cause, and an empty set for a worker that was suspended.
    """
    fields = _fields(descriptor)
    match fields.pop(0) if fields else "":
        case "stopped":
            return frozenset()
        case "frozen":
            return _named(fields)
        case _:
            return None


def suspects_of_silent(descriptor: int) -> frozenset[str] | None:
    """Returns the same as `suspects_in`, for a worker that is alive but does not respond."""
    fields = _fields(descriptor)
    if not fields:
        return None
    pid = fields[_PID]
    return frozenset() if pid.isdigit() and is_stopped(int(pid)) else _named(fields[1:])


def is_stopped(pid: int) -> bool:
    """True when the process is suspended (SIGSTOP, a debugger), from `/proc/PID/stat`.

    False where that file cannot be read.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"
    except (OSError, IndexError):
        return False


def _fields(descriptor: int) -> list[str]:
    """Returns the text of each field; an empty list when the file does not have the expected size."""
    data = os.pread(descriptor, SIZE, 0)
    return [_text(data[at : at + FIELD]) for at in range(0, SIZE, FIELD)] if len(data) == SIZE else []


def _named(fields: list[str]) -> frozenset[str] | None:
    """Returns the job ids in the fields that follow the reason.

    None without any: the blocking code belongs to no recorded job.
    """
    return frozenset(filter(None, fields[_LOOP - 1 :])) or None


def _field(text: str) -> bytes:
    return text.encode()[:FIELD].ljust(FIELD, b"\0")


def _text(field: bytes) -> str:
    return field.rstrip(b"\0").decode(errors="replace")
