"""Waiting for jobs: notifications of this process, commits of other processes, and the end is never missed."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3

import pytest

from engine.core.errors import NotFound
from engine.jobs.notifier import NOTIFIER
from engine.jobs.server.job_waiters import LINGER_SECONDS, JobWaiters, go_on, wait_for_end, wait_until_ended
from tests.engine.jobs.world import World
from tests.logical_time import pass_time


async def test_who_waits_hears_of_the_end(world: World) -> None:
    waiters = JobWaiters(world.database)
    world.database.info[NOTIFIER] = waiters
    job_id = world.submit(world.add_flow()).job_id
    waiting = [
        asyncio.create_task(wait_for_end(world.database, waiters, world.workspace_id, job_id, 30)) for _ in range(50)
    ]
    await pass_time(1)
    assert not any(one.done() for one in waiting)
    await world.runs().carry(job_id)
    assert {job.status for job in await asyncio.gather(*waiting)} == {"completed"}
    assert not waiters._waiting


async def test_the_end_of_a_new_job_that_was_told_before_anybody_waits_is_not_missed(world: World) -> None:
    waiters = JobWaiters(world.database)
    world.database.info[NOTIFIER] = waiters
    job_id = world.submit(world.add_flow()).job_id
    await world.runs().carry(job_id)
    at = asyncio.get_running_loop().time()
    await wait_until_ended(world.database, waiters, world.workspace_id, job_id, 30, go_on, is_new=True)
    assert asyncio.get_running_loop().time() == at

    for number in range(3_000):  # so many ends later it is looked up like any other, in a few seconds at most
        waiters.ended(f"job_{number}")
    assert not waiters.ended_lately(job_id)
    await wait_until_ended(world.database, waiters, world.workspace_id, job_id, 30, go_on, is_new=True)
    assert asyncio.get_running_loop().time() - at < 6


@pytest.mark.parametrize("beside", [True, False], ids=["beside another reader", "after another reader"])
async def test_the_end_of_a_new_job_that_another_process_ran_before_anybody_waits_is_not_missed(
    world: World, beside: bool
) -> None:
    """The commit was seen for another reader, and none follows it."""
    waiters = JobWaiters(world.database)
    job_id = world.submit(world.add_flow()).job_id
    await world.runs().carry(job_id)
    async with contextlib.AsyncExitStack() as other:
        await other.enter_async_context(waiters.subscribe("job_x"))
        await pass_time(1)
        if not beside:
            await other.aclose()
        at = asyncio.get_running_loop().time()
        await wait_until_ended(world.database, waiters, world.workspace_id, job_id, 30, go_on, is_new=True)
        assert asyncio.get_running_loop().time() - at < 1


async def test_waiting_ends_with_the_job_as_it_is(world: World) -> None:
    job_id = world.submit(world.add_flow()).job_id
    job = await wait_for_end(world.database, JobWaiters(world.database), world.workspace_id, job_id, 0.05)
    assert job.status == "queued"


async def test_an_unknown_job_is_not_waited_for(world: World) -> None:
    with pytest.raises(NotFound):
        await wait_for_end(world.database, JobWaiters(world.database), world.workspace_id, "job_x", 5)


@pytest.mark.sqlite("SQLite says that another process has committed; PostgreSQL sends a notice.")
async def test_a_change_by_another_process_is_found_without_a_notice(world: World) -> None:
    waiters = JobWaiters(world.database)
    job_id = world.submit(world.add_flow()).job_id
    async with waiters.subscribe(job_id) as changes:
        while await changes.wait(0.3):
            """The first check always reports a change."""

        def change() -> None:
            with sqlite3.connect(world.data / "flowport.db") as connection:
                connection.execute("update jobs set last_seq = last_seq + 1")
            connection.close()

        await asyncio.to_thread(change)
        assert await changes.wait(20)


async def test_notices_may_come_from_any_thread_and_before_anybody_waits(world: World) -> None:
    waiters = JobWaiters(world.database)
    waiters.changed("job_x")
    async with waiters.subscribe("job_x") as changes:
        await asyncio.to_thread(waiters.changed, "job_x")
        assert await changes.wait(20)


async def test_changes_are_looked_for_a_moment_longer_than_anybody_waits(world: World) -> None:
    """Callers that come one after the other share the connection that looks for changes."""
    waiters = JobWaiters(world.database)

    def lookers() -> set[asyncio.Task[None]]:
        return {task for task in asyncio.all_tasks() if task.get_name() == "job-waiters"}

    async with waiters.subscribe("job_x"):
        first = lookers()
        await pass_time(3 * LINGER_SECONDS)
    await pass_time(LINGER_SECONDS / 2)
    async with waiters.subscribe("job_y"):
        assert lookers() == first
        assert len(first) == 1
    await pass_time(2 * LINGER_SECONDS)
    assert not lookers()
    async with waiters.subscribe("job_z"):
        assert len(lookers()) == 1


async def test_who_tells_changes_hears_whether_anybody_waits_for_more_than_ends(world: World) -> None:
    waiters = JobWaiters(world.database)
    told: list[bool] = []
    waiters.tell_watching = lambda: told.append(waiters.is_watching)
    async with waiters.subscribe("job_x", ends_only=True):
        assert told == []
    async with waiters.subscribe("job_x"), waiters.subscribe("job_y"):
        assert told == [True]
    await pass_time(LINGER_SECONDS / 2)
    async with waiters.subscribe("job_x"):  # within the moment
        await pass_time(2 * LINGER_SECONDS)
    assert told == [True]
    await pass_time(2 * LINGER_SECONDS)
    assert told == [True, False]
    async with waiters.subscribe("job_x"):
        assert told == [True, False, True]


async def test_looking_again_wakes_those_who_wait_for_more_than_ends(world: World) -> None:
    waiters = JobWaiters(world.database)
    async with waiters.subscribe("job_x") as changes, waiters.subscribe("job_x", ends_only=True) as end:
        waiters.look_again()
        assert await changes.wait(0.01)
        assert not await end.wait(0.01)
