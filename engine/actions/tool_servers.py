"""Actions on MCP servers, whose tools agents may call. Only owners change them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from engine.actions.principal import Principal, require_may
from engine.actions.secrets import put_secret
from engine.actions.stale_forms import refuse_stale
from engine.core.errors import Conflict, FieldError, Invalid, NotFound
from engine.core.same_server import keeps_its_key
from engine.core.web_addresses import LONGEST_ADDRESS, split_url
from engine.flow.node_context import ServerTool
from engine.secrets.sealing import Vault
from storage.audit import add_entry
from storage.database import now
from storage.secrets import delete_secret, hold_secret
from storage.tool_servers import (
    ToolServerRow,
    delete_tool_server,
    find_tool_server,
    hold_tool_server,
    insert_tool_server,
)

if TYPE_CHECKING:
    from storage.tables import ToolServer

#: The names of tools begin with the name of their server, and providers allow few characters in them.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,29}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
AUTHORIZATION = "Authorization"
#: Headers that belong to the protocol.
_RESERVED = frozenset({"host", "content-length", "content-type", "accept", "connection", "transfer-encoding"})


def add_tool_server(
    session: Session,
    principal: Principal,
    vault: Vault,
    name: str,
    url: str,
    *,
    key: str = "",
    header: str = AUTHORIZATION,
) -> str:
    """Adds an MCP server and returns its id. Raises Invalid with every wrong field, and Conflict for a taken name."""
    require_may(principal, "manage connections")
    name, url, header = name.strip(), url.strip(), header.strip() or AUTHORIZATION
    _check(name, url, header)
    if find_tool_server(session, principal.workspace_id, name) is not None:
        raise Conflict(
            f"An MCP server called `{name}` exists already", remedy="Choose another name, or remove that one first."
        )
    secret_id = put_secret(session, principal, vault, f"Key of {name}", key) if key.strip() else None
    server_id = insert_tool_server(session, principal.workspace_id, name, url, header, secret_id)
    add_entry(session, principal, "add MCP server", server_id, f"{name}: {url}")
    return server_id


def change_tool_server(
    session: Session,
    principal: Principal,
    vault: Vault,
    server_id: str,
    *,
    url: str,
    key: str | None = None,
    header: str = AUTHORIZATION,
    began: ToolServerRow | None = None,
) -> None:
    """Changes address and key. `key` None keeps the stored one, "" removes it. `began`: the server as the form began with
    it.

    With another address no tool is allowed any more, and on another host the stored key is dropped unless a new one is
    given: it may be another server. Raises Invalid and NotFound, and VersionConflict when it has another address, header or
    key by now.
    """
    require_may(principal, "manage connections")
    server = hold_tool_server(session, principal.workspace_id, server_id)
    url, header = url.strip(), header.strip() or AUTHORIZATION
    _check(server.name, url, header)
    if began is not None:
        refuse_stale((began.url, began.header, began.secret_id), (server.url, server.header, server.secret_id))
    moved = not keeps_its_key(server.url, url)
    if url != server.url:
        server.tools, server.allowed, server.listed_at = [], [], None
    server.url, server.header = url, header
    if key is None and moved and server.secret_id is not None:
        key = ""
    detail = f"{server.name}: {url}"
    if key is not None:
        key = key.strip()
        was = server.secret_id
        server.secret_id = put_secret(session, principal, vault, f"Key of {server.name}", key) if key else None
        _drop_secret(session, principal, was)
        detail += ", with another key" if key else ", without a key"
    add_entry(session, principal, "change MCP server", server.id, detail)


def remove_tool_server(session: Session, principal: Principal, server_id: str) -> None:
    """Removes an MCP server with its key. Agents that use it cannot call its tools any more. Raises NotFound."""
    require_may(principal, "manage connections")
    server = hold_tool_server(session, principal.workspace_id, server_id)
    secret_id = server.secret_id
    delete_tool_server(session, server)
    _drop_secret(session, principal, secret_id)
    add_entry(session, principal, "remove MCP server", server_id, server.name)


def remember_tools(session: Session, principal: Principal, server_id: str, tools: Iterable[ServerTool]) -> None:
    """Stores the tools that the server listed. Tools that are new are not allowed yet. Raises NotFound."""
    require_may(principal, "manage connections")
    server = hold_tool_server(session, principal.workspace_id, server_id)
    server.tools = [
        {"name": tool.name, "description": tool.description, "schema": tool.schema, "reads": tool.reads}
        for tool in tools
    ]
    server.listed_at = now(session)


def allow_tools(session: Session, principal: Principal, server_id: str, names: Iterable[str]) -> None:
    """Sets which tools of the server agents may call. Raises NotFound."""
    require_may(principal, "manage connections")
    _allow(session, principal, hold_tool_server(session, principal.workspace_id, server_id), set(names))


def allow_tool(session: Session, principal: Principal, server_id: str, name: str, *, allowed: bool) -> None:
    """Allows or forbids one tool of the server; the others stay as they are. Raises NotFound, also for a tool that the
    server does not list any more.
    """
    require_may(principal, "manage connections")
    server = hold_tool_server(session, principal.workspace_id, server_id)
    if allowed and all(tool["name"] != name for tool in server.tools):
        raise NotFound(
            f"{server.name} lists no tool `{name}` any more",
            remedy="Test the server again, and look at what it offers.",
        )
    _allow(session, principal, server, {*server.allowed, name} if allowed else {*server.allowed} - {name})


def _allow(session: Session, principal: Principal, server: ToolServer, chosen: Collection[str]) -> None:
    allowed = [tool["name"] for tool in server.tools if tool["name"] in chosen]
    if allowed != list(server.allowed):
        server.allowed = allowed
        add_entry(session, principal, "allow tools", server.id, f"{server.name}: {', '.join(allowed) or 'none'}"[:500])


def _check(name: str, url: str, header: str) -> None:
    wrong = []
    if not _NAME.fullmatch(name):
        wrong.append(
            FieldError("/name", "pattern", "the name has 1 to 30 small letters, digits or underscores, a letter first")
        )
    if not _is_address(url):
        wrong.append(
            FieldError(
                "/url", "format", "the address is like https://tools.example.com/mcp, without a name or password"
            )
        )
    if not _HEADER.fullmatch(header) or header.lower() in _RESERVED or header.lower().startswith("mcp-"):
        wrong.append(FieldError("/header", "pattern", "the header is a name like Authorization or X-Api-Key"))
    if wrong:
        raise Invalid("; ".join(error.detail for error in wrong), errors=tuple(wrong))


def _is_address(url: str) -> bool:
    try:
        parts = split_url(url)
        return (
            len(url) <= LONGEST_ADDRESS
            and url.isprintable()
            and " " not in url
            and parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and (parts.port or 1) > 0
            and "@" not in parts.netloc
            and not parts.fragment
        )
    except ValueError:  # the port is not a number
        return False


def _drop_secret(session: Session, principal: Principal, secret_id: str | None) -> None:
    if secret_id is not None:
        delete_secret(session, hold_secret(session, principal.workspace_id, secret_id))
