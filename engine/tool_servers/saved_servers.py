"""Loads stored MCP servers from the database and decrypts their keys."""

from __future__ import annotations

from sqlalchemy.orm import Session

from engine.flow.node_context import ServerTool
from engine.secrets.opening import open_secret
from engine.secrets.sealing import Vault
from engine.tool_servers.session import ServerAddress
from engine.tool_servers.tool_schemas import sound_schema
from storage.tool_servers import find_tool_server


def open_tool_server(session: Session, vault: Vault, workspace_id: str, name: str) -> ServerAddress | None:
    """Returns an MCP server with its decrypted key and the tools that agents may call; None when there is none.

    For a call that is about to be made. Raises SecretUnreadable.
    """
    row = find_tool_server(session, workspace_id, name)
    if row is None:
        return None
    key = open_secret(session, vault, workspace_id, row.secret_id) if row.secret_id else ""
    tools = tuple(
        ServerTool(tool.name, tool.description, sound_schema(tool.schema), tool.reads) for tool in row.offered
    )
    return ServerAddress(row.name, row.url, row.header, key, tools)
