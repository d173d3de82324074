"""Warnings: what a flow may contain but hardly means, each with the edit that mends it where one can.

A warning stops no deployment. `flow_warnings` finds them; `mending_ops` returns the operations behind the button of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pydantic import JsonValue

from engine.core.errors import Problem
from engine.flow.accept_field import make_optional_ops
from engine.flow.after_answer import APPROVAL, APPROVED
from engine.flow.branch_edits import answer_ops, join_ops, shown_before
from engine.flow.branches import Branches
from engine.flow.collecting import SINK, given_by
from engine.flow.contract import api_input, input_fields
from engine.flow.corrections import lost_corrections, take_corrected_ops
from engine.flow.document import Document, Node
from engine.flow.edits import Op, update_node
from engine.flow.empty_values import EmptyValues
from engine.flow.graph import Graph
from engine.flow.lists import FLATTEN, SPLITTER, ListScopes
from engine.flow.made_up_values import example_check, value_fits_as_known
from engine.flow.node_type import Catalog, NodeType
from engine.flow.output_schemas import FIRST_VALUE, OutputSchemas
from engine.flow.reference_edits import change_references, references_of
from engine.flow.reference_labels import data_names, in_words
from engine.flow.references import Reference, only_reference
from engine.flow.rules import ALONE, ORDERING, reads_as_number
from engine.flow.template_loops import lost_in_loop
from engine.flow.validation import without_parked
from engine.flow.ways import CONDITION, WAYS, other_side, port_words

#: The code of the warning that a rule is empty.
EMPTY_RULE = "empty_rule"
#: Comparisons that mean something with an empty text at their right.
_WITH_EMPTY = ALONE | {"equals", "not_equals"}

#: Comparisons of a Condition that ask whether something is empty.
_ASKS_EMPTY = "is_empty", "is_not_empty"

#: Nodes that give the list under Items in another order or with fewer items, and what their list is called.
_CHANGES_LIST = {"sort_limit": "sorted", "filter_list": "filtered"}


@dataclass(frozen=True)
class FlowWarning:
    """One warning. `verb` is the label of its button; without `mend` the button leads to the field.

    `accept`: the button of who means it as it is; its problem has a code of its own, and is never told.
    """

    problem: Problem
    verb: str
    mend: Callable[[], list[Op]] | None = field(default=None, compare=False)
    accept: FlowWarning | None = None


def flow_warnings(document: Document, catalog: Catalog) -> list[FlowWarning]:
    """Returns all warnings of the nodes that a version contains; none while the flow has a cycle."""
    used = without_parked(document)
    graph = Graph(used)
    if graph.cycles or len(graph.ids) != len(used.nodes):
        return []  # reported as problems, and there is no order to look at
    scopes = ListScopes(used, graph)
    branches = Branches(used, graph, scopes)
    return [
        *_lost_corrections(document, used, graph, scopes, catalog),
        *_nothing_approved(branches),
        *_open_branches(document, branches, catalog),
        *_one_sided_output(document, branches, catalog),
        *_same_answer(document, branches, catalog),
        *_empty_output(document, branches, catalog),
        *_empty_rules(used),
        *_text_compared(used, catalog),
        *_never_empty(document, used),
        *_unread_fields(document, used, graph, catalog),
        *_whole_lists(used, scopes, catalog),
        *_grouped_by_whole_items(used, catalog),
        *_collected_saves(used, graph, scopes, catalog),
        *_nothing_collected(used, scopes),
        *_lists_passed_by(used, graph, scopes, catalog),
        *_lost_in_loops(used),
    ]


def mending_ops(document: Document, catalog: Catalog, problem: Problem) -> list[Op]:
    """Returns the operations that mend a warning in this document; empty when it is mended or needs a person."""
    found_warnings = flow_warnings(document, catalog)
    for warning in [*found_warnings, *(one.accept for one in found_warnings if one.accept)]:
        found = warning.problem
        if (found.code, found.node_id, found.pointer) == (problem.code, problem.node_id, problem.pointer):
            return warning.mend() if warning.mend else []
    return []


def _lost_corrections(
    document: Document, used: Document, graph: Graph, scopes: ListScopes, catalog: Catalog
) -> Iterator[FlowWarning]:
    """Values that a person may correct in an Approval, while a step behind it reads what was there before."""
    names = data_names(used)
    for lost in lost_corrections(used, graph, scopes, catalog):
        *more, last = [node.name for node in lost.readers[:3]]
        if len(lost.readers) > len(more) + 1:
            more, last = [*more, last], f"{len(lost.readers) - len(more) - 1} more"
        who = f"{', '.join(more)} and {last} take" if more else f"{last} takes"
        said = (
            f"{lost.approval.name}: corrections of “{lost.name}” do not arrive, because {who} it from "
            f"{names.get(lost.made.node_id, lost.made.node_id)}."
        )
        problem = Problem("correction_lost", said, lost.approval.id, f"/config/editable/{lost.at}", blocks_import=False)
        if lost.mendable(catalog):
            mend = partial(take_corrected_ops, document, lost, catalog)
            yield FlowWarning(problem, f"Take it from {lost.approval.name}", mend)
        else:
            yield FlowWarning(problem, "")


def _nothing_approved(branches: Branches) -> Iterator[FlowWarning]:
    """Approvals after which nothing follows a yes. Without API Output, an Approval at the end gives the result."""
    taken = {(edge.source, edge.source_port) for edge in branches.graph.edges}
    for node in branches.document.nodes:
        ends = branches.output is None and not branches.graph.children[node.id]
        if node.type == APPROVAL and (node.id, APPROVED) not in taken and not ends:
            said = f"{node.name}: “{APPROVED}” leads nowhere. After a yes nothing follows."
            yield FlowWarning(Problem("approved_open", said, node.id, f"/ports/{APPROVED}", blocks_import=False), "")


def _open_branches(document: Document, branches: Branches, catalog: Catalog) -> Iterator[FlowWarning]:
    """Branches without a node, where the answer lacks something. Inside a list they are left out: items that go there are
    left out on purpose.
    """
    empty_values: EmptyValues | None = None
    for node in branches.document.nodes:
        if node.type not in WAYS or branches.scopes.around[node.id]:
            continue
        ports = branches.open_ports(node.id)
        if len(ports) == 1 and ports[0] in may_end(node):
            continue
        first, last = map(port_words, WAYS[node.type])
        for port in ports[:1]:
            open_yet = f"{node.name}: no step is connected to “{port_words(port)}” yet."
            said = f"{open_yet} When it goes that way, callers get an empty value."
            if len(ports) == 1 and not _answers_all_the_same(branches, node.id, catalog):
                empty_values = empty_values or EmptyValues(branches, catalog)
                if not empty_values.comes_of(node.id, port):
                    continue
            elif len(ports) == 1:
                said = f"{open_yet} Callers get the same answer for “{first}” and “{last}”."
            if len(ports) > 1:
                said = f"{node.name}: neither “{first}” nor “{last}” leads anywhere yet, so it makes no difference."
            yield FlowWarning(
                Problem("open_branch", said, node.id, f"/ports/{port}", blocks_import=False),
                f"Add an answer for “{port_words(port)}”",
                lambda node=node, port=port: answer_ops(document, catalog, node.id, port),
                _may_end_here(node, port) if len(ports) == 1 else None,
            )


def may_end(condition: Node) -> tuple[str, ...]:
    """Returns the branches of a Condition that end nowhere on purpose."""
    chosen = condition.config.get("may_end")
    return WAYS[condition.type] if chosen == "both" else (str(chosen),) if chosen else ()


def _may_end_here(condition: Node, port: str) -> FlowWarning:
    chosen = "both" if may_end(condition) else port
    change = update_node(condition, config={**condition.config, "may_end": chosen})
    problem = Problem("open_branch_accepted", "", condition.id, f"/ports/{port}", blocks_import=False)
    return FlowWarning(problem, "This branch may end here", lambda: [change])


def _one_sided_output(document: Document, branches: Branches, catalog: Catalog) -> Iterator[FlowWarning]:
    output = branches.output
    if output is None:
        return
    for condition, port in branches.read_on_one_side(catalog):
        if other_side(port) in branches.open_ports(condition.id):
            continue  # the open branch is the warning, and its button joins the two sides too
        other = (condition.id, other_side(port))
        joins = branches.last_on(other, catalog) is not None or shown_before(branches, (condition.id, port), catalog)
        pointer, reader = branches.first_read(output, (condition.id, port), catalog)
        own_words, other_words = port_words(port), port_words(other_side(port))
        said = (
            f"{output.name}: it returns only what {reader.name} gives, which runs when {condition.name} goes on by "
            f"“{own_words}”. When it goes by “{other_words}”, callers get an empty value."
        )
        yield FlowWarning(
            Problem("one_branch_read", said, output.id, pointer, blocks_import=False),
            "Return whichever ran" if joins else f"Add an answer for “{other_words}”",
            partial(join_ops, document, catalog, condition.id, port)
            if joins
            else partial(answer_ops, document, catalog, condition.id, other_side(port)),
        )


def _answers_all_the_same(branches: Branches, condition: str, catalog: Catalog) -> bool:
    """True when API Output comes after this Condition, but reads nothing that depends on it: it is never skipped."""
    output = branches.output
    behind = output is not None and output.id in branches.graph.descendants(condition)
    return behind and bool(output and output.inputs) and not branches.reads_behind(condition, catalog)


def _same_answer(document: Document, branches: Branches, catalog: Catalog) -> Iterator[FlowWarning]:
    """The innermost Condition whose way makes no difference to the answer, though one would think so."""
    output = branches.output
    if output is None:
        return
    for node_id in reversed(branches.graph.order):
        node = branches.nodes[node_id]
        if node.type not in WAYS or branches.scopes.around[node_id] or branches.open_ports(node_id):
            continue  # an open branch is a warning of its own, whose button joins the two sides too
        if not _answers_all_the_same(branches, node_id, catalog):
            continue
        port = next((port for port in WAYS[node.type] if (node_id, port) in branches.reached_on), "")
        if not port and not _only_makes_values(branches, node_id, catalog):
            continue  # a side that does something, like sending a message, may well end in the same answer
        said = (
            f"{output.name}: only “{port_words(port)}” of {node.name} leads to it, but callers always get its answer, also "
            f"when it goes by “{port_words(other_side(port))}”."
            if port
            else f"{output.name}: both ways of {node.name} lead to it, so callers get the same answer either way."
        )
        port = port or WAYS[node.type][0]
        joins = branches.last_on((node_id, other_side(port)), catalog) is not None
        yield FlowWarning(
            Problem("same_answer", said, output.id, "/inputs", blocks_import=False),
            "Join both ways" if joins else f"Add an answer for “{port_words(other_side(port))}”",
            lambda port=port, joins=joins, node_id=node_id: (
                join_ops(document, catalog, node_id, port)
                if joins
                else answer_ops(document, catalog, node_id, other_side(port))
            ),
        )
        return


def _only_makes_values(branches: Branches, condition: str, catalog: Catalog) -> bool:
    """True when both sides lead into API Output over nodes that do nothing but make values."""
    sides = {(condition, port) for port in WAYS[branches.nodes[condition].type]}
    on_sides = [node for node in branches.document.nodes if not sides.isdisjoint(branches.only_on[node.id])]
    makes = all(
        node.type in WAYS or ((kind := catalog.get(node.type)) is not None and kind.is_repeatable) for node in on_sides
    )
    return makes and all(branches.into_output(side) is not None for side in sides)


def _empty_output(document: Document, branches: Branches, catalog: Catalog) -> Iterator[FlowWarning]:
    output = branches.output
    if output is None or output.inputs:
        return
    before = [branches.nodes[one] for one in branches.graph.parents[output.id]]
    gives = [
        node for node in before if not branches.scopes.gives[node.id] and node.type not in {CONDITION, "api_input"}
    ]
    said = f"{output.name}: it has no fields yet, so callers get an empty answer."
    problem = Problem("empty_output", said, output.id, "/inputs", blocks_import=False)
    if len(before) == 1 and gives:
        source = str(Reference(gives[0].id, "out"))
        answer = update_node(output, inputs={"answer": source})
        yield FlowWarning(problem, f"Return what {gives[0].name} gives", lambda: [answer])
    else:
        yield FlowWarning(problem, "Add a field")


def _empty_rules(document: Document) -> Iterator[FlowWarning]:
    for node in document.nodes:
        yield from _empty_rules_of(node, "inputs", node.inputs, left="left", right="right")
        yield from _empty_rules_of(node, "config", node.config, left="", right="value")


def _empty_rules_of(
    node: Node, part: str, values: Mapping[str, Any], *, left: str, right: str
) -> Iterator[FlowWarning]:
    """Rules of a Condition need a left value; those of a list look at the item itself when they name no field."""
    rules: JsonValue = values.get("rules")
    if not isinstance(rules, list | tuple):
        return
    for at, rule in enumerate(rules):
        if not isinstance(rule, Mapping) or (rule.get("operator") == "matches" and isinstance(rule.get(right), str)):
            continue  # an empty pattern is a problem of its own
        no_left = bool(left) and _is_blank(rule.get(left))
        operator = str(rule.get("operator", "equals"))
        no_right = _is_blank(rule.get(right)) and operator not in ALONE
        field_named = not left and not _is_blank(rule.get("field"))
        if not no_left and not (no_right and (operator not in _WITH_EMPTY or not (left or field_named))):
            continue
        wholly = no_left and no_right if left else not field_named
        if wholly and (len(rules) > 1 or part == "config"):
            verb, mend = "Remove this rule", partial(_without_rule, node, part, values, at)
        else:
            verb, mend = "Fill in this rule", None
        pointer = f"/{part}/rules/{at}/{left if no_left else right}"
        what = "it is empty" if wholly else "it has nothing to look at" if no_left else "it has nothing to compare with"
        said = f"{node.name}: rule {at + 1} does nothing useful yet, because {what}."
        yield FlowWarning(Problem(EMPTY_RULE, said, node.id, pointer, blocks_import=False), verb, mend)


def _without_rule(node: Node, part: str, values: Mapping[str, Any], at: int) -> list[Op]:
    rest = [one for number, one in enumerate(values["rules"]) if number != at]
    return [update_node(node, **{part: {**values, "rules": rest}})]


def _text_compared(used: Document, catalog: Catalog) -> Iterator[FlowWarning]:
    """Rules that ask whether a text field of a model's answer is greater or less than a number."""
    nodes = {node.id: node for node in used.nodes}
    schemas = OutputSchemas(used, catalog)
    for node in used.nodes:
        rules: JsonValue = node.inputs.get("rules") if node.type == CONDITION else None
        for at, rule in enumerate(rules if isinstance(rules, list | tuple) else ()):
            if not isinstance(rule, Mapping) or str(rule.get("operator")) not in ORDERING:
                continue
            read = only_reference(rule.get("left"))
            source = nodes.get(read.node_id) if read is not None else None
            right = rule.get("right")
            numeric = reads_as_number(right) or schemas.binding(right).get("type") in (
                "number",
                "integer",
            )
            if read is None or source is None or len(read.path) != 1 or not numeric:
                continue
            fields = source.config.get("output_fields")
            place = _text_field(fields, str(read.path[0]))
            if place is None:
                continue
            name = str(read.path[0])
            said = (
                f"{node.name}: rule {at + 1} compares “{name}” with a number, but “{name}” of {source.name} is a text. "
                "Texts are compared letter by letter: “640.00 EUR” is greater than “1,000”."
            )
            yield FlowWarning(
                Problem("text_compared", said, node.id, f"/inputs/rules/{at}/left", blocks_import=False),
                f"Make “{name}” a Number",
                lambda source=source, place=place: [_as_number_field(source, place)],
            )


