"""Search over the docs: one entry per section of a guide, call, error and node. The index goes to the browser as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

#: So many are shown.
MOST = 20


@dataclass(frozen=True)
class Entry:
    """A place of the docs. `kind` is Guide, Call, Error or Node; `text` is what is searched beside the title."""

    kind: str
    title: str
    path: str
    text: str

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def guide_entries(title: str, path: str, sections: Iterable[tuple[str, str, str]]) -> list[Entry]:
    """The sections of a guide: (heading, its id, text). The first has the guide's own title."""
    return [
        Entry("Guide", title if not anchor else f"{title}: {heading}", f"{path}#{anchor}" if anchor else path, text)
        for heading, anchor, text in sections
    ]


def search(entries: Iterable[Entry], query: str) -> list[Entry]:
    """Entries that have every word of the query; those with the words in their titles first. The browser's script ranks alike."""
    words = query.lower().split()[:10]
    if not words:
        return []
    found = [(score, entry) for entry in entries if (score := _score(entry, words))]
    return [entry for _, entry in sorted(found, key=lambda one: -one[0])[:MOST]]


def _score(entry: Entry, words: list[str]) -> int:
    """0 when a word is missing; a word in the title counts 3, one that begins it 2 more."""
    title, text = entry.title.lower(), f"{entry.title} {entry.text}".lower()
    if not all(word in text for word in words):
        return 0
    return 1 + sum(3 * (word in title) + 2 * title.startswith(word) for word in words)


def plain(markdown: str) -> str:
    """Markdown as one line of text, for searching."""
    return re.sub(r"\s+", " ", re.sub(r"[`*|#>]|\]\([^()]*\)|\[", " ", markdown)).strip()


def words_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """The names and descriptions of table rows."""
    return " ".join(f"{row['name']} {row['description']}" for row in rows)
