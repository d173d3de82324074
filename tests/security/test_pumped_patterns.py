"""No regular expression of the code base takes more than its share of time for a longer text, whoever wrote the text."""

from __future__ import annotations

import re

import pytest

from tests.security.pumping import Found, grows_faster_than_its_text, patterns_of_the_code

PATTERNS, UNKNOWN = patterns_of_the_code()

#: Patterns that once held the whole server, and kinds of them: what the search below must find.
BAD = {
    "sitemap address": re.compile(r"<loc>\s*(?:<!\[CDATA\[)?\s*([^\s<\]]{1,4096})", re.IGNORECASE),
    "sitemap line": re.compile(r"^\s*(https?://\S{1,4096})\s*$", re.IGNORECASE | re.MULTILINE),
    "reference in braces": re.compile(r"\{\{([^\n]*?)\}\}"),
    "e-mail address": re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    "code fence": re.compile(r"```[a-zA-Z0-9]*\s*\n?(.*?)```", re.DOTALL),
    "blanks at the end": re.compile(r"\s+$"),
    "exponential": re.compile(r"(?:a+)+b"),
    "exponential in a choice": re.compile(r"(?:a|aa)+\Z"),
    "cubic": re.compile(r"\w*\d*\w*!"),
    "of bytes": re.compile(rb"<[^>]*;"),
}
GOOD = {
    "a class": re.compile(r"[a-z0-9]+"),
    "possessive": re.compile(r"[^,\\]++(?:\\.[^,\\]*+)*+"),
    "bounded": re.compile(r"\w{1,20}@\w{1,20}"),
    "anchored": re.compile(r"\A\s*x"),
}


@pytest.mark.parametrize("pattern", BAD.values(), ids=BAD)
def test_a_pattern_that_can_hold_the_server_is_found(pattern: re.Pattern[str]):
    assert grows_faster_than_its_text(Found("here", pattern))


@pytest.mark.parametrize("pattern", GOOD.values(), ids=GOOD)
def test_a_linear_pattern_is_left_alone(pattern: re.Pattern[str]):
    assert grows_faster_than_its_text(Found("here", pattern)) is None


def test_no_pattern_grows_faster_than_its_text():
    assert len(PATTERNS) > 80, "most patterns were not found"
    slow = {one.where: shown for one in PATTERNS if (shown := grows_faster_than_its_text(one))}
    assert slow == {}, "\n".join(f"{where}: {shown}" for where, shown in slow.items())


def test_every_pattern_is_written_where_it_can_be_read():
    assert UNKNOWN == [], "put together while the program runs: use str methods or RE2 (engine/flow/patterns.py)"
