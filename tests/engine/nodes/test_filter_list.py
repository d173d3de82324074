"""Filter List."""

import pytest

from engine.flow.node_context import NodeFailed
from engine.nodes import CATALOG
from tests.engine.nodes.one_node import Alone, problems_of, run_node

GOODS = [
    {"name": "Rye", "price": "3.20", "maker": {"town": "Bonn"}, "tags": ["dark", "sour"]},
    {"name": "Roll", "price": 0.6, "maker": {"town": "Köln"}, "tags": []},
    {"name": "Cake", "price": 24, "maker": None},
    "no object",
]


async def names(rules, match="all", items=GOODS):
    out = await run_node("filter_list", {"match": match, "rules": rules}, {"items": items})
    assert (out["count"], out["total_count"]) == (len(out["items"]), len(items))
    return [one["name"] if isinstance(one, dict) else one for one in out["items"]]


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ([], ["Rye", "Roll", "Cake", "no object"]),
        ([{"field": "price", "operator": "greater", "value": "3"}], ["Rye", "Cake"]),
        ([{"field": "maker.town", "operator": "equals", "value": "Köln"}], ["Roll"]),
        ([{"field": "tags[0]", "operator": "equals", "value": "dark"}], ["Rye"]),
        ([{"field": "tags", "operator": "is_empty"}], ["Roll", "Cake", "no object"]),
        ([{"field": "", "operator": "equals", "value": "no object"}], ["no object"]),
        ([{"field": "name", "operator": "matches", "value": "^R"}, {"field": "price", "operator": "less", "value": 1}], ["Roll"]),
        ([{"field": "name", "operator": "in", "value": "Cake, Rye"}], ["Rye", "Cake"]),
    ],
)  # fmt: skip
async def test_items_that_fit_the_rules_are_kept_in_order(rules, kept):
    assert await names(rules) == kept


async def test_one_rule_is_enough_when_any_may_fit():
    rules = [{"field": "name", "value": "Cake"}, {"field": "price", "operator": "less", "value": "1"}]
    assert await names(rules, "any") == ["Roll", "Cake"]
    assert await names(rules, "all") == []


@pytest.mark.parametrize(
    ("match", "more", "told"),
    [
        (
            "all",
            [],
            "2 of 5 items: `price` is no number, like `50 EUR`, so the rule “is greater than 100” compared texts",
        ),
        ("all", [{"field": "kind", "value": "b"}], "1 of 5 items: `price` is no number, like `1,200`, so"),
        ("any", [{"field": "kind", "value": "b"}], "1 of 5 items: `price` is no number, like `50 EUR`, so"),
        ("all", [{"field": "kind", "value": "c"}], ""),
        ("all", [{"field": "price", "operator": "less", "value": "1"}], "2 of 5 items: `price` is no number"),
    ],
)
async def test_texts_that_were_compared_with_a_number_are_told(match, more, told):
    items = [{"price": "50 EUR"}, {"price": "1,200", "kind": "b"}, {"price": "640.00"}, {"price": ""}, {"price": 5}]
    rules = [{"field": "price", "operator": "greater", "value": "100"}, *more]
    context = Alone()
    await run_node("filter_list", {"match": match, "rules": rules}, {"items": items}, context)
    assert [one[: len(told)] for one in context.warnings] == [told] * bool(told)


@pytest.mark.parametrize(("rules", "items", "told"), [(100, 2_000, 11), (2, 1_200, 1_000)])
async def test_many_comparisons_of_texts_take_no_longer_for_being_told(rules, items, told):
    below = [{"field": f"f{at}", "operator": "less", "value": "0"} for at in range(rules)]
    given = [{f"f{at}": f"{number} EUR" for at in range(rules)} for number in range(items)]
    context = Alone()
    out = await run_node("filter_list", {"rules": below}, {"items": given}, context)
    assert (out["count"], out["total_count"]) == (0, items)
    (warning,) = context.warnings
    assert warning.startswith(f"{told:,} of the first {told:,} items: `f0` is no number, like `0 EUR`, so the rule")


async def test_a_text_late_in_a_long_list_is_told_and_no_pattern_is_asked_for_it():
    rules = [
        {"field": "price", "operator": "greater", "value": "100"},
        {"field": "kind", "operator": "matches", "value": "b"},
    ]
    items = [*({"price": 5} for _ in range(3_000)), {"price": "1,200", "kind": "c"}]
    context = Alone()
    assert (await run_node("filter_list", {"rules": rules}, {"items": items}, context))["items"] == []
    assert [one.split(":")[0] for one in context.warnings] == ["1 of 3,001 items"]


async def test_text_that_is_a_json_list_is_read_and_an_empty_list_stays_empty():
    assert (await run_node("filter_list", {}, {"items": "[1, 2]"}))["items"] == [1, 2]
    assert await run_node("filter_list", {}, {"items": []}) == {"items": [], "count": 0, "total_count": 0}


@pytest.mark.parametrize(
    ("items", "word"), [({"pages": [], "n": 1}, "a group of values"), ("abc", "text"), (5, "a number"), ("[1,", "text"), (True, "yes or no")]
)  # fmt: skip
async def test_what_is_no_list_is_named(items, word):
    with pytest.raises(NodeFailed, match=f"Items is {word}, not a list") as failed:
        await run_node("filter_list", {}, {"items": items})
    assert failed.value.code == "not_a_list"
    assert ("`pages`" in failed.value.why) is (word == "a group of values")


@pytest.mark.parametrize(
    ("rules", "code", "pointer"),
    [
        ([{"operator": "matches", "value": "("}], "bad_pattern", "/config/rules/0/value"),
        ([{"operator": "matches", "value": ""}], "bad_pattern", "/config/rules/0/value"),
        ([{"operator": "resembles"}], "invalid_value", "/config/rules/0/operator"),
        ([{"colour": 1}], "unknown_key", "/config/rules/0/colour"),
        ([5], "invalid_value", "/config/rules/0"),
        ("x", "invalid_value", "/config/rules"),
    ],
)
def test_rules_that_cannot_work_are_problems(rules, code, pointer):
    found = problems_of("filter_list", {"rules": rules}, {"items": "{{ api_input.out.items }}"})
    assert (code, pointer) in [one[:2] for one in found]


def test_the_canvas_shows_the_rules_in_words():
    rules = [
        {"field": "price", "operator": "greater", "value": "3"},
        {"field": "name", "operator": "is_empty", "value": ""},
    ]
    summary = CATALOG["filter_list"].summary
    assert summary({"rules": rules, "match": "any"}, {}) == "price is greater than 3 or name is empty"
    assert summary({"rules": [None, {"operator": 5, "value": 1}]}, {}) == "item 5 1"
    assert summary({"rules": [{"field": "", "operator": "equals", "value": ""}]}, {}) == "no rule yet"
    asked = CATALOG["condition"].summary
    assert asked({}, {"rules": [{"left": "refund", "right": ""}]}) == "refund is nothing"
    assert asked({}, {"rules": [{"left": "refund", "operator": "is_empty"}]}) == "refund is empty"
