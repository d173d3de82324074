"""The check of what a model gives to a tool, which ends with a refusal where it cannot go on."""

from __future__ import annotations

from typing import Any

import pytest

from engine.flow.arguments import wrong_arguments
from engine.flow.references import Json

RULES = {"tags": {"type": "array", "items": {"type": "string"}}, "amount": {"maximum": 10}}
TOO_LARGE = "they are too large to be checked: send at most 20,000 values at a time, or fewer if this tool has many rules for each"
TOO_DEEP = "they are nested too deeply to be checked: send at most 64 levels of objects and lists"


def _tagged(count: int, amount: int) -> dict[str, Json]:
    return {"tags": ["x"] * count, "amount": amount}


@pytest.mark.parametrize("amount", [5, 99])
def test_arguments_that_are_not_checked_to_their_end_are_refused(amount: int) -> None:
    schema = {"type": "object", "properties": RULES}
    large, largest = (_tagged(count, amount) for count in (20_001, 19_000))
    assert wrong_arguments(schema, large) == [TOO_LARGE]
    assert (wrong_arguments(schema, largest) == []) == (amount == 5)


def test_what_is_wrong_before_the_end_is_told_beside_it() -> None:
    schema = {"properties": RULES}
    arguments: Json = {"amount": 99, "tags": ["x"] * 20_001}
    assert wrong_arguments(schema, arguments) == ["/amount: must be at most 10", TOO_LARGE]


def test_items_without_a_rule_take_no_work() -> None:
    free = {"properties": {"tags": {"type": "array"}, "more": {"type": "object"}, "amount": {"maximum": 10}}}
    arguments = {"tags": [["x"]] * 50_000, "more": {str(one): one for one in range(50_000)}, "amount": 99}
    assert wrong_arguments(free, arguments) == ["/amount: must be at most 10"]


def _nested(levels: int, value: Any) -> dict[str, Any]:
    for _ in range(levels):
        value = {"inner": [value]}
    return value


@pytest.mark.parametrize("levels", [20, 40, 400])
def test_a_rule_holds_at_every_level_or_the_arguments_are_refused(levels: int) -> None:
    node = {"properties": {"inner": {"items": {"$ref": "#/$defs/node"}}, "action": {"enum": ["read"]}}}
    schema = {"$ref": "#/$defs/node", "$defs": {"node": node}}
    (wrong,) = wrong_arguments(schema, _nested(levels, {"action": "delete"}))
    assert wrong == (f"{'/inner/0' * levels}/action: must be one of read" if levels == 20 else TOO_DEEP)


def test_references_that_lead_on_without_end_refuse_what_they_should_check() -> None:
    schema = {"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#/$defs/a"}}}
    assert wrong_arguments(schema, {"a": 1}) == [TOO_DEEP]


@pytest.mark.parametrize(
    "rule",
    [
        {"enum": [*range(7_000)]},
        {"type": ["string"] * 7_000 + ["integer"]},
        {"required": [f"n{one}" for one in range(4_000)]},
        {"$ref": f"#/{'/' * 28_000}"},
    ],
    ids=["values", "types", "names", "a reference"],
)
def test_long_rules_of_a_server_take_of_the_same_work(rule: dict[str, Any]) -> None:
    value: Json = {f"n{one}": 0 for one in range(4_000)} if "required" in rule else 6_999
    schema = {"properties": {"list": {"type": "array", "items": rule}}}
    assert wrong_arguments(schema, {"list": [value] * 10}) == []
    assert wrong_arguments(schema, {"list": [value] * 1_000}) == [TOO_LARGE]
