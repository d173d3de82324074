"""Whether a flow asks a person. Pure code."""

from __future__ import annotations

from engine.flow.document import Document, Node
from engine.flow.node_type import Catalog
from engine.flow.validation import without_parked


def asks_person(document: Document, catalog: Catalog) -> bool:
    """True when a step of the flow itself asks a person; `asks_person_anywhere` looks into the flows that it calls, too."""
    return any(_asks(node, catalog) for node in without_parked(document).nodes)


def _asks(node: Node, catalog: Catalog) -> bool:
    kind = catalog.get(node.type)
    return kind is not None and kind.asks_person is not None and kind.asks_person(node.config)