def _never_empty(document: Document, used: Document) -> Iterator[FlowWarning]:
    """Rules that ask whether a text is empty that callers have to send, and may not send empty."""
    start = api_input(used)
    fields = {str(field.get("name")): field for field in input_fields(used) if field.get("required")}
    check = example_check()
    for node in used.nodes:
        rules: JsonValue = node.inputs.get("rules") if node.type == CONDITION else None
        for at, rule in enumerate(rules if isinstance(rules, list | tuple) else ()):
            if start is None or not isinstance(rule, Mapping) or rule.get("operator") not in _ASKS_EMPTY:
                continue
            read = only_reference(rule.get("left"))
            if read is None or (read.node_id, read.root) != (start.id, "out") or len(read.path) != 1:
                continue
            name = str(read.path[0])
            field = fields.get(name)
            if field is None or field.get("type") != "string" or value_fits_as_known(check, field, ""):
                continue
            said = (
                f"{node.name}: rule {at + 1} asks whether “{name}” is empty, but {start.name} refuses a call in which “{name}” "
                "is empty or missing."
            )
            yield FlowWarning(
                Problem("never_empty", said, node.id, f"/inputs/rules/{at}/left", blocks_import=False),
                f"Make “{name}” optional",
                lambda name=name: make_optional_ops(document, name),
            )


