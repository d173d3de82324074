"""Reads the flows that a flow calls, for validation and for display.

Flows of other workspaces are treated as missing.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from engine.flow.agent_kinds import name_of
from engine.flow.called_flows import (
    CALL_FLOW,
    DEEPEST_CALL,
    Callee,
    called_id,
    called_ids,
    calls_of,
    flow_tools_of,
    pinned_version,
)
from engine.flow.document import Document, Node, load_document
from engine.flow.person_questions import asks_person
from engine.nodes import CATALOG
from engine.run.steps import INNER
from storage.flows import find_flow, find_version


def read_library(session: Session, workspace_id: str, document: Document) -> dict[str, Callee]:
    """Returns the flows of this workspace that a document calls, directly or through other flows, by flow id."""
    library: dict[str, Callee] = {}
    todo = called_ids(document)
    looked_up = set(todo)
    while todo:
        callee = find_callee(session, workspace_id, todo.pop())
        if callee is None:
            continue
        library[callee.flow_id] = callee
        more = [flow_id for flow_id in called_ids(callee.document) if flow_id not in looked_up]
        looked_up.update(more)
        todo += more
    return library


def asks_person_anywhere(session: Session, workspace_id: str, document: Document) -> bool:
    """True when a step of the flow, or of a flow that it calls, asks a person."""
    called = [callee.document for callee in read_library(session, workspace_id, document).values()]
    return any(asks_person(one, CATALOG) for one in (document, *called))


def find_callee(session: Session, workspace_id: str, flow_id: str) -> Callee | None:
    """Returns a flow as a call would run it now: its live version, otherwise its newest one.

    None when it does not exist.
    """
    flow = find_flow(session, workspace_id, flow_id)
    if flow is None:
        return None
    number = flow.live_version or flow.newest_version or None
    version = find_version(session, workspace_id, flow_id, number) if number else None
    return Callee(flow_id, flow.title, number, load_document(version.document) if version else Document())


def calls_older_versions(session: Session, workspace_id: str, flow_id: str) -> bool:
    """Tells whether the newest version was deployed with versions of the flows it calls that have changed since."""
    flow = find_flow(session, workspace_id, flow_id)
    version = find_version(session, workspace_id, flow_id, flow.newest_version) if flow else None
    if version is None or version.first_deployed_at is None:
        return False
    document = load_document(version.document)
    library = read_library(session, workspace_id, document)
    pins = [(pinned_version(node), library.get(str(node.config.get("flow_id")))) for node in calls_of(document)]
    pins += [(tool.version, library.get(tool.flow_id)) for tool in flow_tools_of(document)]
    return any(callee is not None and callee.version != pin for pin, callee in pins)


def live_pins(session: Session, workspace_id: str, flow_id: str) -> dict[str, int]:
    """Maps each call node of the flow's live version to the version that it calls."""
    flow = find_flow(session, workspace_id, flow_id)
    version = find_version(session, workspace_id, flow_id, flow.live_version) if flow and flow.live_version else None
    if version is None:
        return {}
    pins = {node.id: pinned_version(node) for node in calls_of(load_document(version.document))}
    return {node_id: pin for node_id, pin in pins.items() if pin is not None}


def read_inner(session: Session, workspace_id: str, document: Document) -> dict[str, Node]:
    """Returns the nodes of all called versions by the name of their steps in a job, for example `call_flow.prompt`."""
    found: dict[str, Node] = {}
    todo = [("", document, 0)]
    while todo:
        prefix, around, depth = todo.pop()
        for node in calls_of(around) if depth < DEEPEST_CALL else ():
            number = pinned_version(node)
            version = find_version(session, workspace_id, called_id(node), number) if number else None
            if version is None:
                continue
            called, name = load_document(version.document), f"{prefix}{node.id}{INNER}"
            found |= {f"{name}{one.id}": one for one in called.nodes}
            todo.append((name, called, depth + 1))
        for tool in flow_tools_of(around) if depth < DEEPEST_CALL else ():
            version = find_version(session, workspace_id, tool.flow_id, tool.version) if tool.version else None
            if version is None:
                continue
            called, title = load_document(version.document), name_of(tool.entry, tool.place + 1)
            name = f"{prefix}{tool.node.id}{INNER}{title}"
            found[name] = tool.node.model_copy(update={"id": name, "type": CALL_FLOW, "label": title})
            found |= {f"{name}{INNER}{one.id}": one for one in called.nodes}
            todo.append((f"{name}{INNER}", called, depth + 1))
    return found
