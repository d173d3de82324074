"""Tests of the model that a new node has already: the only one there is to choose."""

from __future__ import annotations

from typing import Any

import pytest

from engine.flow.edits import apply_ops
from engine.nodes import CATALOG
from storage.connections import ConnectionRow
from tests.factories import document, greeting
from ui.playground.state.only_model import (
    model_for,
    model_of_new,
    only_model,
    replace_simulated_ops,
    wants_model,
    with_model,
)


def connection(name: str, *models: str) -> ConnectionRow:
    return ConnectionRow(
        id=name, name=name, provider="vllm", base_url=None, secret_id=None, local=True, models=models, created_at=0
    )


@pytest.mark.parametrize(
    ("rows", "model"),
    [
        ([], None),
        ([connection("box")], None),
        ([connection("box", "llama")], "box:llama"),
        ([connection("empty"), connection("box", "llama")], "box:llama"),
        ([connection("box", "llama", "mistral")], None),
        ([connection("box", "llama"), connection("other", "llama")], None),
    ],
)
def test_the_only_model_is_chosen_and_never_one_of_several(rows: list[ConnectionRow], model: str | None) -> None:
    assert only_model(rows) == model


@pytest.mark.parametrize(
    ("models", "only", "offered"),
    [
        (["simulated", "simulated"], "box:llama", "box:llama"),
        (["simulated"], None, None),
        (["simulated", "box:a"], None, "box:a"),
        (["box:a", "simulated", "box:b"], "box:llama", None),
        (["gone:a", "simulated"], "box:llama", "box:llama"),
        (["gone:a", "simulated", "box:b"], None, "box:b"),
    ],
)
def test_steps_with_the_simulated_model_are_offered_what_the_others_ask(
    models: list[str], only: str | None, offered: str | None
) -> None:
    flow = document(greeting(nodes=[{"id": f"p{at}", "type": "prompt", "config": {"model": one, "max_attempts": 2}} for at, one in enumerate(models)], edges=[]))  # fmt: skip
    assert model_for(flow, {"box"}, only) == offered
    after = apply_ops(flow, replace_simulated_ops(flow, "box:new"))
    assert [node.config for node in after.nodes] == [
        {"model": one.replace("simulated", "box:new"), "max_attempts": 2} for one in models
    ]


@pytest.mark.parametrize(
    ("models", "only", "chosen"),
    [
        ([], None, None),
        ([], "box:llama", "box:llama"),
        (["box:a", "box:a", "simulated"], None, "box:a"),
        (["box:a"], "box:llama", "box:a"),
        (["box:a", "box:b"], None, None),
        (["simulated", "simulated"], None, "simulated"),
        (["simulated"], "box:llama", "box:llama"),
        (["gone:a"], None, None),
    ],
)
def test_a_new_node_begins_with_the_model_of_the_others(
    models: list[str], only: str | None, chosen: str | None
) -> None:
    nodes = [{"id": f"p{at}", "type": "prompt", "config": {"model": one}} for at, one in enumerate(models)]
    flow = document(greeting(nodes=[*nodes, {"id": "s", "type": "set_fields"}], edges=[]))
    assert model_of_new(flow, {"box"}, only) == chosen


def test_a_new_node_that_needs_a_model_gets_it_and_one_that_has_one_keeps_it() -> None:
    def add(kind: str, **config: Any) -> dict[str, Any]:
        return {"op": "addNode", "node": {"id": kind, "type": kind, "config": config}}

    ops = [add("prompt"), add("prompt", model="simulated"), add("set_fields")]
    assert wants_model(ops, CATALOG)
    assert not wants_model(ops[1:], CATALOG)
    made = with_model(ops, CATALOG, "box:llama")
    assert [op["node"]["config"] for op in made] == [{"model": "box:llama"}, {"model": "simulated"}, {}]
