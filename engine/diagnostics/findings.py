"""The result of one check: what was checked, what was found, and how to fix it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

#: ok; note: information, no action needed; warn: will become a problem; bad: is a problem.
State = Literal["ok", "note", "warn", "bad"]


class Line(Struct, frozen=True):
    """`name` is the subject of the check, `found` a sentence, `fix` what to do ("" when nothing is needed)."""

    name: str
    state: State
    found: str
    fix: str = ""


def megabytes(count: float) -> str:
    """Formats a number of bytes, for example `410 kB`, `412 MB` or `5.2 GB` (powers of 1000)."""
    if count < 1_000_000:
        return f"{count / 1_000:,.0f} kB"
    mega = count / 1_000_000
    return f"{mega:,.0f} MB" if mega < 1_000 else f"{mega / 1_000:,.1f} GB"
