"""Flow files are refused for what no flow may hold, at little cost."""

import json
import tracemalloc
from time import process_time

import pytest

from engine.flow.document import FURTHEST, MAX_BYTES, Document, Position, load_document, with_huge_integers_as_text
from engine.flow.flow_file import MAX_FILE_BYTES, FlowFile, parse_flow_file
from engine.flow.readable_part import readable_part


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
    assert [(problem.node_id, problem.pointer) for problem in found] == [("prompt", "/position/y")]
    assert load_document(stored(place)).nodes[0].position == Position(x=0, y=nearest)


@pytest.mark.parametrize(
    ("part", "place", "why"),
    [
        ({"inputs": {"number": 1 << 63}}, "/inputs/number", "64 bits"),
        ({"inputs": {"numbers": [0, -(1 << 63) - 1]}}, "/inputs/numbers/1", "64 bits"),
        ({"config": {"samples": [{"payload": {"a": 10**400}}]}}, "/config/samples/0/payload/a", "64 bits"),
        ({"label": "cut \ud83d"}, "/label", "half of a character"),
        ({"inputs": {"prompt": "cut \udc4d"}}, "/inputs/prompt", "half of a character"),
        ({"inputs": {"\ud83d": 1}}, "/inputs", "half of a character"),
    ],
)
def test_a_file_with_what_no_flow_may_hold_is_refused_with_its_place(part, place, why):
    file, (found,) = parse_flow_file(text_of(**part))
    assert file is None
    assert (found.node_id, found.pointer) == ("prompt", place)
    assert why in found.message
    assert found.message.encode()


def test_a_number_that_has_no_end_and_a_title_with_half_a_character_are_refused():
    for text in (text_of(inputs={"a": 5.5}).replace("5.5", "1e999"), json.dumps({"format": 1, "title": "\ud83d"})):
        file, found = parse_flow_file(text)
        assert file is None
        assert len(found) == 1


def test_the_largest_numbers_are_taken():
    numbers = [(1 << 63) - 1, -(1 << 63), 1.7e308, True]
    file, _ = parse_flow_file(text_of(inputs={"numbers": numbers}))
    assert file is not None
    assert file.document.nodes[0].inputs == {"numbers": numbers}
    assert with_huge_integers_as_text(file.document) is file.document


COSTLY = {
    "one key of 100,000 twice": '{"format":1,"x":{' + ",".join(f'"k{n}":0' for n in range(100_000)) + ',"k5":1}}',
    "numbers in place of nodes": '{"format":1,"nodes":[' + "0," * 400_000 + "0]}",
    "numbers in place of notes": '{"format":1,"notes":[' + "0," * 400_000 + "0]}",
    "keys that are not known": '{"format":1,"nodes":[{"id":"a",'
    + ",".join(f'"k{n}":0' for n in range(200_000))
    + "}]}",
    "lists": '{"format":1,"nodes":[' + "[]," * 1_000_000 + "[]]}",
    "numbers that are too large": text_of(inputs={"a": [10**30] * 100_000}),
    "a number of 3 million digits": text_of(inputs={"a": 1234}).replace("1234", "9" * 3_000_000),
}


@pytest.mark.parametrize("kind", COSTLY)
def test_a_file_that_is_refused_costs_little(kind):
    data = COSTLY[kind].encode()
    tracemalloc.start()
    before = process_time()
    try:
        file, found = parse_flow_file(data)
        assert readable_part(data) is None or kind.startswith("one key")
        taken, most = process_time() - before, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert file is None
    assert 1 <= len(found) <= 201
    assert taken < 8, "seconds, most of them for counting the memory"
    assert most < 150 << 20


def test_the_size_of_a_flow_is_that_of_its_compact_text():
    spaces = json.dumps(json.loads(text_of(inputs={"a": [[n] for n in range(20_000)]})), indent=8)
    assert MAX_BYTES < len(spaces) < MAX_FILE_BYTES
    assert parse_flow_file(spaces)[0] is not None
    file, (found,) = parse_flow_file(text_of(inputs={"a": "ä" * 530_000}))
    assert (file, found.code) == (None, "too_large")
    file, (found,) = parse_flow_file(spaces + " " * MAX_FILE_BYTES)
    assert (file, found.code) == (None, "too_large")


@pytest.mark.parametrize("value", [[{"id": n, "v": 1} for n in range(48_000)], "line\n" * 150_000])
def test_what_was_written_as_a_file_is_read_again(value):
    document = Document.model_validate_json(text_of(inputs={"a": value}))
    assert len(document.dumps()) < MAX_BYTES
    written = FlowFile(title="Flow", description="", document=document)
    assert parse_flow_file(written.dumps()) == (written, [])
