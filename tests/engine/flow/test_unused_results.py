"""Steps that work for nothing: nobody reads what they give, though a later step could."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.core.paths import ASSETS
from engine.flow.unused_results import unused_result
from engine.nodes import CATALOG
from tests.factories import document

START = {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "text", "type": "string"}]}}
SEARCH = {"id": "search", "type": "search_knowledge", "inputs": {"query": "{{ api_input.out.text }}"}}
OUTPUT = {"id": "output", "type": "api_output", "inputs": {"text": "{{ api_input.out.text }}"}}


def prompt(name: str, text: str = "{{ api_input.out.text }}") -> dict[str, Any]:
    return {"id": name, "type": "prompt", "inputs": {"prompt": text}}


def found(*nodes: dict[str, Any]) -> tuple[str, str, str] | None:
    """The step, its reader and the field in a flow whose steps follow each other."""
    names = [node["id"] for node in (START, *nodes)]
    edges = [{"id": f"e{at}", "source": one, "target": names[at + 1]} for at, one in enumerate(names[:-1])]
    unused = unused_result(document({"format": 1, "title": "X", "nodes": [START, *nodes], "edges": edges}), CATALOG)
    return (unused.step.id, unused.reader.id, unused.pointer) if unused else None


def test_what_is_found_and_not_asked_about_is_meant_for_the_next_prompt() -> None:
    assert found(SEARCH, prompt("draft"), OUTPUT) == ("search", "draft", "/inputs/prompt")


def test_an_answer_that_no_caller_gets_is_meant_for_the_output() -> None:
    used = prompt("draft", "{{ search.out.text }}")
    assert found(SEARCH, used, OUTPUT) == ("draft", "output", "/inputs")
    assert found(SEARCH, used, {**OUTPUT, "inputs": {"answer": "{{ draft.out }}"}}) is None


def test_without_an_output_the_last_step_is_the_answer() -> None:
    assert found(prompt("draft")) is None


def test_an_empty_input_takes_what_is_before_it() -> None:
    assert found(prompt("draft"), {"id": "first", "type": "first_value"}, OUTPUT) == ("first", "output", "/inputs")


@pytest.mark.parametrize("other", ["c.no>n n>f", "c.no>f"])
def test_an_answer_of_one_side_is_meant_for_the_first_value_that_joins_both(other: str) -> None:
    nodes = [
        START,
        {"id": "c", "type": "condition"},
        prompt("y"),
        {"id": "t", "type": "text_template", "inputs": {"template": "Dear you, {{ y.out }}"}},
        *([prompt("n")] if "c.no>n" in other else []),
        {"id": "f", "type": "first_value", "inputs": {"values": ["{{ y.out }}", "{{ n.out }}"]}},
        {"id": "output", "type": "api_output", "inputs": {"answer": "{{ f.out }}"}},
    ]
    edges = []
    for at, edge in enumerate(f"api_input>c c.yes>y y>t t>f f>output {other}".split()):
        source, target = edge.split(">")
        source, _dot, port = source.partition(".")
        edges.append({"id": f"e{at}", "source": source, "target": target, "source_port": port or "out"})
    unused = unused_result(document({"format": 1, "title": "X", "nodes": nodes, "edges": edges}), CATALOG)
    assert unused is not None
    assert (unused.step.id, unused.reader.id, unused.pointer) == ("t", "f", "/inputs/values")


@pytest.mark.parametrize("kind", ["http_request", "approval", "dataset_sink", "call_flow", "add_to_knowledge", "agent"])
def test_a_step_that_does_something_may_be_there_for_that(kind: str) -> None:
    assert found({"id": "done", "type": kind}, OUTPUT) is None


@pytest.mark.parametrize("path", sorted((ASSETS / "templates").glob("*.json")), ids=lambda path: path.stem)
def test_no_step_of_a_template_works_for_nothing(path: Any) -> None:
    assert unused_result(document(json.loads(path.read_text(encoding="utf-8"))), CATALOG) is None
