"""Keys that are limited to some flows, and keys that become invalid while a request waits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from msgspec.structs import replace

from api.app import ROUTES
from api.routes.batches import JsonLines
from api.routes.events import EventStream
from engine.actions.flows import change_flow_settings
from engine.actions.keys import change_key, revoke_key
from engine.core.clock import HOUR, MovedClock
from storage.job_changes import claim_job
from storage.keys import get_key
from tests.api.arrange import House, open_house

BODY = {"url": "https://example.com"}
STREAMED = {"events": EventStream.media_type, "results": JsonLines.media_type}
#: Every route with the id of a job or batch. It is derived from ROUTES, so that a new route is tested automatically.
OF_SOMETHING = [
    (method, route.path, STREAMED.get(route.path.rpartition("/")[2], "application/json"))
    for route in ROUTES
    for method in route.methods
    if "{job_id}" in route.path or "{batch_id}" in route.path
]


@pytest.fixture
async def house(new_data: Path) -> AsyncIterator[House]:
    async with open_house(new_data, MovedClock(), "enterprise") as made:
        yield made


@pytest.fixture
def other_flow(house: House) -> str:
    return house.new_flow("Another flow")


@pytest.fixture
def limited(house: House, other_flow: str) -> str:
    """A key for the other flow only."""
    return house.new_key(flow_ids=[other_flow]).key


async def accepted(house: House, **options) -> str:
    return (await house.submit(**options)).json()["job_id"]


async def batch_of(house: House, flow_id: str, key: str | None = None) -> str:
    answer = await house.post(f"/flows/execute/{flow_id}/batch", {"items": [BODY]}, key)
    return answer.json()["batch_id"]


async def ask(house: House, method: str, path: str, kind: str, key: str, thing: str) -> httpx.Response:
    address = path.format(job_id=thing, batch_id=thing, question_id="ask_x")
    body = {"approved": True} if "{question_id}" in path else None
    return await house.client.request(
        method, address, json=body, headers={"Authorization": f"Bearer {key}", "Accept": kind, "X-Request-Id": "same"}
    )


@pytest.mark.parametrize(("method", "path", "kind"), OF_SOMETHING)
async def test_a_limited_key_finds_nothing_of_other_flows(
    house: House, limited: str, method: str, path: str, kind: str
):
    job_id, batch_id = await accepted(house), await batch_of(house, house.flow_id)
    thing, unknown = (batch_id, "batch_" + "x" * 22) if "{batch_id}" in path else (job_id, "job_" + "x" * 22)

    answer = await ask(house, method, path, kind, limited, thing)
    of_unknown = await ask(house, method, path, kind, limited, unknown)

    assert answer.status_code == of_unknown.status_code == 404
    assert answer.text.replace(thing, unknown) == of_unknown.text
    assert sorted(answer.headers) == sorted(of_unknown.headers)
    assert (await house.get(f"/jobs/{job_id}")).json()["status"] == "queued", "it was not touched either"


#: What is asked of a job is in `tests/api/routes/test_questions.py`: there is a question only while a job waits.
FOUND = [one for one in OF_SOMETHING if "{question_id}" not in one[1]]


@pytest.mark.parametrize(("method", "path", "kind"), FOUND)
async def test_a_limited_key_finds_what_belongs_to_its_flows(
    house: House, limited: str, other_flow: str, method: str, path: str, kind: str
):
    batch_id = await batch_of(house, other_flow, limited)
    job_id = (await house.get(f"/batches/{batch_id}", limited)).json()["job_ids"][0]
    if kind == EventStream.media_type or method == "DELETE":
        house.finish(job_id)  # otherwise the stream would not end, and the data could not be erased

    answer = await ask(house, method, path, kind, limited, batch_id if "{batch_id}" in path else job_id)

    assert answer.status_code == 200


async def test_lists_hold_only_jobs_of_flows_that_the_key_may_call(house: House, limited: str, other_flow: str):
    await accepted(house)
    mine = (await house.post(f"/flows/execute/{other_flow}", BODY)).json()["job_id"]

    everything = (await house.get("/jobs", limited)).json()
    of_another = (await house.get(f"/jobs?flow_id={house.flow_id}", limited)).json()
    of_none = (await house.get("/jobs?flow_id=flow_unknown", limited)).json()

    assert [job["job_id"] for job in everything["data"]] == [mine]
    assert of_another == of_none == {"data": [], "next_cursor": None}


async def test_a_key_that_may_call_no_flow_sees_no_job(house: House):
    await accepted(house)
    nothing = house.new_key(flow_ids=[]).key
    assert (await house.get("/jobs", nothing)).json()["data"] == []


@pytest.mark.parametrize("kind", ["", "/batch"])
async def test_a_replay_is_refused_when_the_key_may_not_call_the_flow(house: House, limited: str, kind: str):
    path, body = f"/flows/execute/{house.flow_id}{kind}", {"items": [BODY]} if kind else BODY
    first = await house.post(path, body, headers={"Idempotency-Key": "once"})

    replay = await house.post(path, body, limited, headers={"Idempotency-Key": "once"})
    fresh = await house.post(path, body, limited)

    assert (first.status_code, replay.status_code, fresh.status_code) == (202, 403, 403)
    assert replay.json()["code"] == fresh.json()["code"] == "not_allowed"
    again = await house.post(path, body, headers={"Idempotency-Key": "once"})
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_limited_key_learns_nothing_of_flows_there_are_not(house: House, limited: str):
    answer = await house.post("/flows/execute/flow_unknown", BODY, limited, headers={"Idempotency-Key": "once"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


# Keys that become invalid while a request waits.


@pytest.mark.parametrize("how", ["revoked", "expired", "limited to another flow"])
@pytest.mark.parametrize("call", ["read", "submit"])
async def test_a_call_that_waits_is_refused_when_its_key_counts_no_more(
    house: House, other_flow: str, how: str, call: str
):
    made = house.new_key(expires_at=house.clock.now() + HOUR)
    job_id = await accepted(house)
    if call == "read":
        waiting = asyncio.create_task(house.get(f"/jobs/{job_id}?wait=60", made.key))
    else:
        waiting = asyncio.create_task(house.post(f"/flows/execute/{house.flow_id}?wait=60", BODY, made.key))
        job_id = await next_job(house, job_id)
    await until_somebody_waits(house, job_id)

    take_away(house, made.id, how, other_flow)
    house.finish(job_id)

    answer = await waiting
    assert answer.status_code == (404 if how.startswith("limited") else 401)
    assert "result" not in answer.json()


@pytest.mark.process
@pytest.mark.parametrize("how", ["revoked", "expired", "limited to another flow"])
async def test_an_open_stream_ends_when_its_key_counts_no_more(house: House, address: str, other_flow: str, how: str):
    made = house.new_key(expires_at=house.clock.now() + HOUR)
    job_id = await accepted(house)
    house.database.write_now(claim_job, "boot_test", job_id)
    async with (
        httpx.AsyncClient(timeout=20, headers={"Authorization": f"Bearer {made.key}"}) as client,
        client.stream("GET", f"{address}/jobs/{job_id}/events") as response,
    ):
        pieces = response.aiter_text()
        said = ""
        while "job.processing" not in said:
            said += await anext(pieces)
        take_away(house, made.id, how, other_flow)
        house.end("completed", job_id, "boot_test")

        rest = "".join([piece async for piece in pieces])

    assert rest == "", "neither the end nor a comment is told"


async def test_a_tool_call_that_waits_is_refused_when_its_key_counts_no_more(house: House):
    house.database.write_now(change_flow_settings, house.principal, house.flow_id, {"mcp": True})
    made = house.new_key()
    waiting = asyncio.create_task(call_tool(house, made.key, "summarise_a_page"))
    job_id = await next_job(house)
    await until_somebody_waits(house, job_id)

    house.database.write_now(revoke_key, house.principal, made.id)
    house.finish(job_id)

    result = (await waiting).json()["result"]
    assert result["isError"]
    assert "Read it" not in json.dumps(result)


def take_away(house: House, key_id: str, how: str, other_flow: str) -> None:
    if how == "revoked":
        house.database.write_now(revoke_key, house.principal, key_id)
    elif how == "expired":
        house.clock.offset += 2 * HOUR
    else:
        before = house.database.read_now(get_key, house.principal.workspace_id, key_id).properties
        house.database.write_now(change_key, house.principal, key_id, before, replace(before, flow_ids=[other_flow]))


async def call_tool(house: House, key: str, name: str) -> httpx.Response:
    """Sends an MCP tool call as plain HTTP."""
    return await house.client.post(
        "/mcp",
        json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": BODY}},
        headers={"Authorization": f"Bearer {key}", "Accept": "application/json, text/event-stream"},
    )


async def next_job(house: House, *known: str) -> str:
    """Waits for a job that is not in `known` and returns its id."""
    while True:
        found = [job["job_id"] for job in (await house.get("/jobs")).json()["data"] if job["job_id"] not in known]
        if found:
            return found[0]
        await asyncio.sleep(0.01)


async def until_somebody_waits(house: House, job_id: str) -> None:
    waiters = house.database.info["notifier"]
    while job_id not in waiters._waiting:
        await asyncio.sleep(0.01)


@pytest.fixture
async def address(house: House) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(house.api, port=0, log_level="warning", lifespan="off", ws="none"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/public/v1"
    server.should_exit = True
    await serving
