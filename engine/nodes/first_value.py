"""Bring branches together: takes the one that ran.

Connect both sides to this node and list their data under **Values**. `out` is the first whose node was not skipped, so the nodes
after it need not know which way the flow went. While **Values** is empty, the data of the connected nodes is used, in the order
in which they were connected.

A value without data from a step, like a fixed text, always counts: put one last to have something when nothing ran.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, JsonValue

from engine.flow.node_context import Json, JsonSchema, NodeContext
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType


class Config(NodeConfig):
    """No settings."""


class Inputs(NodeInputs):
    values: list[Any] = Field(
        default_factory=list,
        max_length=100,
        title="Values",
        description="The first whose node ran is taken. Empty: the data of the connected nodes, in their order. "
        "What they say is changed in these nodes.",
        json_schema_extra={"widget": "rows"},
    )


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Returns the first value; the runner has left out values of skipped nodes."""
    if not inputs.values:
        context.warn("None of the values is there, because their nodes were skipped: null goes on.")
        return None
    return inputs.values[0]


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> JsonSchema | None:
    return None


def _out_from(
    config: Mapping[str, Any], inputs: Mapping[str, Any], given: Mapping[str, JsonSchema]
) -> JsonSchema | None:
    return given["values"].get("items") if "values" in given else None


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    values: JsonValue = inputs.get("values")
    return f"the first of {len(values)} values" if isinstance(values, list) and values else "the first that is there"


NODE = NodeType(
    type="first_value",
    title="First Value",
    group="logic",
    icon="looks_one",
    synonyms=(
        "join branches, otherwise, fallback, either, whichever ran, rejoin, after a branch, default, "
        "bring together, one of several, whichever is there"
    ),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    out_from=_out_from,
    source_input="values",
    all_sources=True,
    without_skipped=frozenset({"values"}),
    is_repeatable=True,
    summary=_summary,
    example=({}, {"values": ["{{ page_scraper.out.title }}", "no title"]}),
)
