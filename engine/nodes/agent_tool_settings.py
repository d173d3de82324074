"""The settings of an Agent's tools: what the designer says of each entry."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field

from engine.flow.agent_kinds import KINDS, Kind
from engine.flow.node_type import NodeConfig
from engine.nodes.api_input import InputRules, InputType

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
MAX_TOOLS = 30
LONGEST_DESCRIPTION = 2_000
#: A name in an address, which the model fills in.
IN_BRACES = re.compile(r"\{([^{}]*)\}")


class ToolRules(InputRules):
    """A value without its name: its type and what the model must keep to."""

    # the models are frozen, which a type checker does not see: a narrower type is safe
    type: InputType = Field(default="string", title="Type", description="What kind of value the model fills in.")
    required: bool = Field(
        default=False, title="Required", description="A call without it is not made; the model is told so."
    )
    description: str = Field(
        default="",
        max_length=1_000,
        title="Description",
        description="Tells the model what belongs here, like `The number of the order`.",
    )
    default: Any = Field(default=None, title="Default", description="Sent when the model leaves it out.")
    example: Any = Field(default=None, title="Example", description="Shows the model what you expect.")
    items: ToolRules | None = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=None, title="Items", description="What each item of the list is."
    )
    fields: tuple[ToolParameter, ...] | None = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=None, title="Fields", description="What the model fills in for each part of the group."
    )


class ToolParameter(ToolRules):
    """A value that the model fills in when it calls a web service."""

    name: str = Field(
        max_length=200, title="Name", description="The name in braces in the address, or under which the value is sent."
    )


class AgentTool(NodeConfig):
    """One entry of an agent's tools; which fields count depends on `kind`."""

    kind: Kind = Field(
        "flow",
        title="What it uses",
        description="What the agent may look up or do with it.",
        json_schema_extra={"words": {**KINDS}, "new": "flow"},
    )
    flow_id: str = Field(
        "",
        max_length=100,
        title="Flow",
        description="A saved flow of this workspace. Its input fields are what the model fills in.",
        json_schema_extra={"widget": "tool_flow"},
    )
    version: int | None = Field(
        None,
        ge=1,
        title="Version",
        description="Fixed when this flow is deployed: the live version of the flow, else its newest.",
        json_schema_extra={"widget": "hidden"},
    )
    dataset: str = Field(
        "",
        max_length=200,
        title="Dataset",
        description="The dataset in which the model may look rows up.",
        json_schema_extra={"widget": "dataset"},
    )
    may_add: bool = Field(False, title="May add rows", description="The model may also add rows to the dataset.")
    collection: str = Field(
        "",
        max_length=200,
        title="Collection",
        description="The collection of the page Knowledge that the model may search.",
        json_schema_extra={"widget": "collection"},
    )
    method: Method = Field("GET", title="Method", description="GET reads; the others change something.")
    address: str = Field(
        "",
        max_length=2_000,
        title="Web address",
        description="Always this address. Where the model fills something in, write a name in braces: "
        "`https://api.example.com/orders/{order}`. The host cannot be filled in.",
        json_schema_extra={"widget": "line", "example": "https://api.example.com/orders/{order}"},
    )
    parameters: tuple[ToolParameter, ...] = Field(
        (),
        max_length=50,
        title="What the model fills in",
        description="The names in braces, and further values: they go into the address after `?`, or into the body.",
        json_schema_extra={"item": "value"},
    )
    secret_headers: dict[str, str] = Field(
        default_factory=dict,
        max_length=20,
        title="Secret headers",
        description="Headers filled from secrets, like Authorization. The model never sees them.",
        json_schema_extra={"widget": "secrets", "item": "header"},
    )
    server: str = Field(
        "",
        max_length=100,
        title="MCP server",
        description="A server that an owner set up under Settings, Tools.",
        json_schema_extra={"widget": "tool_server"},
    )
    only: tuple[str, ...] = Field(
        (),
        max_length=200,
        title="Which of its tools",
        description="None chosen: all that the owner allows.",
        json_schema_extra={"widget": "server_tools"},
    )
    description: str = Field(
        "",
        max_length=LONGEST_DESCRIPTION,
        title="When to use it",
        description="Tells the model what it is for, like `Finds an order by its number`. Empty: the model is told what "
        "you chose, of a dataset its name and columns.",
        json_schema_extra={"widget": "textarea"},
    )
    name: str = Field(
        "",
        max_length=64,
        title="Name",
        description="What the model calls it by, like `look_up_order`. Empty: a name is made.",
    )
    ask_first: bool = Field(
        False,
        title="Ask a person first",
        description="Each call waits until somebody approves it on the page Waiting.",
    )
    editable: bool = Field(
        False, title="The person may change the values", description="Before the person approves the call."
    )
    timeout_seconds: float = Field(
        60, gt=0, le=3_600, title="Longest wait", description="In seconds. A call that takes longer is given up."
    )


def placeholders(address: str) -> list[str]:
    """Returns the names in braces in an address, each once."""
    return list(dict.fromkeys(IN_BRACES.findall(address)))
