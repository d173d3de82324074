"""Counts of what is in a JSON text, whose own cost is small."""

from __future__ import annotations

import tracemalloc

import pytest

from engine.core import json_shape
from engine.core.json_shape import TooDeep, TooManyKeys, TooManyValues, check_shape


def outcome(body: bytes, **limits: int) -> str:
    try:
        check_shape(body, **{"most_values": 100, **limits})
    except (TooManyValues, TooManyKeys, TooDeep) as error:
        return type(error).__name__
    return "fits"


@pytest.mark.parametrize("at_once", [json_shape._AT_ONCE, 0], ids=["as a whole", "in portions"])
@pytest.mark.parametrize(
    ("body", "limits", "expected"),
    [
        (b'[{"a,[{": "}]:,\\"", "b": [1, 2]}]', {"most_values": 6, "most_keys": 2, "max_depth": 3}, "fits"),
        (b'[{"a,[{": "}]:,\\"", "b": [1, 2]}]', {"most_values": 4}, "TooManyValues"),
        (b'[{"a,[{": "}]:,\\"", "b": [1, 2]}]', {"most_keys": 1}, "TooManyKeys"),
        (b'[{"a,[{": "}]:,\\"", "b": [1, 2]}]', {"max_depth": 2}, "TooDeep"),
        (b'["' + b"," * 9_000 + b'", 1' + b" " * 9_000 + b", 2]", {"most_values": 4}, "fits"),
        (b'["' + b"\\\\" * 9_000 + b'", "' + b"[" * 9_000, {"most_values": 3}, "fits"),
        (b'{"a": [' + b"{ }, []," * 40 + b'"[]"]}', {"most_values": 82}, "fits"),
        (b'{"a": [' + b"{ }, []," * 40 + b'"[]"]}', {"most_values": 81}, "TooManyValues"),
        (b"[" + b" " * 9_000 + b"]", {"most_values": 0}, "fits"),
        (b"[1" + b" " * 9_000 + b"]", {"most_values": 0}, "TooManyValues"),
        (b'""' * 5_000, {}, "TooManyValues"),
        (b"[" + b"1," * 5_000, {}, "TooManyValues"),
        (b"[" * 60 + b'"a"' * 5 + b"]" * 60, {"max_depth": 59}, "TooDeep"),
    ],
)
def test_values_keys_and_nesting_count_outside_strings(
    body: bytes, limits: dict[str, int], expected: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_shape, "_AT_ONCE", at_once)
    assert outcome(body, **limits) == expected


def test_counting_a_text_of_64_mib_needs_a_few_mib() -> None:
    body = b"[" + b'{"name": "%s"},' % (b"x" * 185) * 330_000 + b"{}]"
    assert 62 << 20 < len(body) < 64 << 20
    tracemalloc.start()
    try:
        check_shape(body, most_values=5_000_000, max_depth=64)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
