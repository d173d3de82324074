"""Rows found by words, as a model asks for them."""

from __future__ import annotations

import pytest

from engine.nodes.row_search import RowSearch

ROW = {
    "name": "Red Parasol, 2 m",
    "made_of": ["steel", "Café cloth"],
    "notes": None,
    "number": "INV-2026-7",
    "stock": 12,
}


@pytest.mark.parametrize(
    "text",
    [
        "", "parasol", "Parasols", "PARASOLS", "red parasols", "parasols RED", "cloths", "cafe", "para", "inv-2026",
        "2026-7", "12", "parasol steel", "  parasol  ",
    ],
)  # fmt: skip
def test_words_find_the_row(text: str) -> None:
    assert RowSearch(text).finds_row(ROW)


@pytest.mark.parametrize("text", ["umbrella", "blue parasol", "parasolses", "?", "2025"])
def test_other_words_do_not(text: str) -> None:
    assert not RowSearch(text).finds_row(ROW)


@pytest.mark.parametrize(
    ("held", "asked"),
    [
        ("Boxes", "box"), ("box", "BOXES"), ("batteries", "battery"), ("Battery", "batteries"), ("glasses", "glass"),
        ("glass", "glasses"), ("dishes", "dish"), ("watch", "watches"), ("bus", "bus"), ("buses", "bus"), ("Chocolate cookie", "cookies"), ("cookies", "cookie"), ("Apple pie", "apple pies"),
        ("Movie ticket", "movies"), ("Tomato soup", "tomatoes"), ("Lens cap", "lenses"), ("lenses", "lens"),
        ("Quiz", "quizes"), ("analysis", "analysis"), ("houses", "house"), ("house", "houses"), ("Straße", "STRASSE"),
    ],
)  # fmt: skip
def test_plural_and_capitals_make_no_difference(held: str, asked: str) -> None:
    assert RowSearch(asked).finds([held])


@pytest.mark.parametrize(("held", "asked"), [("Vietnam", "names"), ("Shower", "shoes"), ("plan", "planes")])
def test_a_part_of_a_plural_finds_no_other_word(held: str, asked: str) -> None:
    assert not RowSearch(asked).finds([held])
