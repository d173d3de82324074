"""Waiting for the end of a process with a time limit. `Popen.wait` looks up to twenty times a second while it waits; Linux
can wake the caller instead.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from typing import Self

from engine.jobs.server.copied_worker import CopiedProcess


class EndOfProcess:
    """Waits for the end of one process; used as a context manager, by one thread."""

    def __init__(self, process: subprocess.Popen[bytes] | CopiedProcess) -> None:
        self._process = process
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        if sys.platform == "linux" and self._process.poll() is None:
            with contextlib.suppress(OSError):  # it has ended, or there are no descriptors or no such call
                self._descriptor = os.pidfd_open(self._process.pid)
        return self

    def __exit__(self, *_error: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def wait(self, seconds: float) -> bool:
        """Returns True as soon as the process has ended, False after `seconds`."""
        if self._descriptor is None:
            try:
                self._process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                return False
            return True
        end = select.poll()
        end.register(self._descriptor, select.POLLIN)
        if not end.poll(seconds * 1_000):
            return False
        self._process.wait()
        return True
