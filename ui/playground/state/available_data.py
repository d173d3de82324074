"""The data of earlier nodes that a node may use, as chips with a name, a type in words and the last value.

Imports no NiceGUI.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from engine.flow.branches import branches_of
from engine.flow.document import Document, Node
from engine.flow.graph import Graph
from engine.flow.lists import ListScopes
from engine.flow.node_context import NodeFailed
from engine.flow.node_type import Catalog
from engine.flow.output_schemas import OutputSchemas, schema_at
from engine.flow.references import SYSTEM, Reference, Scope, parse_reference, render
from engine.flow.ways import NOT_FOUND
from engine.nodes.list_input import items_of
from ui.kit.text import _, type_word

#: Number of characters after which the value beside a chip is cut.
SHOWN_VALUE = 140
#: Depth to which nested objects are listed, number of entries listed of an object without a schema, and number of nested
#: entries listed of one node.
DEEPEST = 4
MAX_ENTRIES = 40
MAX_NESTED = 1_000
#: Number of fields of an item that are offered where a list is written.
MAX_ITEM_FIELDS = 8

_GROUPS = ("object", "array")
_WITH_INDEX = frozenset({"array_splitter"})


class NotRun:
    """Type of the marker for a node that did not run and so has no value."""


NOT_RUN: Final = NotRun()


class Datum(Struct, frozen=True):
    """One chip: the inserted reference, its name, its type in words, the beginning of its last value, and nested
    chips. `fields`: of a list of groups, the fields of an item that are no groups or lists. `whole`: it is the whole output of its node. `open`: its value is shown without being asked for. `also`:
    further words by which the search finds it.
    """

    raw: str
    name: str
    type_word: str
    value: str = ""
    inside: tuple[Datum, ...] = ()
    is_list: bool = False
    whole: bool = False
    open: bool = False
    also: str = ""
    fields: tuple[str, ...] = ()


class Source(Struct, frozen=True):
    """An earlier node with its data. The chip for its whole output comes last, that for the item of a list first."""

    node: Node
    data: tuple[Datum, ...]

    @property
    def whole(self) -> Datum:
        """The chip for the whole output."""
        return next(datum for datum in self.data if datum.whole)

    def label(self, datum: Datum) -> str:
        """Returns the name of a chip behind that of its node; for the item of a list, the name alone."""
        return datum.name if datum.open else f"{self.node.name} › {datum.name}"


def sources_for(
    document: Document,
    node_id: str,
    catalog: Catalog,
    values: Mapping[str, Any] | None = None,
    *,
    most: int | None = None,
) -> list[Source]:
    """The earlier nodes of this node, nearest first, with their data. `values` are their outputs in the last run."""
    nodes = {node.id: node for node in document.nodes}
    outside = outside_lists(document, node_id)
    schemas = OutputSchemas(document, catalog)
    return [
        source_of(nodes[other], (values or {}).get(other, NOT_RUN), schemas.out(nodes[other]), outside=other in outside)
        for other in nodes_on_offer(document, node_id)[:most]
    ]


def with_first_items(document: Document, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the outputs of the last run; a “For each item” that did not run in it gives the first item of its list."""
    found = dict(values)
    for node in document.nodes:
        if node.type in _WITH_INDEX and node.id not in found and node.inputs.get("items"):
            try:
                items = items_of(render(node.inputs["items"], Scope(found, {}), []))
            except NodeFailed:
                continue  # the step before did not run either
            if items:
                found[node.id] = items[0]
    return found


def earlier_nodes(document: Document, node_id: str) -> list[str]:
    """The nodes whose data this node may use: the Splitters whose items it runs for, the innermost first, then the
    others, nearest first. They run before it and are not inside a list that has ended.
    """
    graph = Graph(document)
    scopes = ListScopes(document, graph)
    around = [one for one in reversed(scopes.around.get(node_id, ())) if graph.is_ancestor(one, node_id)]
    others = [one for one in reversed(graph.ancestors(node_id)) if one not in around]
    return around + [one for one in others if scopes.sees(node_id, one)]


