"""Edits of a document as the canvas sends them, applied without side effects. Each edit has an inverse, so it can be
undone.

The operations (docs/dev/canvas_protocol.md) are `addNode removeNode updateNode addEdge removeEdge addNote removeNote
updateNote`. Applying tolerates two people editing at once: removing what is removed_id or adding what exists changes nothing.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace
from pydantic import ValidationError

from engine.core.errors import FieldError, Invalid
from engine.flow.document import (
    MAX_BYTES,
    MAX_EDGES,
    MAX_ID,
    MAX_NODES,
    MAX_NOTES,
    NODE_ID,
    Document,
    Edge,
    Node,
    Note,
    Position,
)
from engine.flow.graph import Graph
from engine.flow.lists import ListScopes
from engine.flow.node_places import STEP_X, STEP_Y, make_room, with_places
from engine.flow.node_type import Catalog, NodeType
from engine.flow.output_schemas import OutputSchemas
from engine.flow.reference_edits import change_references
from engine.flow.references import SYSTEM, Json, Reference
from engine.flow.storable_values import MAX_DEPTH, deeper_than, unfit
from engine.flow.ways import WAYS
from engine.flow.wrong_values import what_it_must_be

Op = dict[str, Any]
P = TypeVar("P", Node, Note)

_NODE_FIELDS = frozenset({"label", "position", "config", "inputs", "policy", "type_version"})
_NOTE_FIELDS = frozenset({"text", "position", "size"})
#: Of one list: to take away all parts of a full flow and to add as many takes fewer.
MAX_OPS = 10_000


class EditRefused(Invalid):
    """This edit cannot be made."""

    code = "edit_refused"


def apply_ops(document: Document, ops: Sequence[Op]) -> Document:
    """Returns the document after all operations, or raises EditRefused with the reason and applies none."""
    if len(ops) > MAX_OPS:
        raise EditRefused(f"One edit may have {MAX_OPS:,} operations. Make it in several parts.")
    nodes = {node.id: node for node in document.nodes}
    edges = _Edges((edge.id, edge) for edge in document.edges)
    notes = {note.id: note for note in document.notes}
    try:
        for op in ops:
            _check_values(op)
            _apply(op, nodes, edges, notes)
    except ValidationError as error:
        first = error.errors()[0]
        where = "/".join(str(part) for part in first["loc"])
        raise EditRefused(f"`{where}` {what_it_must_be(first)}.") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise EditRefused(f"The operation is not complete: {error}") from error
    if len(nodes) > MAX_NODES or len(edges) > MAX_EDGES:
        raise EditRefused(f"A flow may have {MAX_NODES:,} nodes and {MAX_EDGES:,} connections.")
    if len(notes) > max(MAX_NOTES, len(document.notes)):
        raise EditRefused(f"A flow may have {MAX_NOTES} notes.")
    after = document.model_copy(
        update={"nodes": tuple(nodes.values()), "edges": tuple(edges.values()), "notes": tuple(notes.values())}
    )
    value = after.as_json()
    if deeper_than(value, MAX_DEPTH):
        raise EditRefused(f"Values may be nested {MAX_DEPTH} levels deep.")
    size = len(after.dumps().encode())
    if size > MAX_BYTES and size > len(document.dumps().encode()):
        raise EditRefused("The flow would become larger than 1 MiB.")
    return after


def _check_values(op: Op) -> None:
    """Refuses what an operation brings, not what it takes away."""
    brought = op.get("after") if op["op"].startswith("update") else [op.get(part) for part in ("node", "edge", "note")]
    if op["op"].startswith(("add", "update")) and (why := next((said for _, said in unfit(brought)), None)):
        raise EditRefused(why)


def invert(ops: Sequence[Op]) -> list[Op]:
    """Returns the operations that undo `ops`."""
    opposite = {"add": "remove", "remove": "add"}
    inverse: list[Op] = []
    for op in reversed(ops):
        if op["op"].startswith("update"):
            inverse.append({**op, "before": op["after"], "after": op["before"]})
        else:
            word = "add" if op["op"].startswith("add") else "remove"
            inverse.append({**op, "op": op["op"].replace(word, opposite[word], 1)})
    return inverse


def difference_ops(before: Document, after: Document) -> list[Op]:
    """Returns the operations that turn one document into the other, so that loading a saved version can be undone."""
    nodes, edges, notes = ({part.id: part for part in parts} for parts in (after.nodes, after.edges, after.notes))
    ops: list[Op] = [
        {"op": "removeEdge", "edge": edge.model_dump()} for edge in before.edges if edges.get(edge.id) != edge
    ]
    ops += [{"op": "removeNode", "node": node.model_dump()} for node in before.nodes if node.id not in nodes]
    old = {node.id: node for node in before.nodes}
    for node in after.nodes:
        if node.id not in old or old[node.id].type != node.type:
            ops += [{"op": "removeNode", "node": old[node.id].model_dump()}] if node.id in old else []
            ops.append({"op": "addNode", "node": node.model_dump()})
        elif node != old[node.id]:
            values, had = node.model_dump(), old[node.id].model_dump()
            changed = {key: value for key, value in values.items() if had[key] != value}
            ops.append(
                {"op": "updateNode", "id": node.id, "before": {key: had[key] for key in changed}, "after": changed}
            )
    kept = {edge.id for edge in before.edges if edges.get(edge.id) == edge}
    ops += [{"op": "addEdge", "edge": edge.model_dump()} for edge in after.edges if edge.id not in kept]
    ops += [{"op": "removeNote", "note": note.model_dump()} for note in before.notes if notes.get(note.id) != note]
    had_notes = {note.id: note for note in before.notes}
    ops += [{"op": "addNote", "note": note.model_dump()} for note in after.notes if had_notes.get(note.id) != note]
    return ops


class _Edges(dict[str, Edge]):
    """Edges by id that know what they connect, so that a new one is not compared with each of them."""

    def __init__(self, edges: Iterable[tuple[str, Edge]]) -> None:
        super().__init__(edges)
        self._ends = {_ends(edge) for edge in self.values()}

    def connect(self, edge: Edge) -> None:
        """Adds an edge, unless its id is taken or what it connects is connected already."""
        if edge.id not in self and _ends(edge) not in self._ends:
            self[edge.id] = edge
            self._ends.add(_ends(edge))

    def cut(self, edge_id: str) -> None:
        """Removes an edge that may be gone already."""
        if (edge := self.pop(edge_id, None)) is not None:
            self._ends.discard(_ends(edge))


def _ends(edge: Edge) -> tuple[str, str, str]:
    return edge.source, edge.source_port, edge.target


def _apply(op: Op, nodes: dict[str, Node], edges: _Edges, notes: dict[str, Note]) -> None:  # noqa: C901, PLR0912 - one case per operation
    match op["op"]:
        case "addNode":
            node = Node.model_validate(op["node"])
            if not NODE_ID.match(node.id) or node.id == SYSTEM:
                raise EditRefused(f"`{node.id}` cannot be a node's id.")
            nodes.setdefault(node.id, node)
        case "removeNode":
            removed_id = op["node"]["id"]
            if nodes.pop(removed_id, None) is not None:
                for edge_id in [edge.id for edge in edges.values() if removed_id in {edge.source, edge.target}]:
                    edges.cut(edge_id)
        case "updateNode":
            if node := nodes.get(op["id"]):
                needed = {"id": node.id, "type": node.type}
                nodes[node.id] = _changed(node, needed, op["after"], _NODE_FIELDS)
        case "addEdge":
            edge = Edge.model_validate(op["edge"])
            if edge.source in nodes and edge.target in nodes:
                edges.connect(edge)
        case "removeEdge":
            edges.cut(op["edge"]["id"])
        case "addNote":
            note = Note.model_validate(op["note"])
            notes.setdefault(note.id, note)
        case "removeNote":
            notes.pop(op["note"]["id"], None)
        case "updateNote":
            if note := notes.get(op["id"]):
                notes[note.id] = _changed(note, {"id": note.id}, op["after"], _NOTE_FIELDS)
        case other:
            raise EditRefused(f"There is no operation `{other}`.")


def _changed(part: P, needed: Mapping[str, str], after: Mapping[str, Any], allowed: frozenset[str]) -> P:
    """The part with the properties of `after`; only these are looked at. Null is the default: the canvas does not know
    what a document leaves out, and an undo takes it back to null.
    """
    wrong = set(after) - allowed
    if wrong:
        raise EditRefused(
            f"`{min(wrong)}` cannot be changed.",
            errors=(FieldError(f"/{min(wrong)}", "unknown_field", ""),),
        )
    checked = part.model_validate({**needed, **{name: value for name, value in after.items() if value is not None}})
    return part.model_copy(update={name: getattr(checked, name) for name in after})


def new_node_id(kind: str, taken: Iterable[str]) -> str:
    """Returns an unused node id: `prompt`, then `prompt_2`, `prompt_3` ... A long one is cut to what an id may have."""
    return _new_ids(taken)(kind)


def _new_ids(taken: Iterable[str]) -> Callable[[str], str]:
    """Returns what makes unused ids, none of them twice. It goes on counting where it was, so many cost no more each."""
    used = {*taken, SYSTEM}
    numbers: dict[str, int] = {}

    def new(kind: str) -> str:
        made, number = kind, numbers.get(kind, 1)
        while made in used:
            number += 1
            made = f"{kind[: MAX_ID - 1 - len(str(number))]}_{number}"
        used.add(made)
        numbers[kind] = number
        return made

    return new


def add_node(
    document: Document,
    kind: NodeType,
    catalog: Catalog,
    *,
    position: Position | None = None,
    after: str | None = None,
    port: str | None = None,
    between: str | None = None,
    room: bool = True,
) -> tuple[str, list[Op]]:
    """Returns the id and the operations that add a node: at a position, connected after a node, or in the middle of an
    edge. Without a position the others make room for it; without `room` the caller does that with `with_room`, after
    further connections. Without a port it is connected to the first; after a Condition, to the first that leads nowhere
    yet.

    A node that takes no input is connected before the only node at the start of the flow, when there is one. Required
    inputs are bound when exactly one kind of earlier data fits, so that the usual case needs no mapping.
    """
    ops: list[Op] = []
    placed = with_places(document, catalog)
    edge = next((edge for edge in document.edges if edge.id == between), None)
    if edge is not None:
        after, port = edge.source, edge.source_port
    start = placed.node(after) if after else None
    if start is not None and not (kind.accepts_input and _ports_of(start, catalog)):
        start = None
    node_id = new_node_id(kind.type, (node.id for node in document.nodes))
    first = None if kind.accepts_input else _only_start(placed, catalog)
    if position is None and first is not None:
        position = Position.near(first.position.x - STEP_X, first.position.y)
    place = position or _free_place(placed, start)
    node = Node(id=node_id, type=kind.type, type_version=kind.version, label=_new_label(document, kind), position=place)
    if start is not None and edge is not None:
        ops.append({"op": "removeEdge", "edge": edge.model_dump()})
    ops.append({"op": "addNode", "node": node.model_dump()})
    if start is not None:
        chosen = port if port in _ports_of(start, catalog) else _way_on(document, start, catalog)
        ops.append({"op": "addEdge", "edge": new_edge(start.id, node_id, chosen)})
        if edge is not None and kind.ports:
            ops.append({"op": "addEdge", "edge": new_edge(node_id, edge.target, kind.ports[0])})
    if first is not None and kind.ports:
        ops.append({"op": "addEdge", "edge": new_edge(node_id, first.id, kind.ports[0])})
    if position is None and room:
        ops = with_room(document, ops, node_id, catalog)
    bound = suggest_inputs(apply_ops(document, ops), node_id, catalog)
    if bound:
        ops.append({"op": "updateNode", "id": node_id, "before": {"inputs": {}}, "after": {"inputs": bound}})
    return node_id, ops


def put_before(document: Document, kind: NodeType, catalog: Catalog, edges: Sequence[Edge]) -> tuple[str, list[Op]]:
    """Returns the id and the operations of a node in the middle of these connections into one node."""
    node_id, ops = add_node(document, kind, catalog, between=edges[0].id)
    for edge in edges[1:]:
        ops.append({"op": "removeEdge", "edge": edge.model_dump()})
        ops.append({"op": "addEdge", "edge": new_edge(edge.source, node_id, edge.source_port)})
    return node_id, ops


def named_ops(ops: Sequence[Op], label: str, inputs: Mapping[str, Any] | None = None) -> list[Op]:
    """Returns the operations that add a node, which gets this label, and these inputs in place of those that were bound
    for it.
    """
    added = next(op["node"] for op in ops if op["op"] == "addNode")
    given = {"label": label} if inputs is None else {"label": label, "inputs": dict(inputs)}
    return [
        {**op, "node": {**added, **given}} if op["op"] == "addNode" else op
        for op in ops
        if inputs is None or op["op"] != "updateNode" or op["id"] != added["id"] or "inputs" not in op["after"]
    ]


def with_room(document: Document, ops: Sequence[Op], node_id: str, catalog: Catalog) -> list[Op]:
    """Returns the operations that add a node, with its place beside the node it comes after, and with the moves of the
    nodes that make room. In a flow without positions every node gets one.
    """
    placed = with_places(document, catalog)
    moved = make_room(placed, apply_ops(placed, ops), node_id, catalog)
    own = moved.pop(node_id, None)
    added = [
        {**op, "node": {**op["node"], "position": own.model_dump()}}
        if own and op["op"] == "addNode" and op["node"]["id"] == node_id
        else op
        for op in ops
    ]
    places = {node.id: moved.get(node.id, node.position) for node in placed.nodes}
    return added + [
        update_node(node, position=places[node.id].model_dump())
        for node in document.nodes
        if node.position != places[node.id]
    ]


def connect_ops(document: Document, edge: Op, catalog: Catalog) -> list[Op]:
    """Returns further operations for a new edge: empty inputs of its target are bound to data with the same name."""
    node = document.node(edge["target"])
    if node is None:
        return []
    bound = suggest_inputs(document, node.id, catalog)
    if bound == node.inputs:
        return []
    return [{"op": "updateNode", "id": node.id, "before": {"inputs": node.inputs}, "after": {"inputs": bound}}]


def suggest_inputs(document: Document, node_id: str, catalog: Catalog) -> dict[str, Any]:
    """Returns the node's inputs, with empty required ones bound to the nearest earlier data that fits without doubt."""
    node = document.node(node_id)
    kind = catalog.get(node.type) if node else None
    if node is None or kind is None or kind.free_form:
        return dict(node.inputs) if node else {}
    bound = dict(node.inputs)
    empty = [name for name in kind.required_inputs if bound.get(name) in (None, "")]
    if not empty:
        return bound
    graph = Graph(document)
    scopes = ListScopes(document, graph)
    outputs = OutputSchemas(document, catalog)
    schemas = {
        earlier.id: outputs.out(earlier)
        for earlier_id in reversed(graph.ancestors(node_id))
        if scopes.sees(node_id, earlier_id) and (earlier := document.node(earlier_id)) is not None
    }
    for name in empty:
        found = next((path for one, schema in schemas.items() if (path := _fitting(one, schema, name))), None)
        if found is not None:
            bound[name] = str(found)
    return bound


