"""The JSON Schema of a node's output: for the data on offer in forms, and for the check that a reference names a known
field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final

from pydantic import JsonValue

from engine.flow.document import Document, Edge, Node
from engine.flow.graph import Graph
from engine.flow.lists import API_OUTPUT, FLATTEN, SPLITTER, ListScopes
from engine.flow.node_context import JsonSchema
from engine.flow.node_type import Catalog, NodeType
from engine.flow.references import Reference, find_references, split_text
from engine.flow.storable_values import MAX_DEPTH
from engine.flow.value_types import typed_schemas
from engine.flow.ways import FOUND, LOOK_UP

FIRST_VALUE: Final = "first_value"
ANYTHING: Final[JsonSchema] = {}
_TEXT: Final[JsonSchema] = {"type": "string"}
_NUMBER: Final[JsonSchema] = {"type": "number"}
_BOOLEAN: Final[JsonSchema] = {"type": "boolean"}

#: How many nodes that pass data on are followed; the output of what is further away counts as unknown.
_FURTHEST = 12
#: How many characters of JSON the schema of one output, and those of all fields of a result together, may have; what is
#: larger counts as unknown. Steps that each use the whole output of the step before several times multiply it.
_LARGEST = 500_000
#: How many levels such a schema may have: twice those of a document, as each level of a value has two.
_DEEPEST = 2 * MAX_DEPTH
#: How many characters of schemas are compared with one another, to find what all items of a list have.
_MAX_COMPARED = 5_000_000


def out_schema(node: Node, catalog: Catalog, document: Document | None = None) -> JsonSchema:
    """Returns the schema of a node's `out`; `{}` when the output can be anything, or when its settings are invalid.

    With the document, the schemas of nodes that pass data on (a Splitter, a Condition) follow from the nodes
    before them.
    """
    node_type = catalog.get(node.type)
    if document is not None and node_type is not None and node_type.out_from is not None:
        return OutputSchemas(document, catalog).out(node)
    return _own_schema(node, catalog)


def _own_schema(node: Node, catalog: Catalog) -> JsonSchema:
    node_type = catalog.get(node.type)
    if node_type is None:
        return ANYTHING
    try:
        return node_type.out_schema(node.config, node.inputs) or ANYTHING
    except (TypeError, ValueError, KeyError, AttributeError):
        return ANYTHING  # invalid settings, which validation reports


class OutputSchemas:
    """The schemas of the outputs in one document, each made once. It follows nodes that pass data on.

    `with_null`: says null, too, where a reference may name nothing when the flow runs. Parts are shared, so that a schema
    takes little memory however large its text would be; one whose text would be too large is `{}`.
    """

    def __init__(self, document: Document, catalog: Catalog, *, with_null: bool = False) -> None:
        self.document = document
        self.catalog = catalog
        self.with_null = with_null
        self._nodes: dict[str, Node] = {}
        for node in document.nodes:
            self._nodes.setdefault(node.id, node)
        #: By the node and how many nodes were followed to it: what is at the end of a long row is not known from its start.
        self._known: dict[tuple[str, int], JsonSchema] = {}
        self._followed: dict[str, None] = {}
        #: By the identity of a part: the part, the characters of its JSON, and its levels.
        self._sizes: dict[int, tuple[JsonValue | JsonSchema, int, int]] = {}
        self._with_null: dict[int, tuple[JsonSchema, JsonSchema]] = {}
        self._may_compare = _MAX_COMPARED

    def out(self, node: Node) -> JsonSchema:
        """Returns the schema of a node's `out`."""
        key = (node.id, len(self._followed))
        if key not in self._known:
            if len(self._followed) >= _FURTHEST or node.id in self._followed:
                return ANYTHING
            self._followed[node.id] = None
            found = self._through(node)
            del self._followed[node.id]
            size, levels = self._measured(found)
            self._known[key] = found if size <= _LARGEST and levels <= _DEEPEST else self._cut(found)
        return self._known[key]

    def returned(self, values: Mapping[str, JsonValue], reader: Node) -> dict[str, JsonSchema]:
        """Returns the schemas of these bindings of a node; those for which no space is left are `{}`."""
        return self._fitting({name: self.binding(value, reader) for name, value in values.items()}, 2 * _DEEPEST)

    def _fitting(self, schemas: Mapping[str, JsonSchema], deepest: int = _DEEPEST - 2) -> dict[str, JsonSchema]:
        """Returns these schemas, with `{}` in place of those that are too deep, or for which no space is left."""
        found: dict[str, JsonSchema] = {}
        left = _LARGEST
        for name, schema in schemas.items():
            size, levels = self._measured(schema)
            fits = size <= left and levels <= deepest
            found[name] = schema if fits else ANYTHING
            left -= size if fits else 0
        return found

    def _cut(self, schema: JsonSchema) -> JsonSchema:
        """Returns a schema that is too large with all of its fields, of which some can be anything."""
        return {**schema, "properties": self._fitting(schema["properties"])} if "properties" in schema else ANYTHING

    def _measured(self, part: JsonValue | JsonSchema) -> tuple[int, int]:
        """Returns how many characters a part of a schema has, and how many levels."""
        if isinstance(part, str):
            return len(part) + 3, 0
        if not isinstance(part, Mapping | list | tuple):
            return 6, 0
        if id(part) not in self._sizes:
            size, levels = 2, 0
            if isinstance(part, Mapping):
                size += sum(len(name) + 4 for name in part)
            for inside in part.values() if isinstance(part, Mapping) else part:
                more, below = self._measured(inside)
                size += more
                levels = max(levels, below)
            self._sizes[id(part)] = (part, size, levels + 1)
        return self._sizes[id(part)][1:]

    def _either(self, schemas: Sequence[JsonSchema]) -> JsonSchema:
        """Returns the same as `schema_of_either`, or `{}` when too much would be compared."""
        different = {id(schema): schema for schema in schemas}
        if len(different) > 1:
            self._may_compare -= sum(self._measured(schema)[0] for schema in different.values())
            if self._may_compare < 0:
                return ANYTHING
        return schema_of_either(schemas)

    def _or_null(self, schema: JsonSchema) -> JsonSchema:
        if id(schema) not in self._with_null:
            self._with_null[id(schema)] = (schema, or_null(schema))
        return self._with_null[id(schema)][1]

    def out_or_null(self, node: Node) -> JsonSchema:
        """Returns the schema of a node's `out` for the end of the flow, which comes also when the node was skipped."""
        return self._or_null(self.out(node)) if self.with_null and self._ways.only_on[node.id] else self.out(node)

    def _through(self, node: Node) -> JsonSchema:
        found = self._of_success(node)
        if self.with_null and node.policy.on_error == "use_default":
            default: JsonValue = node.policy.default
            instead = default if isinstance(default, list) else []  # of a Splitter: the items
            for one in instead if node.type == SPLITTER else [default]:
                found = self._or_null(found) if one is None else self._either([found, self.binding(one)])
        return found

    def _of_success(self, node: Node) -> JsonSchema:
        kind = self.catalog.get(node.type)
        if kind is None or kind.out_from is None:
            return _own_schema(node, self.catalog)
        try:
            found = kind.out_from(node.config, node.inputs, self._given(node, kind)) or ANYTHING
        except (TypeError, ValueError, KeyError, AttributeError):
            return ANYTHING
        lacks = self.with_null and node.type == FIRST_VALUE and self._may_have_no_value(node)
        return self._or_null(found) if lacks else found

    def _may_have_no_value(self, node: Node) -> bool:
        """Tells whether a First Value may run though none of its values is there: for some step before it, each value needs
        another one that may be skipped.
        """
        values: JsonValue = node.inputs.get("values")
        if values is None:
            return False  # it takes what the steps before it give, of which one ran
        needed = [self._needed_by(one) for one in values] if isinstance(values, list) else []
        return not all(any(ways <= before for ways in needed) for before in self._ways.before[node.id])

    def _needed_by(self, binding: JsonValue) -> frozenset[tuple[str, str]]:
        """Returns the ways on which alone no data of a binding is skipped."""
        names = [one.node_id for _, one in find_references(binding) if isinstance(one, Reference)]
        return frozenset[tuple[str, str]]().union(*(self._ways.only_on.get(name, ()) for name in names))

    def _given(self, node: Node, kind: NodeType) -> dict[str, JsonSchema]:
        """Returns the schemas of the values bound to the inputs, and of what an unbound input takes from the node
        before.
        """
        given = {
            name: self.binding(binding, None if name in kind.without_skipped else node)
            for name, binding in node.inputs.items()
        }
        name = kind.source_input
        if name is not None and node.inputs.get(name) is None:
            sources = [self._nodes.get(edge.source) for edge in self.document.edges if edge.target == node.id]
            if either := self._either([self.out(source) for source in sources if source is not None]):
                given[name] = {"type": "array", "items": either} if kind.all_sources else either
        if (
            node.type == FLATTEN
            and "array" in _kinds(given.get("value", ANYTHING))
            and not self._scopes.closes(node.id)
        ):
            given["value"] = _taken_apart(given["value"], node)
        return given

    @cached_property
    def _scopes(self) -> ListScopes:
        return ListScopes(self.document, Graph(self.document))

    @cached_property
    def _ways(self) -> _Ways:
        return _Ways(self.document, self.catalog, self._scopes)

    def binding(self, binding: JsonValue, reader: Node | None = None) -> JsonSchema:
        """Returns the schema of a binding's value. `reader`: whose input it is; without, no node counts as skipped."""
        for _, reference in find_references(binding):  # before the levels of the binding lie on the stack
            if isinstance(reference, Reference) and (node := self._nodes.get(reference.node_id)) is not None:
                self.out(node)
        return self._bound(binding, reader)

    def _bound(self, binding: JsonValue, reader: Node | None) -> JsonSchema:
        if isinstance(binding, str):
            pieces = list(split_text(binding))
            if len(pieces) != 1 or not isinstance(reference := pieces[0], Reference):
                return _TEXT
            return self._referenced(reference, reader)
        if isinstance(binding, dict):
            properties = {key: self._bound(value, reader) for key, value in binding.items()}
            return {"type": "object", "properties": properties, "required": list(properties)}
        if isinstance(binding, list):
            item = self._either([self._bound(value, reader) for value in binding])
            return {"type": "array", "items": item} if item else {"type": "array"}
        if isinstance(binding, bool):
            return _BOOLEAN
        if isinstance(binding, int | float):
            return _NUMBER
        return ANYTHING

    def _referenced(self, reference: Reference, reader: Node | None) -> JsonSchema:
        if reference.root in {"index", "total"}:
            return {"type": "integer"}
        node = self._nodes.get(reference.node_id)
        if node is None:
            return _TEXT
        out = self.out(node)
        found = schema_at(out, reference.path) or ANYTHING
        skips = self.with_null and reader is not None and self._ways.may_skip(node, reader)
        return self._or_null(found) if skips or (self.with_null and _may_be_missing(out, reference.path)) else found


