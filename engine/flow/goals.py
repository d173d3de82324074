"""Goals: what people say they want, the template that does it, and the questions that fill in its blanks.

`assets/goals.yaml` holds them and says what each key means. A goal writes answers into places of a template's nodes; the
outcome is an ordinary document.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, Literal

import yaml
from msgspec import Struct, field
from pydantic import JsonValue

from engine.core.paths import ASSETS
from engine.core.unicode_forms import normalized
from engine.flow.document import Document
from engine.flow.node_context import Json
from engine.flow.payload_check import fits_format

FILE = ASSETS / "goals.yaml"
#: The longest answer, in characters, and the largest number of words in a list of them.
LONGEST = 5_000
MAX_WORDS = 100
_SAMPLES = "api_input/config/samples"
_PROMPT = "prompt/inputs/prompt"
#: What reading a place raises that a document does not have, or in which something else stands.
_NOT_THERE = (KeyError, IndexError, TypeError, ValueError)
#: Text with these parts would be read as a reference or a template, not as words.
_MARKS = ("{{", "}}", "{%", "%}", "{#", "#}")

Kind = Literal["text", "long", "address", "choice", "number", "words", "addresses", "file", "files", "table", "column"]
#: Kinds of questions that may stay empty: what the template has in that place is tried then.
FILES = frozenset({"file", "files"})


class Question(Struct, frozen=True):
    """One blank of a goal. `choices`: what is shown -> what is filled in; `takes`, `most_mb`: which files;
    `about_sample`: its first answer fits the template's own table or documents alone; `least`: 0 for a column that may be
    empty; `numbers`: the column is to hold numbers.
    """

    name: str
    ask: str
    kind: Kind
    default: Json = None
    hint: str = ""
    choices: Mapping[str, Json] = field(default_factory=dict[str, Json])
    least: int = 1
    most: int = MAX_WORDS
    takes: tuple[str, ...] = ()
    most_mb: float | None = None
    about_sample: bool = False
    numbers: bool = False

    @property
    def optional(self) -> bool:
        """True when no answer is an answer."""
        return self.kind in FILES or (self.kind == "column" and not self.least)


class Goal(Struct, frozen=True):
    """One wish. `sets`: `node/pointer` -> the value with blanks; `instruction`: the first paragraph of the prompt.

    `flow_title`: the title of the flow, with blanks; empty for the title of the goal. `decides`: its template has a
    Condition with an answer for each way. `timed`: it is made to start by itself at set times.
    """

    name: str
    title: str
    says: str
    words: str
    template: str
    questions: tuple[Question, ...]
    sets: Mapping[str, Json]
    instruction: str = ""
    flow_title: str = ""
    decides: bool = False
    timed: bool = False

    @property
    def places(self) -> dict[str, Json]:
        """All values with blanks, by place; the prompt stands under its own place."""
        return {**self.sets, **({_PROMPT: self.instruction} if self.instruction else {})}

    @property
    def asked_fields(self) -> frozenset[str]:
        """The fields of the API Input whose first value a question asks."""
        whole = {f"<{question.name}>" for question in self.questions}
        begin = f"{_SAMPLES}/0/payload/"
        return frozenset(
            place.removeprefix(begin) for place, put in self.sets.items() if place.startswith(begin) and put in whole
        )


class NotYet(Struct, frozen=True):
    """What no flow can do: the words by which it is recognised. The pages have the sentences, by `topic`."""

    words: tuple[str, ...]
    topic: str


class Goals(Struct, frozen=True):
    """The content of `assets/goals.yaml`.

    `same_words`: word -> the word that stands for all of its meaning; `small_words` say nothing about a goal.
    """

    goals: tuple[Goal, ...]
    same_words: Mapping[str, str]
    not_yet: tuple[NotYet, ...]
    small_words: frozenset[str]

    def find(self, name: str) -> Goal | None:
        """The goal of this name, or None."""
        return next((goal for goal in self.goals if goal.name == name), None)


class BadAnswer(ValueError):
    """An answer cannot be used; the text is the sentence for the person."""


@cache
def all_goals() -> Goals:
    """Reads the goals once per process."""
    value = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    same = {word: line.split()[0] for line in value["same_words"] for word in line.split()}
    not_yet = tuple(NotYet(tuple(one["words"]), one["topic"]) for one in value["not_yet"])
    return Goals(tuple(_goal(one) for one in value["goals"]), same, not_yet, frozenset(value["small_words"].split()))


def first_answers(goal: Goal, document: Document) -> dict[str, Json]:
    """The answers that stand in the questions at first: their defaults, or what the template has in that place."""
    written = document.as_json()
    found: dict[str, Json] = {}
    for question in goal.questions:
        value: JsonValue = question.default
        if question.kind in FILES:
            value = [] if question.kind == "files" else None
        elif value is None:
            value = _first_there(written, (place for place, put in goal.places.items() if put == f"<{question.name}>"))
        found[question.name] = value
    return found


def title_of(goal: Goal, answers: Mapping[str, Json]) -> str:
    """Returns the title of the flow. `answers` are those of `read_answer`."""
    return str(_with_answers(goal.flow_title or goal.title, answers))


def answers_in(goal: Goal, document: Document) -> dict[str, Json]:
    """Returns what stands in the questions of a goal that made this document, as far as it can be read from it.

    The document may have been changed since; who needs to know fills in the answers and compares.
    """
    written = document.as_json()
    found: dict[str, Json] = {}
    for place, put in goal.places.items():
        with suppress(*_NOT_THERE):
            for name, value in _taken_from(put, _get(written, place), goal).items():
                found.setdefault(name, value)
    first = first_answers(goal, document)
    return {one.name: _shown(one, found[one.name]) if one.name in found else first[one.name] for one in goal.questions}


def read_answer(question: Question, typed: Json) -> Json:
    """Returns the answer as it is filled in. Raises BadAnswer with a sentence for the person."""
    if question.kind == "choice":
        if not isinstance(typed, str) or typed not in question.choices:
            raise BadAnswer("Choose one of the answers.")
        return question.choices[typed]
    if question.kind == "number":
        return _number(question, typed)
    if question.kind == "words":
        return _words(question, typed)
    if question.kind in FILES:
        return _files(question, typed)
    if question.kind == "addresses":
        return [_address(one) for one in _words(question, typed)]
    text = _plain(str(typed or "").strip())
    if not text and not question.optional:
        raise BadAnswer("Choose a column." if question.kind == "column" else "Write something here.")
    return _address(text) if question.kind == "address" else text


def filled(goal: Goal, document: Document, answers: Mapping[str, Json]) -> Document:
    """Returns the template's document with the answers in their places. `answers` are those of `read_answer`.

    Only the first sample stays: the others were made for the template's own words.
    """
    written = document.as_json()
    empty = {f"<{one.name}>" for one in goal.questions if one.kind in FILES and answers.get(one.name) is None}
    for place, value in goal.sets.items():
        if value in empty:
            continue
        answered = _with_answers(value, answers)
        _set(written, place, _like(answered, _get(written, place)) if _makes_fields(value) else answered)
    if goal.instruction:
        _head, blank_line, rest = str(_get(written, _PROMPT)).partition("\n\n")
        _set(written, _PROMPT, _with_answers(goal.instruction, answers) + blank_line + rest)
    samples = _get(written, _SAMPLES)
    _set(written, _SAMPLES, [{**samples[0], "title": "First try"}])
    return Document.model_validate(written)


def _makes_fields(value: Json) -> bool:
    return isinstance(value, str) and value.endswith(" as fields>")


def _like(fields: Json, before: Json) -> Json:
    """Gives fields the type of the template's field with the same name: a total stays a number."""
    known = {one["name"]: one for one in before}
    return [{**known.get(one["name"], {}), **one, "type": known.get(one["name"], one)["type"]} for one in fields]


