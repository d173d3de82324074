"""Refuses bodies that are not MCP messages with errors of JSON-RPC 2.0. The library would answer some of them with the
messages of its validation, and others as if they were notifications.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from engine.core.errors import InvalidJson

_NO_OBJECT = "`params` must be an object"
_PARSE_ERROR, _INVALID_REQUEST, _INVALID_PARAMS, _NO_METHOD = -32700, -32600, -32602, -32601
_VERSION = "MCP-Protocol-Version"
#: Method -> the members that its `params` must have, with their types.
_NEEDED: dict[str, dict[str, type]] = {
    "initialize": {"protocolVersion": str, "capabilities": dict, "clientInfo": dict},
    "tools/call": {"name": str},
}
#: Method -> the members that its `params` may have, with their types; null counts as left out.
_MAY_HAVE: dict[str, dict[str, type]] = {"tools/list": {"cursor": str}, "tools/call": {"arguments": dict}}
_TYPES = {str: "a text", dict: "an object"}
#: Returns the type of a method's params; None for a method that is not there.
ParamsOf = Callable[[str], type[BaseModel] | None]
_OTHER_TYPE = "has a type that MCP does not take there"


def not_json(refusal: InvalidJson) -> Response:
    """Returns the error response for a body that is not the JSON that the API reads."""
    return _error(None, _PARSE_ERROR, f"The body is no JSON that is read here. {refusal.detail}")


def too_large(message: dict[str, Any], most: int) -> Response:
    """Returns the error response for a call of a tool that has more than `most` bytes beside its arguments."""
    told = f"A call of a tool may have {most // 1024} KiB beside its `arguments`"
    return _error(message.get("id"), _INVALID_REQUEST, told)


def refused_message(request: Request, message: Any, params_of: ParamsOf) -> Response | None:
    """Returns the error response for a message or protocol version that is not valid; None for a valid message. It
    imports the MCP library, so it is called only after that is loaded.
    """
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
    if not isinstance(message.get("method"), str) and not _is_response(message):
        # No id: that of a response would be the id of a request of the server.
        return _error(
            None,
            _INVALID_REQUEST,
            "A response needs `id`, and `result` (an object) or `error` (with `code` and `message`)",
        )
    version = request.headers.get(_VERSION)
    return _unknown_version(id_, version) or _wrong_params(request, id_, version, message, params_of)


def _is_response(message: dict[str, Any]) -> bool:
    from mcp_types.jsonrpc import jsonrpc_message_adapter

    try:
        jsonrpc_message_adapter.validate_python(message, by_name=False)
    except ValidationError:
        return False
    return True


def _wrong_params(
    request: Request,
    id_: int | str | None,
    version: str | None,
    message: dict[str, Any],
    params_of: ParamsOf,
) -> Response | None:
    """Returns the error that names a header or a member of `params` that is missing or wrong, or says that there is no
    such method, with the status that the library has for its own.
    """
    from mcp_types import DEFAULT_NEGOTIATED_VERSION
    from mcp_types.methods import CLIENT_REQUESTS
    from mcp_types.version import MODERN_PROTOCOL_VERSIONS

    method, params = message.get("method"), message.get("params")
    if params is None:
        params = {}
    status = 400 if version in MODERN_PROTOCOL_VERSIONS else 200
    is_object = isinstance(params, dict)
    if "id" not in message or not isinstance(method, str):  # a notification or a response, which is not answered
        return None if is_object else _error(id_, _INVALID_PARAMS, _NO_OBJECT)
    if params_of(method) is None or (method, version or DEFAULT_NEGOTIATED_VERSION) not in CLIENT_REQUESTS:
        # The library would look at the params first.
        return _error(id_, _NO_METHOD, "Method not found", method, status=404 if status == 400 else 200)
    if not is_object:
        return _error(id_, _INVALID_PARAMS, _NO_OBJECT)
    if status == 400 and (name := _missing_in_meta(params)) is not None:
        return _error(id_, _INVALID_PARAMS, f"`params._meta.{name}` is missing", status=status)
    for name, kind in _NEEDED.get(method, {}).items():
        if not isinstance(params.get(name), kind):
            fault = f"must be {_TYPES[kind]}" if name in params else "is missing"
            return _error(id_, _INVALID_PARAMS, f"`params.{name}` {fault}", status=status)
    for name, kind in ({"_meta": dict} | _MAY_HAVE.get(method, {})).items():
        if params.get(name) is not None and not isinstance(params[name], kind):
            return _error(id_, _INVALID_PARAMS, f"`params.{name}` must be {_TYPES[kind]}", status=status)
    if (fault := _fault_within(method, version, params, params_of(method))) is not None:
        return _error(id_, _INVALID_PARAMS, fault, status=status)
    return _missing_header(request, id_, method, params) if status == 400 else None


def _missing_in_meta(params: dict[str, Any]) -> str | None:
    """Returns the first member of `_meta` that the versions without `initialize` need and that is missing. The library
    would name them in other words.
    """
    from mcp_types import CLIENT_CAPABILITIES_META_KEY, PROTOCOL_VERSION_META_KEY

    meta = {} if params.get("_meta") is None else params["_meta"]
    needed = (PROTOCOL_VERSION_META_KEY, CLIENT_CAPABILITIES_META_KEY)
    return next((name for name in needed if isinstance(meta, dict) and name not in meta), None)


def _fault_within(method: str, version: str | None, params: dict[str, Any], kind: type[BaseModel] | None) -> str | None:
    """Returns what the library would find wrong with the params; it would not say which member it is. And a cursor, which
    it would pass over.
    """
    from mcp_types import DEFAULT_NEGOTIATED_VERSION
    from mcp_types.methods import validate_client_request

    if isinstance((params.get("_meta") or {}).get("progressToken"), bool):
        return f"`params._meta.progressToken` {_OTHER_TYPE}"
    if method == "tools/list" and params.get("cursor") is not None:
        return "`params.cursor` was given by no list: the list of tools has one page; leave it out"
    try:
        validate_client_request(method, version or DEFAULT_NEGOTIATED_VERSION, params)
        if kind is not None:
            kind.model_validate(params, by_name=False)
    except KeyError:
        return None  # the version has no such method, which the library says
    except ValidationError as error:
        return _first_fault(error, params)
    return None


def _first_fault(error: ValidationError, params: dict[str, Any]) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    path: list[str] = ["params"]
    inner: Any = params
    for part in first["loc"][1:] if first["loc"][:1] == ("params",) else first["loc"]:
        if isinstance(inner, dict) and part in inner:
            path.append(str(part)[:100])
            inner = inner[part]
        elif first["type"] == "missing":
            return f"`{'.'.join([*path, str(part)])}` is missing"
        else:
            break  # the rest of the place names types, not members
    return f"`{'.'.join(path)}` {_OTHER_TYPE}"


def _missing_header(request: Request, id_: int | str | None, method: str, params: dict[str, Any]) -> Response | None:
    """Returns the error for a header that the versions without `initialize` need; the library compares those that are
    there, and would call one that is missing another one.
    """
    from mcp_types.jsonrpc import HEADER_MISMATCH

    needed = {"Mcp-Method": "method"} | ({"Mcp-Name": "params.name"} if method == "tools/call" else {})
    for name, member in needed.items():
        if name not in request.headers:
            return _error(id_, HEADER_MISMATCH, f"The header {name} is missing; it repeats `{member}` of the message")
    return None


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


def _error(
    id_: int | str | None, code: int, message: str, data: dict[str, Any] | str | None = None, *, status: int = 400
) -> Response:
    error = {"code": code, "message": message} | ({} if data is None else {"data": data})
    return JSONResponse({"jsonrpc": "2.0", "id": id_, "error": error}, status, headers={"Cache-Control": "no-store"})
