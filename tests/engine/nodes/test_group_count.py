"""Group and count."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from engine.flow.document import Document
from engine.flow.output_schemas import out_schema
from engine.nodes import CATALOG
from engine.nodes.group_count import name_of
from tests.engine.nodes.one_node import Alone, problems_of, run_node

REVIEWS = [
    {"mood": "good", "stars": 5, "who": {"age": "41"}},
    {"mood": "bad", "stars": "2", "who": {"age": 20}},
    {"mood": "GOOD", "stars": 4},
    {"stars": 3},
    {"mood": "bad", "stars": None},
]


async def groups(config, items=REVIEWS, context=None):
    return (await run_node("group_count", config, {"items": items}, context))["groups"]


async def test_groups_stand_in_the_order_of_their_first_item():
    assert [(one["key"], one["count"]) for one in await groups({"by": "mood"})] == [("good", 2), ("bad", 2), (None, 1)]


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        ([3, "3", 3.0, " 3 "], [(3, 4)]),
        (["007", "7"], [("007", 1), ("7", 1)]),
        ([True, "true", "yes"], [(True, 2), ("yes", 1)]),
        (["  New  York ", "new york"], [("New  York", 2)]),
        (["Café", "Cafe\u0301", "CAFÉ"], [("Café", 3)]),
        ([None, "", " ", 0, False], [(None, 3), (0, 1), (False, 1)]),
        ([[1, 2], [1, 2], {"a": 1}], [([1, 2], 2), ({"a": 1}, 1)]),
    ],
)
async def test_what_reads_the_same_is_one_group(values, keys):
    assert [(one["key"], one["count"]) for one in await groups({"by": "."}, values)] == keys


async def test_without_a_field_everything_is_one_group():
    assert await groups({}) == [{"key": None, "count": 5}]


async def test_a_field_inside_a_field_and_every_number():
    context = Alone()
    measures = [{"operation": one, "field": "stars"} for one in ("count", "sum", "average", "min", "max")]
    first, second, third = await groups({"by": "mood", "measures": measures}, context=context)
    assert first == {"key": "good", "count": 2, "count_stars": 2, "sum_stars": 9, "average_stars": 4.5,
                     "min_stars": 4, "max_stars": 5}  # fmt: skip
    assert (second["count_stars"], second["sum_stars"], second["average_stars"]) == (1, 2, 2)
    assert third["max_stars"] == 3
    assert context.warnings == []
    by_age = await groups({"by": "who.age", "measures": [{"operation": "average", "field": "who.age"}]})
    assert [one["average_who_age"] for one in by_age] == [41, 20, None]


async def test_sums_are_as_people_add_them():
    (one,) = await groups({"measures": [{"field": "."}]}, [0.1, "0.2", 4])
    assert one["sum_of_items"] == 4.3


async def test_amounts_as_people_write_them_are_added_and_the_rest_is_counted():
    context = Alone()
    measures = [{"field": "paid", "name": "sum"}, {"operation": "numbers", "field": "paid", "name": "numbers"}]
    items = [{"who": "A", "paid": "1.234,50 €"}, {"who": "B", "paid": "2.000"}, {"who": "B", "paid": "cash"}, {}]
    found = await groups({"by": "who", "measures": measures}, items, context=context)
    assert [(one["sum"], one["numbers"], one["count"]) for one in found] == [(1234.5, 1, 1), (2000, 1, 2), (0, 0, 1)]
    assert context.warnings == ["1 of 4 items were left out of the numbers: `paid` was no number, like `cash`."]


async def test_groups_of_a_fixed_list_have_a_row_without_an_item():
    config = {"by": "mood", "choices": ["mixed", "Good", " "], "measures": [{"field": "stars"}]}
    context = Alone()
    found = await groups(config, [{"mood": "good", "stars": 3}, {"mood": "odd", "stars": 1}], context=context)
    assert [(one["key"], one["count"], one["sum_stars"]) for one in found] == [
        ("mixed", 0, 0),
        ("Good", 1, 3),
        ("odd", 1, 1),
    ]
    assert await groups({"by": "mood", "choices": ["good"]}, []) == [{"key": "good", "count": 0}]
    assert context.warnings == []

    await groups({"by": "modd", "choices": ["good"]}, [{"mood": "good"}], context=context)
    assert context.warnings == ["No item has a `modd`, so all of them are one group."]


async def test_the_total_is_of_the_whole_list():
    out = await run_node("group_count", {"by": "mood", "measures": [{"field": "stars"}]}, {"items": REVIEWS})
    assert (out["group_count"], out["total"]) == (3, {"count": 5, "sum_stars": 14})


async def test_a_field_without_any_value_is_told():
    context = Alone()
    (one,) = await groups({"measures": [{"field": "price"}, {"operation": "min", "field": "price"}]}, context=context)
    assert (one["sum_price"], one["min_price"]) == (0, None)
    assert context.warnings == ["No item has a value in `price`."]


def test_a_name_is_made_of_what_and_where():
    assert [name_of("sum", "price", ""), name_of("max", 'who["full name"]', ""), name_of("sum", ".", " in all ")] == [
        "sum_price",
        "max_who_full_name",
        "in all",
    ]


def test_names_that_clash_are_problems():
    bound = {"items": "{{ api_input.out.items }}"}
    wrong = {"measures": [{"field": "a"}, {"field": "a"}, {"operation": "count", "name": "count"}, {"field": 5}]}
    found = [one[:2] for one in problems_of("group_count", wrong, bound)]
    assert ("invalid_value", "/config/measures/1/name") in found
    assert ("invalid_value", "/config/measures/2/name") in found
    assert ("invalid_value", "/config/measures/3/field") in found


def test_later_nodes_know_the_fields_of_a_group():
    fields = [
        {"name": "mood", "type": "string"},
        {"name": "stars", "type": "integer"},
    ]
    document = Document.model_validate(
        {
            "format": 1,
            "nodes": [
                {
                    "id": "api_input",
                    "type": "api_input",
                    "config": {
                        "fields": [{"name": "reviews", "type": "array", "items": {"type": "object", "fields": fields}}]
                    },
                },
                {
                    "id": "node",
                    "type": "group_count",
                    "config": {"by": "mood", "measures": [{"operation": "average", "field": "stars"}]},
                    "inputs": {"items": "{{ api_input.out.reviews }}"},
                },
            ],
            "edges": [{"id": "e", "source": "api_input", "target": "node"}],
        }
    )
    node = document.node("node")
    assert node is not None
    group = out_schema(node, CATALOG, document)["properties"]["groups"]["items"]
    assert list(group["properties"]) == ["key", "count", "average_stars"]
    assert "string" in group["properties"]["key"]["type"]


async def test_what_callers_are_told_fits_groups_of_nothing_and_items_without_the_field():
    names = ("count", "sum", "average", "min", "max")
    config = {"by": "mood", "measures": [{"operation": one, "field": "stars"} for one in names]}
    kind = CATALOG["group_count"]
    assert kind.out_from is not None
    item = {"type": "object", "properties": {"mood": {"type": "string", "enum": ["good", "bad"]}}}
    schema = kind.out_from(config, {}, {"items": {"type": "array", "items": item}})
    out = await run_node("group_count", config, {"items": [{"mood": "good"}, {"stars": 3}]})
    assert [(one["key"], one["average_stars"]) for one in out["groups"]] == [("good", None), (None, 3)]
    Draft202012Validator(schema).validate(out)


@pytest.mark.parametrize(
    ("kind", "choices", "values", "keys"),
    [
        ({"type": "boolean"}, ["true", "false"], [True], [True, False]),
        ({"type": "boolean"}, ["false", "maybe"], [True], [False, "maybe", True]),
        ({"type": "boolean"}, ["true"], [], ["true"]),
        ({"type": "integer"}, ["3", "4"], [None, 3], [3, 4, None]),
        ({"type": "number"}, ["3", "4"], [3.0], [3.0, 4]),
        ({"type": ["string", "null"], "enum": ["good", None]}, ["Good", "odd"], ["good"], ["Good", "odd"]),
        ({"type": "string"}, ["3"], ["3", "4"], ["3", "4"]),
        ({"type": "number"}, ["3.0", "4"], [3, 2.5], ["3.0", 4, 3, 2.5]),
        ({"type": "number"}, ["5.50", "2.5"], [5.5], ["5.50", 2.5, 5.5]),
        ({"type": "integer"}, ["1", "01"], [3], [1, "01", 3]),
        ({"type": "integer"}, ["2.5"], [3], ["2.5", 3]),
        ({"type": "integer"}, ["2.5"], [3.0], ["2.5", 3.0]),
        ({"type": "integer", "enum": [1, 2]}, ["1", "3"], [1], [1, 3]),
        ({"type": "integer", "enum": [1, 2]}, ["3"], [], ["3"]),
        ({"type": "number", "enum": [1.5]}, ["2.5", "4"], [1.5], [2.5, 4, 1.5]),
        ({"type": "boolean", "enum": [True]}, ["false"], [True], [False, True]),
    ],
)
async def test_groups_that_always_have_a_row_have_keys_like_the_items(kind, choices, values, keys):
    config = {"by": "k", "choices": choices}
    out_from = CATALOG["group_count"].out_from
    assert out_from is not None
    item = {"type": "object", "properties": {"k": kind}}
    schema = out_from(config, {}, {"items": {"type": "array", "items": item}})
    out = await run_node("group_count", config, {"items": [{"k": value} for value in values]})
    found = [one["key"] for one in out["groups"]]
    assert (found, [type(key) for key in found]) == (keys, [type(key) for key in keys])
    Draft202012Validator(schema).validate(out)


def test_the_canvas_shows_what_it_does():
    summary = CATALOG["group_count"].summary
    assert summary({"by": "mood", "measures": [{"field": "price"}]}, {}) == "by mood, sum_price"
    assert summary({}, {}) == "counts all items"


@settings(max_examples=20, deadline=None)
@given(st.lists(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4)))
async def test_every_item_is_counted_once(items):
    out = await run_node("group_count", {"by": ".", "measures": [{"operation": "average"}]}, {"items": items})
    assert sum(one["count"] for one in out["groups"]) == out["total"]["count"] == len(items)
