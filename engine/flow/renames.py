"""Renames a field of a node's output in everything that reads it.

What reads a field is found by the schemas before and after: a reference that named known data before the rename and
names none after it, so that data that is passed on (by a Condition, per item of a list) is followed too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import JsonValue

from engine.flow.contract import api_input, input_fields
from engine.flow.document import Document, Node
from engine.flow.edits import Op, update_node
from engine.flow.lists import API_OUTPUT
from engine.flow.node_type import Catalog
from engine.flow.output_schemas import OutputSchemas, schema_at
from engine.flow.reference_edits import change_references
from engine.flow.references import Reference, split_text
from engine.flow.value_types import types_after

#: The node whose inputs are the fields that callers get.
#: Settings that describe the fields of a node's output, and the parts of a field that describe its inside.
_FIELDS: Final = ("fields", "output_fields")
_INSIDE: Final = ("fields",)
#: The levels of fields that are searched; a flow may have three, and items of lists between them.
_DEEPEST: Final = 8
#: Settings that hold the path of a field of an item, also inside rules and measures.
_ITEM_PATHS: Final = frozenset({"field", "by"})


def find_rename(before: Node, after: Node) -> tuple[str, str] | None:
    """Returns the old and the new name of the one field that was renamed; None when fields were added, removed or
    moved, when several names differ, or when a name is empty.
    """
    found = [*_renamed_inputs(before, after)]
    for name in _FIELDS:
        found += _renamed_fields(before.config.get(name), after.config.get(name), 0)
    if len(found) != 1 or not all(part.strip() for part in found[0]):
        return None
    return found[0]


def with_inputs(node: Node, inputs: Mapping[str, Any]) -> Op:
    """Returns the edit that gives a node these inputs; a type chosen for one goes along with its new name."""
    renamed = find_rename(node, node.model_copy(update={"inputs": dict(inputs)}))
    config = types_after(node, inputs, dict([renamed] if renamed else []))
    return update_node(node, inputs=inputs, **({} if config == node.config else {"config": config}))


def rename_ops(before: Document, after: Document, catalog: Catalog, old: str, new: str) -> list[Op]:
    """Returns the operations that rename the field in every node that reads it. `after` has the renamed field."""
    was, is_now = _Schemas(before, catalog), _Schemas(after, catalog)

    def renamed(reference: Reference) -> Reference | None:
        if not was.has(reference) or is_now.has(reference):
            return None
        for at, part in enumerate(reference.path):
            path = (*reference.path[:at], new, *reference.path[at + 1 :])
            meant = Reference(reference.node_id, reference.root, path)
            if part == old and is_now.has(meant):
                return meant
        return None

    ops: list[Op] = []
    for node in after.nodes:
        kind = catalog.get(node.type)
        if kind is None:
            continue
        changed: dict[str, Any] = {}
        inputs, config = change_references(node, kind, renamed), node.config
        if node.type == API_OUTPUT and _returns(node, old, renamed) and new not in inputs:
            inputs = {new if name == old else name: value for name, value in inputs.items()}
            config = types_after(node, inputs, {old: new})
        if inputs != node.inputs:
            changed["inputs"] = inputs
        had, has = was.items(node), is_now.items(node)
        if old in had and old not in has and new in has:
            config = _with_paths(config, old, new)
        if config != node.config:
            changed["config"] = config
        if changed:
            ops.append(update_node(node, **changed))
    return [*ops, *_sample_ops(before, after, old, new)] if ops else []


def renamed_for_callers(ops: Sequence[Op], old: str) -> bool:
    """True when these operations of `rename_ops` give the field of the answer the new name, too."""
    inputs = [(op["before"].get("inputs"), op["after"].get("inputs")) for op in ops if op["op"] == "updateNode"]
    return any(was and has and old in was and old not in has for was, has in inputs)


def _returns(node: Node, name: str, renamed: Callable[[Reference], Reference | None]) -> bool:
    """True when this field of API Output is the renamed data as it is."""
    pieces = list(split_text(value)) if isinstance(value := node.inputs.get(name), str) else []
    return len(pieces) == 1 and isinstance(pieces[0], Reference) and renamed(pieces[0]) is not None


def _sample_ops(before: Document, after: Document, old: str, new: str) -> list[Op]:
    """Returns the operation that renames the field in the samples of API Input, when it is one of its own fields."""
    had, has = ({str(one.get("name")) for one in input_fields(document)} for document in (before, after))
    node = api_input(after)
    if node is None or old not in had or old in has or new not in has:
        return []
    saved: Sequence[JsonValue] = node.config.get("samples") or ()
    samples = [
        {**one, "payload": {new if key == old else key: value for key, value in payload.items()}}
        if isinstance(one, Mapping) and isinstance(payload := one.get("payload"), Mapping)
        else one
        for one in saved
    ]
    if samples == list(saved):
        return []
    return [update_node(node, config={**node.config, "samples": samples})]


class _Schemas:
    """The schemas of the outputs in one document, each made once."""

    def __init__(self, document: Document, catalog: Catalog) -> None:
        self.document = document
        self.outputs = OutputSchemas(document, catalog)

    def has(self, reference: Reference) -> bool:
        """True when the reference names data that is there, or may be."""
        node = self.document.node(reference.node_id)
        if node is None or reference.root != "out":
            return node is not None
        return schema_at(self.outputs.out(node), reference.path) is not None

    def items(self, node: Node) -> Mapping[str, Any]:
        """Returns the known fields of the items of the list that the node works on."""
        found = self.document.node(node.id)
        items = found.inputs.get("items") if found is not None else None
        schema: JsonValue = self.outputs.binding(items).get("items") if items is not None else None
        known: JsonValue = schema.get("properties") if isinstance(schema, Mapping) else None
        return known if isinstance(known, Mapping) else {}


def _renamed_inputs(before: Node, after: Node) -> Iterator[tuple[str, str]]:
    old, new = list(before.inputs), list(after.inputs)
    if len(old) == len(new):
        yield from ((one, other) for one, other in zip(old, new, strict=True) if one != other)


def _renamed_fields(before: JsonValue, after: JsonValue, level: int) -> Iterator[tuple[str, str]]:
    """The document's limit bounds the depth; fields deeper than any flow may have are not searched."""
    if not isinstance(before, list | tuple) or not isinstance(after, list | tuple) or level > _DEEPEST:
        return
    if len(before) != len(after):
        return
    for old, new in zip(before, after, strict=True):
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            if old.get("name") != new.get("name"):
                yield str(old.get("name") or ""), str(new.get("name") or "")
            yield from _renamed_inside(old, new, level)


def _renamed_inside(old: Mapping[str, Any], new: Mapping[str, Any], level: int) -> Iterator[tuple[str, str]]:
    for name in _INSIDE:
        yield from _renamed_fields(old.get(name), new.get(name), level + 1)
    if isinstance(old.get("items"), Mapping) and isinstance(new.get("items"), Mapping) and level < _DEEPEST:
        yield from _renamed_inside(old["items"], new["items"], level + 1)


def _with_paths(value: JsonValue, old: str, new: str) -> JsonValue:
    """Returns settings in which paths of an item's field begin with the new name."""
    if isinstance(value, Mapping):
        return {
            key: _renamed_path(item, old, new)
            if key in _ITEM_PATHS and isinstance(item, str)
            else _with_paths(item, old, new)
            for key, item in value.items()
        }
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_with_paths(item, old, new) for item in value]
    return value


def _renamed_path(path: str, old: str, new: str) -> str:
    if path == old or path.startswith((f"{old}.", f"{old}[")):
        return new + path[len(old) :]
    return path
