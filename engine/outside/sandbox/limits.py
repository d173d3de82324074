"""What one call of an evaluator may take (security.md S5, S6, S8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["templates", "pages"]


@dataclass(frozen=True)
class Limits:
    """Seconds, bytes of address space, of what is asked and of what is answered (both as JSON); calls until it is replaced."""

    seconds: float
    memory: int
    input: int
    output: int
    calls: int


SECONDS = 2.0
MEMORY = 400 << 20
OUTPUT = 1 << 20
DEPTH = 64
#: Data that a template may name, as JSON.
INPUT = 16 << 20
#: A process is replaced after so many renderings.
CALLS = 500

LIMITS: dict[Kind, Limits] = {
    "templates": Limits(SECONDS, MEMORY, INPUT, OUTPUT, CALLS),
    # A page of 3 MiB of characters is up to six times as long as JSON, and comes back as text, Markdown and HTML.
    "pages": Limits(10.0, 1 << 30, 32 << 20, 32 << 20, 100),
}
