"""Shows references as people read them on every page: `Summarise › facts` for `{{ summarise.out.facts }}`."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from engine.flow.document import Document
from engine.flow.lists import SPLITTER
from engine.flow.references import SYSTEM, BadReference, Json, Reference, parse_reference, split_text


def data_names(document: Document) -> dict[str, str]:
    """Returns node id -> what its data is called: the node's label, or "this item" for an Array Splitter."""
    splitters = [node for node in document.nodes if node.type == SPLITTER]
    items = {node.id: f"this item of {node.name}" if len(splitters) > 1 else "this item" for node in splitters}
    return {node.id: node.name for node in document.nodes} | items


def in_words(reference: Reference, labels: Mapping[str, str]) -> str:
    """Returns a reference as text, for example `Summarise › facts › item 1`. `labels`: node id -> label."""
    if reference.node_id == SYSTEM:
        return f"This run › {'date' if reference.root == 'timestamp' else reference.root.replace('_', ' ')}"
    names = [] if reference.root == "out" else [reference.root]
    parts = [part if isinstance(part, str) else f"item {part + 1}" for part in reference.path]
    return " › ".join([labels.get(reference.node_id, reference.node_id), *names, *parts])


class FromData(str):
    """The shown form of a text with references. Without them it is a `str`, whose words stand in the flow itself."""

    __slots__ = ()


def text_in_words(text: str, labels: Mapping[str, str]) -> str:
    """Returns a text with its references replaced by their shown form; other text stays."""
    pieces = tuple(split_text(text))
    shown = "".join(
        piece
        if isinstance(piece, str)
        else _filtered_in_words(piece, labels)
        if isinstance(piece, BadReference)
        else in_words(piece, labels)
        for piece in pieces
    )
    return shown if all(isinstance(piece, str) for piece in pieces) else FromData(shown)


def _filtered_in_words(bad: BadReference, labels: Mapping[str, str]) -> str:
    """Returns a reference with filters in words, with the filters as they are written; other text in its braces."""
    name, sign, filters = bad.text.partition("|")
    reference = parse_reference(name)
    if not sign or isinstance(reference, BadReference):
        return "{{ " + bad.text + " }}"
    return f"{in_words(reference, labels)} | {filters.strip()}"


def binding_in_words(binding: JsonValue, labels: Mapping[str, str], longest: int) -> Json:
    """Returns a binding with every text in its shown form, cut after `longest` characters.

    The document's limit bounds the depth.
    """
    match binding:
        case str():
            return text_in_words(binding[:longest], labels)
        case list():
            return [binding_in_words(item, labels, longest) for item in binding]
        case dict():
            return {key: binding_in_words(item, labels, longest) for key, item in binding.items()}
        case _:
            return binding
