"""Keep the items of a list that fit your rules.

Choose a list under **Items**, then add rules: a field of the item, a comparison and a value. Write the field as `price`, or
`author.name` for a field inside a field, or `tags[0]` for the first of a list. Leave it empty to look at the item itself,
like in a list of addresses.

* **All of them** keeps an item when every rule is true, **Any of them** when at least one is.
* Numbers in text count as numbers: `"12.50"` is greater than `9`. A field that is not there is empty. A text like `50 EUR` is no
  number: *is greater than* and its like compare it by its letters, and the step says in how many items.
* Capitals do not matter for *is*, *contains*, *starts with*, *ends with* and *is one of*, and their opposites, until you switch on
  **Match capitals**. It is on in rules made before the switch existed. A pattern ignores capitals with `(?i)` in front:
  `(?i)urgent`.
* For *is one of*, write several values with commas between them.

`items` are what is kept, in their order; `count` says how many, `total_count` how many came in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.core.errors import Problem
from engine.flow.document import Document, Node
from engine.flow.node_context import Json, NodeContext
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType
from engine.flow.rules import FieldRule, Match
from engine.nodes.list_input import ITEMS, items_of, kept_schema, kept_schema_from
from engine.nodes.rules_on_items import TextsCompared, kept_by, match_field, rule_problems, rules_field, rules_in_words


class Config(NodeConfig):
    match: Match = match_field("Keep an item when these are true")
    rules: tuple[FieldRule, ...] = rules_field("What an item must be like to be kept. Without a rule every item is.")


class Inputs(NodeInputs):
    items: Any = ITEMS


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Filters in a thread, since long lists and patterns take time."""
    items = items_of(inputs.items)
    compared = TextsCompared()
    kept = await context.in_thread(kept_by, items, config.rules, config.match, compared)
    if compared.warning:
        context.warn(compared.warning)
    return {"items": kept, "count": len(kept), "total_count": len(items)}


def _check(node: Node, document: Document) -> list[Problem]:
    return list(rule_problems(node))


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    return rules_in_words(config)[:60] or "no rule yet"


NODE = NodeType(
    type="filter_list",
    title="Filter List",
    group="lists",
    icon="filter_alt",
    synonyms=("filter, remove, only, where, exclude, without, leave out, select, keep only, drop, sort out"),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=kept_schema,
    out_from=kept_schema_from,
    is_repeatable=True,
    summary=_summary,
    check=_check,
    example=(
        {"match": "all", "rules": [{"field": "url", "operator": "contains", "value": "/news"}]},
        {"items": "{{ page_scraper.out.links }}"},
    ),
)
