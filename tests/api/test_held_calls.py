"""Calls that wait, and event streams, take no more connections than leave some to everybody else (S29)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct

import pytest
from starlette.requests import Request

from api.http.held_calls import HeldCalls
from engine.core.errors import RateLimited, TooManyConnections
from engine.jobs.server import job_waiters
from engine.jobs.submit.accept import Caller
from storage.jobs import JobFilters, list_jobs
from tests.api.arrange import House
from tests.api.routes.test_mcp import offer, session

ONE = 4
#: A request without a connection of its own.
NOBODY = Request({"type": "http"})


@pytest.fixture
def held(house: House) -> HeldCalls:
    held = house.api.state.context.held
    held.connections = 2 * ONE
    return held


def jobs_of(house: House) -> int:
    return len(house.database.read_now(list_jobs, house.principal.workspace_id, JobFilters(), 100, None).jobs)


async def test_a_workspace_whose_calls_hold_half_of_all_connections_is_refused_until_one_ends(
    house: House, held: HeldCalls
) -> None:
    offer(house)
    job_id = (await house.submit()).json()["job_id"]
    batch = await house.post(f"/flows/execute/{house.flow_id}/batch", {"items": [{"url": "https://a.example"}]})
    batch_id = batch.json()["batch_id"]
    second_key = house.new_key().key
    kinds = (
        lambda: house.get(f"/jobs/{job_id}?wait=60"),
        lambda: house.get(f"/jobs/{job_id}/events", second_key),
        lambda: house.submit(params={"wait": "60"}),
        lambda: house.get(f"/batches/{batch_id}", headers={"Prefer": "wait=60"}),
    )
    waiting = [asyncio.create_task(kind()) for kind in kinds]
    while held.taken < ONE:
        await asyncio.sleep(0.01)
    before = jobs_of(house)

    for kind in kinds:
        refused = await kind()
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.headers["Retry-After"] == "5"
        assert f"{ONE} calls of this workspace wait or follow events" in refused.json()["detail"]
    async with session(house) as client:
        for tool, arguments in (("summarise_a_page", {"url": "https://a.example"}), ("get_job", {"job_id": job_id})):
            told = await client.call_tool(tool, arguments)
            assert told.is_error
            assert f"{ONE} calls of this workspace wait" in str(told.content[0])
    assert jobs_of(house) == before
    for path in (f"/jobs/{job_id}", "/jobs?limit=1", f"/batches/{batch_id}"):
        assert (await house.get(path)).status_code == 200
    assert (await house.submit()).status_code == 202

    house.finish(job_id)
    job, events = await asyncio.gather(*waiting[:2])
    assert (job.json()["status"], events.status_code) == ("completed", 200)
    await _cancelled(waiting[2:])
    assert held.taken == 0
    assert (await house.get(f"/jobs/{job_id}/events")).status_code == 200


async def _cancelled(tasks: list[asyncio.Task]) -> None:
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _request(house: House, path: str, body: object = None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    lines = (
        f"{'GET' if body is None else 'POST'} {path} HTTP/1.1",
        "host: x",
        f"authorization: Bearer {house.key}",
        "content-type: application/json",
        "accept: application/json, text/event-stream",
        f"content-length: {len(content)}",
    )
    return "\r\n".join([*lines, "", ""]).encode() + content


@pytest.mark.process
async def test_the_place_of_a_call_comes_back_when_its_client_has_gone(
    house: House, held: HeldCalls, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_waiters, "READ_AGAIN_SECONDS", 0.05)
    offer(house)
    job_id = (await house.submit()).json()["job_id"]
    items = {"items": [{"url": "https://a.example"}]}
    batch_id = (await house.post(f"/flows/execute/{house.flow_id}/batch", items)).json()["batch_id"]
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    asked = {"name": "get_job", "arguments": {"job_id": job_id}}
    kinds = {
        "submit": _request(house, f"/public/v1/flows/execute/{house.flow_id}?wait=60", items["items"][0]),
        "job": _request(house, f"/public/v1/jobs/{job_id}?wait=60"),
        "batch": _request(house, f"/public/v1/batches/{batch_id}?wait=60"),
        "events": _request(house, f"/public/v1/jobs/{job_id}/events"),
        "tool": _request(house, "/mcp", {**call, "params": asked}),
        "tool that asks for progress": _request(
            house, "/mcp", {**call, "params": {**asked, "_meta": {"progressToken": 1}}}
        ),
    }
    waiting = house.api.state.context.waiters._waiting

    def readers() -> int:
        return sum(map(len, waiting.values()))

    for name, request in kinds.items():
        for leaves in ("is cut off", "closes"):
            before = readers()
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            async with asyncio.timeout(30):
                while not held.taken or readers() == before:
                    await asyncio.sleep(0.01)
            if leaves == "is cut off":  # by a reset
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.close()
            try:
                async with asyncio.timeout(1):
                    while held.taken or (leaves == "is cut off" and readers() > before):
                        await asyncio.sleep(0.01)
            except TimeoutError:
                pytest.fail(f"{name}: a client {leaves}, {held.taken} places and {readers() - before} readers are left")


@pytest.mark.process
async def test_who_sends_nothing_more_is_answered_at_the_end_of_the_job_and_has_no_place(
    house: House, held: HeldCalls, port: int
) -> None:
    job_id = (await house.submit()).json()["job_id"]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_request(house, f"/public/v1/jobs/{job_id}?wait=60"))
    writer.write_eof()
    async with asyncio.timeout(30):
        while not house.api.state.context.waiters._waiting:
            await asyncio.sleep(0.01)
        assert held.taken == 0
        house.finish(job_id)
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"status":"completed"' in answer


def test_all_workspaces_together_leave_one_in_twenty_connections() -> None:
    held = HeldCalls(100)
    with contextlib.ExitStack() as stack:
        for number in range(95):
            stack.enter_context(held.place(Caller(f"ws_{number % 3}", "key", "live"), NOBODY))
        with pytest.raises(TooManyConnections, match="95 calls wait"):
            stack.enter_context(held.place(Caller("ws_3", "key", "live"), NOBODY))
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(held.place(Caller("ws_1", "key", "live"), NOBODY))
        with pytest.raises(RateLimited):
            stack.enter_context(held.place(Caller("ws_1", "another", "live"), NOBODY))
        stack.enter_context(held.place(Caller("ws_2", "key", "live"), NOBODY))
