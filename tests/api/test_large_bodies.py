"""Large answers are made once for all who read them, sent in pieces, and take no more memory than their share (S29)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

import httpx
import pytest
from starlette.types import Message

from api.app import PIECE_BYTES
from api.http import large_bodies
from api.http.held_calls import Peer
from api.http.large_bodies import LargeBodies
from engine.core.errors import RateLimited, TooManyConnections
from tests.api.arrange import House

MIB = 1024 * 1024


async def large_job(house: House, size: int = MIB, key: str | None = None, flow_id: str = "") -> str:
    """Returns the id of a completed job with a result of about `size` bytes."""
    path = f"/flows/execute/{flow_id or house.flow_id}"
    job_id = (await house.post(path, {"url": "https://a.example"}, key)).json()["job_id"]
    text = json.dumps({"text": "ä" * (size // 2)}, ensure_ascii=False)
    house.finish(job_id, result=(text, len(text.encode())))
    return job_id


def bodies_of(house: House) -> LargeBodies:
    return house.api.state.context.large


async def test_a_large_result_is_the_same_for_all_ways_to_read_it(house: House) -> None:
    job_id = await large_job(house)
    path = f"/jobs/{job_id}"
    read = await house.get(path)
    assert read.json()["result"] == {"text": "ä" * (MIB // 2)}
    assert read.headers["content-length"] == str(len(read.content))
    waited = await house.get(f"{path}?wait=5")
    assert (waited.content, waited.headers["etag"]) == (read.content, read.headers["etag"])
    assert (await house.get(path)).headers["etag"] == read.headers["etag"]
    other = await house.get(f"/jobs/{await large_job(house)}")
    assert other.headers["etag"] != read.headers["etag"]

    await house._call("DELETE", f"{path}/data", None)
    erased = await house.get(path, headers={"If-None-Match": read.headers["etag"]})
    assert (erased.status_code, erased.json()["result"]) == (200, None)
    assert bodies_of(house).taken == 0


async def test_who_asks_for_no_body_or_has_it_needs_no_room_for_one(house: House) -> None:
    path = f"/jobs/{await large_job(house)}"
    etag = (await house.get(path)).headers["etag"]
    bodies_of(house).most = MIB
    assert (await house._call("HEAD", path, None)).headers["etag"] == etag
    assert (await house.get(path, headers={"If-None-Match": etag})).status_code == 304
    refused = await house.get(path)
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (429, "rate_limited", "5")


async def test_no_piece_of_an_answer_is_large(house: House) -> None:
    job_id = await large_job(house)
    batch = await house.post(f"/flows/execute/{house.flow_id}/batch", {"items": [{"url": "https://a.example"}]})
    text = json.dumps({"text": "x" * MIB})
    house.finish(batch.json()["job_ids"][0], result=(text, len(text)))
    pieces: list[int] = []

    async def app(scope, receive, send) -> None:
        async def sent(message: Message) -> None:
            pieces.append(len(message.get("body", b"")))
            await send(message)

        await house.api(scope, receive, sent)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://flows.test") as client:
        headers = {"Authorization": f"Bearer {house.key}"}
        for path in (f"jobs/{job_id}", f"batches/{batch.json()['batch_id']}/results", "openapi.json"):
            pieces.clear()
            whole = await client.get(f"/public/v1/{path}", headers=headers)
            assert whole.status_code == 200
            assert sum(pieces) == len(whole.content) > 2 * PIECE_BYTES
            assert max(pieces) <= PIECE_BYTES


async def test_a_workspace_is_refused_what_would_be_more_than_its_share(house: House) -> None:
    other = house.other_workspace()
    flow_id = house.new_flow(principal=other)
    other_key = house.new_key(principal=other).key
    bodies = bodies_of(house)
    bodies.most = 6 * MIB
    with bodies.body(house.principal.workspace_id, 3 * MIB, Peer()):
        job_id = await large_job(house)
        refused = await house.get(f"/jobs/{job_id}")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
        assert "Your large answers that are still being read have 3 MiB together" in refused.json()["detail"]
        others = await large_job(house, key=other_key, flow_id=flow_id)
        assert (await house.get(f"/jobs/{others}", other_key)).status_code == 200
    assert (await house.get(f"/jobs/{job_id}")).status_code == 200
    assert bodies.taken == 0


async def test_the_oldest_body_of_whoever_has_most_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = LargeBodies(most=8)
    left: list[str] = []
    with contextlib.ExitStack() as stack:

        def read(workspace_id: str, size: int, key: str) -> None:
            stack.enter_context(bodies.body(workspace_id, size, Peer(lambda: left.append(key)), key))

        read("ws_a", 2, "a1")
        read("ws_a", 2, "a2")
        read("ws_a", 2, "a1")
        read("ws_b", 3, "b1")
        with pytest.raises(TooManyConnections):  # the oldest has just come
            read("ws_c", 3, "c1")
        monkeypatch.setattr(large_bodies, "KEPT_SECONDS", 0)
        read("ws_c", 3, "c1")
        assert (left, bodies.taken) == (["a1", "a1"], 8)
        with pytest.raises(RateLimited):
            read("ws_b", 2, "b2")
        with pytest.raises(TooManyConnections):  # nobody has more than it would have
            read("ws_d", 4, "d1")
    assert bodies.taken == 0


async def test_the_documents_of_the_api_count_for_whoever_reads_them(house: House) -> None:
    bodies_of(house).most = 128 * 1024
    of_one = await house.get(f"/openapi/flows/{house.flow_id}.json")
    of_all = await house.client.get("/public/v1/openapi.json", headers={})
    assert [(one.status_code, one.json()["code"]) for one in (of_one, of_all)] == [(429, "rate_limited")] * 2


async def _one_who_does_not_read(house: House, port: int, job_id: str) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, ("127.0.0.1", port))
    head = f"GET /public/v1/jobs/{job_id} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {house.key}\r\n\r\n"
    await loop.sock_sendall(connection, head.encode())
    return connection


@pytest.mark.process
async def test_clients_that_do_not_read_share_one_body_and_are_cut_off(
    house: House, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_bodies, "READ_SECONDS", 1.5)
    monkeypatch.setattr(large_bodies, "BYTES_A_SECOND", 1024 * MIB)
    size = 10 * MIB  # more than the system takes for a connection
    job_id = await large_job(house, size)
    bodies = bodies_of(house)
    async with asyncio.timeout(15):
        connections = [await _one_who_does_not_read(house, port, job_id) for _ in range(5)]
        while sum(len(body.peers) for body in bodies._bodies.values()) < len(connections):
            await asyncio.sleep(0.01)
        assert size <= bodies.taken < size + 100
        while bodies.taken:
            await asyncio.sleep(0.01)
    for connection in connections:
        connection.close()


@pytest.mark.process
async def test_an_answer_of_a_tool_counts_and_ends_its_connection_when_there_is_no_room(
    house: House, port: int
) -> None:
    job_id = await large_job(house, 100 * 1024)
    call = {"name": "get_job", "arguments": {"job_id": job_id}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    headers = {"Authorization": f"Bearer {house.key}", "Accept": "application/json, text/event-stream"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as client:
        assert (await client.post("/mcp", json=message)).json()["result"]["structuredContent"]["job_id"] == job_id
        bodies_of(house).most = 100 * 1024
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await client.post("/mcp", json=message)
    assert bodies_of(house).taken == 0
