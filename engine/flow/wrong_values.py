"""Describes a value that does not fit its field for the person who set it, in place of pydantic's messages for
programmers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, JsonValue

#: The type of a pydantic error -> what the value must be; braces are filled with the error's context.
_MUST: Mapping[str, str] = {
    "greater_than": "must be more than {gt:.15g}",
    "greater_than_equal": "must be at least {ge:.15g}",
    "less_than": "must be less than {lt:.15g}",
    "less_than_equal": "must be at most {le:.15g}",
    "string_too_long": "may have at most {max_length:,} characters",
    "string_too_short": "must have at least {min_length:,} characters",
    "too_long": "may have at most {max_length:,} entries",
    "too_short": "must have at least {min_length:,} entries",
    "literal_error": "must be {expected}",
    "string_type": "must be text",
    "finite_number": "must be a number with an end",
}
#: The starts of error types that share a message.
_MUST_BE = {
    "int_": "must be a whole number",
    "float_": "must be a number",
    "bool_": "must be yes or no",
    "list_": "must be a list",
    "tuple_": "must be a list",
    "dict_": "must be a group of values",
    "model_": "must be a group of values",
}
_KINDS: Mapping[type, str] = {dict: "a group of values", list: "a list", tuple: "a list", type(None): "nothing"}
_COUNTED = {"string_too_long", "string_too_short", "too_long", "too_short"}
_LONGEST = 40


def wrong_value(model: type[BaseModel], error: Mapping[str, Any]) -> str:
    """Returns for example `“Depth” must be at least 0, but is -1`, for an entry of `ValidationError.errors()`."""
    return f"{place_in_words(model, error['loc'])} {what_it_must_be(error)}, but {_what_it_is(error)}"


def what_it_must_be(error: Mapping[str, Any]) -> str:
    """Returns for example `must be at least 0`."""
    kind = str(error["type"])
    if kind in _MUST:
        return _MUST[kind].format(**error.get("ctx", {}))
    found = next((words for begin, words in _MUST_BE.items() if kind.startswith(begin)), None)
    return found or f"cannot be used ({error['msg']})"


def place_in_words(model: type[BaseModel], location: Iterable[str | int]) -> str:
    """Returns for example `“Rules”, entry 1, `operator``: the title of the field, then the path into it."""
    first, *rest = (*location,) or ("value",)
    info = model.model_fields.get(str(first))
    parts = [f"entry {part + 1}" if isinstance(part, int) else f"`{part}`" for part in rest]
    return ", ".join([f"“{info.title}”" if info and info.title else f"`{first}`", *parts])


def _what_it_is(error: Mapping[str, Any]) -> str:
    """Returns for example `is -1`: a short value itself, the kind and length of a long one."""
    value: JsonValue = error["input"]
    if error["type"] in _COUNTED:
        return f"has {len(error['input']):,}"
    match value:
        case bool():
            return f"is {str(value).lower()}"
        case str() if len(value) > _LONGEST:
            return f"is a text of {len(value):,} characters"
        case str():
            return f"is the text `{value}`" if value else "is empty"
        case _:
            return f"is {_KINDS.get(type(value)) or str(value)[:_LONGEST]}"