def _fitting(node_id: str, schema: Mapping[str, Any], name: str) -> Reference | None:
    """Returns the data of a node's output that fits an input: a field with its name, the only list, or an item that is
    an address.
    """
    known: Mapping[str, Any] = schema.get("properties") or {}
    if name in known:
        return Reference(node_id, "out", (name,))
    if name == "items":
        lists = [field for field, one in known.items() if one.get("type") == "array"]
        if schema.get("type") == "array":
            return Reference(node_id, "out")
        return Reference(node_id, "out", (lists[0],)) if len(lists) == 1 else None
    return Reference(node_id, "out") if name == "url" and schema.get("format") == "uri" else None


def paste_ops(
    document: Document,
    catalog: Catalog,
    nodes: Sequence[Mapping[str, Any]],
    edges: Sequence[Mapping[str, Any]],
    notes: Sequence[Mapping[str, Any]] = (),
    *,
    shift: float = 40,
    at: Position | None = None,
) -> tuple[list[str], list[Op]]:
    """Returns new ids and the operations for pasted nodes.

    References between pasted nodes use the new ids; others are kept.
    """
    if len(nodes) > MAX_NODES or len(edges) > MAX_EDGES or len(notes) > MAX_NOTES:
        raise EditRefused(
            f"A flow may have {MAX_NODES:,} nodes, {MAX_EDGES:,} connections and {MAX_NOTES:,} notes; more was pasted."
        )
    try:
        copies = [Node.model_validate(dict(node)) for node in nodes]
        texts = [Note.model_validate(dict(note)) for note in notes]
    except ValidationError as error:
        raise EditRefused("What was pasted is not a part of a flow.") from error
    new_id = _new_ids(node.id for node in document.nodes)
    ids: dict[str, str] = {}
    for node in copies:
        ids[node.id] = new_id(re.sub(r"_\d+$", "", node.id) if NODE_ID.match(node.id) else "node")
    left = min((part.position.x for part in [*copies, *texts]), default=0)
    top = min((part.position.y for part in [*copies, *texts]), default=0)
    dx, dy = (at.x - left, at.y - top) if at else (shift, shift)

    def renamed(reference: Reference) -> Reference | None:
        new = ids.get(reference.node_id)
        return replace(reference, node_id=new) if new else None

    ops: list[Op] = []
    for node in copies:
        kind = catalog.get(node.type)
        inputs = change_references(node, kind, renamed) if kind else node.inputs
        place = Position.near(node.position.x + dx, node.position.y + dy)
        ops.append(
            {
                "op": "addNode",
                "node": {**node.model_dump(), "id": ids[node.id], "position": place.model_dump(), "inputs": inputs},
            }
        )
    ops += [
        {"op": "addEdge", "edge": new_edge(ids[edge["source"]], ids[edge["target"]], edge.get("source_port", "out"))}
        for edge in edges
        if edge.get("source") in ids and edge.get("target") in ids
    ]
    new_note = _new_ids(note.id for note in document.notes)
    for note in texts:
        note_id = new_note("note")
        place = Position.near(note.position.x + dx, note.position.y + dy)
        ops.append({"op": "addNote", "note": {**note.model_dump(), "id": note_id, "position": place.model_dump()}})
    return list(ids.values()), ops


