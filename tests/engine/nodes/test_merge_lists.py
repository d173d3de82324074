"""Merge lists."""

import pytest

from engine.flow.document import Document
from engine.flow.node_context import NodeFailed
from engine.flow.output_schemas import out_schema
from engine.nodes import CATALOG
from tests.engine.nodes.one_node import Alone, run_node

LINKS = {"type": "array", "items": {"type": "object", "fields": [{"name": "url", "type": "string"}]}}


async def test_lists_stand_one_after_the_other():
    out = await run_node("merge_lists", {}, {"lists": [["a", "b"], [], ["b"]]})
    assert out == {"items": ["a", "b", "b"], "count": 3}


async def test_the_given_lists_stay_as_they_are():
    first = [1]
    await run_node("merge_lists", {}, {"lists": [first, [2]]})
    assert first == [1]


async def test_nothing_is_left_out_and_told():
    context = Alone()
    assert (await run_node("merge_lists", {}, {"lists": [[1], None]}, context))["items"] == [1]
    assert context.warnings == ["List 2 was nothing, so it was left out."]


@pytest.mark.parametrize(("value", "kind"), [("x", "text"), (3, "a number"), ({"a": 1}, "a group of values")])
async def test_what_is_no_list_is_named_by_its_place(value, kind):
    with pytest.raises(NodeFailed, match=f"List 2 is {kind}, not a list"):
        await run_node("merge_lists", {}, {"lists": [[1], value]})


@pytest.mark.parametrize("bound", [["{{ api_input.out.a }}", "{{ api_input.out.b }}"], ["{{ filter_list.out }}"]])
def test_later_nodes_know_the_fields_of_an_item(bound):
    given = [{"name": "a", **LINKS}, {"name": "b", **LINKS}]
    nodes = [
        {"id": "api_input", "type": "api_input", "config": {"fields": given}},
        {"id": "filter_list", "type": "filter_list", "inputs": {"items": "{{ api_input.out.a }}"}},
        {"id": "node", "type": "merge_lists", "inputs": {"lists": bound}},
    ]
    edges = [{"id": f"e{at}", "source": left, "target": "node"} for at, left in enumerate(("api_input", "filter_list"))]
    document = Document.model_validate({"format": 1, "nodes": nodes, "edges": edges})
    node = document.node("node")
    assert node is not None
    schema = out_schema(node, CATALOG, document)["properties"]["items"]
    assert list(schema["items"]["properties"]) == ["url"]


def test_the_canvas_shows_what_it_does():
    summary = CATALOG["merge_lists"].summary
    assert summary({}, {"lists": ["a", "b"]}) == "2 lists in one"
    assert summary({}, {}) == "all lists in one"
