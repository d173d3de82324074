"""A frozen worker is detected and replaced; jobs that only ran in the same worker lose no attempt."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.jobs.transitions import claim, reclaim
from storage.jobs import JobRow
from tests.engine.jobs.supervised import ended, supervised, until, until_running
from tests.engine.jobs.world import World, document_of, open_world
from tests.live.caller import Caller, Terminal
from tests.live.flows import URL, fetch, one_node
from tests.live.holding_site import HoldingSite, wait_until
from tests.live_server import LiveServer
from tests.security.beside import beside

pytestmark = pytest.mark.process

#: Seconds from the freeze until its jobs run elsewhere, and the part of them until it is detected.
REPLACED_SECONDS, FOUND_SECONDS = 15.0, 8.0
QUICK = document_of(("pid", "test_compute", {}))
WAITING = document_of(("slow", "test_sleep", {"seconds": 4, "value": "fine"}))


@pytest.fixture
def world(new_data: Path) -> Iterator[World]:
    world = open_world(new_data, plan="enterprise")
    yield world
    world.database.close()


def replaced_within(begin_seconds: float) -> float:
    """The promised time, or more on a machine where starting a worker is slow."""
    return max(REPLACED_SECONDS, FOUND_SECONDS + 2 * begin_seconds)


def worker_of(server: LiveServer) -> int | None:
    """Returns the process id of the worker: the youngest child of the server."""
    assert server.process is not None
    children = Path(f"/proc/{server.process.pid}/task").glob("*/children")
    found = [int(pid) for path in children for pid in path.read_text().split()]
    return max(found, default=None)


def test_a_stopped_worker_is_replaced_and_no_job_loses_an_attempt(
    server: LiveServer, terminal: Terminal, caller: Caller, site: HoldingSite
) -> None:
    flow_id = terminal.flow(one_node(fetch(), URL))
    killed = worker_of(server)
    assert killed is not None
    begun = time.monotonic()
    os.kill(killed, signal.SIGKILL)
    site.let_go("begins")
    assert caller.run(flow_id, {"url": site.hold("begins")})["status"] == "completed"
    begin_seconds = time.monotonic() - begun
    with beside(server, terminal) as watch:
        waiting = [caller.accepted(flow_id, {"url": site.hold("stopped")}) for _ in range(3)]
        site.wait_until_held("stopped", times=3)
        stopped = worker_of(server)
        assert stopped is not None
        os.kill(stopped, signal.SIGSTOP)
        again = 2 * len(waiting)  # another worker requests each page once more
        wait_until(lambda: site.hits("/hold/stopped") == again, "no worker took its place", seconds=120)
        site.let_go("stopped")
        jobs = [caller.ended(job_id) for job_id in waiting]
    assert [(job["status"], job["attempts"]) for job in jobs] == [("completed", 1)] * 3
    watch.check(job_seconds=replaced_within(begin_seconds), starts_a_worker=True)
    wait_until(lambda: not Path(f"/proc/{stopped}").exists(), "the stopped worker was left behind")


async def test_who_holds_the_interpreter_loses_attempts_and_who_ran_beside_it_does_not(world: World) -> None:
    """The job that blocks the interpreter takes two workers with it; then it runs in a worker of its own and affects no
    other job.
    """
    holding = document_of(("hold", "test_hold", {"seconds": 90}))
    begun = time.monotonic()
    with supervised(world) as (supervisor, waiters, lines):
        begin_seconds = time.monotonic() - begun
        beside_it = [world.submit(world.add_flow(WAITING)).job_id for _ in range(3)]
        for job_id in beside_it:
            await until_running(world, job_id)
        held_at = time.monotonic()
        cause = world.submit(world.add_flow(holding)).job_id
        first = await again(world, cause, 1)
        assert time.monotonic() - held_at < replaced_within(begin_seconds), lines
        assert first.status in {"queued", "processing"}
        # The other jobs were given to the second worker together with this one, which blocks it at once; the third
        # worker runs without it.
        await again(world, cause, 2)
        await until(world, cause, "processing")
        assert len(supervisor.pids) == 2, "one of its own, beside the others"
        quick = await ended(world, waiters, world.submit(world.add_flow(QUICK)).job_id)
        assert (quick.status, quick.attempts) == ("completed", 1)
        assert world.job(cause).status == "processing", "others go on beside it"
        for job_id in beside_it:
            job = await ended(world, waiters, job_id)
            assert (job.status, job.attempts, world.result(job_id)) == ("completed", 1, {"output": "fine"})
        lost = await ended(world, waiters, cause)
    assert (lost.status, lost.attempts) == ("failed", 3)
    assert lost.error is not None
    assert lost.error["code"] == "worker_lost"
    assert world.active() == 0


async def test_a_job_that_holds_the_event_loop_is_known_as_the_cause_too(world: World) -> None:
    holding = document_of(("hold", "test_hold", {"seconds": 90, "where": "loop"}))
    with supervised(world) as (supervisor, waiters, _lines):
        beside_it = world.submit(world.add_flow(WAITING)).job_id
        await until_running(world, beside_it)
        before = supervisor.pid
        cause = world.submit(world.add_flow(holding), cancel_after_seconds=5).job_id
        job = await ended(world, waiters, cause)
        assert (job.status, (job.error or {}).get("code")) == ("failed", "timeout"), "its limit counts all the time"
        assert job.attempts == 2
        job = await ended(world, waiters, beside_it)
        assert (job.status, job.attempts) == ("completed", 1)
        assert supervisor.pid != before


async def test_a_job_that_two_workers_died_under_runs_in_a_process_of_its_own_one_at_a_time(world: World) -> None:
    slow = world.add_flow(document_of(("slow", "test_sleep", {"seconds": 1}), ("pid", "test_compute", {})))
    twice_lost = [world.submit(slow).job_id for _ in range(2)]
    for number, job_id in [(number, job_id) for job_id in twice_lost for number in (1, 2)]:
        boot_id = f"boot_{number}_{job_id}"
        assert world.write(claim, boot_id, job_id).attempt == number
        world.write(reclaim, boot_id)
    assert world.write(claim, "boot_shared", twice_lost[0]) is None, "no worker with other jobs gets it"
    with supervised(world) as (supervisor, waiters, lines):
        others = [(await ended(world, waiters, world.submit(world.add_flow(QUICK)).job_id)) for _ in range(3)]
        assert [job.attempts for job in others] == [1, 1, 1]
        jobs = [await ended(world, waiters, job_id) for job_id in twice_lost]
        shared = supervisor.pid
    assert [(job.status, job.attempts) for job in jobs] == [("completed", 3)] * 2, lines
    assert shared not in {world.result(job.id)["output"] for job in jobs}
    earlier, later = sorted(jobs, key=lambda job: job.completed_at or 0)
    assert began(world, later) >= (earlier.completed_at or 0), "one at a time"


def began(world: World, job: JobRow) -> int:
    """Returns when the job's step started; the job itself was first started by a worker that died."""
    from storage.steps import list_steps

    return min(step.started_at for step in world.read(list_steps, world.workspace_id, job.id) if step.node_id == "slow")


async def again(world: World, job_id: str, attempts: int) -> JobRow:
    """Waits until the job has lost `attempts` attempts and returns it."""
    for _ in range(2_000):
        job = world.job(job_id)
        if (job.status == "queued" and job.attempts >= attempts) or job.attempts > attempts or job.ended:
            return job
        await asyncio.sleep(0.02)
    raise AssertionError(world.job(job_id))
