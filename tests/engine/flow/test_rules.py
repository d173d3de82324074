"""Rules of conditions: comparisons between any two JSON values, and values named by a path."""

from itertools import product
from typing import get_args

import pytest

from engine.flow.json_values import as_number, ordered_by, value_at
from engine.flow.rules import (
    LETTERS,
    OPERATOR_TITLES,
    FieldRule,
    Operator,
    Rule,
    combined,
    holds,
    item_passes,
    rule_problem,
)

TRUE = [
    (5, "equals", "5"),
    ("12.50", "equals", 12.5),
    (True, "equals", "TRUE"),
    (None, "equals", ""),
    (1, "equals", 1.0),
    ({"a": [1]}, "equals", {"a": [1]}),
    ({"a": [1]}, "equals", '{"a":[1]}'),
    ("007", "not_equals", "7"),
    ("Bread", "not_equals", "bread"),
    (1, "not_equals", True),
    (0, "not_equals", False),
    ([1], "not_equals", [True]),
    (1200, "greater", "1,000"),
    ("1200.50", "greater", " 1,200 "),
    (900, "less", "1,000"),
    ("10", "greater", "9"),
    ("2026-02-01", "greater", "2026-01-31"),
    (3, "greater_or_equal", "3.0"),
    (-1, "less", 0),
    ("1e3", "less_or_equal", 1000),
    ("Good bread", "contains", "bread"),
    ([1, 2], "contains", "2"),
    ({"a": 1}, "contains", "a"),
    (12345, "contains", 234),
    (None, "not_contains", "a"),
    ("bread", "starts_with", "br"),
    ("bread", "ends_with", "ad"),
    (2026, "starts_with", "20"),
    ("Order AB-1234", "matches", r"[A-Z]{2}-\d{4}"),
    ("URGENT", "matches", "(?i)urgent"),
    ("Ünal", "matches", r"^\p{L}+$"),
    ("a\ud800b", "matches", "a.b"),
    ("b", "in", "a, b, c"),
    ("b", "in", "a\nb"),
    ("b", "in", "a, b,\n"),
    ("", "in", ""),
    ("", "in", ","),
    (2, "in", [1, "2"]),
    (2, "in", "[1, 2]"),
    ("[x", "in", "[x, y"),
    ("d", "not_in", ["a"]),
    ("a", "in", {"a": 1}),
    ("  ", "is_empty", None),
    ([], "is_empty", None),
    ({}, "is_empty", None),
    (None, "is_empty", None),
    (0, "is_not_empty", None),
    (False, "is_not_empty", None),
    ("Yes", "is_true", None),
    (1, "is_true", None),
    ("no", "is_false", None),
    (0.0, "is_false", None),
]
FALSE = [
    ("abc", "greater", 1),
    (None, "less", 1),
    ([1], "greater", [0]),
    (True, "greater", 0),
    ("nan", "less", 1),
    ("1_000", "equals", 1000),
    (None, "contains", ""),
    (["bread"], "starts_with", "b"),
    (None, "matches", ".*"),
    ("abc", "matches", "("),
    ("abc", "in", None),
    (None, "in", "red, green,"),
    ("", "in", "red\n"),
    (" ", "in", "red,,green"),
    (2, "is_true", None),
    (None, "is_false", None),
    ("a", "no_such_operator", "a"),
    ("a", "", "a"),
]


@pytest.mark.parametrize(("left", "operator", "right"), TRUE)
def test_what_holds(left, operator, right):
    assert holds(left, operator, right) is True


@pytest.mark.parametrize(("left", "operator", "right"), FALSE)
def test_what_does_not(left, operator, right):
    assert holds(left, operator, right) is False


WITHOUT_CAPITALS = [
    ("REFUND please", "contains", "refund"),
    (["Bread", "Milk"], "contains", "milk"),
    ({"Price": 1}, "contains", "price"),
    ("Bread", "equals", "bread"),
    ({"Kind": ["Bread"]}, "equals", {"kind": ["bread"]}),
    ("STRASSE", "equals", "straße"),
    ("https://A.example/", "starts_with", "HTTPS://a."),
    ("photo.JPG", "ends_with", ".jpg"),
    ("B", "in", "a, b, c"),
    ("É", "in", '["\\u00e9"]'),
    ("é", "in", '["\\u00C9"]'),
    ("b", "in", ["A", "B"]),
]


