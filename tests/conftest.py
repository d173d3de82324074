"""What holds for every test."""

from __future__ import annotations

from typing import Any


def pytest_make_parametrize_id(config: Any, val: Any, argname: str) -> str | None:
    """Bytes are named by their length: files run side by side need names that do not change (gzip writes the time)."""
    return f"{argname} of {len(val)} bytes" if isinstance(val, bytes) else None
