"""Data from earlier steps: what a node may use, as chips with a name and a type in words. No NiceGUI here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.flow.document import Document, Node
from engine.flow.graph import Graph
from engine.flow.node_type import Catalog
from engine.flow.ports import out_schema
from engine.flow.references import BadReference, Reference, split_text

TYPE_WORDS = {
    "string": "Text",
    "number": "Number",
    "integer": "Whole number",
    "boolean": "Yes or no",
    "array": "List",
    "object": "Group",
}


@dataclass(frozen=True)
class Datum:
    """One chip: what is inserted, what is read, and its type in words."""

    raw: str
    name: str
    type_word: str


@dataclass(frozen=True)
class Source:
    """An earlier node with its data; the whole output comes last."""

    node: Node
    data: tuple[Datum, ...]


def sources_for(document: Document, node_id: str, catalog: Catalog) -> list[Source]:
    """The nodes before this one, nearest first, with what they give."""
    graph = Graph(document)
    nodes = {node.id: node for node in document.nodes}
    earlier = [nodes[other] for other in reversed(graph.ancestors(node_id))]
    return [Source(node, _data(node, catalog)) for node in earlier]


def type_word(schema: Mapping[str, Any]) -> str:
    """A schema's type as people say it; `Any` when it is not known."""
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "string" and schema.get("format") == "uri":
        return "Web address"
    return TYPE_WORDS.get(str(kind), "Any")


def labels_of(document: Document) -> dict[str, str]:
    """Node id -> label, as chips show it."""
    return {node.id: node.name for node in document.nodes}


def readable(text: str, document: Document) -> str:
    """A binding in words: `Summarise › facts` for its references."""
    labels = labels_of(document)
    return "".join(
        piece
        if isinstance(piece, str)
        else "{{ " + piece.text + " }}"
        if isinstance(piece, BadReference)
        else _in_words(piece, labels)
        for piece in split_text(text)
    )


def _in_words(reference: Reference, labels: Mapping[str, str]) -> str:
    names = [] if reference.root == "out" else [reference.root]
    parts = [part if isinstance(part, str) else f"item {part + 1}" for part in reference.path]
    return " › ".join([labels.get(reference.node_id, reference.node_id), *names, *parts])


def _data(node: Node, catalog: Catalog) -> tuple[Datum, ...]:
    schema = out_schema(node, catalog)
    found = [
        Datum(str(Reference(node.id, "out", (name,))), name, type_word(inner if isinstance(inner, dict) else {}))
        for name, inner in (schema.get("properties") or {}).items()
    ]
    if node.type == "array_splitter":
        found += [
            Datum(str(Reference(node.id, "index")), "index", "Whole number"),
            Datum(str(Reference(node.id, "total")), "total", "Whole number"),
        ]
    whole = "everything" if found else "result"
    return (*found, Datum(str(Reference(node.id, "out")), whole, type_word(schema)))
