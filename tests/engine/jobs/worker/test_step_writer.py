"""Reports of jobs are written within a few milliseconds, whatever the other jobs of the process do meanwhile."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvloop

from engine.core.redaction import Redaction
from engine.flow.data_size import MAX_DATA
from engine.jobs.transitions import claim, give_back
from engine.jobs.worker.step_rows import BEGINNING, progress_of
from engine.jobs.worker.step_writer import MAX_TOGETHER, JobRecorder, StepsNotStored, StepWriter
from engine.run.steps import StepEnded, StepKey, StepPart, StepStarted
from storage.job_changes import Lease
from storage.steps import kept_outputs, kept_parts, list_steps
from tests.engine.jobs.world import World


def refused() -> None:
    raise AssertionError("a report was refused")


def recorder_of(
    world: World,
    writer: StepWriter,
    on_lost: Callable[[], object] = refused,
    on_fault: Callable[[], object] = refused,
) -> JobRecorder:
    job = world.write(claim, world.boot_id, world.submit(world.add_flow()).job_id)
    assert job is not None
    lease = Lease(world.boot_id, job.attempt)
    return JobRecorder(writer, job, lease, Redaction(), world.database.clock, on_lost=on_lost, on_fault=on_fault)


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


@pytest.mark.parametrize("was_written", [False, True], ids=["before its first write", "after a write"])
async def test_a_worker_that_stood_still_looks_whether_the_job_is_its_own_before_it_sends(
    world: World, was_written: bool
) -> None:
    writer, lost = StepWriter(world.database), []
    recorder = recorder_of(world, writer, on_lost=lambda: lost.append(recorder.job.id))
    recorder.started(started(recorder, "first"))
    if was_written:
        await recorder.all_stored()
    assert world.write(give_back, recorder.job.id, recorder.lease), "another worker takes it"

    await recorder.settled()
    assert not lost, "a write for each request would cost more than the request"
    recorder.confirmed_at -= 60  # for so long the process was suspended
    with pytest.raises(StepsNotStored):  # the cancellation of a step that runs in several groups comes later
        await recorder.settled()
    assert lost[0] == recorder.job.id


async def test_a_job_that_is_still_its_own_goes_on_after_the_look(world: World) -> None:
    recorder = recorder_of(world, StepWriter(world.database))
    recorder.confirmed_at -= 60
    before = recorder.confirmed_at
    await recorder.settled()
    assert recorder.confirmed_at > before + 59


async def test_a_report_that_cannot_be_stored_ends_its_own_job_and_holds_up_no_other(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    writer, faults = StepWriter(world.database), []
    bad = recorder_of(world, writer, on_fault=lambda: faults.append(bad.job.id))
    good = recorder_of(world, writer)
    bad.called(StepKey("model"), "no model call")
    good.started(started(good, "first"))
    async with asyncio.timeout(5):
        _, refusal = await asyncio.gather(good.all_stored(), bad.all_stored(), return_exceptions=True)
    assert isinstance(refusal, StepsNotStored)
    assert faults == [bad.job.id]
    assert [step.node_id for step in world.read(list_steps, world.workspace_id, good.job.id)] == ["first"]
    assert f"Steps of {bad.job.id} cannot be stored" in caplog.text


async def test_a_job_whose_last_report_cannot_be_stored_is_incomplete(world: World) -> None:
    writer = StepWriter(world.database)
    recorder = recorder_of(world, writer)
    recorder.called(StepKey("model"), "no model call")
    assert await writer.take(recorder) is None
    assert recorder.incomplete
    assert recorder.may_have_running_steps, "the end of one may be among what was lost"


async def test_many_reports_are_written_in_parts_between_which_others_write(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of 20,000 items reported within a quarter of a second what one transaction wrote for a second."""
    writer = StepWriter(world.database)
    recorder, seen = recorder_of(world, writer), set[int]()

    async def look() -> None:
        while recorder.written < recorder.reported:
            seen.add(recorder.written)
            await asyncio.sleep(0)

    def report(count: int) -> None:
        for number in range(recorder.reported, recorder.reported + count):
            recorder.started(StepStarted(StepKey("item", (number,)), recorder.clock.now(), {}))

    report(2 * MAX_TOGETHER + 1)
    looking = asyncio.create_task(look())
    assert await writer.take(recorder) is None, "so many do not go with the end of the job"
    await looking
    assert seen == {0, MAX_TOGETHER, 2 * MAX_TOGETHER}

    monkeypatch.setattr("engine.jobs.worker.step_writer.MAX_BEHIND", 20)
    report(20)
    await recorder.caught_up()
    assert recorder.reported - recorder.written == 20, "nothing is hurried"
    report(1)
    await recorder.caught_up()
    assert recorder.reported - recorder.written <= 20
    assert len(world.read(list_steps, world.workspace_id, recorder.job.id)) == recorder.reported


