"""What the canvas needs to know about every node type, derived from the node types of the engine."""

from __future__ import annotations

from collections.abc import Mapping

from engine.flow.document import Document
from engine.flow.node_type import GROUPS, NodeType
from engine.flow.reference_labels import data_names, text_in_words
from engine.flow.step_list import SINGLE
from engine.nodes import CATALOG, NODE_TYPES
from ui.flow_view.canvas_types import NodeName, NodeTypeView


def view_of(kind: NodeType) -> NodeTypeView:
    """A node type in the form that the canvas takes."""
    return NodeTypeView(
        title=kind.title,
        icon=kind.icon,
        group=kind.group,
        tooltip=kind.tooltip,
        synonyms=kind.synonyms,
        ports=list(kind.ports),
        accepts_input=kind.accepts_input,
        single=kind.type in SINGLE,
        group_title=GROUPS[kind.group],
    )


def names_of(document: Document, deleted: Mapping[str, str] | None = None) -> dict[str, NodeName]:
    """What chips show of each node, by its id. `deleted`: what nodes were called that are not there any more."""
    called = data_names(document)
    return {node_id: NodeName(label=name, icon="link_off") for node_id, name in (deleted or {}).items()} | {
        node.id: NodeName(label=called[node.id], icon=kind.icon if (kind := CATALOG.get(node.type)) else "help")
        for node in document.nodes
    }


def labels_of(document: Document) -> dict[str, str]:
    """Node id -> label."""
    return {node.id: node.name for node in document.nodes}


def readable(text: str, document: Document) -> str:
    """A binding with its references in words: `Summarise › facts`."""
    return text_in_words(text, data_names(document))


NODE_VIEWS: dict[str, NodeTypeView] = {kind.type: view_of(kind) for kind in NODE_TYPES}
