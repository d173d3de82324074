"""Free space on the disk of the data folder, for the checks, `/readyz` and the gauge in Settings → Data."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

from msgspec import Struct

MIB = 1 << 20


class Disk(Struct, frozen=True):
    """Size of the disk that holds the data folder, in bytes."""

    total: int
    free: int

    @property
    def state(self) -> Literal["ok", "low", "full"]:
        """Classifies the free space.

        "full": writes can fail at any moment. "low": less than 1 GiB or a tenth of the disk is free, whichever is
        smaller.
        """
        if self.free < min(64 * MIB, self.total // 20):
            return "full"
        return "low" if self.free < min(1024 * MIB, self.total // 10) else "ok"


def read_disk(data: Path) -> Disk:
    """Reads the size and free space of the folder's disk. Raises OSError."""
    usage = shutil.disk_usage(data)
    return Disk(usage.total, usage.free)


def folder_size(data: Path, name: str = "") -> int:
    """Returns the total size in bytes of the files in the data folder or one of its subfolders; unreadable files are
    left out.
    """
    total = 0
    for path in (data / name).rglob("*"):
        try:
            total += 0 if path.is_dir() else path.lstat().st_size
        except OSError:
            continue
    return total