def _text_field(fields: JsonValue, name: str) -> int | None:
    """Returns the place of the output field with this name when it is a text; None otherwise."""
    for place, one in enumerate(fields if isinstance(fields, list | tuple) else ()):
        if isinstance(one, Mapping) and one.get("name") == name:
            return place if one.get("type", "string") == "string" else None
    return None


def _as_number_field(source: Node, place: int) -> Op:
    fields: list[Any] = [*source.config["output_fields"]]
    kept = {key: value for key, value in fields[place].items() if key in {"name", "required", "description"}}
    fields[place] = {**kept, "type": "number"}
    return update_node(source, config={**source.config, "output_fields": fields})


def _unread_fields(document: Document, used: Document, graph: Graph, catalog: Catalog) -> Iterator[FlowWarning]:
    start = api_input(used)
    if start is None or not _does_something(start, used, graph, catalog):
        return
    read = _read_fields(start, used, graph, catalog)
    if read is None:
        return
    for at, one in enumerate(input_fields(used)):
        name = str(one.get("name") or "")
        if name and one.get("required") and name not in read:
            said = f"{start.name}: callers must send “{name}”, but no step uses it."
            yield FlowWarning(
                Problem("field_not_read", said, start.id, f"/config/fields/{at}/required", blocks_import=False),
                f"Make “{name}” optional",
                lambda name=name: make_optional_ops(document, name),
            )


