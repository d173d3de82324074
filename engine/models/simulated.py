"""The Simulated model: a deterministic stand-in that builds answers from the words of the prompt, without a key or
network.

It lets every template run before a real model is connected. A text answer is the first two sentences of the longest
text in the prompt; an object is filled with words and numbers that occur there. A choice (allowed values, yes or no, a
number between two limits) is what the prompt plainly says; otherwise a hash of the prompt chooses, so that different
prompts get different choices and the same prompt always the same one. Callers must mark its answers as simulated.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from engine.core.errors import WrongFields
from engine.flow.example_texts import Budget, UsedUp
from engine.flow.node_context import Json, JsonSchema
from engine.flow.payload_check import PATTERN_STEPS, PayloadCheck
from engine.models.structured_output import check_object, field_of

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[^\s])|\n+")
_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:[.,]\d+)?(?![\w])")
#: The head of one page among several, and how many of them a report names.
_PAGE = re.compile(r"^Page: (.{1,200}?)(?: \(https?://[^\s)]+\))?$", re.MULTILINE)
_MAX_PAGES = 10
_URL = re.compile(r"https?://[^\s<>\"'`)\]}]+")
# The lookbehind anchors a match at the start of a word; without it, a word of 40 KB would take seconds (quadratic
# time).
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)++")
_CURRENCY = re.compile(r"\d ?([A-Z]{3})\b")
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
#: The characters and entries that a schema may ask for in one answer, with those that are tried. An answer that would need
#: more does not fit. A value counts as fifty characters; in a longer list the values come again.
_MAX_ASKED_FOR = 1_000_000
_OF_A_VALUE = 50
_MAX_DIFFERENT = 50
#: Maximum number of characters that are read of a prompt, and of a word that is searched as a whole word.
_LONGEST_PROMPT = 200_000
_LONGEST_WORD = 200
_LONGEST_ANSWER = 400
_LISTED = 3
_LISTED_FILES = 5
_TITLES = frozenset({"title", "name", "headline", "heading", "subject"})
_LONG_TEXTS = frozenset({"summary", "text", "description", "answer", "body", "content", "abstract", "explanation"})
_KEYWORDS = frozenset({"tag", "tags", "keyword", "keywords", "topic", "topics", "label", "labels"})

#: Words of praise and of complaint, by which choices like positive and negative are made.
_GOOD = frozenset({
    "amazing", "awesome", "beautiful", "best", "brilliant", "delicious", "delighted", "easy", "enjoy", "enjoyed",
    "excellent", "fantastic", "fast", "favourite", "fresh", "friendly", "fun", "good", "great", "happy",
    "helpful", "liked", "love", "loved", "lovely", "nice", "perfect", "pleased", "positive", "praise",
    "recommended", "satisfied", "superb", "tasty", "thank", "thanks", "wonderful",
})  # fmt: skip
_BAD = frozenset({
    "angry", "annoyed", "annoying", "awful", "bad", "bland", "boring", "broke", "broken", "burnt", "cold",
    "complain", "complaint", "damaged", "dirty", "disappointed", "disappointing", "dreadful", "faulty", "hate",
    "hated", "horrible", "mouldy", "negative", "overpriced", "poor", "poorly", "refund", "rude", "sad", "slow",
    "soggy", "stale", "terrible", "ugly", "unhappy", "unfriendly", "useless", "waste", "worse", "worst", "wrong",
})  # fmt: skip
_NOT = frozenset({"not", "no", "never", "hardly", "isn't", "wasn't", "aren't", "weren't", "don't", "didn't", "doesn't"})
#: Fields that ask whether a word occurs: without it the answer is no.
_ASKS_FOR_A_WORD = ("mentions_", "contains_", "includes_", "has_", "names_")


def answer(
    prompt: str,
    system: str = "",
    output_schema: JsonSchema | None = None,
    max_tokens: int | None = None,
    files: Sequence[tuple[str, str]] = (),
    check: PayloadCheck | None = None,
) -> tuple[str, Json | None]:
    """Returns the answer as text and as value.

    Without a schema both are the same text. With a schema the value is an object that fits it, or None when none can be
    built. `files` are the names and media types of pictures, sound and videos: the answer says how many came, and
    never what is on them. `check`: with what is left of the job's budget; a schema with patterns may take a second.
    """
    check = PayloadCheck(steps=PATTERN_STEPS) if check is None else check
    material = _Material((prompt or system)[:_LONGEST_PROMPT], tuple(files), Budget(_MAX_ASKED_FOR), check)
    if output_schema is None:
        text = _cut(material.opening, min(_LONGEST_ANSWER, (max_tokens or _LONGEST_ANSWER) * 4))
        return text, text
    try:
        filled = _fill_object(output_schema, material, 0)
    except UsedUp:
        return "{}", None
    value, wrong = check_object(filled, output_schema, check)
    return json.dumps(value, ensure_ascii=False), None if wrong else value


def tokens_of(text: str) -> int:
    """Estimates the number of tokens of a text: a quarter of its characters, rounded up."""
    return (len(text) + 3) // 4


@dataclass(frozen=True)
class _Material:
    """The parts of a prompt that answers are built from."""

    prompt: str
    files: tuple[tuple[str, str], ...]
    #: What may still be written because the schema asks for it.
    budget: Budget
    #: The check of all texts that are tried for a pattern; they share its steps.
    check: PayloadCheck
    _labelled: dict[str, str | None] = field(default_factory=dict[str, "str | None"])

    @cached_property
    def seen(self) -> str:
        """One sentence about the files that came with the prompt; "" without any."""
        if not self.files:
            return ""
        kind = "picture" if all(media_type.startswith("image/") for _, media_type in self.files) else "file"
        count = f"1 {kind}" if len(self.files) == 1 else f"{len(self.files)} {kind}s"
        listed = ", ".join(f"“{name}”" for name, _ in self.files[:_LISTED_FILES])
        more = len(self.files) - _LISTED_FILES
        if more > 0:
            listed += f" and {more} more"
        it = "it" if len(self.files) == 1 else "them"
        return f"The Simulated model got {count}, {listed}, but cannot {'see' if kind == 'picture' else 'open'} {it}."

    @cached_property
    def longest(self) -> str:
        """The longest paragraph; text before a colon in its first line is removed, as it is usually the instruction."""
        pieces = [piece.strip() for piece in re.split(r"\n\s*\n", self.prompt) if piece.strip()]
        longest = max(pieces, key=len, default="")
        head, colon, rest = longest.partition(":")
        found = bool(colon) and "\n" not in head and len(rest.strip()) > len(head) and not rest.startswith("//")
        return rest.strip() if found else longest

    @cached_property
    def sentences(self) -> list[str]:
        found = [" ".join(piece.split()).strip(" #*-•") for piece in _SENTENCE.split(self.longest)]
        said = [piece for piece in found if piece] or ["Nothing was said."]
        return [self.seen, *said] if self.seen else said

    @cached_property
    def opening(self) -> str:
        """What is said about files, or the first two sentences."""
        return self.seen or " ".join(self.sentences[:2])

    @cached_property
    def pages(self) -> str:
        """A line for each page of a prompt with heads like `Page: News (https://...)`: its title and a sentence of it."""
        _before, *parts = _PAGE.split(self.prompt)
        heads, texts = parts[::2][:_MAX_PAGES], parts[1::2]
        said = [
            _cut(f"{head}: {_first_sentence(text, head)}", _LONGEST_ANSWER)
            for head, text in zip(heads, texts, strict=False)
        ]
        return "\n\n".join(said)

    @cached_property
    def keywords(self) -> list[str]:
        """Words of more than four letters, the most frequent first."""
        words = [word for word in _WORD.findall(self.longest.lower()) if len(word) > 4]
        return [word for word, _ in Counter(words).most_common(20)] or ["nothing"]

    @cached_property
    def words(self) -> list[str]:
        return _WORD.findall(self.longest)[:200]

    @cached_property
    def numbers(self) -> list[float]:
        return [float(text.replace(",", ".")) for text in _NUMBER.findall(self.longest)]

    def labelled(self, name: str) -> str | None:
        """Returns the text after `Name:` or `name =` in a line of the prompt, or the next non-empty line; None without
        such a label.
        """
        if name not in self._labelled:
            self._labelled[name] = self._find_labelled(name)
        return self._labelled[name]

    def _find_labelled(self, name: str) -> str | None:
        words = name.lower().replace("_", " ").split(" ")
        found = False
        for line in self.prompt.split("\n"):
            if not found:
                rest = _after(line, words)
                found, line = rest is not None, rest or ""  # noqa: PLW2901 - `line` becomes the text after the label
            if found and (value := line.strip()):  # the value may follow on a later line
                return value.strip("\"',")
        return None

    def mentions(self, word: str) -> bool:
        """Tells whether the text contains the word as a whole word."""
        return _count(word, self._lower) > 0

    def plainly(self, choices: Sequence[Json]) -> Json:
        """Returns the choice that the text names more often than the others; None when none stands out.

        Where the text does not decide, the whole prompt does: its instructions name each choice once, so that what else
        names one makes the difference.
        """
        for text, fewest in ((self._lower, 1), (self.prompt.lower(), 2)):
            counts = [_count(str(choice), text) for choice in choices]
            most = max(counts)
            if counts.count(most) == 1 and sum(count > 0 for count in counts) >= fewest:
                return choices[counts.index(most)]
        return None

    @cached_property
    def tone(self) -> int:
        """Above 0 when the prompt has more words of praise than of complaint, below 0 when it has fewer."""
        found, negated = 0, False
        for word in _WORD.findall(self.prompt.lower().replace("’", "'")):
            meaning = (word in _GOOD) - (word in _BAD)
            found += -meaning if negated else meaning
            negated = word in _NOT or (negated and word in {"very", "so", "really", "a", "that", "at", "all"})
        return found

    def hashed(self, name: str, nth: int, count: int) -> int:
        """Returns a number below `count` that depends on the prompt, the field and its place only."""
        digest = hashlib.blake2b(f"{name}\n{self.prompt}".encode("utf-8", "replace"), digest_size=8).digest()
        return (int.from_bytes(digest, "big") + nth) % count

    @cached_property
    def _lower(self) -> str:
        return self.longest.lower()


def _first_sentence(text: str, head: str) -> str:
    """Returns the first sentence that says more than the title does, or what there is."""
    found = [" ".join(piece.split()).strip(" #*-•|") for piece in _SENTENCE.split(text[:_LONGEST_PROMPT])]
    said = [piece for piece in found if piece]
    return next(
        (one for one in said if one not in head and one.count(" ") > 2 and one.endswith((".", "!", "?"))),
        next(iter(said), "Nothing was said."),
    )


def _count(word: str, text: str) -> int:
    """Returns how often a text in lower case contains the word as a whole word; 0 or 1 for a very long word."""
    word = word.lower()
    if len(word) > _LONGEST_WORD or not word:
        return int(bool(word) and word in text)
    found, at = 0, text.find(word)
    while at >= 0:
        around = text[max(0, at - 1) : at] + text[at + len(word) : at + len(word) + 1]
        found += not any(letter.isalnum() or letter == "_" for letter in around)
        at = text.find(word, at + 1)
    return found


def _tone_of(text: str) -> int:
    """Returns 1 for the name of something good (`positive`, `is_happy`), -1 for something bad, else 0."""
    words = set(_WORD.findall(text.lower().replace("_", " ")))
    return bool(words & _GOOD) - bool(words & _BAD)


def _after(line: str, words: list[str]) -> str | None:
    """Returns the text after `Name:` or `name =` at the beginning of a line, or None."""
    at = 0
    while at < len(line) and not (line[at].isalnum() or line[at] == "_"):
        at += 1
    for place, word in enumerate(words):
        if place and line[at : at + 1] in {" ", "_", "-"}:
            at += 1
        if line[at : at + len(word)].lower() != word:
            return None
        at += len(word)
    rest = line[at:].lstrip()
    return rest[1:] if rest.startswith((":", "=")) else None


def _fill_object(schema: JsonSchema, material: _Material, nth: int) -> dict[str, Json]:
    properties = schema.get("properties") or {}
    return {name: _fill(name, inner, material, nth + place) for place, (name, inner) in enumerate(properties.items())}


def _fill(name: str, schema: JsonSchema, material: _Material, nth: int) -> Json:
    """Builds a value for one field. `nth` is the field's position and makes neighbouring values differ. Raises UsedUp."""
    material.budget.take(_OF_A_VALUE)
    if schema.get("enum"):
        return _choice(name, schema["enum"], material, nth)
    kinds = schema.get("type")
    kind = next((kind for kind in kinds if kind != "null"), None) if isinstance(kinds, list) else kinds
    match kind:
        case "integer" | "number":
            return _number(name, schema, material, nth, whole=kind == "integer")
        case "boolean":
            return _yes_or_no(name, material, nth)
        case "array":
            return _list(name, schema, material)
        case "object":
            return _fill_object(schema, material, nth)
    return _text(name, schema, material, nth)


