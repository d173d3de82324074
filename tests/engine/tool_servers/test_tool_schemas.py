"""Schemas of tools as MCP servers write them, and what goes to the models."""

from __future__ import annotations

from typing import Any

import pytest

from engine.tool_servers.tool_schemas import sound_schema


@pytest.mark.parametrize(
    ("written", "sound"),
    [
        ({"properties": {"value": True, "never": False}}, {"properties": {"value": {}}}),
        ({"properties": {"value": None, "other": "text"}}, {"properties": {"value": {}, "other": {}}}),
        ({"properties": None, "required": None, "enum": None}, {}),
        ({"properties": ["a"], "required": "a", "enum": "a", "type": "any"}, {}),
        ({"properties": {"a": {"type": "string", "required": True}}}, {"properties": {"a": {"type": "string"}}}),
        ({"properties": {"a": {"type": ["string", 3]}}}, {"properties": {"a": {}}}),
        ({"properties": {"a": {"enum": [], "maxLength": "3"}}}, {"properties": {"a": {}}}),
        ({"properties": {"a": {"minimum": 1, "exclusiveMinimum": True}}}, {"properties": {"a": {"minimum": 1}}}),
        (
            {"properties": {"a": {"const": None, "default": None}}},
            {"properties": {"a": {"const": None, "default": None}}},
        ),
        ({"anyOf": [True, False, {"items": None}], "allOf": None, "oneOf": [False]}, {"anyOf": [{}, {}]}),
        ({"additionalProperties": False, "items": True}, {"additionalProperties": False, "items": True}),
        ({"items": [True, {"enum": None}], "not": 3}, {"items": [{}, {}]}),
        ({"$defs": {"a": True, "b": {"$ref": 3}}, "x-own": [None]}, {"$defs": {"a": {}, "b": {}}, "x-own": [None]}),
    ],
)
def test_a_key_that_no_provider_takes_is_left_out(written: dict[str, Any], sound: dict[str, Any]) -> None:
    assert sound_schema(written) == {"type": "object", **sound}


def test_a_schema_that_is_taken_stays_as_it_is() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "a": {"type": ["string", "null"], "enum": ["x", None], "description": "One.", "maxLength": 3},
            "b": {"type": "array", "items": {"$ref": "#/$defs/b"}, "minItems": 1},
            "c": {"anyOf": [{"type": "number", "minimum": 0.5}, {"const": "no"}]},
        },
        "required": ["a"],
        "additionalProperties": {"type": "boolean"},
        "$defs": {"b": {"type": "integer", "format": "int64", "examples": [1]}},
    }
    assert sound_schema(schema) == schema
