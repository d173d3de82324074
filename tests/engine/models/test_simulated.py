"""The Simulated model: deterministic, valid answers without network access."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.flow.contract import payload_schema
from engine.models.simulated import answer
from engine.models.structured_output import check_object

PAGE = (
    "The harbour town of Kleinsee has 4200 people. It lies at the coast. Its lighthouse was built in 1887.\n"
    "Visitors like the fish market. The review was positive. Read more at https://kleinsee.example/visit."
)
PROMPT = f"Summarise this page in two sentences.\n\n{PAGE}\n\nThank you."


def made(fields, prompt=PROMPT):
    schema = payload_schema(fields, for_output=True)
    value = answer(prompt, "", schema)[1]
    assert value is not None
    assert check_object(value, schema)[1] == []
    return value


def test_a_text_answer_is_the_first_sentences_of_the_longest_text():
    text, value = answer(PROMPT)
    assert text == value == "The harbour town of Kleinsee has 4200 people. It lies at the coast."
    assert answer(PROMPT) == (text, value)


def test_an_instruction_before_a_colon_is_left_out():
    assert answer("Say it shorter: The cat sat on the mat and slept there all day.")[0].startswith("The cat")


def test_an_object_is_filled_from_the_prompt():
    assert made(
        [
            {"name": "summary", "type": "string"},
            {"name": "people", "type": "integer", "minimum": 1000, "maximum": 10_000},
            {"name": "mood", "type": "string", "enum": ["negative", "positive"]},
            {"name": "link", "type": "string", "format": "uri"},
            {"name": "has_lighthouse", "type": "boolean"},
            {"name": "sentences", "type": "array", "items": {"type": "string"}},
            {"name": "place", "type": "object", "fields": [{"name": "title", "type": "string", "required": True}]},
        ]
    ) == {
        "summary": "The harbour town of Kleinsee has 4200 people. It lies at the coast.",
        "people": 1887,
        "mood": "positive",
        "link": "https://kleinsee.example/visit",
        "has_lighthouse": True,
        "sentences": [
            "The harbour town of Kleinsee has 4200 people.",
            "It lies at the coast.",
            "Its lighthouse was built in 1887.",
        ],
        "place": {"title": "The harbour town of Kleinsee has 4200 people."},
    }


def test_a_labelled_value_is_taken():
    assert made([{"name": "order_number"}], "Read the mail.\n\nOrder number: A-17\nThanks")["order_number"] == "A-17"


@pytest.mark.parametrize("prompt", ["", "   ", "?", "1", "{", "a" * 5000])
def test_poor_prompts_still_give_valid_objects(prompt):
    made(
        [
            {"name": "a", "type": "string", "required": True, "min_length": 3, "max_length": 5},
            {"name": "b", "type": "number", "required": True, "minimum": 0.5},
            {"name": "c", "type": "array", "required": True, "min_items": 4, "items": {"type": "integer"}},
            {"name": "d", "type": "string", "required": True, "format": "date-time"},
            {"name": "e", "type": "string", "required": True, "format": "email"},
        ],
        prompt,
    )


def test_a_pattern_is_met_when_a_word_of_the_prompt_meets_it():
    assert made([{"name": "code", "pattern": "^[0-9]{4}$"}])["code"] == "4200"


def test_a_pattern_that_nothing_meets_gives_no_value():
    assert answer(PROMPT, "", payload_schema([{"name": "code", "pattern": "^zzz$"}], for_output=True))[1] is None


@settings(max_examples=60, deadline=None)
@given(
    prompt=st.text(max_size=300),
    low=st.integers(-50, 50),
    span=st.integers(0, 50),
    length=st.integers(0, 40),
    more=st.integers(0, 40),
)
def test_whatever_the_prompt_the_object_fits(prompt, low, span, length, more):
    made(
        [
            {"name": "n", "type": "integer", "minimum": low, "maximum": low + span},
            {"name": "x", "type": "number", "minimum": low + 0.25, "maximum": low + span + 0.25},
            {"name": "title", "type": "string", "min_length": length, "max_length": length + more},
            {"name": "tags", "type": "array", "max_items": 2, "items": {"type": "string", "max_length": 9}},
        ],
        prompt,
    )
