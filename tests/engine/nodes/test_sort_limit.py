"""Sort and Limit."""

import pytest

from engine.flow.node_context import NodeFailed
from engine.nodes import CATALOG
from tests.engine.nodes.one_node import Alone, problems_of, run_node

GOODS = [{"n": "b", "p": 2}, {"n": "A", "p": "10"}, {"n": "c"}, {"n": "d", "p": 2}, {"n": "e", "p": None}]


@pytest.mark.parametrize(
    ("config", "order"),
    [
        ({}, "bAcde"),
        ({"limit": 2}, "bA"),
        ({"limit": 0}, ""),
        ({"by": "p"}, "bdAce"),
        ({"by": "p", "descending": True}, "Abdce"),
        ({"by": "n"}, "Abcde"),
        ({"by": "n", "descending": True, "limit": 3}, "edc"),
        ({"descending": True}, "edcAb"),
        ({"by": " p ", "limit": 99}, "bdAce"),
    ],
)
async def test_the_order(config, order):
    out = await run_node("sort_limit", config, {"items": GOODS})
    assert "".join(one["n"] for one in out["items"]) == order
    assert (out["count"], out["total_count"]) == (len(order), 5)


async def test_plain_values_are_sorted_by_a_dot():
    out = await run_node("sort_limit", {"by": "."}, {"items": ["pear", 3, "Apple", None, "10"]})
    assert out["items"] == [3, "10", "Apple", "pear", None]


async def test_a_field_that_no_item_has_is_told():
    context = Alone()
    out = await run_node("sort_limit", {"by": "q"}, {"items": GOODS}, context)
    assert out["items"] == GOODS
    await run_node("sort_limit", {"by": "q"}, {"items": [{"q": ""}, {"q": " "}]}, context)
    assert context.warnings == ["No item has a `q`, so the order is as it was."] * 2


async def test_what_is_no_list_fails():
    with pytest.raises(NodeFailed, match="Items is nothing"):
        await run_node("sort_limit", {}, {"items": None})
    with pytest.raises(NodeFailed, match="more than 200,000 values"):
        await run_node("sort_limit", {}, {"items": f"[{'[],' * 200_000}1]"})


def test_wrong_settings_are_problems():
    bound = {"items": "{{ api_input.out.items }}"}
    assert ("invalid_value", "/config/limit") in [one[:2] for one in problems_of("sort_limit", {"limit": -1}, bound)]
    assert ("input_missing", "/inputs/items") in [one[:2] for one in problems_of("sort_limit", {}, {})]


def test_the_canvas_shows_what_it_does():
    summary = CATALOG["sort_limit"].summary
    assert summary({"by": "price", "descending": True, "limit": 3}, {}) == "by price, largest first, first 3"
    assert summary({}, {}) == "as it is"
