"""What a version compiles to, once: nodes with their bindings read, the order they run in, lists, which nodes are final."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

from pydantic import BaseModel

from engine.core.errors import FlowInvalid
from engine.flow.contract import final_nodes
from engine.flow.document import Document, Node
from engine.flow.graph import Graph
from engine.flow.lists import SPLITTER, Lists, ListScopes
from engine.flow.node_type import Catalog, NodeType
from engine.flow.references import Rendering, prepare_binding
from engine.flow.validation import problems, without_parked
from engine.run.blocks import Block, build_block


@dataclass(frozen=True)
class Incoming:
    """An edge into a node. `up`: how many lists further out the source's data stands."""

    source: str
    port: str
    up: int


@dataclass(frozen=True)
class PlannedNode:
    """A node with its type, its edges, and the Splitters around its inputs and its output."""

    node: Node
    type: NodeType
    incoming: tuple[Incoming, ...]
    around: Lists = ()
    gives: Lists = ()
    #: A failure for one item is told to a Flatten; otherwise it ends the run.
    collected: bool = False
    #: Input -> how its value is made. Inputs that are source are not in it.
    renderings: dict[str, Rendering] = field(default_factory=dict)
    #: Input -> its entries, for lists whose entries count only when their node ran.
    entries: dict[str, tuple[Rendering, ...]] = field(default_factory=dict)

    @cached_property
    def limit(self) -> float:
        """Seconds one try may take: the node's own, else its type's."""
        return self.node.policy.timeout_seconds or self.type.limit_for(self.node.config)

    @cached_property
    def takes_source(self) -> str | None:
        """The input that takes the data of the node before, because nothing is bound to it."""
        name = self.type.source_input
        return name if name is not None and self.node.inputs.get(name) is None else None

    @cached_property
    def settings(self) -> BaseModel:
        """The node's config. Raises ValidationError."""
        return self.type.config.model_validate(self.node.config)

    @cached_property
    def required_inputs(self) -> tuple[str, ...]:
        """As of the type; asked for on every step."""
        return self.type.required_inputs

    @cached_property
    def is_splitter(self) -> bool:
        """Whether it hands out the items of a list."""
        return self.node.type == SPLITTER

    @cached_property
    def ends(self) -> int:
        """How many lists a Flatten ends."""
        return len(self.around) - len(self.gives)

    @cached_property
    def collects_value(self) -> bool:
        """Whether a Flatten collects a value of its own, not what the nodes before it give."""
        return self.node.inputs.get("value") is not None

    @cached_property
    def puts_null(self) -> bool:
        """Whether a Flatten has null in the place of a failed item."""
        return self.node.config.get("on_item_error") == "include_null"

    @property
    def closes_list(self) -> bool:
        """Whether it is a Flatten that ends a list."""
        return len(self.gives) < len(self.around)

    @cached_property
    def runs_again(self) -> bool:
        """Nodes that decide where data goes run again in another attempt: what they decided is not an output."""
        return self.is_splitter or len(self.type.ports) > 1


@dataclass(frozen=True)
class Plan:
    """A runnable flow without its parked nodes."""

    document: Document
    nodes: dict[str, PlannedNode]
    block: Block
    output: str | None
    final: str | None

    @property
    def steps_total(self) -> int:
        """How many nodes a run has; a node that runs per item counts once."""
        return len(self.nodes)

    @cached_property
    def repeated(self) -> frozenset[str]:
        """Splitters whose items are gone through more than once."""
        counts = Counter(self.block.gone_through())
        return frozenset(splitter for splitter, count in counts.items() if count > 1)

    def until(self, node_id: str) -> Plan:
        """A plan of the node and all it needs."""
        graph = Graph(self.document)
        wanted = {node_id, *graph.ancestors(node_id)}
        document = self.document.model_copy(
            update={
                "nodes": tuple(node for node in self.document.nodes if node.id in wanted),
                "edges": tuple(edge for edge in self.document.edges if edge.source in wanted and edge.target in wanted),
            }
        )
        return _plan(document, {one.node.type: one.type for one in self.nodes.values()})


#: Problems that a trial run in the Playground may have: they concern callers, or a step says what it misses when it runs.
_LET_THROUGH = frozenset(
    {"no_api_input", "no_processing_node", "several_final_nodes", "final_in_list", "input_missing"}
)


def compile_plan(document: Document, catalog: Catalog, *, trial: bool = False) -> Plan:
    """The plan of a document. Raises FlowInvalid with every problem; a `trial` needs no deployable whole."""
    whole = without_parked(document)
    found = [problem for problem in problems(whole, catalog) if not (trial and problem.code in _LET_THROUGH)]
    if found:
        raise FlowInvalid(found)
    return _plan(whole, catalog)


def _plan(document: Document, catalog: Catalog) -> Plan:
    graph = Graph(document)
    scopes = ListScopes(document, graph)
    incoming: dict[str, list[Incoming]] = {node.id: [] for node in document.nodes}
    for edge in graph.edges:
        up = len(scopes.around[edge.target]) - len(scopes.gives[edge.source])
        incoming[edge.target].append(Incoming(edge.source, edge.source_port, up))
    nodes = {
        node.id: _planned(node, catalog[node.type], tuple(incoming[node.id]), graph, scopes) for node in document.nodes
    }
    output = next((node.id for node in document.nodes if node.type == "api_output"), None)
    final = final_nodes(document)
    block = build_block(document, graph, scopes)
    return Plan(document, nodes, block, output, final[0] if len(final) == 1 else None)


def _planned(
    node: Node, kind: NodeType, incoming: tuple[Incoming, ...], graph: Graph, scopes: ListScopes
) -> PlannedNode:
    around = scopes.around[node.id]
    where = scopes.gives[node.id] if scopes.closes(node.id) else around
    listed = {
        name: tuple(prepare_binding(entry) for entry in binding)
        for name, binding in node.inputs.items()
        if name in kind.without_skipped and isinstance(binding, list)
    }
    return PlannedNode(
        node,
        kind,
        incoming,
        around,
        scopes.gives[node.id],
        bool(where) and any(_takes_errors_of(where, other, scopes) for other in graph.descendants(node.id)),
        {
            name: prepare_binding(binding)
            for name, binding in node.inputs.items()
            if name not in kind.source_inputs and name not in listed
        },
        listed,
    )


def _takes_errors_of(around: Lists, flatten: str, scopes: ListScopes) -> bool:
    """Whether a Flatten ends the innermost list of what stands in these lists."""
    return (
        scopes.closes(flatten)
        and scopes.around[flatten][: len(around)] == around
        and len(scopes.gives[flatten]) < len(around)
    )
