"""The garbage collector of a process that serves or runs jobs."""

from __future__ import annotations

import gc

#: New containers between two collections of the youngest ones. Python's own number (700) makes a collection every few
#: jobs, which finds nothing: reference counting has freed what a job used.
_YOUNG = 20_000


def collect_garbage_seldom() -> None:
    """Leaves out what exists now, which lives until the end of the process, and collects the rest less often."""
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 20)
    gc.enable()
