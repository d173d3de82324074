"""The list that Filter List and Sort and Limit work on: one input, one way to say that it is not a list."""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field

from engine.flow.node_type import Json, NodeFailed

#: The field `items` of a node's inputs.
ITEMS: Any = Field(title="Items", description="The list. Text that is a JSON list is read as one.")

_WORDS = {dict: "an object", str: "text", bool: "yes or no", int: "a number", float: "a number", type(None): "nothing"}


def items_of(value: Json) -> list[Json]:
    """The list; a text holding a JSON list is read. Raises NodeFailed, naming what came instead."""
    if isinstance(value, list):
        return value
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            pass  # told below
    word = _WORDS.get(type(value), "something else")
    hint = ""
    if isinstance(value, dict):
        lists = [f"`{name}`" for name, item in value.items() if isinstance(item, list)][:5]
        hint = f" Its fields that are lists: {', '.join(lists)}." if lists else ""
    raise NodeFailed(
        f"Items is {word}, not a list.",
        code="not_a_list",
        why="The data bound to it was no list in this run." + hint,
        remedy="Bind Items to a list. The step before shows in its output which of its data are lists.",
    )
