"""What a flow refers to outside its document: problems and marks are computed from what was read last."""

from __future__ import annotations

from dataclasses import replace

from engine.flow.document import Document
from engine.nodes.known_datasets import KnownDataset
from engine.outbound.allow_list import OutboundRules, parse_allow_list
from tests.factories import document, greeting
from ui.playground.state.called_flows import CalledFlows
from ui.playground.state.dependencies import FlowDependencies

NOTHING = FlowDependencies("flow_1", {}, (), (), (), CalledFlows())
GOODS = KnownDataset("dataset_1", "Goods", {"price": "number"})


def flow(kind: str, **config: object) -> Document:
    """A flow with one more node, which refers to something outside the document."""
    file = greeting()
    node = {"id": "asks", "type": kind, "config": config}
    edge = {"id": "e2", "source": "text_template", "target": "asks"}
    return document({**file, "nodes": [*file["nodes"], node], "edges": [*file["edges"], edge]})


def codes(known: FlowDependencies, asked: Document) -> set[str]:
    return {problem.code for problem in known.analyse(asked).problems}


def test_an_empty_canvas_has_no_problem() -> None:
    assert NOTHING.analyse(Document()).problems == []


def test_a_dataset_that_is_not_there_is_a_problem_on_its_node_and_looked_up_again() -> None:
    asked = flow("dataset_sink", dataset="Goods")
    known = replace(NOTHING, datasets=(GOODS,))

    assert "no_dataset" in codes(NOTHING, asked)
    assert "no_dataset" not in codes(known, asked)
    assert NOTHING.analyse(asked).marks["asks"]["problems"] == known.analyse(asked).marks["asks"]["problems"] + 1
    assert (NOTHING.covers(asked), known.covers(asked)) == (False, True)


def test_a_connection_that_is_not_there_is_a_problem() -> None:
    asked = flow("prompt", model="Office:gpt-5", prompt="Hello")

    assert "no_connection" in codes(NOTHING, asked)
    assert "no_connection" not in codes(replace(NOTHING, connections={"Office": "openai"}), asked)


def test_the_columns_of_a_dataset_are_data_on_offer() -> None:
    known = replace(NOTHING, datasets=(GOODS,))

    assert known.catalog is not NOTHING.catalog
    assert known.catalog is known.catalog


def test_an_address_that_can_never_be_opened_is_a_problem_on_its_node_by_the_rules_of_the_server() -> None:
    file = greeting()
    node = {"id": "reads", "type": "page_scraper", "inputs": {"url": "http://localhost:8080/"}}
    edge = {"id": "e2", "source": "text_template", "target": "reads"}
    asked = document({**file, "nodes": [*file["nodes"], node], "edges": [*file["edges"], edge]})
    known = replace(NOTHING, rules=OutboundRules())

    assert "bad_address" in codes(known, asked)
    assert "bad_address" not in codes(replace(NOTHING, rules=OutboundRules(parse_allow_list("localhost:8080"))), asked)
    assert known.analyse(asked).marks["reads"]["problems"] == NOTHING.analyse(asked).marks["reads"]["problems"] + 1
