"""Finds and changes references in the inputs of a node, also in template source, where filters and tags are kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import jsonpointer
from pydantic import JsonValue

from engine.flow.document import Node
from engine.flow.node_type import NodeType
from engine.flow.references import ROOTS, BadReference, Json, Reference, find_references, parse_reference

#: Returns the reference to write instead; None keeps the present one.
Change = Callable[[Reference], Reference | None]

#: A text in quotes, which may lack its end, or a chain like `prompt.out.items[0].title`. A text is matched first, so that
#: nothing in it is read.
_PIECE: Final = re.compile(
    r""""(?:[^"\\]|(?s:\\.))*+"?+|'(?:[^'\\]|(?s:\\.))*+'?+|"""
    r"""(?<![\w.])[a-z][a-z0-9_]{0,62}\s*\.\s*(?:out|index|total)\b"""
    r"""(?:\s*\.\s*[A-Za-z_]\w*|\s*\[\s*\d{1,9}\s*\]|\s*\[\s*"(?:[^"\\]|\\.)*+"\s*\])*""",
    re.ASCII,
)


def references_of(node: Node, kind: NodeType) -> Iterator[tuple[str, Reference]]:
    """Yields the references in a node's inputs with their JSON pointers, also those in template source."""
    yield from ((pointer, one) for pointer, one in references_typed(node, kind) if isinstance(one, Reference))


def references_typed(node: Node, kind: NodeType) -> Iterator[tuple[str, Reference | BadReference]]:
    """Yields the same, and what is typed like a reference and is none."""
    for name, binding in node.inputs.items():
        pointer = f"/inputs/{jsonpointer.escape(name)}"
        if name in kind.source_inputs and kind.source_references is not None and isinstance(binding, str):
            yield from ((pointer, found) for found in kind.source_references(binding))
        else:
            yield from find_references(binding, pointer)


def change_references(node: Node, kind: NodeType, change: Change) -> dict[str, Any]:
    """Returns the node's inputs with changed references. Text around a reference stays as it was typed."""
    return {name: change_in(value, change, source=name in kind.source_inputs) for name, value in node.inputs.items()}


def change_in(value: JsonValue, change: Change, *, source: bool = False) -> Json:
    """Returns a binding, or template source, with changed references. The document's limit bounds the depth."""
    if isinstance(value, str):
        return "".join(
            _PIECE.sub(lambda piece: _changed_piece(piece[0], change), part) if tag else part
            for tag, part in _parts(value, ("{{", "{%") if source else ("{{",))
        )
    if isinstance(value, dict):
        return {key: change_in(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [change_in(item, change) for item in value]
    return value


def _parts(text: str, openings: tuple[str, ...]) -> Iterator[tuple[bool, str]]:
    """Yields the text in pieces, each with whether it is a tag. Its time is linear in the text, for any braces."""
    closings = {"{{": "}}", "{%": "%}"}
    left, at = set(openings), 0
    while found := [(start, one) for one in left if (start := text.find(one, at)) >= 0]:
        start, opening = min(found)
        end = text.find(closings[opening], start + 2)
        if end < 0:
            left.discard(opening)
            continue
        yield False, text[at:start]
        yield True, text[start : end + 2]
        at = end + 2
    yield False, text[at:]


def _changed_piece(text: str, change: Change) -> str:
    reference = parse_reference(text)
    if not isinstance(reference, Reference) or reference.root not in ROOTS:
        return text
    after = change(reference)
    return text if after is None else str(after)[3:-3]
