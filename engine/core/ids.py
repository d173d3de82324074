"""Ids: a prefix for the kind of object, then at least 120 random bits in base62, so that ids cannot be guessed."""

from __future__ import annotations

import os
import re
import string
import threading
import time
from typing import NewType

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase

WorkspaceId = NewType("WorkspaceId", str)
UserId = NewType("UserId", str)
FlowId = NewType("FlowId", str)
JobId = NewType("JobId", str)
KeyId = NewType("KeyId", str)
NodeId = NewType("NodeId", str)


def new_id(prefix: str) -> str:
    """Returns `prefix_` and 22 random base62 characters (131 bits)."""
    return f"{prefix}_{random_base62(22)}"


#: The form of a flow's id.
FLOW_ID = re.compile(r"flow_[0-9A-Za-z]{22}")
#: The form of a file's id.
FILE_ID = re.compile(r"file_[0-9A-Za-z]{22}")


def file_ids_in(text: str) -> set[str]:
    """Returns the ids of files that stand in a text."""
    return set(FILE_ID.findall(text)) if "file_" in text else set()


def new_job_id() -> JobId:
    """Returns `job_`, 7 base62 characters for the time in hundredths of a second, and 21 random ones (125 bits).

    Jobs of one moment stand side by side in every index that begins with the id, so that those that are accepted or end
    together change few pages of it.
    """
    left, digits = time.time_ns() // _TICK_NS, ""
    for _ in range(7):
        left, digit = divmod(left, len(BASE62))
        digits = BASE62[digit] + digits
    return JobId(f"job_{digits}{random_base62(21)}")


_TICK_NS = 10_000_000
#: Maps random bytes to characters with equal probability: 248 is 4 times 62, and larger bytes are rejected.
_AS_BASE62 = bytes(ord(BASE62[byte % 62]) for byte in range(256))
_REJECTED = bytes(range(248, 256))


def random_base62(length: int) -> str:
    """Returns `length` random characters from the operating system's secure generator."""
    with _POOL_LOCK:
        while len(_POOL) < length:
            _POOL.extend(os.urandom(_DRAWN).translate(_AS_BASE62, _REJECTED))
        found = _POOL[-length:].decode()
        del _POOL[-length:]
    return found


def _forget() -> None:
    """Empties the pool in the child process of a fork, which would make the same ids, and releases the lock, which was
    taken before the fork.
    """
    _POOL.clear()
    _POOL_LOCK.release()


#: Random characters that are not used yet. A system call for every id would release the interpreter lock and wait for
#: it again.
_POOL = bytearray()
_POOL_LOCK = threading.Lock()
_DRAWN = 4_096
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_POOL_LOCK.acquire, after_in_parent=_POOL_LOCK.release, after_in_child=_forget)
