"""Edits that return a value of a step's output to callers or use it in another node. Imports no NiceGUI.

The buttons are in `run/value_actions.py`.

    ops = return_ops(document, "prompt", ("facts",), CATALOG)       adds it to API Output, made and connected if absent
    ops = use_ops(document, "prompt", ("facts",), "http_request", "body")
"""

from __future__ import annotations

import re
import secrets

from engine.flow.document import Document, Edge, Node
from engine.flow.edits import Op, add_node, apply_ops, update_node
from engine.flow.graph import Graph
from engine.flow.lists import FLATTEN, ListScopes
from engine.flow.node_type import Catalog
from engine.flow.output_schemas import out_schema
from engine.flow.reference_edits import references_of
from engine.flow.references import Reference
from engine.flow.validation import why_not_connected
from engine.nodes import CATALOG
from ui.kit.text import _

Path = tuple[str | int, ...]


def reference_to(node_id: str, path: Path) -> Reference:
    """The reference to this path in a node's output."""
    return Reference(node_id, "out", path)


def return_ops(document: Document, node_id: str, path: Path, catalog: Catalog) -> tuple[str, list[Op]]:
    """Returns the name of the new response field and the operations that return this value.

    A missing API Output is created and connected. A value with one instance per item of a list is first collected by an
    Flatten, so that callers get all of them.
    """
    name = _name_of(document, node_id, path)
    ops: list[Op] = []

    def add(more: list[Op]) -> None:
        nonlocal document
        ops.extend(more)
        document = apply_ops(document, more)

    if ListScopes(document, Graph(document)).gives[node_id]:
        node_id, path, more = _gathered(document, node_id, path, catalog)
        add(more)
    raw = str(reference_to(node_id, path))
    output = next((node for node in document.nodes if node.type == "api_output"), None)
    if output is None:
        new_id, more = add_node(document, catalog["api_output"], catalog, after=_end_after(document, node_id, catalog))
        add(more)
        output = document.node(new_id)
    assert output is not None
    if not Graph(document).is_ancestor(node_id, output.id):
        add(_connect(document, node_id, output.id, catalog))
    same = next((known for known, binding in output.inputs.items() if binding == raw), None)
    if same is not None:
        return same, ops
    name = _free_name(name, output)
    add([update_node(output, inputs={**output.inputs, name: raw})])
    return name, ops


def unreturned_fields(document: Document, node_id: str, catalog: Catalog) -> list[str]:
    """Returns the fields which somebody gave this node, and which no node uses, though callers get other ones of it.

    Only nodes whose fields are named by people are looked at: nobody means to return all that a page has.
    """
    node = document.node(node_id)
    output = next((one for one in document.nodes if one.type == "api_output"), None)
    if node is None or output is None:
        return []
    named = [name for name in _named_fields(node) if name.strip()]
    used: set[str] = set()
    returned = False
    for reader in document.nodes:
        kind = catalog.get(reader.type)
        if kind is None or reader.id == node_id:
            continue
        passed_on = kind.source_input is not None and reader.inputs.get(kind.source_input) in (None, "", [])
        if passed_on and any((edge.source, edge.target) == (node_id, reader.id) for edge in document.edges):
            return []
        for _pointer, reference in references_of(reader, kind):
            if reference.node_id == node_id and reference.root == "out":
                if not reference.path:
                    return []
                used.add(str(reference.path[0]))
                returned = returned or reader.id == output.id
    return [name for name in named if name not in used] if returned else []


def _named_fields(node: Node) -> list[str]:
    if node.type == "set_fields":
        return list(node.inputs)
    fields = node.config.get("output_fields")
    return [str(one.get("name") or "") for one in fields if isinstance(one, dict)] if isinstance(fields, list) else []


