"""Whose code a worker process executes at this moment, kept where it can be read after the process was ended from outside.

The worker maps its lock file (`engine.jobs.worker_locks`) into memory and names there the job whose task runs on the event loop and the
jobs that compute in threads. A worker whose interpreter is held cannot say anything any more; the file still can. Whoever gives
the worker up writes down why before it kills it, and whoever takes the jobs reads who may be the cause.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Coroutine, Generator
from pathlib import Path
from typing import Any

#: Bytes of a field: a job id is shorter.
FIELD = 32
#: Threads that can be named at a time.
MOST_THREADS = 64
#: Fields: why it was given up, its process id, the job on the loop, and then one for each thread.
_VERDICT, _PID, _LOOP, _THREADS = 0, 1, 2, 3
SIZE = FIELD * (_THREADS + MOST_THREADS)

#: Given up because nothing came from it any more; and the same of a process that somebody had stopped (SIGSTOP).
FROZEN, STOPPED = "frozen", "stopped"


class AtWork:
    """The worker's own side. Without room on the disk it is memory of this process alone, and nothing can be read later."""

    def __init__(self, descriptor: int | None = None) -> None:
        if descriptor is not None:
            try:
                # Written, not only made long: a page without room behind it would end the process when it is touched.
                os.pwrite(descriptor, bytes(SIZE), 0)
            except OSError:
                descriptor = None
        self._map = mmap.mmap(-1 if descriptor is None else descriptor, SIZE)
        self._free = list(range(_THREADS, _THREADS + MOST_THREADS))
        self._put(_PID, str(os.getpid()).encode())

    def begin_in_thread(self, job_id: str) -> int:
        """This job computes in a thread from now on; returns its place for `end_in_thread`."""
        place = self._free.pop()
        self._put(place, _field(job_id))
        return place

    def end_in_thread(self, place: int) -> None:
        """It is through."""
        self._put(place, b"")
        self._free.append(place)

    @property
    def on_loop(self) -> str | None:
        """The job whose task runs on the loop now."""
        return _text(self._map[_LOOP * FIELD : (_LOOP + 1) * FIELD]) or None

    def watched(self, job_id: str, coroutine: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
        """The coroutine of a task of this job: the job is named each time it runs, until it waits again."""
        return _Watched(self._map, _field(job_id), coroutine)

    def _put(self, place: int, data: bytes) -> None:
        self._map[place * FIELD : (place + 1) * FIELD] = data.ljust(FIELD, b"\0")


class _Watched(Coroutine[Any, Any, Any]):
    """On the hot path: two writes into memory each time a task goes on."""

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
        """Libraries ask a task's coroutine for its name and its state."""
        return getattr(self._coroutine, name)


_LOOP_BEGIN, _LOOP_END = _LOOP * FIELD, (_LOOP + 1) * FIELD
_NOBODY = bytes(FIELD)


def give_up(path: Path, pid: int) -> None:
    """Writes into the lock file of a worker that says nothing any more why it is killed now. Call it before the kill."""
    with contextlib.suppress(OSError), path.open("r+b") as file:
        file.write(_field(STOPPED if is_stopped(pid) else FROZEN))


def suspects_in(descriptor: int) -> frozenset[str] | None:
    """The jobs that may have ended a worker, from its lock file. None: every job that it had.

    A worker that died by itself (out of memory, killed) leaves no hint: what it executed need not be the cause.
    """
    fields = _fields(descriptor)
    match fields.pop(0) if fields else "":
        case "stopped":
            return frozenset()
        case "frozen":
            return _named(fields)
    return None


def suspects_of_silent(descriptor: int) -> frozenset[str] | None:
    """The same of a worker that still lives but says nothing."""
    fields = _fields(descriptor)
    if not fields:
        return None
    pid = fields[_PID]
    return frozenset() if pid.isdigit() and is_stopped(int(pid)) else _named(fields[1:])


def is_stopped(pid: int) -> bool:
    """True when somebody stopped this process (SIGSTOP, a debugger). Where the system does not say, False."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"
    except (OSError, IndexError):
        return False


def _fields(descriptor: int) -> list[str]:
    """What stands in the file; nothing when it is not of this shape."""
    data = os.pread(descriptor, SIZE, 0)
    return [_text(data[at : at + FIELD]) for at in range(0, SIZE, FIELD)] if len(data) == SIZE else []


def _named(fields: list[str]) -> frozenset[str] | None:
    """Jobs in the fields after the verdict. Nobody is named: the cause is work for a job that no field tells of."""
    return frozenset(filter(None, fields[_LOOP - 1 :])) or None


def _field(text: str) -> bytes:
    return text.encode()[:FIELD].ljust(FIELD, b"\0")


def _text(field: bytes) -> str:
    return field.rstrip(b"\0").decode(errors="replace")
