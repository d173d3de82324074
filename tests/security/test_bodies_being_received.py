"""Bodies and files that are sent slowly keep nobody else's out: whoever has most of the room gives way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import force_setattr

from api.http.json_body import weighed_json
from api.http.shared_room import SLOW, GivenUp, SharedRoom
from api.http.upload import AT_ONCE
from engine.actions.flows import change_flow_settings
from engine.core.clock import MovedClock
from engine.core.errors import TooManyConnections
from storage.jobs import list_jobs
from tests.api.arrange import JSON, SERVER, House, open_house
from tests.api.routes.test_hooks import BODY, Hooks, hook_path

Send = Callable[[AsyncIterator[bytes]], Coroutine[Any, Any, httpx.Response]]
KIB = 1024


@pytest.fixture
async def house(new_data: Path) -> AsyncIterator[House]:
    async with open_house(new_data, MovedClock()) as made:
        force_setattr(made.api.state.context.bodies.limits, "receive_seconds", 20)
        yield made


@contextlib.asynccontextmanager
async def stalled(send: Send, number: int, *pieces: bytes) -> AsyncIterator[list[asyncio.Task[httpx.Response]]]:
    """Sends requests that stop before their end; none goes on until the block ends, when all are given up."""
    begun = 0

    async def parts() -> AsyncIterator[bytes]:
        nonlocal begun
        for piece in pieces:
            yield piece
        begun += 1
        await asyncio.sleep(60)
        yield b""

    sent = [asyncio.create_task(send(parts())) for _ in range(number)]
    try:
        async with asyncio.timeout(10):
            while begun + sum(task.done() for task in sent) < number:
                await asyncio.sleep(0.005)
        yield sent
    finally:
        for task in sent:
            task.cancel()
        await asyncio.gather(*sent, return_exceptions=True)


@pytest.mark.parametrize("path", ["/public/v1/flows/execute/{flow_id}", "/mcp"])
async def test_one_key_keeps_the_bodies_of_no_other_workspace_out(house: House, path: str):
    other = house.other_workspace()
    others_flow, others_key = house.new_flow(principal=other), house.new_key(principal=other).key

    def send(parts: AsyncIterator[bytes]) -> Coroutine[Any, Any, httpx.Response]:
        headers = {"Authorization": f"Bearer {house.key}", "Content-Type": JSON}
        return house.client.post(path.format(flow_id=house.flow_id), content=parts, headers=headers)

    async with stalled(send, 2, b"{" + b" " * 700 * KIB):
        large = {"url": "https://example.com/" + "x" * 700 * KIB}
        answer = await house.post(f"/flows/execute/{others_flow}", large, others_key)
    assert answer.status_code == 202
    assert house.api.state.context.bodies.room.taken == 0


@pytest.mark.parametrize("network", ["203.0.113.9", "203.0.113.7"], ids=["another network", "the same network"])
async def test_strangers_at_a_hook_keep_the_calls_of_no_other_hook_out(house: House, network: str):
    other = house.other_workspace()
    others_hook = Hooks(
        House(house.database, house.api, other, house.clock, house.client, "", house.new_flow(principal=other))
    ).add()
    hooks, room = Hooks(house), house.api.state.context.hook_bodies.room
    hook, now = hooks.add("github"), 0.0
    room.clock = lambda: now
    stranger = httpx.AsyncClient(
        transport=httpx.ASGITransport(house.api, client=("203.0.113.7", 40_000)), base_url=SERVER
    )
    service = httpx.AsyncClient(transport=httpx.ASGITransport(house.api, client=(network, 40_000)), base_url=SERVER)

    def send(parts: AsyncIterator[bytes]) -> Coroutine[Any, Any, httpx.Response]:
        return stranger.post(hook_path(hook.id, "github"), content=parts, headers={"Content-Type": JSON})

    async with stranger, service, stalled(send, 33, b"x" * 1_000_000) as sent:
        assert room.taken <= room.most_of_one
        refused = [await task for task in sent if task.done()]
        assert {answer.status_code for answer in refused} == {503}
        now += 2  # nothing more has arrived
        large = json.dumps(BODY | {"padding": "x" * 100_000}).encode()
        answer = await service.post(
            hook_path(others_hook.id, "link", others_hook.secret), content=large, headers={"Content-Type": JSON}
        )
    assert answer.status_code == 202
    assert room.taken == 0


async def test_one_key_keeps_the_files_of_no_other_workspace_out(house: House):
    others_key = house.new_key(principal=house.other_workspace()).key
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    form = {"Content-Type": "multipart/form-data; boundary=x"}

    def send(parts: AsyncIterator[bytes]) -> Coroutine[Any, Any, httpx.Response]:
        return house.post("/files", content=parts, headers=form)

    async with stalled(send, AT_ONCE, head, b"text") as sent:
        answer = await house.post("/files", content=head + b"text\r\n--x--\r\n", key=others_key, headers=form)
        assert answer.status_code == 201
        (given_up,) = [await task for task in sent if task.done()]
    assert (given_up.status_code, given_up.json()["code"]) == (503, "too_many_connections")


async def test_who_has_most_gives_way_and_slow_ones_first():
    now, ended = 0.0, list[str]()
    room = SharedRoom(100, 60, "full", clock=lambda: now)
    tasks: list[asyncio.Task[None]] = []

    async def hold(name: str, owner: str, size: int) -> None:
        with contextlib.suppress(GivenUp, TooManyConnections), room.place(owner) as place:
            async with place.within(60):
                place.arrived(size)
                place.take(size)
                await asyncio.sleep(60)
        ended.append(name)

    async def send(name: str, owner: str, size: int) -> None:
        tasks.append(asyncio.create_task(hold(name, owner, size)))
        for _ in range(5):
            await asyncio.sleep(0)

    try:
        await send("a1", "a", 30)
        await send("a2", "a", 30)
        await send("a3", "a", 10)
        assert ended == ["a3"], "an owner has his share, and nothing was slow yet"
        await send("b1", "b", 40)
        await send("c1", "c", 20)
        assert ended == ["a3", "a2"], "who has most gives way, with what he sent last"
        await send("c2", "c", 25)
        assert ended == ["a3", "a2", "c2"], "who has most after it gets nothing himself"
        now = 2.0
        await send("c3", "c", 30)
        assert ended == ["a3", "a2", "c2", "c1"], "what is slow of his own makes room for it"
        now = 3.0
        await send("d1", "d", 10)
        assert ended[4:] == ["b1"], "what is slow gives way first"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert room.taken == 0


def test_what_arrives_at_a_fair_pace_is_not_slow():
    now = 0.0
    room = SharedRoom(20, 10, "full", clock=lambda: now)
    with room.place("a") as place, room.place("b") as trickling:
        for second in range(4):
            now = float(second)
            place.arrived(2 * SLOW)
            trickling.arrived(1)
            assert not place.is_slow(now + 0.5)
        assert trickling.is_slow(now + 0.5)
        assert place.is_slow(now + 60)
        place.take(11)  # a single one may have more than the share
    with room.place("a") as place, room.place("a") as second_one:
        place.take(6)
        with pytest.raises(TooManyConnections):
            second_one.take(6)


@pytest.mark.parametrize("way", ["mcp", "submit"])
async def test_whoever_waits_for_a_job_keeps_nothing_of_its_input(house: House, way: str):
    house.database.write_now(change_flow_settings, house.principal, house.flow_id, {"mcp": True})
    headers = {"Authorization": f"Bearer {house.key}", "Content-Type": JSON, "MCP-Protocol-Version": "2025-06-18"}

    def message(url: str, **more: Any) -> bytes:
        params = {"name": "summarise_a_page", "arguments": {"url": url}, **more}
        return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()

    async def call(content: bytes) -> httpx.Response:
        return await house.client.post("/mcp", content=content, headers=headers)

    assert (await call(message("no address"))).json()["result"]["isError"]  # loads the library
    refused = (await call(message("https://example.com/", _meta={"a": "x" * 70_000}))).json()
    assert "64 KiB beside its `arguments`" in refused["error"]["message"]

    long = "https://example.com/" + "x" * 900 * KIB
    content = message(long) if way == "mcp" else json.dumps({"url": long}).encode()
    path = f"/public/v1/flows/execute/{house.flow_id}?wait=20"
    assert (await house.submit()).status_code == 202
    seen = len(house.database.read_now(list_jobs, house.principal.workspace_id).jobs)
    tracemalloc.start()
    try:
        waits = asyncio.create_task(
            call(content) if way == "mcp" else house.client.post(path, content=content, headers=headers)
        )
        async with asyncio.timeout(10):
            while len(jobs := house.database.read_now(list_jobs, house.principal.workspace_id).jobs) == seen:
                await asyncio.sleep(0.01)
            while tracemalloc.get_traced_memory()[0] > 600 * KIB:  # less than one copy of the text
                await asyncio.sleep(0.01)
    finally:
        tracemalloc.stop()
    house.finish(jobs[0].id)
    assert (await waits).status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        "[" + "[]," * 20_000 + "1]",
        "[" + "{}," * 20_000 + "1]",
        "[" + '{"a":1},' * 5_000 + "1]",
        "{" + ",".join(f'"k{number}":{number}.5' for number in range(9_000)) + "}",
        "[" + '"ab",' * 20_000 + "1]",
        '"' + "x" * 500_000 + '"',
        '"' + "x" * 500_000 + '\U0001f388"',
        '"' + "x" * 500_000 + '\\ud83c\\udf88"',
    ],
)
def test_what_a_body_takes_in_memory_is_known_before_it_is_kept(text: str):
    body = text.encode()
    _, weight = weighed_json(body)
    tracemalloc.start()
    try:
        value, _ = weighed_json(body)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert value
    assert 0.7 * taken < weight < 5 * taken


async def test_large_bodies_that_wait_to_be_read_give_way_too(house: House):
    other = house.other_workspace()
    others_flow, others_key = house.new_flow(principal=other), house.new_key(principal=other).key
    threads, workspace_id, gate = (
        house.api.state.context.bodies.threads,
        house.principal.workspace_id,
        threading.Event(),
    )
    url = "https://example.com/"
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(threads.run(workspace_id, "", gate.wait, 15))
        waits = group.create_task(house.submit({"url": url + "x" * 950 * KIB}))
        while not threads.waiting(workspace_id, ""):
            await asyncio.sleep(0)
        answer = await house.post(f"/flows/execute/{others_flow}", {"url": url + "x" * 700 * KIB}, others_key)
        assert answer.status_code == 202
        assert not threads.waiting(workspace_id, "")
        gate.set()
    assert (waits.result().status_code, waits.result().json()["code"]) == (503, "too_many_connections")
