"""Answers with one list of all items: puts “Collect into a list” before API Output, or uses the one that is there.

Save rows keeps a row for each item of a list: puts “For each item” before it.

The operations are one edit, so that one undo takes them back.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.flow.branch_edits import SET_FIELDS
from engine.flow.document import Document, Node
from engine.flow.edits import Op, add_node, apply_ops, new_edge, put_before, update_node
from engine.flow.graph import Graph
from engine.flow.lists import API_OUTPUT, FLATTEN, SPLITTER, ListScopes
from engine.flow.node_context import Json
from engine.flow.node_type import Catalog
from engine.flow.references import Reference, find_references
from engine.flow.value_types import type_of, without_types

SINK = "dataset_sink"


def may_collect_before(document: Document, node_id: str) -> bool:
    """True for an API Output that runs once per item, and so needs “Collect into a list” before it."""
    return _read(document, node_id, inside=True) is not None


def collect_before_ops(document: Document, node_id: str, catalog: Catalog) -> list[Op]:
    """Returns the operations that put “Collect into a list” before API Output, which then answers with its list.

    What was answered per item is what is collected; without that it is what the step before gives, and only an answer
    without any field gets one for the list.
    """
    read, kind = _read(document, node_id, inside=True), catalog.get(FLATTEN)
    if read is None or kind is None:
        return []
    output, scopes = read
    edges = [edge for edge in document.edges if edge.target == node_id and scopes.gives[edge.source]]
    if not edges:
        return []
    collect_id, ops = put_before(document, kind, catalog, edges)
    per_item = [name for name in output.inputs if _uses(output, name, scopes)]
    value: Json = given_by(document.node(edges[0].source))
    if per_item:
        value, typing = _together(apply_ops(document, ops), output, per_item, collect_id, catalog)
        ops += typing
    after = apply_ops(document, ops)
    collect, answering = after.node(collect_id), after.node(node_id)
    assert collect is not None
    assert answering is not None
    config = {**collect.config, "levels": "all"} if len(scopes.around[node_id]) > 1 else collect.config
    return [
        *ops,
        update_node(collect, inputs={"value": value}, config=config),
        _answering(answering, per_item, collect_id),
    ]


def may_answer_collected(document: Document, node_id: str) -> bool:
    """True when API Output uses data of single items though “Collect into a list” stands between."""
    return _collected(document, node_id) is not None


def answer_collected_ops(document: Document, node_id: str, catalog: Catalog) -> list[Op]:
    """Returns the operations with which API Output answers with the collected list instead of data of single items.

    While “Collect into a list” has no value of its own, it collects that data.
    """
    found = _collected(document, node_id)
    if found is None:
        return []
    output, per_item, collect = found
    ops: list[Op] = []
    if collect.inputs.get("value") in (None, ""):
        value, ops = _together(document, output, per_item, collect.id, catalog)
        ops.append(update_node(collect, inputs={**collect.inputs, "value": value}))
    return [*ops, _answering(output, per_item, collect.id)]


def _collected(document: Document, node_id: str) -> tuple[Node, list[str], Node] | None:
    """Returns API Output, its fields that use data of single items, and the “Collect into a list” that stands between."""
    read = _read(document, node_id, inside=False)
    if read is None:
        return None
    output, scopes = read
    graph = Graph(document)
    nodes = {node.id: node for node in document.nodes}
    ended = [one for one in reversed(graph.ancestors(node_id)) if nodes[one].type == FLATTEN and scopes.closes(one)]
    per_item = [name for name in output.inputs if _uses(output, name, scopes)]
    return (output, per_item, nodes[ended[0]]) if ended and per_item else None


def row_per_item_ops(
    document: Document, node_id: str, items: str, fields: Mapping[str, str], catalog: Catalog
) -> list[Op]:
    """Returns the operations with which Save rows keeps a row for each item of a list.

    “For each item” comes before it, and “Collect into a list” after it where something follows. `items`: the reference
    to the list; `fields`: name of a column -> field of an item, "" for the item itself.
    """
    each, collect = catalog.get(SPLITTER), catalog.get(FLATTEN)
    edges = [edge for edge in document.edges if edge.target == node_id]
    if each is None or collect is None or not edges:
        return []
    each_id, ops = put_before(document, each, catalog, edges)
    after = apply_ops(document, ops)
    splitter, sink = after.node(each_id), after.node(node_id)
    assert splitter is not None
    assert sink is not None
    row = {name: str(Reference(each_id, "out", (field,) if field else ())) for name, field in fields.items()}
    ops += [update_node(splitter, inputs={"items": items}), update_node(sink, inputs=row)]
    after = apply_ops(document, ops)
    behind = [edge for edge in after.edges if edge.source == node_id]
    if not behind and any(node.type == API_OUTPUT for node in document.nodes):
        return ops  # nothing follows, and the answer does not wait for it
    between = behind[0].id if behind else None
    collect_id, more = add_node(after, collect, catalog, after=node_id, between=between)
    for edge in behind[1:]:
        more.append({"op": "removeEdge", "edge": edge.model_dump()})
        more.append({"op": "addEdge", "edge": new_edge(collect_id, edge.target, collect.ports[0])})
    added = apply_ops(after, more).node(collect_id)
    assert added is not None
    return [*ops, *more, update_node(added, inputs={"value": given_by(sink)})]


def given_by(node: Node | None) -> str | None:
    """Returns the reference to what a step gives: of Save rows the row that it wrote."""
    if node is None:
        return None
    return str(Reference(node.id, "out", ("row",) if node.type == SINK else ()))


def _read(document: Document, node_id: str, *, inside: bool) -> tuple[Node, ListScopes] | None:
    """Returns API Output and the lists of the flow; None when it is not inside (or outside) of a list."""
    output = document.node(node_id)
    if output is None or output.type != API_OUTPUT:
        return None
    graph = Graph(document)
    scopes = ListScopes(document, graph)
    if graph.cycles or scopes.mixed or bool(scopes.around[node_id]) is not inside:
        return None
    return output, scopes


def _uses(output: Node, name: str, scopes: ListScopes) -> bool:
    """True when this field of API Output uses data that there is once per item."""
    found = find_references(output.inputs[name], "")
    return any(isinstance(one, Reference) and bool(scopes.gives.get(one.node_id)) for _at, one in found)


def _together(
    document: Document, output: Node, names: list[str], collect_id: str, catalog: Catalog
) -> tuple[Json, list[Op]]:
    """Returns what is collected per item: the only value, or all of them by name.

    Values that API Output hands on as a type get it in a Set Fields before “Collect into a list”, whose operations come
    with it: the list that API Output answers with is no number.
    """
    types = {name: found for name in names if (found := type_of(output.config, name))}
    kind, edges = catalog.get(SET_FIELDS), [edge for edge in document.edges if edge.target == collect_id]
    if not types or kind is None or not edges:
        return output.inputs[names[0]] if len(names) == 1 else {name: output.inputs[name] for name in names}, []
    made_id, ops = put_before(document, kind, catalog, edges)
    made = apply_ops(document, ops).node(made_id)
    assert made is not None
    values = {name: output.inputs[name] for name in names}
    ops.append(update_node(made, inputs=values, config={**made.config, "types": types}))
    return str(Reference(made_id, "out", (names[0],) if len(names) == 1 else ())), ops


def _answering(output: Node, per_item: list[str], collect_id: str) -> Op:
    """Returns the edit by which API Output answers with the list, which has none of the types of what it stands for."""
    config = without_types(output, per_item)
    inputs = _answer(output, per_item, collect_id)
    return update_node(output, inputs=inputs, **({} if config == output.config else {"config": config}))


def _answer(output: Node, per_item: list[str], collect_id: str) -> dict[str, Json]:
    """Returns the fields of API Output with the list in the place of the first field that it stands for."""
    listed = str(Reference(collect_id, "out", ("items",)))
    kept = {name for name in output.inputs if name not in per_item}
    called = per_item[0] if len(per_item) == 1 else "items" if "items" not in kept else "all_items"
    if not output.inputs:
        return {called: listed}
    answer: dict[str, Json] = {}
    for name, value in output.inputs.items():
        if name in kept:
            answer[name] = value
        elif name == per_item[0]:
            answer[called] = listed
    return answer
