"""The recorded calls are read, and files are rebuilt from them, as a disk would hold them after a power cut."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.disk_trace import SECTOR, Call, Disk, read_trace

pytestmark = pytest.mark.chaos

TRACE = rb"""7 100.000000001 pwrite64(3</d/f.db>, "a\0b\"\n\177", 6, 4) = 6 <0.000000005>
8 100.000000010 fdatasync(3</d/f.db> <unfinished ...>
7 100.000000020 pwrite64(3</d/f.db>, "x", 1, 0 <unfinished ...>
8 100.000000030 <... fdatasync resumed>) = 0 <0.000000020>
7 100.000000040 <... pwrite64 resumed>) = 1 <0.000000020>
7 100.000000050 ftruncate(3</d/f.db>, 2) = 0 <0.000000001>
7 100.000000060 unlink("/d/f.db-wal") = -1 ENOENT (No such file or directory) <0.000000001>
7 100.000000070 +++ killed by SIGKILL +++
"""
AT = 100 * 10**9


def test_calls_are_read_with_their_begin_and_end(tmp_path: Path) -> None:
    (tmp_path / "trace").write_bytes(TRACE)
    assert read_trace(tmp_path / "trace") == [
        Call("write", "/d/f.db", AT + 1, AT + 6, 4, b'a\0b"\n\x7f'),
        Call("sync", "/d/f.db", AT + 10, AT + 30),
        Call("write", "/d/f.db", AT + 20, AT + 40, 0, b"x"),
        Call("length", "/d/f.db", AT + 50, AT + 51, 2),
    ]


@pytest.mark.parametrize("line", [b"nonsense", b"7 1.000000001 pwritev(3</d/f.db>, [], 0, 0) = 6 <0.000000005>"])
def test_a_call_that_is_not_understood_is_an_error(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "trace").write_bytes(line + b"\n")
    with pytest.raises(ValueError, match="not understood"):
        read_trace(tmp_path / "trace")


def test_a_write_is_on_the_disk_once_a_sync_that_began_after_it_has_ended() -> None:
    early, late = Call("write", "f", 1, 2, 0, b"early"), Call("write", "f", 4, 7, 0, b"later")
    for at, only_synced in ((5, b""), (6, b"early"), (20, b"early")):
        disk = Disk([early, Call("sync", "f", 3, 6), late])
        assert disk.cut(at, random.Random(1), only_synced=True).get("f") == only_synced
    assert Disk([early, Call("sync", "f", 3, 6), late]).end() == {"f": b"later"}


def test_what_was_not_synced_is_there_in_any_part() -> None:
    first, second = b"1" * 2 * SECTOR, b"2" * 2 * SECTOR
    seen = Counter()
    for seed in range(200):
        disk = Disk(
            [Call("write", "f", 1, 2, 0, first), Call("write", "f", 3, 4, 0, second)], {"f": bytearray(2 * SECTOR)}
        )
        content = disk.cut(9, random.Random(seed))["f"]
        assert len(content) == 2 * SECTOR
        seen[content[0], content[SECTOR]] += 1
    assert len(seen) == 9, "each sector is as before, or as after the first or the second write"


def test_a_length_that_was_not_synced_has_changed_or_not() -> None:
    lengths = set()
    for seed in range(50):
        disk = Disk([Call("length", "f", 1, 2, 3)], {"f": bytearray(8)})
        lengths.add(len(disk.cut(9, random.Random(seed))["f"]))
    assert lengths == {3, 8}
