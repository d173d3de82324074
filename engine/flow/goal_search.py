"""Finds goals in everyday words: words of the same meaning count as one, rare words count more, and small slips of the
keyboard are forgiven. No model is asked.
"""

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Final

from msgspec import Struct, field

from engine.core.unicode_forms import normalized
from engine.flow.goals import Goal, Goals, all_goals
from engine.flow.lists_asked import kinds_asked, lists_asked
from engine.flow.sending_asked import asks_to_send
from engine.flow.times_asked import time_asked
from engine.flow.wish_answers import without_answers

#: How many goals are offered when one fits, and when none does.
MOST: Final = 5
NEAREST: Final = 3
#: The part of what was asked, by weight, that a goal must cover to count as fitting.
_COVERED: Final = 0.5
#: A goal that covers this part of a wish does all of it: the parts of the wish are not looked at one by one.
_WHOLE: Final = 0.8
#: How much the other words of a wish count for the goal of one of its parts: in "summarise and translate a page" the
#: page belongs to both.
_BESIDE: Final = 0.25
#: Words and marks between the parts of a wish.
_BETWEEN: Final = frozenset(
    [
        "and",
        "then",
        "also",
        "plus",
        "afterwards",
        "und",
        "dann",
        "danach",
        "sowie",
        "anschliessend",
        "if",
        "when",
        "otherwise",
        "else",
        "wenn",
        "falls",
        "sonst",
    ]
)
_MARKS: Final = ",;.:&+/\n"
#: A wish with a word of each decides between two ways.
_WHEN: Final = frozenset(["if", "when", "wenn", "falls"])
_WAYS: Final = frozenset(["then", "otherwise", "else", "dann", "sonst"])
#: The weight of a word by where it stands.
_TITLE, _WORDS, _SAYS = 3.0, 2.0, 1.0
#: What a word of the title costs that nobody asked for: the plainer goal comes first.
_UNASKED: Final = 0.25
#: Shown when not one word is known.
_BROAD: Final = ("summarise-a-text", "question-about-a-page", "classify-emails")
#: What says that an answer names its source is one wish with the answer: "and say which document and page they are from".
_THING: Final = r"(?:document|file|pdf|page|source|dokument|datei|seite|quelle)s?(?: numbers?)?"
_WHICH: Final = r"(?:which|what|the|its|their|welche[mnrs]?|de[mnr]|die|das|auf|aus|von|from)"
_NAMES_SOURCE: Final = re.compile(
    rf"\b(?:(?:and|that|und|die) )?(?:(?:say|tell|name|show|cite|see)s?|(?:sag|nenn|zeig)(?:en|t)),?(?: {_WHICH})+ {_THING}"
    rf"(?:,? (?:and|or|und|oder)(?: {_WHICH})* {_THING})*"
    r"(?: (?:(?:it|they|that|sie|es|the answers?) )?(?:is|are|comes?|came|was|were|stammt|stammen|kommt|kommen|steht|stehen)"
    r"(?: (?:from|in))?)?(?=\s*(?:$|[.,;]))"
    rf"|\b(?:with|mit) (?:the |its )?{_THING} (?:and|und) {_THING}(?=\s*(?:$|[.,;]))",
    re.IGNORECASE,
)
#: The begin of a part that may say more of the one before: `E-Mails, die uns Kunden schicken, sortieren`.
_RELATIVE: Final = re.compile(r"(?:die|der|das|welche[rs]?) ", re.IGNORECASE)
#: The begin of a wish that says what comes in; in German, that is also its last word.
_TAKES_IN: Final = re.compile(r"(?:read|take|get|receive|look at|lies|nimm)s? ", re.IGNORECASE)
_READING: Final = " lesen"
#: What stands in a list in place of its commas and spaces.
_IN_LIST: Final = str.maketrans(", ", "\ue000\ue001")
#: Begin a list of kinds, and any other one.
_KINDS_MARK, _LIST_MARK = "\ue002", "\ue003"
_OUT_OF_LIST: Final = str.maketrans("\ue000\ue001", ", ", _KINDS_MARK + _LIST_MARK)
#: "add up" and "sum the invoices" are a sum of rows, "add" alone is not; what is read is summed up in words.
_ADD_UP: Final = re.compile(
    r"\b(?:add(?:s|ed|ing)?|count(?:s|ed|ing)?|sum(?:s|med|ming)?) up\b|\bsum (?=(?:the|all|our|my)\b)|\bhow much in all\b"
)
_SUM_UP: Final = re.compile(
    r"\bsum(?:s|med|ming)? up(?= (?:\w+ ){0,3}(?:text|document|page|site|website|article|pdf|file|report|e-?mail|message|chat|meeting|note|review)s?\b)"
)
#: Two words that mean one thing: an article that has a number is none of a newspaper, and a price list is no list of pages.
_ONE_WORD: Final = re.compile(r"\b(?:(look)(?:s|ed|ing)? (up)|(article|item) (number)s?|(price) (list)s?)\b")
#: The topic of `assets/goals.yaml` about sending.
_MAIL_TOPIC: Final = "mail"
#: The question after the kinds, in the goals that sort.
_KINDS: Final = "kinds"
_SHORTEST_PART: Final = 5
_SEVERAL: Final = 2


