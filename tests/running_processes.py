"""Whether a process of the system still runs."""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


def is_running(pid: int) -> bool:
    """True until the process has ended, also when nobody has asked for its exit status yet. It may end while this reads."""
    try:
        os.kill(pid, 0)
        return not _PROC.exists() or (_PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
