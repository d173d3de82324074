"""Ids: a prefix that says what it is, and 130 random bits in base62 (security.md S17)."""

from __future__ import annotations

import os
import string
import threading
from typing import NewType

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase

WorkspaceId = NewType("WorkspaceId", str)
UserId = NewType("UserId", str)
FlowId = NewType("FlowId", str)
JobId = NewType("JobId", str)
KeyId = NewType("KeyId", str)
NodeId = NewType("NodeId", str)


def new_id(prefix: str) -> str:
    """`prefix_` and 22 random base62 characters (131 bits)."""
    return f"{prefix}_{random_base62(22)}"


#: Random bytes as characters, all equally likely: 248 is 4 times 62, and the bytes above are thrown away.
_AS_BASE62 = bytes(ord(BASE62[byte % 62]) for byte in range(256))
_REJECTED = bytes(range(248, 256))


def random_base62(length: int) -> str:
    """`length` characters drawn by the system's secure generator."""
    with _POOL_LOCK:
        while len(_POOL) < length:
            _POOL.extend(os.urandom(_DRAWN).translate(_AS_BASE62, _REJECTED))
        found = _POOL[-length:].decode()
        del _POOL[-length:]
    return found


def _forget() -> None:
    """A copy of this process must not draw the same ids."""
    _POOL.clear()
    _POOL_LOCK.release()


#: Drawn and not used yet. A call of the system for every id lets another thread in and waits until it is done.
_POOL = bytearray()
_POOL_LOCK = threading.Lock()
_DRAWN = 4_096
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_POOL_LOCK.acquire, after_in_parent=_POOL_LOCK.release, after_in_child=_forget)