def _goal(value: Mapping[str, Any]) -> Goal:
    questions = tuple(_question(name, one) for name, one in value["questions"].items())
    return Goal(
        value["name"],
        value["title"],
        value["says"],
        value.get("words", ""),
        value["template"],
        questions,
        value.get("sets", {}),
        value.get("instruction", ""),
        value.get("flow_title", ""),
        value.get("decides", False),
        value.get("timed", False),
    )


def _question(name: str, value: Mapping[str, Any]) -> Question:
    choices: list[Json] | dict[str, Json] = value.get("choices", {})
    if isinstance(choices, list):
        choices = {str(choice): choice for choice in choices}
    return Question(
        name,
        value["ask"],
        value["kind"],
        value.get("default"),
        value.get("hint", ""),
        choices,
        value.get("least", 1),
        value.get("most", MAX_WORDS),
        tuple(value.get("takes", ())),
        value.get("most_mb"),
        value.get("about_sample", False),
        value.get("numbers", False),
    )


def _plain(text: str) -> str:
    if any(mark in text for mark in _MARKS):
        raise BadAnswer("Write it without double curly brackets: here they would be read as data of a step.")
    if len(text) > LONGEST:
        raise BadAnswer(f"This is longer than {LONGEST:,} characters. Take a shorter text for the first try.")
    return text


