"""What a flow names that has a secret. Pure code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from msgspec import Struct

from engine.flow.called_flows import AGENT, called_id, calls_of, flow_tools_of, pinned_version
from engine.flow.document import Document, Node


class NamedSecrets(Struct, frozen=True):
    """What a flow names whose values are hidden: secrets by id, model connections and MCP servers by name, for their keys,
    and the flows that it calls with their versions, which name others. False when there is nothing of it.
    """

    secrets: frozenset[str]
    connections: frozenset[str]
    servers: frozenset[str]
    flows: frozenset[tuple[str, int | None]]

    def __bool__(self) -> bool:
        return bool(self.secrets or self.connections or self.servers or self.flows)


def secrets_in(document: Document) -> NamedSecrets:
    """Returns what the nodes of a document name."""
    secrets: set[str] = set()
    connections: set[str] = set()
    servers: set[str] = set()
    for node in document.nodes:
        connection, colon, _ = str(node.config.get("model") or "").partition(":")
        if colon:
            connections.add(connection)
        for config in (node.config, *_tools(node)):
            headers: Any = config.get("secret_headers")
            if isinstance(headers, Mapping):
                secrets |= _texts(cast("Mapping[str, Any]", headers).values())
            if config.get("kind") == "mcp" and config.get("server"):
                servers.add(str(config["server"]))
    flows = {(called_id(node), pinned_version(node)) for node in calls_of(document)}
    flows |= {(tool.flow_id, tool.version) for tool in flow_tools_of(document)}
    return NamedSecrets(frozenset(secrets), frozenset(connections), frozenset(servers), frozenset(flows))


def _tools(node: Node) -> Iterator[Mapping[str, Any]]:
    tools: Any = node.config.get("tools") if node.type == AGENT else None
    for tool in cast("Sequence[Any]", tools) if isinstance(tools, list | tuple) else ():
        if isinstance(tool, Mapping):
            yield cast("Mapping[str, Any]", tool)


def _texts(values: Iterable[Any]) -> set[str]:
    return {value for value in values if value and isinstance(value, str)}
