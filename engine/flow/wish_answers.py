"""Reads from a wish what it says already, so that the questions of a goal do not ask it again: the language of the answer,
a number of sentences, an amount, one of the choices, the kinds to sort into, web addresses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from engine.flow.goals import BadAnswer, Goal, Question, all_goals, read_answer
from engine.flow.lists_asked import kinds_asked
from engine.flow.node_context import Json

#: Language, as goals name it -> further words for it.
_LANGUAGES: Final = {
    "English": "englisch", "German": "deutsch", "French": "französisch", "Spanish": "spanisch",
    "Italian": "italienisch", "Dutch": "niederländisch holländisch", "Polish": "polnisch", "Turkish": "türkisch",
    "Ukrainian": "ukrainisch", "Portuguese": "portugiesisch", "Czech": "tschechisch", "Swedish": "schwedisch",
    "Russian": "russisch", "Arabic": "arabisch", "Chinese": "chinesisch", "Japanese": "japanisch",
}  # fmt: skip
_WORDS: Final = {
    word: language for language, words in _LANGUAGES.items() for word in (language.casefold(), *words.split())
}
_ANY: Final = "|".join(_WORDS)
#: `in German`, `into plain English`, `auf Deutsch`; the word after it, if any, says whether it is about something else,
#: like `in German shops`.
_INTO: Final = re.compile(
    rf"\b(in|into|to|auf|ins)(?: (?:plain|simple|easy|good))? ({_ANY})e?\b(?: language\b)?(?: (\w+))?"
)
#: `a German summary`.
_RESULT: Final = re.compile(
    rf"\b({_ANY})(?:e[nrs]?)? (?:summar(?:y|ies)|translations?|version|report|answer|zusammenfassung|übersetzung|bericht|antwort)\b"
)
#: A web address in a wish.
ADDRESS: Final = re.compile(r"\b(?:https?://|www\.)[^\s<>\"']+", re.IGNORECASE)
#: A web address, with the word "page" when it stands in front.
_PAGE: Final = re.compile(rf"(?:\bpage )?{ADDRESS.pattern}", re.IGNORECASE)
_NUMBERS: Final = {
    word: number
    for number, words in enumerate(
        ("one ein einen einem einer eine", "two zwei", "three drei", "four vier", "five fünf", "six sechs",
         "seven sieben", "eight acht", "nine neun", "ten zehn"), 1
    )
    for word in words.split()
}  # fmt: skip
_SENTENCES: Final = re.compile(
    rf"(?:\b(?:in|with) )?(?:\b(?:at most|up to|about|only) )?\b(?:\d{{1,3}}|{'|'.join(_NUMBERS)}) sentences?\b",
    re.IGNORECASE,
)
#: A number with the word after it.
_COUNTED: Final = re.compile(rf"\b(\d{{1,3}}|{'|'.join(_NUMBERS)}) (\w+)")
#: A number that something is above: `over 2,500`, `more than EUR 1.000`.
_ABOVE: Final = re.compile(
    r"\b(?:above|over|exceeds?|exceeding|(?:more|greater|higher) than|ab|über|mehr als) (?:[€$£]|eur |usd |gbp )? ?"
    r"(\d{1,3}(?:[.,]\d{3}){1,3}|\d{1,12})(?![\d.,]*\d)"
)
_WORD: Final = re.compile(r"\w+")
#: As much of a wish is looked at.
_LONGEST: Final = 2_000


def answers_asked(goal: Goal, asked: str) -> dict[str, Json]:
    """Returns name of a question -> the answer that the wish gives, as a form shows it; only answers that can be used."""
    wish = " ".join(asked[:_LONGEST].split())
    found: dict[str, Json] = {}
    for one in goal.questions:
        answer = _answer(one, wish)
        if answer is None:
            continue
        try:
            read_answer(one, answer)
        except BadAnswer:
            continue
        found[one.name] = answer
    return found


def without_answers(wish: str) -> str:
    """Returns a wish without what questions of goals take from it and no goal is found by: the language of the answer
    and its number of sentences, and web addresses, which are a page.
    """
    text = _SENTENCES.sub("", _PAGE.sub("page", " ".join(wish[:_LONGEST].split())))
    found = _asked_language(text.casefold()) if len(text.casefold()) == len(text) else None
    return text if found is None else f"{text[: found.start()]}{text[found.end(2) :]}"


def _answer(question: Question, wish: str) -> Json:
    match question.kind:
        case "choice":
            if {*question.choices} <= {*_LANGUAGES}:
                return _language(wish.casefold())
            return _choice(question.choices, wish.casefold())
        case "number":
            return _number(question, wish.casefold())
        case "address":
            return next(iter(_addresses(wish)), None)
        case "words" if question.name == "kinds":
            return list(kinds_asked(wish)) or None
        case "addresses":
            return list(_addresses(wish)) or None
        case _:
            return None


def _language(wish: str) -> Json:
    """The language that the answer should have; a language that something else has is none."""
    if (into := _asked_language(wish)) is not None:
        return _WORDS[into[2]]
    found = _RESULT.search(wish)
    return _WORDS[found[1]] if found else None


def _asked_language(wish: str) -> re.Match[str] | None:
    for found in reversed([*_INTO.finditer(wish)]):
        if found[1] in {"auf", "ins"} or found[3] is None or found[3] in all_goals().small_words:
            return found
    return None


def _choice(choices: Mapping[str, Json], wish: str) -> Json:
    named = [choice for choice in choices if _has_words(wish, choice.casefold())]
    return named[0] if len(named) == 1 else None


def _has_words(wish: str, choice: str) -> bool:
    """Whether the words of a choice stand in a wish, one after the other."""
    words = _WORD.findall(choice)
    return bool(words) and f" {' '.join(words)} " in f" {' '.join(_WORD.findall(wish))} "


def _number(question: Question, wish: str) -> Json:
    """The number before what the question counts: `in 3 sentences` for "How many sentences ...?"; or the one that something
    is above: `over 2,500` for "Above which total ...?".
    """
    asks = question.ask.casefold()
    if asks.startswith("above which"):
        above = _ABOVE.search(wish)
        return None if above is None else int(above[1].replace(",", "").replace(".", ""))
    counted = re.match(r"how many (\w+)", asks)
    if counted is None:
        return None
    noun = counted[1].removesuffix("s")
    found = next((one for one in _COUNTED.finditer(wish) if one[2].removesuffix("s") == noun), None)
    return None if found is None else _NUMBERS.get(found[1]) or int(found[1])


def _addresses(wish: str) -> list[str]:
    return [found.rstrip(".,;:!?)") for found in ADDRESS.findall(wish)]
