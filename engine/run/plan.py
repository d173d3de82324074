"""What a version compiles to, once: nodes in order, who waits for whom, which nodes are final."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import FlowInvalid
from engine.flow.contract import final_nodes
from engine.flow.document import Document, Edge, Node
from engine.flow.graph import Graph
from engine.flow.node_type import Catalog, NodeType
from engine.flow.validation import problems, without_parked


@dataclass(frozen=True)
class PlannedNode:
    """A node with its type and its edges."""

    node: Node
    type: NodeType
    incoming: tuple[Edge, ...]
    outgoing: tuple[Edge, ...]

    @property
    def timeout_seconds(self) -> float:
        """One try's limit: the node's own, else its type's."""
        return self.node.policy.timeout_seconds or self.type.limit_for(self.node.config)


@dataclass(frozen=True)
class Plan:
    """A runnable flow without its parked nodes."""

    document: Document
    nodes: dict[str, PlannedNode]
    order: tuple[str, ...]
    output: str | None
    final: str | None

    @property
    def steps_total(self) -> int:
        """How many steps a run has when no node runs per item."""
        return len(self.nodes)

    def until(self, node_id: str) -> frozenset[str]:
        """The node and all it needs."""
        return frozenset({node_id, *Graph(self.document).ancestors(node_id)})


#: Problems that a trial run in the Playground may have: they concern callers, not the run itself.
_ONLY_FOR_DEPLOY = frozenset({"no_api_input", "no_processing_node", "several_final_nodes"})


def compile_plan(document: Document, catalog: Catalog, *, trial: bool = False) -> Plan:
    """The plan of a document. Raises FlowInvalid with every problem; a `trial` needs no deployable whole."""
    whole = without_parked(document)
    found = [
        problem
        for problem in problems(whole, catalog)
        if not trial or (problem.code not in _ONLY_FOR_DEPLOY and problem.code != "input_missing")
    ]
    if found:
        raise FlowInvalid(found)
    graph = Graph(whole)
    nodes = {
        node.id: PlannedNode(
            node,
            catalog[node.type],
            tuple(edge for edge in graph.edges if edge.target == node.id),
            tuple(edge for edge in graph.edges if edge.source == node.id),
        )
        for node in whole.nodes
    }
    output = next((node.id for node in whole.nodes if node.type == "api_output"), None)
    final = final_nodes(whole)
    return Plan(whole, nodes, graph.order, output, final[0] if len(final) == 1 else None)