def test_reports_are_stored_when_no_thread_can_be_started(world: World) -> None:
    async def report() -> None:
        writer = StepWriter(world.database)
        large, small = recorder_of(world, writer), recorder_of(world, writer)
        full = ThreadPoolExecutor(1)
        full.shutdown()  # refuses new work with a RuntimeError, like a system without another thread
        asyncio.get_running_loop().set_default_executor(full)
        for recorder, inputs in ((large, {"text": "x" * 100_000}), (small, {})):
            recorder.started(StepStarted(StepKey("first"), recorder.clock.now(), inputs, 100_000 if inputs else 0))
        async with asyncio.timeout(5):
            await asyncio.gather(large.all_stored(), small.all_stored())
            large.started(StepStarted(StepKey("second"), large.clock.now(), {"text": "x" * 100_000}, 100_000))
            assert await writer.take(large) is not None
        for recorder in (large, small):
            assert [step.node_id for step in world.read(list_steps, world.workspace_id, recorder.job.id)] == ["first"]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(report())


async def test_a_large_value_takes_no_longer_for_the_secrets_in_what_is_not_kept_of_it(world: World) -> None:
    recorder = recorder_of(world, StepWriter(world.database))
    recorder.redaction.add("20481024")
    key, at = StepKey("get"), recorder.clock.now()
    value = ["x" * 19_980, *["20481024"] * 400_000]
    end = StepEnded(key=key, status="completed", started_at=at, ended_at=at, duration_ms=0, inputs={}, output=value)
    begun = time.thread_time()
    (stored,) = progress_of(recorder.with_counts([end])).values
    assert time.thread_time() - begun < 0.5, "seconds, when all of it is looked at"
    assert stored.size == len(value) * 11 + 19_973
    kept = json.loads(stored.data)
    assert kept.startswith('["xxx')
    assert "204" not in kept


async def test_of_a_value_that_is_too_long_only_the_beginning_is_written(world: World) -> None:
    """As JSON it would have 30 GB: it holds one list ten thousand million times."""
    value: object = ["x", "x"]
    for _ in range(10):
        value = [value] * 10
    recorder = recorder_of(world, StepWriter(world.database))
    start = StepStarted(StepKey("get"), recorder.clock.now(), {"value": value}, MAX_DATA + 1)
    (stored,) = progress_of(recorder.with_counts([start])).values
    assert stored.size == MAX_DATA + 1
    assert json.loads(stored.data).startswith('{"value":[[[[[[[[[[["x","x"],["x","x"],')
    assert len(json.loads(stored.data)) == BEGINNING


def test_on_the_loop_of_workers_a_report_may_come_while_a_write_is_due_at_once(world: World) -> None:
    async def report() -> None:
        writer = StepWriter(world.database)
        one, other = recorder_of(world, writer), recorder_of(world, writer)
        one.started(started(one, "first"))
        writing = asyncio.create_task(one.all_stored())
        await asyncio.sleep(0)
        other.started(started(other, "second"))
        await asyncio.gather(writing, other.all_stored())

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(report())


async def test_what_is_forgotten_is_what_stands_inside_an_item_and_nothing_beside_it(world: World) -> None:
    recorder = recorder_of(world, StepWriter(world.database))
    places = [
        *(("a", index) for index in [(1, 0), (1, 12), (10, 0), (0, 1)]),
        *(("a.inner", index) for index in [(1, 0), (0, 1)]),
        *(("ab", index) for index in [(1, 0)]),
        *(("list", index) for index in [(0,), (1,)]),
    ]
    for node_id, index in places:
        key, at = StepKey(node_id, index), recorder.clock.now()
        recorder.part(key, StepPart("done", 1, at, ended=True))
        recorder.ended(
            StepEnded(key=key, status="completed", started_at=at, ended_at=at, duration_ms=0, inputs={}, output=1)
        )
    await recorder.all_stored()
    recorder.forget(["a", "list"], (1,))
    await recorder.all_stored()
    left = {("a", (10, 0)), ("a", (0, 1)), ("a.inner", (0, 1)), ("ab", (1, 0)), ("list", (0,))}
    steps = world.read(list_steps, world.workspace_id, recorder.job.id)
    assert {(step.node_id, step.index) for step in steps} == left
    assert {key for key, _name in recorder.parts} == left
    for kept in (kept_outputs, kept_parts):
        assert {key[:2] for key in world.read(kept, recorder.job.id)} == {
            (node_id, "/".join(map(str, index))) for node_id, index in left
        }
