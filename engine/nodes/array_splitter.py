"""Repeat the next steps for each item of a list.

Choose a list under **Items**: the addresses of a website, the rows of a table, the sentences of a text. Every node connected after
this one then runs once per item. `out` is the item itself; `index` is its
place, counted from 0, and `total` says how many there are.

Close the list with **Collect into a list**: it makes one list of what came out for each item, in the order of the items, no matter
which was ready first. Data from before this node can be used inside the list; it is the same for each item. A second one
inside a list makes a list in the list.

| How the items run | What that means |
|---|---|
| One after the other | the next item begins when the one before has ended |
| At the same time | up to *At once* items run together |
| In groups | *Group size* items run together; the next group begins when the whole group has ended |

With an empty list the nodes between are skipped and “Collect into a list” gives an empty list. A list may have 200,000 items. When **Items** is no list, the
step fails and says what it is instead; what is known to be none is not deployed. The list stands there alone: with a blank beside it,
it is text. Its time limit counts for the whole list: items that are not through by then have failed. It does not run while items wait for a
person.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

from pydantic import Field

from engine.core.body_limits import MAX_VALUES
from engine.flow.lists import SPLITTER, not_a_list
from engine.flow.node_context import Json, JsonSchema, NodeContext, NodeFailed
from engine.flow.node_type import THE_JOBS, NodeConfig, NodeInputs, NodeType

#: A list that a caller sends has no more items than this either.
MAX_ITEMS = MAX_VALUES


class Config(NodeConfig):
    mode: Literal["sequential", "parallel", "chunked"] = Field(
        "sequential",
        title="How the items run",
        description="One after the other, several at the same time, or in groups.",
        json_schema_extra={
            "words": {"sequential": "One after the other", "parallel": "At the same time", "chunked": "In groups"}
        },
    )
    max_concurrency: int = Field(
        10,
        ge=1,
        le=100,
        title="At once",
        description="With “At the same time”: how many items run together.",
    )
    chunk_size: int = Field(
        10,
        ge=1,
        le=100,
        title="Group size",
        description="With “In groups”: how many items a group has.",
    )


class Inputs(NodeInputs):
    items: Any = Field(title="Items", description="The list. The nodes after this one run once for each of its items.")


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Returns the list; the runner runs the nodes after it once per item. Raises NodeFailed when it is no list."""
    if not isinstance(inputs.items, list):
        raise not_a_list("Items", context.bindings.get("items"), inputs.items)
    items = cast("list[Json]", inputs.items)
    if len(items) > MAX_ITEMS:
        raise NodeFailed(
            f"The list has {len(items):,} items; the next steps can run for {MAX_ITEMS:,} at most.",
            why="Each item is a run of its own, which is kept in memory and stored.",
            remedy="Take a part of the list, for example with “Sort and Limit”, and send the rest in another call.",
            pointer="/inputs/items",
        )
    return items


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> JsonSchema | None:
    return None


def _out_from(
    config: Mapping[str, Any], inputs: Mapping[str, Any], given: Mapping[str, JsonSchema]
) -> JsonSchema | None:
    return given["items"].get("items") if "items" in given else None


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    match config.get("mode"):
        case "parallel":
            return f"{config.get('max_concurrency', 10)} at the same time"
        case "chunked":
            return f"in groups of {config.get('chunk_size', 10)}"
        case _:
            return "one after the other"


NODE = NodeType(
    type=SPLITTER,
    title="For each item",
    group="lists",
    icon="call_split",
    synonyms=(
        "array splitter, loop, for each, foreach, each, repeat, iterate, every, all items, one by one, split, map, "
        "each row, each item, several items, go through a list, all rows, row by row"
    ),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    out_from=_out_from,
    timeout_seconds=THE_JOBS,
    summary=_summary,
    example=({"mode": "parallel", "max_concurrency": 5}, {"items": "{{ page_scraper.out.links }}"}),
)