def _does_something(start: Node, used: Document, graph: Graph, catalog: Catalog) -> bool:
    """True when a node after API Input works on data: before that, nobody has had the time to use a field."""
    kinds = {node.id: catalog.get(node.type) for node in used.nodes}
    return any((kind := kinds[one]) is not None and kind.processing for one in graph.descendants(start.id))


def _read_fields(start: Node, used: Document, graph: Graph, catalog: Catalog) -> set[str] | None:
    """Returns the fields of API Input that nodes read; None when a node takes all of them.

    Nodes that pass the input on as it is (a Condition without a value of its own) stand for it.
    """
    nodes = {node.id: node for node in used.nodes}
    same = {start.id}
    read: set[str] = set()
    for node_id in graph.order:
        node, kind = nodes[node_id], catalog.get(nodes[node_id].type)
        if node_id == start.id or kind is None:
            continue
        passes = kind.source_input is not None and node.inputs.get(kind.source_input) in (None, "", [])
        takes_all = passes and not same.isdisjoint(graph.parents[node_id])
        if takes_all and node.type not in {CONDITION, FIRST_VALUE}:
            return None
        for _pointer, reference in references_of(node, kind):
            if reference.node_id in same and reference.root == "out":
                if reference.path:
                    read.add(str(reference.path[0]))
                elif node.type in {CONDITION, FIRST_VALUE}:
                    takes_all = True
                else:
                    return None
        if takes_all:
            same.add(node_id)
    ends = {one for one in same if not graph.children[one]}
    return None if ends - {start.id} else read


