"""The JSON Schema of a node's output: for the data on offer in forms, and for the check that a reference names a known
field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from engine.flow.document import Document, Node
from engine.flow.node_context import JsonSchema
from engine.flow.node_type import Catalog, NodeType
from engine.flow.references import Reference, split_text

ANYTHING: Final[JsonSchema] = {}


#: How many nodes that pass data on are followed; the output of what is further away counts as unknown.
_FURTHEST = 12


def out_schema(node: Node, catalog: Catalog, document: Document | None = None) -> JsonSchema:
    """Returns the schema of a node's `out`; `{}` when the output can be anything, or when its settings are invalid.

    With the document, the schemas of nodes that pass data on (a Splitter, a Condition) follow from the nodes
    before them.
    """
    node_type = catalog.get(node.type)
    if document is not None and node_type is not None and node_type.out_from is not None:
        return _SchemaFinder(document, catalog).out(node)
    return _own_schema(node, catalog)


def _own_schema(node: Node, catalog: Catalog) -> JsonSchema:
    node_type = catalog.get(node.type)
    if node_type is None:
        return ANYTHING
    try:
        return node_type.out_schema(node.config, node.inputs) or ANYTHING
    except (TypeError, ValueError, KeyError, AttributeError):
        return ANYTHING  # invalid settings, which validation reports


class _SchemaFinder:
    """Follows nodes that pass data on. Each node is visited once, so that cycles and many references cost nothing."""

    def __init__(self, document: Document, catalog: Catalog) -> None:
        self.document = document
        self.catalog = catalog
        self.known: dict[str, JsonSchema] = {}
        self.depth = 0

    def out(self, node: Node) -> JsonSchema:
        if node.id not in self.known:
            self.known[node.id] = ANYTHING
            if self.depth < _FURTHEST:
                self.depth += 1
                self.known[node.id] = self._through(node)
                self.depth -= 1
        return self.known[node.id]

    def _through(self, node: Node) -> JsonSchema:
        kind = self.catalog.get(node.type)
        if kind is None or kind.out_from is None:
            return _own_schema(node, self.catalog)
        try:
            return kind.out_from(node.config, node.inputs, self._given(node, kind)) or ANYTHING
        except (TypeError, ValueError, KeyError, AttributeError):
            return ANYTHING

    def _given(self, node: Node, kind: NodeType) -> dict[str, JsonSchema]:
        """Returns the schemas of the values bound to the inputs, and of what an unbound input takes from the node
        before.
        """
        given = {name: self.binding(binding) for name, binding in node.inputs.items()}
        name = kind.source_input
        if name is not None and node.inputs.get(name) is None:
            sources = [self.document.node(edge.source) for edge in self.document.edges if edge.target == node.id]
            outs = [self.out(source) for source in sources if source is not None]
            if outs and outs.count(outs[0]) == len(outs):
                given[name] = {"type": "array", "items": outs[0]} if kind.all_sources else outs[0]
        return given

    def binding(self, binding: JsonValue) -> JsonSchema:
        if isinstance(binding, str):
            pieces = list(split_text(binding))
            if len(pieces) != 1 or not isinstance(reference := pieces[0], Reference):
                return {"type": "string"}
            if reference.root in {"index", "total"}:
                return {"type": "integer"}
            node = self.document.node(reference.node_id)
            return schema_at(self.out(node), reference.path) or ANYTHING if node else {"type": "string"}
        if isinstance(binding, dict):
            properties = {key: self.binding(value) for key, value in binding.items()}
            return {"type": "object", "properties": properties, "required": list(properties)}
        if isinstance(binding, list):
            items = [self.binding(value) for value in binding]
            same = bool(items) and items.count(items[0]) == len(items)
            return {"type": "array", "items": items[0]} if same else {"type": "array"}
        if isinstance(binding, bool):
            return {"type": "boolean"}
        if isinstance(binding, int | float):
            return {"type": "number"}
        return ANYTHING


def schema_at(schema: JsonSchema, path: Sequence[str | int]) -> JsonSchema | None:
    """Returns the schema of the part that a path names; `{}` when it is unknown, None when the schema has no
    such part.
    """
    for part in path:
        if not schema:
            return ANYTHING
        types: JsonValue = schema.get("type")
        kinds = types if isinstance(types, list) else [types]
        if isinstance(part, str):
            if "object" not in kinds:
                return ANYTHING if types is None else None
            properties: Mapping[str, JsonSchema] | None = schema.get("properties")
            if properties is None or schema.get("additionalProperties") is True:
                schema = (properties or {}).get(part, ANYTHING)
            elif part not in properties:
                return None
            else:
                schema = properties[part]
        elif "array" not in kinds:
            return ANYTHING if types is None else None
        else:
            schema = schema.get("items") or ANYTHING
    return schema


def binding_schema(binding: JsonValue, document: Document, catalog: Catalog) -> JsonSchema:
    """Returns the schema of a binding's value: that of a lone reference, text for mixed text, or the literal's own
    type.
    """
    return _SchemaFinder(document, catalog).binding(binding)
