"""The standard streams of a server or worker never fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.core.standard_streams import DroppingFile

PROGRAM = """
import os, sys
from engine.core.standard_streams import open_standard_streams
open_standard_streams()
for number in range(3_000):
    print("a line", flush=True)
    print("a line", file=sys.stderr)
assert os.open(os.devnull, os.O_RDONLY) > 2, "it would get what is meant for the log"
sys.exit(7)
"""


@pytest.mark.process
@pytest.mark.parametrize("where", [">/dev/full 2>&1", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_process_whose_lines_nobody_takes_ends_with_its_own_exit_code(where: str) -> None:
    command = ["sh", "-c", f'exec "$0" -c "$1" {where}', sys.executable, PROGRAM]
    assert subprocess.run(command, check=False).returncode == 7


def test_the_line_after_one_that_was_cut_begins_on_a_line_of_its_own(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    pipe = os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK)
    lines = DroppingFile(pipe)
    long = b"x" * (1 << 20) + b"\n"
    assert lines.write(long) == len(long)  # more than the pipe takes
    assert lines.write(b"dropped\n") == 8
    taken = os.read(pipe, 1 << 20)
    assert taken == b"x" * len(taken)

    lines.write(b"next\n")
    lines.write(b"last\n")

    assert os.read(pipe, 100) == b"\nnext\nlast\n"
    os.close(pipe)
