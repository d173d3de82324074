"""API Output inside a list, or with data of single items: one press puts “Collect into a list” there or uses it."""

from __future__ import annotations

import pytest

from engine.core.errors import Problem
from engine.flow.collecting import may_collect_before
from engine.flow.contract import result_schema
from engine.flow.document import Document
from engine.flow.edits import apply_ops, invert
from engine.flow.flow_warnings import flow_warnings
from engine.flow.output_schemas import out_schema
from engine.flow.validation import deploy_problems
from engine.nodes import CATALOG
from tests.engine.flow.test_flow_warnings import codes, mended, output
from tests.engine.flow.test_flow_warnings import flow as made
from ui.parts.mending import ops_to_mend, with_button
from ui.playground.state.available_data import with_first_items
from ui.playground.state.suggestions import ops_of, suggestions

PICTURES = [{"name": "pictures", "type": "array", "items": {"type": "string"}, "required": True}]
EACH = {"type": "array_splitter", "label": "Each", "inputs": {"items": "{{ api_input.out.pictures }}"}}
SAID = {
    "type": "set_fields",
    "label": "Describe",
    "inputs": {"description": "{{ s.out }}", "keywords": "{{ s.out }}"},
}
SAVE = {"type": "dataset_sink", "label": "Save rows", "config": {"dataset": "Pictures"}, "inputs": {"x": "{{ a.out }}"}}
COLLECT = {"type": "array_flatten", "label": "All", "inputs": {}}
BOTH = {"description": "{{ a.out.description }}", "keywords": "{{ a.out.keywords }}"}


def found(flow: Document, code: str) -> list[Problem]:
    return [one for one in deploy_problems(flow, CATALOG) if one.code == code]


def pressed(flow: Document, code: str) -> Document:
    """The flow after the button of the problem; undo takes all of it back in one step."""
    problem = found(flow, code)[0]
    assert with_button(problem, flow).verb
    ops = ops_to_mend(problem, flow, CATALOG)
    after = apply_ops(flow, ops)
    undone = apply_ops(after, invert(ops))
    assert undone.nodes == flow.nodes
    assert set(undone.edges) == set(flow.edges)
    assert not found(after, code)
    assert not found(after, "across_list")
    return after


@pytest.mark.parametrize(
    ("nodes", "edges", "answer", "collected", "answered"),
    [
        ({"a": SAID}, "s>a a>o", BOTH, BOTH, {"items": "{{ array_flatten.out.items }}"}),
        ({"a": SAID}, "s>a a>o", {}, "{{ a.out }}", {"items": "{{ array_flatten.out.items }}"}),
        ({"a": SAID, "k": SAVE}, "s>a a>k k>o", {}, "{{ k.out.row }}", {"items": "{{ array_flatten.out.items }}"}),
        (
            {"a": SAID, "k": SAVE},
            "s>a a>k k>o",
            {"all": "{{ api_input.out.pictures }}", "words": "{{ a.out.keywords }}"},
            "{{ a.out.keywords }}",
            {"all": "{{ api_input.out.pictures }}", "words": "{{ array_flatten.out.items }}"},
        ),
        (
            {"a": SAID, "k": SAVE},
            "s>a a>k k>o",
            {"all": "{{ api_input.out.pictures }}"},
            "{{ k.out.row }}",
            {"all": "{{ api_input.out.pictures }}"},
        ),
    ],
)
def test_a_list_is_collected_before_the_answer(nodes, edges, answer, collected, answered) -> None:
    before = made({"s": EACH, **nodes, "o": output(**answer)}, f"api_input>s {edges}", PICTURES)
    (problem,) = found(before, "final_in_list")
    assert problem.message == (
        "API Output would answer once for each item of Each, and callers get one answer. Put “Collect into a list” "
        "before API Output: it makes one list of all items."
    )

    after = pressed(before, "final_in_list")

    collect, output_node = after.node("array_flatten"), after.node("o")
    assert collect is not None
    assert output_node is not None
    assert collect.inputs == {"value": collected}
    assert output_node.inputs == answered
    assert [edge.source for edge in after.edges if edge.target == "o"] == ["array_flatten"]