def _whole_lists(used: Document, scopes: ListScopes, catalog: Catalog) -> Iterator[FlowWarning]:
    splitters = {node.id: listed for node in used.nodes if node.type == SPLITTER and (listed := _list_of(node))}
    labels = {node.id: node.name for node in used.nodes}
    for node in used.nodes:
        kind = catalog.get(node.type)
        for splitter, listed in splitters.items():
            if kind is None or splitter not in scopes.around[node.id]:
                continue
            pointer = next(
                (at for at, one in references_of(node, kind) if this_item(one, listed, splitter) is not None), None
            )
            if pointer is None:
                continue
            said = (
                f"{node.name}: it runs once for each item of “{in_words(listed, labels)}”, but uses the whole list "
                "each time."
            )
            yield FlowWarning(
                Problem("whole_list_in_loop", said, node.id, pointer, blocks_import=False),
                "Use this item",
                lambda node=node, kind=kind, listed=listed, splitter=splitter: _per_item(node, kind, listed, splitter),
            )


def _grouped_by_whole_items(used: Document, catalog: Catalog) -> Iterator[FlowWarning]:
    """Items that are told apart by all of what they hold, though they have fields: they were texts before."""
    schemas = OutputSchemas(used, catalog)
    for node in used.nodes:
        if node.type != "group_count" or str(node.config.get("by") or "").strip() != ".":
            continue
        item: JsonValue = schemas.binding(node.inputs.get("items")).get("items") or {}
        fields: JsonValue = item.get("properties") if isinstance(item, Mapping) else None
        if not isinstance(fields, Mapping) or not fields:
            continue
        chosen = next((name for name, one in fields.items() if isinstance(one, Mapping) and one.get("enum")), None)
        chosen = str(chosen or next(iter(fields)))
        said = f"{node.name}: the items have fields now, like “{chosen}”, but are grouped by the whole item."
        yield FlowWarning(
            Problem("grouped_by_item", said, node.id, "/config/by", blocks_import=False),
            f"Group by “{chosen}”",
            lambda node=node, chosen=chosen: [update_node(node, config={**node.config, "by": chosen})],
        )


