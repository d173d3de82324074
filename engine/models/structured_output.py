"""Extracts a JSON object from a model's answer and validates it against the output fields.

Common deviations are accepted: JSON in a code fence, text around it, missing optional fields, `5.0` for an integer, and
blanks and blank lines at the ends of texts, which are left out.
All other rules of the schema apply, and each violation is listed so that the model can correct it.
"""

from __future__ import annotations

import json
import string
from collections.abc import Iterator, Mapping
from typing import Any

from engine.core.errors import WrongFields
from engine.flow.job_checks import JobChecks
from engine.flow.json_values import STRICT, read_strictly
from engine.flow.node_context import Json, JsonSchema
from engine.flow.payload_check import PATTERN_STEPS, PayloadCheck, has_patterns

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
#: Maximum number of opening braces at which parsing is attempted.
_MAX_STARTS = 50
_MAX_DEPTH = 64
_TOO_LONG = "The texts take too long to be checked against the patterns of their fields. Write shorter ones."
#: A longer answer is read in a thread.
_LONG_TEXT = 100_000


def takes_long(schema: JsonSchema, text: str = "") -> bool:
    """Tells whether reading an answer may take longer than a moment, so that it has to run in a thread."""
    return len(text) > _LONG_TEXT or has_patterns(_fields(schema))


async def read_object_beside(
    checks: JobChecks, text: str, schema: JsonSchema
) -> tuple[dict[str, Json] | None, list[str]]:
    """Does what `read_object` does, in a thread when it takes long, within the budget of a job."""
    if not takes_long(schema, text):
        return read_object(text, schema)
    return await checks.run(lambda check: read_object(text, schema, check))


def read_object(
    text: str, schema: JsonSchema, check: PayloadCheck | None = None
) -> tuple[dict[str, Json] | None, list[str]]:
    """Returns the object in the answer that fits the schema, or None and the validation errors, one line per field.
    `check`: with what is left of the job's budget.
    """
    check = PayloadCheck(steps=PATTERN_STEPS) if check is None else check
    complaints: list[str] = []
    for candidate, whole in _candidates(text):
        value, wrong = check_object(candidate, schema, check, trim=True)
        if not wrong:
            return value, []
        complaints = complaints or (wrong if whole else [])
    return None, complaints or ["The answer holds no JSON object that can be read."]


def check_object(
    candidate: dict[str, Json], schema: JsonSchema, check: PayloadCheck | None = None, *, trim: bool = False
) -> tuple[dict[str, Json], list[str]]:
    """Returns the object without unknown keys and with missing fields as null, and one line for each field that does
    not fit. `trim`: texts are without the blanks at their ends, except the allowed values.
    """
    if _depth(candidate) > _MAX_DEPTH:
        return {}, [f"The object is nested more than {_MAX_DEPTH} levels deep."]
    fields = _fields(schema)
    check = PayloadCheck(steps=PATTERN_STEPS) if check is None else check
    check.errors, check.unchecked = WrongFields(), False
    value = check.payload(fields, _tidied(candidate, schema, trim=trim))
    wrong = [f"{error.pointer}: {error.detail}" for error in check.errors]
    return value, wrong or ([_TOO_LONG] if check.unchecked else [])


def wire_schema(schema: JsonSchema) -> JsonSchema:
    """Converts the schema to the form that providers accept: null as a separate alternative, no defaults and no
    examples.
    """
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
    """Returns the instructions for a model without a JSON Schema mode."""
    return (
        "Answer with one JSON object and nothing else: no explanation, no code fence. "
        "It must fit this JSON Schema:\n" + json.dumps(wire_schema(schema), ensure_ascii=False)
    )


def repair_for(complaints: list[str]) -> str:
    """Returns the message that asks a model to correct an answer with these validation errors."""
    lines = "\n".join(f"- {complaint}" for complaint in complaints[:20])
    return f"Your answer does not fit:\n{lines}\nAnswer again with the whole corrected JSON object and nothing else."


def _candidates(text: str) -> Iterator[tuple[dict[str, Json], bool]]:
    """Yields the JSON objects in the text: the whole text, then code fences, then what begins at an opening brace.

    The second value is False when text before the object could not be parsed: then the object may be a fragment of a
    broken one.
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
    """Returns the contents of the code fences, without the language name after the opening fence."""
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


def _tidied(value: Json, schema: JsonSchema, *, trim: bool) -> Json:
    """Drops unknown keys, trims texts, and converts floats such as `5.0` to integers where the schema asks for an integer."""
    kinds = schema.get("type")
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        return {name: _tidied(inner, known[name], trim=trim) for name, inner in value.items() if name in known}
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        return [_tidied(item, schema["items"], trim=trim) for item in value]
    if trim and isinstance(value, str):
        return value if value in (schema.get("enum") or ()) else value.strip()
    if isinstance(value, float) and value.is_integer() and (kinds == "integer" or "integer" in (kinds or ())):
        return int(value)
    return value


def _fields(schema: JsonSchema) -> list[dict[str, Any]]:
    """Converts the schema's properties to fields of an API Input, so that they are validated by the same code
    as job inputs.
    """
    required = set(schema.get("required") or ())
    return [
        {**field_of(inner), "name": name, "required": name in required and not _nullable(inner)}
        for name, inner in (schema.get("properties") or {}).items()
    ]


def field_of(schema: JsonSchema) -> dict[str, Any]:
    """Converts the schema of one value to a field of an API Input, without a name."""
    kinds = schema.get("type")
    kind = next((kind for kind in kinds if kind != "null"), "string") if isinstance(kinds, list) else kinds or "object"
    field = {ours: schema[theirs] for theirs, ours in _RULES.items() if schema.get(theirs) is not None}
    if kind == "array" and isinstance(schema.get("items"), Mapping):
        field["items"] = field_of(schema["items"])
    if kind == "object" and schema.get("properties"):
        field["fields"] = _fields(schema)
    return {"type": kind, **field}


def _nullable(schema: JsonSchema) -> bool:
    kinds = schema.get("type")
    return (isinstance(kinds, list) and "null" in kinds) or schema.get("default") is not None
