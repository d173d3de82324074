"""Finds a step that works for nothing: it only gives data, and no step after it reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from engine.flow.document import Document, Node
from engine.flow.graph import SOURCES, Graph
from engine.flow.node_type import Catalog, NodeType
from engine.flow.reference_edits import references_of
from engine.flow.validation import without_parked

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
    for node_id in graph.order:
        step, kind = nodes[node_id], kinds.get(node_id)
        gives_only = kind is not None and (kind.is_repeatable or step.type in _GIVES_ONLY)
        if not gives_only or step.type in SOURCES or node_id in read:
            continue
        after = graph.descendants(node_id)
        reader = next((nodes[one] for one in graph.order if one in after and nodes[one].type in _TEXTS), None)
        if reader is not None:
            return UnusedResult(step, reader, _TEXTS[reader.type])
    return None


def _read_by(node: Node, kind: NodeType | None, graph: Graph) -> Iterator[str]:
    """Yields the steps whose data a step reads: by a reference, or because its own input is empty."""
    if kind is None or (kind.source_input is not None and node.inputs.get(kind.source_input) is None):
        yield from graph.parents[node.id]
    if kind is not None:
        yield from (reference.node_id for _pointer, reference in references_of(node, kind))
