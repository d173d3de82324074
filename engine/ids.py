"""Ids: a prefix that says what it is, and 130 random bits in base62 (security.md S17)."""

from __future__ import annotations

import secrets
import string
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


def random_base62(length: int) -> str:
    """`length` characters drawn by the system's secure generator."""
    number = secrets.randbelow(62**length)  # drawn at once: a draw for each character takes five times as long
    characters = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        characters.append(BASE62[digit])
    return "".join(characters)
