"""The schema of a tool as an MCP server wrote it, in the shape that the models and the SDKs of the providers rely on.

They do not take a schema `true`, which becomes `{}`. A key that is null, or whose value is of a wrong type, is left out:
then the schema allows more arguments than the server takes, but models can call the tool.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engine.flow.node_context import Json, JsonSchema

_KINDS = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
#: Keys whose value may be null, as it is a value of the arguments.
_VALUES = frozenset({"const", "default"})
_SCHEMAS_BY_NAME = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_LISTS_OF_SCHEMAS = frozenset({"prefixItems", "allOf", "anyOf", "oneOf"})
_ONE_SCHEMA = frozenset(
    {"items", "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else"}
    | {"additionalItems", "unevaluatedItems", "unevaluatedProperties"}
)


def sound_schema(schema: Mapping[str, Any]) -> JsonSchema:
    """Returns the schema of a tool's arguments in this shape. Its type is always `object`."""
    return {**_sound(schema), "type": "object"}


def _sound(schema: Mapping[str, Any]) -> JsonSchema:
    found: JsonSchema = {}
    for key, value in schema.items():
        if key in _SCHEMAS_BY_NAME:
            if isinstance(value, Mapping):
                found[key] = {name: _member(inner) for name, inner in value.items() if inner is not False}
        elif key in _LISTS_OF_SCHEMAS or (key == "items" and isinstance(value, list)):
            members = [_member(inner) for inner in value if inner is not False] if isinstance(value, list) else []
            if members:
                found[key] = members
        elif key in _ONE_SCHEMA:
            if isinstance(value, Mapping | bool):
                found[key] = _sound(value) if isinstance(value, Mapping) else value
        elif key in _VALUES or (value is not None and _FITS.get(key, _anything)(value)):
            found[key] = value
    return found


def _member(schema: Json) -> JsonSchema:
    return _sound(schema) if isinstance(schema, Mapping) else {}


def _anything(_value: Json) -> bool:
    return True


def _is_text(value: Json) -> bool:
    return isinstance(value, str)


def _is_type(value: Json) -> bool:
    kinds = value if isinstance(value, list) else [value]
    return bool(kinds) and all(isinstance(kind, str) and kind in _KINDS for kind in kinds)


def _is_list(value: Json) -> bool:
    return isinstance(value, list) and bool(value)


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_size(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


#: Key -> whether a value is of the type that JSON Schema asks for there. Other keys take any value.
_FITS: Mapping[str, Callable[[Json], bool]] = {
    "type": _is_type,
    "enum": _is_list,
    "required": lambda value: isinstance(value, list) and all(map(_is_text, value)),
    **dict.fromkeys(("$ref", "title", "description", "pattern", "format"), _is_text),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), _is_number),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _is_size),
    **dict.fromkeys(("minProperties", "maxProperties", "minContains", "maxContains"), _is_size),
}
