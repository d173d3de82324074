"""JSON Schema in words, for the docs: types as people say them, and what a value must be like."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_TYPE_WORDS = {
    "string": "Text",
    "number": "Number",
    "integer": "Whole number",
    "boolean": "Yes or no",
    "array": "List",
    "object": "Group",
    "null": "nothing",
}
_FORMAT_WORDS = {"uri": "Web address", "email": "E-mail address", "date-time": "Date and time"}
_RULES = {
    "minimum": "At least {}",
    "maximum": "At most {}",
    "minLength": "At least {} characters",
    "maxLength": "At most {} characters",
    "minItems": "At least {} items",
    "maxItems": "At most {} items",
    "pattern": "Must match {}",
    "default": "Default: {}",
}


def field_rows(schema: Mapping[str, Any], before: str = "") -> list[dict[str, Any]]:
    """The fields of a JSON Schema as table rows, groups opened out: name, type in words, required, description, rules."""
    rows: list[dict[str, Any]] = []
    required = set(schema.get("required") or ())
    for name, field in (schema.get("properties") or {}).items():
        rows.append(
            {
                "name": before + name,
                "type": type_words(field),
                "required": name in required,
                "description": field.get("description", ""),
                "rules": rules(field),
            }
        )
        rows += field_rows(field, f"{before}{name}.")
        if isinstance(field.get("items"), Mapping):
            rows += field_rows(field["items"], f"{before}{name}[].")
    return rows


def type_words(schema: Mapping[str, Any]) -> str:
    """`Web address`, `List of Text`, `Text or nothing`, `Anything`."""
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds] if kinds else []
    if not kinds:
        return "Anything"
    words = [_FORMAT_WORDS.get(str(schema.get("format"))) or _TYPE_WORDS.get(str(kind), str(kind)) for kind in kinds]
    items = schema.get("items")
    if "array" in kinds and isinstance(items, Mapping) and items.get("type"):
        words[kinds.index("array")] = f"List of {type_words(items)}"
    return " or ".join(dict.fromkeys(words))


def rules(field: Mapping[str, Any]) -> list[str]:
    """What a value must be like, a sentence each, without the full stop."""
    found = [text.format(_shown(field[rule])) for rule, text in _RULES.items() if field.get(rule) is not None]
    if field.get("enum"):
        found.append("One of: " + ", ".join(_shown(value) for value in field["enum"]))
    return found


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
