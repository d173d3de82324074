"""Equality of JSON values by type and content, and the limit for small values."""

import pytest

from engine.flow.json_values import is_small, same

PAIRS = [
    (1, 1.0, True),
    (1, True, False),
    (0, False, False),
    ("1", 1, False),
    (None, None, True),
    (None, 0, False),
    ([1, 2], [1, 2], True),
    ([1, 2], [2, 1], False),
    ([1], [1, 2], False),
    ([1, 2], [1], False),
    ([], {}, False),
    ([], None, False),
    ({"a": [1]}, {"a": [1]}, True),
    ({"a": 1}, {"a": 2}, False),
    ({"a": 1}, {"b": 1}, False),
    ({"a": 1}, {"a": 1, "b": 1}, False),
]


@pytest.mark.parametrize(("left", "right", "expected"), PAIRS)
def test_values_are_the_same_by_type_and_content(left, right, expected):
    assert same(left, right) is expected
    assert same(right, left) is expected


def test_values_that_are_nested_a_thousand_deep_are_compared():
    left = right = 1
    for _ in range(1_000):
        left, right = [left], [right]
    assert same(left, right)


@pytest.mark.parametrize(
    ("value", "small"),
    [
        (None, True),
        ("x" * 9_979, True),
        ("x" * 9_980, False),
        ([0] * 249, True),
        ([0] * 250, False),
        ((0,) * 249, True),
        ((0,) * 250, False),
        (dict.fromkeys(range(249), 0), True),
        (dict.fromkeys(range(250), 0), False),
        (["x" * 4_949] * 2, True),
        ([{"text": "x" * 4_949}] * 2, False),
    ],
)
def test_a_value_is_small_while_its_characters_and_40_for_each_part_come_to_less_than_10000(value, small):
    assert is_small(value) is small