def _collected_saves(used: Document, graph: Graph, scopes: ListScopes, catalog: Catalog) -> Iterator[FlowWarning]:
    """Collects whose only step before is Save rows: what that tells of its work is hardly meant."""
    nodes = {node.id: node for node in used.nodes}
    for node in used.nodes:
        before = graph.parents[node.id]
        if node.type != FLATTEN or not scopes.closes(node.id) or not _is_blank(node.inputs.get("value")):
            continue
        if len(before) != 1 or nodes[before[0]].type != SINK:
            continue
        sink = made_by = nodes[before[0]]
        while made_by.type == SINK and len(graph.parents[made_by.id]) == 1:
            made_by = nodes[graph.parents[made_by.id][0]]
        kind = catalog.get(made_by.type)
        if kind is None or not scopes.gives[made_by.id] or made_by.type in {SPLITTER, CONDITION}:
            made_by = sink
        meant = given_by(made_by)
        said = (
            f"{node.name}: Value is empty, so it collects what {sink.name} says of its work: “action” and “row” for each"
            " item."
        )
        yield FlowWarning(
            Problem("collects_saved", said, node.id, "/inputs/value", blocks_import=False),
            "Collect the saved rows" if made_by is sink else f"Collect what {made_by.name} gives",
            lambda node=node, meant=meant: [update_node(node, inputs={**node.inputs, "value": meant})],
        )


def _nothing_collected(used: Document, scopes: ListScopes) -> Iterator[FlowWarning]:
    """Collects whose value is a group without fields: each entry of the list would be empty."""
    for node in used.nodes:
        if node.type != FLATTEN or not scopes.closes(node.id) or node.inputs.get("value") not in ({}, []):
            continue
        rest = {name: value for name, value in node.inputs.items() if name != "value"}
        said = f"{node.name}: Value has no entries, so every item of the list is empty."
        yield FlowWarning(
            Problem("collects_nothing", said, node.id, "/inputs/value", blocks_import=False),
            "Collect what the step before gives",
            lambda node=node, rest=rest: [update_node(node, inputs=rest)],
        )


