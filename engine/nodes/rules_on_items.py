"""Rules on the fields of many items, for Filter List and Read rows: filtering, problems, and their text on the
canvas.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field, JsonValue

from engine.core.errors import Problem
from engine.flow.document import Node
from engine.flow.json_values import value_at
from engine.flow.node_context import Json, NodeFailed
from engine.flow.references import as_text
from engine.flow.rules import (
    ALONE,
    MATCH_TITLES,
    MAX_RULES,
    OPERATOR_TITLES,
    ORDERING,
    FieldRule,
    Match,
    compared_as_text,
    item_passes,
    reads_as_number,
    rule_problem,
)

#: The seconds that the rules may take for one list.
LONGEST = 10.0


def match_field(title: str) -> Any:
    """Returns the field of a Config for whether all rules must hold or any of them."""
    description = "Whether every rule must be true or one is enough."
    return Field("all", title=title, description=description, json_schema_extra={"words": {**MATCH_TITLES}})


def rules_field(description: str) -> Any:
    """Returns the field of a Config for the rules."""
    return Field((), max_length=MAX_RULES, title="Rules", description=description, json_schema_extra={"item": "rule"})


@dataclass
class TextsCompared:
    """The items in which a rule compared a text with a number, by its letters, and that decided about the item."""

    looked_at: int = 0
    count: int = 0
    first: tuple[FieldRule, str] | None = None

    def look_at(self, item: Json, numeric: Collection[FieldRule], rules: Sequence[FieldRule], match: Match) -> None:
        """Counts the item when one of the `numeric` rules, which compare with a number, met a text that is none."""
        self.looked_at += 1
        texts = [rule for rule in numeric if compared_as_text(value_at(item, rule.field), rule.operator, rule.value)]
        others = [rule for rule in rules if rule not in texts]
        if texts and (not others or item_passes(item, others, match) is (match == "all")):
            self.count += 1
            self.first = self.first or (texts[0], as_text(value_at(item, texts[0].field)))

    @property
    def warning(self) -> str:
        """What the step says of them; "" when there are none."""
        if self.first is None:
            return ""
        rule, text = self.first
        what = f"`{rule.field}`" if rule.field.strip(" .") else "the item itself"
        return (
            f"{self.count:,} of {self.looked_at:,} items: {what} is no number, like `{text[:40]}`, so the rule "
            f"“{OPERATOR_TITLES[rule.operator]} {as_text(rule.value)[:40]}” compared texts, by their letters. Make the field a "
            "number in what gives it."
        )


def kept_by(items: Sequence[Json], rules: Sequence[FieldRule], match: Match, compared: TextsCompared) -> list[Json]:
    """Returns the items for which the rules hold, in order. Raises NodeFailed when it takes longer than LONGEST."""
    numeric = [rule for rule in rules if rule.operator in ORDERING and reads_as_number(rule.value)]
    until = time.monotonic() + LONGEST
    kept: list[Json] = []
    for at, item in enumerate(items):
        if time.monotonic() > until:
            raise NodeFailed(
                f"The rules took longer than {LONGEST:g} seconds.",
                why=f"They were asked of {at:,} of {len(items):,} items by then.",
                remedy="Use simpler patterns, or look at shorter texts.",
            )
        if numeric:
            compared.look_at(item, numeric, rules, match)
        if item_passes(item, rules, match):
            kept.append(item)
    return kept


def rule_problems(node: Node) -> Iterator[Problem]:
    """Yields problems of invalid patterns in the node's `rules`."""
    rules: JsonValue = node.config.get("rules")
    for position, rule in enumerate(rules if isinstance(rules, list | tuple) else ()):
        if isinstance(rule, Mapping) and (why := rule_problem(rule.get("operator"), rule.get("value"))):
            yield Problem("bad_pattern", why, node.id, f"/config/rules/{position}/value", blocks_import=False)


def rules_in_words(config: Mapping[str, Any]) -> str:
    """Returns for example `price is greater than 3 and name is empty`; "" without rules."""
    rules: JsonValue = config.get("rules")
    wanted = [rule for rule in rules if isinstance(rule, Mapping)] if isinstance(rules, list | tuple) else []
    link = " or " if config.get("match") == "any" else " and "
    return link.join(_in_words(rule) for rule in wanted)


def _in_words(rule: Mapping[str, Any]) -> str:
    operator = str(rule.get("operator") or "equals")
    words = next((title for name, title in OPERATOR_TITLES.items() if name == operator), operator)
    value = "" if operator in ALONE else f" {rule.get('value', '')}"
    return f"{rule.get('field') or 'item'} {words}{value}"
