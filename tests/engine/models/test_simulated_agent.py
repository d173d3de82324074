"""The answer of the Simulated model as an agent: sentences from what each tool gave."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.flow.node_context import ModelTurn
from engine.models.simulated_agent import reply


def answer(*given: tuple[str, Any]) -> str:
    results = [{"name": name, "text": one if isinstance(one, str) else json.dumps(one)} for name, one in given]
    turn = ModelTurn(model="simulated", message="What?", history=({"results": results},), may_call=False)
    text, calls = reply(turn)
    assert not calls
    return text


def test_it_tells_of_each_tool_in_words() -> None:
    rows = {"rows": [{"name": "Hose", "price": 24.9, "note": None}, {"name": "Can", "price": 8}], "matching_rows": 2}
    page = {"status": 200, "title": "Visit us", "text": "Opening hours\n\nMonday | Closed"}
    head, table, web = answer(("look_up_products", rows), ("read_visit_page", page)).split("\n\n")
    assert head.startswith("Made up by the Simulated model")
    assert table == "Look up products: name: Hose, price: 24.9; name: Can, price: 8."
    assert web == "Read visit page: “Visit us”. Opening hours Monday | Closed"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rows": [], "matching_rows": 0}, "nothing was found."),
        ({"status": 200, "json": [{"a": 1}] * 9}, "a: 1; a: 1; a: 1; and 6 more."),
        ({"status": 200, "json": {"items": [{"a": True}]}}, "a: yes."),
        ({"status": 200, "text": "word " * 500}, "word word"),
        ({"deep": [[[1]]], "in": {"b": {}}}, "deep: 1 entries, in: b"),
        ("The tool failed: {", "The tool failed: {"),
        ("[" * 100_000, "[[["),
        ({}, "nothing"),
        (None, "null"),
    ],
)
def test_odd_results_become_short_sentences(given: Any, said: str) -> None:
    text = answer(("find", given if isinstance(given, str) else json.dumps(given)))
    assert said in text
    assert len(text) < 450
