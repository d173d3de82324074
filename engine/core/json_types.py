"""The types of JSON values, as JSON Schema names them."""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

JsonType = Literal["string", "number", "integer", "boolean", "array", "object"]


def json_type(value: JsonValue) -> JsonType:
    """Returns the type of a value that is not null. A number with a point or an exponent is no integer."""
    match value:
        case bool():
            return "boolean"
        case str():
            return "string"
        case int():
            return "integer"
        case float():
            return "number"
        case list():
            return "array"
        case _:
            return "object"