def _choice(name: str, allowed: Sequence[Json], material: _Material, nth: int) -> Json:
    """Returns the allowed value that the prompt names or whose tone it has, or one by hash."""
    choices = [choice for choice in allowed if choice is not None] or list(allowed)
    if (plain := material.plainly(choices)) is not None:
        return plain
    if material.tone:
        fitting = [choice for choice in choices if _tone_of(str(choice)) * material.tone > 0]
        if len(fitting) == 1:
            return fitting[0]
    return choices[material.hashed(name, nth, len(choices))]


def _yes_or_no(name: str, material: _Material, nth: int) -> bool:
    said = material.labelled(name)
    if said is not None:
        return said.lower() in {"true", "yes", "1", "on"}
    asked = _tone_of(name)
    if asked and material.tone:
        return asked * material.tone > 0
    if any(material.mentions(word) for word in name.lower().split("_") if len(word) > 3):
        return True
    return not name.lower().startswith(_ASKS_FOR_A_WORD) and material.hashed(name, nth, 2) == 1


def _list(name: str, schema: JsonSchema, material: _Material) -> list[Json]:
    items = schema.get("items")
    if not isinstance(items, Mapping):
        return []
    fewest, most = schema.get("minItems") or 1, schema.get("maxItems")
    material.budget.take(fewest)
    if choices := items.get("enum"):
        named = [choice for choice in choices if choice is not None and material.mentions(str(choice))]
        wanted = max(fewest, len(named))
        others = _many(lambda place: _choice(name, choices, material, place), wanted - len(named), material)
        return [*named, *others][: wanted if most is None else most]
    supply = len(material.keywords if name.lower() in _KEYWORDS else material.sentences)
    count = max(fewest, min(_LISTED, supply))
    wanted = count if most is None else min(count, most)
    return _many(lambda place: _fill(name, dict(items), material, place), wanted, material)


