"""A world with a supervised worker: real processes with the node types of the tests."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.jobs.notifier import NOTIFIER
from engine.jobs.server.job_waiters import JobWaiters, wait_for_end
from engine.jobs.server.supervisor import Supervisor
from storage.job_changes import next_alone
from storage.jobs import JobRow
from storage.steps import list_steps
from tests.engine.jobs.world import World


def command(world: World, *more: str) -> list[str]:
    return [sys.executable, "-m", "tests.engine.jobs.worker_entry", str(world.data), *more]


@contextmanager
def supervised(world: World, *more: str) -> Iterator[tuple[Supervisor, JobWaiters, list[str]]]:
    waiters, lines = JobWaiters(world.database), []
    supervisor = Supervisor(
        command(world, *more),
        os.environ,
        waiters,
        waits_alone=lambda: world.read(next_alone) is not None,
        write_line=lines.append,
    )
    world.database.info[NOTIFIER] = supervisor
    supervisor.start()
    try:
        assert supervisor.wait_until_ready(30), lines
        yield supervisor, waiters, lines
    finally:
        supervisor.stop()
        assert supervisor.pid is None


async def ended(world: World, waiters: JobWaiters, job_id: str, seconds: float = 40) -> JobRow:
    job = await wait_for_end(world.database, waiters, world.workspace_id, job_id, seconds)
    assert job.ended, job
    return job


async def until(world: World, job_id: str, status: str) -> JobRow:
    for _ in range(2000):
        job = world.job(job_id)
        if job.status == status:
            return job
        await asyncio.sleep(0.02)
    raise AssertionError(world.job(job_id))


async def until_true(true: Callable[[], bool]) -> None:
    """Waits until the condition is true."""
    for _ in range(3_000):
        if true():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come")


async def until_running(world: World, job_id: str, node_id: str = "slow") -> JobRow:
    for _ in range(2000):
        steps = world.read(list_steps, world.workspace_id, job_id)
        if any(step.node_id == node_id and step.status == "running" for step in steps):
            return world.job(job_id)
        await asyncio.sleep(0.02)
    raise AssertionError(world.job(job_id))
