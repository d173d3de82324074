"""The Simulated model as an agent: what it looks for and where, and sentences from what each tool gave."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.flow.node_models import ModelTurn, ToolSpec
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


_COLUMNS = {"type": "object", "properties": {"column": {"type": "string", "enum": ["name", "price", "in stock"]}}}
TABLE = ToolSpec(
    "look_up_table",
    "Looks up rows in “Our products”.\nColumns: name, price, in stock.",
    {"type": "object", "properties": {"text": {"type": "string"}, "where": {"type": "array", "items": _COLUMNS}}},
)
PAGE = ToolSpec("read_page", "Reads shop.example/visit.", {"type": "object", "properties": {}})
ORDERS = ToolSpec(
    "ask_orders", "Asks shop.example/orders.", {"properties": {"order": {"type": "integer"}}, "required": ["order"]}
)
ADD = ToolSpec("add_row", "Adds a row.", {"type": "object", "properties": {"text": {"type": "string"}}}, changes=True)


def looked(question: str, *tools: ToolSpec, there: str = "") -> list[Any]:
    """Returns what it calls for a question: the words of a search, and the names of other tools. Of the table only a
    search for `there` finds something.
    """
    history: tuple[Any, ...] = ()
    asked: list[Any] = []
    while True:
        text, calls = reply(ModelTurn(model="simulated", message=question, history=history, tools=tools))
        if not calls:
            assert text
            return asked
        (call,) = calls
        searched = call.arguments.get("text")
        asked.append(searched or call.name)
        rows = [{"name": there}] if there and searched == there else []
        result = {"status": 200, "text": "Open"} if call.name == "read_page" else {"rows": rows}
        history = (*history, {"results": [{"name": call.name, "text": json.dumps(result)}]})


@pytest.mark.parametrize(
    ("question", "there"),
    [
        ("What does the Tea pot cost, and is it in stock?", "Tea pot"),
        ("What does the tea pot cost?", "tea pot"),
        ("Is the Tea pot in stock?", "Tea pot"),
        ("How much is the Wooden spoon?", "Wooden spoon"),
        ("What is the price of the Stock pot?", "Stock pot"),
        ("Was kostet die Teekanne?", "Teekanne"),
        ("Tea pot", "Tea pot"),
    ],
)
def test_it_looks_for_what_a_question_is_about(question: str, there: str) -> None:
    assert there in looked(question, TABLE, PAGE, there=there)


def test_it_looks_for_fewer_words_and_then_in_the_next_tool() -> None:
    assert looked("Do you have a Tea pot for two persons?", TABLE, PAGE, there="Tea") == ["Tea pot two persons", "Tea"]
    assert looked("Is the bakery near Alderbrook?", TABLE, PAGE, ORDERS, ADD) == [
        "bakery near Alderbrook",
        "Alderbrook",
        "read_page",
    ]
    assert looked("When is the bakery open on Saturday?", TABLE, PAGE, there="bakery")[-1] == "read_page"
    assert looked("What are your opening hours?", TABLE, PAGE, there="hours")[-1] == "read_page"
    assert looked("When can I visit?", TABLE, PAGE) == ["read_page"]


def test_what_was_not_found_is_left_out_of_an_answer_with_something_else() -> None:
    page = {"status": 200, "title": "Visit us", "text": "Open"}
    assert "nothing was found" not in answer(("find", {"rows": []}), ("read_page", page))
    assert answer(("find", {"rows": []}), ("find", {"rows": []})).count("nothing was found") == 1
