"""Fields of an API Input derived from a sample: they are valid and accept the sample."""

from __future__ import annotations

import pytest

from engine.flow.contract import field_problems
from engine.flow.document import Node
from engine.flow.draft_fields import SampleRefused, fields_from_json, fields_from_text
from engine.flow.payload_check import check_payload
from engine.nodes import api_input

SAMPLE = {
    "url": "https://example.com/a",
    "email": "ann@example.com",
    "at": "2026-01-31T09:30:00Z",
    "name": "Ann",
    "age": 5,
    "ratio": 0.5,
    "yes": True,
    "nothing": None,
    "empty": "",
    "tags": ["a", "b"],
    "none": [],
    "mixed": [1, "x"],
    "numbers": [1, 2.5],
    "address": {"street": "Mill Lane", "geo": {"lat": 1.5, "more": {"deep": 1}}},
    "items": [{"sku": "A", "count": 1}, {"sku": "B", "note": "x"}],
}


def by_name(fields):
    return {field["name"]: {key: value for key, value in field.items() if key != "name"} for field in fields}


def test_every_type_is_drafted():
    fields = by_name(fields_from_json(SAMPLE))
    assert fields["url"] == {"type": "string", "format": "uri", "example": "https://example.com/a", "required": True}
    assert fields["email"]["format"] == "email"
    assert fields["at"]["format"] == "date-time"
    assert [fields[name]["type"] for name in ("name", "age", "ratio", "yes")] == [
        "string",
        "integer",
        "number",
        "boolean",
    ]
    assert fields["nothing"] == {"type": "string"}
    assert fields["empty"] == {"type": "string", "required": True}
    assert fields["tags"] == {"type": "array", "items": {"type": "string"}, "required": True}
    assert fields["none"] == {"type": "array", "required": True}
    assert fields["mixed"]["items"] == {"type": "string"}
    assert fields["numbers"]["items"] == {"type": "number"}
    geo = by_name(by_name(fields["address"]["fields"])["geo"]["fields"])
    assert geo == {
        "lat": {"type": "number", "example": 1.5, "required": True},
        "more": {"type": "object", "required": True},
    }
    assert by_name(fields["items"]["items"]["fields"]) == {
        "sku": {"type": "string", "example": "A", "required": True},
        "count": {"type": "integer", "example": 1},
        "note": {"type": "string", "example": "x"},
    }


@pytest.mark.parametrize(
    "sample", [{**SAMPLE, "mixed": ["1"]}, {"a": {"b": {"c": {"d": {"e": 1}}}}, "l": [[[{"x": [{"y": {"z": 1}}]}]]]}]
)
def test_a_draft_has_no_problem_and_takes_its_sample(sample):
    fields = fields_from_json(sample)
    api_input.Config.model_validate({"fields": fields})
    assert field_problems(Node(id="api_input", type="api_input", config={"fields": fields})) == []
    _, errors = check_payload(fields, sample)
    assert errors == []


def test_several_rows_give_the_fields_that_fit_all():
    fields = by_name(fields_from_json([{"a": 1, "b": "x"}, {"a": 1.5, "b": None}]))
    assert fields == {"a": {"type": "number", "example": 1, "required": True}, "b": {"type": "string", "example": "x"}}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"a": 1}', ["a"]),
        ("curl https://x.example -H 'Content-Type: application/json' -d '{\"q\": \"x\"}'", ["q"]),
        ("curl https://x.example -d 'a=1&b=2'", ["a", "b"]),
        ("curl 'https://x.example/?page=2'", ["page"]),
    ],
)
def test_json_and_curl_are_read(text, names):
    assert [field["name"] for field in fields_from_text(text)] == names


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "neither JSON nor"),
        ("{'a': 1}", "neither JSON nor"),
        ('{"a": NaN}', "neither JSON nor"),
        ('{"a": 1e400}', "neither JSON nor"),
        ("[" * 100_000, "neither JSON nor"),
        ("5", "is an object"),
        ('["a"]', "is an object"),
        ("[]", "is an object"),
        ("{}", "names no field"),
        ("curl https://x.example", "names no field"),
        ("curl https://x.example -F a=@b", "a form with files"),
        ('{"a": "' + "x" * 1_100_000 + '"}', "1 MiB"),
    ],
)
def test_what_gives_no_fields_says_why(text, says):
    with pytest.raises(SampleRefused) as refused:
        fields_from_text(text)
    assert says in str(refused.value)


def test_names_that_no_field_can_have_are_left_out_and_there_is_an_end():
    fields = fields_from_json({"": 1, " ": 2, "x" * 201: 3, **{f"n{number}": number for number in range(150)}})
    assert len(fields) == 100
    assert fields[0]["name"] == "n0"