def add_note(document: Document, position: Position) -> tuple[str, list[Op]]:
    """Returns the id and the operation for a new empty note."""
    note_id = new_node_id("note", (note.id for note in document.notes))
    return note_id, [{"op": "addNote", "note": Note(id=note_id, text="", position=position).model_dump()}]


def update_node(node: Node, **after: Json) -> Op:
    """Returns an `updateNode` operation that includes the values it replaces."""
    before = node.model_dump()
    return {"op": "updateNode", "id": node.id, "before": {key: before[key] for key in after}, "after": after}


def new_edge(source: str, target: str, port: str) -> dict[str, Any]:
    """Returns an edge with a new random id, in the form that operations use."""
    return Edge(id=f"e_{secrets.token_hex(6)}", source=source, source_port=port, target=target).model_dump()


def _only_start(document: Document, catalog: Catalog) -> Node | None:
    """Returns the only node without an incoming edge, when its type accepts input; otherwise None."""
    targets = {edge.target for edge in document.edges}
    beginnings = [node for node in document.nodes if node.id not in targets]
    kind = catalog.get(beginnings[0].type) if len(beginnings) == 1 else None
    return beginnings[0] if kind is not None and kind.accepts_input else None


def _ports_of(node: Node, catalog: Catalog) -> tuple[str, ...]:
    kind = catalog.get(node.type)
    return kind.ports if kind else ()


