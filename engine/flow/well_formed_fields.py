"""The fields of an API Input or of an answer, as everything that reads them may take them: a draft holds what was pasted
or written as JSON, and its problems are listed, but its pages, schemas and comparisons must not fail by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from pydantic import JsonValue

from engine.flow.file_values import MAX_FILE_BYTES, MIB

F = TypeVar("F", bound=Mapping[str, Any])


def _is_number(value: JsonValue) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _is_count(value: JsonValue) -> bool:
    return isinstance(value, int) and value >= 0


def _is_size(value: JsonValue) -> bool:
    return isinstance(value, int | float) and 0 < value <= MAX_FILE_BYTES // MIB


def _is_text(value: JsonValue) -> bool:
    return isinstance(value, str)


def _is_list(value: JsonValue) -> bool:
    return isinstance(value, list | tuple)


def _is_texts(value: JsonValue) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)


#: What the parts of a field must be. Those that may be anything, and those inside of it, are not among them.
_FITS: Final[Mapping[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("minimum", "maximum"), _is_number),
    **dict.fromkeys(("min_length", "max_length", "min_items", "max_items"), _is_count),
    "max_file_mb": _is_size,
    **dict.fromkeys(("name", "type", "description", "format", "pattern"), _is_text),
    "enum": _is_list,
    "file_kinds": _is_texts,
}


def well_formed_fields(fields: JsonValue) -> list[dict[str, Any]]:
    """Returns the fields that are objects, each without the parts that are not of their type; a number that is written as
    a text, which the check of a flow takes, is that number. What is well formed is returned itself.
    """
    if not isinstance(fields, list | tuple):
        return []
    return [_well_formed(field) for field in fields if isinstance(field, dict)]


def _well_formed(field: F) -> F | dict[str, Any]:
    changed: dict[str, Any] = {}
    for name, value in field.items():
        if value is None:  # as if it were left out
            continue
        if name == "fields":
            inner = well_formed_fields(value)
            if not _is_list(value) or [*map(id, inner)] != [*map(id, value)]:
                changed[name] = inner
        elif name == "items":
            (item,) = well_formed_fields([value]) or [None]
            if item is not value:
                changed[name] = item
        elif (fits := _FITS.get(name)) is not None and not fits(value):
            number = _number_in(value)
            changed[name] = number if number is not None and fits(number) else None
    if not changed:
        return field
    return {name: changed.get(name, value) for name, value in field.items() if changed.get(name, value) is not None}


def _number_in(value: JsonValue) -> float | None:
    """The number that stands in a text, and a whole number in place of one like 5.0; None for anything else."""
    if not isinstance(value, str | float):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return int(number) if number.is_integer() else number
