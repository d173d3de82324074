"""Flow files are refused for what no flow may hold; what an earlier release stored is still read."""

import json

import pytest

from engine.flow.document import FURTHEST, Position, load_document, parse_flow_file


def text_of(**part):
    """A flow with one step, as JSON."""
    return json.dumps({"format": 1, "nodes": [{"id": "prompt", "type": "prompt", **part}], "edges": [], "notes": []})


def stored(place):
    return text_of(position={"x": 0, "y": 123}).replace("123", place)


@pytest.mark.parametrize(
    ("place", "nearest"), [("1e20", FURTHEST), ("-1e20", -FURTHEST), ("1e999", FURTHEST), ("1" + "0" * 400, FURTHEST)]
)
def test_a_step_too_far_away_is_refused_and_read_at_the_nearest_place(place, nearest):
    file, found = parse_flow_file(stored(place))
    assert file is None
    assert [problem.pointer for problem in found] == ["/position/y"]
    assert load_document(stored(place)).nodes[0].position == Position(x=0, y=nearest)


def test_a_note_that_is_too_large_is_read_with_the_largest_size():
    note = {"id": "note", "text": "hi", "position": {"x": 5, "y": -1e300}, "size": {"width": 1e300, "height": 80}}
    (read,) = load_document(json.dumps({"format": 1, "notes": [note]})).notes
    assert (read.position.x, read.position.y, read.size.width, read.size.height) == (5, -FURTHEST, FURTHEST, 80)
