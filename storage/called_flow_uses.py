"""Which flows call a flow, with a Call Flow node or as a tool of an Agent, in their draft, newest or live version."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from storage.flow_uses import FlowUse, agent_tools, namings_of, uses_of


def list_callers(session: Session, workspace_id: str, flow_id: str) -> tuple[FlowUse, ...]:
    """Returns the other flows that call this one, sorted by title."""
    namings = namings_of(session, workspace_id, f'%"{flow_id}"%', _called_in)
    others = (one for one in namings if one.flow_id != flow_id)
    return uses_of([(flow_id, flow_id)], others).get(flow_id, ())


def _called_in(document: Any) -> set[str]:
    found: list[object] = []
    for node in document.get("nodes", ()):
        config: dict[str, Any] = node.get("config") or {}
        if node.get("type") == "call_flow":
            found.append(config.get("flow_id"))
        found += [tool.get("flow_id") for tool in agent_tools(node, "flow")]
    return {named for named in found if isinstance(named, str)}
