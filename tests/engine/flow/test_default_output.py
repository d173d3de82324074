"""The suggested default of a node that failed: it fits the schema of the output of every node type."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from engine.flow.default_output import default_output
from engine.nodes import CATALOG


@pytest.mark.parametrize("kind", CATALOG.values(), ids=lambda kind: kind.type)
def test_it_fits_the_output_of_every_node(kind) -> None:
    config, inputs = kind.example
    schema = kind.out_schema(config, inputs)
    value = default_output(schema, "Nothing came.")
    if schema:
        Draft202012Validator(schema).validate(value)
    else:
        assert value == "Nothing came."


def test_the_sentence_stands_in_the_main_text_alone() -> None:
    schema = {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "text": {"type": "string"},
            "note": {"type": ["string", "null"]},
            "count": {"anyOf": [{"type": "null"}, {"type": "integer"}]},
            "mood": {"enum": ["good", "bad"]},
        },
    }
    value = default_output(schema, "Nothing came.")
    assert value == {"title": "", "text": "Nothing came.", "note": "", "count": 0, "mood": "good"}
    assert default_output(None, "Nothing came.") == "Nothing came."
    assert default_output({"type": "array"}, "Nothing came.") == []
