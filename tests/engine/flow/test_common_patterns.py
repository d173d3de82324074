"""The patterns that are chosen by what they find."""

import pytest

from engine.flow.common_patterns import Choice, choice_of, pattern_for
from engine.flow.patterns import read_pattern
from engine.nodes import extract_pattern
from engine.nodes.extract_pattern import find

TEXT = "Desk lamp (DL-2041)\nPrice: EUR 1.299,00\nWas 1,499.00. In stock: 14, since 2026-11-02. Ask a.b@shop.example or https://shop.example/x."


@pytest.mark.parametrize(
    ("choice", "first"),
    [
        (Choice("number"), "2041"),
        (Choice("amount_after", "price:"), "1.299,00"),
        (Choice("amount_after", "was"), "1,499.00"),
        (Choice("amount_after", "in stock:"), "14"),
        (Choice("words", "in  Stock"), "In stock"),
        (Choice("words", "(dl-2041)"), "(DL-2041)"),
        (Choice("email"), "a.b@shop.example"),
        (Choice("address"), "https://shop.example/x"),
        (Choice("date"), "2026-11-02"),
        (Choice("code", "AB-1234"), "DL-2041"),
    ],
)
def test_a_choice_finds_what_it_names_and_is_known_by_its_pattern(choice, first):
    pattern = pattern_for(choice)
    found, _more = find(read_pattern(pattern), TEXT, 10)
    assert found[0] == first
    again = choice_of(pattern)
    assert again.kind == choice.kind
    assert pattern_for(again) == pattern


@pytest.mark.parametrize(
    ("choice", "text", "found"),
    [
        (Choice("number"), "1 299,00 kr", ["1 299,00"]),
        (Choice("number"), "1\u00a0299kr, 2\u202f000 or 1\u2019299.50", ["1\u00a0299", "2\u202f000", "1\u2019299.50"]),
        (Choice("number"), "1 2995, -5, 1-3, A-39", ["1", "2995", "-5", "1", "3", "39"]),
        (Choice("number"), "3 250 g tins; tel. 030 123 456", ["3", "250", "030", "123", "456"]),
        (
            Choice("number"),
            "-\u20ac39.90, \u221239.90 or 2020\u20132024",
            ["-\u20ac39.90", "\u221239.90", "2020", "2024"],
        ),
        (Choice("number"), "$.99, -.5 and -EUR 5", ["$.99", "-.5", "-EUR 5"]),
        (
            Choice("number"),
            "12 for 39.90 or 1.299,00 at -5, AB-77, -€3.50. 1 299,00kr, 3 250 g.",
            ["12", "39.90", "1.299,00", "-5", "77", "-€3.50", "1 299,00", "3", "250"],
        ),
        (
            Choice("number"),
            "-US$5, -US$.99, -chf 5, -SAR 9 or -Fr. 12",
            ["-US$5", "-US$.99", "-chf 5", "-SAR 9", "-Fr. 12"],
        ),
        (Choice("number"), "-Eur 39,90, -kr 7, -z\u0142 8", ["-Eur 39,90", "-kr 7", "-z\u0142 8"]),
        (
            Choice("number"),
            "-im 12, -v2, -A4, -b 7, -on 5, -XL 9, -Maxi 3",
            ["12", "2", "4", "7", "5", "9", "3"],
        ),
        (Choice("amount_after", "size"), "Size -v2", ["2"]),
        (Choice("number"), "A-12, NO-7 and DIN-5008", ["12", "7", "5008"]),
        (Choice("amount_after", "balance"), "Balance: -\u20ac39.90", ["-\u20ac39.90"]),
        (Choice("amount_after", "balance"), "Balance: \u201339.90", ["\u201339.90"]),
        (Choice("amount_after", "balance"), "Balance - $.99", ["$.99"]),
        (Choice("amount_after", "article"), "Article A-39", ["39"]),
        (Choice("amount_after", "price"), "Price: 1 299 kr", ["1 299"]),
        (Choice("amount_after", "our price"), "Our\u00a0price: 1\u00a0299,00 \u20ac", ["1\u00a0299,00"]),
        (Choice("words", "in stock"), "In\u00a0stock", ["In\u00a0stock"]),
        (Choice("date"), "2026-01-31T10:00:00Z, 1.2.2026", ["2026-01-31", "1.2.2026"]),
    ],
)
def test_texts_of_several_countries_and_of_web_pages_are_found(choice, text, found):
    assert find(read_pattern(pattern_for(choice)), text, 10)[0] == found


def test_the_page_of_the_node_shows_the_patterns_of_the_choices():
    """But for those of numbers: they do not fit into a table."""
    for choice in (Choice("email"), Choice("address"), Choice("words", "in stock"), Choice("date")):
        shown = pattern_for(choice).replace("|", "\\|")
        assert f"`{shown}`" in str(extract_pattern.__doc__)


@pytest.mark.parametrize("kind", ["amount_after", "words", "code"])
def test_a_choice_without_its_words_writes_nothing(kind):
    assert pattern_for(Choice(kind, "  ")) == ""


def test_a_code_is_told_by_the_signs_of_its_example():
    assert pattern_for(Choice("code", "AB-1234")) == r"[A-Z]{2}-\d{4}"
    assert pattern_for(Choice("code", "x.7")) == r"[a-z]\.\d"
    assert pattern_for(Choice("code", "--")) == ""
    assert choice_of(r"[A-Z]{2}-\d{4}") == Choice("code", "AB-1234")


@pytest.mark.parametrize("pattern", ["", "(", "(?i)", "a|b", r"(\d+) (\w+)", "(?i)x.*y", r"\d+", "\\"])
def test_other_patterns_are_ones_own(pattern):
    assert choice_of(pattern) == Choice("own")
