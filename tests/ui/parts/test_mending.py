"""The buttons that mend a problem of a flow: each is gone after its button was pressed."""

from __future__ import annotations

import pytest

from engine.core.errors import Problem
from engine.flow.document import Document
from engine.flow.edits import apply_ops
from engine.flow.validation import deploy_problems
from engine.nodes import CATALOG
from tests.factories import document
from ui.parts.mending import ops_to_mend, with_button

ROWS = {"id": "rows", "type": "dataset_source", "config": {"dataset": "Tenants"}}
OUTPUT = {"id": "o", "type": "api_output", "inputs": {"a": "{{ a.out }}", "b": "{{ b.out }}"}}


def text(name: str) -> dict[str, object]:
    return {"id": name, "type": "text_template", "inputs": {"template": "Hello"}}


def drawn(nodes: list[dict[str, object]], edges: str) -> Document:
    pairs = [one.split(">") for one in edges.split()]
    made = [{"id": f"e{at}", "source": source, "target": target} for at, (source, target) in enumerate(pairs)]
    return document({"format": 1, "title": "Rows", "nodes": nodes, "edges": made})


@pytest.mark.parametrize(
    ("nodes", "edges", "led"),
    [
        pytest.param([ROWS, text("a")], "rows>a", {"rows"}, id="rows"),
        pytest.param([text("a"), text("b"), OUTPUT], "a>o b>o", {"a", "b"}, id="two first steps"),
        pytest.param([ROWS, text("a"), text("b"), OUTPUT], "rows>a a>o b>o", {"rows", "b"}, id="rows and a first step"),
        pytest.param([ROWS, text("a"), text("b")], "rows>a", {"rows"}, id="a step apart from the rows"),
    ],
)
def test_a_flow_gets_the_input_that_it_lacks(nodes: list[dict[str, object]], edges: str, led: set[str]) -> None:
    before = drawn(nodes, edges)
    problem = next(one for one in deploy_problems(before, CATALOG) if one.code == "no_api_input")
    assert with_button(problem, before).verb == "Add an API Input"
    after = apply_ops(before, ops_to_mend(problem, before, CATALOG))
    assert deploy_problems(after, CATALOG) == []
    assert {edge.target for edge in after.edges if edge.source == "api_input"} == led


def test_a_flow_without_a_first_step_has_no_place_for_an_input() -> None:
    problem = Problem("no_api_input", "")
    assert with_button(problem, drawn([text("a"), text("b")], "a>b b>a")).verb == ""
    assert with_button(problem, drawn([], "")).verb == "Add an API Input"
