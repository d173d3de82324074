"""The filters of a Text Template: their results, and the messages when one cannot be applied."""

import pytest

from engine.flow.template_filters import FILTERS, MAX_TEXT, apply_filter, filter_problem
from engine.flow.template_language import TESTS

MADE = [
    ("upper", "aß", [], "ASS"),
    ("lower", "AB", [], "ab"),
    ("title", "two words", [], "Two Words"),
    ("title", "don't  stop\nthey’re 'so' ÉLAN", [], "Don't  Stop\nThey’re 'So' Élan"),
    ("title", "the 1st well-known snake_case ǆ", [], "The 1st Well-Known Snake_Case ǅ"),
    ("title", "o'neil i'll I'VE", [], "O'Neil I'll I've"),
    ("title", "e\u0301lan", [], "E\u0301lan"),
    ("capitalize", "tWO", [], "Two"),
    ("trim", "  a ", [], "a"),
    ("length", "abc", [], 3),
    ("length", [1, 2], [], 2),
    ("length", {"a": 1}, [], 1),
    ("first", [3, 4], [], 3),
    ("last", [3, 4], [], 4),
    ("join", [1, "b"], [], "1, b"),
    ("join", [1, "b"], ["-"], "1-b"),
    ("default", "", ["x"], "x"),
    ("default", None, ["x"], "x"),
    ("default", [], ["x"], "x"),
    ("default", 0, ["x"], 0),
    ("default", False, ["x"], False),
    ("truncate", "abcdef", [4], "abc…"),
    ("truncate", "abcd", [4], "abcd"),
    ("replace", "banana", ["an", "o"], "booa"),
    ("replace", "ab", ["", "-"], "-a-b-"),
    ("round", 2.5678, [2], 2.57),
    ("round", 2.5678, [], 3),
    ("round", 2.5, [], 3),
    ("round", -2.5, [], -3),
    ("round", 2.675, [2], 2.68),
    ("round", "1.005", [2], 1.01),
    ("round", 1250, [-2], 1300),
    ("round", 9007199254740993, [], 9007199254740993),
    ("round", 9007199254740993, [2], 9007199254740993),
    ("round", 1e308, [300], 1e308),
    ("int", "7.9", [], 7),
    ("float", "7", [], 7.0),
    ("abs", -3, [], 3),
    ("sort", [3, 1, 2], [], [1, 2, 3]),
    ("reverse", [1, 2], [], [2, 1]),
    ("unique", [1, 1, 2], [], [1, 2]),
    ("sum", [1, 2.5], [], 3.5),
    ("sum", [{"n": 1}, {"n": 4}], ["n"], 5),
    ("sum", [{"n": 0.1}, {"n": "0.2"}, {"n": ""}, {"n": None}, {}], ["n"], 0.3),
    ("sum", [{"n": 1}, {"n": "n/a"}, {"n": True}, {"n": "1,50"}], ["n"], 1),
    ("min", [3, 2], [], 2),
    ("max", [1, "x"], [], 1),
    ("max", [3, 2], [], 3),
    ("max", [], [], None),
    ("map", [{"n": 1}, {}], ["n"], [1, None]),
    ("keys", {"a": 1}, [], ["a"]),
    ("values", {"a": 1}, [], [1]),
    ("items", {"a": 1}, [], [["a", 1]]),
    ("split", "a,b", [], ["a", "b"]),
    ("split", "a b", [" "], ["a", "b"]),
    ("wordcount", "one, two", [], 2),
    ("urlencode", "a b/ü", [], "a%20b%2F%C3%BC"),
]


@pytest.mark.parametrize(("name", "value", "arguments", "expected"), MADE)
def test_a_filter_makes_of_a_value(name, value, arguments, expected):
    assert apply_filter(name, value, arguments) == expected


def test_a_text_of_the_greatest_length_may_still_become_shorter():
    assert apply_filter("replace", "ab" * (MAX_TEXT // 2), ["ab", "c"]) == "c" * (MAX_TEXT // 2)


def test_replacing_may_make_no_text_that_is_too_long():
    with pytest.raises(ValueError, match="the text would have"):
        apply_filter("replace", "a" * 10_000, ["a", "b" * 10_000])


def test_a_sum_that_is_too_large_is_none():
    with pytest.raises(ValueError, match="the sum is too large"):
        apply_filter("sum", [1e308, 1e308], [])


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("upper", 0, ""),
        ("upper", 1, "takes no value in its brackets, not 1"),
        ("replace", 2, ""),
        ("replace", 1, "takes 2 values in its brackets, not 1"),
        ("map", 0, "takes 1 value in its brackets, not 0"),
        ("join", 2, "takes 0 to 1 values in its brackets, not 2"),
        ("nothing", 0, "There is no filter `nothing`. There are: upper"),
    ],
)
def test_a_filter_that_cannot_be_used_so_says_why(name, arguments, expected):
    problem = filter_problem(name, arguments)
    assert expected in problem
    assert bool(expected) == bool(problem)


def test_every_filter_is_shown_here():
    assert FILTERS.keys() - {name for name, *_ in MADE} == {"json", "tojson"}


@pytest.mark.parametrize(
    ("name", "true_of", "false_of"),
    [
        ("even", [0, 2, -4], [1, 3, "2", 2.0]),
        ("odd", [1, 3, -1], [0, 2, "1", 1.0]),
        ("true", [True], [1, "true", False]),
        ("false", [False], [0, "", True]),
        ("list", [[]], [{}, "a", None]),
        ("object", [{}], [[], "a", None]),
        ("boolean", [True, False], [1, 0, None]),
    ],
)
def test_a_test_holds_for_a_value(name, true_of, false_of):
    assert all(TESTS[name](value) for value in true_of)
    assert not any(TESTS[name](value) for value in false_of)
