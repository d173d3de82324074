"""Extracting a JSON object from a model's answer and validating it against the output fields."""

import pytest

from engine.flow.contract import payload_schema
from engine.models.structured_output import read_object, repair_for, wire_schema

SCHEMA = payload_schema(
    [
        {"name": "city", "type": "string", "required": True, "max_length": 20},
        {"name": "people", "type": "integer", "required": True, "minimum": 0},
        {"name": "size", "type": "string", "required": True, "enum": ["small", "large"]},
        {
            "name": "sights",
            "type": "array",
            "items": {"type": "object", "fields": [{"name": "name", "required": True}]},
        },
    ],
    for_output=True,
)
GOOD = '{"city": "Paris", "people": 2100000, "size": "large", "sights": [{"name": "Louvre"}]}'


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"Sure! Here it is:\n```\n{GOOD}\n```\nAnything else?",
        f"The answer is {GOOD} as you asked.",
        f"I use {{braces}} often. {GOOD}",
        f'{{"note": "an example"}} {GOOD}',
        GOOD.replace("2100000", "2100000.0"),
        GOOD.replace('"size"', '"extra": 1, "size"'),
    ],
)
def test_an_object_is_found_however_a_model_wraps_it(text):
    value, wrong = read_object(text, SCHEMA)
    assert wrong == []
    assert value == {"city": "Paris", "people": 2100000, "size": "large", "sights": [{"name": "Louvre"}]}
    assert isinstance(value["people"], int)


def test_texts_lose_the_blanks_at_their_ends():
    given = (
        GOOD.replace("Paris", "\\n\\n Paris\\n of France \\n")
        .replace("large", "large ")
        .replace("Louvre", " Louvre\\n")
    )
    value, wrong = read_object(given, SCHEMA)
    assert wrong == []
    assert value == {"city": "Paris\n of France", "people": 2100000, "size": "large", "sights": [{"name": "Louvre"}]}
    padded = payload_schema([{"name": "sign", "enum": [" +", "-"]}], for_output=True)
    assert read_object('{"sign": " +"}', padded) == ({"sign": " +"}, [])


def test_an_optional_field_left_out_becomes_null():
    value, _ = read_object('{"city": "Paris", "people": 1, "size": "small"}', SCHEMA)
    assert value is not None
    assert value["sights"] is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Paris is large.", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ("", "no JSON object"),
        ('{"people": 1, "size": "small"}', "/city: missing"),
        (GOOD.replace("2100000", '"many"'), "/people: expected a whole number, got a string"),
        (GOOD.replace("2100000", "-1"), "/people: must be at least 0"),
        (GOOD.replace('"large"', '"huge"'), "/size: must be one of: small, large"),
        (GOOD.replace('"Louvre"', "null"), "/sights/0/name"),
        (GOOD.replace("2100000", "NaN"), "no JSON object"),
        ('{"city": ' + "[" * 2000 + "]" * 2000 + "}", ""),
    ],
)
def test_what_does_not_fit_is_named(text, told):
    value, wrong = read_object(text, SCHEMA)
    assert value is None
    assert told in wrong[0]
    assert told in repair_for(wrong)


def test_providers_get_null_as_an_alternative_and_no_defaults():
    wire = wire_schema(
        payload_schema([{"name": "a", "default": None, "enum": ["x"], "description": "Why"}], for_output=True)
    )
    assert wire["properties"]["a"] == {
        "anyOf": [{"type": "string", "enum": ["x"]}, {"type": "null"}],
        "description": "Why",
    }
