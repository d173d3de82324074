"""What comes out of a node, as JSON Schema: the chips on offer and the check of references against known fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from engine.flow.document import Document, Node
from engine.flow.node_type import Catalog, JsonSchema, NodeType
from engine.flow.references import Reference, split_text

ANYTHING: Final[JsonSchema] = {}


#: Nodes that pass data on are looked through so many times; what comes from further away may be anything.
_FURTHEST = 12


def out_schema(node: Node, catalog: Catalog, document: Document | None = None) -> JsonSchema:
    """The schema of a node's `out`; `{}` when anything may come out or its settings are still wrong.

    With the document, nodes that pass data on (an Array Splitter, a Condition) are looked through.
    """
    node_type = catalog.get(node.type)
    if document is not None and node_type is not None and node_type.out_from is not None:
        return _Look(document, catalog).out(node)
    return _own_schema(node, catalog)


def _own_schema(node: Node, catalog: Catalog) -> JsonSchema:
    node_type = catalog.get(node.type)
    if node_type is None:
        return ANYTHING
    try:
        return node_type.out_schema(node.config, node.inputs) or ANYTHING
    except (TypeError, ValueError, KeyError, AttributeError):
        return ANYTHING  # half-made settings: the shape check reports them


class _Look:
    """Looks through nodes that pass data on. Each node once, so neither loops nor many references matter."""

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
        """The schemas of what the inputs are bound to, and of what an unbound one takes from the node before."""
        given = {name: self.binding(binding) for name, binding in node.inputs.items()}
        name = kind.source_input
        if name is not None and node.inputs.get(name) is None:
            sources = [self.document.node(edge.source) for edge in self.document.edges if edge.target == node.id]
            outs = [self.out(source) for source in sources if source is not None]
            if outs and outs.count(outs[0]) == len(outs):
                given[name] = {"type": "array", "items": outs[0]} if kind.all_sources else outs[0]
        return given

    def binding(self, binding: Any) -> JsonSchema:
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
    """The schema of what a path names; `{}` when unknown, None when the schema says there is no such thing."""
    for part in path:
        if not schema:
            return ANYTHING
        types = schema.get("type")
        kinds = types if isinstance(types, list) else [types]
        if isinstance(part, str):
            if "object" not in kinds:
                return ANYTHING if types is None else None
            properties = schema.get("properties")
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


def binding_schema(binding: Any, document: Document, catalog: Catalog) -> JsonSchema:
    """The schema of what a binding gives: the type of one lone reference, text for mixed text, a literal's own type."""
    return _Look(document, catalog).binding(binding)
