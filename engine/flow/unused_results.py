"""Finds a step that works for nothing: it only gives data, and no step after it reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from engine.flow.branches import Branches, branches_of
from engine.flow.document import Document, Node
from engine.flow.graph import SOURCES, Graph
from engine.flow.node_type import Catalog, NodeType
from engine.flow.output_schemas import FIRST_VALUE
from engine.flow.reference_edits import references_of
from engine.flow.validation import without_parked
from engine.flow.ways import other_side

#: Types that only give data, beside those whose steps are repeatable. Others may be there for what they do: they send,
#: save or ask.
_GIVES_ONLY: Final = frozenset({"page_scraper", "prompt", "read_document", "search_knowledge", "website_mapper"})
#: Types with a text that is made of data, and where it is. API Output takes what none of them does.
_TEXTS: Final = {
    "prompt": "/inputs/prompt",
    "agent": "/inputs/message",
    "text_template": "/inputs/template",
    "api_output": "/inputs",
}


class UnusedResult(Struct, frozen=True):
    """A step whose data nobody reads, and the later step and its field where they are likely meant to be used."""

    step: Node
    reader: Node
    pointer: str


def unused_result(document: Document, catalog: Catalog) -> UnusedResult | None:
    """Returns the first such step in the order of the flow; None also while the flow has a cycle."""
    used = without_parked(document)
    graph = Graph(used)
    if graph.cycles or len(graph.ids) != len(used.nodes):
        return None
    nodes = {node.id: node for node in used.nodes}
    kinds = {node.id: kind for node in used.nodes if (kind := catalog.get(node.type)) is not None}
    read = {one for node in used.nodes for one in _read_by(node, kinds.get(node.id), graph)}
    branches: Branches | None = None
    for node_id in graph.order:
        step, kind = nodes[node_id], kinds.get(node_id)
        gives_only = kind is not None and (kind.is_repeatable or step.type in _GIVES_ONLY)
        if not gives_only or step.type in SOURCES or node_id in read:
            continue
        pointers = {one: _TEXTS.get(nodes[one].type) for one in graph.descendants(node_id)}
        branches = branches or branches_of(used)
        pointers |= dict.fromkeys(_joining(branches, node_id), "/inputs/values")
        for one in graph.order:
            if pointer := pointers.get(one):
                return UnusedResult(step, nodes[one], pointer)
    return None


def _joining(branches: Branches, node_id: str) -> Iterator[str]:
    """Yields each First Value after a step on one side of a Condition into which the other side leads too."""
    others = {(condition, other_side(port)) for condition, port in branches.only_on[node_id]}
    after = branches.graph.descendants(node_id)
    for edge in branches.graph.edges:
        from_sides = branches.only_on[edge.source] | {(edge.source, edge.source_port)}
        if (
            edge.target in after
            and branches.nodes[edge.target].type == FIRST_VALUE
            and not others.isdisjoint(from_sides)
        ):
            yield edge.target


def _read_by(node: Node, kind: NodeType | None, graph: Graph) -> Iterator[str]:
    """Yields the steps whose data a step reads: by a reference, or because its own input is empty."""
    if kind is None or (kind.source_input is not None and node.inputs.get(kind.source_input) is None):
        yield from graph.parents[node.id]
    if kind is not None:
        yield from (reference.node_id for _pointer, reference in references_of(node, kind))
