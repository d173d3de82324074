"""Edits of an API Input that callers' requests suggest: add a field that they sent, or make a required field
optional.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from engine.core.errors import Invalid
from engine.flow.contract import MAX_FIELDS, api_input, input_fields
from engine.flow.document import Document, Node
from engine.flow.edits import Op


def accept_field_ops(document: Document, name: str, sent: str = "") -> list[Op]:
    """Returns the operations that add `name` as an optional field of the type that was `sent` (text when it is
    unknown).

    Empty when the field exists already. Raises Invalid when there is no API Input, or when it has MAX_FIELDS fields.
    """
    node = api_input(document)
    if node is None:
        raise Invalid(
            "The draft has no API Input, so there is no place for the field",
            remedy="Add an API Input in the Playground, then accept the field.",
        )
    fields = _fields_of(node)
    if has_field(document, name):
        return []
    if len(fields) >= MAX_FIELDS:
        raise Invalid(
            f"The API Input has {len(fields):,} fields; more than {MAX_FIELDS:,} are not taken",
            remedy="Take one away, or let callers send a group.",
        )
    fields.append(_field(name, sent))
    before = dict(node.config)
    return [
        {
            "op": "updateNode",
            "id": node.id,
            "before": {"config": before},
            "after": {"config": {**before, "fields": fields}},
        }
    ]


def take_back_ops(document: Document, name: str) -> list[Op]:
    """Returns the operations that remove an accepted field again, whatever was edited since."""
    node = api_input(document)
    if node is None or not has_field(document, name):
        return []
    before = dict(node.config)
    kept = [field for field in _fields_of(node) if not _is_named(field, name)]
    return [
        {
            "op": "updateNode",
            "id": node.id,
            "before": {"config": before},
            "after": {"config": {**before, "fields": kept}},
        }
    ]


def make_optional_ops(document: Document, name: str) -> list[Op]:
    """Returns the operations that make a field optional; empty when it is optional already."""
    node = api_input(document)
    fields = _fields_of(node) if node is not None else []
    at = next((number for number, field in enumerate(fields) if _is_named(field, name)), None)
    if node is None or at is None or not fields[at].get("required"):
        return []
    before = dict(node.config)
    fields[at] = {**fields[at], "required": False}
    return [
        {
            "op": "updateNode",
            "id": node.id,
            "before": {"config": before},
            "after": {"config": {**before, "fields": fields}},
        }
    ]


def has_field(document: Document, name: str) -> bool:
    """True when the API Input has a field with this name."""
    return any(str(field.get("name")) == name for field in input_fields(document))


def _fields_of(node: Node) -> list[Any]:
    """The fields as they stand in the settings, with those that have a wrong form."""
    fields: JsonValue = node.config.get("fields")
    return [*fields] if isinstance(fields, list | tuple) else []


def _is_named(field: JsonValue, name: str) -> bool:
    return isinstance(field, Mapping) and field.get("name") == name


def _field(name: str, sent: str) -> dict[str, Any]:
    kind = sent if sent in {"string", "number", "integer", "boolean", "object", "array"} else "string"
    return {"name": name, "type": kind, "required": False}
