"""Reads rows from JSON: a list of objects, an object that contains one such list, a single object, or JSON Lines."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

from engine.core.errors import Invalid, TooLarge
from engine.core.json_shape import TooManyValues, check_shape
from engine.core.lone_surrogates import without_lone_surrogates
from engine.table_files.table import MAX_COLUMNS, Row, Table, too_many_columns, too_many_rows

#: Maximum nesting depth of a row.
MAX_DEPTH = 64
#: The most values that a file may have, counting each list and object: the rows, and fifty values in each of 100,000.
MAX_VALUES = 5_000_000
_WORDS = {list: "a list", str: "text", bool: "yes or no", int: "a number", float: "a number", type(None): "null"}


def looks_like_json(text: str) -> bool:
    """Tells whether a text starts like JSON, for pasted text without a file name."""
    return text.lstrip("\ufeff \t\r\n").startswith(("{", "["))


def read_json(text: str, *, lines: bool = False, most_rows: int = 100_000) -> Table:
    """Reads the rows of a JSON text. `lines`: it is JSON Lines, so an object is a row, whatever it contains.

    Raises Invalid, with the line or item number, and TooLarge for more than `most_rows` rows.
    """
    text = text.removeprefix("\ufeff")
    try:
        check_shape(text.encode(errors="surrogatepass"), most_values=MAX_VALUES)
    except TooManyValues:
        raise TooLarge(
            f"The JSON has more than {MAX_VALUES:,} values, counting each list and object",
            remedy="Split the file, or save it as CSV.",
        ) from None
    begin = _blank_to(text, 0)
    clean = _whole_characters if _HALF.search(text) else None
    try:
        if text.startswith("[", begin):
            return _table(_each_item(text, begin + 1), "JSON", "Item", most_rows, clean)
        value = _load(text)
    except json.JSONDecodeError as error:
        if not _is_json_lines(text):
            raise _broken(error) from None
        return _table(_each_line(text), "JSON lines", "Line", most_rows, clean)
    if lines and isinstance(value, dict):
        return _table([(1, value)], "JSON lines", "Line", most_rows, clean)
    items, around = _list_in(value)
    return _table(items, "JSON", "Item", most_rows, clean, around)


def _load(text: str) -> Any:
    value, at = _value_at(text, _blank_to(text, 0))
    if (at := _blank_to(text, at)) != len(text):
        raise json.JSONDecodeError("Extra data", text, at)
    return value


def _value_at(text: str, at: int) -> tuple[Any, int]:
    """Returns the value that begins there and where it ends. Raises Invalid, json.JSONDecodeError."""
    try:
        return _DECODER.raw_decode(text, at)
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


#: What may be one half of a character alone.
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_BLANK = re.compile(r"[ \t\r\n]*+")
_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)


def _blank_to(text: str, at: int) -> int:
    """Returns where the blanks end that stand there."""
    found = _BLANK.match(text, at)
    return at if found is None else found.end()


def _broken(error: json.JSONDecodeError) -> Invalid:
    return Invalid(
        f"Line {error.lineno:,}, character {error.colno:,}: {error.msg[:1].lower()}{error.msg[1:]}",
        remedy="Mend the JSON there, then import again.",
    )


def _each_item(text: str, at: int) -> Iterator[tuple[int, Any]]:
    """Yields (number, item) of the list whose items begin there, one after the other. Raises Invalid,
    json.JSONDecodeError.
    """
    at, number = _blank_to(text, at), 0
    while number or not text.startswith("]", at):
        item, at = _value_at(text, at)
        number, at = number + 1, _blank_to(text, at)
        is_last = text.startswith("]", at)
        if not is_last and not text.startswith(",", at):
            raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
        yield number, item
        if is_last:
            break
        at = _blank_to(text, at + 1)
    if (at := _blank_to(text, at + 1)) != len(text):
        raise json.JSONDecodeError("Extra data", text, at)


def _is_json_lines(text: str) -> bool:
    """True when the first line is a JSON object."""
    first = next(_full_lines(text), None)
    try:
        return first is not None and isinstance(json.loads(first[1]), dict)
    except (ValueError, RecursionError):
        return False


def _full_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yields (number, line) for each line that is not blank."""
    number, at = 0, 0
    while at < len(text):
        number += 1
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        if (line := text[at:end]).strip():
            yield number, line
        at = end + 1


def _each_line(text: str) -> Iterator[tuple[int, Any]]:
    """Yields (line number, value) for each line. Raises Invalid."""
    for number, line in _full_lines(text):
        try:
            yield number, _load(line)
        except json.JSONDecodeError as error:
            raise Invalid(
                f"Line {number:,}, character {error.colno:,}: {error.msg[:1].lower()}{error.msg[1:]}",
                remedy="Each line must be one JSON object.",
            ) from None


def _list_in(value: Any) -> tuple[list[tuple[int, Any]], Row]:
    """Returns (number, item) for the items of the list, of the only list of objects in an object, or for the object
    itself; and what stands beside the list in the object.
    """
    around: Row = {}
    if isinstance(value, dict):
        lists = [name for name, one in value.items() if isinstance(one, list) and one and isinstance(one[0], dict)]
        if len(lists) == 1:
            around = {name: one for name, one in value.items() if name != lists[0]}
        value = value[lists[0]] if len(lists) == 1 else [value]
    if not isinstance(value, list):
        raise Invalid(
            f"The JSON is {_WORDS.get(type(value), 'something else')}, not a list of objects",
            remedy='Write the rows as a list, like `[{"name": "Rye", "price": 3.2}]`.',
        )
    return list(enumerate(value, 1)), around


def _table(
    items: Iterable[tuple[int, Any]],
    form: str,
    what: str,
    most_rows: int,
    clean: Callable[[Row], Row] | None,
    around: Row | None = None,
) -> Table:
    columns: dict[str, None] = {}
    rows: list[Row] = []
    for number, item in items:
        if len(rows) == most_rows:
            raise too_many_rows(most_rows)
        if not isinstance(item, dict):
            raise Invalid(
                f"{what} {number:,} is {_WORDS.get(type(item), 'something else')}, not an object",
                remedy="Each row is an object with the columns' names as keys.",
            )
        if depth_over(item, MAX_DEPTH):
            raise Invalid(
                f"{what} {number:,} is nested too deep",
                remedy=f"At most {MAX_DEPTH} levels are taken; flatten it first.",
            )
        row = item if clean is None else clean(item)
        columns.update(dict.fromkeys(row))
        if len(columns) > MAX_COLUMNS:
            raise too_many_columns()
        rows.append(row)
    if not rows:
        raise Invalid("The list is empty", remedy="Choose a file with at least one row.")
    return Table(tuple(columns), tuple(rows), form, around=around or {})


def _whole_characters(row: Row) -> Row:
    """Returns the row as it can be shown and written."""
    text = json.dumps(row, ensure_ascii=False)
    clean = without_lone_surrogates(text)
    return row if clean is text else json.loads(clean)


def depth_over(item: Any, most: int) -> bool:
    """Tells whether lists and objects are nested more than `most` levels deep."""
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
