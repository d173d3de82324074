"""Rules that people pick in a form: a value, an operator, another value. Used by Filter List, Condition and datasets.

`holds` is pure and answers for every pair of JSON values. How values are compared:

* **Text and other types**: what comes from a form is text, so `"5"` equals `5`, `"true"` equals `true`, and `""` equals null.
  Two texts are equal only when they are the same, capitals included: `"007"` is not `"7"`.
* **Greater and less**: as numbers when both are numbers or text that reads as one (`"12.50"`, `"-3"`, `"1e3"`); else two
  texts by their letters, which orders dates like `2026-01-31` rightly. Any other pair is neither greater nor less.
* **contains**: a part of a text, an item of a list, a key of an object. **starts with**, **ends with**, **matches**: the text
  of a text, number or yes/no. Null, lists and objects have none.
* **in**: an item of a list; a text is read as a JSON list or as words between commas or lines.
* **is empty**: null, text of blanks only, a list or object without anything. `0` and `false` are not empty.
* **is true**: true, 1 and the words true, yes, on, 1. **is false**: false, 0 and the words false, no, off, 0. Nothing else.
* **matches**: a pattern (engine.flow.patterns), found anywhere in the text. A pattern that cannot be read matches nothing.
* The operators with *not* are true exactly when the one without is not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.flow.json_values import as_number, same, value_at
from engine.flow.patterns import BadPattern, read_pattern, why_not
from engine.flow.references import Json, as_text

Operator = Literal[
    "equals", "not_equals", "greater", "greater_or_equal", "less", "less_or_equal", "contains", "not_contains",
    "starts_with", "ends_with", "matches", "in", "not_in", "is_empty", "is_not_empty", "is_true", "is_false",
]  # fmt: skip
Match = Literal["all", "any"]

#: What people read on the select.
OPERATOR_TITLES: Final[Mapping[Operator, str]] = {
    "equals": "is",
    "not_equals": "is not",
    "greater": "is greater than",
    "greater_or_equal": "is at least",
    "less": "is less than",
    "less_or_equal": "is at most",
    "contains": "contains",
    "not_contains": "does not contain",
    "starts_with": "starts with",
    "ends_with": "ends with",
    "matches": "matches the pattern",
    "in": "is one of",
    "not_in": "is none of",
    "is_empty": "is empty",
    "is_not_empty": "is not empty",
    "is_true": "is true (yes)",
    "is_false": "is false (no)",
}
MATCH_TITLES: Final[Mapping[Match, str]] = {"all": "All of them", "any": "Any of them"}
#: Operators that look at one value only.
ALONE: Final[frozenset[str]] = frozenset({"is_empty", "is_not_empty", "is_true", "is_false"})
MAX_RULES: Final = 100
_YES: Final = frozenset({"true", "yes", "on", "1"})
_NO: Final = frozenset({"false", "no", "off", "0"})


class FieldRule(BaseModel):
    """A rule about a field of an item (`filter_list`, `dataset_source`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: str = Field(
        "",
        max_length=500,
        title="Field",
        description="Which field of the item, like `price` or `author.name`. Empty: the item itself.",
        json_schema_extra={"widget": "line", "example": "the item itself"},
    )
    operator: Operator = Field(
        "equals",
        title="Comparison",
        description="How the field is compared.",
        json_schema_extra={"words": {**OPERATOR_TITLES}},
    )
    value: Any = Field(
        "",
        title="Value",
        description="What it is compared with. Several values for “is one of” stand between commas.",
        json_schema_extra={"widget": "text"},
    )

    def holds_for(self, item: Json) -> bool:
        """Whether the rule is true of an item."""
        return holds(value_at(item, self.field), self.operator, self.value)


class Rule(BaseModel):
    """A rule between two values (`condition`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    left: Any = Field(None, title="Value", description="What is looked at.", json_schema_extra={"widget": "text"})
    operator: Operator = Field(
        "equals",
        title="Comparison",
        description="How the two are compared.",
        json_schema_extra={"words": {**OPERATOR_TITLES}},
    )
    right: Any = Field(
        None, title="Compared with", description="What it is compared with.", json_schema_extra={"widget": "text"}
    )

    @property
    def holds(self) -> bool:
        """Whether the rule is true."""
        return holds(self.left, self.operator, self.right)


def item_passes(item: Json, rules: Iterable[FieldRule], match: Match) -> bool:
    """Whether all or any of the rules are true of the item. No rule at all: every item passes."""
    return combined((rule.holds_for(item) for rule in rules), match)


def combined(answers: Iterable[bool], match: Match) -> bool:
    """All or any of the answers; True without any. Looks no further than it must."""
    found = None
    for found in answers:
        if found is (match == "any"):
            return found
    return True if found is None else match == "all"


def holds(left: Json, operator: str, right: Json = None) -> bool:
    """Whether `left operator right` is true (see the module's docstring). Never raises; an unknown operator is false."""
    question = _QUESTIONS.get(operator)
    if question is None:
        return False
    ask, wanted = question
    try:
        return ask(left, right) is wanted
    except (RecursionError, OverflowError, ValueError):  # values nested or long beyond what a job may hold
        return not wanted


def rule_problem(operator: Any, right: Json) -> str:
    """Why a rule can never be meant as it stands, as a sentence; "" when it is fine. Patterns with references are not read."""
    if operator != "matches" or not isinstance(right, str) or "{{" in right:
        return ""
    if not right:
        return "The rule has no pattern yet."
    why = why_not(right)
    return f"The pattern cannot be used: {why}." if why else ""


def _equals(left: Json, right: Json) -> bool:
    if isinstance(left, str) == isinstance(right, str):
        return same(left, right)
    text, other = (left, right) if isinstance(left, str) else (right, left)
    if (number := as_number(other)) is not None:
        return as_number(text) == number
    if isinstance(other, bool):
        return text.strip().lower() == as_text(other)
    return text == as_text(other)


def _is_greater(left: Json, right: Json) -> bool:
    pair = _comparable(left, right)
    return pair is not None and pair[0] > pair[1]


def _is_at_least(left: Json, right: Json) -> bool:
    pair = _comparable(left, right)
    return pair is not None and pair[0] >= pair[1]


def _comparable(left: Json, right: Json) -> tuple[Any, Any] | None:
    numbers = as_number(left), as_number(right)
    if numbers[0] is not None and numbers[1] is not None:
        return numbers
    return (left, right) if isinstance(left, str) and isinstance(right, str) else None


def _contains(left: Json, right: Json) -> bool:
    if isinstance(left, list):
        return any(_equals(item, right) for item in left)
    if isinstance(left, dict):
        return as_text(right) in left
    return left is not None and as_text(right) in as_text(left)


def _on_text(test: Callable[[str, str], bool]) -> Callable[[Json, Json], bool]:
    def ask(left: Json, right: Json) -> bool:
        return left is not None and not isinstance(left, list | dict) and test(as_text(left), as_text(right))

    return ask


def _matches(text: str, pattern: str) -> bool:
    try:
        return read_pattern(pattern).found_in(text)
    except BadPattern:
        return False


def _is_in(left: Json, right: Json) -> bool:
    if isinstance(right, list):
        return any(_equals(left, item) for item in right)
    if isinstance(right, dict):
        return as_text(left) in right
    if right is None:
        return False
    text = as_text(right)
    if text.lstrip().startswith("["):
        try:
            return any(_equals(left, item) for item in json.loads(text))
        except ValueError:
            pass  # words, the first of which begins with a bracket
    return any(_equals(left, word.strip()) for word in re.split(r"[,\n]", text))


def _is_empty(left: Json, _right: Json) -> bool:
    return left is None or (not left.strip() if isinstance(left, str) else left in ([], {}))


def _is_word(words: frozenset[str], number: int) -> Callable[[Json, Json], bool]:
    def ask(left: Json, _right: Json) -> bool:
        if isinstance(left, str):
            return left.strip().lower() in words
        return isinstance(left, bool | int | float) and left == number

    return ask


#: operator -> (question, the answer that makes the rule true)
_QUESTIONS: Final[Mapping[str, tuple[Callable[[Json, Json], bool], bool]]] = {
    "equals": (_equals, True),
    "not_equals": (_equals, False),
    "greater": (_is_greater, True),
    "greater_or_equal": (_is_at_least, True),
    "less": (lambda left, right: _is_greater(right, left), True),
    "less_or_equal": (lambda left, right: _is_at_least(right, left), True),
    "contains": (_contains, True),
    "not_contains": (_contains, False),
    "starts_with": (_on_text(str.startswith), True),
    "ends_with": (_on_text(str.endswith), True),
    "matches": (_on_text(_matches), True),
    "in": (_is_in, True),
    "not_in": (_is_in, False),
    "is_empty": (_is_empty, True),
    "is_not_empty": (_is_empty, False),
    "is_true": (_is_word(_YES, 1), True),
    "is_false": (_is_word(_NO, 0), True),
}