class Found(Struct, frozen=True):
    """What the search shows. `fits`: the goals do what was asked, the first best; otherwise these are the nearest.

    `not_yet`: the topic of what no flow can do, when it was asked for. `parts`: name of a goal -> the part of the wish
    that it does, when the wish names several things and no goal does all of them. `time`: the times that the wish
    names, like "every Monday at 8"; they are chosen once the flow is deployed. `left`: the part of the wish that none of
    the goals does, as it was typed, when others of its parts are done.
    """

    goals: tuple[Goal, ...]
    fits: bool
    not_yet: str = ""
    parts: Mapping[str, str] = field(default_factory=dict[str, str])
    time: str = ""
    left: str = ""


class _Part(Struct, frozen=True):
    """A part of a wish: its words as they were typed, and the goal that does it, if any."""

    asked: str
    goal: Goal | None


def find_goals(asked: str, goals: Goals | None = None) -> Found:
    """Returns the goals that fit what was asked, the best first, or the nearest three."""
    known = goals or all_goals()
    index = _index(known)
    time, rest = time_asked(asked)
    rest = _NAMES_SOURCE.sub("with sources", " ".join(without_answers(rest).split()))
    not_yet, left, rest = _not_yet(rest if _decides(rest) else _lists_kept(rest), known)
    wanted = list(dict.fromkeys(index.meanings(rest)))
    hits = [goal for goal, score in _ranked(index, known.goals, wanted) if score > 0]
    fitting = [goal for goal in hits if index.covered(goal, wanted) >= _COVERED]
    whole = hits[:1] if hits and hits[0] in fitting else []
    at_times = [goal for goal in known.goals if goal.timed] if time else []
    parts = _kinds_first(_parts_of(rest, wanted, index, known), rest, index, known)
    if by_itself := [goal for goal in fitting if goal in at_times]:
        whole, parts = by_itself[:1], []
    lead = next((part.goal for part in parts[:1] if part.goal and part.goal.decides), None)
    if whole and lead is None and (index.covered(whole[0], wanted) >= _WHOLE or len(_goals_of(parts)) < _SEVERAL):
        parts = []
    first = [lead] if lead else [*whole, *_goals_of(parts)]
    # A wish whose parts are not all known is not said to be met, unless one goal does most of it.
    fits = bool(whole or lead or (len(parts) >= _SEVERAL and all(part.goal for part in parts)))
    # Beside what no flow can do, a goal has to do all of the rest.
    fits = fits and (not not_yet or bool(left and (parts or index.covered(whole[0], wanted) >= _WHOLE)))
    broad = [goal for name in _BROAD if (goal := known.find(name)) is not None]
    nearest = _unlike([*_goals_of(parts), *hits, *at_times, *broad])[:NEAREST]
    if not fits and not not_yet and _goals_of(parts):
        undone = next((part.asked for part in parts if part.goal is None and not _RELATIVE.match(part.asked)), "")
        left = "" if _touched(undone, nearest, index) else undone
    left = left.translate(_OUT_OF_LIST)
    named = {part.goal.name: part.asked.translate(_OUT_OF_LIST) for part in reversed(parts) if part.goal}
    if fits:
        return Found(
            _unlike([*first, *_goals_of(parts), *(fitting if whole else [])])[:MOST],
            fits=True,
            not_yet=not_yet,
            parts=named,
            time=time,
            left=left,
        )
    return Found(nearest, fits=False, not_yet=not_yet, parts=named, time=time, left=left)


