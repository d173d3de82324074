"""A flow whose fields ask for texts, lists or patterns without end costs neither the pages that show an example of it nor
the Simulated model more than a moment.
"""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import pytest

from engine.flow.contract import OUT_OF_REACH, example_payload, sample_payload
from engine.flow.document import Document, Edge, Node
from engine.flow.validation import deploy_problems
from engine.models.simulated import answer
from engine.nodes import CATALOG
from engine.run.plan import compile_plan

NFA = "|".join(f"1[01]{{{900 + number}}}{2 + number % 8}" for number in range(10))
NESTED = "((((((a*)*)*)*)*)*)"
LIST: dict[str, Any] = {"type": "string"}
for _ in range(20):
    LIST = {"type": "array", "items": LIST, "min_items": 2}

#: Fields for which an example was made in minutes, or in all the memory of the machine.
COSTLY: dict[str, dict[str, Any]] = {
    "a long text": {"type": "string", "min_length": 300_000_000},
    "a long address": {"type": "string", "format": "uri", "min_length": 300_000_000},
    "a long time": {"type": "string", "format": "date-time", "min_length": 300_000_000},
    "a long text of a pattern": {"type": "string", "pattern": "^b*c$", "min_length": 300_000_000},
    "a long list": {"type": "array", "min_items": 30_000_000},
    "a long list of groups": {"type": "array", "min_items": 30_000_000, "items": {"type": "object"}},
    "lists of lists": LIST,
    "a nested pattern": {"type": "string", "pattern": NESTED, "max_length": 1, "min_length": 1},
    "a pattern of nothing": {"type": "string", "pattern": "b" + "(){1000}" * 100, "max_length": 1},
    "many words and a costly pattern": {
        "type": "string",
        "pattern": NFA,
        "enum": [f"{number:b}{'01' * 1_650}" for number in range(60)],
    },
    "many defaults and a costly pattern": {
        "type": "object",
        "fields": [
            {"name": f"f{number}", "type": "string", "pattern": NFA, "default": "10" * 1_650} for number in range(40)
        ],
    },
}


def flow(field: dict[str, Any], **more: Any) -> Document:
    fields = [{"name": "a", "required": True, **field, **more}, {"name": "b", "type": "string", "required": True}]
    return Document(
        nodes=(
            Node(id="api_input", type="api_input", label="API Input", config={"fields": fields}),
            Node(id="set_fields", type="set_fields", label="Set", inputs={"t": "{{ api_input.out.a }}"}),
            Node(id="api_output", type="api_output", label="Out", inputs={"text": "{{ set_fields.out.t }}"}),
        ),
        edges=(
            Edge(id="e1", source="api_input", target="set_fields"),
            Edge(id="e2", source="set_fields", target="api_output"),
        ),
    )


@pytest.mark.parametrize("field", COSTLY.values(), ids=COSTLY)
def test_an_example_costs_a_moment_and_little_memory(field: dict[str, Any]):
    document = flow(field)
    begun = time.thread_time()
    example_payload(document)
    seconds = time.thread_time() - begun
    tracemalloc.start()
    try:
        shown = sample_payload(flow(field, description="not seen before"))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert seconds < 1, "it takes about 0.1 s"
    assert most < 8 * 1024 * 1024
    assert "b" in shown, "the other fields have their values"


def test_what_is_too_long_to_be_made_up_is_left_out():
    document = flow({"type": "string", "min_length": 20_001})
    assert sample_payload(document) == {"b": "your b"}
    assert example_payload(document) is None
    fitting = flow({"type": "string", "min_length": 19_000})
    assert example_payload(fitting) == {"a": "your a".ljust(19_000, "x"), "b": "your b"}


def test_what_is_kept_of_an_example_nobody_can_change():
    group = {"type": "object", "fields": [{"name": "n", "type": "integer"}]}
    document = flow({"type": "array", "items": group, "min_items": 3})
    shown = sample_payload(document)["a"]
    shown[0]["n"] = "changed"
    assert shown[1:] == [{"n": 1}] * 2, "each item is an object of its own"
    assert sample_payload(document)["a"] == [{"n": 1}] * 3


@pytest.mark.parametrize(
    ("key", "kind", "most"), [("min_length", "string", 10 * 1024 * 1024), ("min_items", "array", 200_000)]
)
def test_no_flow_may_ask_for_more_than_a_body_can_have(key: str, kind: str, most: int):
    assert deploy_problems(flow({"type": kind, key: most, key.replace("min", "max"): 10**15}), CATALOG) == []
    document = flow({"type": kind, key: most + 1})
    (problem,) = deploy_problems(document, CATALOG)
    assert (problem.code, problem.pointer) == (OUT_OF_REACH, f"/config/fields/0/{key}")
    assert f"{most:,}" in problem.message
    compile_plan(document, CATALOG)  # a version that went live with it goes on: other fields may still be sent


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 300_000_000},
        {"type": "string", "minLength": 100_000, "pattern": "^9$"},
        {"type": "array", "minItems": 30_000_000, "items": {"type": "string"}},
        {"type": "array", "minItems": 30_000_000, "items": {"type": "string", "enum": ["a", "b"]}},
        {"type": "array", "minItems": 900, "items": {"type": "array", "minItems": 900, "items": {"type": "object"}}},
        {"type": "string", "minLength": 3_300, "pattern": NFA},
    ],
)
def test_the_simulated_model_does_not_fill_what_is_asked_for_without_end(schema: dict[str, Any]):
    begun = time.thread_time()
    tracemalloc.start()
    try:
        _, value = answer("10" * 1_650, output_schema={"properties": {"x": schema}, "required": ["x"]})
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert value is None
    assert time.thread_time() - begun < 5
    assert most < 40 * 1024 * 1024
