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


MOOD = {"name": "mood", "type": "string", "enum": ["positive", "negative"]}
REVIEWS = {
    "The bread was wonderful and the people friendly.": "positive",
    "Awful. The cake was stale.": "negative",
    "Not good at all, I was disappointed.": "negative",
    "It is not bad, and I loved the rolls!": "positive",
    "A positive surprise.": "positive",
}


@pytest.mark.parametrize(("review", "mood"), REVIEWS.items())
@pytest.mark.parametrize(
    "asked",
    ["{}", "Is this review positive or negative? {}", "Sort the review below into positive or negative ones.\n\n{}",
     "Review: {}"],
)  # fmt: skip
def test_a_choice_is_what_the_text_plainly_says(asked, review, mood):
    assert made([MOOD], asked.format(review))["mood"] == mood


def test_choices_are_spread_where_the_text_says_nothing():
    fields = [
        {"name": "kind", "type": "string", "enum": ["question", "order", "invoice"], "required": True},
        {"name": "urgent", "type": "boolean", "required": True},
        {"name": "score", "type": "integer", "minimum": 1, "maximum": 5, "required": True},
        {"name": "share", "type": "number", "minimum": 0, "maximum": 1, "required": True},
    ]
    prompts = [f"Message: the {colour} one {thing}" for colour in ("red", "blue", "grey", "dark") for thing in "abcdef"]
    values = [made(fields, prompt) for prompt in prompts]
    assert values == [made(fields, prompt) for prompt in prompts], "the same for the same prompt"
    for name, least in (("kind", 3), ("urgent", 2), ("score", 5), ("share", 10)):
        assert len({value[name] for value in values}) >= least, name


def test_the_choice_that_instructions_name_most_is_none_of_its_own():
    kinds = {"name": "kind", "type": "string", "enum": ["question", "order", "complaint"]}
    asked = "Sort it into question, order or complaint, whatever fits best.\n\n{}"
    assert made([kinds], asked.format("An order of six rolls."))["kind"] == "order"


def test_whether_a_word_is_there_is_not_guessed():
    asked = [{"name": "mentions_refund", "type": "boolean"}, {"name": "is_positive", "type": "boolean"}]
    prompts = ["I want a refund, it broke.", "All was lovely.", "A plain note.", "Where is my loaf?"]
    answers = [made(asked, prompt) for prompt in prompts]
    assert [one["mentions_refund"] for one in answers] == [True, False, False, False]
    assert [one["is_positive"] for one in answers[:2]] == [False, True]


def test_a_list_of_choices_has_those_that_are_named():
    tags = {"name": "tags", "type": "array", "items": {"type": "string", "enum": ["bread", "cake", "tea"]}}
    assert made([tags], "We had tea and bread.")["tags"] == ["bread", "tea"]
    assert len(made([{**tags, "min_items": 5}], "Nothing.")["tags"]) == 5


def test_a_report_says_one_sentence_of_each_page() -> None:
    prompt = (
        "Write a report about: What is new\n\n"
        "Page: News (https://a.example/news)\nNews\n\n2 September.\n\nWe bake again on Mondays. And on Tuesdays.\n\n"
        "Page: Prices (https://a.example/prices)\nPrices have not changed since March.\n"
    )
    schema = {"type": "object", "properties": {"report": {"type": "string"}}, "required": ["report"]}

    _text, value = answer(prompt, output_schema=schema)

    assert value == {"report": "News: We bake again on Mondays.\n\nPrices: Prices have not changed since March."}
