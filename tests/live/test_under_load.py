"""A rollback, and the rotation and revocation of a key, while calls keep arriving."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from engine.actions.deployments import deploy
from engine.actions.flows import save_draft
from engine.actions.keys import create_key, revoke_key, rotate_key
from storage.flows import get_draft
from storage.tables import ApiKeySecret
from tests.factories import document, greeting
from tests.live.caller import ENDED, Terminal
from tests.live_server import TLS

CALLERS = 4
TEXTS = {1: "one", 2: "two", 3: "three"}


@pytest.fixture
def unlimited(server) -> Terminal:
    return Terminal.new(server, "enterprise")


@pytest.fixture
async def client(server) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=64)
    async with httpx.AsyncClient(base_url=f"{server.url}/public/v1", timeout=60, limits=limits, verify=TLS) as made:
        yield made


@dataclass(frozen=True)
class Call:
    """One request and its response, with times of the test process's clock."""

    number: int

    sent: float
    answered: float
    status: int
    body: Any


async def call(client: httpx.AsyncClient, key: str, method: str, path: str, number: int = 0, **options: Any) -> Call:
    headers = {"Authorization": f"Bearer {key}"} | options.pop("headers", {})
    sent = time.monotonic()
    answer = await client.request(method, path, headers=headers, **options)
    return Call(number, sent, time.monotonic(), answer.status_code, answer.json())


class Load:
    """Callers that send their next call as soon as the previous one is answered, until they are stopped."""

    def __init__(self, one: Callable[[int], Awaitable[Call]], callers: int = CALLERS) -> None:
        self.calls: list[Call] = []
        self._numbers = itertools.count()
        self._one = one
        self._stop = False
        self._callers = [asyncio.create_task(self._keep_calling()) for _ in range(callers)]

    async def _keep_calling(self) -> None:
        while not self._stop:
            self.calls.append(await self._one(next(self._numbers)))
            if self.calls[-1].status == 401:
                await asyncio.sleep(0.2)  # without a valid key, one address may send 50 calls a second

    async def more(self, count: int) -> None:
        """Waits for `count` more answers to calls that are sent from now on."""
        now = time.monotonic()
        while sum(made.sent > now for made in self.calls) < count:
            for caller in self._callers:
                assert not caller.done(), caller.exception()
            await asyncio.sleep(0.01)

    async def stop(self) -> list[Call]:
        """Stops the callers and returns all calls, each with its answer."""
        self._stop = True
        await asyncio.gather(*self._callers)
        return self.calls


@dataclass(frozen=True)
class Switch:
    """A change. It must be in effect for every call sent after `done`, and for none answered before `began`."""

    began: float
    done: float

    @classmethod
    async def of(cls, change: Awaitable[Any]) -> Switch:
        began = time.monotonic()
        await change
        return cls(began, time.monotonic())


async def roll_back(terminal: Terminal, client: httpx.AsyncClient, wait: Callable[[Load], Awaitable[Any]]) -> None:
    """Deploys versions 3, 2 and 3 again under load; `wait` waits while each is live."""
    store, owner = terminal.store, terminal.owner
    flow_id = terminal.made(greeting("one {{ api_input.out.name }}", title="Rolled back"))
    await store.write(deploy, owner, flow_id)
    for text in ("two", "three"):
        revision = (await store.read(get_draft, owner.workspace_id, flow_id)).revision
        await store.write(save_draft, owner, flow_id, document(greeting(text + " {{ api_input.out.name }}")), revision)
        await store.write(deploy, owner, flow_id)
    key, path = terminal.caller("Load").key, f"/flows/execute/{flow_id}"
    load = Load(lambda n: call(client, key, "POST", path, n, json={"name": f"Ada {n}"}))
    await wait(load)
    switches = []
    for version in (2, 3):
        switches.append((await Switch.of(store.write(deploy, owner, flow_id, version=version)), version))
        await wait(load)
    calls = await load.stop()

    assert {made.status for made in calls} == {202}
    jobs = [await ended(client, key, made.body["job_id"]) for made in calls]
    for made, job in zip(calls, jobs, strict=True):
        assert job["result"] == {"output": f"{TEXTS[job['flow_version']]} Ada {made.number}"}, "each runs its version"
        allowed = [3, *(version for switch, version in switches if switch.done <= made.sent)][-1:]
        allowed += [version for switch, version in switches if made.sent < switch.done and made.answered > switch.began]
        assert job["flow_version"] in allowed, "a switch that was answered counts for the next call"
    assert Counter(job["flow_version"] for job in jobs).keys() == {2, 3}


async def ended(client: httpx.AsyncClient, key: str, job_id: str) -> dict[str, Any]:
    while (job := (await call(client, key, "GET", f"/jobs/{job_id}?wait=30")).body)["status"] not in ENDED:
        pass
    return job


async def test_a_rollback_under_load_is_seen_at_once_and_each_job_runs_the_version_it_records(unlimited, client):
    await roll_back(unlimited, client, lambda load: load.more(20))


async def test_a_key_is_rotated_under_load_without_a_401_and_ends_when_it_is_revoked(unlimited, client):
    store, owner = unlimited.store, unlimited.owner
    made = await store.write(create_key, owner, "Rotated", "live")
    old = Load(lambda n: call(client, made.key, "GET", "/flows", n), 2)
    await old.more(10)
    renewed = await store.write(rotate_key, owner, made.id, 1)
    new = Load(lambda n: call(client, renewed.key, "GET", "/flows", n), 2)
    await old.more(10)
    await new.more(10)
    over = update(ApiKeySecret).where(ApiKeySecret.last4 == made.last4).values(valid_until=1)
    # the overlap of the old secret has ended
    overlap = await Switch.of(store.write(lambda session: session.execute(over)))
    await old.more(10)
    await new.more(10)
    revoked = await Switch.of(store.write(revoke_key, owner, made.id))
    await new.more(10)

    for load, end in ((old, overlap), (new, revoked)):
        calls = await load.stop()
        assert {one.status for one in calls if one.answered <= end.began} == {200}, "no 401 before"
        assert {one.status for one in calls if one.sent >= end.done} == {401}, "and nothing else after"


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_rollback_under_load_holds_for_long(unlimited, client):
    await roll_back(unlimited, client, lambda _load: asyncio.sleep(20))
