"""The list input that Filter List and Sort and Limit share, and the failure when its value is no list."""

from __future__ import annotations

from typing import Any

from pydantic import Field, JsonValue

from engine.flow.json_values import read_strictly
from engine.flow.lists import not_a_list
from engine.flow.node_context import Json

#: The field `items` of a node's Inputs.
ITEMS: Any = Field(title="Items", description="The list. A text that holds a list in JSON form works, too.")


def items_of(value: JsonValue) -> list[Json]:
    """Returns the list; text that contains a JSON list is parsed. Raises NodeFailed that says what the value is."""
    if isinstance(value, list):
        return value
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return read_strictly(value)
        except ValueError:
            pass  # fails below
    raise not_a_list("Items", None, value)
