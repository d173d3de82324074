"""Finds lists in a wish: the kinds into which something is sorted (`a booking, complaint or question`), and the details
that are read from something (`number, date and total from an invoice`).
"""

from __future__ import annotations

import re
from typing import Final

# Possessive, so that a long wish is read in one way only.
_A: Final = r"(?:(?:an?|the|any|eine?[nmr]?|die|der|das) )?+"
_WORD: Final = r"\w[\w'-]*+"
_ITEM: Final = rf"{_A}{_WORD}(?: {_WORD})?"
_LAST: Final = rf"{_A}{_WORD}(?: {_WORD})??"
#: Where the last item ends.
_END: Final = r"(?=\s*(?:$|[.,;:)\]?!]|(?:then|and|dann|und|ist|sind|sortier\w*|einteil\w*|einordnen)\b))"
_LIST: Final = rf"(?P<list>{_ITEM}(?:, {_ITEM}){{0,20}}?,? (?:or|and|oder|und) {_LAST}){_END}"
_IT: Final = r"(?:it|they|this|that|each(?: one)?|(?:the|each|an?|every) [\w-]+|es|sie|(?:die|eine|jede) [\w-]+)"
#: What does not stand before `is it`: `what is it for and why` asks for no kind.
_NO_QUESTION: Final = "".join(
    rf"(?<!\b{word} )" for word in ["what", "who", "why", "how", "when", "where", "was", "wer", "wie", "wo"]
)
#: What stands before the kinds. `tell Tom or Anna` names people.
_KINDS: Final = re.compile(
    r"(?:\b(?:if|whether|ob) "
    rf"{_IT} (?:is|are) (?:about )?"
    rf"|{_NO_QUESTION}\b(?:is (?:it|this|that) (?:about )?|ist (?:es|sie) )"
    r"|\btell (?=(?-i:[a-z]\w* or [a-z]))"
    r"|\b(?:in|nach) (?=[^.;:()]{0,80} (?:sortier|einteil|einordn))"
    r"|\bob (?:es|sie|die \w+) (?:um )?"
    r"|\b(?:sort|classify|group|divide|split|categori[sz]e|sortier\w*)\b[^,;:.()]{0,60}? (?:into|as|in|nach) "
    r"|\b(?:about|kinds?|types?|categor(?:y|ies)|art(?:en)?|kategorien?)\b[^,;:.()]{0,30}?(?: ?[:(\[] ?|, (?=an? ))"
    rf"){_LIST}",
    re.IGNORECASE,
)
#: Kinds in brackets: `which tradesman is needed (plumber, electrician, none)`.
_BRACKETED: Final = re.compile(
    r"\b(?:which|welche[mnrs]?) (?!(?:is|are|ist|sind)\b)\w[^,;:.()]{0,60}? (?:is|are|ist|sind|wird|werden)\b[^,;:.()]{0,30}"
    rf"\((?P<list>{_ITEM}(?:,? (?:or|and|oder|und) {_ITEM}|, {_ITEM}){{1,20}})\)",
    re.IGNORECASE,
)
#: Details between what reads them and where they are.
_DETAILS: Final = re.compile(
    r"\b(?:read|extract|get|take|pick|pull|find|copy|note|lies|hole?)(?: out)? "
    rf"(?P<list>{_ITEM}(?:, {_ITEM}){{1,20}},? (?:and|und) {_LAST})"
    r"(?= (?:from|of|in|out of|aus|von)\b)",
    re.IGNORECASE,
)
_SEPARATOR: Final = re.compile(r",? (?:or|and|oder|und) |, ", re.IGNORECASE)
_ARTICLE: Final = re.compile(rf"\A{_A}", re.IGNORECASE)
_REST: Final = frozenset({"something else", "anything else", "other", "others", "etwas anderes", "sonstiges"})
#: Words that are no kind: `urgent or not`.
_NO_KIND: Final = frozenset(
    [
        "not",
        "nicht",
        "no",
        "nein",
        "it",
        "them",
        "so",
        "me",
        "us",
        "him",
        "her",
        "you",
        "everybody",
        "everyone",
        "somebody",
        "someone",
    ]
)


def kinds_asked(wish: str) -> list[str]:
    """Returns the kinds that a wish names, as they are typed; none when it names no list of them."""
    return next(filter(None, (_items(one["list"]) for one in _lists_of_kinds(wish))), list[str]())


def lists_asked(wish: str) -> list[tuple[int, int]]:
    """Returns where the lists of a wish begin and end."""
    found = [one.span("list") for one in _lists_of_kinds(wish) if _items(one["list"])]
    return found or [one.span("list") for one in _DETAILS.finditer(wish)]


def _lists_of_kinds(wish: str) -> list[re.Match[str]]:
    found = [*_KINDS.finditer(wish), *_BRACKETED.finditer(wish)]
    return sorted({one.start("list"): one for one in found}.values(), key=lambda one: one.start("list"))


def _items(text: str) -> list[str]:
    items = [_ARTICLE.sub("", one).strip() for one in _SEPARATOR.split(text)]
    items = ["other" if one.casefold() in _REST else one for one in items if one]
    is_list = len(items) > 1 and _NO_KIND.isdisjoint(one.casefold() for one in items)
    return list(dict.fromkeys(items)) if is_list else []
