"""One line of a check: what was looked at, what was found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: ok; note: nothing to do, but good to know; warn: will be a problem; bad: is one.
State = Literal["ok", "note", "warn", "bad"]


@dataclass(frozen=True)
class Line:
    """`name` says what was looked at, `found` is a sentence, `fix` what to do ("" when there is nothing)."""

    name: str
    state: State
    found: str
    fix: str = ""


def megabytes(count: float) -> str:
    """`410 kB`, `412 MB` or `5.2 GB`."""
    if count < 1_000_000:
        return f"{count / 1_000:,.0f} kB"
    mega = count / 1_000_000
    return f"{mega:,.0f} MB" if mega < 1_000 else f"{mega / 1_000:,.1f} GB"
