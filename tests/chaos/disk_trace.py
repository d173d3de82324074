"""What processes wrote to files and synced, as strace recorded it, and what of it is on the disk after a power cut.

A copy of a folder shows nothing about power cuts, because it is read from the page cache. Here a file is rebuilt from
the recorded calls. What was written before an fsync or fdatasync began that has ended by the moment of the cut is on
the disk. Of everything later any part may be there: each sector of 512 bytes has its content as of any moment since,
and each change of the length has happened or not.
"""

from __future__ import annotations

import codecs
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SECTOR, PAGE = 512, 4096
#: Every call by which a process can change a file, so that one which is not understood here is noticed.
CALLS = (
    "pwrite64,pwritev,pwritev2,write,writev,ftruncate,truncate,fallocate,fsync,fdatasync,sync_file_range,"
    "unlink,unlinkat,rename,renameat,renameat2,copy_file_range,sendfile,msync"
)
#: Calls that make earlier writes to the same file durable.
SYNCS = {"fsync", "fdatasync"}
NEVER = 1 << 62

_LINE = re.compile(rb"^(\d+) +(\d+)\.(\d{9}) (.*)$")
_WHOLE = re.compile(rb"^(\w+)\((.*)\) += (-?\d+)(?: \w+ \([^)]*\))? <(\d+)\.(\d{9})>$", re.DOTALL)
_BEGUN = re.compile(rb"^(\w+)\((.*) <unfinished \.\.\.>$", re.DOTALL)
_RESUMED = re.compile(rb"^<\.\.\. (\w+) resumed>(.*)\) += (-?\d+)(?: \w+ \([^)]*\))? <[\d.]+>$", re.DOTALL)
_FILE = re.compile(rb"^\d+<([^>]*)>(?:, )?", re.DOTALL)
_WRITE = re.compile(rb'^"(.*)", \d+, (\d+)$', re.DOTALL)


def under_strace(output: Path, files: Iterable[Path]) -> tuple[str, ...]:
    """Returns the words before a command that record its calls, and those of its children, on these files."""
    named = [word for file in files for word in ("-P", str(file))]
    times = ("--absolute-timestamps=format:unix,precision:ns", "--syscall-times=ns")
    return ("strace", "-f", "--seccomp-bpf", "-y", "-qq", "-s", "10000000", *times, *named, "-e", f"trace={CALLS}",
            "-e", "signal=none", "-o", str(output), "--")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """A call on a file: a write (`data` at `offset`), a change of the length to `offset`, or a sync. Nanoseconds since
    1970.
    """

    kind: str
    file: str
    begun: int
    ended: int
    offset: int = 0
    data: bytes = b""


def read_trace(trace: Path) -> list[Call]:
    """Returns the successful calls in the order in which they began. Raises ValueError for one that is not understood."""
    calls: list[Call] = []
    unfinished: dict[bytes, tuple[int, bytes, bytes]] = {}
    with trace.open("rb") as lines:
        for line in lines:
            match = _LINE.match(line.rstrip(b"\n"))
            if match is None:
                raise ValueError(f"not understood: {line[:200]!r}")
            pid, at, said = match[1], int(match[2]) * 10**9 + int(match[3]), match[4]
            if whole := _WHOLE.match(said):
                ended = at + int(whole[4]) * 10**9 + int(whole[5])
                calls += _call(whole[1], whole[2], int(whole[3]), at, ended)
            elif begun := _BEGUN.match(said):
                unfinished[pid] = at, begun[1], begun[2]
            elif resumed := _RESUMED.match(said):
                begun_at, name, arguments = unfinished.pop(pid)
                calls += _call(name, arguments + resumed[2], int(resumed[3]), begun_at, at)
            elif not said.startswith((b"+++", b"---")):
                raise ValueError(f"not understood: {said[:200]!r}")
    for at, name, arguments in unfinished.values():
        calls += _call(name, arguments, 0, at, NEVER)
    return sorted(calls, key=lambda call: call.begun)


def _call(name: bytes, arguments: bytes, returned: int, begun: int, ended: int) -> Iterator[Call]:
    if returned < 0:
        return
    if name == b"unlink":
        # A new file of that name begins empty; its first sync makes that durable, as SQLite then syncs the folder too.
        yield Call("length", arguments.strip(b'"').decode(), begun, ended)
        return
    file = _FILE.match(arguments)
    if file is None:
        raise ValueError(f"not understood: {name!r} {arguments[:200]!r}")
    rest = arguments[file.end() :]
    kind, path = name.decode(), file[1].decode()
    if kind in SYNCS:
        yield Call("sync", path, begun, ended)
    elif kind == "ftruncate":
        yield Call("length", path, begun, ended, int(rest))
    elif kind == "pwrite64" and (write := _WRITE.match(rest)):
        data, _ = codecs.escape_decode(write[1])
        assert isinstance(data, bytes)
        if ended != NEVER and len(data) != returned:
            raise ValueError(f"{len(data)} bytes were given and {returned} written")
        yield Call("write", path, begun, ended, int(write[2]), data)
    else:
        raise ValueError(f"not understood: {name!r} {arguments[:200]!r}")


