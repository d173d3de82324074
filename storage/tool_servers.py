"""Queries for MCP servers: where they are, what they offer, and which of their tools agents may call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.core.errors import NotFound
from engine.core.ids import new_id
from storage.connections import FlowUse, flows_naming
from storage.database import now
from storage.tables import ToolServer

#: Finds an MCP server in a flow's document: `"server":"NAME"`. In a text of the document the quotes are escaped.
_NAMED = re.compile(r'"server"\s*:\s*"([a-z][a-z0-9_]*)"')


class ListedTool(Struct, frozen=True):
    """A tool as its server listed it. `reads`: the server says that a call changes nothing."""

    name: str
    description: str
    schema: Mapping[str, Any]
    reads: bool = False


class ToolServerRow(Struct, frozen=True):
    """An MCP server. `secret_id` is the id of its sealed key, which is sent in `header`; None without a key."""

    id: str
    name: str
    url: str
    header: str
    secret_id: str | None
    tools: tuple[ListedTool, ...]
    allowed: tuple[str, ...]
    created_at: int
    listed_at: int | None

    @property
    def offered(self) -> tuple[ListedTool, ...]:
        """The tools that agents may call."""
        return tuple(tool for tool in self.tools if tool.name in self.allowed)


def list_tool_servers(session: Session, workspace_id: str) -> list[ToolServerRow]:
    """Returns the MCP servers of a workspace, sorted by name."""
    rows = session.scalars(select(ToolServer).where(ToolServer.workspace_id == workspace_id).order_by(ToolServer.name))
    return [_row(row) for row in rows]


def allowed_tools(session: Session, workspace_id: str) -> dict[str, tuple[str, ...]]:
    """Returns, for each MCP server's name, the names of the tools that agents may call."""
    return {row.name: tuple(tool.name for tool in row.offered) for row in list_tool_servers(session, workspace_id)}


def find_tool_server(session: Session, workspace_id: str, named: str) -> ToolServerRow | None:
    """Returns the MCP server with this name, or None."""
    row = session.scalars(
        select(ToolServer).where(ToolServer.workspace_id == workspace_id, ToolServer.name == named)
    ).one_or_none()
    return None if row is None else _row(row)


def servers_in_flows(session: Session, workspace_id: str) -> dict[str, list[FlowUse]]:
    """Returns, for each MCP server's name, the flows whose draft or live version uses it, sorted by title."""
    return flows_naming(session, workspace_id, _NAMED)


def hold_tool_server(session: Session, workspace_id: str, server_id: str) -> ToolServer:
    """Returns the ORM row, for an action to change. Raises NotFound."""
    row = session.scalars(
        select(ToolServer).where(ToolServer.workspace_id == workspace_id, ToolServer.id == server_id)
    ).one_or_none()
    if row is None:
        raise NotFound("This MCP server is not there any more", remedy="Settings, Tools lists the servers.")
    return row


def find_server_with_secret(session: Session, workspace_id: str, secret_id: str) -> str | None:
    """Returns the name of the MCP server whose key is this secret, or None."""
    return session.scalars(
        select(ToolServer.name).where(ToolServer.workspace_id == workspace_id, ToolServer.secret_id == secret_id)
    ).first()


def insert_tool_server(
    session: Session, workspace_id: str, name: str, url: str, header: str, secret_id: str | None
) -> str:
    """Stores an MCP server whose tools are not known yet, and returns its id."""
    server = ToolServer(
        id=new_id("mcp"),
        workspace_id=workspace_id,
        name=name,
        url=url,
        header=header,
        secret_id=secret_id,
        tools=[],
        allowed=[],
        created_at=now(session),
        listed_at=None,
    )
    session.add(server)
    session.flush()
    return server.id


def delete_tool_server(session: Session, server: ToolServer) -> None:
    """Removes an MCP server."""
    session.delete(server)


def _row(row: ToolServer) -> ToolServerRow:
    tools = tuple(
        ListedTool(tool["name"], tool.get("description", ""), tool.get("schema") or {}, bool(tool.get("reads")))
        for tool in row.tools
    )
    return ToolServerRow(
        row.id,
        row.name,
        row.url,
        row.header,
        row.secret_id,
        tools,
        tuple(row.allowed),
        row.created_at,
        row.listed_at,
    )