def _way_on(document: Document, node: Node, catalog: Catalog) -> str:
    """The first way on from a node; of a step of `WAYS` the first that leads nowhere yet, when there is one."""
    ports = _ports_of(node, catalog)
    taken = {edge.source_port for edge in document.edges if edge.source == node.id and node.type in WAYS}
    return next((port for port in ports if port not in taken), ports[0])


def _new_label(document: Document, kind: NodeType) -> str:
    labels = {node.label for node in document.nodes}
    if kind.title not in labels:
        return kind.title
    number = 2
    while f"{kind.title} {number}" in labels:
        number += 1
    return f"{kind.title} {number}"


def _free_place(document: Document, start: Node | None) -> Position:
    taken = {(round(node.position.x / 20), round(node.position.y / 20)) for node in document.nodes}

    def free(x: float, y: float) -> bool:
        return not any(abs(x / 20 - other_x) < 11 and abs(y / 20 - other_y) < 6 for other_x, other_y in taken)

    if start is not None:
        x, y = start.position.x + STEP_X, start.position.y
    elif document.nodes:
        x, y = max(node.position.x for node in document.nodes) + STEP_X, min(node.position.y for node in document.nodes)
    else:
        x, y = 0.0, 0.0
    while not free(x, y):
        y += STEP_Y
    return Position.near(x, y)
