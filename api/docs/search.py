"""Search over the docs: one entry per section of a guide, call, error and node."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

#: So many are shown.
MOST = 20
#: A shorter word counts in a title as a whole word only: `id` is no `idempotency`.
_SHORT = 4
#: No letter or digit follows.
_END = "(?![a-z0-9])"
#: Of a misspelt word and the one that is meant.
_LETTERS_APART = 2
_LONGEST_WORD = 30
#: Endings of English words; a word is looked for without them, at the begin of a word: `retries` finds `retry`, `nesting` `nested`.
_ENDING = re.compile(r"(?<=\w{3})(?:ations?|ings?|ies|ed|es|s|y|e)$")
#: Words that readers use -> words of the docs that mean it; one of them is enough.
_MEANT: dict[str, tuple[str, ...]] = {
    "403": ("not_allowed",),
    "401": ("unauthorized",),
    "429": ("concurrency_limit_exceeded", "monthly_quota_exceeded", "rate_limited"),
    "apikey": ("api key",),
    "async": ("job",),
    "auth": ("authenti",),
    "browser": ("cors",),
    "bulk": ("batch",),
    "callback": ("webhook",),
    "credential": ("api key",),
    "cron": ("schedule",),
    "delete": ("erase",),
    "empty": ("null", "left out"),
    "gdpr": ("erase",),
    "gzip": ("compressed",),
    "hmac": ("signature",),
    "max": ("at most", "most", "larger", "too large"),
    "maximum": ("at most", "most", "larger", "too large"),
    "nested": ("levels", "list within a list"),
    "nesting": ("levels", "list within a list"),
    "node.js": ("javascript",),
    "nodejs": ("javascript",),
    "none": ("null",),
    "optional": ("left out", "required"),
    "paging": ("pagination",),
    "privacy": ("erase",),
    "quota": ("requests a month", "monthly"),
    "sandbox": ("development", "chromium"),
    "sdk": ("openapi",),
    "size": ("mib", "kib", "too large"),
    "sse": ("server-sent", "streaming"),
    "swagger": ("openapi",),
    "throttling": ("rate limit", "rate_limited"),
    "timezone": ("time zone", "utc"),
    "token": ("api key",),
    "typescript": ("javascript",),
    "unsubscribe": ("webhook",),
    "verify": ("check the signature",),
    "verif": ("check the signature",),
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
    """Entries that have every word of the query, in any of its forms, or one that means the same; words in titles count more.

    Where there are none, words that stand nowhere are taken for misspelt ones.
    """
    listed = tuple(entries)
    words = query.lower().split()[:10]
    if not words:
        return []
    return _found(listed, words) or _found(listed, _corrected(listed, words))


def _found(entries: tuple[Entry, ...], words: list[str]) -> list[Entry]:
    forms = [_forms(word) for word in words]
    found = [(score, entry) for entry in entries if (score := _score(entry, forms))]
    return [entry for _, entry in sorted(found, key=lambda one: -one[0])[:MOST]]


def _corrected(entries: tuple[Entry, ...], words: list[str]) -> list[str]:
    known = _vocabulary(entries)
    return [word if word in known else _nearest(word, known) for word in words]


def _nearest(word: str, known: frozenset[str]) -> str:
    """The known word that is most like this one, or the word itself. Only words that begin alike are compared: it is quick."""
    alike = [one for one in known if one[0] == word[0] and abs(len(one) - len(word)) <= _LETTERS_APART]
    return next(iter(difflib.get_close_matches(word[:_LONGEST_WORD], sorted(alike), n=1, cutoff=0.8)), word)


@functools.lru_cache(maxsize=4)
def _vocabulary(entries: tuple[Entry, ...]) -> frozenset[str]:
    """Every word of four letters and more."""
    return frozenset(re.findall(r"[a-z]{4,30}", " ".join(f"{entry.title} {entry.text}" for entry in entries).lower()))


def _forms(word: str) -> tuple[str, ...]:
    """What stands for a word: itself first, then without its ending, then what means the same."""
    stem = _ENDING.sub("", word)
    return tuple(dict.fromkeys((word, stem, *_MEANT.get(word, ()), *_MEANT.get(stem, ()))))


def _score(entry: Entry, words: list[tuple[str, ...]]) -> int:
    """0 when a word is missing. The word as it was typed counts 2, or 1 when longer words begin with it; in the title it counts 3 in
    whatever form, 2 more where it begins it.
    """
    title, text = entry.title.lower(), f"{entry.title} {entry.text}".lower()
    score = 1
    for forms in words:
        found = [form for form in forms if _begins_word(form, text)]
        if not found:
            return 0
        typed = forms[0]
        score += (typed in found) + _begins_word(typed, text, end=_END)
        end = _END if len(typed) < _SHORT else ""
        in_title = [form for form in found if _begins_word(form, title, end=end)]
        if in_title:
            score += 3 + 2 * any(title.startswith(form) for form in in_title)
    return score


def _begins_word(form: str, text: str, *, end: str = "") -> bool:
    """Whether a word of the text begins with it, and ends with it for `end=_END`; `_` and `-` stand between words."""
    return form in text and re.search(rf"(?<![a-z0-9]){re.escape(form)}{end}", text) is not None


def plain(markdown: str) -> str:
    """Markdown as one line of text, for searching."""
    return re.sub(r"\s+", " ", re.sub(r"[`*|#>]|\]\([^()]*\)|\[", " ", markdown)).strip()


def words_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """The names and descriptions of table rows."""
    return " ".join(f"{row['name']} {row['description']}" for row in rows)
