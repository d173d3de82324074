"""Go one way for yes, another way for no.

Add a rule: some data, a comparison, and what it is compared with. When the rules are true the flow goes the way `yes`,
otherwise the way `no`; the steps on the other way are skipped. Connect what should happen to each of the two.

* **All of them** needs every rule to be true, **Any of them** one.
* Capitals do not matter for *is*, *contains*, *starts with*, *ends with* and *is one of*, and their opposites, until you switch on
  **Match capitals** in the rule. It is on in rules made before the switch existed.
* *Is greater than* and its like compare numbers. A text like `640.00 EUR` is no number: texts are compared then, by their letters, and the step says so. Make the
  field a Number in the step that gives it.
* `out` is **Value**; while it is empty, the data of the node before the Condition is passed on.
* A node is skipped when everything before it was skipped. Data of a skipped node is empty.
* To bring both sides together again, connect them to a **First Value**.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, JsonValue

from engine.core.error_codes import JobErrorCode
from engine.core.errors import Problem
from engine.core.redaction import cut
from engine.flow.document import Document, Node
from engine.flow.node_context import JsonSchema, NodeContext
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType, Routed
from engine.flow.references import as_text
from engine.flow.rules import (
    MATCH_TITLES,
    MAX_RULES,
    OPERATOR_TITLES,
    Match,
    Rule,
    combined,
    compared_as_text,
    rule_problem,
    rule_words,
)


class Config(NodeConfig):
    match: Match = Field(
        "all",
        title="Go the “yes” way when these are true",
        description="Whether every rule must be true or one is enough.",
        json_schema_extra={"words": {**MATCH_TITLES}},
    )
    may_end: Literal["", "yes", "no", "both"] = Field(
        "",
        title="May end on purpose",
        description="A branch that leads nowhere is a warning, except here. The run is the same in any case.",
        json_schema_extra={
            "words": {"": "Neither branch", "yes": "The “yes” branch", "no": "The “no” branch", "both": "Both branches"}
        },
    )


class Inputs(NodeInputs):
    rules: tuple[Rule, ...] = Field(
        max_length=MAX_RULES,
        title="Rules",
        description="What must be true to go the “yes” way.",
        json_schema_extra={"item": "rule"},
    )
    value: Any = Field(
        None, title="Value", description="What is passed on. Empty: the data of the node before this one."
    )


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Routed:
    """Returns the value with the port `yes` or `no`.

    Rules with patterns are evaluated in a thread, since they search texts.
    """
    if any(rule.operator == "matches" for rule in inputs.rules):
        answer = await context.in_thread(_answer, config, inputs)
    else:
        answer = _answer(config, inputs)
    port = "yes" if answer else "no"
    for rule in inputs.rules:
        if compared_as_text(rule.left, rule.operator, rule.right):
            context.warn(
                f"“{cut(str(rule.left), 60)}” is no number, so the rule “{OPERATOR_TITLES[rule.operator]} {rule.right}” compared "
                "texts. Make the field a Number in the step that gives it."
            )
    context.log(f"Went on by {port}.")
    return Routed(port, inputs.value)


def _answer(config: Config, inputs: Inputs) -> bool:
    return combined((rule.holds for rule in inputs.rules), config.match)


def _check(node: Node, document: Document) -> list[Problem]:
    rules: JsonValue = node.inputs.get("rules")
    if not isinstance(rules, list | tuple):
        return []
    found: list[Problem] = []
    if not rules:
        message = f"{node.name}: there is no rule yet, so it could not decide."
        found.append(Problem(JobErrorCode.INPUT_MISSING, message, node.id, "/inputs/rules", blocks_import=False))
    for position, rule in enumerate(rules):
        at = f"/inputs/rules/{position}"
        if not isinstance(rule, Mapping):
            found.append(Problem("invalid_value", "A rule is a group of left, operator and right.", node.id, at))
            continue
        if unknown := [key for key in rule if key not in Rule.model_fields]:
            found.append(Problem("unknown_key", f"`{unknown[0]}` is not a part of a rule.", node.id, at))
        operator = str(rule.get("operator", "equals"))
        if operator not in OPERATOR_TITLES:
            found.append(
                Problem(
                    "invalid_value",
                    f"`{operator}` is no comparison. Use one like `equals`, `greater` or `contains`.",
                    node.id,
                    f"{at}/operator",
                )
            )
        elif why := rule_problem(operator, rule.get("right")):
            found.append(Problem("bad_pattern", why, node.id, f"{at}/right", blocks_import=False))
    return found


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> JsonSchema | None:
    return None


def _out_from(
    config: Mapping[str, Any], inputs: Mapping[str, Any], given: Mapping[str, JsonSchema]
) -> JsonSchema | None:
    return given.get("value")


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    rules: JsonValue = inputs.get("rules")
    wanted = [rule for rule in rules if isinstance(rule, Mapping)] if isinstance(rules, list | tuple) else []
    if not wanted:
        return "no rule yet"
    link = " or " if config.get("match") == "any" else " and "
    said = (rule_words(as_text(rule.get("left")), rule.get("operator"), as_text(rule.get("right"))) for rule in wanted)
    return link.join(said)[:60]


NODE = NodeType(
    type="condition",
    title="Condition",
    group="logic",
    icon="alt_route",
    synonyms=(
        "if, else, if else, branch, switch, case, when, check, decide, decision, rule, compare, yes or no, router, "
        "depends, when a total is above, above, below, over, under, more than, less than, greater, limit, "
        "threshold, if then, depending on, different ways, two ways"
    ),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    out_from=_out_from,
    source_input="value",
    summary=_summary,
    ports=("yes", "no"),
    check=_check,
    example=({}, {"rules": [{"left": "{{ page_scraper.out.status }}", "operator": "equals", "right": 200}]}),
)
