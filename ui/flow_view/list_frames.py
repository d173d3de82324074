"""Lists on the canvas: the frame round the nodes that run once per item, and which Splitter a node's items come from. No NiceGUI here."""

from __future__ import annotations

from engine.flow.document import Document
from engine.flow.graph import Graph
from engine.flow.lists import ListScopes
from ui.flow_view.canvas_types import ListScope
from ui.kit.text import _


def frames_of(document: Document) -> list[ListScope]:
    """A frame for every Array Splitter that something comes after, the outer ones first."""
    scopes = ListScopes(document, Graph(document))
    names = {node.id: node.name for node in document.nodes}
    inside: dict[str, list[str]] = {}
    for node in document.nodes:
        kept = scopes.gives[node.id]
        for splitter in scopes.around[node.id]:
            if splitter in kept:  # the Flatten that ends the list stands outside
                inside.setdefault(splitter, []).append(node.id)
    ordered = sorted(inside, key=lambda splitter: len(scopes.around[splitter]))
    return [
        ListScope(id=splitter, nodes=inside[splitter], label=f"{_('For each item of')} {names[splitter]}")
        for splitter in ordered
    ]


def lists_of(document: Document) -> dict[str, str]:
    """Node -> the innermost Splitter whose items it runs for; nodes that run once are not in it."""
    scopes = ListScopes(document, Graph(document))
    found = {}
    for node in document.nodes:
        around = scopes.gives[node.id] if scopes.closes(node.id) else scopes.around[node.id]
        if around:
            found[node.id] = around[-1]
    return found