class _Ways:
    """`only_on`: for each node the ways on which alone it gives data; `before`: for each of its edges those on which alone
    it carries data. A way is a port of a node that has several, or that a node which may be skipped when it fails did not
    fail. `read_on`: on which it reads; API Output runs whatever was decided.
    """

    def __init__(self, document: Document, catalog: Catalog, scopes: ListScopes) -> None:
        graph = Graph(document)
        nodes = {node.id: node for node in document.nodes}
        self.only_on: dict[str, frozenset[tuple[str, str]]] = dict.fromkeys(graph.ids, frozenset())
        self.read_on = {**self.only_on}
        depths = {one: min(len(scopes.around[one]), len(scopes.gives[one])) for one in graph.ids}
        incoming: dict[str, list[frozenset[tuple[str, str]]]] = {node_id: [] for node_id in graph.ids}
        self.before = incoming
        leaving: dict[str, list[Edge]] = {node_id: [] for node_id in graph.ids}
        for edge in graph.edges:
            leaving[edge.source].append(edge)
        for node_id in graph.order:
            node = nodes[node_id]
            if incoming[node_id] and node.type != API_OUTPUT:
                ways = incoming[node_id][0].intersection(*incoming[node_id])
                self.read_on[node_id] = ways
                depth = len(
                    scopes.gives[node_id]
                )  # a Flatten gives data whatever was decided for the items of its list
                self.only_on[node_id] = frozenset(way for way in ways if depths[way[0]] <= depth)
            if node.policy.on_error == "skip":
                self.only_on[node_id] |= {(node_id, "")}
            kind = catalog.get(node.type)
            for edge in leaving[node_id]:
                own = {(node_id, edge.source_port)} if kind and len(kind.ports) > 1 else frozenset[tuple[str, str]]()
                incoming[edge.target].append(self.only_on[node_id] | own)
            if node.type == LOOK_UP:  # it has run on its other way, too, but has no data there
                self.only_on[node_id] |= {(node_id, FOUND)}

    def may_skip(self, node: Node, reader: Node) -> bool:
        """Tells whether a node may have been skipped when the reader runs."""
        return not self.only_on[node.id] <= self.read_on[reader.id]