@dataclass
class Disk:
    """The files of a trace as they are on the disk, at moments that only go forward."""

    calls: Sequence[Call]
    #: What was on the disk before the trace.
    files: dict[str, bytearray] = field(default_factory=dict)
    _next: int = 0
    _pending: list[Call] = field(default_factory=list)
    _syncs: list[Call] = field(default_factory=list)

    def cut(self, at: int, dice: random.Random, *, only_synced: bool = False) -> dict[str, bytes]:
        """Returns the files after a power cut at this moment. `only_synced`: nothing of the rest was written."""
        self._go_to(at)
        found = {name: bytearray(content) for name, content in self.files.items()}
        choice = (SECTOR, 0.0, 1.0) if only_synced else _choice(dice)
        for name in sorted({call.file for call in self._pending}):
            pending = [call for call in self._pending if call.file == name]
            _apply_part(found.setdefault(name, bytearray()), pending, choice, dice)
        return {name: bytes(content) for name, content in found.items()}

    def end(self) -> dict[str, bytes]:
        """Returns the files with everything that was written: what the page cache holds at last."""
        self._go_to(NEVER)
        found = {name: bytearray(content) for name, content in self.files.items()}
        for call in self._pending:
            _apply(found.setdefault(call.file, bytearray()), call)
        return {name: bytes(content) for name, content in found.items()}

    def _go_to(self, at: int) -> None:
        while self._next < len(self.calls) and self.calls[self._next].begun <= at:
            call = self.calls[self._next]
            (self._syncs if call.kind == "sync" else self._pending).append(call)
            self._next += 1
        durable: dict[str, int] = {}
        for sync in self._syncs:
            if sync.ended <= at:
                durable[sync.file] = max(sync.begun, durable.get(sync.file, 0))
        self._syncs = [sync for sync in self._syncs if sync.ended > at]
        kept = []
        for call in self._pending:
            if call.ended <= durable.get(call.file, -1):
                _apply(self.files.setdefault(call.file, bytearray()), call)
            else:
                kept.append(call)
        self._pending = kept


def _apply(content: bytearray, call: Call) -> None:
    if call.kind == "length":
        _set_length(content, call.offset)
    else:
        _put(content, call.offset, call.data)


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        _set_length(content, offset)
    content[offset : offset + len(data)] = data


def _set_length(content: bytearray, length: int) -> None:
    if length < len(content):
        del content[length:]
    else:
        content.extend(bytes(length - len(content)))


def _choice(dice: random.Random) -> tuple[int, float, float]:
    """Returns how a cut chooses: the unit that is written as one, and the shares of units of which everything and
    nothing was written. The rest is at any moment between.
    """
    unit = dice.choice((SECTOR, PAGE))
    everything, nothing = dice.choice(
        ((0.0, 1.0), (1.0, 0.0), (0.5, 0.5), (0.9, 0.1), (0.1, 0.9), (0.98, 0.01), (0.3, 0.3))
    )
    return unit, everything, nothing


def _apply_part(
    content: bytearray, pending: Sequence[Call], choice: tuple[int, float, float], dice: random.Random
) -> None:
    """Applies a part of the calls: for each unit those up to a moment of its own."""
    unit, everything, nothing = choice
    touched: dict[int, int] = {}
    for call in pending:
        for place, _, _ in _pieces(call, unit):
            touched[place] = touched.get(place, 0) + 1
    reached = {place: _moment(count, everything, nothing, dice) for place, count in touched.items()}
    passed = dict.fromkeys(touched, 0)
    for call in pending:
        if call.kind == "length" and dice.random() < 0.5:
            _set_length(content, call.offset)
        for place, offset, data in _pieces(call, unit):
            if passed[place] < reached[place]:
                _put(content, offset, data)
            passed[place] += 1


def _moment(count: int, everything: float, nothing: float, dice: random.Random) -> int:
    drawn = dice.random()
    if drawn < everything:
        return count
    return 0 if drawn < everything + nothing else dice.randint(0, count)


def _pieces(call: Call, unit: int) -> Iterator[tuple[int, int, bytes]]:
    """Splits a write at the borders of units: (number of the unit, offset, data)."""
    at, left = call.offset, call.data
    while left:
        size = min(len(left), unit - at % unit)
        yield at // unit, at, left[:size]
        at, left = at + size, left[size:]
