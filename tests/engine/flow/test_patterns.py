"""Regular expressions written by users: accepted syntax, error messages, and that none of them is slow (S8)."""

import pytest

from engine.core.errors import FieldError
from engine.flow.patterns import read_pattern, why_not
from engine.flow.payload_check import check_payload
from engine.flow.references import split_text

READABLE = [
    r"^[A-Z]{2}$", r"\d{4}-\d{2}", r"(?i)bread", r"(?P<day>\d+)", r"(?<day>\d+)", r"\u00e9+", r"\u{1F600}", r"\/path\/", r"\p{L}+",
    r"^.{10,500}$", r"[\w.+-]+@[\w-]+(\.[\w-]+)+", "", "(a)" * 50, "a" * 1_000,
]  # fmt: skip
UNUSABLE = {
    "(?=a)": "looking ahead", "(?!a)": "looking ahead", "(?<=a)b": "looking behind", r"(a)\1": "pointing back", "[a": "never closed",
    "(a": "never closed", "a)": "no `(`", "*": "nothing before", "a**": "side by side", "\\": "lone", "x{2000}": "too large",
    "[z-a]": "range", "a" * 1_001: "1,001 characters", "(a)" * 51: "51 groups", r"\Z": "not known", "\ud800": "half a character",
    r"\p{L}{0,900}": "too large",
}  # fmt: skip
#: Patterns and texts that take exponential time in a backtracking engine.
SLOW = [
    (r"^(a+)+$", "a" * 100_000 + "b"),
    (r"^(a|aa)+$", "a" * 100_000 + "b"),
    (r"(x+x+)+y", "x" * 200_000),
    (r"(a|a?)+b", "a" * 100_000),
    (r"(.*)(.*)(.*)(.*)(.*)b", "a" * 100_000),
    (r"([ab]*a[ab]{500}c)", "ab" * 50_000),
    (r"(a?){500}(a*){100}c", "a" * 100_000),
    (r"\s+$", " " * 200_000 + "x"),
    (r"(?:(?:(?:a*)*)*)*b", "a" * 100_000),
    (r"(.{0,100}a){5}x$", "a" * 100_000),
]


@pytest.mark.parametrize("pattern", READABLE)
def test_what_schemas_usually_hold_can_be_read(pattern):
    assert why_not(pattern) == ""


@pytest.mark.parametrize("pattern", UNUSABLE)
def test_what_cannot_be_used_says_why(pattern):
    assert UNUSABLE[pattern] in why_not(pattern)


@pytest.mark.parametrize(("pattern", "text"), SLOW, ids=[pattern for pattern, _ in SLOW])
def test_no_pattern_takes_long(pattern, text):
    """A backtracking engine would need years for each; here the time limit of the test is the assertion."""
    read_pattern(pattern).found_in(text)


def test_a_very_long_text_is_searched_as_far_as_it_is_quick():
    heavy = read_pattern(r"([ab]*a[ab]{900}c)|zzz")
    assert heavy.longest_text < 1_000_000
    assert not heavy.found_in("a" * heavy.longest_text + "zzz")
    assert read_pattern("zzz").found_in("a" * 1_000_000 + "zzz")


def test_all_the_texts_of_one_payload_share_the_time_of_their_patterns():
    """They may take a fifth of a second; a text that might take so long alone is refused by its length."""
    field = {"name": "list", "type": "array", "items": {"type": "string", "pattern": r"[ab]*a[ab]{900}c"}}
    costly, wrong = "abbabaabab" * 800, r"must match the pattern [ab]*a[ab]{900}c"
    _, errors = check_payload([field], {"list": ["a" * 100_000, *[costly] * 50, "a"]})
    assert errors[0].detail.startswith("is too long to be checked against its pattern; it may have 33,")
    assert errors[1] == FieldError("/list/1", "pattern", wrong)
    refused = [error for error in errors if error.detail.endswith("took too long; send fewer or shorter texts")]
    assert refused[-1].pointer == "/list/51"
    assert 10 <= len(refused) <= 49
    assert errors.total == 52


@pytest.mark.parametrize(
    "text", ["{{" * 300_000, "{{ a.out" + ".b" * 300_000 + " }}", "{{ a.out " + " " * 300_000 + "!}}"]
)
def test_a_text_full_of_braces_is_read_in_one_pass(text):
    assert len(list(split_text(text))) == 1
