"""While calls keep coming: a rollback, a key that is rotated and revoked, and 64 callers who share four slots."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from engine.actions.deployments import deploy
from engine.actions.flows import save_draft
from engine.actions.keys import create_key, revoke_key, rotate_key
from engine.actions.limits import set_plan
from engine.actions.principal import Principal
from storage.database import Database
from storage.flows import get_draft
from storage.models import ApiKeySecret
from tests.factories import document, greeting
from tests.live import flows
from tests.live.caller import ENDED
from tests.live.test_endings import worker_of

CALLS_A_SECOND = 50
TEXTS = {1: "one", 2: "two", 3: "three"}


@pytest.fixture(scope="module")
def store(terminal) -> Database:
    return terminal.store


@pytest.fixture(scope="module")
def owner(terminal) -> Principal:
    return terminal.owner


@pytest.fixture
async def client(server) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=64)
    async with httpx.AsyncClient(base_url=f"{server.url}/public/v1", timeout=60, limits=limits) as made:
        yield made


@dataclass(frozen=True)
class Call:
    """One request and its answer. Moments in milliseconds of the wall clock, as the server keeps them."""

    sent: float
    answered: float
    status: int
    body: Any


async def call(client: httpx.AsyncClient, key: str, method: str, path: str, **options: Any) -> Call:
    headers = {"Authorization": f"Bearer {key}"} | options.pop("headers", {})
    sent = time.time() * 1000
    answer = await client.request(method, path, headers=headers, **options)
    return Call(sent, time.time() * 1000, answer.status_code, answer.json())


async def keep_calling(until: asyncio.Event, one: Any, calls_a_second: int = CALLS_A_SECOND) -> list[Call]:
    """Sends `one(n)` so many times a second, whether or not earlier ones were answered, until the event is set."""
    began, running = time.monotonic(), []
    while not until.is_set():
        running.append(asyncio.create_task(one(len(running))))
        await asyncio.sleep(max(0, began + len(running) / calls_a_second - time.monotonic()))
    return await asyncio.gather(*running)


async def roll_back(terminal, store: Database, owner: Principal, client: httpx.AsyncClient, pause: float) -> None:
    """Versions 3 -> 2 -> 3 go live under load, with so many seconds between them."""
    flow_id = terminal.flow(greeting("one {{ api_input.out.name }}", title=f"Rolled back after {pause}"))
    for text in ("two", "three"):
        revision = (await store.read(get_draft, owner.workspace_id, flow_id)).revision
        await store.write(save_draft, owner, flow_id, document(greeting(text + " {{ api_input.out.name }}")), revision)
        await store.write(deploy, owner, flow_id)
    await store.write(set_plan, owner, "enterprise", concurrency=-1, monthly=-1)
    key = (await store.write(create_key, owner, "Load", "live")).key
    path, stop = f"/flows/execute/{flow_id}", asyncio.Event()
    load = asyncio.create_task(keep_calling(stop, lambda n: call(client, key, "POST", path, json={"name": f"Ada {n}"})))
    switches = [(0.0, 3)]
    for version in (2, 3):
        await asyncio.sleep(pause)
        await store.write(deploy, owner, flow_id, version=version)
        switches.append((time.time() * 1000, version))
    await asyncio.sleep(pause)
    stop.set()
    calls = await load
    await store.write(set_plan, owner, "free")

    assert {made.status for made in calls} == {202}
    jobs = [await ended(client, key, made.body["job_id"]) for made in calls]
    for number, (made, job) in enumerate(zip(calls, jobs, strict=True)):
        assert job["result"] == {"output": f"{TEXTS[job['flow_version']]} Ada {number}"}, "each runs its own version"
        allowed = [version for at, version in switches if at <= made.sent][-1:]
        allowed += [version for at, version in switches if made.sent < at and made.answered > at - 3_000]
        assert job["flow_version"] in allowed, "a switch that was answered counts for the next call"
    assert Counter(job["flow_version"] for job in jobs).keys() == {2, 3}


async def ended(client: httpx.AsyncClient, key: str, job_id: str) -> dict[str, Any]:
    while (job := (await call(client, key, "GET", f"/jobs/{job_id}?wait=30")).body)["status"] not in ENDED:
        pass
    return job


async def test_a_rollback_under_load_is_seen_at_once_and_each_job_runs_the_version_it_records(
    terminal, store, owner, client
):
    await roll_back(terminal, store, owner, client, pause=1.5)


async def test_a_key_is_rotated_under_load_without_a_401_and_its_old_secret_ends_on_time(
    terminal, store, owner, client
):
    terminal.flow(greeting())
    made = await store.write(create_key, owner, "Rotated", "live")
    new = await store.write(rotate_key, owner, made.id, 4 / 3600)
    secrets = {"old": made.key, "new": new.key}
    stop = asyncio.Event()
    loads = {
        name: asyncio.create_task(keep_calling(stop, lambda n, key=key: call(client, key, "GET", "/flows"), 12))
        for name, key in secrets.items()
    }
    ends = await store.read(
        lambda session: session.query(ApiKeySecret.valid_until).where(ApiKeySecret.last4 == made.last4).scalar()
    )
    await asyncio.sleep(max(0, ends / 1000 + 2.5 - time.time()))
    before_revoked = time.time() * 1000
    await store.write(revoke_key, owner, made.id)
    revoked = time.time() * 1000
    await asyncio.sleep(2.5)
    stop.set()
    calls = {name: await load for name, load in loads.items()}

    assert not [one for one in calls["old"] if one.status != 200 and one.answered < ends], "no 401 in the overlap"
    assert {one.status for one in calls["old"] if one.sent > ends + 1_000} == {401}
    assert not [one for one in calls["new"] if one.status != 200 and one.answered < before_revoked]
    assert {one.status for one in calls["new"] if one.sent > revoked + 1_000} == {401}
    assert {one.status for one in calls["old"] if one.answered < ends} == {200}


async def test_64_callers_on_free_never_hold_a_fifth_slot_and_every_slot_comes_back(
    server, terminal, store, owner, client, site
):
    """Their jobs complete, fail, are cancelled and run out of time, and the worker is killed in the middle."""
    fetch = terminal.flow(flows.one_node(flows.fetch(retries=0), flows.URL, title="Sixty-four"))
    counted_before = (await store.read(usage_of, owner.workspace_id))[1]
    path = f"/flows/execute/{fetch}"
    kinds = {
        "completed": {"json": {"url": site.at("/story")}},
        "failed": {"json": {"url": site.at("/nowhere")}},
        "cancelled": {"json": {"url": site.hold("cancelled")}},
        "timeout": {"json": {"url": site.hold("too-late")}, "headers": {"Cancel-After": "1"}},
    }
    wanted = ["completed", "failed", "cancelled", "completed", "failed", "cancelled", "completed", "timeout"] * 8
    # Each caller has a key of its own: one key may send 50 requests a second.
    keys = [(await store.write(create_key, owner, f"Caller {number}", "live")).key for number in range(len(wanted))]
    accepted: list[str] = []
    statuses: Counter[int] = Counter()
    most, done = 0, asyncio.Event()

    async def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, await store.read(count_active, owner.workspace_id))
            await asyncio.sleep(0.01)

    async def kill_the_worker() -> None:
        while len(accepted) < 16:
            await asyncio.sleep(0.02)
        pid = worker_of(server)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    async def submit_until_accepted(kind: str, key: str) -> tuple[str, dict[str, Any]]:
        while True:
            made = await call(client, key, "POST", path, **kinds[kind])
            statuses[made.status] += 1
            if made.status == 202:
                break
            assert made.body["code"] == "concurrency_limit_exceeded", made.body
            await asyncio.sleep(random.uniform(0.1, 0.3))
        accepted.append(made.body["job_id"])
        if kind == "cancelled":
            await call(client, key, "POST", f"/jobs/{accepted[-1]}/cancel")
        return kind, await ended(client, key, made.body["job_id"])

    watching, killing = asyncio.create_task(watch()), asyncio.create_task(kill_the_worker())
    jobs = await asyncio.gather(*map(submit_until_accepted, wanted, keys))
    await killing
    done.set()
    await watching

    assert statuses.keys() == {202, 429}
    assert most == 4
    for kind, job in jobs:
        assert (job["error"] or {}).get("code") == "timeout" if kind == "timeout" else job["status"] == kind, job
    assert await store.read(usage_of, owner.workspace_id) == (0, counted_before + len(wanted)), (
        "quota exact, no slot lost"
    )


def count_active(session: Any, workspace_id: str) -> int:
    """Raw, as the tables say it."""
    said = "select count(*) from jobs where workspace_id = ? and status in ('queued', 'processing')"
    return session.connection().exec_driver_sql(said, (workspace_id,)).scalar_one()


def usage_of(session: Any, workspace_id: str) -> tuple[int, int]:
    """Slots in use and requests of the month, as the counters say it."""
    said = "select active, month_count from usage where subject = ?"
    return tuple(session.connection().exec_driver_sql(said, (workspace_id,)).one())


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_rollback_under_load_holds_for_long(terminal, store, owner, client):
    await roll_back(terminal, store, owner, client, pause=20)  # last: it uses up the requests of this month
