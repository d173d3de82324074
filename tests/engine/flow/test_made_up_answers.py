"""Which steps answer with the made-up text of the Simulated model."""

from __future__ import annotations

from engine.flow.called_flows import Callee
from engine.flow.document import Document
from engine.flow.made_up_answers import made_up_steps


def flow(*nodes):
    return Document.model_validate(
        {
            "nodes": [{"id": "api_input", "type": "api_input"}, *nodes],
            "edges": [
                {"id": f"e{place}", "source": "api_input", "target": node["id"]}
                for place, node in enumerate(nodes)
                if node["id"] != "parked"
            ],
        }
    )


def prompt(node_id, model):
    return {"id": node_id, "type": "prompt", "label": node_id.title(), "config": {"model": model}}


def call(node_id, flow_id):
    return {"id": node_id, "type": "call_flow", "label": node_id.title(), "config": {"flow_id": flow_id}}


def library(**documents):
    return {flow_id: Callee(flow_id, flow_id, 1, document) for flow_id, document in documents.items()}


def test_connected_steps_with_the_simulated_model_are_named_in_order():
    document = flow(prompt("sort", "simulated"), prompt("sum", "Mine:gpt"), prompt("parked", "simulated"))
    assert [(step.node_id, step.name, step.called) for step in made_up_steps(document, {})] == [("sort", "Sort", False)]


def test_a_call_counts_when_the_called_flow_or_one_that_it_calls_makes_answers_up():
    known = library(
        flow_a=flow(call("next", "flow_b")), flow_b=flow(prompt("p", "simulated")), flow_c=flow(call("again", "flow_c"))
    )
    document = flow(call("ask", "flow_a"), call("other", "flow_c"), call("gone", "flow_x"))
    assert [(step.node_id, step.called) for step in made_up_steps(document, known)] == [("ask", True)]