def _address(text: str) -> str:
    address = text if "://" in text else f"https://{text}"
    if not address.startswith(("http://", "https://")) or not fits_format("uri", address) or " " in address:
        raise BadAnswer("This is no web address. One looks like https://example.com/page.")
    return address


def _number(question: Question, typed: Json) -> int:
    try:
        number = int(str(typed).strip().removesuffix(".0"))
    except ValueError:
        raise BadAnswer("Write a whole number, like 3.") from None
    if not question.least <= number <= question.most:
        raise BadAnswer(f"Choose a number from {question.least} to {question.most}.")
    return number


def _files(question: Question, typed: JsonValue) -> Json:
    """Returns the chosen file, or a list of the chosen ones; None when there is none."""
    chosen = [one for one in (typed if isinstance(typed, list | tuple) else [typed]) if one]
    if len(chosen) > question.most:
        raise BadAnswer(f"These are more than {question.most}. Take fewer for the first try.")
    if any(not isinstance(one, str | Mapping) for one in chosen):
        raise BadAnswer("Choose a file.")
    if not chosen:
        return None
    return chosen if question.kind == "files" else chosen[0]


def _words(question: Question, typed: JsonValue) -> list[str]:
    lines = typed if isinstance(typed, list) else str(typed or "").splitlines()
    found = list(dict.fromkeys(_plain(str(line).strip()) for line in lines if str(line).strip()))
    if len(found) < question.least:
        raise BadAnswer("Write at least one." if question.least == 1 else f"Write at least {question.least} of them.")
    if len(found) > MAX_WORDS:
        raise BadAnswer(f"These are more than {MAX_WORDS}. Take fewer for the first try.")
    return found


def _with_answers(value: Json, answers: Mapping[str, Json]) -> Json:
    """Replaces the blanks of a value. A value that is one blank alone becomes the answer as it is."""
    if not isinstance(value, str):
        return copy.deepcopy(value)
    for name, answer in answers.items():
        if value == f"<{name}>":
            return copy.deepcopy(answer)
        if value == f"<{name} as fields>":
            return list(_fields(answer))
    parts = [value]
    for name, answer in answers.items():  # piece by piece, so that blanks inside answers stay words
        blank = f"<{name}>"
        parts = [
            piece
            for part, is_answer in zip(parts, _turns(len(parts)), strict=True)
            for piece in ([part] if is_answer else _between(part.split(blank), _said(answer)))
        ]
    return "".join(parts)


