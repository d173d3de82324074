"""Suggests what a node that failed could give instead, in the shape of its output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from engine.flow.node_context import Json

#: The properties that hold the text of an output, the likeliest first.
_TEXTS = ("text", "summary", "answer", "output", "body", "content", "title")
_EMPTY: Mapping[str, Json] = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": [], "object": {}}


def default_output(schema: Mapping[str, Any] | None, sentence: str) -> Json:
    """Returns a value that fits the schema of an output: its main text is `sentence`, everything else is empty.

    Without a schema it is the sentence alone.
    """
    if not schema or not _type(schema):
        return sentence
    return _value(schema, sentence)


def _value(schema: Mapping[str, Any], sentence: str) -> Json:
    kind = _type(schema)
    if choices := schema.get("enum"):
        return choices[0]
    if kind == "string":
        return sentence
    if kind != "object":
        return _EMPTY.get(kind)
    properties: Mapping[str, Any] = schema.get("properties") or {}
    texts = [name for name, one in properties.items() if _type(one) == "string" and "enum" not in one]
    main = next((name for name in _TEXTS if name in texts), next(iter(texts), ""))
    return {name: _value(one, sentence if name == main else "") for name, one in properties.items()}


def _type(schema: Mapping[str, Any]) -> str:
    """Returns the first type of a schema that is not null; empty when it names none."""
    kind: JsonValue = schema.get("type")
    if isinstance(kind, list):
        return next((str(one) for one in kind if one != "null"), "")
    if kind is None and (options := schema.get("anyOf")):
        return next((found for one in options if (found := _type(one)) not in {"", "null"}), "")
    return str(kind or "")
