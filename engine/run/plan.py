"""Compiles a version, once, into a plan: nodes with parsed bindings, their order, the lists around them, and final
nodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

from msgspec import Struct
from pydantic import BaseModel

from engine.core.error_codes import JobErrorCode
from engine.core.errors import FlowInvalid
from engine.core.ids import file_ids_in
from engine.core.json_text import json_text
from engine.flow.collecting import SINK
from engine.flow.contract import OUT_OF_REACH, final_nodes
from engine.flow.document import Document, Node
from engine.flow.graph import Graph
from engine.flow.lists import SPLITTER, Lists, ListScopes
from engine.flow.named_secrets import NamedSecrets, secrets_in
from engine.flow.node_type import Catalog, NodeType
from engine.flow.output_schemas import OutputSchemas
from engine.flow.patterns import STEPS_AT_ONCE, PatternBudget
from engine.flow.references import Reference, Rendering, prepare_binding, references_in_texts
from engine.flow.validation import NEVER_A_LIST, TOO_COSTLY, problems, without_parked
from engine.run.blocks import Block, build_block


class Incoming(Struct, frozen=True):
    """An edge into a node. `up`: how many lists further out the source's output is."""

    source: str
    port: str
    up: int


@dataclass(frozen=True)
class PlannedNode:
    """A node with its type and its edges. `around`, `gives`: the Splitters around its inputs and around its output."""

    node: Node
    type: NodeType
    incoming: tuple[Incoming, ...]
    around: Lists = ()
    gives: Lists = ()
    #: True when a failure for one item goes to a Flatten; otherwise it ends the run.
    collected: bool = False
    #: Input -> how its value is rendered, without inputs that hold source code.
    renderings: dict[str, Rendering] = field(default_factory=dict)
    #: Input -> renderings of its entries, for list inputs that leave out entries whose node was skipped.
    entries: dict[str, tuple[Rendering, ...]] = field(default_factory=dict)
    #: Of Save rows: the inputs that refer to a number that may have decimals.
    numbers: frozenset[str] = frozenset()

    @cached_property
    def limit(self) -> float:
        """The time limit of one try in seconds: the node's own, or else that of its type."""
        return self.node.policy.timeout_seconds or self.type.limit_for(self.node.config)

    @cached_property
    def takes_source(self) -> str | None:
        """The input that takes the output of the node before, because nothing is bound to it; None when there
        is none.
        """
        name = self.type.source_input
        return name if name is not None and self.node.inputs.get(name) is None else None

    @cached_property
    def settings(self) -> BaseModel:
        """The node's config as a model. Raises ValidationError."""
        return self.type.config.model_validate(self.node.config)

    @cached_property
    def required_inputs(self) -> tuple[str, ...]:
        """The required inputs of the type, cached because every step reads them."""
        return self.type.required_inputs

    @cached_property
    def is_splitter(self) -> bool:
        """True when it starts a run of the following nodes for each item of a list."""
        return self.node.type == SPLITTER

    @cached_property
    def in_texts(self) -> Mapping[Reference, int]:
        """The references whose values are written into texts of its inputs, with how often each is."""
        bound = [self.node.inputs[name] for name in (*self.renderings, *self.entries)]
        return Counter(one for binding in bound for one in references_in_texts(binding))

    @cached_property
    def ends(self) -> int:
        """How many lists a Flatten ends."""
        return len(self.around) - len(self.gives)

    @cached_property
    def collects_value(self) -> bool:
        """True when a Flatten collects a value bound to it, instead of the outputs of the nodes before it."""
        return self.node.inputs.get("value") is not None

    @cached_property
    def puts_null(self) -> bool:
        """True when a Flatten puts null in the place of a failed item."""
        return self.node.config.get("on_item_error") == "include_null"

    @property
    def closes_list(self) -> bool:
        """True when it is a Flatten that ends a list."""
        return len(self.gives) < len(self.around)

    @cached_property
    def runs_again(self) -> bool:
        """True for nodes that decide where data goes.

        They run again in another attempt, unless their output stores the decision.
        """
        return self.is_splitter or (len(self.type.ports) > 1 and self.type.kept_port is None)


