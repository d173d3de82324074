"""Rules on the fields of many items, for Filter List and Read rows: filtering, problems, and their text on the
canvas.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field, JsonValue

from engine.core.errors import Problem
from engine.core.redaction import cut
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
    holds,
    is_no_number,
    item_passes,
    reads_as_number,
    rule_problem,
    rule_words,
)

#: The seconds that the rules may take for one list.
LONGEST = 10.0
#: How many rules are asked only to know whether a text decided about an item, where the answer needs them no more.
MAX_ASKED_MORE = 1_000


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
    asked_more: int = 0

    @property
    def complete(self) -> bool:
        """True when so many rules were asked for it that no further item is looked at."""
        return self.asked_more >= MAX_ASKED_MORE

    def item_passes(self, item: Json, rules: Sequence[tuple[FieldRule, bool]], match: Match) -> bool:
        """Returns what `item_passes` of the rules does, and counts the item when a text decided.

        Each rule comes with whether it compares with a number.
        """
        self.looked_at += 1
        deciding = match == "any"
        met: tuple[FieldRule, str] | None = None
        for at, (rule, is_numeric) in enumerate(rules):
            value = value_at(item, rule.field)
            is_text = is_numeric and is_no_number(value)
            if is_text and met is None:
                met = rule, as_text(value)
            if holds(value, rule.operator, rule.value, ignore_case=rule.ignore_case) is deciding:
                if is_text and not self._decide_anyway(item, rules[at + 1 :], match):
                    self._add(met)
                return deciding
        self._add(met)
        return not deciding

    def _decide_anyway(self, item: Json, rules: Sequence[tuple[FieldRule, bool]], match: Match) -> bool:
        """Returns whether one of the rules gives the deciding answer without comparing a text with a number.

        Patterns are not asked: they may be slow.
        """
        for rule, is_numeric in rules:
            if rule.operator == "matches":
                continue
            self.asked_more += 1
            value = value_at(item, rule.field)
            if is_numeric and is_no_number(value):
                continue
            if holds(value, rule.operator, rule.value, ignore_case=rule.ignore_case) is (match == "any"):
                return True
        return False

    def _add(self, met: tuple[FieldRule, str] | None) -> None:
        if met is not None:
            self.count += 1
            self.first = self.first or met

    @property
    def warning(self) -> str:
        """What the step says of them; "" when there are none."""
        if self.first is None:
            return ""
        rule, text = self.first
        what = f"`{rule.field}`" if rule.field.strip(" .") else "the item itself"
        share = f"{self.count:,} of {'the first ' * self.complete}{self.looked_at:,} items"
        return (
            f"{share}: {what} is no number, like `{cut(text, 40)}`, so the rule "
            f"“{OPERATOR_TITLES[rule.operator]} {cut(as_text(rule.value), 40)}” compared texts, by their letters. Make the field a "
            "number in what gives it."
        )


def kept_by(items: Sequence[Json], rules: Sequence[FieldRule], match: Match, compared: TextsCompared) -> list[Json]:
    """Returns the items for which the rules hold, in order. Raises NodeFailed when it takes longer than LONGEST."""
    marked = [(rule, rule.operator in ORDERING and reads_as_number(rule.value)) for rule in rules]
    any_numeric = any(is_numeric for _, is_numeric in marked)
    until = time.monotonic() + LONGEST
    kept: list[Json] = []
    for at, item in enumerate(items):
        if time.monotonic() > until:
            raise NodeFailed(
                f"The rules took longer than {LONGEST:g} seconds.",
                why=f"They were asked of {at:,} of {len(items):,} items by then.",
                remedy="Use simpler patterns, or look at shorter texts.",
            )
        if any_numeric and not compared.complete:
            passes = compared.item_passes(item, marked, match)
        else:
            passes = item_passes(item, rules, match)
        if passes:
            kept.append(item)
    return kept


def rule_problems(node: Node) -> Iterator[Problem]:
    """Yields problems of invalid patterns in the node's `rules`."""
    rules: JsonValue = node.config.get("rules")
    for position, rule in enumerate(rules if isinstance(rules, list | tuple) else ()):
        if isinstance(rule, Mapping) and (why := rule_problem(rule.get("operator"), rule.get("value"))):
            yield Problem("bad_pattern", why, node.id, f"/config/rules/{position}/value", blocks_import=False)


def rules_in_words(config: Mapping[str, Any]) -> str:
    """Returns for example `price is greater than 3 and name is nothing`; "" without rules that are filled in."""
    rules: JsonValue = config.get("rules")
    given = [rule for rule in rules if isinstance(rule, Mapping)] if isinstance(rules, list | tuple) else []
    wanted = [
        rule
        for rule in given
        if rule.get("operator") in ALONE or any(as_text(rule.get(one)) for one in ("field", "value"))
    ]
    link = " or " if config.get("match") == "any" else " and "
    return link.join(
        rule_words(as_text(rule.get("field")) or "item", rule.get("operator"), as_text(rule.get("value")))
        for rule in wanted
    )
