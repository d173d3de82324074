"""Whether JSON values are the same, by type and content."""

import pytest

from engine.flow.json_values import same

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
