"""The filters of a Text Template: pure functions on JSON values, used both in the server and in the evaluator process.

No filter makes a text much longer than its input, and a text above `MAX_TEXT` is refused, so a chain of filters cannot
grow without limit either. They raise TypeError or ValueError with a sentence for input that they cannot use.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import partial
from typing import Concatenate, Final
from urllib.parse import quote

from pydantic import JsonValue

from engine.flow.json_values import as_number, exact_sum, ordered_by, value_at
from engine.flow.references import Json, as_text

MAX_TEXT: Final = 10 << 20
MAX_PIECES: Final = 1_000_000
#: Rounds as people do, 2.5 to 3; precise enough for 300 places behind the largest number.
_ROUNDING: Final = Context(prec=700, rounding=ROUND_HALF_UP)
#: A word for `title`: apostrophes, digits and accents that are characters of their own do not end it.
_WORD: Final = re.compile(r"[^\W_](?:[^\W_]|['’\u0300-\u036f])*+")


def _default(value: Json, other: Json = "") -> Json:
    return other if value is None or value in ("", [], {}) else value


def _truncate(value: Json, length: int = 255) -> str:
    text = as_text(value)
    return text if len(text) <= length else text[: max(0, int(length) - 1)] + "…"


def _length(value: JsonValue) -> int:
    return len(value) if isinstance(value, str | list | dict) else len(as_text(value))


def _first(value: JsonValue) -> Json:
    return value[0] if isinstance(value, list | str) and value else None


def _last(value: JsonValue) -> Json:
    return value[-1] if isinstance(value, list | str) and value else None


def _join(value: JsonValue, separator: str = ", ") -> str:
    if not isinstance(value, list):
        return as_text(value)
    between, texts = as_text(separator), [as_text(item) for item in value]
    bounded(sum(map(len, texts)) + len(between) * len(texts))
    return between.join(texts)


def _replace(value: Json, old: str, new: str) -> str:
    text, old, new = as_text(value), as_text(old), as_text(new)
    bounded(len(text) + max(0, len(new) - len(old)) * text.count(old))
    return text.replace(old, new)


def _capitalized(found: re.Match[str]) -> str:
    word = found[0]
    at = 2 if word[1:2] in {"'", "’"} and len(word) > 4 else 0  # O'Neil, but I'll
    return word[:at].capitalize() + word[at:].capitalize()


def _round(value: Json, digits: int = 0) -> Json:
    number, places = _number(value), max(-300, min(300, int(digits)))
    if isinstance(number, int) and places >= 0:
        return number
    rounded = _ROUNDING.quantize(Decimal(str(number)), Decimal((0, (1,), -places)))
    return int(rounded) if places <= 0 else float(rounded)


def _number(value: Json) -> int | float:
    number = as_number(value)
    if number is None:
        raise TypeError("it is not a number")
    return number


def _list(value: JsonValue) -> list[Json]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise TypeError("it is not a list")
    return value


def _sort(value: Json, by: str = "", descending: object = False) -> list[Json]:  # noqa: FBT002 - a filter's argument
    return ordered_by(_list(value), as_text(by), bool(descending))


def _unique(value: Json, by: str = "") -> list[Json]:
    seen: dict[str, Json] = {}
    for item in _list(value):
        seen.setdefault(json.dumps(value_at(item, as_text(by)), sort_keys=True), item)
    return list(seen.values())


def _numbers(value: Json, by: str) -> list[int | float]:
    """Returns the numbers of a list. What is no number is left out, as flows that are live rely on."""
    return [number for item in _list(value) if (number := as_number(value_at(item, as_text(by)))) is not None]


def _sum(value: Json, by: str = "") -> Json:
    total = exact_sum(_numbers(value, by))
    if total is None:
        raise ValueError("the sum is too large")
    return total


def _of_numbers(make: Callable[[list[int | float]], Json], value: Json, by: str = "") -> Json:
    return make(_numbers(value, by))


def _map(value: Json, by: str) -> list[Json]:
    return [value_at(item, as_text(by)) for item in _list(value)]


def _split(value: Json, separator: str = ",") -> list[str]:
    text = as_text(value)
    if (text.count(as_text(separator)) if as_text(separator) else len(text) // 2) > MAX_PIECES:
        raise ValueError(f"the list would have more than {MAX_PIECES:,} items")
    pieces = text.split(as_text(separator)) if as_text(separator) else text.split()
    return [piece.strip() for piece in pieces]


def _json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _object(value: JsonValue) -> Mapping[str, Json]:
    if not isinstance(value, dict):
        raise TypeError("it is not an object")
    return value


def bounded(size: int) -> None:
    """Raises ValueError when a text of `size` characters would be too long."""
    if size > MAX_TEXT:
        raise ValueError(f"the text would have {size:,} characters")


FILTERS: Final[Mapping[str, Callable[Concatenate[Json, ...], Json]]] = {
    "upper": lambda value: as_text(value).upper(),
    "lower": lambda value: as_text(value).lower(),
    "title": lambda value: _WORD.sub(_capitalized, as_text(value)),
    "capitalize": lambda value: as_text(value).capitalize(),
    "trim": lambda value: as_text(value).strip(),
    "length": _length,
    "first": _first,
    "last": _last,
    "join": _join,
    "default": _default,
    "truncate": _truncate,
    "replace": _replace,
    "round": _round,
    "json": _json,
    "tojson": _json,
    "int": lambda value: int(_number(value)),
    "float": lambda value: float(_number(value)),
    "abs": lambda value: abs(_number(value)),
    "sort": _sort,
    "reverse": lambda value: _list(value)[::-1],
    "unique": _unique,
    "sum": _sum,
    "min": partial(_of_numbers, lambda numbers: min(numbers, default=None)),
    "max": partial(_of_numbers, lambda numbers: max(numbers, default=None)),
    "map": _map,
    "keys": lambda value: list(_object(value)),
    "values": lambda value: list(_object(value).values()),
    "items": lambda value: [[name, item] for name, item in _object(value).items()],
    "split": _split,
    "wordcount": lambda value: len(re.findall(r"\w+", as_text(value))),
    "urlencode": lambda value: quote(as_text(value), safe="", errors="replace"),
}
#: The smallest and largest number of arguments of each filter; filters that are missing take none.
ARGUMENTS: Final[Mapping[str, tuple[int, int]]] = {
    "join": (0, 1), "default": (0, 1), "truncate": (0, 1), "replace": (2, 2), "round": (0, 1), "sort": (0, 2),
    "unique": (0, 1), "sum": (0, 1), "min": (0, 1), "max": (0, 1), "map": (1, 1), "split": (0, 1),
}  # fmt: skip


def filter_problem(name: str, arguments: int) -> str:
    """Returns why a filter cannot be used with this many arguments, as a sentence; "" when it can."""
    if name not in FILTERS:
        return f"There is no filter `{name}`. There are: {', '.join(FILTERS)}."
    fewest, most = ARGUMENTS.get(name, (0, 0))
    if fewest <= arguments <= most:
        return ""
    wanted = (
        "no value"
        if not most
        else f"{fewest} value{'s' * (fewest != 1)}"
        if fewest == most
        else f"{fewest} to {most} values"
    )
    return f"The filter `{name}` takes {wanted} in its brackets, not {arguments}."


def apply_filter(name: str, value: Json, arguments: list[Json]) -> Json:
    """Returns the result of a filter. Raises ValueError with a sentence."""
    try:
        made = FILTERS[name](value, *arguments)
        if isinstance(made, str):
            bounded(len(made))
        return made
    except (TypeError, ValueError, IndexError, ArithmeticError, RecursionError) as error:
        text = as_text(value)
        shown = repr(text) if len(text) <= 40 else f"a value of {len(text):,} characters"
        raise ValueError(f"The filter `{name}` cannot work on {shown}: {error}.") from error