def test_all_ways_into_the_answer_are_collected_and_all_lists_end() -> None:
    inner = {**EACH, "label": "Inner", "inputs": {"items": "{{ s.out }}"}}
    before = made(
        {"s": EACH, "t": inner, "a": SAID, "b": SAID, "o": output()},
        "api_input>s s>t t>a t>b a>o b>o",
        PICTURES,
    )
    after = pressed(before, "final_in_list")
    collect = after.node("array_flatten")
    assert collect is not None
    assert collect.config == {"levels": "all"}
    assert {edge.source for edge in after.edges if edge.target == "array_flatten"} == {"a", "b"}


def test_the_fields_that_use_single_items_are_told_by_name_and_mended_together() -> None:
    before = made(
        {"s": EACH, "a": SAID, "f": COLLECT, "o": output(**BOTH, count="{{ f.out.count }}")},
        "api_input>s s>a a>f f>o",
        PICTURES,
    )
    assert [one.message for one in found(before, "across_list")] == [
        f"“{name}” of API Output uses data of Describe, which runs once for each item of Each, but API Output does not run "
        "for each item itself. Use the data of “Collect into a list” between them."
        for name in BOTH
    ]
    assert not may_collect_before(before, "o")

    after = pressed(before, "across_list")

    collect, answer = after.node("f"), after.node("o")
    assert collect is not None
    assert answer is not None
    assert collect.inputs == {"value": BOTH}
    assert answer.inputs == {"items": "{{ f.out.items }}", "count": "{{ f.out.count }}"}


def test_what_is_collected_already_stays() -> None:
    own = {**COLLECT, "inputs": {"value": "{{ a.out }}"}}
    answer = {**output(**BOTH), "config": {"types": {"keywords": "number"}}}
    before = made({"s": EACH, "a": SAID, "f": own, "o": answer}, "api_input>s s>a a>f f>o", PICTURES)
    after = pressed(before, "across_list")
    collect, answering = after.node("f"), after.node("o")
    assert collect is not None
    assert answering is not None
    assert collect.inputs == {"value": "{{ a.out }}"}
    assert answering.config == {}


@pytest.mark.parametrize("code", ["final_in_list", "across_list"])
@pytest.mark.parametrize("names", [["keywords"], ["description", "keywords"]])
def test_what_is_handed_on_as_a_type_is_so_in_each_item_of_the_list(code: str, names: list[str]) -> None:
    types = {"types": {"keywords": "number", "left": "yes_no"}}
    said = {name: BOTH[name] for name in names}
    answer = {**output(**said, left="x"), "config": types}
    between, edges = ({"f": COLLECT}, "a>f f>o") if code == "across_list" else ({}, "a>o")
    before = made({"s": EACH, "a": SAID, **between, "o": answer}, f"api_input>s s>a {edges}", PICTURES)

    after = pressed(before, code)

    fields, answering = after.node("set_fields"), after.node("o")
    assert fields is not None
    assert answering is not None
    assert (fields.inputs, fields.config) == (said, {"types": {"keywords": "number"}})
    assert answering.config == {"types": {"left": "yes_no"}}
    item = {"type": ["number", "null"]}
    if len(names) > 1:
        item = out_schema(fields, CATALOG, after)
        assert item["properties"]["keywords"] == {"type": ["number", "null"]}
    listed = next(name for name in answering.inputs if name != "left")
    assert result_schema(after, CATALOG)["properties"][listed]["items"] == item
    assert deploy_problems(after, CATALOG) == []


def test_without_a_collect_between_there_is_no_button() -> None:
    before = made({"s": EACH, "a": SAID, "o": output(**BOTH)}, "api_input>s s>a api_input>o", PICTURES)
    assert [with_button(one, before).verb for one in deploy_problems(before, CATALOG) if one.node_id == "o"] == ["", ""]


