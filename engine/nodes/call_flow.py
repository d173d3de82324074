"""Run another saved flow as one step.

Choose a flow of this workspace: its input fields stand below and take values like those of any other node. `out` is its result:
the fields of its API Output, or `output` when it has none.

What is called is the flow's live version, or its newest saved one while none is live. **Deploying fixes that version**: a later
change of the called flow does not change your API. When a newer version is live, the node says so; Update API takes it over.

The called flow runs inside this job: it does not count as a call of its own, its cost counts with the job, and it ends with
the job's time limit or when the job is cancelled. Its steps stand with the job's steps, as `Call Flow › Step`. Flows may call
flows five deep; a flow that calls itself, also by way of others, is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from engine.core.errors import Problem
from engine.flow.document import Document, Node
from engine.flow.node_context import Json, JsonSchema, NodeContext
from engine.flow.node_type import THE_JOBS, FreeInputs, NodeConfig, NodeType


class Config(NodeConfig):
    flow_id: str = Field(
        default="",
        max_length=100,
        title="Flow",
        description="The saved flow that runs here.",
    )
    version: int | None = Field(
        default=None,
        ge=1,
        title="Version",
        description="Fixed when this flow is deployed: the called flow's live version, else its newest.",
        json_schema_extra={"widget": "hidden"},
    )


class Inputs(FreeInputs):
    """The fields of the called flow's API Input."""


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Returns the result of the called flow."""
    return await context.call_flow(config.flow_id, config.version, inputs.values)


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> JsonSchema | None:
    return None  # the schema of the called flow's result is not known here


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    return "runs another flow" if config.get("flow_id") else "no flow chosen yet"


def _check(node: Node, document: Document) -> list[Problem]:
    if node.config.get("flow_id"):
        return []
    message = f"{node.name} calls no flow yet: choose one."
    return [Problem("setting_missing", message, node.id, "/config/flow_id", blocks_import=False)]


NODE = NodeType(
    type="call_flow",
    title="Call Flow",
    group="logic",
    icon="account_tree",
    synonyms=(
        "subflow, reuse, another flow, workflow, call a flow, flow in a flow, use another flow, sub-flow, "
        "same steps again"
    ),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    summary=_summary,
    timeout_seconds=THE_JOBS,
    check=_check,
    example=({"flow_id": "flow_summaries"}, {"text": "{{ page_scraper.out.text }}"}),
)