def nodes_on_offer(document: Document, node_id: str) -> list[str]:
    """The same without those that looked for a row, where this node runs only when they found none."""
    sides = branches_of(document).only_on.get(node_id, frozenset())
    return [one for one in earlier_nodes(document, node_id) if (one, NOT_FOUND) not in sides]


def outside_lists(document: Document, node_id: str) -> set[str]:
    """The nodes outside the innermost list that this node runs for: it sees the same data of them for every item."""
    scopes = ListScopes(document, Graph(document))
    around = scopes.around.get(node_id, ())
    return {one for one, given in scopes.gives.items() if len(given) < len(around)}


def source_of_run() -> Source:
    """What every run has of itself: the date and time at which it began."""
    when = type_word({"type": "string", "format": "date-time"})
    began = Datum(str(Reference(SYSTEM, "timestamp")), _("date"), when, also=_("date and time, day, today, now"))
    return Source(Node(id=SYSTEM, type=SYSTEM, label=_("This run")), (began,))


def source_of(node: Node, value: Any, schema: Mapping[str, Any], *, outside: bool = False) -> Source:
    """The data of one node, from the schema of its `out`, or where that says nothing from the value of the last run.

    `outside`: the data is for a node inside a list that this node is not in, so its lists are told to be whole.
    """
    data = list(_inside(node.id, (), schema, value, _Room()))
    raw, shown, is_list = str(Reference(node.id, "out")), shown_value(value), _is_list(schema, value)
    if node.type in _WITH_INDEX:
        word = type_word(schema) if schema else type_word(schema_of(value))
        item = Datum(raw, _("this item"), word, shown, is_list=is_list, whole=True, open=True)
        numbers = [Datum(str(Reference(node.id, root)), root, type_word("integer")) for root in ("index", "total")]
        return Source(node, (item, *data, *numbers))
    name = _("everything") if data else _("result")
    fields = _item_fields(schema, value) if is_list else ()
    data.append(Datum(raw, name, type_word(schema), shown, is_list=is_list, whole=True, fields=fields))
    return Source(node, tuple(map(_said_whole, data) if outside else data))


def _said_whole(datum: Datum) -> Datum:
    inside = tuple(_said_whole(one) for one in datum.inside)
    return replace(datum, type_word=_("Whole list") if datum.is_list else datum.type_word, inside=inside)


def flat(source: Source) -> Iterator[Datum]:
    """All chips of a node in one list; nested chips follow the chip that contains them."""
    waiting = list(reversed(source.data))
    while waiting:
        datum = waiting.pop()
        yield datum
        waiting += reversed(datum.inside)


def shown_value(value: Any) -> str:
    """The beginning of a value on one line; "" when there is none."""
    if isinstance(value, NotRun):
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text[: SHOWN_VALUE * 2].split())
    return text if len(text) <= SHOWN_VALUE else text[: SHOWN_VALUE - 1] + "…"


def broken_finder(document: Document, node_id: str, catalog: Catalog) -> Callable[[str], list[str]]:
    """Returns a function that finds the references in a text, with their braces, that cannot be resolved."""
    usable: set[str] = set()
    schemas = OutputSchemas(document, catalog)

    def find(text: str) -> list[str]:
        references = {f"{{{{{inside}}}}}": parse_reference(inside.split("|")[0]) for inside in _in_braces(text)}
        if references and not usable:
            usable.update(earlier_nodes(document, node_id), (SYSTEM,))
        return [
            shown
            for shown, reference in references.items()
            if isinstance(reference, Reference) and not _resolves(reference, usable, schemas)
        ]

    return find


def _in_braces(text: str) -> Iterator[str]:
    """Yields the content of every `{{ }}` that is closed on the same line."""
    for line in text.split("\n"):
        at = 0
        while (start := line.find("{{", at)) >= 0 and (end := line.find("}}", start + 2)) >= 0:
            yield line[start + 2 : end]
            at = end + 2


