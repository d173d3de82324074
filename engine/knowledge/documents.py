"""Documents as they are read from a source, which kinds of files can be read, and the limits of a source."""

from __future__ import annotations

from msgspec import Struct

#: The endings of files that are read, and what they are.
TEXTS = frozenset({"txt", "text", "md", "markdown", "rst", "log"})
PAGES = frozenset({"html", "htm", "xhtml"})
TABLES = frozenset({"csv", "tsv", "json", "jsonl", "ndjson"})
DOCUMENTS = frozenset({"pdf", "docx", "pptx", "xlsx", "xls", "ods", "eml"})
#: The largest file, and the longest text, in bytes.
MAX_FILE, MAX_TEXT = 50 << 20, 5 << 20
MAX_PAGES, MAX_DEPTH = 2_000, 10
USUAL_PAGES, USUAL_DEPTH = 100, 2


class Found(Struct, frozen=True):
    """A document. `parts`: `(place, text)` of its parts in order. `total`: how many documents there are, if known.
    `stored_hash`: the hash of the stored document that holds the text, when it was read from there.
    """

    key: str
    name: str
    parts: tuple[tuple[str, str], ...]
    address: str = ""
    total: int = 0
    stored_hash: str | None = None


class NotRead(Struct, frozen=True):
    """A document that could not be read, and why. What is stored of it stays."""

    key: str
    name: str
    message: str
    total: int = 0


class Missed(Struct, frozen=True):
    """Not every document of a source could be looked for, and why. What is stored stays, but for the keys `gone`."""

    name: str
    message: str
    gone: frozenset[str]


def ending_of(name: str) -> str:
    """Returns the ending of a file's name in small letters, without the dot."""
    return name.lower().rpartition(".")[2] if "." in name else ""


def can_read(name: str) -> bool:
    """True when files with this name's ending can be read."""
    return ending_of(name) in TEXTS | PAGES | TABLES | DOCUMENTS
