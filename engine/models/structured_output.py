"""Reading an object out of a model's answer: finding the JSON in the text, and checking it against the output fields.

Models wrap JSON in a fence, talk around it, leave out empty fields and write `5.0` for a whole number. That much is forgiven;
what the designer asked for otherwise holds, and every miss is named so that the model can mend it.
"""

from __future__ import annotations

import json
import string
from collections.abc import Iterator, Mapping
from typing import Any

from engine.flow.contract import check_payload
from engine.flow.json_values import STRICT, read_strictly
from engine.flow.node_type import Json, JsonSchema

_LANGUAGE = string.ascii_letters + string.digits
_RULES = {
    "minimum": "minimum",
    "maximum": "maximum",
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_items",
    "maxItems": "max_items",
    "pattern": "pattern",
    "format": "format",
    "enum": "enum",
    "default": "default",
}
#: An answer is searched at so many opening braces at most.
_MAX_STARTS = 50
_MAX_DEPTH = 64


def read_object(text: str, schema: JsonSchema) -> tuple[dict[str, Json] | None, list[str]]:
    """The object in the answer that fits, or None and what is wrong, one line per field."""
    complaints: list[str] = []
    for candidate, whole in _candidates(text):
        value, wrong = check_object(candidate, schema)
        if not wrong:
            return value, []
        complaints = complaints or (wrong if whole else [])
    return None, complaints or ["The answer holds no JSON object that can be read."]


def check_object(candidate: dict[str, Json], schema: JsonSchema) -> tuple[dict[str, Json], list[str]]:
    """The object with extra keys dropped and empty fields null, and every field that does not fit."""
    if _depth(candidate) > _MAX_DEPTH:
        return {}, [f"The object is nested more than {_MAX_DEPTH} levels deep."]
    fields = _fields(schema)
    value, errors = check_payload(fields, _tidied(candidate, schema))
    return value, [f"{error.pointer}: {error.detail}" for error in errors]


def wire_schema(schema: JsonSchema) -> JsonSchema:
    """The schema as providers take it: `null` as an alternative of its own, no defaults and no examples."""
    kinds = schema.get("type")
    wire = {key: value for key, value in schema.items() if key not in {"default", "examples", "type", "description"}}
    if "enum" in wire:
        wire["enum"] = [value for value in wire["enum"] if value is not None]
    if "properties" in wire:
        wire["properties"] = {name: wire_schema(inner) for name, inner in wire["properties"].items()}
    if isinstance(wire.get("items"), Mapping):
        wire["items"] = wire_schema(wire["items"])
    described = {"description": schema["description"]} if schema.get("description") else {}
    if not isinstance(kinds, list):
        return {**({"type": kinds} if kinds else {}), **wire, **described}
    return {"anyOf": [*({"type": kind, **wire} for kind in kinds if kind != "null"), {"type": "null"}], **described}


def instructions_for(schema: JsonSchema) -> str:
    """What a model is told that does not know JSON schemas by itself."""
    return (
        "Answer with one JSON object and nothing else: no explanation, no code fence. "
        "It must fit this JSON Schema:\n" + json.dumps(wire_schema(schema), ensure_ascii=False)
    )


def repair_for(complaints: list[str]) -> str:
    """What a model is told whose answer did not fit."""
    lines = "\n".join(f"- {complaint}" for complaint in complaints[:20])
    return f"Your answer does not fit:\n{lines}\nAnswer again with the whole corrected JSON object and nothing else."


def _candidates(text: str) -> Iterator[tuple[dict[str, Json], bool]]:
    """Objects in the text: all of it, what is fenced, then what begins at a brace.

    With each, whether it stands by itself: after a brace that could not be read it may be a part of something broken.
    """
    for piece in [text, *_fenced(text)]:
        value = _parsed(piece)
        if isinstance(value, dict):
            yield value, True
    start, decoder, whole = text.find("{"), STRICT, True
    for _ in range(_MAX_STARTS):
        if start < 0:
            return
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            start, whole = text.find("{", start + 1), False
            continue
        if isinstance(value, dict):
            yield value, whole
        start = text.find("{", end)


def _fenced(text: str) -> list[str]:
    """What stands in code fences, without the language behind their beginning."""
    pieces = text.split("```")
    return [piece.lstrip(_LANGUAGE) for piece in pieces[1:-1:2]]


def _parsed(text: str) -> Json:
    try:
        return read_strictly(text)
    except ValueError:
        return None


def _depth(value: Json) -> int:
    deepest, level = 0, [value]
    while level and deepest <= _MAX_DEPTH:
        deepest += 1
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return deepest


def _tidied(value: Json, schema: JsonSchema) -> Json:
    """Extra keys dropped; `5.0` as 5 where a whole number is asked for."""
    kinds = schema.get("type")
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        return {name: _tidied(inner, known[name]) for name, inner in value.items() if name in known}
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        return [_tidied(item, schema["items"]) for item in value]
    if isinstance(value, float) and value.is_integer() and (kinds == "integer" or "integer" in (kinds or ())):
        return int(value)
    return value


def _fields(schema: JsonSchema) -> list[dict[str, Any]]:
    """The schema's properties as fields of `engine.flow.contract`, so that there is one check in the product."""
    required = set(schema.get("required") or ())
    return [
        {**_field(inner), "name": name, "required": name in required and not _nullable(inner)}
        for name, inner in (schema.get("properties") or {}).items()
    ]


def _field(schema: JsonSchema) -> dict[str, Any]:
    kinds = schema.get("type")
    kind = next((kind for kind in kinds if kind != "null"), "string") if isinstance(kinds, list) else kinds or "object"
    field = {ours: schema[theirs] for theirs, ours in _RULES.items() if schema.get(theirs) is not None}
    if kind == "array" and isinstance(schema.get("items"), Mapping):
        field["items"] = _field(schema["items"])
    if kind == "object" and schema.get("properties"):
        field["fields"] = _fields(schema)
    return {"type": kind, **field}


def _nullable(schema: JsonSchema) -> bool:
    kinds = schema.get("type")
    return (isinstance(kinds, list) and "null" in kinds) or schema.get("default") is not None
