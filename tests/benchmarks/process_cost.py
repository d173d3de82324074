"""What a server and its workers use: CPU time and memory, read from /proc."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_of_both(server: int) -> tuple[float, float]:
    """Returns the seconds of CPU time of a server process, and of all processes it has started."""
    own, ended = _cpu(server)
    return own, ended + sum(sum(_cpu(pid)) for pid in descendants(server))


def cpu(pid: int) -> float:
    """Returns the seconds of CPU time of one process."""
    return _cpu(pid)[0]


def memory_of_both(server: int) -> tuple[float, float]:
    """Returns the memory of a server process and of all it has started, in KiB; shared pages count in parts (Pss)."""
    return _pss(server), sum(_pss(pid) for pid in descendants(server))


def descendants(pid: int) -> list[int]:
    """Returns the processes that this one and its children have started, and that live."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
    found, fresh = [], [pid]
    while fresh:
        fresh = [child for child, parent in parents.items() if parent in fresh]
        found += fresh
    return found


def _cpu(pid: int) -> tuple[float, float]:
    """Returns the CPU time of a process, and that of its children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0, 0.0
    user, system, ended_user, ended_system = (int(field) for field in fields[11:15])
    return (user + system) / TICKS, (ended_user + ended_system) / TICKS


def _pss(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return float(line.split()[1])
    return 0.0
