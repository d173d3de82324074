"""Texts are cut at their headings, and nothing of them is left out."""

from __future__ import annotations

import pytest

from engine.knowledge.chunking import cut

LONG = "x" * 400 + " tail"

#: A text, and the (heading, text) of its pieces.
CUT = [
    ("# A\n\ntext", [("A", "text")]),
    ("# A\n## B\n\ntext", [("A › B", "text")]),
    (
        "# Open 9-17\n# Phone 555\n# Address\n\nMain street",
        [("", "Open 9-17\n\nPhone 555"), ("Address", "Main street")],
    ),
    ("# A\n## B one\n## B two\n# C", [("A", "B one\n\nB two"), ("", "C")]),
    ("# A\n\ntext\n\n## B\n\n## C\n\nmore", [("A", "text"), ("A", "B"), ("A › C", "more")]),
    ("# A\n### B\n### C\n## D", [("A", "B\n\nC"), ("A", "D")]),
    ("### A", [("", "A")]),
    ("intro\n\n# A", [("", "intro"), ("", "A")]),
    (f"# {LONG}\n\ntext", [("x" * 300, f"{LONG}\n\ntext")]),
    ("# A\n\none\n\n# A\n\ntwo", [("A", "one"), ("A", "two")]),
    ("", []),
]


@pytest.mark.parametrize(("text", "pieces"), CUT)
def test_each_heading_and_each_text_is_in_a_piece(text: str, pieces: list[tuple[str, str]]) -> None:
    assert [(one.heading, one.text) for one in cut(text)] == pieces
