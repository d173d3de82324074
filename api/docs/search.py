"""Searches the docs, with one entry per section of a guide, call, error and node type."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

#: The number of results.
MOST = 20
#: A shorter word matches only whole words of a title, so that `id` does not find `idempotency`.
_SHORT = 4
#: How much the lengths of a misspelt word and its correction may differ.
_LETTERS_APART = 2
_LONGEST_WORD = 30
#: Suffixes of English words. A word is searched without its suffix at the start of words: `retries` finds `retry`,
#: `nesting` finds `nested`.
_ENDING = re.compile(r"(?<=\w{3})(?:ations?|ings?|ies|ed|es|s|y|e)$")
#: Synonyms: word of a query -> words of the docs, of which one must occur.
_MEANT: dict[str, tuple[str, ...]] = {
    "403": ("not_allowed",),
    "401": ("unauthorized",),
    "429": ("concurrency_limit_exceeded", "monthly_quota_exceeded", "rate_limited"),
    "apikey": ("api key",),
    "alert": ("webhook", "monitoring"),
    "async": ("job",),
    "auth": ("authenti",),
    "browser": ("cors",),
    "bulk": ("batch",),
    "callback": ("webhook",),
    "notify": ("webhook",),
    "notification": ("webhook",),
    "bug": ("error",),
    "wrong": ("error", "failed"),
    "password": ("authenti", "sign in"),
    "many": ("batch",),
    "daily": ("every morning",),
    "timer": ("every morning",),
    "twice": ("idempotency",),
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


#: Words that say nothing about what is searched.
_FILLERS = frozenset(
    ("a", "an", "and", "can", "do", "for", "from", "how", "i", "in", "is", "it", "my", "of", "the", "to", "with")
)


class Entry(Struct, frozen=True):
    """One result of the search. `kind` is Guide, Call, Error or Node; `text` is searched in addition to the title.

    `synonyms`, in small letters with commas between them, are what people call it: a query that is one of them puts the
    entry first.
    """

    kind: str
    title: str
    path: str
    text: str
    synonyms: str = ""

    def as_link(self) -> dict[str, str]:
        return {"kind": self.kind, "title": self.title, "path": self.path}


def guide_entries(title: str, path: str, sections: Iterable[tuple[str, str, str]]) -> list[Entry]:
    """Returns the entries of a guide's sections, which are (heading, anchor, text). The first one has the title of the
    guide.
    """
    return [
        Entry("Guide", title if not anchor else f"{title}: {heading}", f"{path}#{anchor}" if anchor else path, text)
        for heading, anchor, text in sections
    ]


def search(entries: Iterable[Entry], query: str) -> list[Entry]:
    """Returns the entries that contain every word of the query, an inflected form of it or a synonym; matches in titles
    rank higher.

    When there are none, unknown words are replaced by similar known ones; when there are still none, the entries that
    contain most of the words are returned.
    """
    listed = tuple(entries)
    words = query.lower().split()[:10]
    if not words:
        return []
    if found := _found(listed, words):
        return found
    corrected = _corrected(listed, words)
    return _found(listed, corrected) or _found_some(listed, [word for word in corrected if word not in _FILLERS])


def _found(entries: tuple[Entry, ...], words: list[str]) -> list[Entry]:
    forms = [_forms(word) for word in words]
    found = [(score, entry) for entry in entries if (score := _score(entry, forms))]
    called = " ".join(words)
    ranked = sorted(found, key=lambda one: (called not in one[1].synonyms.split(", "), -one[0]))
    return [entry for _, entry in ranked[:MOST]]


def _found_some(entries: tuple[Entry, ...], words: list[str]) -> list[Entry]:
    """Returns the entries that contain the most of the words, at least one of them."""
    forms = [[_forms(word)] for word in words]
    counts = [sum(_score(entry, form) > 0 for form in forms) for entry in entries]
    most = max(counts, default=0)
    best = tuple(entry for entry, count in zip(entries, counts, strict=True) if most and count == most)
    scores = {entry: sum(_score(entry, form) for form in forms) for entry in best}
    return sorted(best, key=lambda entry: -scores[entry])[:MOST]


def _corrected(entries: tuple[Entry, ...], words: list[str]) -> list[str]:
    known = _vocabulary(entries)
    return [word if word in known else _nearest(word, known) for word in words]


def _nearest(word: str, known: frozenset[str]) -> str:
    """Returns the most similar known word, or the word itself. Only words with the same first letter are compared,
    which keeps it fast.
    """
    alike = [one for one in known if one[0] == word[0] and abs(len(one) - len(word)) <= _LETTERS_APART]
    return next(iter(difflib.get_close_matches(word[:_LONGEST_WORD], sorted(alike), n=1, cutoff=0.8)), word)


@functools.lru_cache(maxsize=4)
def _vocabulary(entries: tuple[Entry, ...]) -> frozenset[str]:
    """Returns every word with at least four letters."""
    return frozenset(re.findall(r"[a-z]{4,30}", " ".join(f"{entry.title} {entry.text}" for entry in entries).lower()))


def _forms(word: str) -> tuple[str, ...]:
    """Returns the forms of a word to search for: the word, the word without its suffix, and its synonyms."""
    stem = _ENDING.sub("", word)
    return tuple(dict.fromkeys((word, stem, *_MEANT.get(word, ()), *_MEANT.get(stem, ()))))


def _score(entry: Entry, words: list[tuple[str, ...]]) -> int:
    """Returns the rank of an entry, 0 when a word is missing. The word as typed counts 2, or 1 as the start of a longer
    word; in the title any form counts 3, and 2 more when the title starts with it.
    """
    title, text = entry.title.lower(), f"{entry.title} {entry.synonyms} {entry.text}".lower()
    score = 1
    for forms in words:
        found = [form for form in forms if _begins_word(form, text)]
        if not found:
            return 0
        typed = forms[0]
        score += (typed in found) + _begins_word(typed, text, whole=True)
        short = len(typed) < _SHORT
        in_title = [form for form in found if _begins_word(form, title, whole=short)]
        if in_title:
            score += 3 + 2 * any(title.startswith(form) for form in in_title)
    return score


def _begins_word(form: str, text: str, *, whole: bool = False) -> bool:
    """Tells whether a word of the text starts with `form`, or is `form` when `whole`. `_` and `-` separate words."""
    at = text.find(form)
    while at >= 0:
        end = at + len(form)
        if not _in_word(text[at - 1 : at]) and not (whole and _in_word(text[end : end + 1])):
            return True
        at = text.find(form, at + 1)
    return False


def _in_word(character: str) -> bool:
    return character.isascii() and character.isalnum()


def plain(markdown: str) -> str:
    """Returns Markdown as one line of plain text for the search."""
    return re.sub(r"\s+", " ", re.sub(r"[`*|#>]|\]\([^()]*\)|\[", " ", markdown)).strip()


def words_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """Returns the names and descriptions of table rows as text."""
    return " ".join(f"{row['name']} {row['description']}" for row in rows)
