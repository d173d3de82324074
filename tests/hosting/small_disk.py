"""A data folder on a disk that can be filled.

It is a small file system, or a limit on the size of the server's files where none may be mounted.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.live_server import LiveServer

MEGABYTES = 96


@dataclass
class SmallDisk:
    """`fill` uses up all space until writing fails, `free` releases it."""

    folder: Path
    mounted: bool

    def fill(self, server: LiveServer) -> None:
        """Fills the disk. Called again, it fills what was freed meanwhile."""
        if not self.mounted:
            for pid in processes_of(server):
                _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (4_096, hard))
            return
        with (self.folder / "filler").open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 65_536)
        with (self.folder / "filler-2").open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 512)

    def free(self, server: LiveServer) -> None:
        """Releases the space."""
        if not self.mounted:
            for pid in processes_of(server):
                _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
            return
        for name in ("filler", "filler-2"):
            (self.folder / name).unlink()


def processes_of(server: LiveServer) -> list[int]:
    """Returns the server and its worker."""
    assert server.process is not None
    mine = [server.process.pid]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                if fields[0] != "Z" and int(fields[1]) == server.process.pid:
                    mine.append(int(entry.name))
    return mine


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """A disk that exists during the `with` block."""
    folder.mkdir()
    mounted = False
    if os.getuid() == 0:
        command = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "none", str(folder)]
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield SmallDisk(folder, mounted)
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)
