"""Places the nodes of flows that have no positions: in columns by their order, with the spacing of the canvas."""

from __future__ import annotations

from engine.flow.document import Document, Position
from engine.flow.edits import STEP_X, STEP_Y
from engine.flow.graph import Graph


def with_places(document: Document) -> Document:
    """Returns the document with its nodes spread out when all have the same position; otherwise unchanged."""
    if len({(node.position.x, node.position.y) for node in document.nodes}) > 1 or len(document.nodes) < 2:
        return document
    graph = Graph(document)
    column: dict[str, int] = dict.fromkeys(graph.ids, 0)
    for node_id in graph.order:
        column[node_id] = max((column[parent] + 1 for parent in graph.parents[node_id]), default=0)
    rows: dict[int, int] = {}
    places: dict[str, Position] = {}
    for node_id in graph.ids:
        row = rows.get(column[node_id], 0)
        rows[column[node_id]] = row + 1
        places[node_id] = Position(x=column[node_id] * STEP_X, y=row * STEP_Y)
    nodes = tuple(node.model_copy(update={"position": places[node.id]}) for node in document.nodes)
    return document.model_copy(update={"nodes": nodes})
