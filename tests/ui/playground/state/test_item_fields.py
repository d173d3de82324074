"""The fields that the items of a list have, for the fields that name one."""

from __future__ import annotations

from typing import Any

import pytest

from engine.flow.document import Document
from engine.nodes import CATALOG
from ui.playground.state.item_fields import ItemField, item_fields


def offered(items: Any, *, declared: dict[str, Any] | None = None, bound: str = "{{ api_input.out.rows }}") -> Any:
    field = {"name": "rows", "type": "array", **({"items": declared} if declared else {})}
    nodes = [
        {"id": "api_input", "type": "api_input", "config": {"fields": [field]}},
        {"id": "node", "type": "group_count", "inputs": {"items": bound} if bound else {}},
    ]
    edges = [{"id": "e", "source": "api_input", "target": "node"}]
    document = Document.model_validate({"format": 1, "nodes": nodes, "edges": edges})
    node = document.node("node")
    assert node is not None
    outputs = {} if items is None else {"api_input": {"rows": items}}
    return item_fields(node, document, CATALOG, outputs)


def test_fields_come_with_a_value_of_the_last_run():
    rows = [{"mood": None, "price": "4.20"}, {"mood": "good", "tags": ["a"], "who": {"name": "Ann"}}]
    assert offered(rows) == [
        ItemField("mood", "good"),
        ItemField("price", "4.20", is_number=True),
        ItemField("tags"),
        ItemField("who.name", "Ann"),
    ]


@pytest.mark.parametrize(("rows", "example"), [(["red", "blue"], "red"), ([None, 7], "7"), ("[3, 4]", "3")])
def test_items_without_fields_are_offered_themselves(rows, example):
    assert [(one.path, one.example) for one in offered(rows)] == [(".", example)]


def test_before_the_first_run_the_declared_fields_are_offered():
    inside = {"type": "object", "fields": [{"name": "mood", "type": "string"}, {"name": "stars", "type": "integer"}]}
    assert offered(None, declared=inside) == [ItemField("mood"), ItemField("stars")]
    assert offered(None, declared={"type": "string"}) == [ItemField(".")]


def test_fields_that_were_replaced_since_the_last_run_are_not_offered():
    rows = [{"url": "https://a.example", "name": "Loaf"}]
    inside = {"type": "object", "fields": [{"name": "name", "type": "string"}, {"name": "price", "type": "number"}]}
    assert offered(rows, declared=inside) == [ItemField("name", "Loaf"), ItemField("price")]


@pytest.mark.parametrize("rows", [None, "no list", 5, [], [[]], [{}], {"a": 1}])
def test_where_nothing_is_known_nothing_is_invented(rows):
    assert [one.path for one in offered(rows)] in ([], ["."])
    assert offered(rows, bound="") == []


def test_hostile_names_are_offered_as_they_are_and_long_values_are_cut():
    rows = [{"<img src=x>": "x" * 500, 'a["b': {"c": 1}}]
    assert [(one.path, len(one.example)) for one in offered(rows)] == [("<img src=x>", 24), ('a["b', 0)]
