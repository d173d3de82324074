"""Pages in words."""

import pytest

from engine.documents.page_ranges import MAX_PAGES, BadRange, pages_of


@pytest.mark.parametrize(
    ("text", "pages"),
    [
        ("", [1, 2, 3, 4, 5]),
        ("2", [2]),
        ("1-3, 5", [1, 2, 3, 5]),
        (" 4 - ", [4, 5]),
        ("last", [5]),
        ("Last, 1", [5, 1]),
        ("2-2,2,1–2", [2, 1]),
        ("3-900", [3, 4, 5]),
        ("9", []),
    ],
)
def test_pages_are_chosen(text, pages):
    assert pages_of(text, 5) == pages


@pytest.mark.parametrize("text", ["0", "-3", "3-2", "one", "1;2", "1-2-3", "1.", "²", ",".join("1" * 101)])
def test_what_names_no_pages_is_refused(text):
    with pytest.raises(BadRange):
        pages_of(text, 5)


def test_a_page_count_that_lies_costs_nothing():
    assert len(pages_of("", 2**31)) == len(pages_of("5-999999, 7-", 2**31)) == MAX_PAGES + 1
    assert pages_of("last", 0) == []
