"""Grows flows as a person does with the + of the canvas: after an output, or in the middle of a connection."""

from __future__ import annotations

import random

from engine.flow.document import Document, Position
from engine.flow.edits import add_node, apply_ops
from engine.nodes import CATALOG

KINDS = (
    "prompt",
    "page_scraper",
    "set_fields",
    "website_mapper",
    "condition",
    "condition",
    "array_splitter",
    "array_splitter",
    "array_flatten",
)
#: How often a node is put into a connection.
_BETWEEN = 0.35


def grown(seed: int, steps: int) -> Document:
    """An API Input and so many further nodes."""
    dice = random.Random(seed)
    document = apply_ops(Document(), add_node(Document(), CATALOG["api_input"], CATALOG)[1])
    for _ in range(steps):
        kind = CATALOG[dice.choice(KINDS)]
        if document.edges and dice.random() < _BETWEEN:
            ops = add_node(document, kind, CATALOG, between=dice.choice(document.edges).id)[1]
        else:
            left = {(edge.source, edge.source_port) for edge in document.edges}
            ways = [(node.id, port) for node in document.nodes for port in CATALOG[node.type].ports]
            after, port = dice.choice([way for way in ways if way not in left] or ways)
            ops = add_node(document, kind, CATALOG, after=after, port=port)[1]
        document = apply_ops(document, ops)
    return document


def without_places(document: Document) -> Document:
    """The flow as a file without positions holds it."""
    nodes = tuple(node.model_copy(update={"position": Position()}) for node in document.nodes)
    return document.model_copy(update={"nodes": nodes})
