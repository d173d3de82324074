"""Makes up values for the fields of an API Input: the examples in docs, code samples and forms.

Whoever opens a page sets this off, on the event loop too, and a field may ask for a text of ten million characters. So
all values of one example share a budget: what they have together, and the work that may be done to find them.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import math
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from cachetools import LRUCache, cached
from pydantic import JsonValue

from engine.core.errors import WrongFields
from engine.core.json_text import json_bytes
from engine.flow.example_texts import MAX_TEXT_STEPS, Budget, UsedUp, texts_like
from engine.flow.patterns import PatternBudget
from engine.flow.payload_check import FieldDict, PayloadCheck
from engine.flow.references import Json

#: The characters and items that the made-up values of one example may have together. What would have more is left out.
MAX_MADE_UP: Final = 20_000
#: The candidates for them: characters and items that are written or looked at. A few hundredths of a second.
MAX_WORK: Final = 100_000
#: The steps of patterns for all candidates of one example (`engine.flow.patterns`): about a hundredth of a second.
EXAMPLE_STEPS: Final = 2_000_000
#: The steps of compiling these patterns and of all searches: a few hundredths of a second.
_PATTERN_STEPS: Final = 9_000_000
#: How many candidates are checked to find one example value.
_MAX_CANDIDATES: Final = 300
#: How many bytes the texts of the kept examples may have together.
_KEPT: Final = 8_000_000

#: An id for examples, which no upload has.
EXAMPLE_FILE_ID: Final = "file_1A2b3C4d5E6f7G8h9I0jKl"
#: Format -> starts and ends of texts in this format; the part between them may be made longer.
_SAMPLES: Final = {
    "uri": (("https://practice.flowport.example/", ""), ("https://a.example", ""), ("http://a", "")),
    "email": (("ann", "@example.com"), ("a" * 64 + "@", ".com"), ("a", "@b.co")),
    "date-time": (),
}
#: How the name of a text field ends -> what is in it.
_BY_NAME: Final = (
    (re.compile(r"mail(?:[ _-]?add?ress?e?)?$", re.IGNORECASE), "name@example.com"),
    (re.compile(r"(?:url|website|homepage|link)$", re.IGNORECASE), "https://www.example.com"),
    (re.compile(r"(?:phone|telefon)(?:[ _-]?(?:number|nummer))?$", re.IGNORECASE), "+1 555 0100"),
    (re.compile(r"(?:^|[ _-])(?:date|datum)$", re.IGNORECASE), "2026-01-31"),
)


def example_check() -> PayloadCheck:
    """Returns the check for payloads that somebody typed, with the steps that all of an example may take together. A text
    that takes more is not held against its pattern.
    """
    check = _small_check()
    check.unchecked_fits = True
    return check


def _small_check() -> PayloadCheck:
    return PayloadCheck(steps=EXAMPLE_STEPS, patterns=PatternBudget(at_once=_PATTERN_STEPS), by_size=True)


def fits_as_known(check: PayloadCheck, fields: Sequence[FieldDict], payload: Mapping[str, Any]) -> bool:
    """Tells whether the fields take a payload. `check`: an `example_check`."""
    check.errors = WrongFields()
    check.payload(fields, payload)
    return not check.errors


def value_fits_as_known(check: PayloadCheck, field: FieldDict, value: Json) -> bool:
    """Tells the same about the value of one field."""
    check.errors = WrongFields()
    check.value(field, value)
    return not check.errors


def given_value(check: PayloadCheck, field: FieldDict) -> Json:
    """Returns the value that the author of a field has given: its example or default; a switch is off, and a group has those
    of its fields. None: there is none. `check`: an `example_check`.
    """
    for key in ("example", "default"):
        if (value := field.get(key)) is not None and value_fits_as_known(check, field, value):
            return value
    if field.get("type") == "boolean":
        return False
    if field.get("type") != "object":
        return None
    inner = [one for one in field.get("fields") or () if one.get("name") and is_shown(one)]
    given = {str(one["name"]): given_value(check, one) for one in inner}
    return given if given and None not in given.values() else None


def is_shown(field: FieldDict) -> bool:
    """Tells whether an example has this field."""
    return bool(field.get("required")) or field.get("example") is not None


def made_up_values(fields: Sequence[FieldDict]) -> dict[str, Json]:
    """Returns a value for each required field and each with an example, by name: one that fits, or when none is found
    one of its type. Fields whose values would be too long, or take too long to find, are left out.

    The values are kept for the same fields; the caller gets a copy.
    """
    return json.loads(_made_up_of(fields))


def _key(fields: Sequence[FieldDict]) -> bytes:
    return hashlib.sha256(json_bytes(list(fields))).digest()


@cached(LRUCache(_KEPT, lambda text: 1_000 + len(text)), key=_key, lock=threading.Lock())
def _made_up_of(fields: Sequence[FieldDict]) -> bytes:
    """Returns the values as JSON text, which takes less room and is copied faster than the values."""
    making = _Making()
    found: dict[str, Json] = {}
    for field in fields:
        if (name := field.get("name")) and is_shown(field):
            with contextlib.suppress(UsedUp):
                found[str(name)] = making.value(field)
    return json_bytes(found)


def _size(value: JsonValue, *, each: int = 1) -> int:
    """Returns how many values a value has at all levels, with one more for `each` characters of its texts."""
    size = 0
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        size += 1
        if isinstance(inner, str):
            size += len(inner) // each
        elif isinstance(inner, dict):
            size += sum(map(len, inner)) // each
            waiting += inner.values()
        elif isinstance(inner, list | tuple):
            waiting += inner
    return size


class _Making:
    """Makes the values of one example."""

    def __init__(self) -> None:
        self._left = MAX_MADE_UP
        self._work = Budget(MAX_WORK)
        self._check = _small_check()

    def value(self, field: FieldDict) -> Json:
        """Returns a value that fits the field; when none is found, one of its type. Raises UsedUp."""
        chosen: tuple[Json, int] = (None, 0)
        for candidate in itertools.islice(self._candidates(field), _MAX_CANDIDATES):
            chosen = candidate
            if self._fits(field, candidate[0]):
                break
        value, size = chosen
        self._check_room(size)
        self._left -= size
        return value

    def _check_room(self, size: int) -> None:
        if size > self._left:
            raise UsedUp

    def _fits(self, field: FieldDict, value: Json) -> bool:
        """Raises UsedUp also when the patterns take too many steps to find it out."""
        self._work.take(_size(value, each=100))
        check = self._check
        check.errors, check.unchecked = WrongFields(), False
        check.value(field, value)
        if check.unchecked:
            raise UsedUp
        return not check.errors

    def _candidates(self, field: FieldDict) -> Iterator[tuple[Json, int]]:
        """Yields values that may fit, the most likely ones first, each with what it adds to the made-up values."""
        yield from ((field[key], 0) for key in ("example", "default") if field.get(key) is not None)
        yield from ((value, 0) for value in field.get("enum") or ())
        match field.get("type") or "string":
            case "integer":
                lowest, highest = field.get("minimum"), field.get("maximum")
                low, high = (
                    None if lowest is None else math.ceil(lowest),
                    None if highest is None else math.floor(highest),
                )
                yield _within(1, low, high), 1
            case "number":
                yield _within(1.5, field.get("minimum"), field.get("maximum")), 1
            case "boolean":
                yield True, 1
            case "file":
                yield EXAMPLE_FILE_ID, 1
            case "array":
                yield self._list(field)
            case "object":
                yield self._object(field), 1
            case _:
                yield from ((text, 1 + len(text)) for text in self._texts(field))

    def _list(self, field: FieldDict) -> tuple[Json, int]:
        items: JsonValue = field.get("items")
        least, most = field.get("min_items") or 0, field.get("max_items")
        if not isinstance(items, Mapping):
            self._check_room(2 * least)
            return ["your text"] * least, 2 * least
        count = max(1, least) if most is None else min(max(1, least), most)
        self._check_room(count)
        item = self.value(items)
        more = max(0, count - 1) * _size(item)
        self._check_room(more)
        return [item] * count, 1 + more

    def _object(self, field: FieldDict) -> Json:
        found: dict[str, Json] = {}
        for one in field.get("fields") or ():
            if not (name := one.get("name")):
                continue
            try:
                value = self.value(one)
                if one.get("required") or self._fits(one, value):
                    found[name] = value
            except UsedUp:
                if one.get("required"):
                    raise
        return found

    def _texts(self, field: FieldDict) -> Iterator[str]:
        """Yields texts for a field: first of its format, then of its pattern, then plain ones."""
        least, most = field.get("min_length") or 0, field.get("max_length")
        self._check_room(least)
        named = ((_named_text(field), ""), ("a", ""))
        plain = [(start, end) for start, end in _SAMPLES.get(str(field.get("format")), named)]
        made = [start + "x" * (least - len(start) - len(end)) + end for start, end in plain]
        if field.get("format") == "date-time":
            made = ["2026-01-31T12:00:00Z", f"2026-01-31T12:00:00.{'0' * max(1, least - 21)}Z"]
        pattern = field.get("pattern")
        if pattern:
            yield from made
            if not self._check.patterns.why_not(str(pattern)):
                yield from self._texts_like(str(pattern), least, self._left if most is None else most)
        elif not field.get("format"):
            made = [text[:most] for text in made]
        yield from made

    def _texts_like(self, pattern: str, least: int, most: float) -> Iterator[str]:
        budget = Budget(min(MAX_TEXT_STEPS, self._work.left))
        before = budget.left
        try:
            yield from texts_like(pattern, least, min(int(most), self._left), budget)
        finally:
            self._work.left -= before - budget.left


def _named_text(field: FieldDict) -> str:
    """Returns what the name of a field says that is in it; otherwise words that nobody takes for real ones."""
    name = str(field.get("name") or "text")
    fitting = next((text for ending, text in _BY_NAME if ending.search(name)), None)
    return fitting or f"your {name.replace('_', ' ')}"


def _within(wanted: float, lowest: float | None, highest: float | None) -> float:
    """Returns the wanted number, moved into the limits."""
    if lowest is not None and wanted < lowest:
        return lowest
    return highest if highest is not None and wanted > highest else wanted