def _touched(part: str, goals: Iterable[Goal], index: _Index) -> bool:
    """Whether one of the goals has something of a part, so that nobody may say that it does not do it."""
    meant = list(index.meanings(part))
    return any(index.covered(goal, meant) > 0 for goal in goals)


def _ranked(index: _Index, goals: Iterable[Goal], wanted: Iterable[str]) -> list[tuple[Goal, float]]:
    """The goals with their scores, the best first; of equal ones the one that stands first in the file."""
    wanted = list(wanted)
    return sorted(((goal, index.score(goal, wanted)) for goal in goals), key=lambda one: -one[1])


def _goals_of(parts: Iterable[_Part]) -> list[Goal]:
    return list(_unlike(part.goal for part in parts if part.goal))


def _unlike(goals: Iterable[Goal]) -> tuple[Goal, ...]:
    return tuple({goal.name: goal for goal in goals}.values())


def _parts_of(asked: str, wanted: list[str], index: _Index, goals: Goals) -> list[_Part]:
    """The parts of a wish that names several things; none when it names one.

    A wish with "if" and "otherwise" begins with the goal that decides. What is answered on its ways is free text: it
    needs no goal of its own.
    """
    deciding = [goal for goal in goals.goals if goal.decides]
    decides = bool(deciding) and _decides(asked)
    found: list[_Part] = []
    for part in _split(asked, ways_only=decides):
        meant = list(index.meanings(part))
        before = found[-1].goal if found else None
        if len(meant) == 1 and before is not None and index.covered(before, meant) == 1:
            continue  # "into complaints and questions": one more thing of the part before
        if meant:
            found.append(_Part(part, _goal_of(meant, wanted, index, goals)))
    found = found[_only_takes_in(found, index) :]
    if not decides:
        return found if len(found) >= _SEVERAL else []
    goal, score = _ranked(index, deciding, index.meanings(_before_ways(asked)))[0]
    if score <= 0:
        goal, score = _ranked(index, deciding, wanted)[0]
    return [_Part(asked.strip(), goal), *(part for part in found if part.goal and not part.goal.decides)]


def _kinds_first(parts: list[_Part], asked: str, index: _Index, goals: Goals) -> list[_Part]:
    """The parts of a wish with those that name kinds done by a goal that asks for them, and before the others unless a
    goal does all that is asked before them.
    """
    if not any(map(_names_kinds, parts)):
        return parts
    meant = index.meanings(f"{asked.partition(_KINDS_MARK)[0]} {_KINDS}")
    goal = _ranked(index, filter(_asks_kinds, goals.goals), meant)[0][0]
    done = [
        one if not _names_kinds(one) or (one.goal and _asks_kinds(one.goal)) else _Part(one.asked, goal)
        for one in parts
    ]
    before = list(itertools.takewhile(lambda one: not _names_kinds(one), parts))
    said_before = list(index.meanings(" ".join(one.asked for one in before)))
    if any(not _asks_kinds(one) and index.covered(one, said_before) >= _WHOLE for one in _goals_of(before)):
        return done
    first = [one for one in done if _names_kinds(one)]
    others = (one for one in done if not _names_kinds(one) and not _only_takes_in([one, *first[:1]], index))
    return [*first, *others]


def _names_kinds(part: _Part) -> bool:
    return _KINDS_MARK in part.asked


def _asks_kinds(goal: Goal) -> bool:
    return any(question.name == _KINDS for question in goal.questions)


def _only_takes_in(parts: list[_Part], index: _Index) -> bool:
    """Whether the first part only says what the second works on: `read an e-mail from a guest`."""
    if len(parts) < _SEVERAL or parts[0].goal is not None or not _takes_in(parts[0].asked):
        return False
    goal = parts[1].goal
    return goal is not None and index.covered(goal, list(index.meanings(parts[0].asked))) > 0


def _takes_in(asked: str) -> bool:
    return bool(_TAKES_IN.match(asked)) or asked.lower().endswith(_READING)


def _lists_kept(asked: str) -> str:
    """Returns the wish with each list joined into one word, so that dividing it into parts cuts no list."""
    mark = _KINDS_MARK if kinds_asked(asked) else _LIST_MARK
    for start, end in reversed(lists_asked(asked)):
        asked = f"{asked[:start]}{mark}{asked[start:end].translate(_IN_LIST)}{asked[end:]}"
    return asked


