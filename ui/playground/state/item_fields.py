"""The fields that the items of a list have, from the last run and from the schema of the list.

Imports no NiceGUI.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from engine.flow.document import Document, Node
from engine.flow.json_values import as_number, value_at
from engine.flow.node_context import NodeFailed
from engine.flow.node_type import Catalog
from engine.flow.output_schemas import binding_schema
from engine.flow.references import Scope, render
from engine.nodes.list_input import items_of

#: How many items are looked at, and how many fields are listed.
MAX_ITEMS = 50
MAX_FIELDS = 24
#: Characters of the example beside a field.
_SHOWN = 24
_PLAIN_NAME = re.compile(r'[^.\[\]"]+')
#: The path of the item itself.
ITSELF = "."


class ItemField(Struct, frozen=True):
    """A field of an item: its path (`author.name`, or `.` for the item itself), a value it has, and whether that is a
    number.
    """

    path: str
    example: str = ""
    is_number: bool = False


def item_fields(node: Node, document: Document, catalog: Catalog, outputs: Mapping[str, Any]) -> list[ItemField]:
    """Returns the fields that the items bound to `items` have. `outputs` are those of earlier nodes in the last run."""
    binding = node.inputs.get("items")
    found = {one.path: one for one in _of_values(_items(binding, outputs))}
    schema = binding_schema(binding, document, catalog).get("items") or {}
    declared = list(_of_schema(schema))
    if "properties" in schema and set(declared) - set(found):
        # The flow was changed since the last run: what its items had and the list no longer says is gone.
        found = {path: one for path, one in found.items() if {path, path.partition(".")[0]} & set(declared)}
    if not found or ITSELF not in found:
        for path in declared:
            found.setdefault(path, ItemField(path))
    return list(found.values())[:MAX_FIELDS]


def _items(binding: Any, outputs: Mapping[str, Any]) -> list[Any]:
    try:
        return items_of(render(binding, Scope(dict(outputs), {}), []))[:MAX_ITEMS]
    except NodeFailed:
        return []  # nothing bound, or the step before has not run


def _of_values(items: list[Any]) -> Iterator[ItemField]:
    """Yields each field of the items once, with the first value that is there."""
    if items and not any(isinstance(item, dict) for item in items):
        yield _field(ITSELF, items)
        return
    paths = dict.fromkeys(path for item in items if isinstance(item, dict) for path in _paths(item))
    for path in paths:
        yield _field(path, [value_at(item, path) for item in items])


def _paths(item: Mapping[str, Any]) -> Iterator[str]:
    """Yields the paths of an object's fields; of an object inside, the paths of its fields."""
    for name, value in item.items():
        if isinstance(value, dict) and value and _PLAIN_NAME.fullmatch(name):
            yield from (f"{name}.{inner}" for inner in value if _PLAIN_NAME.fullmatch(inner))
        else:
            yield name


def _field(path: str, values: list[Any]) -> ItemField:
    first = next((value for value in values if value not in (None, "", [], {})), None)
    if first is None or isinstance(first, dict | list):
        return ItemField(path)
    text = " ".join(str(first).split()) if not isinstance(first, bool) else str(first).lower()
    return ItemField(path, text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…", as_number(first) is not None)


def _of_schema(schema: Mapping[str, Any]) -> Iterator[str]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        if _type(schema) not in {None, "object"}:
            yield ITSELF
        return
    for name, part in properties.items():
        inside = part.get("properties") if isinstance(part, Mapping) else None
        if isinstance(inside, Mapping) and _PLAIN_NAME.fullmatch(name):
            yield from (f"{name}.{inner}" for inner in inside if _PLAIN_NAME.fullmatch(inner))
        else:
            yield name


def _type(schema: Mapping[str, Any]) -> str | None:
    kinds = schema.get("type")
    return next((kind for kind in kinds if kind != "null"), None) if isinstance(kinds, list) else kinds
