"""The first worker of a server begins as a copy of the server's process (`fork`), taken when both have imported the same
modules and nothing else has happened: no thread, no open file, no connection.

The system keeps one copy of what neither changes, a fifth of the memory of both, and the worker imports nothing itself.
Workers that replace it are started as new processes. Only on Linux: on macOS system libraries do not bear a fork.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import IO

from msgspec import Struct


class CopiedProcess:
    """A child process that was copied; what `Supervisor` uses of `subprocess.Popen`."""

    def __init__(self, pid: int, stdin: IO[bytes], stdout: IO[bytes], stderr: IO[bytes]) -> None:
        self.pid = pid
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr
        self._code: int | None = None
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Returns the exit code, negative for a signal, or None while the process runs."""
        with self._lock:
            if self._code is None:
                try:
                    pid, status = os.waitpid(self.pid, os.WNOHANG)
                except ChildProcessError:  # somebody else took its exit code
                    self._code = 0
                else:
                    self._code = os.waitstatus_to_exitcode(status) if pid else None
            return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Returns the exit code when the process has ended. Raises subprocess.TimeoutExpired."""
        until = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if until is not None and time.monotonic() >= until:
                raise subprocess.TimeoutExpired("worker", timeout or 0.0)
            time.sleep(0.02)
        return code

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Sends SIGKILL, unless the process has ended."""
        self.send_signal(signal.SIGKILL)

    def begin(self, environment: Mapping[str, str]) -> None:
        """Lets the copy become a worker with these environment variables beside those that this process had."""
        self.stdin.write(json.dumps(dict(environment)).encode() + b"\n")


class Copy(Struct, frozen=True):
    """The other side: this process is the copy, and waits."""

    def environment(self) -> dict[str, str] | None:
        """Returns the environment variables to add as soon as the worker is to begin; None when the server has ended."""
        line = b""
        while not line.endswith(b"\n"):  # not one byte more, since the worker's commands follow
            if not (byte := os.read(0, 1)):
                return None
            line += byte
        return json.loads(line)


def can_copy() -> bool:
    """Whether this process can be copied: on Linux, while it has one thread."""
    return sys.platform == "linux" and threading.active_count() == 1


def copy_process() -> CopiedProcess | Copy:
    """Copies this process. Returns the child in the parent, and a Copy in the child, whose standard input, output and error
    are pipes to the parent.
    """
    pipes = [os.pipe() for _ in range(3)]
    gc.freeze()  # the collector writes into each object that it looks at, which would then be held twice
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    (stdin, to_child), (from_child, stdout), (errors, stderr) = pipes
    if pid == 0:
        for number, descriptor in enumerate((stdin, stdout, stderr)):
            os.dup2(descriptor, number)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # also those that the server inherited, like its listening socket
        return Copy()
    for descriptor in (stdin, stdout, stderr):
        os.close(descriptor)
    opened = os.fdopen(to_child, "wb", 0), os.fdopen(from_child, "rb", 0), os.fdopen(errors, "rb", 0)
    return CopiedProcess(pid, *opened)
