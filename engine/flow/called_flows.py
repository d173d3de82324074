"""Flows that a flow calls with Call Flow nodes, or lets an Agent call as tools: their versions, their fields, and what is wrong with a call. Pure code.

The caller passes a `Library` from the database: the flows of the workspace that the document names, and those that they
call.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from msgspec import Struct
from pydantic import JsonValue

from engine.core.error_codes import JobErrorCode
from engine.core.errors import Problem
from engine.flow.contract import input_fields
from engine.flow.document import Document, Node
from engine.flow.validation import without_parked

CALL_FLOW = "call_flow"
AGENT = "agent"
#: The code of the problem that a called flow does not exist any more.
UNKNOWN_FLOW = "unknown_flow"
#: How many calls may be nested: a flow that calls a flow that calls a flow, and so on.
DEEPEST_CALL = 5


class Callee(Struct, frozen=True):
    """A flow that may be called.

    `version`: the live one, or else the newest saved one; None when it was never saved.
    """

    flow_id: str
    title: str
    version: int | None
    document: Document

    @property
    def fields(self) -> list[dict[str, Any]]:
        """The fields that a call may send."""
        return [field for field in input_fields(self.document) if field.get("name")]


#: Callees by flow id. A flow that is missing was deleted or belongs to another workspace.
Library = Mapping[str, Callee]


def calls_of(document: Document) -> list[Node]:
    """Returns the nodes that call another flow."""
    return [node for node in document.nodes if node.type == CALL_FLOW]


class FlowTool(Struct, frozen=True):
    """A flow that an Agent may call. `place`: its index among the tools of the node; `version`: as fixed, else None."""

    node: Node
    place: int
    flow_id: str
    version: int | None
    entry: Mapping[str, Any]


def flow_tools_of(document: Document) -> list[FlowTool]:
    """Returns the flows that Agents of a document may call."""
    return [tool for node in document.nodes if node.type == AGENT for tool in _flow_tools(node)]


def _flow_tools(node: Node) -> Iterator[FlowTool]:
    entries: JsonValue = node.config.get("tools")
    for place, entry in enumerate(entries if isinstance(entries, list | tuple) else ()):
        if not isinstance(entry, Mapping) or entry.get("kind", "flow") != "flow":
            continue
        flow_id, version = entry.get("flow_id"), entry.get("version")
        if isinstance(flow_id, str) and flow_id:
            yield FlowTool(node, place, flow_id, version if isinstance(version, int) else None, entry)


def called_ids(document: Document) -> list[str]:
    """Returns the ids of the flows that a document calls, each once."""
    nodes = [flow_id for node in calls_of(document) if (flow_id := called_id(node))]
    return list(dict.fromkeys([*nodes, *(tool.flow_id for tool in flow_tools_of(document))]))


def called_id(node: Node) -> str:
    """Returns the id of the flow that a node calls; empty when none is chosen."""
    chosen = node.config.get("flow_id")
    return chosen if isinstance(chosen, str) else ""


def pinned_version(node: Node) -> int | None:
    """Returns the version that a deployment fixed; None in a draft."""
    version = node.config.get("version")
    return version if isinstance(version, int) else None


def pinned(document: Document, library: Library) -> Document:
    """Returns the document with the version that a deployment fixes now in each call."""
    versions = {flow_id: callee.version for flow_id, callee in library.items()}
    return _with_versions(document, versions)


def unpinned(document: Document) -> Document:
    """Returns the document without fixed versions, as in a draft."""
    return _with_versions(document, {})


def is_fixed(document: Document) -> bool:
    """True when a deployment fixed the version of each call."""
    pins = [pinned_version(node) for node in calls_of(document)] + [tool.version for tool in flow_tools_of(document)]
    return None not in pins


def call_problems(document: Document, flow_id: str, library: Library, *, fixed: bool = False) -> list[Problem]:
    """Returns the problems of the calls in the flow `flow_id`. They stop a deployment, but not an import.

    `fixed`: the calls go on calling the versions with which they were deployed, so only a flow that is gone is a problem.
    """
    if fixed and is_fixed(document):
        return [one for one in call_problems(document, flow_id, library) if one.code == UNKNOWN_FLOW]
    found: list[Problem] = []
    connected = without_parked(document)
    for node in calls_of(connected):
        called = called_id(node)
        if called:
            found += _problems_of(node, flow_id, called, library)
            callee = library.get(called)
            found += _input_problems(node, callee) if callee is not None and callee.version is not None else ()
    for tool in flow_tools_of(connected):
        found += _problems_of(tool.node, flow_id, tool.flow_id, library, f"/config/tools/{tool.place}/flow_id")
    return found


def newer_version(node: Node, live_pin: int | None, library: Library) -> int | None:
    """Returns the version that a new deployment would call, when it differs from the one that the live version
    calls.
    """
    callee = library.get(called_id(node))
    if callee is None or callee.version is None or live_pin is None:
        return None
    return callee.version if callee.version != live_pin else None


def _problems_of(
    node: Node, flow_id: str, called: str, library: Library, pointer: str = "/config/flow_id"
) -> Iterator[Problem]:
    def problem(code: str, message: str) -> Problem:
        return Problem(code, message, node.id, pointer, blocks_import=False)

    callee = library.get(called)
    if called == flow_id:
        yield problem("calls_itself", f"{node.name} calls the flow it stands in. Choose another flow.")
        return
    if callee is None:
        yield problem(
            UNKNOWN_FLOW, f"The flow that {node.name} calls is not in this workspace any more. Choose another flow."
        )
        return
    if callee.version is None:
        yield problem(
            "flow_not_saved", f"“{callee.title}”, which {node.name} calls, was never saved. Open it and use Save As."
        )
        return
    if (cycle := _cycle([flow_id], called, library)) is not None:
        names = " → ".join(library[one].title if one in library else "this flow" for one in cycle)
        yield problem("calls_itself", f"These flows call each other without end: {names}. Change one of the calls.")
        return
    if (depth := _depth(called, library)) > DEEPEST_CALL:
        yield problem(
            "calls_too_deep",
            f"“{callee.title}” calls a flow that calls a flow, {depth} deep; {DEEPEST_CALL} is the most.",
        )


def _input_problems(node: Node, callee: Callee) -> Iterator[Problem]:
    fields = {str(field["name"]): field for field in callee.fields}
    for name, field in fields.items():
        value = node.inputs.get(name)
        empty = value is None or (isinstance(value, str) and not value.strip())
        if field.get("required") and field.get("default") is None and empty:
            yield Problem(
                JobErrorCode.INPUT_MISSING,
                f"“{node.name}” is not ready yet: fill in “{name}”, which “{callee.title}” needs.",
                node.id,
                f"/inputs/{name}",
                blocks_import=False,
            )
    for name in node.inputs:
        if name not in fields:
            yield Problem(
                "unknown_field",
                f"{node.name}: “{callee.title}” has no field `{name}`. Take it away.",
                node.id,
                f"/inputs/{name}",
                blocks_import=False,
            )


def _cycle(way: list[str], called: str, library: Library) -> list[str] | None:
    """Returns the flows of a cycle: one that starts with a flow of `way`, or one among the called flows. None without
    one.
    """
    paths = [[*way, called]]
    seen: set[str] = set()
    while paths:
        path = paths.pop()
        last = path[-1]
        if last in path[:-1]:
            return path[path.index(last) :]
        if last in seen:
            continue
        seen.add(last)
        callee = library.get(last)
        paths += [[*path, one] for one in called_ids(callee.document)] if callee else []
    return None


def _depth(called: str, library: Library) -> int:
    """Returns how deep the calls of this flow are nested. The caller has checked that there is no cycle."""
    depth, level = 0, {called}
    while level and depth <= DEEPEST_CALL:
        depth += 1
        level = {inner for one in level if one in library for inner in called_ids(library[one].document)}
    return depth


def _with_versions(document: Document, versions: Mapping[str, int | None]) -> Document:
    if not called_ids(document):
        return document
    return document.model_copy(update={"nodes": tuple(_with_version(node, versions) for node in document.nodes)})


def _with_version(node: Node, versions: Mapping[str, int | None]) -> Node:
    if node.type == AGENT:
        return _with_tool_versions(node, versions)
    if node.type != CALL_FLOW:
        return node
    config = {name: value for name, value in node.config.items() if name != "version"}
    if (version := versions.get(called_id(node))) is not None:
        config["version"] = version
    return node.model_copy(update={"config": config})


def _with_tool_versions(node: Node, versions: Mapping[str, int | None]) -> Node:
    tools = {tool.place: tool for tool in _flow_tools(node)}
    if not tools:
        return node
    entries: list[Any] = list(node.config["tools"])
    for place, tool in tools.items():
        entry = {name: value for name, value in tool.entry.items() if name != "version"}
        if (version := versions.get(tool.flow_id)) is not None:
            entry["version"] = version
        entries[place] = entry
    return node.model_copy(update={"config": {**node.config, "tools": entries}})


def is_known(document: Document, known: Collection[str]) -> bool:
    """True when every called flow is among the known ids."""
    return all(flow_id in known for flow_id in called_ids(document))
