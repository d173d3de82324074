"""Describes JSON Schemas in words for the docs: names of types, and rules for values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from engine.flow.file_values import kinds_in_words, largest_bytes, size_in_words

_TYPE_WORDS = {
    "string": "Text",
    "number": "Number",
    "integer": "Whole number",
    "boolean": "Yes or no",
    "array": "List",
    "object": "Group",
    "null": "null",
}
_FORMAT_WORDS = {"binary": "File", "uri": "Web address", "email": "E-mail address", "date-time": "Date and time"}
_RULES = {
    "minimum": "At least {}",
    "maximum": "At most {}",
    "minLength": "At least {} character",
    "maxLength": "At most {} character",
    "minItems": "At least {} item",
    "maxItems": "At most {} item",
    "default": "Default: {}",
}
#: The rules that count something, which has an s unless it is one.
_COUNTING = {"minLength", "maxLength", "minItems", "maxItems"}


def field_rows(schema: Mapping[str, Any], before: str = "", *, open_files: bool = True) -> list[dict[str, Any]]:
    """Returns the fields of a JSON Schema, including nested ones, as table rows: name, type, required, description,
    rules.

    `open_files`: with what a file value holds, which callers read but do not send.
    """
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
        if open_files or field.get("format") != "file":
            rows += field_rows(field, f"{before}{name}.", open_files=open_files)
        items = field.get("items")
        if isinstance(items, Mapping) and (open_files or items.get("format") != "file"):
            rows += field_rows(items, f"{before}{name}[].", open_files=open_files)
    return rows


def type_words(schema: Mapping[str, Any]) -> str:
    """Returns the type in words, for example `Web address`, `List of Text`, `Text or null`, `Anything`."""
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds] if kinds else []
    if not kinds:
        return "Anything"
    words = [_TYPE_WORDS.get(str(kind), str(kind)) for kind in kinds]
    if "string" in kinds:
        words[kinds.index("string")] = _FORMAT_WORDS.get(str(schema.get("format")), _TYPE_WORDS["string"])
    if "object" in kinds and schema.get("format") == "file":
        words[kinds.index("object")] = "File"
    items = schema.get("items")
    if "array" in kinds and isinstance(items, Mapping) and items.get("type"):
        words[kinds.index("array")] = f"List of {type_words(items)}"
    return " or ".join(dict.fromkeys(words))


def rules(field: Mapping[str, Any]) -> list[str]:
    """Returns the rules for a value, one sentence each without a full stop. A pattern is HTML: it stands as code."""
    found = [_in_words(rule, field[rule]) for rule in _RULES if field.get(rule) is not None]
    if field.get("pattern") is not None:
        found.append(Markup("Must match <code>{}</code>").format(_shown(field["pattern"])))
    if field.get("enum"):
        found.append("One of: " + ", ".join(_shown(value) for value in field["enum"]))
    files = field.get("items") if isinstance(field.get("items"), Mapping) else field
    if isinstance(files, Mapping) and files.get("format") == "file":
        kinds = files.get("file_kinds")
        taken = f"{kinds_in_words(kinds)}, at most" if kinds else "At most"
        found.append(f"{taken} {size_in_words(largest_bytes(files))}")
    return found


def _in_words(rule: str, value: Any) -> str:
    shown = f"{value:,}" if rule in _COUNTING and isinstance(value, int) else _shown(value)
    return _RULES[rule].format(shown) + ("s" if rule in _COUNTING and value != 1 else "")


def plain_schema(schema: Mapping[str, Any], document: Mapping[str, Any], depth: int = 8) -> dict[str, Any]:
    """Returns a schema of an OpenAPI document without references, for display. Alternatives (`anyOf`, `oneOf`, `allOf`)
    are merged into one schema with all of their types; levels below `depth` are left out.
    """
    whole = dict(schema)
    if ref := whole.pop("$ref", None):
        found: Any = document
        for step in str(ref).removeprefix("#/").split("/"):
            found = found[step]
        whole = {**found, **whole}
        return plain_schema(whole, document, depth)
    for name in ("anyOf", "oneOf", "allOf"):
        for option in whole.pop(name, ()):
            whole = _both(whole, plain_schema(option, document, depth))
    if "const" in whole:
        whole["enum"] = [whole.pop("const")]
    if properties := whole.pop("properties", None):
        whole["properties"] = {
            key: plain_schema(part, document, depth - 1) for key, part in properties.items() if depth > 0
        }
    if isinstance(whole.get("items"), Mapping):
        whole["items"] = plain_schema(whole["items"], document, depth - 1) if depth > 0 else {}
    return whole


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Merges two schemas into one that allows what either allows; description, title and example are those of the first
    that has one.
    """
    types = list(dict.fromkeys([*_types(one), *_types(other)]))
    enums = [
        *(one.get("enum") or ()),
        *(value for value in other.get("enum") or () if value not in one.get("enum", ())),
    ]
    return {
        **other,
        **one,
        **({"type": types[0] if len(types) == 1 else types} if types else {}),
        **({"enum": enums} if enums else {}),
    }


def _types(schema: Mapping[str, Any]) -> list[str]:
    kinds = schema.get("type") or []
    return kinds if isinstance(kinds, list) else [kinds]


def example_value(schema: Mapping[str, Any]) -> Any:
    """Returns a value of a plain schema: its example, its default, null where allowed, its first enum value, or one
    generated for its type. An object gets its required fields and those with an example.
    """
    if schema.get("examples"):
        return schema["examples"][0]
    for key in ("example", "default"):
        if schema.get(key) is not None:
            return schema[key]
    kinds = _types(schema)
    if "null" in kinds or not kinds:
        return None
    if schema.get("enum"):
        return schema["enum"][0]
    if kinds[0] == "object":
        required = schema.get("required") or ()
        parts = (schema.get("properties") or {}).items()
        return {name: example_value(part) for name, part in parts if name in required or part.get("examples")}
    if kinds[0] == "array":
        return [example_value(schema.get("items") or {})]
    made_up = {"date-time": "2026-01-31T12:00:00.000Z", "uri": "https://example.com"}
    return made_up.get(str(schema.get("format"))) or {"integer": 1, "number": 1.5, "boolean": True}.get(
        kinds[0], "text"
    )


def _shown(value: Any) -> str:
    if isinstance(value, str) and value and value.strip() == value:
        return value
    return f"{value:g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
