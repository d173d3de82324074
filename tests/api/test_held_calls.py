"""Calls that wait, and event streams, take no more connections than leave some to everybody else (S29)."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from api.http.held_calls import HeldCalls
from engine.core.errors import RateLimited, TooManyConnections
from engine.jobs.submit.accept import Caller
from storage.jobs import JobFilters, list_jobs
from tests.api.arrange import House
from tests.api.routes.test_mcp import offer, session

ONE = 4


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


def test_all_workspaces_together_leave_one_in_twenty_connections() -> None:
    held = HeldCalls(100)
    with contextlib.ExitStack() as stack:
        for number in range(95):
            stack.enter_context(held.place(Caller(f"ws_{number % 3}", "key", "live")))
        with pytest.raises(TooManyConnections, match="95 calls wait"):
            stack.enter_context(held.place(Caller("ws_3", "key", "live")))
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(held.place(Caller("ws_1", "key", "live")))
        with pytest.raises(RateLimited):
            stack.enter_context(held.place(Caller("ws_1", "another", "live")))
        stack.enter_context(held.place(Caller("ws_2", "key", "live")))
