"""Finds goals in everyday words: words of the same meaning count as one, rare words count more, and small slips of the
keyboard are forgiven. No model is asked.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Final

from engine.flow.goals import Goal, Goals, all_goals

#: How many goals are offered when one fits, and when none does.
MOST: Final = 5
NEAREST: Final = 3
#: The part of what was asked, by weight, that a goal must cover to count as fitting.
_COVERED: Final = 0.5
#: The weight of a word by where it stands.
_TITLE, _WORDS, _SAYS = 3.0, 2.0, 1.0
#: What a word of the title costs that nobody asked for: the plainer goal comes first.
_UNASKED: Final = 0.25
#: Shown when not one word is known.
_BROAD: Final = ("summarise-a-text", "question-about-a-page", "classify-emails")
_SHORTEST_PART: Final = 5


@dataclass(frozen=True)
class Found:
    """What the search shows. `fits`: the first goal does what was asked; otherwise these are the nearest.

    `not_yet`: the topic of what no flow can do, when it was asked for.
    """

    goals: tuple[Goal, ...]
    fits: bool
    not_yet: str = ""


def find_goals(asked: str, goals: Goals | None = None) -> Found:
    """Returns the goals that fit what was asked, the best first, or the nearest three."""
    known = goals or all_goals()
    index = _index(known)
    not_yet, rest = _not_yet(asked, known)
    wanted = list(dict.fromkeys(index.meanings(rest)))
    ranked = sorted(((index.score(goal, wanted), -place, goal) for place, goal in enumerate(known.goals)), reverse=True)
    hits = [goal for score, _place, goal in ranked if score > 0]
    if hits and not not_yet and index.covered(hits[0], wanted) >= _COVERED:
        fitting = [goal for goal in hits if index.covered(goal, wanted) >= _COVERED]
        return Found(tuple(fitting[:MOST]), fits=True)
    broad = [goal for name in _BROAD if (goal := known.find(name)) is not None]
    nearest = [*hits[:NEAREST], *(goal for goal in broad if goal not in hits[:NEAREST])]
    return Found(tuple(nearest[:NEAREST]), fits=False, not_yet=not_yet)


def _not_yet(asked: str, goals: Goals) -> tuple[str, str]:
    """The topic of what no flow can do, if it was asked for, and what was asked besides."""
    said = f" {' '.join(_words(asked))} "
    for one in goals.not_yet:
        for words in one.words:
            phrase = f" {' '.join(_words(words))} "
            if phrase in said:
                return one.topic, said.replace(phrase, " ")
    return "", asked


class _Index:
    """The words of all goals, each by the word that stands for its meaning."""

    def __init__(self, goals: Goals) -> None:
        self._small = {plain for word in goals.small_words for plain in _words(word)}
        self._same = {_stem(word): _stem(first) for word, first in goals.same_words.items()}
        self._weights = {goal.name: self._weights_of(goal) for goal in goals.goals}
        self._titles = {goal.name: set(self._known(goal.title)) for goal in goals.goals}
        spread = Counter(word for weights in self._weights.values() for word in weights)
        self._count = len(goals.goals)
        self._rare = {word: math.log(1 + self._count / goals_with) for word, goals_with in spread.items()}
        self._vocabulary = sorted({*self._same, *self._rare})

    def score(self, goal: Goal, wanted: Iterable[str]) -> float:
        weights, asked = self._weights[goal.name], set(wanted)
        hit = sum(self._rare.get(word, 0) * weights.get(word, 0) for word in asked)
        unasked = sum(self._rare[word] for word in self._titles[goal.name] - asked)
        return hit - _UNASKED * unasked if hit else 0

    def covered(self, goal: Goal, wanted: list[str]) -> float:
        """The part of what was asked that the goal has, by the weight of the words. A word nobody knows weighs most."""
        weights = self._weights[goal.name]
        unknown = math.log(1 + self._count)
        whole = sum(self._rare.get(word, unknown) for word in wanted)
        return sum(self._rare[word] for word in wanted if word in weights) / whole if whole else 0

    def meanings(self, asked: str) -> Iterator[str]:
        """The meanings of the words of a query, with misspelt words and words put together."""
        for word in _words(asked):
            if word in self._small:
                continue
            stem = _stem(word)
            if stem in self._same or stem in self._rare:
                yield self._same.get(stem, stem)
            elif parts := self._parts(stem):
                yield from parts
            elif close := get_close_matches(stem, self._vocabulary, n=1, cutoff=0.82):
                yield self._same.get(close[0], close[0])
            else:
                yield stem

    def _parts(self, word: str) -> list[str]:
        """The known words inside a longer one, like German words put together."""
        inside = [part for part in self._vocabulary if len(part) >= _SHORTEST_PART and part in word]
        longest = [part for part in inside if not any(part != other and part in other for other in inside)]
        return [self._same.get(part, part) for part in longest]

    def _weights_of(self, goal: Goal) -> Mapping[str, float]:
        weights: dict[str, float] = {}
        for text, weight in ((goal.says, _SAYS), (goal.words, _WORDS), (goal.title, _TITLE)):
            weights |= dict.fromkeys(self._known(text), weight)
        return weights

    def _known(self, text: str) -> Iterator[str]:
        for word in _words(text):
            if word not in self._small:
                yield self._same.get(_stem(word), _stem(word))


@cache
def _index_of(_key: int) -> _Index:
    return _Index(all_goals())


def _index(goals: Goals) -> _Index:
    return _index_of(0) if goals is all_goals() else _Index(goals)


def _words(text: str) -> list[str]:
    """The words of a text in small letters, without accents; `e-mail` and `tl;dr` are one word each."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("e-mail", "email").replace("tl;dr", "tldr"))
    letters = "".join(letter if letter.isalnum() else " " for letter in plain if not unicodedata.combining(letter))
    return letters.split()


def _stem(word: str) -> str:
    """Takes common endings off, so that `summarising`, `summarised` and `summarises` are one word."""
    word = "".join(_words(word))
    for ending in ("ising", "izing", "ised", "ized", "ises", "izes", "ise", "ize"):
        if word.endswith(ending) and len(word) > len(ending) + 3:
            return word.removesuffix(ending)
    for ending in ("ings", "ing", "ies", "ed", "es", "en", "er", "s", "e", "n", "y"):
        if word.endswith(ending) and len(word) >= len(ending) + 4:
            return word.removesuffix(ending)
    return word
