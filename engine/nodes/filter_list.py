"""Keep the items of a list that fit your rules.

Bind **Items** to a list, then add rules: a field of the item, a comparison and a value. Write the field as `price`, or
`author.name` for a field inside a field, or `tags[0]` for the first of a list. Leave it empty to look at the item itself,
like in a list of addresses.

* **All of them** keeps an item when every rule is true, **Any of them** when at least one is.
* Numbers in text count as numbers: `"12.50"` is greater than `9`. A field that is not there is empty.
* Capital letters matter. To ignore them, use *matches the pattern* with `(?i)` in front: `(?i)urgent`.
* For *is one of*, write several values with commas between them.

`items` are what is kept, in their order; `count` says how many, `total_count` how many came in.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from engine.errors import Problem
from engine.flow.document import Document, Node
from engine.flow.node_type import Json, NodeConfig, NodeContext, NodeFailed, NodeInputs, NodeType
from engine.flow.rules import (
    ALONE,
    MATCH_TITLES,
    MAX_RULES,
    OPERATOR_TITLES,
    FieldRule,
    Match,
    item_passes,
    rule_problem,
)
from engine.nodes.list_input import ITEMS, items_of

#: Seconds the rules may take in all.
LONGEST = 10.0


class Config(NodeConfig):
    match: Match = Field(
        "all",
        title="Keep an item when these are true",
        description="Whether every rule must be true or one is enough.",
        json_schema_extra={"words": {**MATCH_TITLES}},
    )
    rules: tuple[FieldRule, ...] = Field(
        (),
        max_length=MAX_RULES,
        title="Rules",
        description="What an item must be like to be kept. Without a rule every item is.",
        json_schema_extra={"item": "rule"},
    )


class Inputs(NodeInputs):
    items: Any = ITEMS


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Filters in a thread: long lists and patterns take a while."""
    items = items_of(inputs.items)
    kept = await context.in_thread(_kept, items, config.rules, config.match)
    return {"items": kept, "count": len(kept), "total_count": len(items)}


def _kept(items: Sequence[Json], rules: Sequence[FieldRule], match: Match) -> list[Json]:
    until = time.monotonic() + LONGEST
    kept = []
    for at, item in enumerate(items):
        if time.monotonic() > until:
            raise NodeFailed(
                f"The rules took longer than {LONGEST:g} seconds.",
                why=f"They were asked of {at:,} of {len(items):,} items by then.",
                remedy="Use simpler patterns, or look at shorter texts.",
            )
        if item_passes(item, rules, match):
            kept.append(item)
    return kept


def _check(node: Node, document: Document) -> list[Problem]:
    rules = node.config.get("rules")
    if not isinstance(rules, list | tuple):
        return []
    found = [
        (position, rule_problem(rule.get("operator"), rule.get("value")))
        for position, rule in enumerate(rules)
        if isinstance(rule, Mapping)
    ]
    return [
        Problem("bad_pattern", why, node.id, f"/config/rules/{position}/value", blocks_import=False)
        for position, why in found
        if why
    ]


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    fields = {
        "items": {"type": "array", "title": "Items"},
        "count": {"type": "integer", "title": "Count"},
        "total_count": {"type": "integer", "title": "Count before"},
    }
    return {"type": "object", "properties": fields, "required": list(fields)}


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    rules = config.get("rules")
    wanted = [rule for rule in rules if isinstance(rule, Mapping)] if isinstance(rules, list | tuple) else []
    if not wanted:
        return "no rule yet"
    link = " or " if config.get("match") == "any" else " and "
    return link.join(_rule_words(rule) for rule in wanted)[:60]


def _rule_words(rule: Mapping[str, Any]) -> str:
    operator = str(rule.get("operator") or "equals")
    words = next((title for name, title in OPERATOR_TITLES.items() if name == operator), operator)
    value = "" if operator in ALONE else f" {rule.get('value', '')}"
    return f"{rule.get('field') or 'item'} {words}{value}"


NODE = NodeType(
    type="filter_list",
    title="Filter List",
    group="lists",
    icon="filter_alt",
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    summary=_summary,
    check=_check,
    example=(
        {"match": "all", "rules": [{"field": "url", "operator": "contains", "value": "/news"}]},
        {"items": "{{ page_scraper.out.links }}"},
    ),
)
