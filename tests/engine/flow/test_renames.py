"""A field that is renamed in API Input, Prompt or Set Fields is renamed in everything that reads it."""

from __future__ import annotations

from typing import Any

import pytest

from engine.flow.document import Document, Node
from engine.flow.edits import Op, apply_ops, invert, update_node
from engine.flow.reference_edits import change_in
from engine.flow.references import Reference
from engine.flow.renames import find_rename, rename_ops, renamed_for_callers
from engine.flow.validation import problems
from engine.nodes import CATALOG
from tests.factories import document

TITLE = {"name": "title", "type": "string", "required": True}
NODES: dict[str, dict[str, Any]] = {
    "api_input": {
        "type": "api_input",
        "config": {
            "fields": [
                TITLE,
                {"name": "who", "type": "object", "fields": [{"name": "city", "type": "string"}]},
                {"name": "goods", "type": "array", "items": {"type": "object", "fields": [{"name": "price", "type": "number"}]}},
            ]
        },
    },
    "condition": {
        "type": "condition",
        "inputs": {"rules": [{"left": "{{ api_input.out.title }}", "operator": "equals", "right": "title"}]},
    },
    "prompt": {
        "type": "prompt",
        "config": {"model": "simulated", "output_fields": [{"name": "facts", "type": "array", "items": {"type": "string"}}]},
        "inputs": {"prompt": "Title: {{condition.out.title}} in {{ api_input.out.who.city }}, title {{ api_input.out }}"},
    },
    "set_fields": {"type": "set_fields", "inputs": {"kind": "x", "first": "{{ prompt.out.facts[0] }}"}},
    "filter_list": {
        "type": "filter_list",
        "config": {"rules": [{"field": "price", "operator": "greater", "value": 1}, {"field": "prices"}]},
        "inputs": {"items": "{{ api_input.out.goods }}"},
    },
    "sort_limit": {"type": "sort_limit", "config": {"by": "price"}, "inputs": {"items": "{{ api_input.out.goods }}"}},
    "splitter": {"type": "array_splitter", "inputs": {"items": "{{ api_input.out.goods }}"}},
    "text": {
        "type": "text_template",
        "inputs": {
            "template": "{% if api_input.out.title %}{{ api_input.out.title | upper }}{% endif %} title "
            "{% for fact in prompt.out.facts %}{{ fact }}{% endfor %} {{ splitter.out.price }} {{ set_fields.out.kind }}"
            "{{ 'api_input.out.title' }}"
        },
    },
    "flatten": {"type": "array_flatten"},
}  # fmt: skip
FLOW = document(
    {
        "format": 1,
        "title": "Renamed",
        "nodes": [{"id": name, **node} for name, node in NODES.items()],
        "edges": [
            {"id": f"e{at}", "source": source, "target": target, **({"source_port": "yes"} if source == "condition" else {})}
            for at, (source, target) in enumerate(
                [
                    ("api_input", "condition"), ("condition", "prompt"), ("prompt", "set_fields"), ("set_fields", "filter_list"),
                    ("filter_list", "sort_limit"), ("sort_limit", "splitter"), ("splitter", "text"), ("text", "flatten"),
                ]
            )
        ],
    }
)  # fmt: skip


def renamed(node_id: str, change: dict[str, Any]) -> tuple[Document, dict[str, Node]]:
    """The flow after this change of a node and the operations that follow from it, and the nodes that changed."""
    node = FLOW.node(node_id)
    assert node is not None
    op = update_node(node, **change)
    after = apply_ops(FLOW, [op])
    fresh = after.node(node_id)
    assert fresh is not None
    names = find_rename(node, fresh)
    assert names is not None
    ops: list[Op] = [op, *rename_ops(FLOW, after, CATALOG, *names)]
    done = apply_ops(FLOW, ops)
    assert apply_ops(done, invert(ops)) == FLOW, "one undo takes all of it back"
    assert [one.code for one in problems(done, CATALOG)] == [one.code for one in problems(FLOW, CATALOG)]
    return done, {one.id: one for one, was in zip(done.nodes, FLOW.nodes, strict=True) if one != was}


def fields(*, title: str = "title", city: str = "city", price: str = "price") -> dict[str, Any]:
    return {
        "config": {
            "fields": [
                {**TITLE, "name": title},
                {"name": "who", "type": "object", "fields": [{"name": city, "type": "string"}]},
                {"name": "goods", "type": "array", "items": {"type": "object", "fields": [{"name": price, "type": "number"}]}},
            ]
        }
    }  # fmt: skip


def test_a_field_of_api_input_also_where_it_was_passed_on_and_in_templates() -> None:
    _, changed = renamed("api_input", fields(title="headline"))
    assert set(changed) == {"api_input", "condition", "prompt", "text"}
    assert changed["condition"].inputs["rules"] == [
        {"left": "{{ api_input.out.headline }}", "operator": "equals", "right": "title"}
    ]
    assert changed["prompt"].inputs["prompt"] == (
        "Title: {{condition.out.headline}} in {{ api_input.out.who.city }}, title {{ api_input.out }}"
    )
    template = changed["text"].inputs["template"]
    assert template.startswith("{% if api_input.out.headline %}{{ api_input.out.headline | upper }}{% endif %} title ")
    assert template.endswith("{{ 'api_input.out.title' }}")


