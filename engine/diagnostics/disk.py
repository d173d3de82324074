"""How much room the data folder's disk has: for the checks, `/readyz`, and the gauge of Settings, Data."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MIB = 1 << 20


@dataclass(frozen=True)
class Disk:
    """Bytes of the disk the data folder is on."""

    total: int
    free: int

    @property
    def state(self) -> Literal["ok", "low", "full"]:
        """full: writing fails any moment. low: below 1 GiB or a tenth, whichever is less."""
        if self.free < min(64 * MIB, self.total // 20):
            return "full"
        return "low" if self.free < min(1024 * MIB, self.total // 10) else "ok"


def read_disk(data: Path) -> Disk:
    """Raises OSError."""
    usage = shutil.disk_usage(data)
    return Disk(usage.total, usage.free)


def folder_size(data: Path, name: str = "") -> int:
    """Bytes of all files in a folder of the data folder, as far as they can be seen."""
    total = 0
    for path in (data / name).rglob("*"):
        try:
            total += 0 if path.is_dir() else path.lstat().st_size
        except OSError:
            continue
    return total
