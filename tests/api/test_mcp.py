"""`/mcp` with the protocol's own client: flows are tools, calls are jobs, keys and limits count."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx2
import pytest
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from sqlalchemy import event

from engine.actions.flows import change_flow_settings
from storage.jobs import JobFilters, list_jobs
from tests.api.arrange import SERVER, House, echo_document


@contextlib.asynccontextmanager
async def session(house: House, key: str | None = None) -> AsyncIterator[ClientSession]:
    client = httpx2.AsyncClient(
        transport=httpx2.ASGITransport(house.api), headers={"Authorization": f"Bearer {key or house.key}"}
    )
    async with (
        client,
        streamable_http_client(f"{SERVER}/mcp", http_client=client) as streams,
        ClientSession(streams[0], streams[1]) as opened,
    ):
        await opened.initialize()
        yield opened


def offer(house: House, flow_id: str = "") -> None:
    house.database.write_now(change_flow_settings, house.principal, flow_id or house.flow_id, {"mcp": True})


async def end_next(house: House, status: str = "completed", **options) -> None:
    """Does a worker's work as soon as there is some."""
    while True:
        page = house.database.read_now(
            list_jobs, house.principal.workspace_id, JobFilters(statuses=("queued",)), 1, None
        )
        if page.jobs:
            house.finish(page.jobs[0].id, status, **options)
            return
        await asyncio.sleep(0.01)


async def test_a_flow_is_no_tool_until_it_is_offered(house: House):
    async with session(house) as client:
        assert (await client.list_tools()).tools == []
        offer(house)
        (tool,) = (await client.list_tools()).tools

    assert (tool.name, tool.title) == ("summarise_a_page", "Summarise a page")
    assert tool.input_schema["required"] == ["url"]
    assert set(tool.input_schema["properties"]) == {"url", "max_pages", "tags"}


async def test_a_version_is_read_once_for_all_listings(house: House):
    offer(house)
    read: list[str] = []

    def note(connection, cursor, statement: str, *rest) -> None:
        read.extend([statement] if "flow_versions" in statement else [])

    async with session(house) as client:
        (before,) = (await client.list_tools()).tools
        event.listen(house.database.read_engine, "before_cursor_execute", note)
        (again,) = (await client.list_tools()).tools
        assert read == []
        house.change_flow(echo_document([{"name": "url", "type": "string"}]))
        (newer,) = (await client.list_tools()).tools

    assert again == before
    assert set(newer.input_schema["properties"]) == {"url"}


async def test_a_call_is_a_job_and_answers_with_its_result(house: House):
    offer(house)
    async with session(house) as client:
        worker = asyncio.create_task(end_next(house, result=('{"text": "Read it"}', 19)))
        answer = await client.call_tool("summarise_a_page", {"url": "https://a.example/"})
        await worker

    assert not answer.is_error
    assert answer.structured_content == {"text": "Read it"}
    assert answer.content[0].text == '{"text": "Read it"}'
    (job,) = house.database.read_now(list_jobs, house.principal.workspace_id, JobFilters(), 10, None).jobs
    assert (job.environment, job.counted) == ("live", True)


async def test_a_job_that_failed_says_why(house: House):
    from tests.api.arrange import FAILED

    offer(house)
    async with session(house) as client:
        worker = asyncio.create_task(end_next(house, "failed", error=FAILED))
        answer = await client.call_tool("summarise_a_page", {"url": "https://a.example/"})
        await worker

    assert answer.is_error
    assert answer.content[0].text.startswith("https://example.com answered 500.")


async def test_a_long_job_answers_with_its_id_and_where_to_ask(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("api.mcp.WAIT_SECONDS", 0.2)
    offer(house)
    async with session(house) as client:
        answer = await client.call_tool("summarise_a_page", {"url": "https://a.example/"})

    assert answer.structured_content["status"] == "queued"
    assert f"GET {SERVER}/public/v1/jobs/{answer.structured_content['job_id']}" in answer.content[0].text


async def test_wrong_arguments_and_full_limits_are_told(house: House):
    offer(house)
    async with session(house) as client:
        wrong = await client.call_tool("summarise_a_page", {"max_pages": "5"})
        unknown = await client.call_tool("no_such_tool", {})
        for _ in range(4):
            await house.client.post(
                f"/public/v1/flows/execute/{house.flow_id}",
                json={"url": "https://a.example/"},
                headers={"Authorization": f"Bearer {house.key}"},
            )
        full = await client.call_tool("summarise_a_page", {"url": "https://a.example/"})

    assert wrong.is_error
    assert "/url: " in wrong.content[0].text
    assert "/max_pages: " in wrong.content[0].text
    assert (unknown.is_error, full.is_error) == (True, True)
    assert "no_such_tool" in unknown.content[0].text


async def test_a_key_sees_only_flows_it_may_call_and_names_stay_apart(house: House):
    other = house.new_flow("Summarise a page")
    offer(house)
    offer(house, other)
    narrow = house.new_key(flow_ids=frozenset({other}))
    async with session(house) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
    async with session(house, narrow.key) as client:
        (only,) = (await client.list_tools()).tools

    assert len(set(names)) == 2
    assert only.name == names[1] != "summarise_a_page"


@pytest.mark.parametrize("key", [None, "fp_live_wrong"])
async def test_without_a_key_there_is_no_tool(house: House, key: str | None):
    headers = {"Accept": "application/json, text/event-stream", **({"Authorization": f"Bearer {key}"} if key else {})}
    answer = await house.client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert "set-cookie" not in answer.headers


async def test_what_is_no_message_is_refused(house: House):
    headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {house.key}"}
    for content in (b"", b"{", b"[]", b'{"jsonrpc": "2.0"}'):
        sent = {**headers, "Content-Type": "application/json"}
        answer = await house.client.post("/mcp", content=content, headers=sent)
        assert 400 <= answer.status_code < 500, content


async def send_message(house: House, content: bytes | AsyncIterator[bytes]) -> tuple[int, str, str]:
    headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {house.key}"}
    sent = {**headers, "Content-Type": "application/json"}
    answer = await house.client.post("/mcp", content=content, headers=sent)
    problem = answer.json()
    return answer.status_code, problem["code"], problem["detail"]


async def test_a_message_has_the_limits_of_a_body(house: House):
    """Before the library reads it: it has no limit for values and depth, and waits for ever."""

    async def endless() -> AsyncIterator[bytes]:
        yield b'{"jsonrpc":'
        await asyncio.sleep(3_600)

    begin, end = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"a": [', b"1]}}"
    for content, word in (
        (begin + b"[]," * 150_000 + end, "200,000 values"),
        (begin + b"[" * 70 + b"]" * 70 + b"," + end, "64 levels"),
        (endless(), "seconds"),
    ):
        status, code, detail = await send_message(house, content)
        assert (status, code) == (400, "invalid_json")
        assert word in detail
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
