"""Put a list in order and keep the first few.

Choose a list under **Items**. **Sort by** names the field to sort by, like `price` or `author.name`. Write a single dot, `.`, to
sort the items themselves, like a list of words. Leave it empty to keep the order and only cut the
list; with **Largest first** the list then comes from its end.

* Numbers come before texts, in both directions, and numbers in text count as numbers: `"9"` stands before `"10"`.
* Texts are sorted without looking at capitals. Dates like `2026-01-31` come in the order of time.
* Items without the field, or with an empty text in it, come last, in both directions. Items that are equal keep their order.
* **Keep at most** cuts the list after sorting: sort by `score`, largest first, keep 3, and you have the best three.

`items` is the list, `count` how many are left, `total_count` how many came in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from engine.flow.json_values import is_blank, ordered_by, value_at
from engine.flow.node_context import Json, NodeContext
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType
from engine.nodes.list_input import ITEMS, items_of, kept_schema, kept_schema_from


class Config(NodeConfig):
    by: str = Field(
        "",
        max_length=500,
        title="Sort by",
        description="The field to sort by, like `price` or `author.name`. A dot `.` means the items themselves. "
        "Empty: the order is kept, or turned around with “Largest first”.",
        json_schema_extra={"widget": "item_field", "example": "price"},
    )
    descending: bool = Field(
        False,
        title="Largest first",
        description="9 to 1, Z to A, newest first. Without a field: the list from its end.",
    )
    limit: int | None = Field(
        None, ge=0, le=1_000_000, title="Keep at most", description="So many items, the first ones. Empty: all."
    )


class Inputs(NodeInputs):
    items: Any = ITEMS


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Sorts in a thread, since lists may be long."""
    items = items_of(inputs.items)
    by = config.by.strip()
    if by:
        ordered = await context.in_thread(ordered_by, items, by, config.descending)
    else:
        ordered = items[::-1] if config.descending else items
    kept = ordered if config.limit is None else ordered[: config.limit]
    if by and items and all(is_blank(value_at(item, by)) for item in items):
        context.warn(f"No item has a `{by}`, so the order is as it was.")
    return {"items": kept, "count": len(kept), "total_count": len(items)}


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    order = ""
    if config.get("by"):
        by = "item" if config["by"] == "." else config["by"]
        order = f"by {by}{', largest first' if config.get('descending') else ''}"
    elif config.get("descending"):
        order = "from the end"
    limit = config.get("limit")
    cut = f"first {limit}" if isinstance(limit, int) else ""
    return ", ".join(part for part in (order, cut) if part)[:60] or "as it is"


NODE = NodeType(
    type="sort_limit",
    title="Sort and Limit",
    group="lists",
    icon="sort",
    synonyms=(
        "sort, order, top, first, rank, limit, largest, smallest, highest, lowest, best, cheapest, newest, latest, "
        "alphabetical, order by, first ten"
    ),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=kept_schema,
    out_from=kept_schema_from,
    is_repeatable=True,
    summary=_summary,
    example=({"by": "text", "limit": 5}, {"items": "{{ page_scraper.out.links }}"}),
)
