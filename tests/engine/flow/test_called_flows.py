"""Problems with a call of another flow, found before anything runs."""

from engine.flow.called_flows import Callee, call_problems, newer_version, pinned, unpinned
from engine.flow.document import Document
from engine.flow.validation import deploy_problems
from engine.nodes import CATALOG

FIELDS = [{"name": "word", "type": "string", "required": True}, {"name": "mark", "type": "string"}]


def calling(*flow_ids, inputs=None):
    """A flow with a call of each of these flows."""
    nodes = [{"id": "api_input", "type": "api_input", "config": {"fields": FIELDS}}]
    for number, flow_id in enumerate(flow_ids, 1):
        given = {"word": "{{ api_input.out.word }}"} if inputs is None else inputs
        nodes.append({"id": f"call_{number}", "type": "call_flow", "config": {"flow_id": flow_id}, "inputs": given})
    edges = [
        {"id": f"e{number}", "source": nodes[number - 1]["id"], "target": node["id"]}
        for number, node in enumerate(nodes)
        if number
    ]
    return Document.model_validate({"format": 1, "nodes": nodes, "edges": edges})


def library(**documents):
    return {
        flow_id: Callee(flow_id, flow_id.title(), None if document is None else 3, document or Document())
        for flow_id, document in documents.items()
    }


def codes(document, **documents):
    return [(one.code, one.node_id, one.pointer) for one in call_problems(document, "me", library(**documents))]


PLAIN = calling()


def test_a_call_with_its_fields_has_no_problem():
    assert codes(calling("a"), a=PLAIN) == []
    assert deploy_problems(calling("a"), CATALOG) == []


def test_a_required_field_without_value_and_a_field_that_is_not_there_are_told_at_their_place():
    found = codes(calling("a", inputs={"word": " ", "wrod": 1}), a=PLAIN)
    assert found == [("input_missing", "call_1", "/inputs/word"), ("unknown_field", "call_1", "/inputs/wrod")]


def test_a_flow_that_is_not_there_or_was_never_saved_is_told():
    assert codes(calling("a")) == [("unknown_flow", "call_1", "/config/flow_id")]
    assert codes(calling("a"), a=None) == [("flow_not_saved", "call_1", "/config/flow_id")]


def test_no_flow_chosen_stops_a_deployment_but_no_import():
    (problem,) = deploy_problems(calling(""), CATALOG)
    assert (problem.code, problem.blocks_import) == ("setting_missing", False)


def test_a_flow_that_calls_itself_is_refused_with_the_circle_named():
    assert codes(calling("me"), me=PLAIN)[0][0] == "calls_itself"
    (problem,) = call_problems(calling("a"), "me", library(a=calling("b"), b=calling("me"), me=calling("a")))
    assert problem.code == "calls_itself"
    assert "Me → A → B → Me" in problem.message
    (problem,) = call_problems(calling("a"), "me", library(a=calling("b"), b=calling("a")))
    assert "A → B → A" in problem.message


def test_calling_one_flow_twice_is_no_circle():
    assert codes(calling("a", "b"), a=calling("b"), b=PLAIN) == []


def test_six_calls_in_one_another_are_one_too_many():
    chain = {f"f{number}": calling(f"f{number + 1}") for number in range(1, 6)}
    assert codes(calling("f2"), **chain, f6=PLAIN) == []
    assert codes(calling("f1"), **chain, f6=PLAIN) == [("calls_too_deep", "call_1", "/config/flow_id")]


def test_parked_calls_do_not_count():
    document = calling("a")
    assert codes(document.model_copy(update={"edges": ()})) == []


def test_deploying_fixes_the_version_and_the_canvas_has_none():
    fixed = pinned(calling("a", "b"), library(a=PLAIN))
    assert [node.config.get("version") for node in fixed.nodes] == [None, 3, None]
    assert unpinned(fixed) == calling("a", "b")


def test_a_newer_version_is_known_beside_the_live_one():
    node = calling("a").nodes[1]
    assert newer_version(node, 2, library(a=PLAIN)) == 3
    assert newer_version(node, 3, library(a=PLAIN)) is None
    assert newer_version(node, None, library(a=PLAIN)) is None
