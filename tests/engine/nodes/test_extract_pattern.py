"""Extract Pattern."""

import re

import pytest

from engine.flow.document import Node
from engine.flow.output_schemas import out_schema
from engine.nodes import CATALOG
from engine.nodes.extract_pattern import MAX_MATCHES
from tests.engine.nodes.one_node import Alone, problems_of, run_node

TEXT = "Order AB-12 on 2026-01-31, order CD-34 on 2026-02-01."


#: What each pattern of the help page finds, by the words of the page -> a text, and its matches.
SHOWN = {
    "digits": ("Room 7, floor 12", ["7", "12"]),
    "codes like `AB-1234`": ("Codes AB-1234 and ab-1234", ["AB-1234"]),
    "e-mail addresses": ("Ask bob@shop.example.com, or a.b+c@x-y.org.", ["bob@shop.example.com", "a.b+c@x-y.org"]),
    "numbers: 12, 39.90, 1.299,00": ("12 for 39.90 or 1.299,00.", ["12", "39.90", "1.299,00"]),
    "web addresses": (
        "See https://a.example/x?y=1, or (http://b.example).",
        ["https://a.example/x?y=1", "http://b.example"],
    ),
    "dates like 2026-01-31 and 31.1.2026": (
        "From 2026-01-31 to 31.1.2026, 1/31/26.",
        ["2026-01-31", "31.1.2026", "1/31/26"],
    ),
    'the words "in stock", capitals or not': ("In stock: 4", ["In stock"]),
    "dates, as an object with `day`": ("From 2026-01-31 on", [{"day": "2026-01-31"}]),
    'the amount after "price:", capitals or not': ("Price: 12.50, PRICE:3.99", ["12.50", "3.99"]),
    "codes like AB-1234": ("Codes AB-1234 and ab-1234", ["AB-1234"]),
}


def shown_patterns():
    """Returns the patterns that the page shows with the words for what each finds: of its table and of its settings."""
    kind = CATALOG["extract_pattern"]
    said = kind.config.model_fields["pattern"].description
    return [
        *(
            (one.replace(r"\|", "|"), finds)
            for one, finds in re.findall(r"^\| `(.+?)` \| (.+) \|$", kind.help, re.MULTILINE)
        ),
        *re.findall(r"`([^`]+)`(?: finds)? ([^,.]+)", said.partition(": ")[2]),
    ]


async def out(pattern, text=TEXT, **config):
    return await run_node("extract_pattern", {"pattern": pattern, **config}, {"text": text})


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        (r"[A-Z]{2}-\d+", ["AB-12", "CD-34"]),
        (r"([A-Z]{2})-\d+", ["AB", "CD"]),
        (r"([A-Z]{2})-(\d+)", [["AB", "12"], ["CD", "34"]]),
        (r"(?P<letters>[A-Z]{2})-(?P<number>\d+)", [{"letters": "AB", "number": "12"}, {"letters": "CD", "number": "34"}]),
        (r"(?<day>\d{4}-\d\d-\d\d)", [{"day": "2026-01-31"}, {"day": "2026-02-01"}]),
        (r"(?:Order|order) (A\w)?", ["AB", None]),
        (r"(?:Order|order) (?:(A\w)|(C\w))", [["AB", None], [None, "CD"]]),
        (r"x*", []),
        (r"(?i)ORDER", ["Order", "order"]),
    ],
)  # fmt: skip
async def test_the_brackets_say_what_a_match_is(pattern, matches):
    assert await out(pattern) == {"matches": matches, "count": len(matches), "first": matches[0] if matches else None}
    node = Node(id="n", type="extract_pattern", config={"pattern": pattern})
    item = out_schema(node, CATALOG)["properties"]["matches"]["items"]
    kind = {str: "string", list: "array", dict: "object"}[type(matches[0])] if matches else "string"
    assert item["type"] == (
        ["string", "null"] if "(" in pattern and kind == "string" and "(?i)" not in pattern else kind
    )


async def test_every_pattern_of_the_page_finds_what_the_page_says():
    shown = shown_patterns()
    assert {said for _, said in shown} == SHOWN.keys()
    for pattern, said in shown:
        text, matches = SHOWN[said]
        assert (await out(pattern, text))["matches"] == matches, said


async def test_the_first_match_only():
    assert await out(r"\d+", all=False) == {"matches": ["12"], "count": 1, "first": "12"}


async def test_letters_of_every_script_and_halves_of_characters():
    assert (await out(r"\p{L}+", "Grüße 你好 \ud800x"))["matches"] == ["Grüße", "你好", "x"]


async def test_values_that_are_no_text_are_searched_as_json():
    assert (await out(r"\d+", {"a": [1, 22]}))["matches"] == ["1", "22"]


async def test_more_matches_than_fit_are_told():
    context = Alone()
    found = await run_node("extract_pattern", {"pattern": "a"}, {"text": "a" * (MAX_MATCHES + 5)}, context)
    assert found["count"] == MAX_MATCHES
    assert "only the first 10,000" in context.warnings[0]


@pytest.mark.parametrize(
    ("pattern", "code"), [("", "no_pattern"), ("(", "bad_pattern"), (r"(a)\1", "bad_pattern"), ("a" * 1_001, "invalid_value")]
)  # fmt: skip
def test_patterns_that_cannot_work_are_problems(pattern, code):
    found = problems_of("extract_pattern", {"pattern": pattern}, {"text": "x"})
    assert (code, "/config/pattern") in [one[:2] for one in found]
