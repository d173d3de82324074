"""The steps that take the whole answer of a node, which is a group once it has output fields. Imports no NiceGUI."""

from __future__ import annotations

from collections.abc import Sequence

from engine.flow.document import Document
from engine.flow.edits import Op, update_node
from engine.flow.node_type import Catalog
from engine.flow.reference_edits import change_references
from engine.flow.references import Reference


def whole_readers(document: Document, node_id: str, catalog: Catalog) -> list[str]:
    """Returns the names of the steps that take the whole answer."""
    nodes = {node.id: node.name for node in document.nodes}
    return [nodes[str(op["id"])] for op in use_field_ops(document, node_id, "field", catalog)]


def use_field_ops(document: Document, node_id: str, field: str, catalog: Catalog) -> Sequence[Op]:
    """Returns the operations that let these steps take a field of the answer in place of the whole one."""
    whole, part = Reference(node_id, "out"), Reference(node_id, "out", (field,))
    ops: list[Op] = []
    for node in document.nodes:
        if (kind := catalog.get(node.type)) is None:
            continue
        inputs = change_references(node, kind, lambda one: part if one == whole else None)
        if inputs != node.inputs:
            ops.append(update_node(node, inputs=inputs))
    return ops