def _taken_from(put: Json, value: Json, goal: Goal) -> dict[str, Json]:
    """The answers that stand in a value in place of the blanks."""
    names = [question.name for question in goal.questions]
    for name in names:
        if put == f"<{name}>":
            return {name: value}
        if put == f"<{name} as fields>":
            return {name: [field["description"] for field in value]}
    if not isinstance(put, str) or not isinstance(value, str):
        return {}
    return _read_back(put, value.partition("\n\n")[0] if put == goal.instruction else value, names)


def _read_back(pattern: str, text: str, names: Sequence[str]) -> dict[str, Json]:
    """The answers in a text that was made from a pattern with blanks: each ends where the pattern goes on."""
    found: dict[str, Json] = {}
    rest = pattern
    while here := [name for name in names if f"<{name}>" in rest]:
        name = min(here, key=lambda one: rest.index(f"<{one}>"))
        before, _blank, rest = rest.partition(f"<{name}>")
        after = rest.partition("<")[0]
        if not text.startswith(before):
            return found
        text = text.removeprefix(before)
        end = text.find(after) if after != rest else len(text) - len(rest) if text.endswith(rest) else -1
        if end < 0:
            return found
        found.setdefault(name, text[:end])
        text = text[end:]
    return found


def _shown(question: Question, value: Json) -> Json:
    """The answer as a form shows it: of a choice its words, of a list a list."""
    if question.kind == "choice":
        return next((word for word, choice in question.choices.items() if choice == value), value)
    if question.kind in {"words", "addresses"} and isinstance(value, str):
        return value.split(", ")
    return value


def _turns(count: int) -> Iterator[bool]:
    """Texts and answers take turns, beginning with a text."""
    return (bool(at % 2) for at in range(count))


def _between(parts: list[str], answer: str) -> list[str]:
    """Returns the parts with the answer between each two of them."""
    return [piece for part in parts for piece in (part, answer)][:-1]


def _said(answer: JsonValue) -> str:
    return ", ".join(map(str, answer)) if isinstance(answer, list) else str(answer)


def _fields(names: list[str]) -> Iterator[dict[str, Json]]:
    """Output fields for these words. A name of a field holds letters, digits and underscores only."""
    taken: set[str] = set()
    for name in names:
        plain = normalized("NFKD", name.casefold()).encode("ascii", "ignore").decode()
        key = "".join(letter if letter.isalnum() else "_" for letter in plain)
        key = "_".join(filter(None, key.split("_"))) or "detail"
        key = key if key[0].isalpha() else f"detail_{key}"
        while key in taken:
            key += "_2"
        taken.add(key)
        yield {"name": key, "type": "string", "required": True, "description": name}


def _first_there(written: Mapping[str, Any], places: Iterator[str]) -> Json:
    """What stands in the first of these places; "" when it is not there: documents are changed after they were made."""
    with suppress(*_NOT_THERE):
        return next((_get(written, place) for place in places), "")
    return ""


def _get(written: Mapping[str, Any], place: str) -> Json:
    holder, key = _holder(written, place)
    return holder[key]


def _set(written: Mapping[str, Any], place: str, value: Json) -> None:
    holder, key = _holder(written, place)
    holder[key] = value


def _holder(written: Mapping[str, Any], place: str) -> tuple[Any, str | int]:
    """The list or object that holds a place, and its key in it. Raises one of _NOT_THERE when there is none."""
    node_id, *path = place.split("/")
    holder: list[Any] | dict[str, Any] = next(
        (node for node in written["nodes"] if node["id"] == node_id), dict[str, Any]()
    )
    if not holder:
        raise KeyError(place)
    for part in path[:-1]:
        holder = holder[int(part)] if isinstance(holder, list) else holder[part]
    last: Any = int(path[-1]) if isinstance(holder, list) else path[-1]
    holder[last]  # raises when the place itself is not there
    return holder, last
