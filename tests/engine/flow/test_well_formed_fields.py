"""Fields of a wrong form, as a draft may hold them: what reads them goes on."""

from __future__ import annotations

from typing import Any

import pytest

from engine.flow.caller_changes import caller_changes
from engine.flow.contract import input_fields, payload_schema, sample_payload
from engine.flow.document import Document, Node
from engine.flow.well_formed_fields import well_formed_fields
from engine.nodes import CATALOG

FIELD = {"name": "a", "type": "string"}


@pytest.mark.parametrize(
    ("fields", "read_as"),
    [
        (5, []),
        ([5, FIELD], [FIELD]),
        ([{"name": ["a"], "type": "string"}], [{"type": "string"}]),
        ([{"name": "a", "type": ["string", "null"]}], [{"name": "a"}]),
        ([{**FIELD, "min_length": "5"}], [{**FIELD, "min_length": 5}]),
        ([{**FIELD, "min_length": 5.0}], [{**FIELD, "min_length": 5}]),
        ([{**FIELD, "min_length": "five", "maximum": float("inf"), "max_length": -1}], [FIELD]),
        ([{**FIELD, "enum": 5, "pattern": 5, "format": {}, "description": 5}], [FIELD]),
        ([{"name": "a", "type": "file", "file_kinds": [5], "max_file_mb": 1e308}], [{"name": "a", "type": "file"}]),
        ([{"name": "a", "type": "object", "fields": 5}], [{"name": "a", "type": "object", "fields": []}]),
        ([{"name": "a", "type": "object", "fields": [5]}], [{"name": "a", "type": "object", "fields": []}]),
        ([{"name": "a", "type": "array", "items": "abc"}], [{"name": "a", "type": "array"}]),
    ],
)
def test_parts_of_fields_that_have_a_wrong_form_are_left_out(fields: Any, read_as: list[dict[str, Any]]) -> None:
    document = Document(nodes=(Node(id="api_input", type="api_input", config={"fields": fields}),))
    same = [{"name": "a", "type": "object", "fields": [FIELD]}, {"name": "a", "type": "array", "items": FIELD}]
    other = Document(nodes=(Node(id="api_input", type="api_input", config={"fields": same[:1]}),))

    assert well_formed_fields(fields) == read_as
    assert payload_schema(input_fields(document)) == payload_schema(read_as)
    sample_payload(document)
    for before, after in ((document, other), (other, document)):
        caller_changes(before, after, CATALOG)
    CATALOG["api_input"].check(document.nodes[0], document)  # type: ignore[misc]


def test_fields_that_are_well_formed_are_returned_themselves() -> None:
    fields: list[Any] = [
        {"name": "a", "type": "object", "fields": [{**FIELD, "min_length": 5, "enum": None}]},
        {"name": "b", "type": "array", "items": {"type": "number", "minimum": 0.5}, "required": True},
    ]
    assert all(one is other for one, other in zip(well_formed_fields(fields), fields, strict=True))


@pytest.mark.parametrize("least", [5, 5.0, "5"])
def test_a_limit_is_held_however_its_number_is_written(least: Any) -> None:
    for more, code in (({"default": "abc"}, "bad_default"), ({"max_length": "3"}, "contradiction")):
        fields = [{**FIELD, "min_length": least, **more}]
        document = Document(nodes=(Node(id="api_input", type="api_input", config={"fields": fields}),))
        found = CATALOG["api_input"].check(document.nodes[0], document)  # type: ignore[misc]
        assert [problem.code for problem in found] == [code]
