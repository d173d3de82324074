"""Jobs under which two workers died: each runs once more as the only job of its worker, and all of them end."""

from __future__ import annotations

import asyncio
from pathlib import Path

from engine.jobs.transitions import claim, claim_many, reclaim, send_forgotten
from storage.job_changes import next_alone
from tests.engine.jobs.world import World, document_of


def lose_twice(world: World, count: int) -> None:
    """Two workers that run all jobs die, and nobody can read what either of them executed."""
    for boot_id in ("boot_first", "boot_second"):
        world.write(send_forgotten, 0)
        claimed, _ = world.write(claim_many, boot_id, 100, ())
        assert len(claimed) == count
        assert world.write(reclaim, boot_id) == count


async def test_several_workers_for_them_run_each_job_once(world: World, tmp_path: Path) -> None:
    path = tmp_path / "lines"
    flow_id = world.add_flow(document_of(("write", "test_write", {"path": str(path), "line": "{{ api_input.out.n }}"})))
    jobs = [world.submit(flow_id, {"n": number}).job_id for number in range(4)]
    lose_twice(world, len(jobs))
    first, second = world.runs("boot_alone_1"), world.runs("boot_alone_2")
    while world.read(next_alone) is not None:  # one that found its job claimed ends, and is started again
        first.begin_alone()
        second.begin_alone()
        while first.busy or second.busy:
            assert len(first.open) <= 1
            assert len(second.open) <= 1
            await asyncio.sleep(0)
    assert [(job.status, job.attempts) for job in map(world.job, jobs)] == [("completed", 3)] * 4
    assert sorted(path.read_text().split()) == ["0", "1", "2", "3"]
    assert world.active() == 0


async def test_what_ran_beside_the_cause_ends_after_it(world: World) -> None:
    """With PostgreSQL nobody on another machine can tell the cause from the jobs that ran beside it."""
    flow_id = world.add_flow()
    jobs = {world.submit(flow_id, {"n": number}).job_id for number in range(3)}
    lose_twice(world, len(jobs))
    assert world.write(claim_many, "boot_third", 100, ())[0] == [], "workers with other jobs get none of them"
    cause = world.read(next_alone)
    assert world.write(claim, "boot_alone", cause, alone=True).attempt == 3
    world.write(reclaim, "boot_alone")
    lost = world.job(cause)
    assert (lost.status, (lost.error or {}).get("code")) == ("failed", "worker_lost")
    runs = world.runs("boot_next")
    runs.begin_alone()
    while runs.busy:
        await asyncio.sleep(0.005)
    assert [(job.status, job.attempts) for job in map(world.job, jobs - {cause})] == [("completed", 3)] * 2
    assert world.active() == 0
