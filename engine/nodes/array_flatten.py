"""Put the results of all items into one list.

Put it at the end of the nodes that run once per item. **Value** says what is collected, one entry per item; while it is empty,
the output of each node connected to this one is. The entries stand in the order of the items, whichever was ready first.

`items` is the list, `count` how many entries it has, `total_count` how many items there were, `failed_count` how many of them
failed, and `errors` says which and why.

| When an item fails | What comes of it |
|---|---|
| Leave it out | the list has the others, and `errors` the failed ones |
| Keep its place empty | the list keeps its length |
| Fail | the node fails; where that ends the run, no more items begin |

When every item failed, the node fails, unless their places are kept empty. **Lists in lists**: *The innermost* ends the nearest
**For each item**, *All* ends every one around and makes one flat list.

Without **For each item** before it, it takes the lists in the list under **Value** apart: a list of two lists
becomes one list with the items of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, JsonValue

from engine.flow.lists import FLATTEN, not_a_list
from engine.flow.node_context import Json, JsonSchema, NodeContext
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType


class Config(NodeConfig):
    levels: Annotated[Literal[1, "all"], BeforeValidator(lambda value: 1 if value == "1" else value)] = Field(
        1,
        title="Which lists end here",
        description="When one list is inside another: only the inner one, or all of them.",
        json_schema_extra={"words": {"1": "The innermost list", "all": "All lists"}},
    )
    on_item_error: Literal["exclude", "include_null", "fail"] = Field(
        "exclude",
        title="When an item fails",
        description="What happens with an item one of whose nodes failed.",
        json_schema_extra={
            "words": {"exclude": "Leave it out", "include_null": "Keep its place empty", "fail": "Fail"}
        },
    )
    depth: int = Field(
        1,
        ge=1,
        le=20,
        title="Depth",
        description="Without “For each item” before it: how many levels of lists in lists are taken apart.",
    )


class Inputs(NodeInputs):
    value: Any = Field(
        None, title="Value", description="What is collected for each item. Empty: what the nodes before it give."
    )


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Flattens a list of lists.

    It is called only where no Splitter comes before the node; after one, the runner collects the results of the items.
    """
    bound = context.bindings.get("value")
    value: JsonValue = inputs.value
    if bound is None and isinstance(value, list) and len(value) == 1:
        value = value[0]  # only one node before it: its output is the list
    if not isinstance(value, list):
        raise not_a_list("Value", bound, value)
    items = flattened(value, config.depth)
    return flat_list(items, total=len(items), errors=[])


def flattened(items: list[JsonValue], depth: int) -> list[JsonValue]:
    """Returns the list with `depth` levels of nested lists flattened."""
    for _ in range(depth):
        if not any(isinstance(item, list) for item in items):
            break
        items = [part for item in items for part in (item if isinstance(item, list) else [item])]
    return items


def flat_list(items: list[Json], *, total: int, errors: list[dict[str, Json]]) -> dict[str, Json]:
    """Returns the node's `out`."""
    return {
        "items": items,
        "count": len(items),
        "total_count": total,
        "failed_count": len(errors),
        "errors": errors,
    }


def _schema(item: JsonSchema) -> JsonSchema:
    error = {"type": "object", "properties": {"index": {}, "message": {"type": "string"}}}
    whole = {"type": "integer"}
    fields = {
        "items": {"type": "array", "title": "Items", **({"items": item} if item else {})},
        "count": {**whole, "title": "Count"},
        "total_count": {**whole, "title": "Items in all"},
        "failed_count": {**whole, "title": "Items that failed"},
        "errors": {"type": "array", "title": "Errors", "items": error},
    }
    return {"type": "object", "properties": fields, "required": list(fields)}


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> JsonSchema:
    return _schema({})


def _out_from(config: Mapping[str, Any], inputs: Mapping[str, Any], given: Mapping[str, JsonSchema]) -> JsonSchema:
    item: JsonSchema = given.get("value", {})
    if inputs.get("value") is None:  # the source input has one entry per node before it
        item = item.get("items") or {}
    if config.get("on_item_error") == "include_null":
        item = {}  # an item may be null
    return _schema(item)


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    what = {"include_null": "null for failed items", "fail": "fails with an item"}.get(
        str(config.get("on_item_error")), "without failed items"
    )
    return f"all lists, {what}" if config.get("levels") == "all" else f"one list, {what}"


NODE = NodeType(
    type=FLATTEN,
    title="Collect into a list",
    group="lists",
    icon="call_merge",
    synonyms=(
        "array flatten, flatten, collect, gather, end of the loop, put together, combine results, list again, "
        "back to one list, collect the results"
    ),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    out_from=_out_from,
    source_input="value",
    all_sources=True,
    summary=_summary,
    example=({}, {"value": "{{ page_scraper.out.links }}"}),
)
