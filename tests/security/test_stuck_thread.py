"""A step whose thread continues after its time limit fails, its worker is replaced, and no other job is affected."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.flow.document import Policy
from engine.jobs.server.job_waiters import JobWaiters
from storage.workers import beats
from tests.engine.jobs.supervised import command, ended, supervised, until_running
from tests.engine.jobs.world import World, document_of, open_world

pytestmark = pytest.mark.process

QUICK = document_of(("pid", "test_compute", {}))


@pytest.fixture
def world(new_data: Path) -> Iterator[World]:
    world = open_world(new_data, plan="enterprise")
    yield world
    world.database.close()


def stuck(world: World) -> str:
    """A flow whose step computes for a long time in a thread and has a time limit of one second."""
    document = document_of(("compute", "test_compute", {"seconds": 300}))
    nodes = tuple(
        node.model_copy(update={"policy": Policy(timeout_seconds=1)}) if node.id == "compute" else node
        for node in document.nodes
    )
    return world.add_flow(document.model_copy(update={"nodes": nodes}))


async def test_the_worker_of_a_step_that_cannot_be_ended_is_replaced_and_others_lose_nothing(world: World) -> None:
    flow_id = stuck(world)
    with supervised(world, "0.5", "12") as (supervisor, waiters, lines):
        old = supervisor.pid
        ends_in_time = world.submit(world.add_flow(document_of(("slow", "test_sleep", {"seconds": 9})))).job_id
        too_long = world.submit(world.add_flow(document_of(("slow", "test_sleep", {"seconds": 22})))).job_id
        for job_id in (ends_in_time, too_long):
            await until_running(world, job_id)
        # More jobs than the thread pool has threads: no job waits for a thread that was left running.
        stopped = [world.submit(flow_id).job_id for _ in range(6)]
        for job_id in stopped:
            job = await ended(world, waiters, job_id)
            assert (job.status, (job.error or {}).get("code"), job.attempts) == ("failed", "timeout", 1)
        quick = await ended(world, waiters, world.submit(world.add_flow(QUICK)).job_id)
        assert quick.status == "completed"
        while supervisor.pid in {old, None}:
            await asyncio.sleep(0.02)
        assert old in supervisor.pids, "it lets its jobs end"
        replaced = supervisor.pid
        job = await ended(world, waiters, world.submit(world.add_flow(QUICK)).job_id)
        assert (job.status, world.result(job.id)) == ("completed", {"output": replaced})
        job = await ended(world, waiters, ends_in_time)
        assert (job.status, job.attempts) == ("completed", 1)
        while old in supervisor.pids:
            await asyncio.sleep(0.02)
        given_back = await ended(world, waiters, too_long)
        assert (given_back.status, given_back.attempts) == ("completed", 1), "begun again, and that does not count"
    assert any("cannot be ended" in line for line in lines), lines
    assert world.active() == 0


async def test_a_worker_that_nobody_supervises_begins_again_by_itself(world: World) -> None:
    waiters = JobWaiters(world.database)
    worker = subprocess.Popen(command(world, "0.5", "5"), stdin=subprocess.DEVNULL)
    try:
        assert (await ended(world, waiters, world.submit(world.add_flow(QUICK)).job_id)).status == "completed"
        before = set(world.read(beats))
        job = await ended(world, waiters, world.submit(stuck(world)).job_id)
        assert (job.status, (job.error or {}).get("code")) == ("failed", "timeout")
        while before & set(world.read(beats)) or not world.read(beats):
            await asyncio.sleep(0.02)
        job = await ended(world, waiters, world.submit(world.add_flow(QUICK)).job_id)
        assert world.result(job.id) == {"output": worker.pid}, "the same process, from its beginning"
    finally:
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, 30) == 0
