"""A draft in which a setting or an input is of another kind than its type says can be looked at: its page opens, and says
what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from engine.flow.step_list import steps_of
from engine.nodes import NODE_TYPES
from engine.nodes.known_datasets import KnownDataset
from engine.outbound.allow_list import OutboundRules
from storage.secrets import SecretRow
from tests.engine.nodes.test_every_node import example_flow
from ui.flow_view.list_frames import frames_of
from ui.parts.mending import with_button
from ui.parts.written_rows import calls_before_a_run, writes_before_a_run
from ui.playground.state.called_flows import CalledFlows
from ui.playground.state.dependencies import FlowDependencies

GOODS = KnownDataset("dataset_1", "Goods", {"price": "number"})
KEY = SecretRow("secret_1", "Key", 0, 0, ("a.example",))
KNOWN = FlowDependencies("flow_1", {"Office": "openai"}, (KEY,), (GOODS,), (), CalledFlows(), OutboundRules())
TEXT = "{{ api_input.out.url }}"
FIELD = {"name": "a", "type": "array", "enum": ["x"], "fields": [{"name": "b"}], "items": {"type": "string"}}
WEB = {
    "address": "https://a.example/{x}",
    "method": "POST",
    "parameters": [FIELD],
    "secret_headers": {"Key": "secret_1"},
}
#: Settings and inputs that the example of a type lacks.
MORE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "agent": (
        {
            "tools": [
                {"kind": "http", "name": "n", "ask_first": True, **WEB},
                {"kind": "flow", "flow_id": "flow_2", "version": 1},
                {"kind": "mcp", "server": "s", "only": ["a"]},
                {"kind": "dataset", "dataset": "Goods", "may_add": True},
                {"kind": "knowledge", "collection": "Terms"},
            ],
            "output_fields": [FIELD],
        },
        {},
    ),
    "api_input": ({"fields": [FIELD], "samples": [{"title": "A", "payload": {"a": 1}}]}, {}),
    "approval": ({"editable": ["a"], "choices": ["x"]}, {"title": "t", "values": {"a": TEXT}}),
    "condition": (
        {},
        {"rules": [{"left": TEXT, "operator": "greater", "right": 5}, {"left": "", "operator": "equals"}]},
    ),
    "dataset_sink": ({"dataset": "Goods", "mode": "update", "key_column": "price", "types": {"price": "number"}}, {}),
    "dataset_source": ({"dataset": "Goods", "rules": [{"field": "price", "operator": "less", "value": 1}]}, {}),
    "filter_list": ({"rules": [{"field": "", "operator": "equals", "value": ""}]}, {}),
    "http_request": ({"method": "POST", "secret_headers": {"Key": "secret_1"}}, {"headers": {"a": "b"}}),
    "look_up_row": ({"dataset": "Goods", "column": "price", "may_end": "not_found"}, {}),
    "prompt": ({"model": "Office:x", "output_fields": [FIELD]}, {}),
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*path, key)
        yield from places(one, (*path, key))


@pytest.mark.parametrize("kind", NODE_TYPES, ids=lambda kind: kind.type)
def test_a_value_of_another_kind_is_no_fault(kind: Any) -> None:
    drawn = example_flow(kind)
    node = drawn.node(kind.type)
    assert node is not None
    config, inputs = MORE.get(kind.type, ({}, {}))
    parts = {"config": {**node.config, **config}, "inputs": {**node.inputs, **inputs}}
    written = json.dumps(parts)
    for *way, last in places(json.loads(written)):
        for instead in ([], {"a": 1}, 7, None) if way else ():
            damaged = json.loads(written)
            holder = damaged
            for step in way:
                holder = holder[step]
            holder[last] = instead
            nodes = [one.model_copy(update=damaged) if one is node else one for one in drawn.nodes]
            flow = drawn.model_copy(update={"nodes": tuple(nodes)})
            found = KNOWN.analyse(flow)
            assert all(with_button(one, flow).problem is one for one in found.problems)
            assert KNOWN.covers(flow) in {True, False}
            assert isinstance(calls_before_a_run(flow, {}) + writes_before_a_run(flow, {}, [GOODS]), str)
            assert len(steps_of(flow)) == len(flow.nodes)
            assert isinstance(frames_of(flow), list)
