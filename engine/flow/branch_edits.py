"""The edits that lead the branches of a Condition, or of another step of `WAYS`, to API Output and bring both sides together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Final

from jsonpointer import JsonPointer
from pydantic import JsonValue

from engine.flow.after_answer import APPROVAL
from engine.flow.branches import Branches, Side, branches_of, fields_read, lacking_fields
from engine.flow.document import Document, Edge, Node
from engine.flow.edits import Op, add_node, apply_ops, named_ops, new_edge, put_before, update_node
from engine.flow.node_context import JsonSchema
from engine.flow.node_type import Catalog
from engine.flow.output_schemas import FIRST_VALUE, out_schema, schema_at
from engine.flow.reference_edits import change_references, references_of
from engine.flow.references import SYSTEM, Reference, find_references, only_reference
from engine.flow.ways import FOUND, LOOK_UP, WAYS, other_side, port_words

ANSWER = "text_template"
SET_FIELDS = "set_fields"
#: What a First Value is called that brings both sides together.
_JOINED: Final = "Whichever ran"

#: Names of fields that hold the text of an answer, the likeliest first.
ANSWER_NAMES: Final = "answer reply response text message body content result output summary"


def answer_ops(document: Document, catalog: Catalog, condition: str, port: str) -> list[Op]:
    """Returns the operations that add a text for an open branch, and return it when the flow went that way."""
    direct = branches_of(document).into_output((condition, port))
    between = direct.id if direct and direct.source == condition else None
    node_id, ops = add_node(document, catalog[ANSWER], catalog, after=condition, port=port, between=between)
    ops = named_ops(ops, _answer_name(document, condition, port))
    after = apply_ops(document, ops)
    return [*ops, *join_ops(after, catalog, condition, other_side(port), last=node_id)]


def _answer_name(document: Document, condition: str, port: str) -> str:
    """`Answer for no`; `Answer for no of Condition 2` where another step has that name."""
    name = f"Answer for {port_words(port)}"
    of = next(node.name for node in document.nodes if node.id == condition)
    return f"{name} of {of}" if any(node.name == name for node in document.nodes) else name


def answer_field(document: Document, answer: str) -> tuple[Node, str, list[str]] | None:
    """Returns the First Value in which a step gives one field of a group, the name of this field, and those of the others;
    None where it gives all that callers get.
    """
    whole = str(Reference(answer, "out"))
    for node in document.nodes:
        values: JsonValue = node.inputs.get("values") if node.type == FIRST_VALUE else None
        for value in values if isinstance(values, list | tuple) else ():
            own = [name for name, one in value.items() if one == whole] if isinstance(value, Mapping) else []
            if isinstance(value, Mapping) and len(own) == 1 < len(value):
                return node, own[0], [name for name in value if name != own[0]]
    return None


def join_ops(document: Document, catalog: Catalog, condition: str, port: str, *, last: str | None = None) -> list[Op]:
    """Returns the operations after which callers get the value of whichever side ran.

    `port` is the side that is read now; `last` is the node whose value counts on the other side. Empty where a node
    of an unknown type is read: what it gives is not known.
    """
    branches = branches_of(document)
    side, other = (condition, port), (condition, other_side(port))
    partner = branches.nodes.get(last) if last else branches.last_on(other, catalog)
    read = {one.node_id for one in branches.read_by_output(catalog)}
    unknown = [node for node in document.nodes if node.id in read and node.type not in catalog]
    if partner is None or any(side in branches.only_on[node.id] for node in unknown):
        return _shown_output(document, catalog, branches, side)
    if moved := _moved_texts(document, catalog, branches, side, partner):
        return [*moved, *join_ops(apply_ops(document, moved), catalog, condition, port, last=partner.id)]
    if (joiner := _joiner(branches, side, catalog)) is not None:
        return _into(document, catalog, branches, joiner, partner)
    if branches.output is None:
        return _joined_ends(document, catalog, branches, side, partner)
    led = {edge.target for edge in document.edges if edge.source == partner.id}
    for name in sorted(read & led):  # it leads into a First Value that cannot give callers anything of it
        if branches.nodes[name].type == FIRST_VALUE and lacking_fields(
            branches, branches.nodes[name], [partner], catalog
        ):
            return _into(document, catalog, branches, branches.nodes[name], partner)
    if any(side in branches.only_on.get(one, ()) for one in read):
        return _joined_output(document, catalog, branches, side, partner)
    if (joiner := _open_joiner(branches, side, read)) is not None:
        return _into(document, catalog, branches, joiner, partner)
    moved = _moved_answer(document, catalog, branches, side)
    after = apply_ops(document, moved)
    return [*moved, *_joined_output(after, catalog, branches_of(after), side, partner)] if moved else []


def shown_before(branches: Branches, side: Side, catalog: Catalog) -> dict[Reference, JsonValue]:
    """Returns the values of an Approval that API Output reads, each with the data from before the Condition that the
    Approval shows a person: what callers can get when the other side leads to API Output without a step.

    Empty when API Output reads anything else of this side. The answer of the person is there only where one was asked.
    """
    read = [one for one in branches.read_by_output(catalog) if side in branches.only_on.get(one.node_id, ())]
    shown: dict[Reference, JsonValue] = {}
    for one in read:
        node = branches.nodes[one.node_id]
        if node.type != APPROVAL or not one.path:
            return {}
        if one.path[0] != "values":
            continue
        values: JsonValue = node.inputs.get("values")
        name = one.path[1] if len(one.path) == 2 else None
        if not isinstance(values, Mapping) or name not in values or not _is_before(branches, side[0], values[name]):
            return {}
        shown[one] = values[name]
    both = all(branches.into_output((side[0], port)) is not None for port in WAYS[branches.nodes[side[0]].type])
    return shown if both and len({one.path for one in shown}) == len(shown) else {}


def _is_before(branches: Branches, condition: str, binding: JsonValue) -> bool:
    """True when a Condition has all data of a binding before it, so that both of its sides have it. The row that a step
    looks up is there on one side only.
    """
    own = {condition} if branches.nodes[condition].type != LOOK_UP else set[str]()
    before = {SYSTEM, *own, *branches.graph.ancestors(condition)}
    return all(isinstance(one, Reference) and one.node_id in before for _at, one in find_references(binding))


def _shown_output(document: Document, catalog: Catalog, branches: Branches, side: Side) -> list[Op]:
    """Puts a First Value before API Output that takes the values of an Approval, or else what the Approval shows."""
    output, edge, shown = branches.output, branches.into_output(side), shown_before(branches, side, catalog)
    if output is None or edge is None or not shown:
        return []
    others = [led for led in document.edges if led.target == output.id and led.id != edge.id]
    node_id, ops = put_before(document, catalog[FIRST_VALUE], catalog, [edge, *others])
    if len(shown) == 1:
        instead = {one: Reference(node_id, "out") for one in shown}
        values: list[JsonValue] = [*map(str, shown), *shown.values()]
    else:
        instead = {one: Reference(node_id, "out", one.path[-1:]) for one in shown}
        values = [
            {str(one.path[-1]): str(one) for one in shown},
            {str(one.path[-1]): value for one, value in shown.items()},
        ]
    inputs = change_references(output, catalog[output.type], instead.get)
    return [*named_ops(ops, _JOINED, {"values": values}), update_node(output, inputs=inputs)]


def lead_to_output_ops(document: Document, catalog: Catalog, after: str, port: str | None) -> list[Op]:
    """Returns the operations that lead a node, or a port of a Condition, to the API Output that the flow has.

    Where API Output gives the answer of the other way of a Condition, both ways are joined. Empty when the node leads
    to API Output already, or comes after it.
    """
    branches = branches_of(document)
    output, node = branches.output, branches.nodes.get(after)
    if output is None or node is None or branches.graph.cycles:
        return []
    if node.type in WAYS and branches.open_ports(after):
        open_ports = branches.open_ports(after)
        port = port if port in open_ports else open_ports[0]
        if not branches.scopes.around[after] and len(open_ports) == 1:
            return answer_ops(document, catalog, after, port)
    ports = catalog[node.type].ports if node.type in catalog else ()
    for condition, own in sorted(branches.only_on[after]) if "out" in ports else ():
        other = (condition, other_side(own))
        reads = any(found == (branches.nodes[condition], other[1]) for found in branches.read_on_one_side(catalog))
        if reads or (other in branches.reached_on and not branches.reads_behind(condition, catalog)):
            return join_ops(document, catalog, *other, last=after)
    taken = {(edge.source, edge.target) for edge in document.edges}
    if after == output.id or (after, output.id) in taken or branches.graph.is_ancestor(output.id, after):
        return []
    chosen = port if port in ports else next(iter(ports), None)
    return [{"op": "addEdge", "edge": new_edge(after, output.id, chosen)}] if chosen else []


def _open_joiner(branches: Branches, side: Side, read: Collection[str]) -> Node | None:
    """Returns a First Value that API Output reads, and into which this side leads beside others."""
    for edge in branches.graph.edges:
        node = branches.nodes[edge.target]
        from_side = side in branches.only_on[edge.source] or (edge.source, edge.source_port) == side
        if from_side and node.type == FIRST_VALUE and node.id in read:
            return node
    return None


def _joined_ends(document: Document, catalog: Catalog, branches: Branches, side: Side, partner: Node) -> list[Op]:
    """Joins the last steps of both sides, in a flow without API Output."""
    final = branches.last_on(side, catalog)
    if final is None or branches.graph.children[final.id]:
        return []
    wholes = [str(Reference(one.id, "out")) for one in (final, partner)]
    return _first_value(document, catalog, final, partner, wholes)[1]


def _moved_answer(document: Document, catalog: Catalog, branches: Branches, side: Side) -> list[Op]:
    """Moves what API Output answers whatever is decided into a node, which API Output then reads: into one of this side,
    or where the answer reads steps beside it, into one that runs on both.
    """
    output, edge = branches.output, branches.into_output(side)
    if output is None or edge is None:
        return []
    answers, led = dict(output.inputs) or {"answer": ""}, [one for one in document.edges if one.target == output.id]
    return _moved(document, catalog, branches, side, answers, [edge]) or _moved(
        document, catalog, branches, side, answers, led
    )


def _moved_texts(document: Document, catalog: Catalog, branches: Branches, side: Side, partner: Node) -> list[Op]:
    """Moves what API Output answers with data of this side into a node of the side, when a text has such data among other
    words, and the partner does not give the same: the words around it are for this side only.
    """
    output, condition = branches.output, branches.nodes[side[0]]
    if output is None:
        return []
    row = side[0] if condition.type == LOOK_UP and side[1] == FOUND else None
    found = [
        (JsonPointer(pointer), one)
        for pointer, one in references_of(output, catalog[output.type])
        if one.node_id == row or side in branches.only_on.get(one.node_id, ())
    ]
    given, whole = out_schema(partner, catalog, document), output.model_dump()
    if not any(
        only_reference(at.resolve(whole)) is None
        and (one.node_id == row or not one.path or schema_at(given, one.path) is None)
        for at, one in found
    ):
        return []
    read = {one.node_id for _at, one in found} - {row}
    last = [one for one in branches.graph.order if one in read and read.isdisjoint(branches.graph.descendants(one))]
    ways = [(one, port) for one in last for port in catalog[branches.nodes[one].type].ports]
    if any(inner in branches.graph.descendants(side[0]) for one in last for inner, _port in branches.only_on[one]):
        ways.append(side)  # the text is given also where only a part of its data is there
    entering = {(edge.source, edge.source_port): edge for edge in document.edges if edge.target == output.id}
    led = [entering.get(way) or Edge.model_validate(new_edge(way[0], output.id, way[1])) for way in ways]
    answers = {str(at.parts[1]): output.inputs[str(at.parts[1])] for at, _one in found}
    return _moved(document, catalog, branches, side, answers, led)


def _moved(
    document: Document,
    catalog: Catalog,
    branches: Branches,
    side: Side,
    answers: Mapping[str, JsonValue],
    led: Sequence[Edge],
) -> list[Op]:
    """Moves fields of API Output into a node in the middle of connections into it; adds those that are not there yet.

    Empty when a field reads a step that none of them comes after.
    """
    output, found = branches.output, find_references([*answers.values()])
    led = [edge for edge in led if branches.nodes[edge.source].type in catalog]
    before = {SYSTEM, *(one for edge in led for one in (edge.source, *branches.graph.ancestors(edge.source)))}
    if output is None or not led or not all(isinstance(one, Reference) and one.node_id in before for _at, one in found):
        return []
    (_name, text), *more = answers.items()
    as_text = not more and isinstance(text, str) and "{%" not in text and only_reference(text) is None
    new: list[Op] = [{"op": "addEdge", "edge": edge.model_dump()} for edge in led if edge not in document.edges]
    kind = catalog[ANSWER if as_text else SET_FIELDS]
    node_id, ops = put_before(apply_ops(document, new), kind, catalog, led)
    inputs = ({"template": text} if text else {}) if as_text else answers
    reads = {one: str(Reference(node_id, "out", () if as_text else (one,))) for one in answers}
    named = named_ops(ops, _answer_name(document, *side), inputs)
    return [*new, *named, update_node(output, inputs={**output.inputs, **reads})]


def _joiner(branches: Branches, side: Side, catalog: Catalog) -> Node | None:
    """Returns a First Value of this side whose value callers get, so that the other side only has to join it."""
    output, read = branches.output, {one.node_id for one in branches.read_by_output(catalog)}
    for node_id in branches.graph.order:
        node = branches.nodes[node_id]
        ends = node_id in read if output else not branches.graph.children[node_id]
        if node.type == FIRST_VALUE and side in branches.only_on[node_id] and ends:
            return node
    return None


def _into(document: Document, catalog: Catalog, branches: Branches, joiner: Node, partner: Node) -> list[Op]:
    """Leads a node into a First Value. Where callers get fields of it that the node does not give, its value becomes the
    field that is meant for it.
    """
    sources = list(dict.fromkeys(edge.source for edge in document.edges if edge.target == joiner.id))
    ops: list[Op] = []
    if partner.id not in sources:
        ops.append({"op": "addEdge", "edge": new_edge(partner.id, joiner.id, "out")})
    whole = str(Reference(partner.id, "out"))
    values: JsonValue = joiner.inputs.get("values")
    lacks = bool(lacking_fields(branches, joiner, [partner], catalog))
    if isinstance(values, list) and values:
        before = [one for one in values if one != whole]
    elif lacks:
        before = [str(Reference(source, "out")) for source in sources if source != partner.id]
    else:
        return ops
    value: JsonValue = whole
    if lacks:
        others = [edge for edge in document.edges if (edge.source, edge.target) != (partner.id, joiner.id)]
        known = out_schema(joiner, catalog, document.model_copy(update={"edges": others}))
        names = fields_read(branches, joiner, catalog)
        given = out_schema(partner, catalog, document)
        field = _field_for(names, known, given, [branches.nodes[one] for one in sources if one != partner.id])
        value = {name: "" if _kind_at(known, name) == "string" else None for name in names}
        value[field] = str(Reference(partner.id, "out", _like((field,), given)))
    ops.append(update_node(joiner, inputs={**joiner.inputs, "values": [*before, value]}))
    return ops


def _field_for(names: Sequence[str], known: JsonSchema, given: JsonSchema, others: Sequence[Node]) -> str:
    """The field that a value of the other side is meant for: of its kind, named like an answer, and not a fixed word
    wherever it comes from; the last of those that are alike.
    """
    kind: JsonValue = given.get("type")
    likely = [*reversed(ANSWER_NAMES.split())]

    def fits(name: str) -> tuple[bool, int, bool, int]:
        varies = any("{{" in str(one.inputs.get(name, "")) for one in others)
        return (
            _kind_at(known, name) in (kind, None),
            likely.index(name) if name in likely else -1,
            varies,
            names.index(name),
        )

    return max(names, key=fits)


def _kind_at(schema: JsonSchema, name: str) -> JsonValue:
    """The type of a field; None when it is not known."""
    found = schema_at(schema, (name,))
    return found.get("type") if found else None


def _joined_output(document: Document, catalog: Catalog, branches: Branches, side: Side, partner: Node) -> list[Op]:
    """Puts a First Value before API Output for each node of the side that it reads. Where the two sides do not have the
    same fields, it takes groups of the fields that API Output reads. A node that runs on both sides comes after the partner.
    """
    output = branches.output
    assert output is not None
    kind = catalog[output.type]
    of_side = [one for one in branches.read_by_output(catalog) if side in branches.only_on.get(one.node_id, ())]
    read = of_side or branches.read_by_output(catalog)
    given = out_schema(partner, catalog, document)
    ops: list[Op] = []
    instead: dict[Reference, Reference] = {}
    for node_id in dict.fromkeys(one.node_id for one in read):
        paths = list(dict.fromkeys(one.path for one in read if one.node_id == node_id))
        one, whole = branches.nodes[node_id], str(Reference(node_id, "out"))
        joins: list[tuple[list[JsonValue], dict[tuple[str | int, ...], tuple[str | int, ...]]]]
        if all(path and schema_at(given, path) is not None for path in paths):
            joins = [([whole, str(Reference(partner.id, "out"))], {path: path for path in paths})]
        elif (
            len(paths) > 1
            and all(path and isinstance(path[-1], str) for path in paths)
            and len({path[-1] for path in paths}) == len(paths)
        ):
            fields: JsonValue = {str(path[-1]): str(Reference(node_id, "out", path)) for path in paths}
            others = _other_fields(document, catalog, branches, side, one, partner, paths)
            mine = whole if all(len(path) == 1 for path in paths) else fields
            joins = [([mine, others], {path: path[-1:] for path in paths})]
        else:
            likest = {path: str(Reference(partner.id, "out", _like(path, given))) for path in paths}
            joins = [([str(Reference(node_id, "out", path)), like], {path: ()}) for path, like in likest.items()]
        for values, moved in joins:
            in_order = values if of_side else values[::-1]
            made, more = _first_value(apply_ops(document, ops), catalog, one, partner, in_order, output)
            ops += more
            instead |= {Reference(node_id, "out", old): Reference(made, "out", new) for old, new in moved.items()}
    ops.append(update_node(output, inputs=change_references(output, kind, instead.get)))
    return ops


def _other_fields(
    document: Document,
    catalog: Catalog,
    branches: Branches,
    side: Side,
    node: Node,
    partner: Node,
    paths: Sequence[tuple[str | int, ...]],
) -> dict[str, JsonValue]:
    """Returns the group of fields of the other side: its fields that are most like those at `paths` of a node. A value
    without fields becomes the field that is meant for it; of the others, those that were known before stay.
    """
    given, schema = out_schema(partner, catalog, document), out_schema(node, catalog, document)
    if given.get("properties"):
        return {str(path[-1]): str(Reference(partner.id, "out", _like(path, given))) for path in paths}
    kinds: dict[str, JsonValue] = {str(path[-1]): schema_at(schema, path) or {} for path in paths}
    known: JsonSchema = {"type": "object", "properties": kinds}
    value: dict[str, JsonValue] = {name: "" if _kind_at(known, name) == "string" else None for name in kinds}
    if node.type == SET_FIELDS:
        bound = {path[0]: node.inputs.get(str(path[0])) for path in paths if len(path) == 1}
        value |= {
            str(name): binding
            for name, binding in bound.items()
            if "{{" in str(binding) and _is_before(branches, side[0], binding)
        }
    value[_field_for([*kinds], known, given, [node])] = str(Reference(partner.id, "out"))
    return value


def _like(path: Sequence[str | int], given: JsonSchema) -> tuple[str | int, ...]:
    """Returns the data of the other side that is most like the field at `path`: the value itself when it has no
    fields.
    """
    known: JsonValue = given.get("properties")
    if not isinstance(known, dict) or not known:
        return ()
    wanted = str(path[-1]) if path else ""
    return (max(known, key=lambda name: SequenceMatcher(None, wanted, name).ratio()),)


def _first_value(
    document: Document,
    catalog: Catalog,
    one: Node,
    other: Node,
    values: Sequence[JsonValue],
    before: Node | None = None,
) -> tuple[str, list[Op]]:
    """Returns the id and the operations of a First Value after two nodes, and before a third one."""
    edges = {(edge.source, edge.target): edge for edge in document.edges}
    between = edges.get((one.id, before.id)) if before else None
    node_id, ops = add_node(
        document,
        catalog[FIRST_VALUE],
        catalog,
        after=one.id,
        between=between.id if between else None,
    )
    ops = named_ops(ops, _JOINED, {"values": values})
    ops.append({"op": "addEdge", "edge": new_edge(other.id, node_id, "out")})
    if before is not None:
        if between is None:
            ops.append({"op": "addEdge", "edge": new_edge(node_id, before.id, "out")})
        direct = edges.get((other.id, before.id))
        ops += [{"op": "removeEdge", "edge": direct.model_dump()}] if direct else []
    return node_id, ops
