"""Sizes of values are counted without a copy of them, parts that stand in them several times as often as they do."""

from __future__ import annotations

import pytest

from engine.flow.data_size import MAX_DATA, data_size
from engine.flow.json_values import is_small

ROW = {"id": 7, "name": "Ann", "tags": ["a", "b"], "price": 1.5, "ok": True, "none": None}


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("x" * 1_000, 1_008),
        (7, 9),
        (None, 8),
        ([], 64),
        ({"name": "Ann"}, 64 + 8 + 4 + 3),
        ([0.5] * 1_000, 8_064),
        (["ab"] * 1_000, 10_064),
        ([[]] * 1_000, 72_064),
        ([1 << 60] * 1_000, 64 + 8 * 1_000 + 61 * 1_000 // 3),
        (["a", None] * 20_000, 64 + 8 * 40_000 + 20_000),
    ],
)
def test_the_size_of_a_value(value: object, size: int) -> None:
    assert data_size(value) == size
    assert data_size(value, size) == size
    assert data_size(value, size - 1) == size, "more than was asked about"


def test_a_part_counts_as_often_as_it_stands_there_and_is_looked_at_once() -> None:
    value: object = ROW
    for _ in range(100):
        value = {f"k{number}": value for number in range(10)}
    assert data_size(value, MAX_DATA) == MAX_DATA + 1
    twice = [[ROW] * 500] * 2
    assert data_size(twice) - 80 == 2 * (64 + 500 * (8 + data_size(ROW)))


def test_what_is_known_is_not_counted_again() -> None:
    rows = [dict(ROW) for _ in range(1_000)]
    known: dict[int, int] = {}
    size = data_size(rows, MAX_DATA, known)
    assert known[id(rows)] == size
    assert not is_small(rows)
    known = {id(rows): 5}
    assert data_size({"rows": rows}, MAX_DATA, known) == 64 + 8 + len("rows") + 5
