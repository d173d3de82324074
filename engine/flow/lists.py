"""Which nodes run once per item, and of which lists (docs/dev/flows.md).

A Splitter (For each item) opens a list, a Flatten (Collect into a list) closes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from engine.core.error_codes import JobErrorCode
from engine.core.errors import Problem
from engine.flow.document import Document, Node
from engine.flow.graph import Graph
from engine.flow.node_context import Json, NodeFailed
from engine.flow.references import Reference, split_text

SPLITTER = "array_splitter"
API_OUTPUT = "api_output"
FLATTEN = "array_flatten"
#: How many Splitters may be nested around a node.
DEEPEST = 8

#: The ids of the Splitters around a node, outermost first.
Lists = tuple[str, ...]

_WORDS: Mapping[type, str] = {
    dict: "a group of values",
    str: "text",
    bool: "yes or no",
    int: "a number",
    float: "a number",
    type(None): "nothing",
}


class ListScopes:
    """The lists around each node.

    `around`: of its inputs; `gives`: of its output. `mixed`: nodes with inputs from unrelated lists.
    """

    def __init__(self, document: Document, graph: Graph) -> None:
        self.around: dict[str, Lists] = dict.fromkeys(graph.ids, ())
        self.gives: dict[str, Lists] = dict.fromkeys(graph.ids, ())
        self.mixed: dict[str, tuple[Lists, Lists]] = {}
        nodes = {node.id: node for node in document.nodes}
        for node_id in graph.order:
            inside: Lists = ()
            for parent in graph.parents[node_id]:
                given = self.gives[parent]
                if given[: len(inside)] == inside:
                    inside = given
                elif inside[: len(given)] != given:
                    self.mixed.setdefault(node_id, (inside, given))
            self.around[node_id] = inside
            self.gives[node_id] = _given(nodes[node_id], inside)

    def closes(self, node_id: str) -> bool:
        """True for a Flatten that ends a list."""
        return len(self.gives[node_id]) < len(self.around[node_id])

    def sees(self, node_id: str, other: str) -> bool:
        """True when a node may use the data of another: all lists around that data are around this node too."""
        given = self.gives[other]
        return self.around[node_id][: len(given)] == given

    def frames(self) -> dict[str, list[str]]:
        """Returns the nodes that run once per item of a list, by its Splitter, outer lists first.

        The Flatten that ends the list is not among them.
        """
        inside: dict[str, list[str]] = {}
        for node_id, given in self.gives.items():
            for splitter in self.around[node_id]:
                if splitter in given:
                    inside.setdefault(splitter, []).append(node_id)
        return {one: inside[one] for one in sorted(inside, key=lambda splitter: len(self.around[splitter]))}


def list_problems(document: Document, graph: Graph, scopes: ListScopes) -> Iterator[Problem]:
    """Yields what is wrong with the lists of a flow."""
    nodes = {node.id: node for node in document.nodes}
    has_output = any(node.type == API_OUTPUT for node in document.nodes)
    for node_id, (one, other) in scopes.mixed.items():
        names = f"{nodes[one[-1]].name} and {nodes[other[-1]].name}"
        yield Problem(
            "mixed_lists",
            f"{nodes[node_id].name} would run for the items of two lists, {names}, that have nothing to do with each other."
            " Put “Collect into a list” after one of them.",
            node_id,
        )
    for node_id in graph.order:
        if graph.children[node_id] or node_id in graph.parked or not (inside := scopes.gives[node_id]):
            continue
        if nodes[node_id].type == "dataset_sink" and has_output:
            continue  # it stores a row per item, and API Output gives the result
        name, splitter = nodes[node_id].name, nodes[inside[-1]].name
        said = (
            f"{name} would answer once for each item of {splitter}, and callers get one answer. Put “Collect into a"
            f" list” before {name}: it makes one list of all items."
            if nodes[node_id].type == API_OUTPUT
            else f"{name} ends the flow inside the list of {splitter}. Add “Collect into a list” after it, which makes"
            " one list of all items."
        )
        yield Problem("final_in_list", said, node_id, blocks_import=False)
    deep = next((node_id for node_id in graph.order if len(scopes.gives[node_id]) > DEEPEST), None)
    if deep is not None:
        yield Problem("lists_too_deep", f"“For each item” may stand in another one {DEEPEST} deep.", deep)


def across_list(node: Node, field: str, target: Node, document: Document, scopes: ListScopes) -> str | None:
    """Returns why a field of `node` cannot use the data of an earlier node, as a sentence; None when it can."""
    if scopes.sees(node.id, target.id):
        return None
    splitter = document.node(scopes.gives[target.id][-1])
    of = f" of {splitter.name}" if splitter else ""
    what = "has one value" if target.type == SPLITTER else "runs once"
    return (
        f"“{field}” of {node.name} uses data of {target.name}, which {what} for each item{of}, but {node.name} does not"
        " run for each item itself."
        f" Use the data of “Collect into a list” between them."
    )


def not_a_list(name: str, binding: Json, value: JsonValue) -> NodeFailed:
    """Returns the failure of a node that needs a list, with the reference and the type that was found."""
    if isinstance(binding, str) and isinstance(value, str) and has_text_around(binding):
        return NodeFailed(
            f"{name} has other text around its data, `{binding}`, so it is text, not a list.",
            code=JobErrorCode.NOT_A_LIST,
            why="Data with text around it, also only a blank, is written as text.",
            remedy=f"Leave only the data in {name}.",
        )
    shown = f"`{binding.strip()}`" if isinstance(binding, str) and _is_reference(binding) else name
    hint = ""
    if isinstance(value, dict):
        lists = [f"`{key}`" for key, item in value.items() if isinstance(item, list)][:5]
        hint = f" Its fields that are lists: {', '.join(lists)}." if lists else ""
    return NodeFailed(
        f"{shown} is {_WORDS.get(type(value), 'something else')}, not a list.",
        code=JobErrorCode.NOT_A_LIST,
        why="The data chosen for it was no list in this run." + hint,
        remedy="Choose a list. The step before shows in its output which of its data are lists.",
    )


def _is_reference(text: str) -> bool:
    return any(isinstance(piece, Reference) for piece in split_text(text))


def has_text_around(text: str) -> bool:
    """True when data and other text stand beside each other, of which a text is made, whatever the data are."""
    pieces = list(split_text(text))
    return len(pieces) > 1 and any(isinstance(piece, Reference) for piece in pieces)


def _given(node: Node, inside: Lists) -> Lists:
    if node.type == SPLITTER:
        return (*inside, node.id)
    if node.type == FLATTEN:
        return () if node.config.get("levels") == "all" else inside[:-1]
    return inside
