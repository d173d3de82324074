"""Numbers with what they count, for sentences."""

from __future__ import annotations


def counted(number: int, unit: str) -> str:
    """Returns `1 page` or `12 pages`."""
    return f"1 {unit}" if number == 1 else f"{number:,} {unit}s"