def _gathered(document: Document, node_id: str, path: Path, catalog: Catalog) -> tuple[str, Path, list[Op]]:
    """The path at which all items of a value are collected, and the operations that create it."""
    raw = str(reference_to(node_id, path))
    graph = Graph(document)
    scopes = ListScopes(document, graph)
    for node in document.nodes:
        closes_all = node.type == FLATTEN and graph.is_ancestor(node_id, node.id) and not scopes.gives[node.id]
        if closes_all and node.inputs.get("value") in (None, "", raw):
            change = (
                [] if node.inputs.get("value") == raw else [update_node(node, inputs={**node.inputs, "value": raw})]
            )
            return node.id, ("items",), change
    flatten_id, ops = add_node(document, catalog[FLATTEN], catalog, after=node_id)
    flatten = apply_ops(document, ops).node(flatten_id)
    assert flatten is not None
    config = {**flatten.config, "levels": "all"} if len(scopes.gives[node_id]) > 1 else flatten.config
    return flatten_id, ("items",), [*ops, update_node(flatten, inputs={"value": raw}, config=config)]


def use_ops(document: Document, node_id: str, path: Path, target: str, name: str, catalog: Catalog) -> list[Op]:
    """Operations that append this value to an input of another node, and connect the nodes if needed."""
    node = document.node(target)
    kind = catalog.get(node.type) if node else None
    if node is None or kind is None:
        return []
    raw = str(reference_to(node_id, path))
    ops = [] if Graph(document).is_ancestor(node_id, target) else _connect(document, node_id, target, catalog)
    before = node.inputs.get(name)
    info = kind.inputs.model_fields.get(name)
    extra = info.json_schema_extra if info is not None else None
    long = isinstance(extra, dict) and extra.get("widget") in {"textarea", "code"}
    value = f"{before.rstrip()} {raw}" if long and isinstance(before, str) and before.strip() else raw
    if kind.free_form and name in node.inputs:
        name = _free_name(name, node)
    return [*ops, update_node(node, inputs={**node.inputs, name: value})]


def places_for(document: Document, node_id: str, path: Path, catalog: Catalog) -> list[tuple[Node, str, str]]:
    """The inputs that can use a value, as (node, input, title), of nodes that run after the value's node or could."""
    found: list[tuple[Node, str, str]] = []
    graph = Graph(document)
    for node in document.nodes:
        kind = catalog.get(node.type)
        if kind is None or node.id == node_id or graph.is_ancestor(node.id, node_id) or node.type == "api_output":
            continue
        if not graph.is_ancestor(node_id, node.id) and why_not_connected(document, node_id, node.id, catalog):
            continue
        if kind.free_form:
            name = _name_of(document, node_id, path)
            found.append((node, name, _("new field {name}").format(name=name)))
        found += [(node, name, info.title or name) for name, info in kind.inputs.model_fields.items()]
    return found


def _connect(document: Document, source: str, target: str, catalog: Catalog) -> list[Op]:
    if why_not_connected(document, source, target, catalog):
        return []
    node = document.node(source)
    kind = catalog.get(node.type) if node else None
    port = kind.ports[0] if kind and kind.ports else "out"
    edge = Edge(id=f"e_{secrets.token_hex(6)}", source=source, source_port=port, target=target)
    return [{"op": "addEdge", "edge": edge.model_dump()}]


def _end_after(document: Document, node_id: str, catalog: Catalog) -> str:
    """The only end of the flow after this node that can have a successor; the node itself when there are none or
    several.
    """
    graph = Graph(document)
    ends = [
        node.id
        for node in document.nodes
        if not graph.children[node.id]
        and graph.is_ancestor(node_id, node.id)
        and (kind := catalog.get(node.type)) is not None
        and kind.ports
    ]
    return ends[0] if len(ends) == 1 else node_id


def _name_of(document: Document, node_id: str, path: Path) -> str:
    """The last name in the path, or the label of the node."""
    last = next((part for part in reversed(path) if isinstance(part, str)), None)
    node = document.node(node_id)
    if last is None and node is not None:
        last = str(out_schema(node, CATALOG).get("title") or node.name)
    return re.sub(r"[^a-z0-9]+", "_", (last or "value").lower()).strip("_")[:60] or "value"


def _free_name(name: str, node: Node) -> str:
    if name not in node.inputs:
        return name
    number = 2
    while f"{name}_{number}" in node.inputs:
        number += 1
    return f"{name}_{number}"
