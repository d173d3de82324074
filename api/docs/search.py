"""Search over the docs: one entry per section of a guide, call, error and node."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

#: So many are shown.
MOST = 20
#: Endings of English words; a word is looked for without them, anywhere in the text: `retries` finds `retry`, `nesting` `nested`.
_ENDING = re.compile(r"(?<=\w{3})(?:ations?|ings?|ies|ed|es|s|y|e)$")
#: Words that readers use -> words of the docs that mean it; one of them is enough.
_MEANT: dict[str, tuple[str, ...]] = {
    "403": ("not_allowed",),
    "401": ("unauthorized",),
    "429": ("concurrency_limit_exceeded", "monthly_quota_exceeded", "rate_limited"),
    "apikey": ("api key",),
    "async": ("job",),
    "auth": ("authenti",),
    "bulk": ("batch",),
    "callback": ("webhook",),
    "credential": ("api key",),
    "cron": ("schedule",),
    "delete": ("erase",),
    "empty": ("null", "left out"),
    "gdpr": ("erase",),
    "hmac": ("signature",),
    "nested": ("levels", "list within a list"),
    "nesting": ("levels", "list within a list"),
    "none": ("null",),
    "optional": ("left out", "required"),
    "paging": ("pagination",),
    "privacy": ("erase",),
    "quota": ("requests a month", "monthly"),
    "sandbox": ("development", "chromium"),
    "sdk": ("openapi",),
    "sse": ("event",),
    "swagger": ("openapi",),
    "throttling": ("rate limit", "rate_limited"),
    "timezone": ("time zone", "utc"),
    "token": ("api key",),
}


@dataclass(frozen=True)
class Entry:
    """A place of the docs. `kind` is Guide, Call, Error or Node; `text` is what is searched beside the title."""

    kind: str
    title: str
    path: str
    text: str

    def as_link(self) -> dict[str, str]:
        return {"kind": self.kind, "title": self.title, "path": self.path}


def guide_entries(title: str, path: str, sections: Iterable[tuple[str, str, str]]) -> list[Entry]:
    """The sections of a guide: (heading, its id, text). The first has the guide's own title."""
    return [
        Entry("Guide", title if not anchor else f"{title}: {heading}", f"{path}#{anchor}" if anchor else path, text)
        for heading, anchor, text in sections
    ]


def search(entries: Iterable[Entry], query: str) -> list[Entry]:
    """Entries that have every word of the query, in any of its forms, or one that means the same; words in titles count more."""
    words = [_forms(word) for word in query.lower().split()[:10]]
    if not words:
        return []
    found = [(score, entry) for entry in entries if (score := _score(entry, words))]
    return [entry for _, entry in sorted(found, key=lambda one: -one[0])[:MOST]]


def _forms(word: str) -> tuple[str, ...]:
    """What stands for a word: itself first, then without its ending, then what means the same."""
    stem = _ENDING.sub("", word)
    return tuple(dict.fromkeys((word, stem, *_MEANT.get(word, ()), *_MEANT.get(stem, ()))))


def _score(entry: Entry, words: list[tuple[str, ...]]) -> int:
    """0 when a word is missing. The word itself counts 1; in the title it counts 3 in whatever form, 2 more where it begins it."""
    title, text = entry.title.lower(), f"{entry.title} {entry.text}".lower()
    score = 1
    for forms in words:
        found = [form for form in forms if form in text]
        if not found:
            return 0
        in_title = [form for form in found if form in title]
        score += (forms[0] in text) + 3 * bool(in_title) + 2 * any(title.startswith(form) for form in in_title)
    return score


def plain(markdown: str) -> str:
    """Markdown as one line of text, for searching."""
    return re.sub(r"\s+", " ", re.sub(r"[`*|#>]|\]\([^()]*\)|\[", " ", markdown)).strip()


def words_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """The names and descriptions of table rows."""
    return " ".join(f"{row['name']} {row['description']}" for row in rows)
