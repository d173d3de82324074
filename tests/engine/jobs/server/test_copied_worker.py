"""A process that copies itself, as a server does for its first worker. Each runs in a process of its own, because pytest has
threads.
"""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests.live_server import ROOT
from tests.running_processes import is_running

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform != "linux", reason="Processes are copied on Linux only."),
]

_BEGIN = """
import os, signal, sys, threading
from engine.jobs.server.copied_worker import Copy, can_copy, copy_process
from engine.jobs.server.end_of_process import EndOfProcess

inherited = os.open(os.devnull, os.O_RDONLY)
assert can_copy()
copied = copy_process()
"""


def result_of(program: str) -> str:
    """Runs a program that begins with a copy; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", _BEGIN + program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_copy_begins_with_its_variables_reads_what_follows_and_ends_with_its_code():
    said = result_of(
        """
if isinstance(copied, Copy):
    added = copied.environment()
    print(added["WORD"], sys.stdin.readline().strip(), *sorted(os.listdir("/proc/self/fd"))[:3], flush=True)
    print("a warning", file=sys.stderr)
    os.fstat(inherited)
copied.begin({"WORD": "hello"})
copied.stdin.write(b"wake\\n")
with EndOfProcess(copied) as end:
    print(end.wait(30))
print(copied.stdout.read().decode().strip(), copied.poll(), copied.wait(), copied.wait(1))
errors = copied.stderr.read().decode()
print("a warning" in errors, "Bad file descriptor" in errors)
"""
    )
    assert said.splitlines() == ["True", "hello wake 0 1 2 1 1 1", "True True"]


def test_a_copy_that_is_killed_is_told_as_such():
    said = result_of(
        """
if isinstance(copied, Copy):
    copied.environment()
    sys.exit()
print(copied.poll())
copied.kill()
print(copied.wait(), copied.poll())
copied.send_signal(signal.SIGTERM)  # it has ended
thread = threading.Thread(target=signal.pause, daemon=True)
thread.start()
print(can_copy())
"""
    )
    assert said.splitlines() == ["None", "-9 -9", "False"]


def test_a_copy_ends_with_its_server():
    pid = int(
        result_of(
            """
if isinstance(copied, Copy):
    sys.exit(0 if copied.environment() is None else 1)
print(copied.pid, flush=True)
"""
        )
    )
    until = time.monotonic() + 30
    while is_running(int(pid)):
        assert time.monotonic() < until
        time.sleep(0.02)
