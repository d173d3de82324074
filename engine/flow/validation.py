"""Finds all problems of a flow at once, without running anything that it names (S1).

`problems` checks the whole document (for import and canvas); `deploy_problems` checks what a deployment uses, without
parked nodes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct
from pydantic import BaseModel, JsonValue, ValidationError

from engine.core.do_first import DoneFirst
from engine.core.error_codes import JobErrorCode
from engine.core.errors import Problem
from engine.flow.contract import final_nodes
from engine.flow.document import NODE_ID, Document, Edge, Node
from engine.flow.graph import SOURCES, Graph
from engine.flow.lists import SPLITTER, ListScopes, across_list, has_text_around, list_problems
from engine.flow.node_type import Catalog, NodeType
from engine.flow.output_schemas import OutputSchemas, schema_at
from engine.flow.patterns import STEPS_AT_ONCE, PatternBudget, current_budget
from engine.flow.payload_check import PATTERN_STEPS
from engine.flow.reference_edits import references_typed
from engine.flow.reference_labels import binding_in_words, data_names, in_words
from engine.flow.references import SYSTEM, BadReference, Reference, split_text
from engine.flow.wrong_values import wrong_value

#: The code of the problem that all patterns of a flow together take too long.
TOO_COSTLY = "patterns_too_costly"
#: The code of the problem that a Splitter gets something that is never a list.
NEVER_A_LIST = "never_a_list"
_KINDS = {
    "string": "text",
    "number": "a number",
    "integer": "a number",
    "boolean": "yes or no",
    "object": "a group of values",
    "null": "nothing",
}
_TOO_COSTLY = (
    "The patterns of this flow take too long together, and those from here on were not looked at. Use fewer of them, or "
    r"shorten them: long repetitions like `.{1,900}` and classes like `\p{L}` cost most."
)
#: How many problems of a flow with costly patterns are kept, for how many flows.
_MAX_KEPT = 500
_LOOKED_THROUGH: DoneFirst[list[Problem]] = DoneFirst(32)
#: The line on a node is made from this many characters of each text.
SUMMED_UP = 400


class Mark(Struct, frozen=True):
    """What the canvas shows on a node: a summary of its settings, the number of problems, whether it is parked or
    simulated.
    """

    summary: str
    problems: int
    parked: bool
    simulated: bool


def problems(document: Document, catalog: Catalog) -> list[Problem]:
    """Returns every problem. `Problem.blocks_import` is False for those that only stop a deployment.

    All patterns share a `PatternBudget`: that inside which the caller runs, or one of their own. It may take up to half a
    second; `problems_at_once` is for event loops and transactions.
    """
    budget = current_budget()
    if budget is None:
        with PatternBudget(searches=PATTERN_STEPS):
            return problems(document, catalog)
    graph = Graph(document)
    scopes = ListScopes(document, graph)
    schemas = OutputSchemas(document, catalog)
    found = [*_id_problems(document), *_edge_problems(document, graph, catalog)]
    for node in document.nodes:
        was_over = budget.over
        found += _node_problems(node, graph, scopes, schemas)
        if budget.over and not was_over:
            found.append(Problem(TOO_COSTLY, _TOO_COSTLY, node.id, "/config"))
    return [*found, *list_problems(document, graph, scopes), *_whole_problems(document, graph, catalog)]


def problems_at_once(document: Document, catalog: Catalog) -> list[Problem]:
    """Returns the same for a caller in a transaction. Raises DoFirst when the patterns take longer than others may wait;
    after its work the answer is known. `catalog` lives as long as the process.
    """
    with PatternBudget(at_once=STEPS_AT_ONCE, searches=PATTERN_STEPS) as budget:
        found = problems(document, catalog)
    if not budget.short:
        return found
    key = id(catalog), hashlib.sha256(document.dumps().encode("utf-8", "surrogatepass")).digest()
    return _LOOKED_THROUGH.get(key, lambda: problems(document, catalog)[:_MAX_KEPT])


def deploy_problems(document: Document, catalog: Catalog) -> list[Problem]:
    """Returns the problems that stop a deployment. Parked nodes are left out, unless all nodes are parked. Raises DoFirst
    as `problems_at_once`.
    """
    return problems_at_once(without_parked(document), catalog)


def without_parked(document: Document) -> Document:
    """Returns the document without nodes that are not connected, even indirectly, with a source of data.

    A document without any source is returned unchanged, so that the missing API Input is reported.
    """
    if not any(node.type in SOURCES for node in document.nodes):
        return document
    parked = Graph(document).parked
    return document.model_copy(
        update={
            "nodes": tuple(node for node in document.nodes if node.id not in parked),
            "edges": tuple(edge for edge in document.edges if edge.source not in parked and edge.target not in parked),
        }
    )


def marks(document: Document, catalog: Catalog, found: Iterable[Problem] | None = None) -> dict[str, Mark]:
    """Returns a mark for every node. `found`: the `problems` of the document, when they are known already."""
    graph = Graph(document)
    counts = Counter(problem.node_id for problem in (problems(document, catalog) if found is None else found))
    labels = data_names(document)
    return {node.id: _mark(node, counts[node.id], node.id in graph.parked, catalog, labels) for node in document.nodes}


def missing_step(node: Node, reference: Reference, names: Mapping[str, str] | None = None) -> str:
    """The sentence about data of a step that the document does not have. `names`: what deleted steps were called."""
    data = in_words(reference, names or {})
    if names and reference.node_id in names:
        return f"{node.name} needs “{data}” of a step that was deleted. Choose other data."
    return f"{node.name} needs “{data}” of a step that is not on the canvas any more. Choose other data."


def why_not_connected(document: Document, source: str, target: str, catalog: Catalog) -> str | None:
    """Returns why this edge is not possible, as a sentence; None when it is."""
    start, end = document.node(source), document.node(target)
    if start is None or end is None:
        return "One of the two nodes is not there any more."
    if source == target:
        return "A node cannot be connected to itself."
    if any(edge.source == source and edge.target == target for edge in document.edges):
        return "These two are connected already."
    if (kind := catalog.get(end.type)) and not kind.accepts_input:
        return f"{kind.title} is where data comes from; nothing runs before it."
    if (kind := catalog.get(start.type)) and not kind.ports:
        return f"{kind.title} ends the flow; nothing runs after it."
    if Graph(document).is_ancestor(target, source):
        return "These steps would wait for each other in a circle. To repeat steps for a list, use “For each item”."
    return None


def _mark(
    node: Node,
    count: int,
    parked: bool,  # noqa: FBT001 - private
    catalog: Catalog,
    labels: Mapping[str, str],
) -> Mark:
    kind = catalog.get(node.type)
    try:
        summary = (
            kind.summary(node.config, binding_in_words(node.inputs, labels, SUMMED_UP))
            if kind
            else "unknown kind of node"
        )
    except (TypeError, ValueError, KeyError, AttributeError):
        summary = ""
    return Mark(summary[:80], count, parked, node.config.get("model") == "simulated")


def _id_problems(document: Document) -> Iterator[Problem]:
    for node_id, count in Counter(node.id for node in document.nodes).items():
        if count > 1:
            yield Problem("duplicate_id", f"{count} nodes have the id `{node_id}`.", node_id, "/id")
    for node in document.nodes:
        if not NODE_ID.match(node.id) or node.id == SYSTEM:
            yield Problem(
                "bad_id",
                f"`{node.id}` cannot be a node's id: small letters, digits and _, beginning with a letter, not `system`.",
                node.id,
                "/id",
            )
    for what, parts in (("connection", document.edges), ("note", document.notes)):
        for part_id, count in Counter(part.id for part in parts).items():
            if count > 1:
                yield Problem("duplicate_id", f"{count} {what}s have the id `{part_id}`.")


def _edge_problems(document: Document, graph: Graph, catalog: Catalog) -> Iterator[Problem]:
    nodes = {node.id: node for node in document.nodes}
    seen: set[tuple[str, str, str]] = set()
    for position, edge in enumerate(document.edges):
        pointer = f"/edges/{position}"
        ends = [end for end in (edge.source, edge.target) if end not in nodes]
        if ends:
            yield Problem(
                "dangling_edge", f"The connection `{edge.id}` leads to `{ends[0]}`, which is not there.", None, pointer
            )
            continue
        key = (edge.source, edge.source_port, edge.target)
        if key in seen:
            yield Problem("duplicate_edge", f"{_between(edge, nodes)} are connected twice.", edge.target, pointer)
        seen.add(key)
        yield from _port_problems(edge, nodes, catalog, pointer)
    for cycle in graph.cycles:
        names = " → ".join(nodes[node_id].name for node_id in (*cycle, cycle[0]))
        yield Problem("cycle", f"These nodes wait for each other: {names}. Remove one connection.", cycle[0])


def _between(edge: Edge, nodes: dict[str, Node]) -> str:
    return f"{nodes[edge.source].name} and {nodes[edge.target].name}"


def _port_problems(edge: Edge, nodes: dict[str, Node], catalog: Catalog, pointer: str) -> Iterator[Problem]:
    start, end = catalog.get(nodes[edge.source].type), catalog.get(nodes[edge.target].type)
    if start and not start.ports:
        yield Problem("bad_edge", f"{start.title} ends the flow; nothing runs after it.", edge.source, pointer)
    elif start and edge.source_port not in start.ports:
        ports = " or ".join(f"`{port}`" for port in start.ports)
        yield Problem(
            "bad_port", f"{start.title} has no port `{edge.source_port}`; it has {ports}.", edge.source, pointer
        )
    if end and not end.accepts_input:
        yield Problem(
            "bad_edge", f"{end.title} is where data comes from; nothing runs before it.", edge.target, pointer
        )


def _node_problems(node: Node, graph: Graph, scopes: ListScopes, schemas: OutputSchemas) -> Iterator[Problem]:
    kind = schemas.catalog.get(node.type)
    if kind is None:
        yield Problem("unknown_type", f"There is no kind of node called `{node.type}`.", node.id, "/type")
        return
    if not 1 <= node.type_version <= kind.version:
        yield Problem(
            "unknown_type_version",
            f"{kind.title} {node.type_version} is not known here; this Flowport knows up to {kind.version}.",
            node.id,
            "/type_version",
        )
        return
    yield from _model_problems(node, kind.config, node.config, "/config")
    if not kind.free_form:
        for name in node.inputs:
            if name not in kind.inputs.model_fields:
                yield Problem("unknown_key", f"{kind.title} has no input `{name}`.", node.id, f"/inputs/{name}")
    checked = kind.check(node, schemas.document)
    yield from checked
    yield from _literal_problems(node, kind, {problem.pointer for problem in checked})
    yield from _default_problems(node)
    parked = node.id in graph.parked
    yield from _reference_problems(node, kind, graph, scopes, schemas, parked=parked)
    if not parked:
        yield from _missing_inputs(node, kind)
        yield from _never_a_list(node, schemas)


def _model_problems(node: Node, model: type[BaseModel], value: dict[str, Any], at: str) -> Iterator[Problem]:
    try:
        model.model_validate(value)
    except ValidationError as error:
        for item in error.errors():
            location = item["loc"]
            pointer = at + "".join(f"/{part}" for part in location)
            name = location[-1] if location else at.strip("/")
            if item["type"] == "extra_forbidden":
                yield Problem("unknown_key", f"`{name}` is not a setting of {node.name}.", node.id, pointer)
            elif item["type"] == "missing":
                yield Problem(
                    "setting_missing", f"`{name}` is not filled in yet.", node.id, pointer, blocks_import=False
                )
            else:
                yield Problem("invalid_value", f"{wrong_value(model, item)}.", node.id, pointer)


def _literal_problems(node: Node, kind: NodeType, reported: Container[str]) -> Iterator[Problem]:
    """Yields problems of fixed values that would fail every run. Values from data are known only in a run."""
    fixed = {
        name: value
        for name, value in node.inputs.items()
        if value is not None and not (isinstance(value, str) and "{{" in value)
    }
    try:
        kind.inputs.model_validate(fixed)
    except ValidationError as error:
        for item in error.errors():
            pointer = "/inputs" + "".join(f"/{part}" for part in item["loc"])
            if item["type"] not in {"missing", "extra_forbidden"} and pointer not in reported:
                yield Problem(
                    "invalid_value", f"{wrong_value(kind.inputs, item)}.", node.id, pointer, blocks_import=False
                )


def _default_problems(node: Node) -> Iterator[Problem]:
    policy = node.policy
    if node.type == SPLITTER and policy.on_error == "use_default" and not isinstance(policy.default, list | None):
        message = f"The default value of {node.name} must be a list: the nodes after it run once for each of its items."
        yield Problem("invalid_value", message, node.id, "/policy/default", blocks_import=False)


def _reference_problems(
    node: Node,
    kind: NodeType,
    graph: Graph,
    scopes: ListScopes,
    schemas: OutputSchemas,
    *,
    parked: bool,
) -> Iterator[Problem]:
    for pointer, reference in references_typed(node, kind):
        if isinstance(reference, BadReference):
            yield Problem(
                "bad_reference",
                f"`{{{{ {reference.text} }}}}` is no value of an earlier step. Choose one under “Data from earlier steps”.",
                node.id,
                pointer,
            )
        elif not parked and reference.node_id != SYSTEM:
            problem = _target_problem(node, kind, reference, pointer, graph, scopes, schemas)
            if problem:
                yield problem


def _target_problem(
    node: Node,
    kind: NodeType,
    reference: Reference,
    pointer: str,
    graph: Graph,
    scopes: ListScopes,
    schemas: OutputSchemas,
) -> Problem | None:
    target = schemas.document.node(reference.node_id)
    if target is None:
        return Problem(
            "bad_reference",
            missing_step(node, reference),
            node.id,
            pointer,
        )
    if not graph.is_ancestor(target.id, node.id):
        return Problem(
            "not_an_ancestor",
            f"{node.name} uses data of {target.name}, but does not run after it. Connect {target.name} before it.",
            node.id,
            pointer,
        )
    if why := across_list(node, _field_named(kind, pointer), target, schemas.document, scopes):
        return Problem("across_list", why, node.id, pointer)
    if reference.root != "out":
        if target.type != SPLITTER:
            return Problem(
                "bad_reference", f"`{reference}`: only “For each item” has `{reference.root}`.", node.id, pointer
            )
        return None
    if schema_at(schemas.out(target), reference.path) is None:
        shown = ".".join(str(part) for part in reference.path)
        return Problem(
            "unknown_field", f"{node.name} needs `{shown}` of {target.name}, which is not there.", node.id, pointer
        )
    return None


def _field_named(kind: NodeType, pointer: str) -> str:
    """Returns what the field at `/inputs/name/...` is called on screen."""
    name = pointer.split("/")[2].replace("~1", "/").replace("~0", "~")
    info = None if kind.free_form else kind.inputs.model_fields.get(name)
    return (info.title if info is not None else None) or name


def _missing_inputs(node: Node, kind: NodeType) -> Iterator[Problem]:
    for name in kind.required_inputs:
        value = node.inputs.get(name)
        if value is None or (isinstance(value, str) and not value.strip()):
            title = kind.inputs.model_fields[name].title or name
            yield Problem(
                JobErrorCode.INPUT_MISSING,
                f"“{node.name}” is not ready yet: fill in “{title}”.",
                node.id,
                f"/inputs/{name}",
                blocks_import=False,
            )


def _never_a_list(node: Node, schemas: OutputSchemas) -> Iterator[Problem]:
    """Yields the problem of a Splitter whose items are never a list, as far as their type is known."""
    items: JsonValue = node.inputs.get("items")
    if node.type != SPLITTER or (isinstance(items, str) and not _is_known(items, schemas)):
        return
    kinds = schemas.binding(items).get("type", ())
    found = [kinds] if isinstance(kinds, str) else list(kinds)
    if not found or "array" in found:
        return
    told = [kind for kind in found if kind != "null"] or found  # a field that need not be sent may also be null
    said = f"{' or '.join(_KINDS.get(kind, kind) for kind in told)}, not a list"
    if isinstance(items, str) and has_text_around(items):
        said = "text, as other text or a blank stands around the data, not a list"
    message = f"“{node.name}” could never run: “Items” is {said}. Choose a list, with nothing beside it."
    yield Problem(NEVER_A_LIST, message, node.id, "/inputs/items", blocks_import=False)


def _is_known(text: str, schemas: OutputSchemas) -> bool:
    """True when a text is not empty, and every reference in it names a node: what is wrong otherwise is told already."""
    references = [piece for piece in split_text(text) if not isinstance(piece, str)]
    return bool(text.strip()) and all(
        isinstance(one, Reference) and (one.node_id == SYSTEM or schemas.document.node(one.node_id) is not None)
        for one in references
    )


def _whole_problems(document: Document, graph: Graph, catalog: Catalog) -> Iterator[Problem]:
    for kind in ("api_input", "api_output"):
        several = [node for node in document.nodes if node.type == kind]
        if len(several) > 1:
            title = catalog[kind].title
            yield Problem(f"several_{kind}s", f"A flow has one {title}; this one has {len(several)}.", several[1].id)
    start = next((node for node in document.nodes if node.type == "api_input"), None)
    if start is None:
        yield Problem(
            "no_api_input",
            "The flow has no API Input: add one and define what callers send. When they send nothing, leave it without fields.",
            blocks_import=False,
        )
    kinds = {node.id: catalog.get(node.type) for node in document.nodes}
    reached: set[str] = graph.descendants(start.id) if start else set()
    # A node of an unknown type may be a processing one; its unknown type is reported elsewhere.
    if not any((kind := kinds[node_id]) is None or kind.processing for node_id in reached):
        yield Problem(
            "no_processing_node",
            "Nothing happens to the input: connect at least one node that reads, asks, changes or decides.",
            blocks_import=False,
        )
    final = final_nodes(document)
    if len(final) > 1 and not any(node.type == "api_output" and node.id not in graph.parked for node in document.nodes):
        names = ", ".join(node.name for node in document.nodes if node.id in final)
        yield Problem(
            "several_final_nodes",
            f"The flow ends in several nodes ({names}). Add an API Output to say what callers get.",
            final[1],
            blocks_import=False,
        )
