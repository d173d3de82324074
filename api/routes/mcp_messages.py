"""Refuses bodies that are not MCP messages with errors of JSON-RPC 2.0. The library would answer some of them with the
messages of its validation, and others as if they were notifications.
"""

from __future__ import annotations

from typing import Any

import pydantic_core
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

_PARSE_ERROR, _INVALID_REQUEST = -32700, -32600
_VERSION = "MCP-Protocol-Version"


def refused_message(request: Request, body: bytes) -> Response | None:
    """Returns the error response for a body or protocol version that is not valid; None for a valid message. It imports
    the MCP library, so it is called only after that is loaded.
    """
    try:
        message = pydantic_core.from_json(body)
    except ValueError:
        return _error(None, _PARSE_ERROR, "The body is no JSON")
    if isinstance(message, list):
        return _error(
            None, _INVALID_REQUEST, "Several messages in one request (a JSON-RPC batch) are not read; send one"
        )
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        return _error(
            None, _INVALID_REQUEST, 'The body is no JSON-RPC message: it must be an object with "jsonrpc": "2.0"'
        )
    id_ = message.get("id")
    if "id" in message and (isinstance(id_, bool) or not isinstance(id_, int | str)):
        return _error(None, _INVALID_REQUEST, "`id` must be a text or a whole number; a notification has none")
    if not isinstance(message.get("method"), str) and not message.keys() & {"result", "error"}:
        return _error(id_, _INVALID_REQUEST, "`method` is missing, or is no text")
    return _unknown_version(id_, request.headers.get(_VERSION))


def _unknown_version(id_: int | str | None, version: str | None) -> Response | None:
    from mcp_types import UNSUPPORTED_PROTOCOL_VERSION
    from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

    known = (*HANDSHAKE_PROTOCOL_VERSIONS, *MODERN_PROTOCOL_VERSIONS)
    if version is None or version in known:
        return None
    told = (
        f"Unknown version in the header {_VERSION}; this server knows {', '.join(HANDSHAKE_PROTOCOL_VERSIONS)} after "
        f"`initialize`, and without it {', '.join(MODERN_PROTOCOL_VERSIONS)}"
    )
    # MCP wants the versions that need no `initialize` here; clients choose one of them.
    data = {"supported": list(MODERN_PROTOCOL_VERSIONS), "requested": version[:100]}
    return _error(id_, UNSUPPORTED_PROTOCOL_VERSION, told, data)


def _error(id_: int | str | None, code: int, message: str, data: dict[str, Any] | None = None) -> Response:
    error = {"code": code, "message": message} | ({} if data is None else {"data": data})
    return JSONResponse({"jsonrpc": "2.0", "id": id_, "error": error}, 400, headers={"Cache-Control": "no-store"})
