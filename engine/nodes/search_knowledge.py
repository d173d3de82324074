"""Find the pieces of your documents that answer a question.

Choose a collection of the page **Knowledge** and say what to look for. It gives the pieces that fit best, with their source,
and one text to put into a **Prompt**: then the model answers from your documents, and its answer can name the numbers.

| Field | Holds |
|---|---|
| `text` | all pieces as one text, numbered `[1]`, `[2]` ..., each with its source: put it into the prompt |
| `pieces` | the pieces: `number`, `text`, `source`, `address`, `place` (like page 3), `heading`, `score`, `words`, `likeness` |
| `sources` | where they are from: `number`, `source`, `address`, `place` |
| `count` | how many there are |

Words are always searched, English ones by their stems (`returns` finds `returned`), and need no key. Where the collection has a model for
search by meaning, it is asked too, and both lists are joined. **Lowest score** leaves out what fits badly: 0.5 means half of the
question's words, or that much likeness in meaning. **Only from** takes names of sources, one for each line, or a part of the
name or address of their documents.

Nothing found is no failure: `count` is 0 and `text` says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from engine.core.error_codes import JobErrorCode
from engine.core.errors import Problem
from engine.flow.document import Document, Node
from engine.flow.node_context import Json, NodeContext, NodeFailed
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType, Text
from engine.nodes.known_collections import collection_field, no_collection_yet

MOST = 50
_LINE_END = "\n"
#: Blank lines: in the text for a prompt only a number begins another piece.
_BLANK = re.compile(r"\n(?:[^\S\n]*+\n)++")


class Config(NodeConfig):
    collection: str = collection_field("The collection of the page Knowledge that is searched.")
    limit: int = Field(
        5, ge=1, le=MOST, title="Most pieces", description="How many pieces at most. 3 to 8 are enough for an answer."
    )
    min_score: float = Field(
        0.0, ge=0, le=1, title="Lowest score", description="Leave out pieces with a score below this, from 0 to 1."
    )
    sources: tuple[str, ...] = Field(
        (),
        max_length=50,
        title="Only from",
        description="Only from these sources: their names, or a part of the name or address of a document. Empty: all.",
        json_schema_extra={"item": "source"},
    )


class Inputs(NodeInputs):
    query: Text = Field(title="Question", description="What to look for: a question or some words.")


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Searches and numbers what was found."""
    question = inputs.query.strip()
    if not question:
        raise NodeFailed(
            "The question is empty.",
            code=JobErrorCode.INPUT_MISSING,
            why="There is nothing to look for.",
            remedy="Fill in the question with data that is always there.",
            pointer="/inputs/query",
        )
    pieces = await context.knowledge.search(
        config.collection, question, config.limit, config.min_score, tuple(one for one in config.sources if one.strip())
    )
    sources = [{name: one[name] for name in ("number", "source", "address", "place")} for one in pieces]
    return {"text": as_text(pieces), "pieces": pieces, "sources": sources, "count": len(pieces)}


def as_text(pieces: list[dict[str, Json]]) -> str:
    """Returns pieces as one text for a prompt."""
    if not pieces:
        return "Nothing was found."
    return "\n".join(f"[{one['number']}] {_from(one)}\n{_BLANK.sub(_LINE_END, str(one['text']))}" for one in pieces)


def _from(piece: Mapping[str, Json]) -> str:
    named = ", ".join(filter(None, (str(piece["source"]), str(piece["place"]))))
    return f"{named} ({piece['heading']})" if piece["heading"] else named


def _check(node: Node, document: Document) -> list[Problem]:
    return list(no_collection_yet(node))


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    text = {"type": "string"}
    where = {
        "number": {"type": "integer", "title": "Number"},
        "source": {**text, "title": "Source"},
        "address": {**text, "title": "Web address"},
        "place": {**text, "title": "Place"},
    }
    piece = {
        "number": where["number"],
        "text": {**text, "title": "Text"},
        **{name: where[name] for name in ("source", "address", "place")},
        "heading": {**text, "title": "Heading"},
        "score": {"type": "number", "title": "Score"},
        "words": {"type": "array", "title": "Words found", "items": text},
        "likeness": {"type": ["number", "null"], "title": "Likeness in meaning"},
    }
    fields = {
        "text": {**text, "title": "Text for a prompt"},
        "pieces": {"type": "array", "title": "Pieces", "items": {"type": "object", "properties": piece}},
        "sources": {"type": "array", "title": "Sources", "items": {"type": "object", "properties": where}},
        "count": {"type": "integer", "title": "Number of pieces"},
    }
    return {"type": "object", "properties": fields, "required": list(fields)}


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    name = str(config.get("collection") or "")
    return f"{name}, up to {config.get('limit', 5)} pieces"[:80] if name else "no collection yet"


NODE = NodeType(
    type="search_knowledge",
    title="Search Knowledge",
    group="ai",
    icon="manage_search",
    synonyms=(
        "knowledge, documents, retrieval, rag, search, find, vector, semantic, embeddings, question answering, "
        "look up, files, sources, citations, faq, house rules, handbook, look in documents, answer from documents"
    ),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    summary=_summary,
    check=_check,
    example=({"collection": "Practice documents", "limit": 3}, {"query": "How long can I return a bread tin?"}),
)