def _goal_of(meant: list[str], wanted: list[str], index: _Index, goals: Goals) -> Goal | None:
    """The goal that does one part of a wish."""
    fitting = [goal for goal in goals.goals if index.covered(goal, meant) >= _COVERED]
    return max(fitting, key=lambda goal: index.score(goal, meant) + _BESIDE * index.score(goal, wanted), default=None)


def _before_ways(asked: str) -> str:
    """What decides: the words before "then" or "otherwise", without the "if"."""
    before = itertools.takewhile(lambda word: word not in _WAYS, _words(asked))
    return " ".join(word for word in before if word not in _WHEN)


def _split(asked: str, *, ways_only: bool) -> list[str]:
    """The wish between its commas and words like "and", as it was typed. `ways_only`: from the first "then" on."""
    for mark in _MARKS:
        asked = asked.replace(mark, " , ")
    said = asked.split()
    if ways_only:
        said = said[next(at for at, word in enumerate(said) if "".join(_words(word)) in _WAYS) :]
    parts: list[list[str]] = [[]]
    for word in said:
        if word == "," or "".join(_words(word)) in _BETWEEN:
            parts.append([])
        else:
            parts[-1].append(word)
    return [" ".join(part) for part in parts if part]


def _not_yet(asked: str, goals: Goals) -> tuple[str, str, str]:
    """The topic of what no flow can do, if it was asked for, the part of the wish that asks for it, and what was asked
    besides. The part is "" when it is the whole wish, or one way of a decision.
    """
    parts = _split(asked, ways_only=False)
    if len(parts) >= _SEVERAL and not _decides(asked):
        for at, part in enumerate(parts):
            if topic := _topic_of(part, goals)[0]:
                return topic, part, ", ".join([*parts[:at], *parts[at + 1 :]])
    topic, rest = _topic_of(asked, goals)
    return topic, "", rest


def _topic_of(asked: str, goals: Goals) -> tuple[str, str]:
    """The topic of what no flow can do, and the words besides it."""
    said = f" {' '.join(_words(asked))} "
    for one in goals.not_yet:
        for words in one.words:
            phrase = f" {' '.join(_words(words))} "
            if phrase in said:
                return one.topic, said.replace(phrase, " ")
    return (_MAIL_TOPIC if asks_to_send(asked) else ""), asked


def _decides(asked: str) -> bool:
    plain = _words(asked)
    return bool(_WHEN.intersection(plain) and _WAYS.intersection(plain))


class _Index:
    """The words of all goals, each by the word that stands for its meaning."""

    def __init__(self, goals: Goals) -> None:
        self._small = {plain for word in goals.small_words for plain in _words(word)}
        self._same = {_stem(word): _stem(first) for word, first in goals.same_words.items()}
        #: The words themselves, because `Daten` and `date` have the same stem.
        self._exact = {word: _stem(first) for word, first in goals.same_words.items()}
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
        """The meanings of the words of a query, with misspelt words and words put together. Unknown words of a list say
        nothing about a goal; that they are kinds does.
        """
        listed = {word for part in asked.split() if {*part} & {_KINDS_MARK, _LIST_MARK} for word in _words(part)}
        if _KINDS_MARK in asked:
            yield self._exact.get("kinds", "kind")
        for word in _words(asked):
            if word in self._small:
                continue
            stem = _stem(word)
            if word in self._exact:
                yield self._exact[word]
            elif stem in self._same or stem in self._rare:
                yield self._same.get(stem, stem)
            elif word.isdigit():
                continue  # how many, which a question asks
            elif word in listed:
                continue
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
                yield self._exact.get(word) or self._same.get(_stem(word), _stem(word))


@cache
def _index_of(_key: int) -> _Index:
    return _Index(all_goals())


def _index(goals: Goals) -> _Index:
    return _index_of(0) if goals is all_goals() else _Index(goals)


def _words(text: str) -> list[str]:
    """The words of a text in small letters, without accents; `e-mail`, `tl;dr` and `look up` are one word each, `add up` is
    `total rows`.
    """
    said = _ADD_UP.sub("total rows ", _SUM_UP.sub("summarise", text.casefold()))
    said = _ONE_WORD.sub(lambda found: "".join(filter(None, found.groups())), said)
    plain = normalized("NFKD", said.replace("e-mail", "email").replace("tl;dr", "tldr"))
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
