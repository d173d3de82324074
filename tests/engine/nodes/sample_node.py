"""Say a word several times.

A node made for a test: this file, and one entry in the list of node types, are all it takes. Set how often, bind the word, and
the steps after it get the words as a list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from engine.flow.node_context import Json, NodeContext, NodeFailed
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType, Text


class Config(NodeConfig):
    times: int = Field(2, ge=1, le=9, title="Times", description="How often the word is said.")


class Inputs(NodeInputs):
    word: Text = Field(title="Word", description="The word to say.")


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """The words."""
    if not inputs.word:
        raise NodeFailed("There is no word to say.")
    return {"words": [inputs.word] * config.times}


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"words": {"type": "array", "items": {"type": "string"}}}}


NODE = NodeType(
    type="say",
    title="Say",
    group="transform",
    icon="campaign",
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    summary=lambda config, inputs: f"{config.get('times', 2)} times",
    example=({"times": 3}, {"word": "{{ page_scraper.out.title }}"}),
)
