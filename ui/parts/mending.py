"""The buttons that mend a problem or a warning of a flow. Imports no NiceGUI."""

from __future__ import annotations

from engine.core.errors import Problem
from engine.flow.collecting import answer_collected_ops, collect_before_ops, may_answer_collected, may_collect_before
from engine.flow.document import Document, Node, Position
from engine.flow.edits import Op, add_node, new_edge, update_node
from engine.flow.flow_warnings import FlowWarning, mending_ops
from engine.flow.node_places import STEP_X, with_places
from engine.flow.node_type import Catalog
from engine.flow.validation import without_parked
from engine.outbound.written_addresses import with_scheme
from ui.kit.text import _

#: The codes of the problems that an answer with the collected list mends.
COLLECTED = frozenset({"final_in_list", "across_list"})
_NO_INPUT = "no_api_input"


def with_button(problem: Problem, document: Document) -> FlowWarning:
    """Returns a problem with the label of the button that mends it; "" when no button can."""
    node_id = problem.node_id or ""
    verb = ""
    if problem.code == "final_in_list" and may_collect_before(document, node_id):
        verb = _("Put “Collect into a list” before it")
    elif problem.code == "across_list" and may_answer_collected(document, node_id):
        verb = _("Answer with the collected list")
    elif problem.code == _NO_INPUT and (_beginnings(document) or not document.nodes):
        verb = _("Add an API Input")
    elif _full_address(problem, document):
        verb = _("Put https:// in front")
    return FlowWarning(problem, verb)


def ops_to_mend(problem: Problem, document: Document, catalog: Catalog) -> list[Op]:
    """Returns the operations behind the button; empty when a person has to decide, in the field of the problem."""
    node = document.node(problem.node_id) if problem.node_id else None
    meant = _full_address(problem, document)
    if node is not None and meant is not None:
        return [update_node(node, inputs={**node.inputs, "url": meant})]
    if problem.code == _NO_INPUT:
        return _input_before_all(document, catalog)
    if problem.code == "final_in_list":
        return collect_before_ops(document, problem.node_id or "", catalog)
    if problem.code == "across_list":
        return answer_collected_ops(document, problem.node_id or "", catalog)
    return mending_ops(document, catalog, problem)


def _input_before_all(document: Document, catalog: Catalog) -> list[Op]:
    places = [node.position for node in _beginnings(with_places(document, catalog))]
    first = min(places, key=lambda one: one.x, default=None)
    left = Position.near(first.x - STEP_X, first.y) if first else None
    node_id, ops = add_node(document, catalog["api_input"], catalog, position=left)
    led = {op["edge"]["target"] for op in ops if op["op"] == "addEdge"}
    return [
        *ops,
        *(
            {"op": "addEdge", "edge": new_edge(node_id, one.id, "out")}
            for one in _beginnings(document)
            if one.id not in led
        ),
    ]


def _beginnings(document: Document) -> list[Node]:
    """The first steps of a flow without API Input. Steps that its rows do not reach are left out."""
    used = without_parked(document)
    after = {edge.target for edge in used.edges}
    return [node for node in used.nodes if node.id not in after]


def _full_address(problem: Problem, document: Document) -> str | None:
    node = document.node(problem.node_id) if problem.code == "bad_address" and problem.node_id else None
    url = node.inputs.get("url") if node is not None else None
    return with_scheme(url) if isinstance(url, str) else None
