"""What the canvas says of a step that sets fields."""

from __future__ import annotations

from engine.nodes.set_fields import NODE


def test_fixed_texts_come_first_on_the_canvas_with_their_words():
    fields = {"mentioned": True, "answer": "We are sorry.\nCall us.", "text": "API Input › text", "note": ""}
    assert NODE.summary({}, fields) == "answer: We are sorry. Call us., mentioned, text, note"
    assert NODE.summary({}, {}) == "no fields yet"