def test_who_collects_what_save_rows_says_is_offered_what_was_meant() -> None:
    before = made(
        {"s": EACH, "a": SAID, "k": SAVE, "f": COLLECT, "o": output(all="{{ f.out.items }}")},
        "api_input>s s>a a>k k>f f>o",
        PICTURES,
    )
    (warning,) = flow_warnings(before, CATALOG)
    assert (warning.problem.node_id, warning.verb) == ("f", "Collect what Describe gives")
    after = mended(before, "collects_saved")
    collect = after.node("f")
    assert collect is not None
    assert collect.inputs == {"value": "{{ a.out }}"}
    assert codes(after) == []

    only = made({"s": EACH, "k": SAVE, "f": COLLECT}, "api_input>s s>k k>f", PICTURES)
    assert "Collect the saved rows" in [one.verb for one in flow_warnings(only, CATALOG)]


PRODUCT = {"type": "object", "fields": [{"name": "name", "type": "string"}, {"name": "price", "type": "number"}]}
PICK = {
    "type": "prompt",
    "label": "Pick",
    "config": {"model": "simulated", "output_fields": [{"name": "products", "type": "array", "items": PRODUCT}]},
    "inputs": {"prompt": "{{ s.out }}"},
}
ALL = {"type": "array_flatten", "label": "All pages", "inputs": {"value": "{{ p.out.products }}"}}
ONE_LIST = {"type": "array_flatten", "label": "One list", "inputs": {"value": "{{ a.out.items }}"}}
SORTED = {"type": "sort_limit", "label": "Cheapest first", "inputs": {"items": "{{ l.out.items }}"}}
KEEP = {"type": "dataset_sink", "label": "Save rows", "config": {"dataset": "Prices"}}


@pytest.mark.parametrize("edges", ["c>k k>o", "c>k c>o", "c>k"])
def test_save_rows_behind_a_list_is_offered_a_row_for_each_item_before_anything_ran(edges) -> None:
    nodes = {"s": EACH, "p": PICK, "a": ALL, "l": ONE_LIST, "c": SORTED, "k": KEEP}
    nodes |= {"o": output(all="{{ c.out.items }}")} if ">o" in edges else {}
    before = made(nodes, f"api_input>s s>p p>a a>l l>c {edges}", PICTURES)
    (offer,) = suggestions(before, "k", CATALOG)
    assert offer.sentence == "Keep one row for each item of Cheapest first: name, price"

    ops = ops_of(offer, before, "k", CATALOG)
    after = apply_ops(before, ops)

    assert apply_ops(after, invert(ops)).nodes == before.nodes
    assert deploy_problems(after, CATALOG) == []
    assert flow_warnings(after, CATALOG) == []
    each, sink, answer = after.node("array_splitter"), after.node("k"), after.node("o")
    assert each is not None
    assert sink is not None
    assert each.inputs == {"items": "{{ c.out.items }}"}
    assert sink.inputs == {"name": "{{ array_splitter.out.name }}", "price": "{{ array_splitter.out.price }}"}
    assert answer is None or answer.inputs == {"all": "{{ c.out.items }}"}
    assert (after.node("array_flatten") is not None) is (edges != "c>k c>o")


def test_a_row_of_an_item_is_offered_by_what_its_list_held_in_the_last_run() -> None:
    read = {"type": "http_request", "label": "Read", "inputs": {"url": "https://a.example"}}
    each = {"type": "array_splitter", "label": "Each", "inputs": {"items": "{{ h.out.json }}"}}
    flow = made({"h": read, "s": each, "k": KEEP}, "api_input>h h>s s>k")
    values = with_first_items(flow, {"h": {"json": [{"name": "Loaf", "price": 5.4}]}})
    assert [one.inputs for one in suggestions(flow, "k", CATALOG, values)] == [
        {"name": "{{ s.out.name }}", "price": "{{ s.out.price }}"}
    ]
    assert with_first_items(flow, {"s": {"name": "Roll"}, "h": {"json": [1]}})["s"] == {"name": "Roll"}
    assert "s" not in with_first_items(flow, {"h": {"json": "no list"}})
