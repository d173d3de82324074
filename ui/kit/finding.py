"""Finds entries by the words people say: titles, synonyms and descriptions, word forms, and misspelt words.

best([(entry, Said("Condition", "Go one way ...", "if, branch"))], "if")     entries, the best match first

A query word may be an inflected form or a common synonym of a word of the entry. An entry in which no query word is
missing hides all others; when there is none, misspelt words are corrected, and those with the fewest missing words are
returned. Imports no NiceGUI.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeVar

T = TypeVar("T")

#: Words that say nothing about what is searched.
_FILLERS = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "at",
        "by",
        "can",
        "do",
        "does",
        "for",
        "from",
        "get",
        "have",
        "how",
        "i",
        "in",
        "into",
        "is",
        "it",
        "make",
        "me",
        "my",
        "of",
        "on",
        "or",
        "out",
        "so",
        "that",
        "the",
        "this",
        "to",
        "want",
        "we",
        "what",
        "when",
        "where",
        "which",
        "with",
        "you",
    ]
)
#: Words of the same meaning: each finds the others.
_ALIKE = (
    "summary summarise summarize summaries shorten digest gist",
    "translate translation language languages german french english",
    "page website site web url link address webpage internet",
    "sort order rank",
    "classify category categories categorise label sentiment mood positive negative",
    "price prices cost cheapest cheap",
    "email e-mail mail",
    "phone telephone",
    "extract pick find read scrape scraper crawl",
    "table spreadsheet excel csv rows row dataset sheet",
    "message ticket letter enquiry",
    "compare difference differences versus",
    "fact facts detail details field fields",
)
_GROUP_OF = {word: frozenset(group.split()) for group in _ALIKE for word in group.split()}
#: Endings that are cut off, so that `branches` finds `branch` and `deploying` finds `deploy`.
_ENDINGS = ("ations", "ation", "ings", "ing", "ies", "ed", "es", "s", "y", "e")
_LONGEST = 200
#: Words are corrected by longer words than this, at most so many, and if their lengths differ by no more than that.
_SHORTEST, _MAX_CORRECTED, _LENGTHS_APART = 3, 4, 3

#: Costs of a match, from the best to the worst. A missing word costs most.
_TITLE, _SAID_WORD, _TITLE_START, _SAID_START, _INSIDE, _FORM, _TEXT, _ALIKE_WORD = range(8)
_MISSING = 100


@dataclass(frozen=True)
class Said:
    """The texts of an entry that are searched. `synonyms` are in small letters, with commas between them."""

    title: str
    text: str = ""
    synonyms: str = ""

    @cached_property
    def name(self) -> str:
        return self.title.casefold()

    @cached_property
    def title_words(self) -> tuple[str, ...]:
        return _words(self.title)

    @cached_property
    def called(self) -> tuple[str, ...]:
        """The synonyms one by one."""
        return tuple(one.strip() for one in self.synonyms.split(",") if one.strip())

    @cached_property
    def synonym_words(self) -> tuple[str, ...]:
        return _words(self.synonyms)

    @cached_property
    def text_words(self) -> tuple[str, ...]:
        return _words(self.text)

    @cached_property
    def stems(self) -> frozenset[str]:
        """The title and the synonyms without endings."""
        return frozenset(_stem(one) for one in (*self.title_words, *self.synonym_words))

    @cached_property
    def text_stems(self) -> frozenset[str]:
        return frozenset(_stem(one) for one in self.text_words)


def best(entries: Iterable[tuple[T, Said]], query: str) -> list[T]:
    """Returns the entries that match the query, the best first; all of them for an empty query."""
    listed = list(entries)
    wanted = " ".join(query[:_LONGEST].casefold().split())
    if not wanted:
        return [entry for entry, _said in listed]
    missing, found = _ranked(listed, wanted)
    if missing:
        fewer, better = _ranked(listed, _corrected(wanted, tuple(said for _entry, said in listed)))
        return better if fewer < missing else found
    return found


def _ranked(listed: Sequence[tuple[T, Said]], wanted: str) -> tuple[int, list[T]]:
    """Returns how many words of the query are missing, and the entries in which no more are, the best first."""
    costs = [(_cost(said, wanted), at, entry) for at, (entry, said) in enumerate(listed)]
    missing = min((cost for cost, _at, _entry in costs), default=_MISSING) // _MISSING
    if missing >= len(_query_words(wanted)):
        return missing, []
    kept = [one for one in costs if one[0] // _MISSING == missing]
    return missing, [entry for _cost, _at, entry in sorted(kept, key=lambda one: one[:2])]


def _cost(said: Said, wanted: str) -> int:
    whole = _whole(said, wanted)
    if whole is not None:
        return whole
    costs = [_word_cost(said, word) for word in _query_words(wanted)]
    missing = sum(cost is None for cost in costs)
    return _MISSING * missing + 10 + sum(cost for cost in costs if cost is not None)


def _whole(said: Said, wanted: str) -> int | None:
    """Returns the cost of a query that is a title, its beginning or a synonym as it stands."""
    if said.name == wanted:
        return 0
    if f"{said.name} ".startswith(f"{wanted} "):
        return 1
    if wanted in said.called:
        return 2
    return 3 if said.name.startswith(wanted) else None


def _word_cost(said: Said, word: str) -> int | None:
    if word in said.title_words:
        return _TITLE
    if word in said.synonym_words:
        return _SAID_WORD
    if any(one.startswith(word) for one in said.title_words):
        return _TITLE_START
    if any(one.startswith(word) for one in said.synonym_words):
        return _SAID_START
    if len(word) > 2 and word in said.name:
        return _INSIDE
    stem = _stem(word)
    if stem in said.stems:
        return _FORM
    if stem in said.text_stems or any(one.startswith(word) for one in said.text_words):
        return _TEXT
    alike = _GROUP_OF.get(word, frozenset())
    return _ALIKE_WORD if alike.intersection((*said.title_words, *said.synonym_words, *said.text_words)) else None


@lru_cache(maxsize=64)
def _query_words(wanted: str) -> tuple[str, ...]:
    words = _words(wanted) or tuple(wanted.split())
    return tuple(word for word in words if word not in _FILLERS) or words


@lru_cache(maxsize=8_192)
def _words(text: str) -> tuple[str, ...]:
    spaced = "".join(sign if sign.isalnum() or sign == "-" else " " for sign in text.casefold())
    return tuple(dict.fromkeys(spaced.split()))


@lru_cache(maxsize=16_384)
def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) > 2:
            return word.removesuffix(ending)
    return word


def _corrected(wanted: str, listed: tuple[Said, ...]) -> str:
    """Returns the query with its first unknown words corrected. Looking for a similar word takes long where there are
    thousands, so of a whole text only its first unknown words are looked up.
    """
    known = _vocabulary(listed)
    words = _query_words(wanted)
    unknown = [word for word in words if word not in known][:_MAX_CORRECTED]
    corrected = {word: _similar(word, known) or word for word in unknown}
    return " ".join(corrected.get(word, word) for word in words)


def _similar(word: str, known: Iterable[str]) -> str | None:
    """Returns the known word that is most like this one: nearly as long, and with the same first letter or the second."""
    near = [one for one in known if abs(len(one) - len(word)) <= _LENGTHS_APART and set(word[:2]) & set(one[:2])]
    return next(iter(difflib.get_close_matches(word, near, n=1, cutoff=0.75)), None)


@lru_cache(maxsize=8)
def _vocabulary(listed: tuple[Said, ...]) -> dict[str, None]:
    """Returns every longer word of titles and synonyms, in their order."""
    words = (word for said in listed for word in (*said.title_words, *said.synonym_words))
    return dict.fromkeys(word for word in words if len(word) > _SHORTEST)