def _resolves(reference: Reference, usable: set[str], schemas: OutputSchemas) -> bool:
    if reference.node_id == SYSTEM:
        return True
    node = schemas.document.node(reference.node_id)
    if node is None or node.id not in usable:
        return False
    if reference.root != "out":
        return node.type in _WITH_INDEX
    return schema_at(schemas.out(node), reference.path) is not None


class _Room:
    """How many nested entries of a node may still be listed."""

    def __init__(self) -> None:
        self.left = MAX_NESTED


def _inside(
    node_id: str, path: tuple[str | int, ...], schema: Mapping[str, Any], value: Any, room: _Room, depth: int = 1
) -> Iterator[Datum]:
    """The entries of an object, or of the first item of a list of objects."""
    if depth > DEEPEST:
        return
    if _is_list(schema, value):
        items = schema.get("items")
        item = items if isinstance(items, Mapping) else {}
        first = value[0] if isinstance(value, list) and value else NOT_RUN
        if depth > 1 and (item.get("properties") or isinstance(first, dict)):
            yield _datum(node_id, (*path, 0), _("item 1"), item, first, room, depth)
        return
    properties = schema.get("properties")
    known: dict[str, Any] = dict(properties) if isinstance(properties, Mapping) else {}
    # A field of the last run that the schema does not have was removed since.
    if isinstance(value, dict):
        whole = dict(schema)
        known |= {name: {} for name in list(value)[:MAX_ENTRIES] if schema_at(whole, (name,)) == {}}
    for name, part in known.items():
        if depth > 1:
            if not room.left:
                return
            room.left -= 1
        inner = value.get(name, NOT_RUN) if isinstance(value, dict) else NOT_RUN
        yield _datum(node_id, (*path, name), name, part if isinstance(part, Mapping) else {}, inner, room, depth)


def _datum(
    node_id: str,
    path: tuple[str | int, ...],
    name: str,
    schema: Mapping[str, Any],
    value: Any,
    room: _Room,
    depth: int,
) -> Datum:
    word = type_word(schema) if schema.get("type") or schema.get("format") else type_word(schema_of(value))
    inside = tuple(_inside(node_id, path, schema, value, room, depth + 1))
    raw = str(Reference(node_id, "out", path))
    is_list = _is_list(schema, value)
    fields = _item_fields(schema, value) if is_list else ()
    return Datum(raw, name, word, shown_value(value), inside, is_list=is_list, fields=fields)


def _item_fields(schema: Mapping[str, Any], value: Any) -> tuple[str, ...]:
    """The first fields of a list's items that are no groups or lists themselves."""
    items = schema.get("items")
    properties = items.get("properties") if isinstance(items, Mapping) else None
    known: dict[str, Any] = dict(properties) if isinstance(properties, Mapping) else {}
    if not known and isinstance(value, list) and value and isinstance(value[0], dict):
        known = {name: schema_of(one) for name, one in value[0].items()}
    plain = [name for name, one in known.items() if isinstance(one, Mapping) and one.get("type") not in _GROUPS]
    return tuple(plain[:MAX_ITEM_FIELDS])


def _is_list(schema: Mapping[str, Any], value: Any) -> bool:
    kind = schema.get("type")
    kinds: Sequence[Any] = kind if isinstance(kind, list) else [kind]
    return "array" in kinds or (kind is None and isinstance(value, list))


def schema_of(value: Any) -> dict[str, Any]:
    """A schema that describes a value; `{}` for None and for a node that did not run."""
    match value:
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case float():
            return {"type": "number"}
        case str():
            return {"type": "string", "format": "uri"} if re.match(r"https?://\S+\Z", value) else {"type": "string"}
        case list():
            return {"type": "array"}
        case dict():
            return {"type": "object"}
    return {}