def _many(make: Callable[[int], Json], count: int, material: _Material) -> list[Json]:
    """Returns so many values; after the first ones they come again. Raises UsedUp."""
    before = material.budget.left
    different = [make(place) for place in range(min(count, _MAX_DIFFERENT))]
    again = max(0, count - _MAX_DIFFERENT)
    material.budget.take((before - material.budget.left) * again // _MAX_DIFFERENT)
    return different + [different[place % _MAX_DIFFERENT] for place in range(again)]


def _number(name: str, schema: JsonSchema, material: _Material, nth: int, *, whole: bool) -> float | int:
    lowest, highest = schema.get("minimum"), schema.get("maximum")
    labelled = _NUMBER.search(material.labelled(name) or "")
    found = [float(labelled.group().replace(",", "."))] if labelled else []
    turned = material.numbers[nth % len(material.numbers) :] + material.numbers if material.numbers else []
    found += turned
    fitting = [
        number
        for number in found
        if (lowest is None or number >= lowest)
        and (highest is None or number <= highest)
        and (not whole or number.is_integer())
    ]
    if fitting:
        chosen = fitting[0]
    elif lowest is not None and highest is not None:
        return _between(name, lowest, highest, material, nth, whole=whole)
    else:
        chosen = max(lowest or 0, 0) if highest is None else min(max(lowest or 0, 0), highest)
    return int(-(-chosen // 1)) if whole or float(chosen).is_integer() else chosen


def _between(name: str, lowest: float, highest: float, material: _Material, nth: int, *, whole: bool) -> float | int:
    """Returns a number between two limits by hash; one without a whole number between them gets the lower one."""
    if whole:
        first, last = math.ceil(lowest), math.floor(highest)
        return first + material.hashed(name, nth, last - first + 1) if last >= first else first
    share = material.hashed(name, nth, 101) / 100
    return min(max(round(lowest + (highest - lowest) * share, 2), lowest), highest)


def _text(name: str, schema: JsonSchema, material: _Material, nth: int) -> str:
    form, short = schema.get("format"), name.lower()
    if form == "uri":
        urls = _URL.findall(material.prompt)
        return urls[nth % len(urls)].rstrip(".,;") if urls else "https://practice.flowport.example/"
    if form == "email":
        return next(iter(_EMAIL.findall(material.prompt)), "ann@example.com")
    if form == "date-time":
        return f"{next(iter(_DATE.findall(material.longest)), '2026-01-01')}T00:00:00Z"
    if (labelled := material.labelled(name)) is not None:
        candidates = [labelled]
    elif short == "currency" and (code := _CURRENCY.search(material.longest)):
        return code.group(1)
    elif short in _KEYWORDS:
        candidates = [material.keywords[nth % len(material.keywords)]]
    elif short in _TITLES:
        candidates = [_cut(material.files[0][0] if material.files else material.sentences[0], 80)]
    elif short == "report" and material.pages:
        candidates = [material.pages]
    elif short in _LONG_TEXTS:
        candidates = [_cut(material.opening, _LONGEST_ANSWER)]
    else:
        candidates = [_cut(material.sentences[nth % len(material.sentences)], 200)]
    return _fitted(schema, [*candidates, *material.keywords, *material.words], material)


def _fitted(schema: JsonSchema, candidates: list[str], material: _Material) -> str:
    """Returns the first candidate that fits the schema's length and pattern; candidates are shortened or repeated to
    fit the length.
    """
    fewest, most = schema.get("minLength") or 0, schema.get("maxLength")
    first = _sized(candidates[0], fewest, most, material)
    if not schema.get("pattern") or _fits(schema, first, material):
        return first
    tried = itertools.chain(
        (_sized(text, fewest, most, material) for text in candidates[1:]), _NUMBER.findall(material.prompt)[:200]
    )
    return next((text for text in tried if _fits(schema, text, material)), first)


def _fits(schema: JsonSchema, text: str, material: _Material) -> bool:
    """Tells whether a text fits the schema of one text; no longer when the patterns have taken too many steps."""
    material.check.errors = WrongFields()
    material.check.value(field_of({**schema, "type": "string"}), text)
    return not material.check.errors and not material.check.unchecked


def _sized(text: str, fewest: int, most: int | None, material: _Material) -> str:
    """Returns a text with a length between both. Raises UsedUp."""
    material.budget.take(fewest)
    while len(text) < fewest:
        text = f"{text} {text}" if text else "text"
    if most is None or len(text) <= most:
        return text
    cut = _cut(text, most)
    return cut if len(cut) >= fewest else text[:most]


def _cut(text: str, longest: int) -> str:
    """Shortens a text at a word boundary and appends an ellipsis."""
    if len(text) <= longest:
        return text
    kept = text[: max(0, longest - 1)]
    at_word = kept.rsplit(" ", 1)[0] if " " in kept[longest // 2 :] else kept
    return f"{at_word}…"[:longest]
