"""What comes out of a node, as JSON Schema: the chips on offer and the check of references against known fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from engine.flow.document import Document, Node
from engine.flow.node_type import Catalog, JsonSchema
from engine.flow.references import Reference, split_text

ANYTHING: Final[JsonSchema] = {}


def out_schema(node: Node, catalog: Catalog) -> JsonSchema:
    """The schema of a node's `out`; `{}` when anything may come out or its settings are still wrong."""
    node_type = catalog.get(node.type)
    if node_type is None:
        return ANYTHING
    try:
        return node_type.out_schema(node.config, node.inputs) or ANYTHING
    except (TypeError, ValueError, KeyError, AttributeError):
        return ANYTHING  # half-made settings: the shape check reports them


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
    if isinstance(binding, str):
        pieces = list(split_text(binding))
        if len(pieces) == 1 and isinstance(reference := pieces[0], Reference):
            node = document.node(reference.node_id)
            if reference.root in {"index", "total"}:
                return {"type": "integer"}
            return schema_at(out_schema(node, catalog), reference.path) or ANYTHING if node else {"type": "string"}
        return {"type": "string"}
    if isinstance(binding, dict):
        properties = {key: binding_schema(value, document, catalog) for key, value in binding.items()}
        return {"type": "object", "properties": properties, "required": list(properties)}
    if isinstance(binding, list):
        return {"type": "array"}
    if isinstance(binding, bool):
        return {"type": "boolean"}
    if isinstance(binding, int | float):
        return {"type": "number"}
    return ANYTHING
