"""The list input of nodes that take one, the failure when its value is no list, and the output of those that keep some of
its items (Filter List, Sort and Limit).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, JsonValue

from engine.core.body_limits import MAX_VALUES
from engine.core.json_shape import TooManyValues
from engine.flow.json_values import read_strictly
from engine.flow.lists import not_a_list
from engine.flow.node_context import Json, JsonSchema, NodeFailed

#: The field `items` of a node's Inputs.
ITEMS: Any = Field(title="Items", description="The list. A text that holds a list in JSON form works, too.")


def items_of(value: JsonValue) -> list[Json]:
    """Returns the list; text that contains a JSON list is parsed. Raises NodeFailed that says what the value is."""
    if isinstance(value, list):
        return value
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return read_strictly(value)
        except TooManyValues:
            raise NodeFailed(
                f"The text of Items holds more than {MAX_VALUES:,} values, counting each list and object.",
                why="They would take too much memory.",
                remedy="Give it a list with less in it.",
                pointer="/inputs/items",
            ) from None
        except ValueError:
            pass  # fails below
    raise not_a_list("Items", None, value)


def kept_schema(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> JsonSchema:
    """Returns the schema of the items that are kept, and of how many these are and were, without a schema of the list."""
    return kept_schema_from(config, inputs, {})


def kept_schema_from(
    config: Mapping[str, Any], inputs: Mapping[str, Any], given: Mapping[str, JsonSchema]
) -> JsonSchema:
    """Returns the same with the schema of the list, which `given` has."""
    item = given.get("items", {}).get("items")
    fields = {
        "items": {"type": "array", "title": "Items", **({"items": item} if item else {})},
        "count": {"type": "integer", "title": "Count"},
        "total_count": {"type": "integer", "title": "Count before"},
    }
    return {"type": "object", "properties": fields, "required": list(fields)}
