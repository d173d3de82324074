"""Reports of jobs are written within a few milliseconds, whatever the other jobs of the process do meanwhile."""

from __future__ import annotations

import asyncio

from engine.core.redaction import Redaction
from engine.jobs.transitions import claim
from engine.jobs.worker.step_writer import JobRecorder, StepWriter
from engine.run.steps import StepKey, StepStarted
from storage.job_changes import Lease
from storage.steps import list_steps
from tests.engine.jobs.world import World


def recorder_of(world: World, writer: StepWriter) -> JobRecorder:
    job = world.write(claim, world.boot_id, world.submit(world.add_flow()).job_id)
    assert job is not None

    def fail() -> None:
        raise AssertionError("a report was refused")

    lease = Lease(world.boot_id, job.attempt)
    return JobRecorder(writer, job, lease, Redaction(), world.database.clock, on_lost=fail, on_fault=fail)


def started(recorder: JobRecorder, node_id: str) -> StepStarted:
    return StepStarted(StepKey(node_id), recorder.clock.now(), {})


async def test_a_report_is_written_after_a_job_that_reported_during_a_write_took_its_reports(world: World) -> None:
    writer = StepWriter(world.database)
    long, short = recorder_of(world, writer), recorder_of(world, writer)
    long.started(started(long, "first"))
    writing = asyncio.create_task(long.all_stored())
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the write of the first report is under way
    short.started(started(short, "only"))
    assert await writer.take(short) is not None
    assert not writing.done()
    await writing

    long.started(started(long, "second"))
    for _ in range(10):
        await asyncio.sleep(0.05)
        steps = world.read(list_steps, world.workspace_id, long.job.id)
        if len(steps) == 2:
            break
    assert [step.node_id for step in steps] == ["first", "second"]
