"""Wait until a person has agreed.

A person sees **What is asked** and the **Values**, and approves or refuses. The flow waits for that, for days if it must, and takes no
resources meanwhile. People answer on the page **Waiting**, in the Run panel, over a link that works without an account, or a program
answers over the API.

* Connect what happens next to `approved` and, if something happens then, to `refused`. The steps on the other way are skipped.
* **May be changed** names the values that the person may correct before they approve. Later steps take them from this step, as
  `Approval › values`, not from the step that made them.
* The values may have 256 KiB together as JSON, since a person reads them; with more the step fails with `node_failed`.
* `note` is what the person wrote, `by` who it was. `expired` is true when nobody answered in time.
* While the question waits, neither the time limit of this step nor that of the job runs.
* **When nobody answers** decides what happens after the time is over: it counts as refused, as approved, or the step fails.
* The steps before it do not run again after the answer, except one that gave more than 1 MiB, since only the beginning of that is kept.
  Other branches of the flow go on meanwhile.
* In a list, all items that run at the same time ask at the same time; set **For each item** to one after the other when a person should
  see the next question only after the answer to the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from pydantic import Field, JsonValue

from engine.core.errors import Problem
from engine.flow.after_answer import APPROVED, REFUSED
from engine.flow.document import Document, Node
from engine.flow.node_context import Json, JsonSchema, NodeContext, OnExpiry, PersonQuestion
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType, Routed, Text

WEEK = 7 * 86_400


class Config(NodeConfig):
    editable: tuple[str, ...] = Field(
        (),
        title="May be changed",
        description="The values that the person may correct before they approve.",
        json_schema_extra={"widget": "value_names", "item": "value"},
    )
    expires_after_seconds: int = Field(
        WEEK,
        ge=60,
        le=366 * 86_400,
        title="Time to answer",
        description="How long the question waits for a person.",
        json_schema_extra={"widget": "duration"},
    )
    on_expiry: OnExpiry = Field(
        "refuse",
        title="When nobody answers",
        description="What happens when the time is over.",
        json_schema_extra={
            "words": {
                "refuse": "It counts as refused",
                "approve": "It counts as approved",
                "fail": "This step fails",
            }
        },
    )


class Inputs(NodeInputs):
    title: Text = Field(
        title="What is asked",
        description="One sentence that a person can answer, like: Send this reply to the customer?",
    )
    values: dict[str, Any] = Field(
        default_factory=dict,
        title="Values",
        description="What the person reads before they decide, each with a name.",
        json_schema_extra={"item": "value"},
    )


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Routed:
    """Asks the person and goes on by `approved` or `refused`."""
    answer = await context.ask_person(
        PersonQuestion(
            key="approval",
            title=inputs.title,
            values=inputs.values,
            editable=config.editable,
            expires_after_seconds=config.expires_after_seconds,
            on_expiry=config.on_expiry,
        )
    )
    who = answer.by or ("Nobody answered in time" if answer.expired else "Somebody")
    context.log(f"{who}: {APPROVED if answer.approved else REFUSED}.")
    value: dict[str, Json] = {
        "approved": answer.approved,
        "values": answer.values,
        "note": answer.note,
        "by": answer.by,
        "expired": answer.expired,
    }
    return Routed(_port(value), value)


def _port(output: JsonValue) -> str:
    return APPROVED if isinstance(output, dict) and output.get("approved") is True else REFUSED


def _check(node: Node, document: Document) -> list[Problem]:
    values, editable = node.inputs.get("values"), node.config.get("editable")
    if not isinstance(values, Mapping | None) or not isinstance(editable, list | tuple):
        return []  # the names are known when the flow runs
    unknown = [
        name for name in cast("Iterable[JsonValue]", editable) if isinstance(name, str) and name not in (values or {})
    ]
    return [
        Problem(
            "unknown_value",
            f"{node.name}: “{name}” may be changed, but no value has this name.",
            node.id,
            "/config/editable",
            blocks_import=False,
        )
        for name in unknown
    ]


def _schema(values: JsonSchema | None) -> JsonSchema:
    shown = values if values is not None and values.get("type") == "object" else {"type": "object"}
    return {
        "type": "object",
        "properties": {
            "approved": {"type": "boolean", "title": "Approved"},
            "values": {**shown, "title": "Values"},
            "note": {"type": "string", "title": "Note"},
            "by": {"type": "string", "title": "Answered by"},
            "expired": {"type": "boolean", "title": "Nobody answered in time"},
        },
        "required": ["approved", "values", "note", "by", "expired"],
    }


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> JsonSchema | None:
    values: JsonValue = inputs.get("values")
    if not isinstance(values, Mapping):
        return _schema(None)
    return _schema({"type": "object", "properties": {name: {} for name in values}, "required": list(values)})


def _out_from(
    config: Mapping[str, Any], inputs: Mapping[str, Any], given: Mapping[str, JsonSchema]
) -> JsonSchema | None:
    return _schema(given.get("values")) if "values" in given else _out(config, inputs)


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    return str(inputs.get("title") or "asks a person")[:60]


NODE = NodeType(
    type="approval",
    title="Approval",
    group="logic",
    icon="how_to_reg",
    synonyms=(
        "approve, ask a person, human in the loop, human, person, wait, confirm, confirmation, review, sign off, "
        "permission, allow, pause, check by hand, manual, four eyes, refuse, reject, let a person check, "
        "somebody checks, boss, ask my boss, before sending, release, ok"
    ),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    out_from=_out_from,
    kept_port=_port,
    asks_person=lambda _config: True,
    summary=_summary,
    ports=(APPROVED, REFUSED),
    check=_check,
    example=(
        {"editable": ["title"]},
        {"title": "Use this page?", "values": {"title": "{{ page_scraper.out.title }}"}},
    ),
)