@pytest.mark.parametrize("before", ['"a\\\nb"', "'a\\\nb'", '"old.out \\\n\\" old.out"', "'\\\\'"], ids=repr)
@pytest.mark.parametrize("path", ["", ".a", '["a b"]', '["a\\\nb"]'])
def test_a_reference_behind_a_text_in_quotes(before: str, path: str) -> None:
    def changed(reference: Reference) -> Reference:
        return Reference("new", reference.root, reference.path)

    text = "{{ %s ~ %s.out%s }}"
    assert change_in(text % (before, "old", path), changed, source=True) == text % (before, "new", path)


def test_a_field_inside_a_group() -> None:
    _, changed = renamed("api_input", fields(city="town"))
    assert set(changed) == {"api_input", "prompt"}
    assert "{{ api_input.out.who.town }}" in changed["prompt"].inputs["prompt"]


def test_a_field_of_the_items_of_a_list_also_in_rules_and_per_item() -> None:
    _, changed = renamed("api_input", fields(price="cost"))
    assert set(changed) == {"api_input", "filter_list", "sort_limit", "text"}
    assert [rule["field"] for rule in changed["filter_list"].config["rules"]] == ["cost", "prices"]
    assert changed["sort_limit"].config == {"by": "cost"}
    assert "{{ splitter.out.cost }}" in changed["text"].inputs["template"]


def test_a_field_of_an_answer_and_of_set_fields() -> None:
    config = {**NODES["prompt"]["config"], "output_fields": [{"name": "points", "type": "array"}]}
    _, changed = renamed("prompt", {"config": config})
    assert changed["set_fields"].inputs["first"] == "{{ prompt.out.points[0] }}"
    assert "{% for fact in prompt.out.points %}" in changed["text"].inputs["template"]

    _, changed = renamed("set_fields", {"inputs": {"sort": "x", "first": "{{ prompt.out.facts[0] }}"}})
    assert set(changed) == {"set_fields", "text"}
    assert "{{ set_fields.out.sort }}" in changed["text"].inputs["template"]


@pytest.mark.parametrize(
    "after",
    [
        {"config": {"fields": [TITLE]}},
        {"config": {"fields": [*fields()["config"]["fields"], {"name": "more"}]}},
        fields(title="a", city="b"),
        fields(title=""),
        fields(),
    ],
)
def test_what_is_no_rename(after: dict[str, Any]) -> None:
    node = FLOW.node("api_input")
    assert node is not None
    assert find_rename(node, node.model_copy(update=after)) is None


def test_the_samples_of_api_input_have_the_new_name_too() -> None:
    config = {**FLOW.nodes[0].config, "samples": [{"title": "One", "payload": {"title": "x", "who": {"title": "y"}}}]}
    flow = apply_ops(FLOW, [update_node(FLOW.nodes[0], config=config)])
    fresh = {**config, **fields(title="headline")["config"]}
    after = apply_ops(flow, [update_node(flow.nodes[0], config=fresh)])
    done = apply_ops(after, rename_ops(flow, after, CATALOG, "title", "headline"))
    assert done.nodes[0].config["samples"] == [{"title": "One", "payload": {"headline": "x", "who": {"title": "y"}}}]


def test_what_was_broken_before_stays() -> None:
    flow = apply_ops(FLOW, [update_node(FLOW.nodes[2], inputs={"prompt": "{{ api_input.out.titel }}"})])
    after = apply_ops(flow, [update_node(flow.nodes[0], **fields(title="headline"))])
    ops = rename_ops(flow, after, CATALOG, "title", "headline")
    assert [op["id"] for op in ops] == ["condition", "text"]


@pytest.mark.parametrize(
    ("answer", "renamed_answer"),
    [
        ({"facts": "{{ prompt.out.facts }}", "n": 1}, {"findings": "{{ prompt.out.findings }}", "n": 1}),
        ({"known": "{{ prompt.out.facts }}"}, {"known": "{{ prompt.out.findings }}"}),
        ({"facts": "So: {{ prompt.out.facts }}"}, {"facts": "So: {{ prompt.out.findings }}"}),
        ({"facts": "{{ prompt.out.facts }}", "findings": "x"}, {"facts": "{{ prompt.out.findings }}", "findings": "x"}),
    ],
)
def test_the_field_that_callers_get_is_renamed_with_the_data_that_it_returns(answer, renamed_answer) -> None:
    output = {"id": "o", "type": "api_output", "inputs": answer}
    edges = [{"id": "e0", "source": "api_input", "target": "prompt"}, {"id": "e1", "source": "prompt", "target": "o"}]
    prompt = {"type": "prompt", "config": NODES["prompt"]["config"], "inputs": {"prompt": "x"}}
    nodes = [{"id": "api_input", **NODES["api_input"]}, {"id": "prompt", **prompt}, output]
    before = document({"format": 1, "title": "Answered", "nodes": nodes, "edges": edges})
    node = before.node("prompt")
    assert node is not None
    fields = [{**node.config["output_fields"][0], "name": "findings"}]
    op = update_node(node, config={**node.config, "output_fields": fields})

    ops = rename_ops(before, apply_ops(before, [op]), CATALOG, "facts", "findings")

    after = apply_ops(before, [op, *ops]).node("o")
    assert after is not None
    assert list(after.inputs.items()) == list(renamed_answer.items())
    assert renamed_for_callers(ops, "facts") is ("facts" not in renamed_answer and "facts" in answer)
