"""What callers get back: you choose the fields.

Without this node callers get what the flow's last step gives, under the name `output`.
Add a field for each value callers should see and put data from earlier steps into it. A field that uses a step which was
skipped is empty (`null`), and the run says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.flow.node_context import Json, NodeContext
from engine.flow.node_type import FreeInputs, NodeConfig, NodeType


class Config(NodeConfig):
    """No settings."""


class Inputs(FreeInputs):
    """The response fields."""


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Returns the response object, with its fields in the designer's order."""
    return inputs.values


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {} for name in inputs}, "required": list(inputs)}


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    return ", ".join(inputs) or "no fields yet"


NODE = NodeType(
    type="api_output",
    title="API Output",
    group="io",
    icon="output",
    synonyms="output, outputs, return, response, answer, result, end, finish, give back, reply",
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    summary=_summary,
    ports=(),
    example=({}, {"title": "{{ page_scraper.out.title }}"}),
)