@pytest.mark.parametrize(("left", "operator", "right"), WITHOUT_CAPITALS)
def test_capitals_are_ignored_only_by_a_rule_that_says_so(left, operator, right):
    opposite = {"equals": "not_equals", "contains": "not_contains", "in": "not_in"}.get(operator)
    assert Rule(left=left, operator=operator, right=right, ignore_case=True).holds
    assert FieldRule(operator=operator, value=right, ignore_case=True).holds_for(left)
    assert not Rule(left=left, operator=operator, right=right).holds, "a rule of an older document keeps its meaning"
    assert not FieldRule(operator=operator, value=right).holds_for(left)
    if opposite:
        assert not holds(left, opposite, right, ignore_case=True)


def test_a_pattern_says_itself_whether_capitals_count():
    assert not holds("URGENT", "matches", "urgent", ignore_case=True)
    assert holds("b", "greater", "C", ignore_case=True) is holds("b", "greater", "C") is True


def test_every_pair_of_odd_values_has_an_answer():
    deep: list = []
    for _ in range(5_000):
        deep = [deep]
    odd = [None, True, 0, -1.5, 10**400, float("nan"), float("inf"), "", "é\ud800", "9" * 5_000, "1e999", [], [None], {}, {"a": {}}, deep]  # fmt: skip
    answers = {holds(left, operator, right) for left, operator, right in product(odd, get_args(Operator), odd)}
    folded = {holds(*one, ignore_case=True) for one in product(odd, sorted(LETTERS), odd)}
    assert answers == folded == {True, False}


def test_the_operators_with_not_are_the_opposites():
    odd = [None, True, 1, "1", "a", [], ["a"], {"a": 1}]
    for left, right in product(odd, odd):
        for one, other in (("equals", "not_equals"), ("contains", "not_contains"), ("in", "not_in")):
            assert holds(left, one, right) is not holds(left, other, right)
        assert holds(left, "is_empty") is not holds(left, "is_not_empty")


def test_every_operator_has_words_for_people():
    assert set(OPERATOR_TITLES) == set(get_args(Operator))


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", "item"), (".", "item"), ("a.b", 1), ("list[1].x", 2), ("list.1.x", 2), ('["a key"]', 3), ("dotted.name", 4),
        ("a.nope", None), ("a.b.c", None), ("list[9]", None), ("list[-1]", None), ("a..b", None), ("[", None),
        ("__class__", None), ("list.append", None),
    ],
)  # fmt: skip
def test_a_path_names_data_or_nothing(path, found):
    item = {"a": {"b": 1}, "list": [0, {"x": 2}], "a key": 3, "dotted.name": 4}
    assert value_at(item, path) == (item if found == "item" else found)


def test_all_and_any_and_no_rule():
    cheap, red = FieldRule(field="price", operator="less", value="5"), FieldRule(field="colour", value="red")
    item = {"price": 3, "colour": "blue"}
    assert not item_passes(item, [cheap, red], "all")
    assert item_passes(item, [cheap, red], "any")
    assert item_passes(item, [], "all")
    assert item_passes(item, [], "any")
    assert combined(iter([]), "any") is True
    assert Rule(left=3, operator="less", right="5").holds


def test_a_pattern_that_cannot_be_used_is_told_when_the_rule_is_made():
    assert "never closed" in rule_problem("matches", "(")
    assert "no pattern yet" in rule_problem("matches", "")
    assert rule_problem("matches", "{{ api_input.out.pattern }}(") == ""
    assert rule_problem("equals", "(") == ""


def test_mixed_values_have_one_order_and_missing_ones_come_last():
    items = ["b", None, 10, "9", True, [1], "A", 2]
    assert ordered_by(items, "", False) == [2, "9", 10, "A", "b", True, [1], None]
    assert ordered_by(items, "", True) == [10, "9", 2, "b", "A", True, [1], None]
    assert ordered_by(["", 9, 7, "n/a", None, " ", 8], "", True) == [9, 8, 7, "n/a", "", None, " "]
    assert ordered_by(["", 9, "n/a", None, 8], "", False) == [8, 9, "n/a", "", None]
    pairs = [{"k": 1, "n": 1}, {"n": 2}, {"k": 1, "n": 3}, {"k": 0, "n": 4}]
    assert [one["n"] for one in ordered_by(pairs, "k", False)] == [4, 1, 3, 2]
    assert [one["n"] for one in ordered_by(pairs, "k", True)] == [1, 3, 4, 2]


@pytest.mark.parametrize("value", [True, "", "x", "1,5", "0x10", "١", "1" * 200, float("nan"), "1e999", None, []])
def test_what_is_no_number(value):
    assert as_number(value) is None
