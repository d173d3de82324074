"""What callers notice when one version replaces another: fields, result, and what is inside groups and lists."""

import pytest

from engine.flow.caller_changes import caller_changes
from engine.nodes import CATALOG
from tests.engine.flow.letters import flow

A = {"name": "a", "type": "string"}

CHANGES = [
    ((A,), (A,), []),
    ((A,), (A, {"name": "b", "required": True}), [("breaking", "b")]),
    ((A,), (A, {"name": "b"}), [("harmless", "b")]),
    ((A,), (), [("breaking", "a")]),
    ((A,), ({**A, "type": "integer"},), [("breaking", "a")]),
    (({**A, "type": "integer"},), ({**A, "type": "number"},), []),
    ((A,), ({**A, "required": True},), [("breaking", "a")]),
    (({**A, "required": True},), (A,), [("harmless", "a")]),
    ((A,), ({**A, "enum": ["x"]},), [("breaking", "a")]),
    (({**A, "enum": ["x"]},), ({**A, "enum": ["x", "y"]},), []),
    ((A,), ({**A, "max_length": 3},), [("breaking", "a")]),
    (({**A, "max_length": 3},), ({**A, "max_length": 5},), []),
    ((A,), ({**A, "default": "z"},), [("careful", "a")]),
    ((A,), ({**A, "pattern": "^a"},), [("breaking", "a")]),
    (({**A, "pattern": "^a"},), ({**A, "pattern": "^a"},), []),
    (({**A, "pattern": "^a"},), (A,), []),
    ((A,), ({**A, "format": "uri"},), [("breaking", "a")]),
    (({**A, "format": "uri"},), ({**A, "format": "uri"},), []),
]


@pytest.mark.parametrize(("before", "after", "expected"), CHANGES)
def test_what_callers_notice(before, after, expected):
    changes = caller_changes(flow(*before), flow(*after), CATALOG)
    assert [(change.weight, change.field) for change in changes] == expected


def test_a_result_field_that_goes_away_is_breaking():
    output = {"id": "o", "type": "api_output", "inputs": {"text": "{{ t.out }}"}}
    before = flow(A, extra=[output])
    before = before.model_copy(
        update={"edges": (*before.edges, before.edges[0].model_copy(update={"id": "e2", "source": "t", "target": "o"}))}
    )
    assert [change.sentence for change in caller_changes(before, flow(A), CATALOG)] == [
        "The result no longer has `text`.",
        "The result also has `output`.",
    ]


def group(*parts):
    return {"name": "g", "type": "object", "fields": list(parts)}


def rows(*parts):
    return {"name": "rows", "type": "array", "items": {"type": "object", "fields": list(parts)}}


def answering(*fields):
    """A flow whose model answers with these fields, all of which are the result."""
    prompt = {"id": "ask", "type": "prompt", "inputs": {"prompt": "x"}, "config": {"output_fields": list(fields)}}
    output = {
        "id": "o",
        "type": "api_output",
        "inputs": {field["name"]: f"{{{{ ask.out.{field['name']} }}}}" for field in fields},
    }
    before = flow(A, extra=[prompt, output])
    edges = [("api_input", "ask"), ("ask", "o")]
    return before.model_copy(
        update={
            "nodes": tuple(node for node in before.nodes if node.id != "t"),
            "edges": tuple(
                before.edges[0].model_copy(update={"id": f"e{at}", "source": source, "target": target})
                for at, (source, target) in enumerate(edges)
            ),
        }
    )


NUMBER = {"name": "b", "type": "number"}
INSIDE = [
    ([rows(A, NUMBER)], [rows(A)], "breaking", "The field `b` in each item of `rows` is gone. Calls that send it are"),
    ([rows(A)], [rows(A, NUMBER)], "harmless", "New field `b` in each item of `rows`, which may be left out."),
    ([group(A)], [group(A, {**NUMBER, "required": True})], "breaking", "New required field `b` in `g`. Calls without"),
    ([group(A)], [group({**A, "type": "boolean"})], "breaking", "`a` in `g` must now be yes or no; it was text."),
    ([group()], [group(A)], "breaking", "`g` took any parts; it now takes these only: `a`."),
    ([group(A)], [group()], "harmless", "`g` now takes any parts."),
    ([{**rows(A), "items": {"type": "string"}}], [rows(A)], "breaking", "Each item of `rows` must now be a group; it"),
    ([group(rows(A))], [group(rows(NUMBER))], "breaking", "The field `a` in each item of `rows` in `g` is gone."),
    ([{"name": "f", "type": "file"}], [{"name": "f", "type": "file", "file_kinds": ["pdf"]}], "breaking", "`f` takes"),
]


@pytest.mark.parametrize(("before", "after", "weight", "said"), INSIDE)
def test_what_callers_send_is_compared_inside_groups_and_lists(before, after, weight, said):
    first = caller_changes(flow(*before), flow(*after), CATALOG)[0]
    assert (first.weight, first.field) == (weight, before[0]["name"])
    assert first.sentence.startswith(said)
    # Calls that do not send the group or the list are not affected.
    assert first.sent_now_refused == (weight == "breaking")
    assert not first.missing_now_refused


REQUIRED = {"required": True}
RESULTS = [
    ([rows(A, NUMBER)], [rows(A)], "breaking", "The result no longer has `b` in each item of `rows`."),
    ([rows(A)], [rows(A, NUMBER)], "harmless", "The result also has `b` in each item of `rows`."),
    (
        [rows(A)],
        [rows({**A, "type": "integer"})],
        "breaking",
        "In the result, `a` in each item of `rows` is now a whole",
    ),
    (
        [group(rows(A))],
        [group(rows(NUMBER))],
        "breaking",
        "The result no longer has `a` in each item of `rows` in `g`.",
    ),
    ([{**A, **REQUIRED}], [A], "careful", "In the result, `a` may now be empty."),
    (
        [rows(A)],
        [{"name": "rows", "type": "array"}],
        "careful",
        "In the result, each item of `rows` may now be anything",
    ),
    ([group(A)], [group()], "careful", "In the result, `g` may now have any parts."),
    ([rows(A)], [{**A, "name": "rows"}], "breaking", "In the result, `rows` is now text or empty; it was a list or"),
]


@pytest.mark.parametrize(("before", "after", "weight", "said"), RESULTS)
def test_what_callers_get_is_compared_inside_groups_and_lists(before, after, weight, said):
    first = caller_changes(answering(*before), answering(*after), CATALOG)[0]
    assert (first.weight, first.field) == (weight, None)
    assert first.sentence.startswith(said)


def test_a_result_that_only_became_narrower_is_no_change():
    before, after = answering(NUMBER, A), answering({**NUMBER, "type": "integer"}, {**A, **REQUIRED})
    assert caller_changes(before, after, CATALOG) == ()


def test_a_large_bound_is_written_out():
    (change,) = caller_changes(
        flow({**A, "type": "integer"}), flow({**A, "type": "integer", "maximum": 1_234_567}), CATALOG
    )
    assert "largest 1234567" in change.sentence


def test_a_default_is_said_in_words():
    (change,) = caller_changes(flow(A), flow({**A, "default": "z"}), CATALOG)
    assert change.sentence == 'When `a` is left out, it is now `"z"`.'
    (change,) = caller_changes(flow({**A, "default": "z"}), flow(A), CATALOG)
    assert change.sentence == "When `a` is left out, it is now empty."
