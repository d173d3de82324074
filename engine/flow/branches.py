"""The two sides of a Condition, or of another step that decides between two ways: which nodes run only on one of them, and
what of them callers get. Below, a Condition is any such step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from engine.flow.document import Document, Edge, Node
from engine.flow.graph import Graph
from engine.flow.lists import ListScopes
from engine.flow.node_type import Catalog
from engine.flow.output_schemas import FIRST_VALUE, out_schema, schema_at
from engine.flow.reference_edits import references_of
from engine.flow.references import Reference, find_references
from engine.flow.ways import LOOK_UP, WAYS, other_side

#: A Condition and one of its ports.
Side = tuple[str, str]


class Branches:
    """`only_on`: for each node the sides on which alone it runs. Nodes that join both sides, and API Output, have none.

    `reached_on`: the sides over which all connections into API Output lead. It runs whatever was decided all the same.
    """

    def __init__(self, document: Document, graph: Graph, scopes: ListScopes) -> None:
        self.document = document
        self.graph = graph
        self.scopes = scopes
        self.nodes = {node.id: node for node in document.nodes}
        self.output = next((node for node in document.nodes if node.type == "api_output"), None)
        self.only_on: dict[str, frozenset[Side]] = dict.fromkeys(graph.ids, frozenset())
        self.reached_on: frozenset[Side] = frozenset()
        self._read: Sequence[Reference] | None = None
        incoming: dict[str, list[frozenset[Side]]] = {node_id: [] for node_id in graph.ids}
        leaving: dict[str, list[Edge]] = {node_id: [] for node_id in graph.ids}
        for edge in graph.edges:
            leaving[edge.source].append(edge)
        for node_id in graph.order:
            if incoming[node_id]:
                sides = incoming[node_id][0].intersection(*incoming[node_id])
                depth = len(scopes.gives[node_id])  # a Flatten runs whatever was decided for the items of its list
                alone = frozenset(one for one in sides if len(scopes.around[one[0]]) <= depth)
                if self.nodes[node_id].type != "api_output":
                    self.only_on[node_id] = alone
                elif self.output is not None and node_id == self.output.id:
                    self.reached_on = alone
            for edge in leaving[node_id]:
                is_way = edge.source_port in WAYS.get(self.nodes[node_id].type, ())
                own: set[Side] = {(node_id, edge.source_port)} if is_way else set()
                incoming[edge.target].append(self.only_on[node_id] | own)

    def open_ports(self, condition: str) -> list[str]:
        """Returns the ports of a Condition that no edge leaves."""
        taken = {edge.source_port for edge in self.graph.edges if edge.source == condition}
        return [port for port in WAYS[self.nodes[condition].type] if port not in taken]

    def read_by_output(self, catalog: Catalog) -> Sequence[Reference]:
        """Returns what API Output reads; nothing without one."""
        if self._read is None:
            kind = catalog.get(self.output.type) if self.output else None
            self._read = [one for _, one in references_of(self.output, kind)] if self.output and kind else []
        return self._read

    def read_on_one_side(self, catalog: Catalog) -> Iterator[tuple[Node, str]]:
        """Yields each Condition of which API Output reads one side only, with that side's port. What a First Value takes
        from the other side is read in the stead of the nodes that lead to it.
        """
        names = {one.node_id for one in self.read_by_output(catalog)}
        read = {side for name in names for side in self.only_on.get(name, ())}
        joined = {name: frozenset(self._joined(name, catalog)) for name in names}
        for condition, port in sorted(read):
            other = (condition, other_side(port))
            joiners = [name for name, sides in joined.items() if other in sides]
            alone = [name for name in names if (condition, port) in self.only_on.get(name, ())]
            if other not in read and not all(
                any(self.graph.is_ancestor(name, joiner) for joiner in joiners) for name in alone
            ):
                yield self.nodes[condition], port

    def _joined(self, node_id: str, catalog: Catalog) -> Iterator[Side]:
        """Yields the sides whose values callers get of a First Value."""
        node = self.nodes.get(node_id)
        if node is None or node.type != FIRST_VALUE:
            return
        entering = [edge for edge in self.graph.edges if edge.target == node_id]
        lacking = lacking_fields(self, node, [self.nodes[edge.source] for edge in entering], catalog)
        for edge in entering:
            if edge.source not in lacking:
                yield from self.only_on[edge.source]
                if edge.source_port in WAYS.get(self.nodes[edge.source].type, ()):
                    yield edge.source, edge.source_port

    def reads_behind(self, condition: str, catalog: Catalog) -> bool:
        """True when API Output reads a node that comes after this Condition, or the row that this step looks up."""
        own = {condition} if self.nodes[condition].type == LOOK_UP else set[str]()
        behind = own | self.graph.descendants(condition)
        return any(one.node_id in behind for one in self.read_by_output(catalog))

    def into_output(self, side: Side) -> Edge | None:
        """Returns a connection that leads from this side into API Output, the direct one first."""
        entering = [edge for edge in self.graph.edges if self.output and edge.target == self.output.id]
        direct = (edge for edge in entering if (edge.source, edge.source_port) == side)
        return next(direct, next((edge for edge in entering if side in self.only_on[edge.source]), None))

    def first_read(self, output: Node, side: Side, catalog: Catalog) -> tuple[str, Node]:
        """Returns the first field of API Output that reads a node of this side, and that node."""
        return next(
            (pointer, self.nodes[one.node_id])
            for pointer, one in references_of(output, catalog[output.type])
            if side in self.only_on.get(one.node_id, ())
        )

    def last_on(self, side: Side, catalog: Catalog) -> Node | None:
        """Returns the last node of a side that gives data once, not for each item."""
        found = [
            self.nodes[one]
            for one in self.graph.order
            if side in self.only_on[one] and not self.scopes.gives[one] and self._gives(one, catalog)
        ]
        return found[-1] if found else None

    def _gives(self, node_id: str, catalog: Catalog) -> bool:
        kind = catalog.get(self.nodes[node_id].type)
        return kind is not None and "out" in kind.ports


def branches_of(document: Document) -> Branches:
    """Returns the branches of a document."""
    graph = Graph(document)
    return Branches(document, graph, ListScopes(document, graph))


def lacking_fields(branches: Branches, joiner: Node, partners: Sequence[Node], catalog: Catalog) -> set[str]:
    """Returns those of these nodes, whose data a First Value takes as it is, that give none of the fields that callers
    get of it.
    """
    names = fields_read(branches, joiner, catalog)
    if not names:
        return set()
    values: JsonValue = joiner.inputs.get("values")
    groups = {
        frozenset(one.node_id for _at, one in find_references(value, "") if isinstance(one, Reference))
        for value in (values if isinstance(values, list) else ())
        if isinstance(value, dict)
    }
    lacking: set[str] = set()
    for partner in partners:
        before = {partner.id, *branches.graph.ancestors(partner.id)}
        # a group of fields that is there whenever the node has run was made for it
        if not any(group <= before for group in groups):
            given = out_schema(partner, catalog, branches.document)
            if all(schema_at(given, (name,)) is None for name in names):
                lacking.add(partner.id)
    return lacking


def fields_read(branches: Branches, node: Node, catalog: Catalog) -> list[str]:
    """The names of the fields of a node that API Output reads; none when it reads the whole of it."""
    refs = [one for one in branches.read_by_output(catalog) if one.node_id == node.id]
    names = [str(one.path[0]) for one in refs if one.path and isinstance(one.path[0], str)]
    return list(dict.fromkeys(names)) if len(names) == len(refs) else []
