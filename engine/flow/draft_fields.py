"""Drafts the fields of an API Input from a sample: a JSON request, or the body of a curl command. Pure code.

A draft is a start for a person: each field has the sample's value as its example, and is required when every sample has
it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from pydantic import JsonValue

from engine.flow.contract import MAX_FIELDS, MAX_LEVELS
from engine.flow.curl_parser import CurlRefused, looks_like_curl, read_curl
from engine.flow.document import MAX_NAME
from engine.flow.json_values import read_strictly
from engine.flow.payload_check import field_type, fits_format

_LONGEST_EXAMPLE = 500
_LONGEST_SAMPLE = 1 << 20


class SampleRefused(ValueError):
    """No fields can be drafted from this. Its text is a sentence for the person who pasted the sample."""


def fields_from_text(text: str) -> list[dict[str, Any]]:
    """Returns the fields for a pasted JSON object or curl command. Raises SampleRefused."""
    if len(text) > _LONGEST_SAMPLE:
        raise SampleRefused("The sample is longer than 1 MiB. A shorter one has the same fields.")
    if looks_like_curl(text):
        return _fields_from_curl(text)
    try:
        value = read_strictly(text)
    except ValueError as error:
        raise SampleRefused('This is neither JSON nor a curl command. JSON looks like {"name": "value"}.') from error
    return fields_from_json(value)


def fields_from_json(value: JsonValue | Mapping[str, str]) -> list[dict[str, Any]]:
    """Returns the fields for a sample request: an object, or a list of objects. Raises SampleRefused."""
    if (
        isinstance(value, list)
        and value
        and len(value) == len(samples := [one for one in value if isinstance(one, Mapping)])
    ):
        return _fields(samples, 1)
    if not isinstance(value, Mapping):
        raise SampleRefused('A request body is an object with names and values, like {"name": "value"}.')
    if not value:
        raise SampleRefused("The object is empty: it names no field.")
    return _fields([value], 1)


def _fields_from_curl(text: str) -> list[dict[str, Any]]:
    try:
        command = read_curl(text)
    except CurlRefused as refusal:
        raise SampleRefused(str(refusal)) from refusal
    if isinstance(command.body, Mapping | list):
        return fields_from_json(command.body)
    if isinstance(command.body, str) and (pairs := dict(parse_qsl(command.body, keep_blank_values=True))):
        return fields_from_json(pairs)
    if command.query:
        return fields_from_json(command.query)
    raise SampleRefused("The command sends no body and no query, so it names no field.")


def _fields(samples: Sequence[Mapping[str, Any]], level: int) -> list[dict[str, Any]]:
    """Returns fields that fit every sample; a field that a sample leaves out is not required."""
    names = list(
        dict.fromkeys(name for sample in samples for name in sample if str(name).strip() and len(name) <= MAX_NAME)
    )
    drafted: list[dict[str, Any]] = []
    for name in names[:MAX_FIELDS]:
        values = [sample[name] for sample in samples if name in sample]
        rules = _rules(values, level)
        required = len(values) == len(samples) and None not in values
        drafted.append({"name": name, **rules, **({"required": True} if required else {})})
    return drafted


def _rules(values: Sequence[Any], level: int) -> dict[str, Any]:
    """Returns type, format, example and inner fields that fit all values."""
    known = [value for value in values if value is not None]
    kinds = {field_type(value) for value in known}
    if kinds == {"integer", "number"}:
        kinds = {"number"}
    if len(kinds) != 1:
        return {"type": "string"}  # unknown or mixed types: the designer decides
    kind = kinds.pop()
    if kind == "file":
        return {"type": "file"}
    if kind == "object":
        if level >= MAX_LEVELS or not any(known):
            return {"type": "object"}
        return {"type": "object", "fields": _fields(known, level + 1)}
    if kind == "array":
        items = [item for value in known for item in value]
        return {"type": "array", **({"items": _item(items, level)} if items else {})}
    rules: dict[str, Any] = {"type": kind}
    if kind == "string":
        forms = [form for form in ("uri", "email", "date-time") if all(fits_format(form, value) for value in known)]
        if forms:
            rules["format"] = forms[0]
    if not isinstance(known[0], str) or 0 < len(known[0]) <= _LONGEST_EXAMPLE:
        rules["example"] = known[0]
    return rules


def _item(items: Sequence[Any], level: int) -> dict[str, Any]:
    rules = _rules(items, level + 1)
    rules.pop("example", None)
    return rules
