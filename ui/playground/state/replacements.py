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
#: The likeness from which on a name counts as written alike.
_LIKELY = 0.6
#: Names that people give to what nodes give under another one.
_SAME_MEANING = ({"name", "title"}, {"link", "url"}, {"address", "url"}, {"answer", "text"})


class Replacement(Struct, frozen=True):
    """Data that can be used instead: its reference with braces, its name in words, its type and last value."""

    raw: str
    name: str
    type_word: str
    value: str = ""


class BrokenData(Struct, frozen=True):
    """A reference that cannot be resolved: its name, a sentence that says which step needs it, and what fits instead.

    `likely`: the first choice is probably what is meant.
    """

    name: str
    sentence: str
    choices: tuple[Replacement, ...]
    likely: bool = False


def broken_data(
    document: Document,
    node_id: str,
    raw: str,
    catalog: Catalog,
    values: Mapping[str, Any] | None = None,
    *,
    deleted: Mapping[str, str] | None = None,
) -> BrokenData | None:
    """Describes a broken reference of a node, given as it stands in the text. None when it is no reference.

    What is alike comes first, then what the nearest step gives. `deleted`: what deleted steps were called.
    """
    broken, node = _reference(raw), document.node(node_id)
    if broken is None or node is None:
        return None
    labels = {one.id: one.name for one in document.nodes}
    name = in_words(broken, {**(deleted or {}), **labels})
    said = _("{step} needs “{name}”, which cannot be found there.").format(step=node.name, name=name)
    if broken.node_id not in labels:
        said = _("{step} needs “{name}” of a step that was deleted.").format(step=node.name, name=name)
    found: list[tuple[tuple[float, ...], Replacement]] = []
    for distance, source in enumerate(sources_for(document, node_id, catalog, values, most=_NEAREST)):
        for datum in flat(source):
            reference = _reference(datum.raw)
            if reference is not None:
                likeness = _likeness(broken, reference, labels.get(reference.node_id, ""))
                apart = bool(broken.path) is not bool(reference.path)
                place = (-likeness, apart, distance, datum.is_list, len(reference.path))
                found.append((place, _replacement(datum, in_words(reference, labels))))
    found.sort(key=lambda one: one[0])
    likely = bool(found) and found[0][0][0] <= -_LIKELY
    return BrokenData(name, said, tuple(one for _place, one in found[:MOST]), likely)


def replaced(text: str, raw: str, replacement: str) -> str:
    """Returns a text in which a reference, wherever it stands, is replaced; filters after it stay."""
    old, new = _reference(raw), _reference(replacement)
    return str(change_in(text, lambda one: new if one == old else None, source=True))


def _replacement(datum: Datum, name: str) -> Replacement:
    return Replacement(datum.raw, name, datum.type_word, datum.value)


def _likeness(broken: Reference, other: Reference, label: str) -> float:
    """A score: a name that is written alike or means the same, a step that is called like it, and the same step.

    0 when nothing is alike: then the nearer step decides.
    """
    same = other.node_id == broken.node_id
    if not broken.path or not other.path:
        return float(same) + (not broken.path and not other.path) - 0.5 * (other.root != broken.root)
    wanted, name = str(broken.path[-1]).lower(), str(other.path[-1]).lower()
    alike = _alike(wanted, name)
    if {wanted, name} in _SAME_MEANING:
        alike = max(alike, 0.9)
    if set(_words(wanted)) <= set(_words(label)):
        alike = max(alike, 0.85)
    if not same and (alike < _LIKELY or other.root != broken.root):
        return 0
    return same + alike + 0.1 * (broken.path[:-1] == other.path[:-1]) + 0.1 * _alike(other.node_id, broken.node_id)


def _words(text: str) -> list[str]:
    return text.lower().replace("_", " ").split()


def _alike(one: str, other: str) -> float:
    return SequenceMatcher(None, one.lower(), other.lower()).ratio()


def _reference(raw: str) -> Reference | None:
    found = parse_reference(raw.removeprefix("{{").removesuffix("}}").partition("|")[0])
    return found if isinstance(found, Reference) else None
