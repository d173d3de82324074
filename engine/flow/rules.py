"""Rules that people choose in a form: a value, an operator, another value. Filter List, Condition and datasets use
them.

`holds` is pure and has an answer for every pair of JSON values. Values are compared as follows:

* **Text and other types**: values from a form are text, so `"5"` equals `5`, `"true"` equals `true`, and `""` equals null.
  Two texts are equal only when they are identical, including case: `"007"` is not `"7"`.
* **Greater and less**: as numbers when both are numbers or texts that read as numbers (`"12.50"`, `"-3"`, `"1e3"`); otherwise
  two texts by their characters, which orders dates like `2026-01-31` correctly. Any other pair is neither greater nor less.
  The right value may have commas between thousands when the left one is a number: `1,000`.
* **contains**: a part of a text, an item of a list, a key of an object. **starts with**, **ends with**, **matches**: apply to
  the text of a text, number or boolean. Null, lists and objects have no text.
* **in**: an item of a list; a text is read as a JSON list, or as words separated by commas or line ends, of which empty
  ones do not count beside others.
* **is empty**: null, a text of blanks only, an empty list or object. `0` and `false` are not empty.
* **is true**: true, 1 and the words true, yes, on, 1. **is false**: false, 0 and the words false, no, off, 0. Nothing else.
* **matches**: a pattern (`engine.flow.patterns`) found anywhere in the text. An invalid pattern matches nothing.
* An operator with *not* is true exactly when the one without it is false.
* **ignore_case**: a rule with it compares texts without looking at capitals, for the operators in `LETTERS`. A rule
  without the key looks at them, so that documents from before the key existed keep their meaning. A pattern says
  `(?i)` itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from engine.flow.json_values import as_number, same, value_at
from engine.flow.patterns import BadPattern, read_pattern, why_not
from engine.flow.references import Json, as_text

Operator = Literal[
    "equals", "not_equals", "greater", "greater_or_equal", "less", "less_or_equal", "contains", "not_contains",
    "starts_with", "ends_with", "matches", "in", "not_in", "is_empty", "is_not_empty", "is_true", "is_false",
]  # fmt: skip
Match = Literal["all", "any"]

#: The name of each operator in forms.
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
#: The name of the switch in forms; it is on when `ignore_case` is not.
MATCH_CAPITALS: Final = "Match capitals"
MATCH_TITLES: Final[Mapping[Match, str]] = {"all": "All of them", "any": "Any of them"}
#: Operators that use only the left value.
ALONE: Final[frozenset[str]] = frozenset({"is_empty", "is_not_empty", "is_true", "is_false"})
#: Operators that look at the letters of a text; with `ignore_case` they treat capitals and small letters alike.
LETTERS: Final[frozenset[str]] = frozenset(
    {"equals", "not_equals", "contains", "not_contains", "starts_with", "ends_with", "in", "not_in"}
)
#: Operators that ask which of two values is the greater one.
ORDERING: Final[frozenset[str]] = frozenset({"greater", "greater_or_equal", "less", "less_or_equal"})
MAX_RULES: Final = 100
_GROUPED: Final = re.compile(r"-?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_YES: Final = frozenset({"true", "yes", "on", "1"})
_NO: Final = frozenset({"false", "no", "off", "0"})


def ignore_case_field(*, default: bool = False) -> bool:
    """The field of a rule for whether capitals count, which is so when it is left out unless `default` is true. Forms show
    it as the opposite, and set it in new rules.
    """
    no_difference, they_do = ("`true`, or left out", "`false`") if default else ("`true`", "`false`, or left out")
    return Field(
        default,
        title="Ignore capitals",
        description=f"{no_difference}: capitals make no difference, “refund” is also found as “Refund”. {they_do}: they do. The "
        f"form has the opposite as a switch: {MATCH_CAPITALS}.",
        json_schema_extra={
            "inverted": MATCH_CAPITALS,
            "inverted_help": "When it is on, “Refund” and “refund” are different.",
            "new": True,
        },
    )


class FieldRule(BaseModel):
    """A rule about a field of an item (`filter_list`, `dataset_source`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: str = Field(
        "",
        max_length=500,
        title="Field",
        description="Which field of the item, like `price` or `author.name`. Empty: the item itself.",
        json_schema_extra={"widget": "item_field", "example": "the item itself"},
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
    ignore_case: bool = ignore_case_field()

    def holds_for(self, item: Json) -> bool:
        """True when the rule holds for an item."""
        return holds(value_at(item, self.field), self.operator, self.value, ignore_case=self.ignore_case)


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
    ignore_case: bool = ignore_case_field()

    @property
    def holds(self) -> bool:
        """True when the rule holds."""
        return holds(self.left, self.operator, self.right, ignore_case=self.ignore_case)


def item_passes(item: Json, rules: Iterable[FieldRule], match: Match) -> bool:
    """True when all or any of the rules hold for the item. Without rules every item passes."""
    return combined((rule.holds_for(item) for rule in rules), match)


def combined(answers: Iterable[bool], match: Match) -> bool:
    """Returns whether all or any of the answers are true; True without answers.

    It stops as soon as the result is known.
    """
    found = None
    for found in answers:
        if found is (match == "any"):
            return found
    return True if found is None else match == "all"


def holds(left: Json, operator: str, right: Json = None, *, ignore_case: bool = False) -> bool:
    """Returns whether `left operator right` is true (see the module's docstring).

    Never raises; an unknown operator is false.
    """
    question = _QUESTIONS.get(operator)
    if question is None:
        return False
    ask, wanted = question
    try:
        if ignore_case and operator in LETTERS:
            right = _choices(right) if ask is _is_in else right
            left, right = _folded(left), _folded(right)
        if operator in ORDERING and as_number(left) is not None:
            right = _ungrouped(right)
        return ask(left, right) is wanted
    except (RecursionError, OverflowError, ValueError):  # values nested deeper or longer than a job may hold
        return not wanted


def compared_as_text(left: Json, operator: str, right: Json) -> bool:
    """True when greater or less meets a text that is no number, though it is compared with a number: `640.00 EUR`."""
    return operator in ORDERING and is_no_number(left) and reads_as_number(right)


def is_no_number(left: Json) -> bool:
    """True for a text that is not empty and does not read as a number."""
    return isinstance(left, str) and as_number(left) is None and bool(left.strip())


def reads_as_number(right: Json) -> bool:
    """True when the right value of a rule is a number, or a text that reads as one, also with commas: `1,000`."""
    return as_number(_ungrouped(right)) is not None


def rule_problem(operator: object, right: Json) -> str:
    """Returns why a rule can never work, as a sentence; "" when it can.

    Patterns that contain references are not checked.
    """
    if operator != "matches" or not isinstance(right, str) or "{{" in right:
        return ""
    if not right:
        return "The rule has no pattern yet."
    why = why_not(right)
    return f"The pattern cannot be used: {why}." if why else ""


def rule_words(left: str, operator: object, right: str) -> str:
    """Returns a rule in words, like `price is greater than 3`, from those of its two sides. An empty right side is
    "nothing", unless the left one is empty, too.
    """
    name = str(operator or "equals")
    compared = next((title for known, title in OPERATOR_TITLES.items() if known == name), name)
    other = right if right.strip() or not left else "nothing"
    return f"{left} {compared}" if name in ALONE else f"{left} {compared} {other}"


def _ungrouped(right: Json) -> Json:
    """Returns a number in text without the commas between its thousands; any other value as it is."""
    text = right.strip() if isinstance(right, str) and len(right) <= 100 else ""
    return text.replace(",", "") if _GROUPED.fullmatch(text) else right


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


def _contains(left: JsonValue, right: Json) -> bool:
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
    if isinstance(right, dict):
        return as_text(left) in right
    return any(_equals(left, item) for item in _choices(right))


def _choices(right: JsonValue) -> list[JsonValue] | dict[str, JsonValue]:
    """Returns the values that `in` compares with, as a list; an object stays, its keys are compared."""
    if isinstance(right, list | dict):
        return right
    if right is None:
        return []
    text = as_text(right)
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            pass  # no JSON: words, the first of which starts with a bracket
    words = [word.strip() for word in re.split(r"[,\n]", text)]
    return [word for word in words if word] or words[:1]  # a comma at the end is no further word


def _folded(value: JsonValue) -> Json:
    """Returns the value with all texts in it, also keys, in a form in which capitals and small letters are equal."""
    if isinstance(value, str):
        return value.casefold()
    if isinstance(value, list):
        return [_folded(item) for item in value]
    if isinstance(value, dict):
        return {key.casefold(): _folded(item) for key, item in value.items()}
    return value


def _is_empty(left: Json, _right: Json) -> bool:
    return left is None or (not left.strip() if isinstance(left, str) else left in ([], {}))


def _is_word(words: frozenset[str], number: int) -> Callable[[Json, Json], bool]:
    def ask(left: Json, _right: Json) -> bool:
        if isinstance(left, str):
            return left.strip().lower() in words
        return isinstance(left, bool | int | float) and left == number

    return ask


#: Operator -> (function, the answer that makes the rule true).
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
