"""Put several lists together into one list.

List the data under **Lists**: the items of the first come first, then those of the second, and so on. While **Lists** is empty, the
data of the connected nodes is used, in the order in which they were connected.

* A list of a node that was skipped is left out, so both sides of a Condition can end here.
* The whole output of a list node, like Filter List, counts as the list in its `items`.
* What is null is left out with a warning on the step.
  A text that holds a list in JSON form works, too. Anything else fails and says which it was.
* Nothing is sorted and nothing that stands in two lists is removed. To have each value once, put **Group and count** behind it.

`items` is the list, `count` how many items it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic import Field, JsonValue

from engine.flow.lists import not_a_list
from engine.flow.node_context import Json, JsonSchema, NodeContext, NodeFailed
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType
from engine.nodes.list_input import items_of


class Config(NodeConfig):
    """No settings."""


class Inputs(NodeInputs):
    lists: list[Any] = Field(
        default_factory=list,
        max_length=100,
        title="Lists",
        description="Their items stand one after the other. Empty: the lists of the connected nodes, in their order.",
        json_schema_extra={"widget": "rows"},
    )


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Concatenates the lists; the runner has left out values of skipped nodes."""
    items: list[Json] = []
    for position, value in enumerate(inputs.lists, 1):
        if value is None:
            context.warn(f"List {position} was nothing, so it was left out.")
        else:
            items += _list_in(value, position)
    return {"items": items, "count": len(items)}


def _list_in(value: JsonValue, position: int) -> list[Json]:
    """Returns the list that a value is, or has in `items`. Raises NodeFailed that names its place."""
    inside = value["items"] if isinstance(value, dict) and isinstance(value.get("items"), list) else value
    try:
        return items_of(inside)
    except NodeFailed as failure:
        reason = not_a_list("Items", None, value)
        message = reason.message.replace("Items", f"List {position}", 1)
        raise NodeFailed(message, why=reason.why, remedy=reason.remedy, pointer="/inputs/lists") from failure


def _schema(item: JsonSchema) -> JsonSchema:
    fields = {
        "items": {"type": "array", "title": "Items", **({"items": item} if item else {})},
        "count": {"type": "integer", "title": "Count"},
    }
    return {"type": "object", "properties": fields, "required": list(fields)}


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> JsonSchema:
    return _schema({})


def _out_from(config: Mapping[str, Any], inputs: Mapping[str, Any], given: Mapping[str, JsonSchema]) -> JsonSchema:
    each: JsonSchema = given.get("lists", {}).get("items") or {}
    inside: JsonSchema | None = cast("JsonSchema", each.get("properties") or {}).get("items")
    return _schema((inside or each).get("items") or {})


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    lists: JsonValue = inputs.get("lists")
    return f"{len(lists)} lists in one" if isinstance(lists, list) and len(lists) > 1 else "all lists in one"


NODE = NodeType(
    type="merge_lists",
    title="Merge lists",
    group="lists",
    icon="join",
    synonyms=("merge, combine, join lists, append lists, concatenate, union, together, two lists, put lists together"),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    out_from=_out_from,
    source_input="lists",
    all_sources=True,
    without_skipped=frozenset({"lists"}),
    is_repeatable=True,
    summary=_summary,
    example=({}, {"lists": ["{{ page_scraper.out.links }}", "{{ page_scraper.out.links }}"]}),
)
