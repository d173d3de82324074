"""Finds rows of a dataset by words, as a language model asks for them: `Parasols` finds “Red parasol, 2 m”.

A word is found in a row when it stands in any of its values, also inside a longer word. Capitals and accents make no
difference, and neither does the plural of an English word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from engine.core.unicode_forms import normalized
from engine.flow.node_context import Json
from engine.flow.references import as_text

#: The rule as the model is told it.
RULE = "Every word has to stand in the row, in any column and any order; capitals and a plural (parasols, parasol) make no difference"
_WORD = re.compile(r"\w+")
#: Endings of plurals, and what stands in place of them. The first that fits counts; an empty pair keeps the word.
_PLURALS = (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("ss", "ss"), ("us", "us"), ("is", "is"), ("s", ""))  # fmt: skip
#: Endings of plurals that may be those of a word without `es`: lenses, tomatoes.
_PLURALS_WITH_ES = ("ses", "zes", "oes", "xes", "shes", "ches")
#: A shorter word is no plural: `gas`, `bus`, `yes`.
_SHORTEST = 4


class RowSearch:
    """The words of one search."""

    def __init__(self, text: str) -> None:
        self.text = plain(text.strip())
        self._words = words_of(self.text)

    def finds(self, values: Iterable[Json]) -> bool:
        """True when the text stands in one of the values as it is, or each of its words in any of them."""
        if not self.text:
            return True
        texts = [plain(as_text(value)) for value in values if value is not None]
        if any(self.text in one for one in texts):
            return True
        if not self._words:
            return False
        whole = "\n".join(texts)
        held = {form for word in _WORD.findall(whole) for form in _forms(word)}
        return all(in_singular(word) in whole or not held.isdisjoint(_forms(word)) for word in self._words)

    def finds_row(self, row: Mapping[str, Json]) -> bool:
        """True when the row has what is looked for."""
        return self.finds(row.values())


def plain(text: str) -> str:
    """Returns a text in small letters and without accents, to compare it with another one."""
    if text.isascii():
        return text.lower()
    parts = normalized("NFKD", text.casefold())
    return "".join(letter for letter in parts if not unicodedata.combining(letter))


def words_of(text: str) -> tuple[str, ...]:
    """Returns the words of a plain text, each once."""
    return tuple(dict.fromkeys(_WORD.findall(text)))


def in_singular(word: str) -> str:
    """Returns an English word without the ending of its plural, as far as that is sure; every other word as it is."""
    if len(word) < _SHORTEST or not word.endswith("s"):
        return word
    return next(f"{word.removesuffix(ending)}{instead}" for ending, instead in _PLURALS if word.endswith(ending))


def _forms(word: str) -> tuple[str, ...]:
    """Returns a word and all that it may be the plural of: `movies` of `movy`, `movie`; `lenses` of `lense`, `lens`."""
    if len(word) < _SHORTEST or not word.endswith("s") or word.endswith("ss"):
        return (word,)
    with_e = (word[:-2],) if word.endswith(_PLURALS_WITH_ES) else ()
    return (word, word[:-1], in_singular(word), *with_e)
