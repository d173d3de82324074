"""The messages that `/mcp` takes: what is missing in one, its headers and versions, and its limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.api.arrange import House

PING = b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}'


@pytest.mark.parametrize(
    ("content", "code", "told"),
    [
        (b"", -32700, "no JSON"),
        (b"{", -32700, "no JSON"),
        (b"\x0b\x0c", -32700, "no JSON"),
        (PING + b"\x0c", -32700, "no JSON"),
        (b'{"jsonrpc": "2.0", "id": NaN, "method": "ping"}', -32700, "NaN"),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "method": "tools/list"}', -32700, '"method" stands twice'),
        (b'{"a": ' + b"[" * 3_000 + b"]" * 3_000 + b"}", -32700, "64 levels"),
        (b'{"a": "\xff"}', -32700, "UTF-8"),
        (b"[]", -32600, "send one"),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": [1]}', -32602, "`params` must be an object"),
        (b'{"a": 1}', -32600, "jsonrpc"),
        (b'{"jsonrpc": "2.0", "id": 1}', -32600, "`method`"),
        (b'{"jsonrpc": "2.0", "id": 1.5, "method": "ping"}', -32600, "`id`"),
        (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}', -32600, "`id`"),
        (b'{"jsonrpc": "2.0", "id": true, "method": "ping"}', -32600, "`id`"),
        (b'{"jsonrpc": "2.0", "id": 1, "result": "x"}', -32600, "`result` (an object)"),
        (b'{"jsonrpc": "2.0", "id": 1, "result": null}', -32600, "`result` (an object)"),
        (b'{"jsonrpc": "2.0", "id": 1, "result": []}', -32600, "`result` (an object)"),
        (b'{"jsonrpc": "2.0", "id": 1, "result": [], "params": 5}', -32600, "`result` (an object)"),
        (b'{"jsonrpc": "2.0", "id": 1, "method": 5, "result": "x"}', -32600, "`result` (an object)"),
        (b'{"jsonrpc": "2.0", "result": {}}', -32600, "`id`"),
        (b'{"jsonrpc": "2.0", "id": 1, "error": 5}', -32600, "`error` (with `code` and `message`)"),
        (b'{"jsonrpc": "2.0", "id": 1, "error": {}}', -32600, "`error` (with `code` and `message`)"),
    ],
)
async def test_what_is_no_message_is_refused_in_plain_words(house: House, content: bytes, code: int, told: str):
    headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {house.key}"}
    sent = {**headers, "Content-Type": "application/json"}
    answer = await house.client.post("/mcp", content=content, headers=sent)
    body = answer.json()
    assert (answer.status_code, body["jsonrpc"], body["error"]["code"]) == (400, "2.0", code)
    assert told in body["error"]["message"]
    assert "pydantic" not in answer.text and "\n" not in body["error"]["message"]


HELLO: dict[str, Any] = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}
OTHER_TYPE = "has a type that MCP does not take there"
NO_CURSOR = "`params.cursor` was given by no list: the list of tools has one page; leave it out"


@pytest.mark.parametrize(
    ("method", "params", "told"),
    [
        ("tools/call", {}, "`params.name` is missing"),
        ("tools/call", {"name": 5}, "`params.name` must be a text"),
        ("tools/call", {"name": "x", "arguments": [1]}, "`params.arguments` must be an object"),
        ("tools/call", {"name": "x", "arguments": []}, "`params.arguments` must be an object"),
        ("tools/call", {"name": "x", "arguments": ""}, "`params.arguments` must be an object"),
        ("tools/list", {"cursor": 5}, "`params.cursor` must be a text"),
        ("tools/list", {"cursor": "nonsense"}, NO_CURSOR),
        ("tools/list", {"cursor": ""}, NO_CURSOR),
        ("tools/list", {"_meta": []}, "`params._meta` must be an object"),
        ("initialize", None, "`params.protocolVersion` is missing"),
        ("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}}, "`params.clientInfo` is missing"),
        ("initialize", {**HELLO, "clientInfo": {}}, "`params.clientInfo.name` is missing"),
        ("initialize", {**HELLO, "clientInfo": {"name": 5, "version": "1"}}, f"`params.clientInfo.name` {OTHER_TYPE}"),
        ("initialize", {**HELLO, "capabilities": {"roots": 5}}, f"`params.capabilities.roots` {OTHER_TYPE}"),
        ("tools/list", {"_meta": {"progressToken": 1.5}}, f"`params._meta.progressToken` {OTHER_TYPE}"),
        ("tools/list", {"_meta": {"progressToken": {}}}, f"`params._meta.progressToken` {OTHER_TYPE}"),
        ("tools/list", {"_meta": {"progressToken": None}}, f"`params._meta.progressToken` {OTHER_TYPE}"),
        ("tools/call", {"name": "x", "task": 5}, f"`params.task` {OTHER_TYPE}"),
        ("tools/call", {"name": "x", "task": {"ttl": "x"}}, f"`params.task.ttl` {OTHER_TYPE}"),
        ("tools/list", {"_meta": {"progressToken": True}}, f"`params._meta.progressToken` {OTHER_TYPE}"),
    ],
)
async def test_what_is_missing_in_a_message_is_named(house: House, method: str, params: Any, told: str):
    headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {house.key}"}
    message = {"jsonrpc": "2.0", "id": 7, "method": method} | ({} if params is None else {"params": params})
    answer = await house.client.post("/mcp", json=message, headers=headers)
    assert (answer.status_code, answer.json()["id"], answer.json()["error"]["code"]) == (200, 7, -32602)
    assert answer.json()["error"]["message"] == told


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("ping", None),
        ("tools/list", None),
        ("tools/list", {"cursor": None}),
        ("tools/call", {"name": "get_job", "arguments": None}),
        ("tools/call", {"name": "get_job", "arguments": {"job_id": 5}}),
        ("tools/call", {"name": "cancel_job", "arguments": {"job_id": "job_x", "more": 1}}),
    ],
)
async def test_null_counts_as_left_out_and_wrong_arguments_are_told_by_the_tool(house: House, method: str, params: Any):
    message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    answer = await house.client.post("/mcp", json=message, headers={"Authorization": f"Bearer {house.key}"})
    assert answer.status_code == 200
    assert answer.json()["result"].get("isError", False) == (method == "tools/call")


@pytest.mark.parametrize(
    "message",
    [
        {"method": "notifications/initialized"},
        {"method": "notifications/odd"},
        {"id": 7, "result": {}},
        {"id": 7, "error": {"code": -32601, "message": "Method not found"}},
    ],
)
async def test_what_gets_no_answer_gets_an_empty_one_without_a_type(house: House, message: dict[str, Any]):
    headers = {"Authorization": f"Bearer {house.key}"}
    answer = await house.client.post("/mcp", json={"jsonrpc": "2.0", **message}, headers=headers)

    assert (answer.status_code, answer.content) == (202, b"")
    assert answer.headers["content-length"] == "0"
    assert "content-type" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("completion/complete", {}),
        ("resources/read", {}),
        ("logging/setLevel", "x"),
        ("server/discover", []),
        ("foo/bar", {}),
        ("foo/bar", []),
        ("foo/bar", "x"),
    ],
)
async def test_a_method_that_is_not_there_is_told_before_its_params_are_looked_at(
    house: House, method: str, params: Any
):
    message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    answer = await house.client.post("/mcp", json=message, headers={"Authorization": f"Bearer {house.key}"})
    assert (answer.status_code, answer.json()["error"]) == (
        200,
        {"code": -32601, "message": "Method not found", "data": method},
    )


@pytest.mark.parametrize(
    ("method", "headers", "status", "code", "told"),
    [
        ("tools/list", {"Mcp-Method": "tools/list"}, 200, None, ""),
        ("tools/list", {}, 400, -32020, "The header Mcp-Method is missing"),
        ("tools/list", {"Mcp-Method": "tools/call"}, 400, -32020, "mcp-method header does not match"),
        ("tools/call", {"Mcp-Method": "tools/call"}, 400, -32020, "The header Mcp-Name is missing"),
        ("tools/call", {"Mcp-Method": "tools/call", "Mcp-Name": "x"}, 400, -32020, "mcp-name header does not match"),
        ("completion/complete", {"Mcp-Method": "completion/complete"}, 404, -32601, "Method not found"),
        ("ping", {"Mcp-Method": "ping"}, 404, -32601, "Method not found"),
        ("ping", {}, 404, -32601, "Method not found"),
    ],
)
async def test_the_headers_of_a_version_without_initialize_are_told(
    house: House, method: str, headers: dict[str, str], status: int, code: int | None, told: str
):
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"_meta": meta} | ({"name": "get_job"} if method == "tools/call" else {})
    sent = {"Authorization": f"Bearer {house.key}", "MCP-Protocol-Version": "2026-07-28", **headers}
    answer = await house.client.post(
        "/mcp", json={"jsonrpc": "2.0", "id": 7, "method": method, "params": params}, headers=sent
    )
    error = answer.json().get("error", {})
    assert (answer.status_code, error.get("code")) == (status, code)
    assert error.get("message", "").startswith(told)


@pytest.mark.parametrize(
    ("params", "told"),
    [
        (None, "`params._meta.io.modelcontextprotocol/protocolVersion` is missing"),
        ({}, "`params._meta.io.modelcontextprotocol/protocolVersion` is missing"),
        ({"_meta": None}, "`params._meta.io.modelcontextprotocol/protocolVersion` is missing"),
        ({"_meta": {}}, "`params._meta.io.modelcontextprotocol/protocolVersion` is missing"),
        (
            {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}},
            "`params._meta.io.modelcontextprotocol/clientCapabilities` is missing",
        ),
        ({"_meta": []}, "`params._meta` must be an object"),
    ],
)
async def test_what_a_version_without_initialize_needs_is_named_in_the_order_of_the_guide(
    house: House, params: Any, told: str
):
    sent = {"Authorization": f"Bearer {house.key}", "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list"}
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/list"} | ({} if params is None else {"params": params})
    answer = await house.client.post("/mcp", json=message, headers=sent)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["message"]) == (400, -32602, told)


@pytest.mark.parametrize(
    ("versions", "status", "code"),
    [
        ([], 200, None),
        (["2025-06-18"], 200, None),
        (["2025-06-18", "2026-07-28"], 200, None),
        (["2026-07-28", "2025-06-18"], 400, -32020),
        (["2026-07-28", "2026-07-28"], 400, -32020),
    ],
)
async def test_the_first_header_of_the_version_decides(
    house: House, versions: list[str], status: int, code: int | None
):
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    sent = [("Authorization", f"Bearer {house.key}"), ("Mcp-Method", "tools/list")]
    sent += [("MCP-Protocol-Version", version) for version in versions]
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {"_meta": meta}}
    answer = await house.client.post("/mcp", json=message, headers=sent)
    assert (answer.status_code, answer.json().get("error", {}).get("code")) == (status, code)


async def test_an_unknown_version_is_told_with_those_there_are(house: House):
    headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {house.key}"}
    sent = {**headers, "MCP-Protocol-Version": "1.0"}
    answer = await house.client.post("/mcp", json={"jsonrpc": "2.0", "id": 7, "method": "ping"}, headers=sent)
    body = answer.json()
    assert (answer.status_code, body["id"]) == (400, 7)
    assert body["error"]["message"].startswith("Unknown version")
    assert "2025-06-18" in body["error"]["message"]
    assert body["error"]["data"]["supported"] == ["2026-07-28"]
    assert body["error"]["message"].endswith("and without it 2026-07-28")


@pytest.mark.parametrize(
    ("query", "headers", "status", "code", "told"),
    [
        ("", {"Content-Type": "text/plain"}, 415, "unsupported_media_type", "It came as text/plain"),
        ("", {"Content-Type": ";;;"}, 415, "unsupported_media_type", "cannot be read"),
        ("", {"Content-Type": "application/json; charset=iso-8859-1"}, 415, "unsupported_media_type", "UTF-8"),
        (
            "",
            {"Content-Encoding": "gzip"},
            415,
            "unsupported_media_type",
            "read. Send it as it is, without the header `Content-En",
        ),
        ("", {"Accept": "text/html"}, 406, "not_acceptable", "application/json"),
        ("", {"Accept": "application/json;q=0, */*"}, 406, "not_acceptable", "application/json"),
        ("?foo=1", {}, 400, "invalid_parameter", "`foo`"),
    ],
)
async def test_what_is_wrong_before_a_message_is_read_is_a_problem_as_everywhere(
    house: House, query: str, headers: dict[str, str], status: int, code: str, told: str
):
    sent = {"Content-Type": "application/json", "Authorization": f"Bearer {house.key}", **headers}
    answer = await house.client.post(f"/mcp{query}", content=PING, headers=sent)

    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert told in answer.json()["detail"]


@pytest.mark.parametrize("accept", [[], ["application/json"], ["*/*"], ["text/event-stream", "application/json;q=0.5"]])
async def test_every_accept_header_that_takes_json_is_taken(house: House, accept: list[str]):
    house.client.headers.pop("accept")
    sent = [("Content-Type", "application/json"), ("Authorization", f"Bearer {house.key}")]
    answer = await house.client.post("/mcp", content=PING, headers=[*sent, *(("Accept", kind) for kind in accept)])

    assert (answer.status_code, answer.json()["result"]) == (200, {})


async def send_message(house: House, content: bytes | AsyncIterator[bytes]) -> tuple[int, str | int, str]:
    headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {house.key}"}
    sent = {**headers, "Content-Type": "application/json"}
    answer = await house.client.post("/mcp", content=content, headers=sent)
    problem = answer.json()
    fault = problem.get("error", problem)
    return answer.status_code, fault["code"], fault.get("detail") or fault["message"]


async def test_a_message_has_the_limits_of_a_body(house: House):
    """The limits apply before the library reads the body, because it limits neither values nor nesting and has no
    timeout.
    """

    async def endless() -> AsyncIterator[bytes]:
        yield b'{"jsonrpc":'
        await asyncio.sleep(3_600)

    begin, end = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"a": [', b"1]}}"
    status, code, detail = await send_message(house, begin + b"[]," * 200_000 + end)
    assert (status, code) == (400, -32700)
    assert "200,000 values" in detail
    status, code, detail = await send_message(house, begin + b",".join(b'{"k":1}' for _ in range(10_000)) + b"," + end)
    assert (status, code) == (400, -32700)
    assert "10,005 keys; 10,000 are allowed" in detail
    status, code, detail = await send_message(house, endless())
    assert (status, code) == (408, "request_timeout")
    assert "seconds" in detail
    status, code, _ = await send_message(house, begin + b" " * 1024 * 1024 + end)
    assert (status, code) == (413, "body_too_large")


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
@pytest.mark.parametrize("version", ["2025-06-18", "2030-01-01"])
async def test_there_is_no_stream_and_no_session(house: House, method: str, version: str):
    """A stream would stay open after its key is revoked."""
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {house.key}", "MCP-Protocol-Version": version}
    async with asyncio.timeout(10):
        answer = await house.client.request(method, "/mcp", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"
