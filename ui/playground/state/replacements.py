"""What to use instead of data that cannot be found any more, the likeliest first. Imports no NiceGUI."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import Any

from msgspec import Struct

from engine.flow.document import Document
from engine.flow.node_type import Catalog
from engine.flow.reference_edits import change_in
from engine.flow.reference_labels import in_words
from engine.flow.references import Reference, parse_reference
from ui.kit.text import _
from ui.playground.state.available_data import Datum, flat, sources_for

#: Number of earlier steps whose data is searched, and number of data that are offered.
_NEAREST = 20
MOST = 30


class Replacement(Struct, frozen=True):
    """Data that can be used instead: its reference with braces, its name in words, its type and last value."""

    raw: str
    name: str
    type_word: str
    value: str = ""


class BrokenData(Struct, frozen=True):
    """A reference that cannot be resolved: its name, a sentence that says which step needs it, and what fits instead."""

    name: str
    sentence: str
    choices: tuple[Replacement, ...]


def broken_data(
    document: Document, node_id: str, raw: str, catalog: Catalog, values: Mapping[str, Any] | None = None
) -> BrokenData | None:
    """Describes a broken reference of a node, given as it stands in the text. None when it is no reference."""
    broken, node = _reference(raw), document.node(node_id)
    if broken is None or node is None:
        return None
    labels = {one.id: one.name for one in document.nodes}
    name = in_words(broken, labels)
    said = _("{step} needs “{name}”, which cannot be found there.").format(step=node.name, name=name)
    if broken.node_id not in labels:
        said = _("{step} needs “{name}” of a step that was deleted.").format(step=node.name, name=name)
    found: list[tuple[float, Replacement]] = []
    for distance, source in enumerate(sources_for(document, node_id, catalog, values, most=_NEAREST)):
        for datum in flat(source):
            reference = _reference(datum.raw)
            if reference is not None:
                likeness = _likeness(broken, reference, datum) - distance / 100
                found.append((likeness, _replacement(datum, in_words(reference, labels))))
    found.sort(key=lambda one: -one[0])
    return BrokenData(name, said, tuple(one for _likeness_of, one in found[:MOST]))


def replaced(text: str, raw: str, replacement: str) -> str:
    """Returns a text in which a reference, wherever it stands, is replaced; filters after it stay."""
    old, new = _reference(raw), _reference(replacement)
    return str(change_in(text, lambda one: new if one == old else None, source=True))


def _replacement(datum: Datum, name: str) -> Replacement:
    return Replacement(datum.raw, name, datum.type_word, datum.value)


def _likeness(broken: Reference, other: Reference, datum: Datum) -> float:
    """A score: the same step, a field of the same group, and a name that is written alike."""
    score = 1.0 if other.node_id == broken.node_id else 0.5 * _alike(other.node_id, broken.node_id)
    if broken.path and other.path:
        score += 2 * _alike(str(broken.path[-1]), str(other.path[-1]))
        score += 0.5 * (broken.path[:-1] == other.path[:-1])
    elif bool(broken.path) is bool(other.path):
        score += 1
    return score - 0.5 * (other.root != broken.root)


def _alike(one: str, other: str) -> float:
    return SequenceMatcher(None, one.lower(), other.lower()).ratio()


def _reference(raw: str) -> Reference | None:
    found = parse_reference(raw.removeprefix("{{").removesuffix("}}").partition("|")[0])
    return found if isinstance(found, Reference) else None
