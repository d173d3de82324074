"""What the C library does with memory that a process asked for. Only glibc can be told; elsewhere these do nothing."""

from __future__ import annotations

import contextlib
import ctypes

#: Its name for the number of places where memory is kept for threads (malloc.h).
_M_ARENA_MAX = -8
_C = ctypes.CDLL(None)


def share_among_threads() -> None:
    """Two places where memory is kept for threads, not eight a core: each would keep the most it ever needed."""
    with contextlib.suppress(AttributeError):
        _C.mallopt(_M_ARENA_MAX, 2)


def give_back() -> None:
    """Returns to the system what is free. Takes some milliseconds, without holding Python's lock."""
    with contextlib.suppress(AttributeError):
        _C.malloc_trim(0)