def or_null(schema: JsonSchema) -> JsonSchema:
    """Returns the schema of a value that may also be null."""
    if "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]} if "anyOf" in schema or "enum" in schema else schema
    kinds = _kinds(schema)
    if "null" in kinds:
        return schema
    found: JsonSchema = {**schema, "type": [*kinds, "null"]}
    return {**found, "enum": [*schema["enum"], None]} if "enum" in schema else found


def _may_be_missing(schema: JsonSchema, path: Sequence[str | int]) -> bool:
    """Tells whether a value of this schema may lack the part that a path names: something on the way may be null, a list
    may be too short, a group need not have the field.
    """
    for position, part in enumerate(path):
        known = schema_at(schema, path[:position]) or ANYTHING
        if isinstance(part, int) or "null" in _kinds(known):
            return True
        if "required" in known and part not in known["required"]:
            return True
    return False


def schema_of_either(schemas: Sequence[JsonSchema]) -> JsonSchema:
    """Returns what is true of a value that has one of these schemas; `{}` when that is nothing, or none is given.

    Of groups it knows the fields of all of them: where they differ, or one lacks a field, the field can be anything.
    """
    if not schemas or schemas.count(schemas[0]) == len(schemas):
        return schemas[0] if schemas else ANYTHING
    kinds = {kind for schema in schemas for kind in _kinds(schema)}
    if len(kinds - {"null"}) != 1 or not all(map(_kinds, schemas)):
        return ANYTHING
    (kind,) = kinds - {"null"}
    known: JsonSchema = {"type": [kind, "null"] if "null" in kinds else kind}
    if kind == "array":
        item = schema_of_either([schema.get("items") or ANYTHING for schema in schemas])
        return {**known, "items": item} if item else known
    closed = all(schema.get("additionalProperties", False) is False for schema in schemas)
    fields: list[Mapping[str, JsonSchema]] = [schema["properties"] for schema in schemas if "properties" in schema]
    if kind != "object" or not closed or len(fields) != len(schemas):
        return known
    names = dict.fromkeys(name for one in fields for name in one)
    properties = {name: schema_of_either([one.get(name, ANYTHING) for one in fields]) for name in names}
    required = [name for name in names if all(name in schema.get("required", ()) for schema in schemas)]
    return {**known, "properties": properties, "required": required}


