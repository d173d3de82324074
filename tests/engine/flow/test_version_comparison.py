"""The differences between two versions, for the designer."""

from engine.flow.document import Document
from engine.flow.version_comparison import answers_may_differ, compare_documents, draft_changes
from tests.engine.flow.letters import flow

A = {"name": "a", "type": "string"}


def test_what_the_designer_changed():
    comparison = compare_documents(
        flow(A), flow(A, template="y", extra=[{"id": "s", "type": "set_fields", "label": "Pack"}])
    )
    assert [(change.kind, change.name) for change in comparison.nodes] == [("changed", "Letter"), ("added", "Pack")]
    assert comparison.nodes[0].differences[0].where == "inputs/template"
    assert comparison.sentence == "1 change in Letter, Pack added"


def test_moving_a_node_is_no_change():
    before = flow(A)
    moved = before.model_copy(
        update={
            "nodes": tuple(
                node.model_copy(update={"position": node.position.model_copy(update={"x": 99})})
                for node in before.nodes
            )
        }
    )
    assert compare_documents(before, moved).same


def test_a_draft_is_compared_by_content_only():
    version = flow(A, extra=[{"id": "c", "type": "call_flow", "config": {"flow_id": "flow_1", "version": 3}}])
    draft = flow(
        A, extra=[{"id": "c", "type": "call_flow", "position": {"x": 9, "y": 9}, "config": {"flow_id": "flow_1"}}]
    )
    joined = {"edges": (*draft.edges, draft.edges[0].model_copy(update={"id": "e2", "source": "t", "target": "c"}))}
    parked = {"nodes": (*draft.nodes, draft.nodes[1].model_copy(update={"id": "p", "label": "Not connected"}))}
    version, draft = version.model_copy(update=joined), draft.model_copy(update=joined | parked)

    assert draft_changes(version, draft).same
    assert not compare_documents(version, draft).same
    assert draft_changes(flow(A), flow(A, template="y")).sentence == "1 change in Letter"


def test_answers_may_differ_when_a_step_does_something_else():
    sampled = flow(A).model_dump()
    sampled["nodes"][0]["config"]["samples"] = [{"title": "One", "payload": {}}]
    sampled["nodes"][1]["label"] = "Another name"
    assert not answers_may_differ(flow(A), Document.model_validate(sampled))
    assert answers_may_differ(flow(A), flow(A, template="y"))
