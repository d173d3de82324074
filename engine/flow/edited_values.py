"""The values that a person may change before they approve something: the changes are checked against what was asked."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import jsonpointer
from pydantic import JsonValue

from engine.core.errors import FieldError, WrongFields
from engine.core.json_text import json_bytes

#: The largest size of the changed values as JSON, in bytes.
MAX_BYTES = 256 * 1024

_WORDS = {"text": "a text", "number": "a number", "flag": "true or false", "list": "a list", "group": "a group"}


def kind_of(value: JsonValue) -> str:
    """Returns `text`, `number`, `flag`, `list`, `group`, or "" for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, str):
        return "text"
    if isinstance(value, int | float):
        return "number"
    return "list" if isinstance(value, list) else "group"


def changed_values(
    values: Mapping[str, JsonValue], editable: Collection[str], sent: Mapping[str, JsonValue]
) -> tuple[dict[str, JsonValue], WrongFields]:
    """Returns the values that differ from those of the question, and what is wrong with what was sent.

    A changed value has the kind of the one it replaces; a value that was null may become anything. What equals the
    value of the question is no change, whether it may be changed or not.
    """
    changed: dict[str, JsonValue] = {}
    errors = WrongFields()
    for name, value in sent.items():
        at = f"/values/{jsonpointer.escape(name)}"
        if name not in values:
            errors.append(FieldError(at, "unknown_field", "is not a value of this question"))
        elif _same(value, values[name]):
            continue
        elif name not in editable:
            errors.append(FieldError(at, "unknown_field", "cannot be changed in this question"))
        elif (wanted := kind_of(values[name])) and kind_of(value) != wanted:
            errors.append(
                FieldError(at, "type_error", f"must be {_WORDS[wanted]}, like the value that was asked about")
            )
        else:
            changed[name] = value
    if len(json_bytes(changed)) > MAX_BYTES:
        errors.append(FieldError("/values", "max_length", "must have at most 256 KiB"))
    return changed, errors


def _same(one: JsonValue, other: JsonValue) -> bool:
    return kind_of(one) == kind_of(other) and one == other
