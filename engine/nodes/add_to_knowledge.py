"""Keep a text so that it can be found by Search Knowledge.

Choose a collection of the page **Knowledge** and say which text to add. It is cut into pieces and can be found at once.

**Source** is the name under which the text is kept, like a title, a file or a web address; answers show it. A text of the same
source is replaced, so a flow that runs every night keeps one text for each source. Without a source each text is kept beside the
others. A web address as source becomes a link.

A step adds once: another try of it, also after a crash of the server, adds nothing more. In the Playground it really adds, too.
Its output has `action` (`added`, `replaced` or `unchanged`), `source` and `pieces`, the number of pieces.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from engine.core.error_codes import JobErrorCode
from engine.core.errors import Problem
from engine.flow.document import Document, Node
from engine.flow.node_context import Json, NodeContext, NodeFailed
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType, Text
from engine.nodes.known_collections import collection_field, no_collection_yet


class Config(NodeConfig):
    collection: str = collection_field("The collection of the page Knowledge that keeps the text.")


class Inputs(NodeInputs):
    text: Text = Field(
        title="Text", description="The text to keep. Headings that begin with # are kept with the pieces."
    )
    source: Text = Field(
        "",
        title="Source",
        description="Where it is from: a title, a file or a web address. The same source is replaced.",
    )


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Adds the text and returns what was done."""
    if not inputs.text.strip():
        raise NodeFailed(
            "The text is empty.",
            code=JobErrorCode.INPUT_MISSING,
            why="There is nothing to keep.",
            remedy="Fill in the text with data that is always there, or put a Condition before this step.",
            pointer="/inputs/text",
        )
    return await context.knowledge.add(config.collection, inputs.text, inputs.source.strip())


def _check(node: Node, document: Document) -> list[Problem]:
    return list(no_collection_yet(node))


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    fields = {
        "action": {"type": "string", "enum": ["added", "replaced", "unchanged"], "title": "Action"},
        "source": {"type": "string", "title": "Source"},
        "pieces": {"type": "integer", "title": "Number of pieces"},
    }
    return {"type": "object", "properties": fields, "required": list(fields)}


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    name = str(config.get("collection") or "")
    return f"to {name}"[:80] if name else "no collection yet"


NODE = NodeType(
    type="add_to_knowledge",
    title="Add to Knowledge",
    group="ai",
    icon="library_add",
    synonyms=(
        "knowledge, remember, memory, store, keep a document, index, rag, embeddings, vector store, documents, "
        "learn, add a document, file a document"
    ),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    summary=_summary,
    check=_check,
    example=(
        {"collection": "Practice documents"},
        {"text": "{{ page_scraper.out.markdown }}", "source": "{{ page_scraper.out.url }}"},
    ),
)
