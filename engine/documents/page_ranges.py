"""Pages in words: `1-3, 5, 8-` or `last`. Pure code, used by the node's checks and by the readers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

HOW_TO_WRITE: Final = "Write pages like `1-3, 5`, `4-` for the fourth and all after it, or `last`."
#: The most pages that are read of one document.
MAX_PAGES: Final = 1_000

_PART: Final = re.compile(r"([0-9]{1,6})(\s*[-–]\s*([0-9]{1,6})?)?")
_MAX_PARTS: Final = 100


class BadRange(ValueError):
    """The text does not name pages; it says what is wrong, for the flow's designer."""


def read_ranges(text: str) -> list[tuple[int, int | None]]:
    """Returns (first, last) pairs, counted from 1; last is None for "to the end", first is 0 for "the last page".

    An empty text means all pages: one pair. Raises BadRange.
    """
    if not text.strip():
        return [(1, None)]
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > _MAX_PARTS:
        raise BadRange(f"At most {_MAX_PARTS} groups of pages can be named.")
    return [_read(part) for part in parts if part]


def _read(part: str) -> tuple[int, int | None]:
    if part.lower() == "last":
        return 0, 0
    match = _PART.fullmatch(part)
    if match is None:
        raise BadRange(f"`{part[:40]}` names no pages.")
    first = int(match[1])
    last = int(match[3]) if match[3] else None if match[2] else first
    if first == 0:
        raise BadRange("Pages are counted from 1.")
    if last is not None and last < first:
        raise BadRange(f"`{part}` goes backwards.")
    return first, last


def pages_of(text: str, total: int) -> list[int]:
    """Returns the named pages that exist, each once, in the order in which they are named: one more than MAX_PAGES when
    there are more.

    `total`: the pages of the document. Raises BadRange.
    """
    found: dict[int, None] = {}
    for first, last in read_ranges(text):
        for page in _each(first, last, total):
            found[page] = None
            if len(found) > MAX_PAGES:
                return list(found)
    return list(found)


def _each(first: int, last: int | None, total: int) -> Iterator[int]:
    if first == 0:
        return iter(range(total, total + 1) if total else ())
    return iter(range(first, min(total if last is None else last, total, first + MAX_PAGES) + 1))
