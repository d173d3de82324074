"""Values that a person may correct in an Approval, and the steps behind it that read them from where they were made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace
from pydantic import JsonValue

from engine.flow.after_answer import APPROVAL, APPROVED
from engine.flow.document import MAX_NAME, Document, Node
from engine.flow.edits import Op, apply_ops, named_ops, new_edge, put_before, update_node
from engine.flow.graph import Graph
from engine.flow.lists import FLATTEN, ListScopes
from engine.flow.node_type import Catalog
from engine.flow.output_schemas import FIRST_VALUE
from engine.flow.reference_edits import change_references, references_of
from engine.flow.references import Reference, only_reference

#: At most as many steps get a First Value by one press; the others are told again.
_MAX_JOINED = 20


class LostCorrection(Struct, frozen=True):
    """A value that may be changed in an Approval, with the steps behind `approved` that do not get the change.

    `at`: its place among the values that may be changed. `made`: where the value comes from. `joined`: those of the
    readers that also run without the Approval.
    """

    approval: Node
    at: int
    name: str
    made: Reference
    readers: tuple[Node, ...]
    joined: frozenset[str]

    def corrected(self, reference: Reference) -> Reference | None:
        """Returns the corrected value, or a part of it, in place of the value as it was made; None for other data."""
        length = len(self.made.path)
        if replace(reference, path=reference.path[:length]) != self.made:
            return None
        return Reference(self.approval.id, "out", ("values", self.name, *reference.path[length:]))

    def mendable(self, catalog: Catalog) -> list[Node]:
        """Returns the readers that can get the corrected value: no First Value comes between a step and the data that
        it takes from the step before it.
        """
        return [node for node in self.readers if node.id not in self.joined or not _takes_before(node, catalog)]


def lost_corrections(used: Document, graph: Graph, scopes: ListScopes, catalog: Catalog) -> Iterator[LostCorrection]:
    """Yields the values whose corrections do not arrive. A step that reads the corrected value too means it so."""
    nodes = {node.id: node for node in used.nodes}
    #: Each step is looked at once, for all Approvals before it.
    reads: dict[str, tuple[set[Reference], set[Reference]]] = {}
    for approval in used.nodes:
        made = _made(approval) if approval.type == APPROVAL else {}
        if not made:
            continue
        first = [edge.target for edge in graph.edges if (edge.source, edge.source_port) == (approval.id, APPROVED)]
        behind = {*first}.union(*(graph.descendants(one) for one in first))
        all_values = {Reference(approval.id, "out"), Reference(approval.id, "out", ("values",))}
        readers: dict[Reference, list[Node]] = {}
        for node in (nodes[one] for one in graph.order if one in behind and scopes.sees(one, approval.id)):
            if node.id not in reads:
                reads[node.id] = _reads(node, catalog)
            read, wholes = reads[node.id]
            if all_values & read:
                continue
            for source in made.keys() & wholes:
                if Reference(approval.id, "out", ("values", made[source][1])) not in wholes:
                    readers.setdefault(source, []).append(node)
        without = _without(approval, [*readers], nodes, graph, catalog) if readers else set[str]()
        for source, (at, name) in made.items():
            if found := readers.get(source):
                yield LostCorrection(
                    approval, at, name, source, tuple(found), frozenset(one.id for one in found if one.id in without)
                )


def take_corrected_ops(document: Document, lost: LostCorrection, catalog: Catalog) -> list[Op]:
    """Returns the operations after which the steps get the corrected value.

    A step that also runs without the Approval reads a First Value: the corrected value, or the value as it was made.
    """
    ops: list[Op] = []
    left = _MAX_JOINED
    for reader in lost.mendable(catalog):
        if reader.id not in lost.joined:
            inputs = change_references(reader, catalog[reader.type], lost.corrected)
            ops.append(update_node(reader, inputs=inputs))
        elif left:
            left -= 1
            ops += _joined_ops(apply_ops(document, ops), reader, lost, catalog)
    return ops


def _made(approval: Node) -> dict[Reference, tuple[int, str]]:
    """Returns where the values come from that may be changed, with the place and the name of each."""
    values: JsonValue = approval.inputs.get("values")
    editable: JsonValue = approval.config.get("editable")
    found: dict[Reference, tuple[int, str]] = {}
    if isinstance(values, Mapping) and isinstance(editable, list | tuple):
        for at, name in enumerate(editable):
            made = only_reference(values.get(name)) if isinstance(name, str) else None
            if made is not None and made.root == "out":
                found.setdefault(made, (at, str(name)))
    return found


def _reads(node: Node, catalog: Catalog) -> tuple[set[Reference], set[Reference]]:
    """Returns what a step reads, and the same with all that it is a part of."""
    kind = catalog.get(node.type)
    read = {one for _pointer, one in references_of(node, kind)} if kind else set[Reference]()
    return read, {replace(one, path=one.path[:length]) for one in read for length in range(len(one.path) + 1)}


def _joined_ops(document: Document, reader: Node, lost: LostCorrection, catalog: Catalog) -> list[Op]:
    """Puts a First Value before a step, in all of its connections, and has the step read it."""
    leading = [edge for edge in document.edges if edge.target == reader.id]
    joiner, ops = put_before(document, catalog[FIRST_VALUE], catalog, leading)
    both = [str(lost.corrected(lost.made)), str(lost.made)]
    ops = named_ops(ops, f"Final {lost.name}"[:MAX_NAME], {"values": both})
    if reader.type == "api_output" and _may_end_before(reader, lost.made, document, catalog):
        # API Output runs all the same, and reads the value as it was made.
        port = catalog[node.type].ports[0] if (node := document.node(lost.made.node_id)) else "out"
        ops.append({"op": "addEdge", "edge": new_edge(lost.made.node_id, joiner, port)})

    def joined(reference: Reference) -> Reference | None:
        found = lost.corrected(reference)
        return Reference(joiner, "out", found.path[2:]) if found else None

    return [*ops, update_node(reader, inputs=change_references(reader, catalog[reader.type], joined))]


def _takes_before(node: Node, catalog: Catalog) -> bool:
    source_input = catalog[node.type].source_input
    return node.type == FLATTEN or (source_input is not None and node.inputs.get(source_input) in (None, "", []))


def _without(
    approval: Node, made: Sequence[Reference], nodes: Mapping[str, Node], graph: Graph, catalog: Catalog
) -> set[str]:
    """Returns the steps that may run without the Approval, though the values were made. API Output runs whatever was
    decided before.
    """
    before = [nodes[one] for one in graph.ancestors(approval.id)]
    one_way = all((kind := catalog.get(node.type)) is not None and len(kind.ports) <= 1 for node in before)
    if one_way and not any(_may_be_skipped(node, one, graph) for node in [*before, approval] for one in made):
        return set()
    reached = {node.id for node in nodes.values() if node.type == "api_output"}
    waiting = [one for one in graph.ids if not graph.parents[one]]
    while waiting:
        here = waiting.pop()
        if here not in reached and here != approval.id:
            reached.add(here)
            waiting += graph.children[here]
    return reached


def _may_be_skipped(node: Node, made: Reference, graph: Graph) -> bool:
    """True when a step may be skipped after the value was made."""
    return node.policy.on_error == "skip" and graph.is_ancestor(made.node_id, node.id)


def _may_end_before(reader: Node, made: Reference, document: Document, catalog: Catalog) -> bool:
    """True when a port of a step before this one does not lead to it, or the step may be skipped after the value was
    made.
    """
    graph = Graph(document)
    leading = {reader.id, *graph.ancestors(reader.id)}
    taken = {(edge.source, edge.source_port) for edge in document.edges if edge.target in leading}
    before = [node for node in document.nodes if graph.is_ancestor(node.id, reader.id) and node.type in catalog]
    return any(
        _may_be_skipped(node, made, graph) or any((node.id, port) not in taken for port in catalog[node.type].ports)
        for node in before
    )
