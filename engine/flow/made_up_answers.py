"""Which steps of a flow answer with the made-up text of the Simulated model. Pure code."""

from __future__ import annotations

from msgspec import Struct

from engine.flow.called_flows import Library, called_id, called_ids, calls_of, flow_tools_of
from engine.flow.document import Document
from engine.flow.validation import without_parked

#: The value of the setting `model` that chooses the Simulated model.
SIMULATED = "simulated"


class MadeUpStep(Struct, frozen=True):
    """A step of the flow that answers with made-up text, itself or through the flow that it calls."""

    node_id: str
    name: str
    called: bool


def made_up_steps(document: Document, library: Library) -> tuple[MadeUpStep, ...]:
    """Returns the steps in the order of the document. `library` has the flows that the document calls."""
    connected = without_parked(document)
    own = {node.id for node in connected.nodes if node.config.get("model") == SIMULATED}
    calling = {node.id for node in calls_of(connected) if _reaches_made_up(called_id(node), library)}
    calling |= {tool.node.id for tool in flow_tools_of(connected) if _reaches_made_up(tool.flow_id, library)}
    return tuple(
        MadeUpStep(node.id, node.name, node.id in calling)
        for node in connected.nodes
        if node.id in own or node.id in calling
    )


def _reaches_made_up(flow_id: str, library: Library) -> bool:
    """True when this flow, or one that it calls, has such a step."""
    todo, seen = [flow_id], set[str]()
    while todo:
        current = todo.pop()
        if current in seen or current not in library:
            continue
        seen.add(current)
        document = without_parked(library[current].document)
        if any(node.config.get("model") == SIMULATED for node in document.nodes):
            return True
        todo += called_ids(document)
    return False