def _lists_passed_by(used: Document, graph: Graph, scopes: ListScopes, catalog: Catalog) -> Iterator[FlowWarning]:
    """Steps that sort or filter a list and are read by nobody, while a step after them still reads the list as it was."""
    nodes = {node.id: node for node in used.nodes}
    kinds = {node.id: kind for node in used.nodes if (kind := catalog.get(node.type)) is not None}
    for node in used.nodes:
        if node.type not in _CHANGES_LIST or (listed := _list_of(node)) is None or _is_read(node, nodes, graph, kinds):
            continue
        for reader in (nodes[one] for one in graph.order if one in graph.descendants(node.id) and one in kinds):
            kind = kinds[reader.id]
            pointer = next((at for at, one in references_of(reader, kind) if one == listed), None)
            around = scopes.gives[node.id]
            if pointer is None or scopes.around[reader.id][: len(around)] != around:
                continue
            changed = _CHANGES_LIST[node.type]
            said = (
                f"{reader.name}: it reads “{in_words(listed, {one.id: one.name for one in used.nodes})}” and not the "
                f"{changed} list, so {node.name} changes nothing."
            )
            yield FlowWarning(
                Problem("list_passed_by", said, reader.id, pointer, blocks_import=False),
                f"Use the {changed} list",
                lambda node=node, reader=reader, kind=kind, listed=listed: _reading(
                    reader, kind, listed, Reference(node.id, "out", ("items",))
                ),
            )
            break


def _lost_in_loops(used: Document) -> Iterator[FlowWarning]:
    """Text Templates that set a name inside a loop and read it where that value is lost."""
    for node in used.nodes:
        template = node.inputs.get("template") if node.type == "text_template" else None
        if isinstance(template, str) and (lost := lost_in_loop(template)):
            said = f"{node.name}: {lost}"
            yield FlowWarning(
                Problem("set_in_loop", said, node.id, "/inputs/template", blocks_import=False), "Change the template"
            )


def _reading(node: Node, kind: NodeType, listed: Reference, instead: Reference) -> list[Op]:
    inputs = change_references(node, kind, lambda reference: instead if reference == listed else None)
    return [update_node(node, inputs=inputs)]


def _is_read(node: Node, nodes: Mapping[str, Node], graph: Graph, kinds: Mapping[str, NodeType]) -> bool:
    """True when a step reads what this one gives, by a reference or because its own input is empty."""
    for one in graph.descendants(node.id):
        if (kind := kinds.get(one)) is None:
            return True
        if any(reference.node_id == node.id for _pointer, reference in references_of(nodes[one], kind)):
            return True
        takes = kind.source_input is not None and nodes[one].inputs.get(kind.source_input) is None
        if takes and node.id in graph.parents[one]:
            return True
    return False


def _per_item(node: Node, kind: NodeType, listed: Reference, splitter: str) -> list[Op]:
    inputs = change_references(node, kind, lambda reference: this_item(reference, listed, splitter))
    return [update_node(node, inputs=inputs)]


def this_item(reference: Reference, listed: Reference, splitter: str) -> Reference | None:
    """Returns the reference to the present item that is meant by one to the whole list, or to one item of it by its
    number; None for any other reference.
    """
    length = len(listed.path)
    if (reference.node_id, reference.root, reference.path[:length]) != (listed.node_id, listed.root, listed.path):
        return None
    rest = reference.path[length:]
    return Reference(splitter, "out", rest[1:] if rest and isinstance(rest[0], int) else rest)


def _list_of(node: Node) -> Reference | None:
    return only_reference(node.inputs.get("items"))


def _is_blank(value: JsonValue) -> bool:
    """True for nothing, for an empty text, and for a list of nothing else."""
    if isinstance(value, list | tuple):
        return all(_is_blank(one) for one in value)
    return value is None or (isinstance(value, str) and not value.strip())
