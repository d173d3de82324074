"""Which groups of a Group and count have no row while no item is in them. Imports no NiceGUI."""

from __future__ import annotations

from engine.flow.document import Document
from engine.flow.node_type import Catalog
from engine.flow.output_schemas import out_schema


def groups_without_row(document: Document, node_id: str, catalog: Catalog) -> list[str]:
    """Returns what the field that groups may be by its schema, and is not among the groups that always have a row."""
    node = document.node(node_id)
    if node is None or node.type != "group_count":
        return []
    groups = out_schema(node, catalog, document).get("properties", {}).get("groups", {})
    may_be = groups.get("items", {}).get("properties", {}).get("key", {}).get("enum") or []
    choices = node.config.get("choices")
    known = {str(one).strip().casefold() for one in choices} if isinstance(choices, list | tuple) else set()
    return [one for one in may_be if isinstance(one, str) and one.strip().casefold() not in known]
