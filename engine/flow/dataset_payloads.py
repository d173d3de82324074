"""The payload that a row of a dataset makes for a flow: its columns fill the input fields. One column may fill any number of
them, so what payloads take together is limited while they are made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from engine.core.body_limits import MAX_BODY_BYTES
from engine.core.errors import TooLarge
from engine.core.json_text import json_bytes
from engine.flow.references import as_text
from engine.flow.storable_values import fits_64_bits


class PayloadRoom:
    """What payloads may take together, in bytes of JSON: as much as the body of a request. `detail` and `remedy` are those
    of the refusal.
    """

    def __init__(self, detail: str, remedy: str) -> None:
        self._left = MAX_BODY_BYTES
        self._detail, self._remedy = detail, remedy

    def take(self, name: str, value: JsonValue) -> None:
        """Counts a field. Raises TooLarge when the payloads with it are too large."""
        self._left -= len(name.encode()) + len(json_bytes(value))
        if self._left < 0:
            raise TooLarge(self._detail, remedy=self._remedy)


def match_columns(fields: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> dict[str, str]:
    """Matches fields to columns of the same name, ignoring case, spaces, `_` and `-`. A field that is the only one takes the
    one column with its name among its words, like `E-mail text` for `text`, or the only column.
    """
    by_name = {_plain(column): column for column in reversed(columns)}
    names = [str(one.get("name")) for one in fields if one.get("name")]
    matched = {name: by_name[_plain(name)] for name in names if _plain(name) in by_name}
    if len(names) != 1 or matched:
        return matched
    alike = [column for column in columns if _words(names[0]) in _words(column)]
    found = alike or columns
    return {names[0]: found[0]} if len(found) == 1 else {}


def is_same_name(field: str, column: str) -> bool:
    """True when a field and a column have the same name, as `match_columns` compares them."""
    return _plain(field) == _plain(column)


def payload_of_row(
    data: Mapping[str, Any],
    fields: Sequence[Mapping[str, Any]],
    mapping: Mapping[str, str],
    room: PayloadRoom | None = None,
) -> dict[str, Any]:
    """The payload for a row. An empty cell of an optional field is left out. Raises TooLarge when it exceeds `room`."""
    payload: dict[str, Any] = {}
    for one in fields:
        name = str(one.get("name"))
        column = mapping.get(name)
        if not column:
            continue
        value = fitted(data.get(column), str(one.get("type") or "string"))
        if value is None or (value == "" and not one.get("required")):
            continue
        if room is not None:
            room.take(name, value)
        payload[name] = value
    return payload


def fitted(value: JsonValue, kind: str) -> JsonValue:
    """Converts a cell to the type of its field where the conversion is unambiguous: `"5"` to a whole number, 5 to
    text. A number of more than 64 bits does not become a whole one, which no body of a call may have.
    """
    if kind == "string":
        return value if isinstance(value, str) or value is None else as_text(value)
    if not isinstance(value, str):
        if kind == "integer" and isinstance(value, float) and value.is_integer() and fits_64_bits(int(value)):
            return int(value)
        return value
    text = value.strip()
    if kind == "boolean" and text.lower() in {"true", "false", "yes", "no"}:
        return text.lower() in {"true", "yes"}
    if kind in {"integer", "number"} and re.fullmatch(r"-?\d{1,15}", text):
        return int(text)
    if kind == "number" and re.fullmatch(r"-?\d{1,15}\.\d{1,15}", text):
        return float(text)
    return None if text == "" and kind != "string" else value


def _words(name: str) -> str:
    """The words of a name, each between blanks."""
    words = re.sub(r"[\W_]+", " ", name.casefold()).strip()
    return f" {words} "


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).casefold()
