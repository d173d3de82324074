"""What a reader returns, and how it says that it cannot read."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from engine.core.counted import counted
from engine.documents.page_ranges import MAX_PAGES, BadRange, pages_of

#: The most characters of text that are read of one document.
MAX_CHARACTERS = 2_000_000
#: The most cells of tables that are read of one document.
MAX_CELLS = 250_000


class Unreadable(Exception):
    """The file cannot be read; `key` names a sentence of `engine.documents.sentences`, `facts` fill it."""

    def __init__(self, key: str, **facts: str | int) -> None:
        super().__init__(key)
        self.key = key
        self.facts = facts


class Wish(Struct, frozen=True):
    """What is asked for: name and media type as told by whoever sent the file, the pages, and how (`text`, `markdown`,
    `tables`).

    `until`: the time of `time.monotonic` at which a reader should return what it has read.
    """

    name: str
    media_type: str
    pages: str
    how: str
    until: float

    @property
    def ending(self) -> str:
        """The letters after the last dot of the name, small."""
        return self.name.rsplit(".", 1)[-1].lower() if "." in self.name else ""

    def chosen(self, total: int, unit: str = "page") -> list[int]:
        """Returns the numbers of the pages to read. Raises Unreadable when none of them exists."""
        try:
            found = pages_of(self.pages, total)
        except BadRange as error:
            raise Unreadable("bad_pages", pages=self.pages, detail=str(error)) from None
        if not found and total:
            raise Unreadable("pages_outside", total=counted(total, unit), pages=self.pages.strip())
        return found

    @property
    def late(self) -> bool:
        return time.monotonic() > self.until


@dataclass
class Page:
    """A page, slide or sheet. `layout`: the text of a PDF's page with its columns side by side."""

    number: int
    text: str
    markdown: str = ""
    layout: str = ""


@dataclass
class Read:
    """A document that was read. `total`: its pages, also those that were not chosen. `notes`: sentences for the
    designer about what was left out. `truncated`: it has more than a step reads, by size or time.
    """

    media_type: str
    pages: list[Page]
    title: str = ""
    total: int = 1
    tables: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    truncated: bool = False

    def cut(self, note: str) -> None:
        """Notes that the document has more than is read."""
        self.truncated = True
        if note not in self.notes:
            self.notes.append(note)

    def cut_long_texts(self) -> None:
        """Cuts the text and the Markdown of each page to MAX_CHARACTERS."""
        for page in self.pages:
            if max(len(page.text), len(page.markdown)) > MAX_CHARACTERS:
                page.text, page.markdown = page.text[:MAX_CHARACTERS], page.markdown[:MAX_CHARACTERS]
                self.cut(f"Only its first {MAX_CHARACTERS:,} characters were read.")

    def is_full(self, wish: Wish, done: int, chosen: list[int], unit: str) -> bool:
        """Tells whether none of the chosen pages after the first `done` are read, and notes that they are left out."""
        if not done or not (done >= MAX_PAGES or wish.late or self.room() < 0 or self.truncated):
            return False
        first = f"the first {counted(done, unit)}, up to {unit} {chosen[done - 1]:,},"
        self.cut(f"Only {first} were read: there is too much for one step.")
        return True

    def room(self) -> int:
        """The characters that may still be read."""
        return MAX_CHARACTERS - sum(len(page.text) for page in self.pages)
