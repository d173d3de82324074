"""JSON values: strict parsing, access by path, reading numbers, ordering and equality. Pure code."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from decimal import Context, Decimal
from typing import Any, Final, cast

from pydantic import JsonValue

from engine.core.body_limits import MAX_VALUES
from engine.core.json_shape import check_shape
from engine.flow.references import Json, as_text
from engine.flow.storable_values import MAX_DEPTH, deeper_than

#: Values of about this many characters are processed on the event loop, larger ones in a thread.
SMALL = 10_000
#: Sums are exact to 50 digits, so that prices add up as people read them.
EXACT: Final = Context(prec=50)

_OPENING = re.compile(r"\s*[\[{]")
_PART = re.compile(r'\.?([^.\[\]"]+)|\[\s*(\d{1,9})\s*\]|\["((?:[^"\\]|\\.)*)"\]')
_HOLDERS = (dict, list, tuple)
_NUMBER = re.compile(r"[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?")


def _no_number(name: str) -> Json:
    raise ValueError(f"`{name}` is not a JSON number")


def finite(text: str) -> float:
    """Returns the number that a JSON text has. Raises ValueError for one like 1e999, which would be infinite."""
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"`{text[:20]}` is larger than any number can be here")
    return number


#: A decoder for standard JSON (RFC 8259). Python's default accepts NaN, Infinity and 1e999, which other programs cannot
#: read.
STRICT = json.JSONDecoder(parse_constant=_no_number, parse_float=finite)


def check_count(text: str) -> None:
    """Raises TooManyValues for a JSON text with more values than the body of a request may have, before it is parsed."""
    if len(text) > MAX_VALUES and _OPENING.match(text):  # a shorter one has no room for so many
        check_shape(text.encode("utf-8", "surrogatepass"), most_values=MAX_VALUES)


def read_strictly(text: str) -> Json:
    """Returns the value of a JSON text. Raises ValueError when it is no JSON, or nested deeper than a flow may hold, and
    TooManyValues, which is one, as `check_count`.
    """
    check_count(text)
    try:
        value = STRICT.decode(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if deeper_than(value, MAX_DEPTH):
        raise ValueError("nested too deep")
    return value


def value_at(item: JsonValue, path: str) -> Json:
    """Returns what a path such as `author.name`, `tags[0]` or `["a key"]` names; "" or "." is the item. None when there
    is none.

    A key that itself contains dots is tried first.
    """
    path = path.strip()
    if path in {"", "."}:
        return item
    if isinstance(item, dict) and path in item:
        return item[path]
    at, value = 0, item
    while at < len(path):
        part = _PART.match(path, at)
        if part is None:
            return None
        name, position, key = part.groups()
        value = _step(value, name if name is not None else position or re.sub(r"\\(.)", r"\1", key or ""))
        if value is None:
            return None
        at = part.end()
    return value


def as_number(value: Json) -> int | float | None:
    """Returns the number that a value is, or that its text reads as; None for anything else, also for booleans."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return None if value != value or value in (float("inf"), float("-inf")) else value  # noqa: PLR0124 - not a number
    if not isinstance(value, str) or len(value) > 100 or not _NUMBER.fullmatch(text := value.strip()):
        return None
    number = float(text) if re.search(r"[.eE]", text) else int(text)
    return None if number in (float("inf"), float("-inf")) else number


def exact_sum(numbers: Iterable[int | float]) -> int | float | None:
    """Returns the sum as people add numbers up: 0.1 and 0.2 are 0.3. None when it is too large for JSON."""
    listed = list(numbers)
    return sum(listed) if all(isinstance(number, int) for number in listed) else plain_number(added(listed))


def added(numbers: Iterable[int | float]) -> Decimal:
    """Returns the exact sum of numbers as they are written."""
    total = Decimal(0)
    for number in numbers:
        total = EXACT.add(total, Decimal(str(number)))
    return total


def plain_number(number: Decimal) -> int | float | None:
    """Returns the number as JSON has it: without a fraction as a whole number; None when it is too large for JSON."""
    value = float(number)
    if value in (float("inf"), float("-inf")):
        return None
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def is_small(value: Json) -> bool:
    """True when processing the whole value is faster than passing it to a thread. It stops counting at SMALL."""
    if isinstance(value, str):
        return len(value) + 20 < SMALL
    if not isinstance(value, _HOLDERS):
        return True
    left = SMALL
    waiting: list[Any] = [value]
    while waiting:
        one = waiting.pop()
        left -= 20 + 40 * len(one)
        if left <= 0:
            return False
        entries = cast("Iterable[Any]", one.values() if isinstance(one, dict) else one)
        for inside in entries:
            if isinstance(inside, str):
                left -= len(inside)
            elif isinstance(inside, _HOLDERS):
                waiting.append(inside)
    return left > 0


def ordered_by(items: Sequence[Json], path: str, descending: bool) -> list[Json]:  # noqa: FBT001 - called by position in a thread
    """Returns the items sorted by a path: first numbers, then texts, booleans, lists and objects; `descending` turns each of
    these groups around, not their order.

    Missing, null and blank texts come last. The sort is stable.
    """
    groups: tuple[list[tuple[Any, Json]], ...] = ([], [], [], [], [])
    for item in items:
        group, key = _key(value_at(item, path))
        groups[group].append((key, item))
    *there, last = groups
    for one in there:
        one.sort(key=lambda pair: pair[0], reverse=descending)
    return [item for one in (*there, last) for _, item in one]


def is_blank(value: Json) -> bool:
    """True for null and for a text without any letter but blanks."""
    return value is None or (isinstance(value, str) and not value.strip())


def _key(value: Json) -> tuple[int, Any]:
    if is_blank(value):
        return (4, None)
    if (number := as_number(value)) is not None:
        return (0, number)
    if isinstance(value, str):
        return (1, value.casefold())
    if isinstance(value, bool):
        return (2, value)
    return (3, as_text(value))


def same(left: Json, right: Json) -> bool:
    """True when two JSON values are equal in type and content; `1` equals `1.0`, but not `true`. Iterative."""
    waiting: list[tuple[JsonValue, JsonValue]] = [(left, right)]
    while waiting:
        one, other = waiting.pop()
        if isinstance(one, dict) and isinstance(other, dict):
            if one.keys() != other.keys():
                return False
            waiting += [(value, other[key]) for key, value in one.items()]
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            waiting += zip(one, other, strict=True)
        elif isinstance(one, dict | list) or isinstance(other, dict | list):
            return False
        elif isinstance(one, bool) != isinstance(other, bool) or one != other:
            return False
    return True


def _step(value: JsonValue, part: str) -> Json:
    if isinstance(value, dict):
        return value.get(part)
    if isinstance(value, list) and part.isdecimal() and part.isascii() and int(part) < len(value):
        return value[int(part)]
    return None
