"""Whole numbers that JavaScript cannot hold."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ui.flow_view.large_integers import from_canvas, to_canvas

MOST = 2**53 - 1


@pytest.mark.parametrize("value", [MOST + 1, -MOST - 1, 1234567890123456789, 12345678901234567890123])
def test_a_large_whole_number_travels_as_a_text_and_comes_back(value: int) -> None:
    ops = [{"op": "updateNode", "id": "a", "after": {"inputs": {"list": [1, value]}, "label": "A"}}]
    sent = to_canvas(ops)
    assert sent[0]["after"]["inputs"]["list"] == [1, {"flowport:integer": str(value)}]
    assert from_canvas(msgspec.json.decode(msgspec.json.encode(sent))) == ops


def test_what_has_no_large_whole_number_is_not_copied() -> None:
    value = {"a": [1, MOST, -MOST, 1e300, True, None, "x", {"b": ("c",)}]}
    assert to_canvas(value) is value
    assert from_canvas(value) is value


@pytest.mark.parametrize("value", [{"flowport:integer": text} for text in (7, "", "1.5", "1" * 5_000, "x", "١")])
def test_what_only_looks_like_a_marked_number_stays(value: dict[str, Any]) -> None:
    assert from_canvas(value) is value


def test_a_value_that_is_nested_without_end_is_left_to_be_refused() -> None:
    value: Any = 1
    for _level in range(5_000):
        value = [value]
    assert from_canvas(value) is value
