"""The list that Filter List and Sort and Limit work on: one input, one way to say that it is not a list."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from engine.flow.json_values import read_strictly
from engine.flow.lists import not_a_list
from engine.flow.node_type import Json

#: The field `items` of a node's inputs.
ITEMS: Any = Field(title="Items", description="The list. Text that is a JSON list is read as one.")


def items_of(value: Json) -> list[Json]:
    """The list; a text holding a JSON list is read. Raises NodeFailed, naming what came instead."""
    if isinstance(value, list):
        return value
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return read_strictly(value)
        except ValueError:
            pass  # told below
    raise not_a_list("Items", None, value)
