"""What callers get back: you choose the fields.

Without this node callers get what the flow's last step gives, under the name `output`.
Add a field for each value callers should see and put data from earlier steps into it. A field that uses a step which was
skipped is empty (`null`), and the run says so.

A price or amount that was found in a text is text. Choose **As a number** in the three-dot menu of the field: `39.90 EUR` becomes
39.9 and `1.299,00` becomes 1299; without a number the field is empty, and the run says so. **As yes or no** gives yes when there is
something, and no for nothing, 0 and the texts `no`, `false` and `0`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.flow.node_context import Json, NodeContext
from engine.flow.node_type import FreeInputs, NodeConfig, NodeType
from engine.flow.value_types import ValueType, typed_object, typed_values, types_field


class Config(NodeConfig):
    """The types of fields; everything else is in the inputs."""

    types: dict[str, ValueType] = types_field()


class Inputs(FreeInputs):
    """The response fields."""


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Returns the response object, with its fields in the designer's order."""
    return typed_values(inputs.values, config.types, context.warn) if config.types else inputs.values


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    return typed_object(config, {name: {} for name in inputs})


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    return ", ".join(inputs) or "no fields yet"


NODE = NodeType(
    type="api_output",
    title="API Output",
    group="io",
    icon="output",
    synonyms=(
        "output, outputs, return, response, answer, result, end, finish, give back, reply, as a number, yes or no, "
        "send back, what comes out, show the result, what callers get"
    ),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    summary=_summary,
    ports=(),
    example=({}, {"title": "{{ page_scraper.out.title }}"}),
)
