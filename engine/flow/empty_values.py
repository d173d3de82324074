"""Whether callers get an empty value because a Condition, or another step of `WAYS`, goes one way rather than the other.
Below, a Condition is any such step.

A set of runs is an integer with one bit for each combination of ways that the Conditions and Approvals can go, so what
skips a node is found for all combinations in one pass over the flow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from engine.flow.after_answer import APPROVAL, APPROVED
from engine.flow.branches import Branches
from engine.flow.contract import final_nodes
from engine.flow.document import Edge, Node
from engine.flow.node_type import Catalog
from engine.flow.output_schemas import FIRST_VALUE
from engine.flow.reference_edits import references_of
from engine.flow.references import Reference, find_references, only_reference
from engine.flow.ways import CONDITION, LOOK_UP, WAYS

#: The first port of each type of node that decides.
_FIRST: Final = {**{kind: ports[0] for kind, ports in WAYS.items()}, APPROVAL: APPROVED}
#: The most deciding nodes that are looked at: each doubles the number of combinations.
_MOST: Final = 12


class EmptyValues:
    """The runs in which nodes are skipped, and in which callers get an empty value. Conditions inside lists are left out.

    Of more than `_MOST` deciding nodes, the later ones count as going both ways in every run, so nothing after them is
    skipped: an empty value that a Condition leads to only together with one of them is not found.
    """

    def __init__(self, branches: Branches, catalog: Catalog) -> None:
        self._branches = branches
        self._catalog = catalog
        output = branches.output
        read = [one.node_id for one in branches.read_by_output(catalog)] if output else final_nodes(branches.document)
        before = {one for name in read for one in (name, *branches.graph.ancestors(name))}
        deciding = [
            one
            for one in branches.graph.order
            if one in before and branches.nodes[one].type in _FIRST and not branches.scopes.around[one]
        ]
        self._places = {node_id: place for place, node_id in enumerate(deciding[:_MOST])}
        #: A Condition that is not looked at counts as one that leads to an empty value.
        self._unknown = set(deciding[_MOST:])
        self._all = (1 << (1 << len(self._places))) - 1
        self._ran: dict[str, int] = {}
        self._empty: dict[str, int] = {}
        self._empty_fields: dict[str, dict[str, int]] = {}
        self._entering: dict[str, list[Edge]] = {node_id: [] for node_id in branches.graph.ids}
        for edge in branches.graph.edges:
            self._entering[edge.target].append(edge)
        for node_id in branches.graph.order:
            self._look_at(branches.nodes[node_id])
        self._given = (
            [self._empty_at(one) for one in branches.read_by_output(catalog)]
            if output
            else [self._empty[name] for name in read]
        )

    def comes_of(self, condition: str, port: str) -> bool:
        """True when in some run callers get an empty value that they would not get, had this Condition gone by its other
        port.
        """
        place = self._places.get(condition)
        if place is None:
            return condition in self._unknown
        first, step = self._first_way(place), 1 << place
        for empty in self._given:
            by_first, by_other = empty & first, (empty & ~first) >> step
            only = by_first & ~by_other if port == self._first_port(condition) else by_other & ~by_first
            if only & self._ran[condition]:  # whether it runs does not depend on itself
                return True
        return False

    def _first_way(self, place: int) -> int:
        """The runs in which the deciding node of this place goes by its first port: those with the bit of the place unset."""
        return self._all // ((1 << (1 << place)) + 1)

    def _first_port(self, node_id: str) -> str:
        return _FIRST[self._branches.nodes[node_id].type]

    def _look_at(self, node: Node) -> None:
        came = [(edge, self._comes_by(edge)) for edge in self._entering[node.id]]
        ran = self._all if not came or node.type == "api_output" else 0
        for _edge, runs in came:
            ran |= runs
        self._ran[node.id] = ran
        kind = self._catalog.get(node.type)
        source = kind.source_input if kind else None
        fields: dict[str, int] = {}
        if source is not None and node.inputs.get(source) is None:
            entries = [(runs, self._empty[edge.source], self._empty_fields[edge.source]) for edge, runs in came]
            empty, fields = self._first_of(ran, entries)
        elif node.type == FIRST_VALUE:
            empty, fields = self._first_of(ran, self._entries(node))
        elif node.type == "set_fields":
            fields = {name: self._skipped(node.id) | self._empty_in(value) for name, value in node.inputs.items()}
            empty = self._skipped(node.id)
        elif node.type == CONDITION:
            empty = self._skipped(node.id) | self._empty_in(node.inputs.get("value"))
        elif node.type == LOOK_UP:
            empty = self._skipped(node.id) | self._not_found(node.id)
        else:
            empty = self._skipped(node.id)
            for _, one in references_of(node, kind) if kind else ():
                empty |= self._empty_at(one)
        self._empty[node.id], self._empty_fields[node.id] = empty, fields

    def _comes_by(self, edge: Edge) -> int:
        place = self._places.get(edge.source)
        if place is None:
            return self._ran[edge.source]
        first = self._first_way(place)
        by_first = edge.source_port == self._first_port(edge.source)
        return self._ran[edge.source] & (first if by_first else self._all & ~first)

    def _not_found(self, node_id: str) -> int:
        """The runs in which this node looks for a row and finds none. None for other nodes, and one that is not looked at."""
        place = self._places.get(node_id)
        if place is None or self._branches.nodes[node_id].type != LOOK_UP:
            return 0
        return self._all & ~self._first_way(place)

    def _skipped(self, node_id: str) -> int:
        return self._all & ~self._ran[node_id]

    def _empty_in(self, binding: JsonValue) -> int:
        empty = 0
        for _, one in find_references(binding):
            if isinstance(one, Reference):
                empty |= self._empty_at(one)
        return empty

    def _empty_at(self, reference: Reference) -> int:
        """The runs in which a reference gives nothing."""
        name = reference.node_id
        field = self._empty_fields.get(name, {}).get(str(reference.path[0])) if reference.path else None
        return self._empty.get(name, 0) if field is None else field

    def _entries(self, node: Node) -> list[tuple[int, int, Mapping[str, int]]]:
        """The values of a First Value: the runs in which a value counts, in which it is empty, and its fields."""
        values: JsonValue = node.inputs.get("values")
        entries: list[tuple[int, int, Mapping[str, int]]] = []
        for value in values if isinstance(values, list) else ():
            counts = self._all
            for _, one in find_references(value):
                if isinstance(one, Reference) and one.node_id in self._ran:
                    counts &= self._ran[one.node_id] & ~self._not_found(one.node_id)
            fields: Mapping[str, int] = {}
            if isinstance(value, dict):
                fields = {name: self._empty_in(one) for name, one in value.items()}
            elif (whole := only_reference(value)) is not None and not whole.path:
                fields = self._empty_fields.get(whole.node_id, {})
            entries.append((counts, self._empty_in(value) if not isinstance(value, dict) else 0, fields))
        return entries

    def _first_of(self, ran: int, entries: Sequence[tuple[int, int, Mapping[str, int]]]) -> tuple[int, dict[str, int]]:
        """The runs in which the first of these that counts is empty or none counts, whole and for each field."""
        names = dict.fromkeys(name for _, _, fields in entries for name in fields)
        skipped = self._all & ~ran
        whole, fields = skipped, dict.fromkeys(names, skipped)
        left = ran
        for counts, empty, of in entries:
            taken = left & counts
            left &= ~counts
            whole |= taken & empty
            for name in names:
                fields[name] |= taken & of.get(name, empty)
        return whole | left, {name: runs | left for name, runs in fields.items()}
