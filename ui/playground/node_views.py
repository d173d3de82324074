"""What the canvas must know of every node type, derived from the node files."""

from __future__ import annotations

from engine.flow.node_type import GROUPS
from engine.nodes import NODE_TYPES
from ui.playground.canvas_element import NodeTypeView

NODE_VIEWS: dict[str, NodeTypeView] = {
    kind.type: NodeTypeView(
        title=kind.title,
        icon=kind.icon,
        group=kind.group,
        tooltip=kind.tooltip,
        ports=list(kind.ports),
        accepts_input=kind.accepts_input,
        single=kind.type in {"api_input", "api_output"},
        group_title=GROUPS[kind.group],
    )
    for kind in NODE_TYPES
}