def _kinds(schema: JsonSchema) -> Sequence[str]:
    """The types that a value may have; none when nothing is known of it."""
    types: str | Sequence[str] = schema.get("type", ())
    return [types] if isinstance(types, str) else types


def _taken_apart(schema: JsonSchema, node: Node) -> JsonSchema:
    """Returns the schema of the items that “Collect into a list” takes out of the lists of a list, outside a list."""
    if node.inputs.get("value") is None:
        return ANYTHING  # what it takes depends on the number of nodes before it
    item: JsonSchema = schema.get("items") or ANYTHING
    for _ in range(int(node.config.get("depth") or 1)):
        kinds = _kinds(item)
        if "array" not in kinds:
            break
        inside: JsonSchema = item.get("items") or ANYTHING
        kind: JsonValue = inside.get("type")
        may_stay = len(kinds) > 1 and isinstance(kind, str)  # what is no list stays as it is
        item = {**inside, "type": [kind, "null"]} if may_stay else inside
    return item


def schema_at(schema: JsonSchema, path: Sequence[str | int]) -> JsonSchema | None:
    """Returns the schema of the part that a path names; `{}` when it is unknown, None when the schema has no
    such part.
    """
    for part in path:
        if not schema:
            return ANYTHING
        kinds = _kinds(schema)
        if isinstance(part, str):
            if "object" not in kinds:
                return None if kinds else ANYTHING
            properties: Mapping[str, JsonSchema] | None = schema.get("properties")
            if properties is None or schema.get("additionalProperties") is True:
                schema = (properties or {}).get(part, ANYTHING)
            elif part not in properties:
                return None
            else:
                schema = properties[part]
        elif "array" not in kinds:
            return None if kinds else ANYTHING
        else:
            schema = schema.get("items") or ANYTHING
    return schema


def binding_schema(binding: JsonValue, document: Document, catalog: Catalog) -> JsonSchema:
    """Returns the schema of a binding's value: that of a lone reference, text for mixed text, or the literal's own
    type.
    """
    return OutputSchemas(document, catalog).binding(binding)


def returned_schemas(reader: Node, document: Document, catalog: Catalog) -> dict[str, JsonSchema]:
    """Returns the schema of what each input of API Output gives, with null where the value may be missing: of a skipped
    node, of a list that is too short, of a group that was not sent. Its objects are open: callers have to take fields that
    a later version adds.
    """
    found = OutputSchemas(document, catalog, with_null=True).returned(reader.inputs, reader)
    return {name: _opened(schema) for name, schema in typed_schemas(reader.config, found).items()}


def returned_schema(final: Node, document: Document, catalog: Catalog) -> JsonSchema:
    """Returns the same of the `out` of a final node, for a flow without API Output."""
    return _opened(OutputSchemas(document, catalog, with_null=True).out_or_null(final))


def _opened(schema: JsonSchema) -> JsonSchema:
    """Returns the schema in which no object is closed, on no level."""
    found = {name: part for name, part in schema.items() if (name, part) != ("additionalProperties", False)}
    if "properties" in found:
        found["properties"] = {name: _opened(part) for name, part in found["properties"].items()}
    for name in ("items", "additionalProperties"):
        if isinstance(found.get(name), dict):
            found[name] = _opened(found[name])
    for name in ("anyOf", "oneOf", "allOf"):
        if name in found:
            found[name] = [_opened(part) for part in found[name]]
    return found
