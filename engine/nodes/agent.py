"""Let a model work on its own, with tools that you choose.

Write who the agent is and what it should do into **Instructions**, and what it is asked into **Message**. Then give it
**Tools**. The model decides itself which of them it uses, how often and in which order, until it has an answer:

* **Another flow** of this workspace. Its input fields are what the model fills in. As with Call Flow, deploying fixes the version.
* **A dataset**, in which it looks rows up by words or by conditions. Capitals and an English plural make no difference: “Parasols” finds
  “red parasol”. It adds rows only when you allow it.
* **Knowledge**, in which it searches your documents.
* **A web page, or a web service** at an address that you write. The model fills in only the values that you name; it can never choose
  the host, and it never sees your secrets.
* **The tools of another program** (an MCP server) that an owner set up under Settings, Tools.

Say with each tool **when to use it**: this is what the model goes by. With **Ask a person first** each call of a tool waits until
somebody approves it; a refusal is told to the model with the note,
and so is that nobody answered within 7 days.

A tool that fails, does not answer in time or is called with wrong values ends nothing: the model is told, and may try
another way. So it is when one call has more than 20,000 values: the check of more takes too long. **Most steps** limits how often the model is asked; at the last step it must answer with what it has. **Most
money** stops the agent before the next reply once that much is spent. The step's time limit ends it in any case, and the
error says how far it came; while it waits for a person, that limit does not run.

Without output fields the answer is text. With **output fields** it has these fields, as with Prompt. Each reply of the model and
each call of a tool stands with the step, with its tokens and cost, and none that has ended is repeated after a crash. The
**Simulated model** calls other flows, and of all other tools those that only read, with made-up values, so that a flow can be tried
without a key.

What a tool returns may hold text that tries to give the model orders. Give an agent only the tools that it needs, and let a
person decide about those that change something.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from pydantic import Field, JsonValue

from engine.core.error_codes import JobErrorCode
from engine.core.errors import Problem
from engine.flow import contract
from engine.flow.document import Document, Node
from engine.flow.node_context import Json, NodeContext, NodeFailed
from engine.flow.node_models import TurnFiles
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType, Text
from engine.nodes.agent_loop import AgentRun, Limits
from engine.nodes.agent_tool_problems import tool_problems
from engine.nodes.agent_tool_settings import MAX_TOOLS, AgentTool
from engine.nodes.agent_tools import build_tools
from engine.nodes.given_files import FILES, files_of
from engine.nodes.model_answers import (
    OUTPUT_FIELDS,
    AnswerField,
    answer_schema,
    is_model,
    model_problems,
    model_words,
    object_schema,
    same_texts_warning,
)


class Config(NodeConfig):
    model: str = Field(
        default="",
        max_length=300,
        title="Model",
        description="A connection and one of its models, or the Simulated model. It must be able to call tools.",
        json_schema_extra={"widget": "model"},
    )
    tools: tuple[AgentTool, ...] = Field(
        default=(),
        max_length=MAX_TOOLS,
        title="Tools",
        description="What the model may use. It decides itself when.",
        json_schema_extra={"item": "tool"},
    )
    output_fields: tuple[AnswerField, ...] = OUTPUT_FIELDS
    max_steps: int = Field(
        default=10,
        ge=1,
        le=100,
        title="Most steps",
        description="How often the model may be asked. At the last step it must answer with what it has.",
    )
    max_cost_usd: float | None = Field(
        default=1.0,
        gt=0,
        le=10_000,
        title="Most money, in US dollars",
        description="No further reply is asked for once so much is spent. Empty: no limit.",
    )


class Inputs(NodeInputs):
    message: Text = Field(
        title="Message",
        description="What the agent is asked, with data from earlier steps as chips.",
        json_schema_extra={"widget": "textarea"},
    )
    instructions: Text = Field(
        default="",
        title="Instructions",
        description="Who the agent is, what it should do and what it must not do.",
        json_schema_extra={"widget": "textarea"},
    )
    files: Any = FILES


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Returns the text of the agent's answer, or the object with the output fields."""
    if not is_model(config.model):
        raise NodeFailed("No model is chosen.", remedy="Choose one in the Agent's settings.")
    if not inputs.message.strip():
        raise NodeFailed(
            "The message is empty.",
            code=JobErrorCode.INPUT_MISSING,
            why="There was no text in it, and the data in it was empty in this run.",
            remedy="Write what the agent is asked.",
        )
    async with AsyncExitStack() as stack:
        files = await stack.enter_async_context(files_of(inputs.files, context))
        tools = await build_tools(config.tools, context, stack)
        answer = await AgentRun(
            context,
            config.model,
            inputs.instructions,
            inputs.message,
            tools,
            Limits(config.max_steps, config.max_cost_usd, context.timeout_seconds),
            object_schema(config.model_dump()["output_fields"]),
            TurnFiles(files),
        ).answer()
    if config.output_fields and (said := same_texts_warning(answer, config.output_fields, config.model)):
        context.warn(said)
    return answer


def _check(node: Node, document: Document) -> list[Problem]:
    return [*contract.output_field_problems(node), *model_problems(node), *tool_problems(node)]


def _asks_person(config: Mapping[str, Any]) -> bool:
    tools: JsonValue = config.get("tools")
    return isinstance(tools, list) and any(isinstance(one, dict) and one.get("ask_first") for one in tools)


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    tools: JsonValue = config.get("tools")
    count = len(tools) if isinstance(tools, list | tuple) else 0
    words = {0: "no tools yet", 1: "1 tool"}.get(count, f"{count} tools")
    return f"{model_words(config)}, {words}"[:80]


NODE = NodeType(
    type="agent",
    title="Agent",
    group="ai",
    icon="smart_toy",
    synonyms=(
        "assistant, tools, tool, mcp, function calling, autonomous, chatbot, research, look things up, "
        "ai agent, bot, helper, use a flow, plan, steps on its own"
    ),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=answer_schema,
    summary=_summary,
    timeout_seconds=600.0,
    asks_person=_asks_person,
    check=_check,
    example=(
        {
            "model": "simulated",
            "tools": [
                {
                    "kind": "http",
                    "name": "read_prices",
                    "description": "The prices of the practice shop.",
                    "address": "https://practice.flowport.example/prices.json",
                }
            ],
        },
        {
            "message": "How much is the cheapest tea?",
            "instructions": "You answer questions about the practice shop. Look things up before you answer.",
        },
    ),
)
