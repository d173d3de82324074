"""A flow as a list of steps, and the edits of that list: insert a step, remove it, move it, choose what it comes after.

On the canvas a new node is connected to one node; in a list it is inserted between two steps. So these edits reconnect
nodes: what came after a step comes after a step that is inserted behind it, and the neighbours of a removed step are
connected where only one connection can be meant. The canvas does the same (`joinsWithout` in `flow_document.js`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from engine.flow.document import Document, Edge, Node, Position
from engine.flow.edits import Op, add_node, apply_ops, connect_ops, new_edge, paste_ops, with_room
from engine.flow.graph import Graph
from engine.flow.lists import FLATTEN, SPLITTER, ListScopes
from engine.flow.node_places import STEP_X, with_places
from engine.flow.node_type import Catalog, NodeType

#: A node id and the output port of that node that leads to another step.
Way = tuple[str, str]
#: Node types that a flow may contain only once.
SINGLE = frozenset({"api_input", "api_output"})


class Step(Struct, frozen=True):
    """One line of the list. `after`: the outputs that lead to it; `follows`: only the step above leads to it."""

    node: Node
    after: tuple[Way, ...]
    lists: tuple[str, ...]
    parked: bool
    follows: bool


def steps_of(document: Document) -> list[Step]:
    """Returns all nodes, each after its parents, branch by branch; parked nodes last."""
    graph = Graph(document)
    scopes = ListScopes(document, graph)
    nodes = {node.id: node for node in document.nodes}
    ways: dict[str, list[Way]] = {node_id: [] for node_id in nodes}
    for edge in graph.edges:
        ways[edge.target].append((edge.source, edge.source_port))
    found: list[Step] = []
    for node_id in _in_order(graph, nodes):
        before = found[-1].node.id if found else ""
        around = scopes.gives[node_id] if scopes.closes(node_id) else scopes.around[node_id]
        found.append(
            Step(
                nodes[node_id],
                tuple(ways[node_id]),
                around,
                node_id in graph.parked,
                follows={source for source, _port in ways[node_id]} == ({before} if before else set()),
            )
        )
    return found


def insert_after(
    document: Document, kind: NodeType, catalog: Catalog, after: str, port: str | None = None
) -> tuple[str, list[Op]]:
    """Inserts a step behind this one; what came after this one comes after the new one.

    Returns the new id and the operations.
    """
    ports = _ports(document, after, catalog)
    port = port if port in ports else next(iter(ports), None)
    behind = [edge for edge in document.edges if edge.source == after and edge.source_port == port]
    if len(behind) == 1 and kind.ports:
        return add_node(document, kind, catalog, between=behind[0].id)
    new_id, ops = add_node(document, kind, catalog, after=after, port=port, room=False)
    if kind.ports:
        ops += _reconnect(behind, new_id, kind.ports[0])
    return new_id, with_room(document, ops, new_id, catalog)


def insert_before(document: Document, kind: NodeType, catalog: Catalog, before: str) -> tuple[str, list[Op]]:
    """Inserts a step before this one; what led to this one leads to the new one.

    Returns the new id and the operations.
    """
    leading = [edge for edge in document.edges if edge.target == before]
    if len(leading) == 1 and kind.accepts_input:
        return add_node(document, kind, catalog, between=leading[0].id)
    if leading and kind.accepts_input:
        new_id, ops = add_node(
            document, kind, catalog, after=leading[0].source, port=leading[0].source_port, room=False
        )
        ops += [
            {"op": "addEdge", "edge": new_edge(edge.source, new_id, edge.source_port)}
            for edge in leading[1:]
            if edge.source != leading[0].source or edge.source_port != leading[0].source_port
        ]
        ops += [_remove_edge(edge) for edge in leading]
    else:
        node = with_places(document, catalog).node(before)
        place = Position.near(node.position.x - STEP_X, node.position.y) if node else None
        new_id, ops = add_node(document, kind, catalog, position=place)
    joined = any(op["op"] == "addEdge" and op["edge"]["target"] == before for op in ops)
    if kind.ports and not joined:
        ops.append({"op": "addEdge", "edge": new_edge(new_id, before, kind.ports[0])})
    return new_id, with_room(document, ops, new_id, catalog)


def take_out(document: Document, node_id: str) -> list[Op]:
    """Returns the operations that remove a step. Its neighbours are connected where only one connection can be meant."""
    node = document.node(node_id)
    if node is None:
        return []
    ops = [*_disconnect(document, node_id), {"op": "removeNode", "node": node.model_dump()}]
    return ops if _leaves_no_gap(document, node) else [op for op in ops if op["op"] != "addEdge"]


def move_after(document: Document, node_id: str, after: str, catalog: Catalog, port: str | None = None) -> list[Op]:
    """Returns the operations that move a step behind `after` and connect its former neighbours."""
    ops = _disconnect(document, node_id)
    freed = apply_ops(document, ops)
    ports = _ports(document, after, catalog)
    if after == node_id or not ports:
        return []
    port = port if port in ports else ports[0]
    return [*ops, *_put_behind(freed, node_id, (after, port), catalog)]


def move_up(document: Document, node_id: str, catalog: Catalog) -> list[Op]:
    """Returns the operations that swap a step with the one above it; none when that is not possible."""
    above = _neighbour(document, node_id, -1)
    if above is None or not may_move(document, above, node_id, catalog):
        return []
    return move_after(document, above, node_id, catalog)


def move_down(document: Document, node_id: str, catalog: Catalog) -> list[Op]:
    """Returns the operations that swap a step with the one below it; none when that is not possible."""
    below = _neighbour(document, node_id, 1)
    if below is None or not may_move(document, node_id, below, catalog):
        return []
    return move_after(document, node_id, below, catalog)


def may_move(document: Document, upper: str, lower: str, catalog: Catalog) -> bool:
    """True when two connected steps may swap: the upper one accepts input and the lower one has an output."""
    node = document.node(upper)
    kind = catalog.get(node.type) if node else None
    joined = any(edge.source == upper and edge.target == lower for edge in document.edges)
    return joined and kind is not None and kind.accepts_input and bool(_ports(document, lower, catalog))


def duplicate(document: Document, node_id: str, catalog: Catalog) -> tuple[str, list[Op]]:
    """Returns the id of a copy behind the step, and the operations."""
    node = document.node(node_id)
    if node is None or node.type in SINGLE:
        return "", []
    new, ops = paste_ops(document, catalog, [node.model_dump()], [])
    ports = _ports(document, node_id, catalog)
    if ports:
        ops += _put_behind(apply_ops(document, ops), new[0], (node_id, ports[0]), catalog)
    return new[0], ops


def ways_to(document: Document, node_id: str, catalog: Catalog) -> list[Way]:
    """Returns what a step may come after: every output of every step that does not come after it."""
    node = document.node(node_id)
    kind = catalog.get(node.type) if node else None
    if kind is None or not kind.accepts_input:
        return []
    later = {node_id, *Graph(document).descendants(node_id)}
    return [
        (step.node.id, port)
        for step in steps_of(document)
        if step.node.id not in later
        for port in _ports(document, step.node.id, catalog)
    ]


def come_after(document: Document, node_id: str, wanted: Iterable[Way], catalog: Catalog) -> list[Op]:
    """Returns the operations that make a step come after exactly these outputs.

    A new connection fills empty inputs as on the canvas.
    """
    ways = set(wanted)
    leading = [edge for edge in document.edges if edge.target == node_id]
    ops = [_remove_edge(edge) for edge in leading if (edge.source, edge.source_port) not in ways]
    had = {(edge.source, edge.source_port) for edge in leading}
    made = [new_edge(source, node_id, port) for source, port in sorted(ways - had)]
    ops += [{"op": "addEdge", "edge": edge} for edge in made]
    if made:
        ops += connect_ops(apply_ops(document, ops), made[0], catalog)
    return ops


def fitting(
    document: Document, catalog: Catalog, *, after: str | None = None, before: str | None = None
) -> list[NodeType]:
    """Returns the node types that can be inserted there; without `after` and `before`, all that the flow can take."""
    used = {node.type for node in document.nodes}
    kinds = [kind for kind in catalog.values() if kind.type not in SINGLE or kind.type not in used]
    if after is not None:
        return [kind for kind in kinds if kind.accepts_input] if _ports(document, after, catalog) else []
    if before is not None:
        leading = any(edge.target == before for edge in document.edges)
        return [kind for kind in kinds if kind.ports and (kind.accepts_input or not leading)]
    return kinds


def _in_order(graph: Graph, nodes: dict[str, Node]) -> list[str]:
    """Returns node ids in the order of the Tab key on the canvas: a node is followed by the nodes it unblocks, left to
    right.
    """
    missing = {node_id: len(parents) for node_id, parents in graph.parents.items()}

    def sort(ids: Iterable[str]) -> list[str]:
        return sorted(ids, key=lambda one: (one in graph.parked, nodes[one].position.x, nodes[one].position.y))

    waiting = sort(node_id for node_id in graph.ids if not missing[node_id])
    waiting.reverse()
    found: list[str] = []
    while waiting:
        here = waiting.pop()
        found.append(here)
        freed: list[str] = []
        for child in graph.children[here]:
            missing[child] -= 1
            if not missing[child]:
                freed.append(child)
        waiting += reversed(sort(freed))
    return found + [node_id for node_id in graph.ids if missing[node_id]]


def _neighbour(document: Document, node_id: str, by: int) -> str | None:
    ids = [step.node.id for step in steps_of(document)]
    at = ids.index(node_id) + by if node_id in ids else -1
    return ids[at] if 0 <= at < len(ids) else None


def _disconnect(document: Document, node_id: str) -> list[Op]:
    """Returns the operations that remove the connections of a step and connect its neighbours."""
    leading = [edge for edge in document.edges if edge.target == node_id]
    leaving = [edge for edge in document.edges if edge.source == node_id]
    joined = {(edge.source, edge.source_port, edge.target) for edge in document.edges}
    ops = [_remove_edge(edge) for edge in [*leading, *leaving]]
    for before in leading:
        for behind in leaving:
            way = (before.source, before.source_port, behind.target)
            if way not in joined:
                joined.add(way)
                ops.append({"op": "addEdge", "edge": new_edge(before.source, behind.target, before.source_port)})
    return ops


def _leaves_no_gap(document: Document, node: Node) -> bool:
    """True for a step with one connection in and one out that is no way of a branch, and that begins and ends no list."""
    leading = sum(edge.target == node.id for edge in document.edges)
    ports = [edge.source_port for edge in document.edges if edge.source == node.id]
    return leading == 1 and ports == ["out"] and node.type not in {SPLITTER, FLATTEN}


def _put_behind(document: Document, node_id: str, way: Way, catalog: Catalog) -> list[Op]:
    """Returns the operations that insert an unconnected step behind an output, before what followed that output."""
    after, port = way
    behind = [edge for edge in document.edges if (edge.source, edge.source_port) == way]
    ports = _ports(document, node_id, catalog)
    edge = new_edge(after, node_id, port)
    ops: list[Op] = [{"op": "addEdge", "edge": edge}]
    if ports:
        ops += _reconnect(behind, node_id, ports[0])
    return [*ops, *connect_ops(apply_ops(document, ops), edge, catalog)]


def _reconnect(edges: Sequence[Edge], node_id: str, port: str) -> list[Op]:
    """Returns the operations that make the targets of these edges come after another node."""
    ops = [_remove_edge(edge) for edge in edges]
    return [*ops, *({"op": "addEdge", "edge": new_edge(node_id, edge.target, port)} for edge in edges)]


def _remove_edge(edge: Edge) -> Op:
    return {"op": "removeEdge", "edge": edge.model_dump()}


def _ports(document: Document, node_id: str, catalog: Catalog) -> tuple[str, ...]:
    node = document.node(node_id)
    kind = catalog.get(node.type) if node else None
    return kind.ports if kind else ()
