"""The limits of one call of an evaluator process (S5, S6, S8)."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Kind = Literal["templates", "pages", "documents", "tables"]


class Limits(Struct, frozen=True):
    """Seconds; bytes of address space, of the request and of the answer (both as JSON); calls until the process is
    replaced; bytes that accompany the JSON of a request or an answer: a file, or pictures.
    """

    seconds: float
    memory: int
    input: int
    output: int
    calls: int
    content: int = 0


LIMITS: dict[Kind, Limits] = {
    # 16 MiB for the data that a template names.
    "templates": Limits(seconds=2.0, memory=400 << 20, input=16 << 20, output=1 << 20, calls=500),
    # A page of 3 MiB of characters is up to six times as long as JSON, and is returned as text, Markdown and HTML.
    "pages": Limits(seconds=10.0, memory=1 << 30, input=32 << 20, output=32 << 20, calls=100),
    # A file of 64 MiB; its text stands in the answer up to three times: whole, by pages, and as Markdown.
    "documents": Limits(seconds=10.0, memory=1 << 30, input=1 << 20, output=48 << 20, calls=1, content=64 << 20),
    # The rows of a table, of which 100,000 have the names of their columns in each.
    "tables": Limits(seconds=30.0, memory=1 << 30, input=1 << 20, output=4 << 20, calls=1, content=128 << 20),
}
