"""What the canvas says of a step that sets fields."""

from __future__ import annotations

from engine.flow.reference_labels import binding_in_words
from engine.nodes.set_fields import NODE


def test_fixed_texts_come_first_on_the_canvas_with_their_words():
    given = {
        "mentioned": True,
        "answer": "We are sorry.\nCall us.",
        "text": "{{ api_input.out.text }}",
        "all": "{{ api_input.out }}",
        "note": "",
    }
    fields = binding_in_words(given, {"api_input": "API Input"}, 80)
    assert NODE.summary({}, fields) == "answer: We are sorry. Call us., mentioned, text, all, note"
    assert NODE.summary({}, {}) == "no fields yet"
