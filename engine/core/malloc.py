"""How the C library keeps freed memory. Only glibc has these functions; elsewhere they do nothing."""

from __future__ import annotations

import contextlib
import ctypes

#: glibc's constant for the number of memory arenas (malloc.h).
_M_ARENA_MAX = -8
_C = ctypes.CDLL(None)


def share_among_threads() -> None:
    """Limits glibc to two memory arenas instead of eight per core, because each keeps the most memory that it ever
    needed.
    """
    with contextlib.suppress(AttributeError):
        _C.mallopt(_M_ARENA_MAX, 2)


def give_back() -> None:
    """Returns free memory to the system. It takes some milliseconds, without the interpreter lock."""
    with contextlib.suppress(AttributeError):
        _C.malloc_trim(0)