@dataclass(frozen=True)
class Plan:
    """A flow that can run, without its parked nodes.

    `output` and `final`: ids of API Output and of the only final node.
    """

    document: Document
    nodes: dict[str, PlannedNode]
    block: Block
    output: str | None
    final: str | None

    @property
    def steps_total(self) -> int:
        """The number of nodes; a node that runs per item counts once."""
        return len(self.nodes)

    @cached_property
    def file_ids(self) -> frozenset[str]:
        """The files that its nodes name, without those of its samples."""
        said = ([{**node.config, "samples": None}, node.inputs] for node in self.document.nodes)
        return frozenset(file_ids_in(json_text(list(said))))

    @cached_property
    def named_secrets(self) -> NamedSecrets:
        """What its nodes name that has a secret."""
        return secrets_in(self.document)

    @cached_property
    def repeated(self) -> frozenset[str]:
        """The Splitters whose items are iterated more than once."""
        counts = Counter(self.block.iterated())
        return frozenset(splitter for splitter, count in counts.items() if count > 1)

    def until(self, node_id: str) -> Plan:
        """Returns the plan of only this node and its ancestors."""
        graph = Graph(self.document)
        wanted = {node_id, *graph.ancestors(node_id)}
        document = self.document.model_copy(
            update={
                "nodes": tuple(node for node in self.document.nodes if node.id in wanted),
                "edges": tuple(edge for edge in self.document.edges if edge.source in wanted and edge.target in wanted),
            }
        )
        return _plan(document, {one.node.type: one.type for one in self.nodes.values()})


#: Codes of problems that a trial run in the Playground may have: they concern callers only, or the step reports them
#: itself.
_ALLOWED_IN_TRIAL = frozenset(
    {"no_api_input", "no_processing_node", "several_final_nodes", "final_in_list", JobErrorCode.INPUT_MISSING}
)


def compile_plan(document: Document, catalog: Catalog, *, trial: bool = False) -> Plan:
    """Returns the plan of a document.

    Raises FlowInvalid with every problem; a `trial` ignores those of `_ALLOWED_IN_TRIAL`. A field that no value fits,
    patterns that take too long together, and a list that is never one are problems of saving and deploying only: versions
    that went live with them go on. Patterns are looked at as far as it can be done at once; a bad one that remains fails the
    step that uses it.
    """
    whole = without_parked(document)
    allowed = {OUT_OF_REACH, TOO_COSTLY, NEVER_A_LIST, *(_ALLOWED_IN_TRIAL if trial else ())}
    with PatternBudget(at_once=STEPS_AT_ONCE):
        found = [problem for problem in problems(whole, catalog) if problem.code not in allowed]
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
    schemas = OutputSchemas(document, catalog)
    for node in document.nodes:
        if node.type == SINK:
            nodes[node.id] = replace(nodes[node.id], numbers=_numbers(node, schemas))
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
        name: tuple(prepare_binding(entry) for entry in cast("list[Any]", binding))
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


def _numbers(node: Node, schemas: OutputSchemas) -> frozenset[str]:
    """The inputs that refer to a number that may have decimals; a number that stands there itself is as it is."""
    given = {name: schemas.binding(value) for name, value in node.inputs.items() if isinstance(value, str)}
    return frozenset(name for name, one in given.items() if one.get("type") in ("number", ["number", "null"]))


def _takes_errors_of(around: Lists, flatten: str, scopes: ListScopes) -> bool:
    """True when a Flatten ends the innermost of these lists."""
    return (
        scopes.closes(flatten)
        and scopes.around[flatten][: len(around)] == around
        and len(scopes.gives[flatten]) < len(around)
    )
