"""What an earlier release stored is still read."""

import json

from engine.flow.document import FURTHEST, load_document, with_huge_integers_as_text


def test_a_note_that_is_too_large_is_read_with_the_largest_size():
    note = {"id": "note", "text": "hi", "position": {"x": 5, "y": -1e300}, "size": {"width": 1e300, "height": 80}}
    (read,) = load_document(json.dumps({"format": 1, "notes": [note]})).notes
    assert (read.position.x, read.position.y, read.size.width, read.size.height) == (5, -FURTHEST, FURTHEST, 80)


def test_a_stored_number_of_more_than_64_bits_is_shown_as_a_text():
    stored = {"id": "prompt", "type": "prompt", "inputs": {"a": [10**22, 5]}, "config": {"b": {"c": -(10**22)}}}
    stored_flow = load_document(json.dumps({"format": 1, "nodes": [stored]}))
    (node,) = with_huge_integers_as_text(stored_flow).nodes
    assert (node.inputs, node.config) == ({"a": [str(10**22), 5]}, {"b": {"c": str(-(10**22))}})
