"""Reads rows from JSON: a list of objects, an object that contains one such list, a single object, or JSON Lines."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, NoReturn

from engine.core.errors import Invalid
from engine.table_files.table import Row, Table, too_many_rows

#: Maximum nesting depth of a row.
MAX_DEPTH = 64
_WORDS = {list: "a list", str: "text", bool: "yes or no", int: "a number", float: "a number", type(None): "null"}


def looks_like_json(text: str) -> bool:
    """Tells whether a text starts like JSON, for pasted text without a file name."""
    return text.lstrip("\ufeff \t\r\n").startswith(("{", "["))


def read_json(text: str, *, most_rows: int = 100_000) -> Table:
    """Reads the rows of a JSON text.

    Raises Invalid, with the line or item number, and TooLarge for more than `most_rows` rows.
    """
    text = text.removeprefix("\ufeff")
    try:
        value = _load(text)
    except json.JSONDecodeError as error:
        lines = _json_lines(text)
        if lines is None:
            raise _broken(error) from None
        return _table(list(lines), "JSON lines", "Line", most_rows)
    return _table(_list_in(value), "JSON", "Item", most_rows)


def _load(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise Invalid("The JSON is nested too deep", remedy=f"At most {MAX_DEPTH} levels are taken.") from None
    except json.JSONDecodeError:
        raise
    except ValueError:  # Python refuses to parse integers with thousands of digits
        raise Invalid("A number has too many digits", remedy="Write it as text, in quotation marks.") from None


def _no_constant(word: str) -> NoReturn:
    raise Invalid(f"`{word}` is no JSON value", remedy="Write null in its place.")


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise Invalid(f"The number `{text[:20]}` is too large", remedy="Write it as text, in quotation marks.")
    return number


def _broken(error: json.JSONDecodeError) -> Invalid:
    return Invalid(
        f"Line {error.lineno:,}, character {error.colno:,}: {error.msg[:1].lower()}{error.msg[1:]}",
        remedy="Mend the JSON there, then import again.",
    )


def _json_lines(text: str) -> Iterator[tuple[int, Any]] | None:
    """Yields (line number, value) for each line; None when the first line is not a JSON object, so the text is not JSON
    Lines.
    """
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    try:
        first = json.loads(lines[0][1])
    except (ValueError, RecursionError):
        return None
    return _each_line(lines) if isinstance(first, dict) else None


def _each_line(lines: list[tuple[int, str]]) -> Iterator[tuple[int, Any]]:
    for number, line in lines:
        try:
            yield number, _load(line)
        except json.JSONDecodeError as error:
            raise Invalid(
                f"Line {number:,}, character {error.colno:,}: {error.msg[:1].lower()}{error.msg[1:]}",
                remedy="Each line must be one JSON object.",
            ) from None


def _list_in(value: Any) -> list[tuple[int, Any]]:
    """Returns (number, item) for the items of the list, of the only list of objects in an object, or for the object
    itself.
    """
    if isinstance(value, dict):
        lists = [one for one in value.values() if isinstance(one, list) and one and isinstance(one[0], dict)]
        value = lists[0] if len(lists) == 1 else [value]
    if not isinstance(value, list):
        raise Invalid(
            f"The JSON is {_WORDS.get(type(value), 'something else')}, not a list of objects",
            remedy='Write the rows as a list, like `[{"name": "Rye", "price": 3.2}]`.',
        )
    return list(enumerate(value, 1))


def _table(items: list[tuple[int, Any]], form: str, what: str, most_rows: int) -> Table:
    if not items:
        raise Invalid("The list is empty", remedy="Choose a file with at least one row.")
    if len(items) > most_rows:
        raise too_many_rows(most_rows)
    columns: dict[str, None] = {}
    rows: list[Row] = []
    for number, item in items:
        if not isinstance(item, dict):
            raise Invalid(
                f"{what} {number:,} is {_WORDS.get(type(item), 'something else')}, not an object",
                remedy="Each row is an object with the columns' names as keys.",
            )
        if _depth_over(item, MAX_DEPTH):
            raise Invalid(
                f"{what} {number:,} is nested too deep",
                remedy=f"At most {MAX_DEPTH} levels are taken; flatten it first.",
            )
        columns.update(dict.fromkeys(item))
        rows.append(item)
    return Table(tuple(columns), tuple(rows), form)


def _depth_over(item: Any, most: int) -> bool:
    level = [item]
    for _ in range(most):
        level = [
            part
            for one in level
            for part in (one.values() if isinstance(one, dict) else one)
            if isinstance(part, dict | list)
        ]
        if not level:
            return False
    return True
