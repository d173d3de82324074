"""The worker process and its supervisor: real processes that are killed and stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from engine.jobs.questions import answer
from engine.jobs.server.job_waiters import JobWaiters
from engine.jobs.transitions import cancel_job
from engine.jobs.worker_locks import run_folder
from storage.questions import list_questions_of_job
from storage.workers import beats
from tests.engine.jobs.supervised import command, ended, supervised, until_running, until_true
from tests.engine.jobs.world import World, document_of

pytestmark = pytest.mark.process

SLOW = document_of(("slow", "test_sleep", {"seconds": 60}))


async def test_the_supervised_worker_runs_and_cancels_jobs_and_tells_who_waits(world: World) -> None:
    with supervised(world) as (_, waiters, lines):
        jobs = [world.submit(world.add_flow(), {"n": number}).job_id for number in range(4)]
        assert [(await ended(world, waiters, job_id)).status for job_id in jobs] == ["completed"] * 4
        assert [world.result(job_id) for job_id in jobs] == [{"output": {"n": number}} for number in range(4)]
        slow = world.submit(world.add_flow(SLOW)).job_id
        await until_running(world, slow)
        world.write(cancel_job, world.workspace_id, slow)
        assert (await ended(world, waiters, slow)).status == "cancelled"
    assert world.active() == 0
    assert all(line.startswith("worker[") for line in lines), lines
    assert world.read(beats) == {}
    assert [path.name for path in run_folder(world.data).iterdir() if path.name.startswith("boot_")] == []


async def test_a_worker_tells_more_than_ends_only_while_somebody_wants_to_know(world: World, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    waits = world.add_flow(document_of(("slow", "test_wait", {"until": str(gate), "value": "done"})))
    with supervised(world) as (supervisor, waiters, _):
        (worker,) = supervisor._children
        await until_true(lambda: worker.is_watched is False)
        told: list[str] = []
        changed = waiters.changed

        def hear(*job_ids: str) -> None:
            told.extend(job_ids)
            changed(*job_ids)

        waiters.changed = hear  # only listens
        first = world.submit(world.add_flow(), {"n": 1}).job_id
        await ended(world, waiters, first)
        second = world.submit(waits).job_id
        async with waiters.subscribe(second):
            assert worker.is_watched is True
            third = world.submit(waits).job_id
            await until_true(lambda: told.count(third) > 1)
        gate.touch()
        await ended(world, waiters, third)
        await until_true(lambda: worker.is_watched is False)
        fourth = world.submit(world.add_flow(), {"n": 1}).job_id
        await ended(world, waiters, fourth)
    assert (told.count(first), told.count(fourth)) == (1, 1), "that they were accepted, which this process told"


async def test_a_killed_worker_is_replaced_and_its_job_goes_on(world: World, tmp_path: Path) -> None:
    path, gate = tmp_path / "lines", tmp_path / "gate"
    steps = document_of(
        ("first", "test_write", {"path": str(path), "line": "first"}),
        ("slow", "test_wait", {"until": str(gate)}),
        ("last", "set_fields", {"was": "{{ first.out }}"}),
    )
    with supervised(world) as (supervisor, waiters, lines):
        job_id = world.submit(world.add_flow(steps)).job_id
        await until_running(world, job_id)
        os.kill(supervisor.pid or 0, signal.SIGKILL)
        gate.touch()
        job = await ended(world, waiters, job_id)
    assert (job.status, job.attempts) == ("completed", 2)
    assert world.result(job_id) == {"output": {"was": "first"}}
    assert path.read_text() == "first\n"
    assert any("SIGKILL" in line for line in lines)
    assert world.active() == 0


async def test_a_job_that_blocks_the_loop_ends_with_timeout_while_others_go_on(world: World, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with supervised(world) as (_, waiters, lines):
        other = world.submit(
            world.add_flow(document_of(("slow", "test_wait", {"until": str(gate), "value": "fine"})))
        ).job_id
        blocking = document_of(("block", "test_block", {"seconds": 30}))
        await until_running(world, other)
        job_id = world.submit(world.add_flow(blocking), cancel_after_seconds=1).job_id
        job = await ended(world, waiters, job_id)
        assert job.error is not None
        assert (job.status, job.error["code"]) == ("failed", "timeout")
        assert (job.completed_at or 0) - (job.started_at or 0) < 20_000, "long before the 30 seconds of the step"
        gate.touch()
        went_on = await ended(world, waiters, other)
    assert (went_on.status, went_on.attempts) == ("completed", 1)
    assert world.result(other) == {"output": "fine"}
    assert any("blocked by job " + job_id in line for line in lines), lines
    assert world.active() == 0


async def test_sigterm_puts_jobs_back_at_once_and_unpunished(world: World) -> None:
    with supervised(world) as (supervisor, _hub, _lines):
        job_id = world.submit(world.add_flow(SLOW)).job_id
        await until_running(world, job_id)
        supervisor.stop()
        job = world.job(job_id)
        assert (job.status, job.attempts) == ("queued", 0)
        assert world.active() == 1


async def test_a_worker_whose_server_is_gone_ends_by_itself(world: World) -> None:
    from engine.jobs.server.supervisor import PIPES

    worker = subprocess.Popen(
        command(world), env={**os.environ, PIPES: "1"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    assert worker.stdout.readline().split()[0] in {b"alive", b"ready"}
    worker.stdin.close()
    assert await asyncio.to_thread(worker.wait, 30) == 0
    worker.stdout.close()


async def test_a_worker_without_a_pipe_finds_jobs_and_cancels_by_looking(world: World) -> None:
    worker = subprocess.Popen(command(world), stdin=subprocess.DEVNULL)
    waiters = JobWaiters(world.database)
    try:
        assert (await ended(world, waiters, world.submit(world.add_flow(), {"n": 1}).job_id)).status == "completed"
        slow = world.submit(world.add_flow(SLOW)).job_id
        await until_running(world, slow)
        world.write(cancel_job, world.workspace_id, slow)
        assert (await ended(world, waiters, slow)).status == "cancelled"
    finally:
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, 30) == 0


async def test_a_second_signal_ends_a_worker_that_waits_for_a_job(world: World) -> None:
    worker = subprocess.Popen(command(world, "50"), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        slow = world.submit(world.add_flow(SLOW)).job_id
        await until_running(world, slow)
        worker.send_signal(signal.SIGTERM)
        assert worker.stderr is not None
        while "waits up to 50 s for 1 job" not in (line := await asyncio.to_thread(worker.stderr.readline)):
            assert line, "it ended without a word"
        worker.send_signal(signal.SIGINT)
        _, said = await asyncio.to_thread(worker.communicate, timeout=30)
        assert said.endswith("Stopped.\n")
        assert world.job(slow).status == "queued"
    finally:
        worker.kill()
        worker.wait()


async def test_a_job_goes_on_in_another_worker_when_its_own_stops(world: World, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    steps = document_of(("slow", "test_wait", {"until": str(gate), "value": "done"}))
    waiters = JobWaiters(world.database)
    first = subprocess.Popen(command(world, "0"), stdin=subprocess.DEVNULL)
    second = None
    try:
        job_id = world.submit(world.add_flow(steps)).job_id
        await until_running(world, job_id)
        second = subprocess.Popen(command(world), stdin=subprocess.DEVNULL)
        first.send_signal(signal.SIGTERM)
        await asyncio.to_thread(first.wait, 60)
        gate.touch()
        job = await ended(world, waiters, job_id)
        assert job.attempts == 1
        assert world.result(job_id) == {"output": "done"}
    finally:
        first.kill()
        first.wait()
        if second is not None:
            second.send_signal(signal.SIGTERM)
            await asyncio.to_thread(second.wait, 30)


async def test_a_job_that_waits_for_a_person_outlives_killed_workers(world: World, tmp_path: Path) -> None:
    """Killed while it waits, and killed between the answer and the end: no step before the question runs again, and the
    answer counts once.
    """
    path, gate = tmp_path / "lines", tmp_path / "gate"
    steps = document_of(
        ("first", "test_write", {"path": str(path), "line": "first"}),
        ("ask", "test_ask", {"values": {"text": "Hello"}, "editable": ["text"]}),
        ("held", "test_wait", {"until": str(gate), "value": "{{ ask.out.values.text }}"}),
        ("last", "test_write", {"path": str(path), "line": "{{ held.out }}"}),
    )
    with supervised(world) as (supervisor, waiters, _lines):
        job_id = world.submit(world.add_flow(steps)).job_id
        await until_true(lambda: world.job(job_id).waits_for_person)
        assert world.active() == 0
        killed = supervisor.pid
        os.kill(killed or 0, signal.SIGKILL)
        await until_true(lambda: supervisor.pid not in {None, killed})
        assert world.job(job_id).waits_for_person
        (question,) = world.read(list_questions_of_job, world.workspace_id, job_id)
        world.write(answer, question, "approved", {"text": "Hi"}, "", "Ada")
        os.kill(supervisor.pid or 0, signal.SIGKILL)
        gate.touch()
        job = await ended(world, waiters, job_id)
    assert job.status == "completed"
    assert world.result(job_id) == {"output": "Hi"}
    assert path.read_text() == "first\nHi\n"
    assert world.active() == 0
    assert [one.id for one in world.read(list_questions_of_job, world.workspace_id, job_id)] == [question.id]


async def test_the_jobs_of_a_worker_that_ends_by_an_error_go_on_at_once_and_none_counts_as_its_cause(
    world: World, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    flow = world.add_flow(document_of(("slow", "test_wait", {"until": str(gate)})))
    with supervised(world) as (_, waiters, lines):
        job_id = world.submit(flow).job_id
        await until_running(world, job_id)
        _rename(world, "task", "away")  # so that the periodic work fails
        await until_true(lambda: any("ended with exit code 1" in line for line in lines))
        _rename(world, "away", "task")
        ended_at = time.monotonic()
        gate.touch()
        job = await ended(world, waiters, job_id)
        assert time.monotonic() - ended_at < 20, "the others waited until its heart had not beaten for 30 s"
    assert (job.status, job.attempts) == ("completed", 1)
    assert any("no such table" in line or "does not exist" in line for line in lines), lines
    assert [path.name for path in run_folder(world.data).iterdir() if path.name.startswith("boot_")] == []


def _rename(world: World, table: str, name: str) -> None:
    world.write(lambda session: session.connection().exec_driver_sql(f"alter table {table} rename to {name}"))
