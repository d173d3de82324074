"""The comparison of versions says each change of a setting in the words of its form."""

from __future__ import annotations

from typing import Any

import pytest

from engine.flow.version_comparison import compare_documents
from tests.factories import document
from ui.flow_view.changed_settings import changed_settings

NAMES = {"dataset_a": "Prices", "dataset_b": "Shops", "secret_1": "The shop's key"}
RULE = {"field": "price", "operator": "greater", "value": 5}


def said(kind: str, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    old, new = (
        document({"format": 1, "nodes": [{"id": "n", "type": kind, **values}], "edges": []})
        for values in (before, after)
    )
    return [
        one.sentence or f"{one.name}: {one.before or '-'} -> {one.after or '-'}"
        for change in compare_documents(old, new).nodes
        for one in changed_settings(change, new.node("n"), NAMES)
    ]


@pytest.mark.parametrize(
    ("kind", "before", "after", "wanted"),
    [
        ("array_splitter", {}, {"mode": "parallel"}, ["How the items run: One after the other -> At the same time"]),
        ("dataset_sink", {"dataset": "dataset_a"}, {"dataset": "dataset_b"}, ["Dataset: Prices -> Shops"]),
        ("dataset_sink", {"dataset": "dataset_a"}, {"dataset": "Prices"}, []),
        ("prompt", {"model": "simulated"}, {"model": "Local:llama"}, ["Model: Simulated model -> Local:llama"]),
        ("approval", {}, {"expires_after_seconds": 30}, ["Time to answer: 7 days -> 30 seconds"]),
        (
            "http_request",
            {},
            {"secret_headers": {"Authorization": "secret_1"}},
            ["Secret headers: - -> Authorization: The shop's key"],
        ),
        (
            "api_input",
            {"fields": [{"name": "a", "type": "string"}]},
            {
                "fields": [
                    {"name": "a", "type": "string", "format": "uri", "required": True},
                    {"name": "b", "type": "array", "items": {"type": "integer"}},
                    {"name": "c", "type": "string"},
                ]
            },
            [
                "Fields › a › Format: - -> Web address",
                "Fields › a › Required: no -> yes",
                "Fields › b: - -> Name: b, Type: List, Items: Type: Whole number",
                "Fields › c: - -> Name: c, Type: Text",
            ],
        ),
        (
            "filter_list",
            {"rules": [RULE]},
            {"rules": [{**RULE, "operator": "less", "ignore_case": True}, {"operator": "is_empty"}]},
            [
                "Rules › 1 › Comparison: is greater than -> is less than",
                "Rules › 1 › Match capitals: yes -> no",
                "Rules › 2: - -> the item itself is empty",
            ],
        ),
        ("approval", {"expires_after_seconds": 3600}, {"expires_after_seconds": 3630}, ["Time to answer: 3,600 seconds -> 3,630 seconds"]),
        ("array_splitter", {}, {"mode": "sequential"}, ["How the items run: (not set) -> One after the other"]),
        ("filter_list", {"rules": [RULE]}, {"rules": [{**RULE, "value": "5"}]}, ["Rules › 1 › Value: 5 -> the text “5”"]),
        ("filter_list", {}, {"rules": [{"field": "price", "value": ""}]}, ["Rules: - -> price is nothing"]),
        ("filter_list", {}, {"rules": [RULE], "match": "any"}, ["Rules: - -> price is greater than 5", "Keep an item when these are true: All of them -> Any of them"]),
    ],
)  # fmt: skip
def test_a_change_of_the_settings_is_said_in_words(kind, before, after, wanted):
    assert said(kind, {"config": before}, {"config": after}) == wanted


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        (
            {"config": {"types": {"price": "number", "sold": "yes_no"}}, "inputs": {"price": "1", "sold": "no"}},
            {"config": {"types": {"price": "yes_no"}}, "inputs": {"price": "1", "sold": "no"}},
            ["price is given as yes or no.", "sold is given as it is."],
        ),
        (  # a renamed field
            {"config": {"types": {"x": "number"}}, "inputs": {"x": "1"}},
            {"config": {"types": {"y": "number"}}, "inputs": {"y": "1"}},
            ["y is given as a number.", "x: 1 -> -", "y: - -> 1"],
        ),
        ({"inputs": {"x": "1"}}, {"inputs": {"x": "1", "y": ""}}, ["y: (not set) -> an empty text"]),
        ({"inputs": {"x": 5}}, {"inputs": {"x": "5"}}, ["x: 5 -> the text “5”"]),
        ({"inputs": {"x": True}}, {"inputs": {"x": "yes"}}, ["x: yes -> the text “yes”"]),
        (
            {"inputs": {"x": ["x, y"]}},
            {"inputs": {"x": ["x", "y"]}},
            ["x: the text “x, y” -> the text “x”; the text “y”"],
        ),
        ({"inputs": {"x": []}}, {"inputs": {"x": {}}}, ["x: an empty list -> an empty group"]),
        (  # an object of one's own, not a rule
            {"inputs": {"place": ""}},
            {"inputs": {"place": {"left": 10, "top": 5}}},
            ["place: - -> left: 10, top: 5"],
        ),
    ],
)
def test_a_change_of_the_fields_is_said_in_words(before, after, wanted):
    assert said("set_fields", before, after) == wanted


def test_what_happens_when_a_step_fails_is_said_in_words():
    policy = {"timeout_seconds": 30, "retries": 2, "on_error": "use_default", "default": {"title": "none"}}
    assert said("page_scraper", {}, {"policy": policy, "label": "Read"}) == [
        "Time limit: - -> 30 seconds",
        "Tries again: 0 -> 2",
        "If it fails: Stop the job -> Use a default value",
        "Default value: - -> title: none",
        "Name: - -> Read",
    ]
