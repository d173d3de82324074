"""The part of a malformed flow file that is still read, so that its other problems are reported too."""

import json

import pytest

from engine.flow.readable_part import readable_part

NODE = {"id": "a", "type": "prompt"}
WHOLE = {"format": 1, "nodes": [NODE, {"id": "b", "type": "rocket"}], "edges": [], "notes": []}


@pytest.mark.parametrize(
    "wrong",
    [
        {"colour": "red"},
        {"title": 5, "description": []},
        {"edges": "none"},
        {"notes": {"a": 1}},
        {"nodes": [{**NODE, "colour": "red"}, {"id": "b", "type": "rocket", "policy": {"retries": 99, "more": 1}}]},
        {"nodes": [{**NODE, "position": {"x": "left", "z": 1}}, {"id": "b", "type": "rocket", "label": None}]},
        {"nodes": [{**NODE, "policy": 5, "config": [], "inputs": "x"}, {"id": "b", "type": "rocket", "a/b": 1}]},
    ],
)
def test_values_that_do_not_belong_are_left_out(wrong):
    part = readable_part(json.dumps({**WHOLE, **wrong}).encode())
    assert part is not None
    assert part.as_json() == readable_part(json.dumps(WHOLE).encode()).as_json()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b"[" * 100_000,
        json.dumps({**WHOLE, "nodes": [{"id": "a"}]}).encode(),
        json.dumps({**WHOLE, "nodes": [5]}).encode(),
        json.dumps({**WHOLE, "edges": [{"id": 1, "source": "a", "target": "b"}]}).encode(),
        json.dumps({**WHOLE, "nodes": [{**NODE, "inputs": {"a": "x" * (1 << 20)}}]}).encode(),
        b'{"format": 1, "nodes": [{"id": "a", "type": "prompt", "inputs": {"a": ' + b"[" * 61 + b"]" * 61 + b"}}]}",
    ],
)
def test_nothing_is_read_of_a_file_in_which_something_indispensable_is_wrong(data):
    assert readable_part(data) is None
