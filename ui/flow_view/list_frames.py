"""Lists on the canvas: the frames around nodes that run once per item, and the Splitter of each node.

Imports no NiceGUI.
"""

from __future__ import annotations

from engine.flow.document import Document
from engine.flow.graph import Graph
from engine.flow.lists import ListScopes
from ui.flow_view.canvas_types import ListScope
from ui.kit.text import _


def frames_of(document: Document) -> list[ListScope]:
    """A frame for every Splitter that has nodes after it, outer frames first."""
    names = {node.id: node.name for node in document.nodes}
    inside = ListScopes(document, Graph(document)).frames()
    return [
        ListScope(id=splitter, nodes=members, label=frame_label(names[splitter]))
        for splitter, members in inside.items()
    ]


def frame_label(name: str) -> str:
    """The heading of a frame. A node that still has the name of its type says the same already."""
    said = _("For each item")
    return name if name.startswith(said) else _("For each item of {name}").format(name=name)


def lists_of(document: Document) -> dict[str, str]:
    """Node -> the innermost Splitter whose items it runs for. Nodes that run once are left out."""
    scopes = ListScopes(document, Graph(document))
    found = {}
    for node in document.nodes:
        around = scopes.gives[node.id] if scopes.closes(node.id) else scopes.around[node.id]
        if around:
            found[node.id] = around[-1]
    return found
