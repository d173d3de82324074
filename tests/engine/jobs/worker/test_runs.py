"""Claiming, running and ending jobs, on the event loop of the test."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text, update

from engine.actions.server_start import set_up
from engine.core.settings import Settings
from engine.core.shared_places import CURRENT_WORKSPACE
from engine.jobs.transitions import cancel_job, claim, claim_many, finish, give_back, reclaim
from engine.jobs.worker.runs import MAX_RESULT
from engine.jobs.worker.step_services import Outside
from engine.outbound.client import OutboundClient, OutboundRules, parse_allow_list
from storage.events import list_events
from storage.job_changes import Lease
from storage.steps import list_steps
from storage.tables import Job, WebhookDelivery
from tests.engine.jobs.world import NoServices, World, document_of
from tests.stand_ins.web_site import Page, WebSite
from tests.stored import fill_disk, free_disk, refuse_first_step


def event_names(world: World, job_id: str) -> list[str]:
    events = world.read(list_events, world.workspace_id, job_id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    return [event.name for event in events]


async def carry_until_running(world: World, runs, job_id: str) -> asyncio.Task[None]:
    task = asyncio.create_task(runs.carry(job_id))
    while "slow" not in running_nodes(runs, job_id):
        await asyncio.sleep(0.005)
    return task


def running_nodes(runs, job_id: str) -> set[str]:
    return {key.node_id for key in runs.open[job_id].recorder.running} if job_id in runs.open else set()


async def test_a_job_runs_to_its_result(world: World) -> None:
    job_id = world.submit(world.add_flow(), {"n": 7}).job_id
    await world.runs().carry(job_id)
    job = world.job(job_id)
    assert (job.status, job.attempts, job.steps_done, job.steps_total) == ("completed", 1, 2, 2)
    assert world.result(job_id) == {"output": {"n": 7}}
    assert world.active() == 0
    assert event_names(world, job_id) == [
        "job.queued",
        "job.processing",
        "step.started",
        "step.completed",
        "step.started",
        "step.completed",
        "job.completed",
    ]
    assert [step.status for step in world.read(list_steps, world.workspace_id, job_id)] == ["completed", "completed"]


async def test_what_a_job_waits_for_is_shared_by_workspaces(world: World) -> None:
    """Whoever gives the places knows for whom the job runs."""

    class Rendering(NoServices):
        async def render_template(self, template: str, data: object) -> str:
            await asyncio.sleep(0)
            return CURRENT_WORKSPACE.get()

    document = document_of(("loud", "text_template", {"template": "{% if true %}a{% endif %}"}))
    job_id = world.submit(world.add_flow(document)).job_id
    runs = world.runs()
    runs.services_for = lambda _job, recorder: Rendering(recorder, world)
    await runs.carry(job_id)
    assert world.result(job_id) == {"output": world.workspace_id}
    assert CURRENT_WORKSPACE.get() == ""


async def test_a_failed_node_fails_the_job_with_its_code(world: World) -> None:
    job_id = world.submit(world.add_flow(document_of(("bad", "test_fail", {})))).job_id
    await world.runs().carry(job_id)
    job = world.job(job_id)
    assert job.status == "failed"
    assert job.error is not None
    assert (job.error["code"], job.error["node_id"]) == ("http_status", "bad")
    assert world.active() == 0


async def test_a_job_is_claimed_once(world: World) -> None:
    job_id = world.submit(world.add_flow()).job_id
    claimed = [world.write(claim, f"boot_{number}", job_id) for number in range(3)]
    assert [one is not None for one in claimed] == [True, False, False]


async def test_a_worker_that_lost_its_job_writes_nothing(world: World) -> None:
    flow_id = world.add_flow(document_of(("slow", "test_sleep", {"seconds": 0.2, "value": "mine"})))
    job_id = world.submit(flow_id).job_id
    first = world.runs("boot_first")
    task = await carry_until_running(world, first, job_id)
    assert world.write(reclaim, "boot_first") == 1
    second = world.write(claim, "boot_second", job_id)
    assert second.attempt == 2
    await task
    job = world.job(job_id)
    assert (job.status, job.attempts, job.has_result) == ("processing", 2, False)
    assert world.write(finish, job_id, "completed", lease=Lease("boot_second", 2), result=('"theirs"', 8))
    assert world.result(job_id) == "theirs"
    assert not world.write(finish, job_id, "completed", lease=Lease("boot_first", 1), result=('"mine"', 6))
    assert world.active() == 0


async def test_a_run_whose_job_was_taken_is_stopped_by_its_next_step(world: World, tmp_path: Path) -> None:
    path = tmp_path / "lines"
    steps = document_of(
        ("slow", "test_sleep", {"seconds": 0.1}), ("write", "test_write", {"path": str(path), "line": "x"})
    )
    job_id = world.submit(world.add_flow(steps)).job_id
    runs = world.runs()
    task = await carry_until_running(world, runs, job_id)
    world.write(reclaim, world.boot_id)
    await task
    assert not path.exists()


async def test_a_job_whose_steps_cannot_be_stored_fails_before_it_reaches_outside(world: World, tmp_path: Path) -> None:
    path = tmp_path / "lines"
    first = ("first", "test_sleep", {"seconds": 0})
    steps = document_of(first, ("write", "test_write", {"path": str(path), "line": "x"}))
    job_id = world.submit(world.add_flow(steps)).job_id
    world.write(refuse_first_step)
    await world.runs().carry(job_id)
    job = world.job(job_id)
    assert job.status == "failed"
    assert job.error is not None
    assert job.error["message"] == "The job stopped because of a fault in Flowport."
    assert not path.exists(), "after a crash it would have been written twice"
    assert world.active() == 0


async def test_a_step_that_gives_the_same_again_keeps_no_step_waiting(world: World, tmp_path: Path) -> None:
    path = tmp_path / "lines"
    first = ("first", "set_fields", {"a": 1})
    steps = document_of(first, ("write", "test_write", {"path": str(path), "line": "x"}))
    job_id = world.submit(world.add_flow(steps)).job_id
    world.write(refuse_first_step)
    await world.runs().carry(job_id)
    job = world.job(job_id)
    assert path.read_text() == "x\n"
    assert (job.status, world.active()) == ("failed", 0), "its last write was refused"
    assert job.error is not None
    assert job.error["message"] == "The job stopped because of a fault in Flowport."


@pytest.mark.sqlite("a trigger of SQLite refuses the end")
async def test_a_job_whose_end_is_refused_stays_with_its_worker_until_it_is_stored(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    refuse = "create trigger refusing before update on jobs when new.status in ('completed', 'failed') begin select raise(abort, 'no'); end"
    world.write(lambda session: session.execute(text(refuse)))
    steps = document_of(("first", "set_fields", {"a": 1}), ("slow", "test_sleep", {"seconds": 0.5}))
    job_id = world.submit(world.add_flow(steps)).job_id
    runs = world.runs()
    carrying = asyncio.create_task(runs.carry(job_id))
    async with asyncio.timeout(5):
        while f"The end of job {job_id} was not stored" not in caplog.text:
            await asyncio.sleep(0.01)
    assert job_id in runs.open
    world.write(lambda session: session.execute(text("drop trigger refusing")))
    async with asyncio.timeout(5):
        assert await carrying
    assert (world.job(job_id).status, world.active()) == ("failed", 0)
    assert "running" not in {step.status for step in world.read(list_steps, world.workspace_id, job_id)}


async def test_a_job_is_not_completed_when_some_of_its_steps_could_not_be_stored(world: World) -> None:
    steps = document_of(("first", "set_fields", {"a": 1}), ("slow", "test_sleep", {"seconds": 0.3}))
    job_id = world.submit(world.add_flow(steps)).job_id
    world.write(refuse_first_step)
    await world.runs().carry(job_id)
    assert world.job(job_id).status == "failed"


async def test_a_worker_claims_a_job_that_was_taken_from_it_only_after_its_own_run_of_it_has_ended(
    world: World,
) -> None:
    flow_id = world.add_flow(document_of(("slow", "test_sleep", {"seconds": 0.2, "value": "mine"})))
    job_id = world.submit(flow_id).job_id
    runs = world.runs()
    task = await carry_until_running(world, runs, job_id)
    assert world.write(reclaim, world.boot_id, frozenset()) == 1, "it stood still, and the attempt does not count"
    assert not await runs.carry(job_id)
    await task
    assert (world.job(job_id).status, world.job(job_id).attempts) == ("queued", 0), "nothing of that run counts"
    assert runs.open == {}
    assert await runs.carry(job_id)
    assert (world.job(job_id).status, world.job(job_id).attempts) == ("completed", 1)
    assert runs.open == {}


async def test_three_lost_workers_end_a_job_as_worker_lost(world: World) -> None:
    job_id = world.submit(world.add_flow()).job_id
    for number in range(3):
        assert world.write(claim, f"boot_{number}", job_id, alone=number == 2).attempt == number + 1
        world.write(reclaim, f"boot_{number}")
    job = world.job(job_id)
    assert job.status == "failed"
    assert job.error is not None
    assert job.error["code"] == "worker_lost"
    assert world.active() == 0


async def test_a_retry_goes_on_after_the_finished_steps(world: World, tmp_path: Path) -> None:
    path = tmp_path / "lines"
    steps = document_of(
        ("first", "test_write", {"path": str(path), "line": "first"}),
        ("slow", "test_sleep", {"seconds": 30}),
        ("last", "set_fields", {"was": "{{ first.out }}"}),
    )
    flow_id = world.add_flow(steps)
    job_id = world.submit(flow_id).job_id
    runs = world.runs("boot_first")
    task = await carry_until_running(world, runs, job_id)
    await next(iter(runs.open.values())).recorder.settled()
    world.write(reclaim, "boot_first")
    runs.open[job_id].stop("lost")
    await task
    quick = steps.model_copy(
        update={
            "nodes": tuple(
                node.model_copy(update={"inputs": {"seconds": 0}}) if node.id == "slow" else node
                for node in steps.nodes
            )
        }
    )
    world.write(_replace_version, flow_id, quick.dumps())
    await world.runs("boot_second").carry(job_id)
    assert world.result(job_id) == {"output": {"was": "first"}}
    assert path.read_text() == "first\n"
    assert world.job(job_id).attempts == 2


async def test_a_job_ends_with_timeout_when_its_limit_has_passed(world: World) -> None:
    job_id = world.submit(
        world.add_flow(document_of(("slow", "test_sleep", {"seconds": 30}))), cancel_after_seconds=2
    ).job_id
    await world.runs().carry(job_id)
    job = world.job(job_id)
    assert job.status == "failed"
    assert job.error is not None
    assert job.error["code"] == "timeout"
    assert [step.status for step in world.read(list_steps, world.workspace_id, job_id)] == ["completed", "cancelled"]


async def test_a_step_that_will_not_stop_cannot_hold_a_job_beyond_its_limit(world: World) -> None:
    steps = document_of(("stubborn", "test_stubborn", {"seconds": 8}))
    job_id = world.submit(world.add_flow(steps), cancel_after_seconds=1).job_id
    await world.runs().carry(job_id)
    job = world.job(job_id)
    assert (job.status, (job.error or {}).get("code")) == ("failed", "timeout")
    assert world.active() == 0
    pending = [task for task in asyncio.all_tasks() if task.get_name().startswith("run ")]
    assert pending, "the job ended before its step did"
    await asyncio.gather(*pending, return_exceptions=True)
    assert world.job(job_id).status == "failed"


async def test_the_limit_counts_from_the_first_start_over_all_attempts(world: World) -> None:
    job_id = world.submit(world.add_flow(), cancel_after_seconds=60).job_id
    world.write(claim, "boot_first", job_id)
    world.write(lambda session: session.execute(update(Job).values(started_at=Job.started_at - 61_000)))
    world.write(reclaim, "boot_first")
    await world.runs("boot_second").carry(job_id)
    job = world.job(job_id)
    assert job.error is not None
    assert job.error["code"] == "timeout"


async def test_cancelling_a_queued_job_ends_it_at_once(world: World) -> None:
    job_id = world.submit(world.add_flow()).job_id
    assert world.write(cancel_job, world.workspace_id, job_id).status == "cancelled"
    assert world.write(cancel_job, world.workspace_id, job_id).status == "cancelled"
    assert world.active() == 0
    await world.runs().carry(job_id)
    assert world.job(job_id).status == "cancelled"


async def test_cancelling_a_running_job_frees_its_slot_when_the_work_has_stopped(world: World) -> None:
    job_id = world.submit(world.add_flow(document_of(("slow", "test_sleep", {"seconds": 30})))).job_id
    runs = world.runs()
    task = await carry_until_running(world, runs, job_id)
    asked = world.write(cancel_job, world.workspace_id, job_id)
    assert (asked.status, asked.cancel_requested_at is not None) == ("processing", True)
    assert world.active() == 1
    runs.cancel(job_id)
    await task
    assert world.job(job_id).status == "cancelled"
    assert world.active() == 0
    assert event_names(world, job_id)[-2:] == ["step.cancelled", "job.cancelled"]


async def test_a_cancelled_job_of_a_dead_worker_is_cancelled_not_run_again(world: World) -> None:
    job_id = world.submit(world.add_flow()).job_id
    world.write(claim, "boot_first", job_id)
    world.write(cancel_job, world.workspace_id, job_id)
    world.write(reclaim, "boot_first")
    assert world.job(job_id).status == "cancelled"


async def test_a_job_that_is_given_back_after_its_cancel_is_cancelled_not_queued(world: World) -> None:
    job_id = world.submit(world.add_flow()).job_id
    world.write(claim, "boot_first", job_id)
    world.write(cancel_job, world.workspace_id, job_id)
    assert not world.write(give_back, job_id, Lease("boot_other", 1)), "not by somebody who does not hold it"
    assert world.write(give_back, job_id, Lease("boot_first", 1))
    assert world.job(job_id).status == "cancelled"
    assert world.active() == 0
    assert event_names(world, job_id)[-1] == "job.cancelled"


async def test_queued_jobs_whose_cancel_was_asked_for_end_when_the_server_starts(world: World, tmp_path: Path) -> None:
    left, other = (world.submit(world.add_flow()).job_id for _ in range(2))
    world.write(lambda session: session.execute(update(Job).where(Job.id == left).values(cancel_requested_at=1)))
    set_up(world.database, Settings(data=world.data))
    assert (world.job(left).status, world.job(other).status) == ("cancelled", "queued")
    assert world.active() == 1


async def test_stopping_lets_short_jobs_end_and_puts_long_ones_back_unpunished(world: World) -> None:
    short = world.submit(world.add_flow(document_of(("slow", "test_sleep", {"seconds": 0.1})))).job_id
    long = world.submit(world.add_flow(document_of(("slow", "test_sleep", {"seconds": 30})))).job_id
    runs = world.runs()
    ended: list[int] = []
    claimed, messages = world.write(claim_many, runs.boot_id, 10, runs.open)
    assert ([job.id for job in claimed], messages) == ([short, long], 2)
    runs.begin(claimed, lambda: ended.append(1))
    while len([run for run in runs.open.values() if run.inner]) < 2:
        await asyncio.sleep(0.005)
    clock = asyncio.get_running_loop().time
    begun = clock()
    await runs.stop(2)
    assert clock() - begun < 5, "it did not wait for the long one"
    assert world.job(short).status == "completed"
    released = world.job(long)
    assert (released.status, released.attempts) == ("queued", 0)
    assert world.active() == 1
    assert len(ended) == 2
    assert world.write(claim, "boot_next", long).attempt == 1


async def test_a_job_that_was_claimed_while_the_worker_stops_goes_back_unpunished(world: World) -> None:
    job_id = world.submit(world.add_flow(document_of(("slow", "test_sleep", {"seconds": 30})))).job_id
    runs = world.runs()
    claimed, _ = world.write(claim_many, runs.boot_id, 10, runs.open)
    runs.stopping = True
    runs.begin(claimed, lambda: None)
    await runs.stop(5)
    assert (world.job(job_id).status, world.job(job_id).attempts) == ("queued", 0)
    assert not await runs.carry(job_id)


def test_a_group_claims_in_the_order_of_acceptance_and_leaves_out_what_the_worker_still_handles(world: World) -> None:
    flow_id = world.add_flow()
    ids = [world.submit(flow_id).job_id for _ in range(4)]
    claimed, messages = world.write(claim_many, "boot_w", 3, {ids[1]: None})
    assert ([job.id for job in claimed], messages) == ([ids[0], ids[2]], 3)
    assert [world.job(job_id).status for job_id in ids] == ["processing", "queued", "processing", "queued"]
    assert all(job.payload is not None and job.attempt == 1 for job in claimed)
    assert world.write(claim_many, "boot_w", 3, {})[0][0].id == ids[3]
    assert world.write(claim_many, "boot_w", 3, {}) == ([], 0)


async def test_a_released_job_is_not_the_old_workers_any_more(world: World) -> None:
    job_id = world.submit(world.add_flow()).job_id
    world.write(claim, "boot_first", job_id)
    assert world.write(give_back, job_id, Lease("boot_first", 1))
    assert world.write(claim, "boot_second", job_id).attempt == 1
    assert not world.write(finish, job_id, "completed", lease=Lease("boot_first", 1))


async def test_a_result_above_10_mib_fails_the_job(world: World) -> None:
    steps = document_of(("large", "test_large", {"bytes": MAX_RESULT + 1}))
    job_id = world.submit(world.add_flow(steps)).job_id
    await world.runs().carry(job_id)
    job = world.job(job_id)
    assert job.error is not None
    assert (job.error["code"], job.has_result) == ("result_too_large", False)


async def test_a_step_value_above_1_mib_is_cut_and_says_so(world: World) -> None:
    steps = document_of(("large", "test_large", {"bytes": 2 << 20}), ("small", "set_fields", {"a": 1}))
    job_id = world.submit(world.add_flow(steps)).job_id
    await world.runs().carry(job_id)
    from storage.jobs import read_value

    stored = world.read(read_value, job_id, "output", "large")
    assert (stored["cut"], stored["size"]) == (True, (2 << 20) + 2)
    assert stored["beginning"].startswith('"xxxx')
    assert world.job(job_id).status == "completed"


async def test_the_end_writes_the_webhook_of_the_flow(world: World) -> None:
    flow_id = world.add_flow(settings={"webhook_url": "https://example.com/hook"})
    job_id = world.submit(flow_id, {"n": 1}).job_id
    await world.runs().carry(job_id)
    rows = world.read(lambda session: session.execute(select(WebhookDelivery.url, WebhookDelivery.event)).all())
    assert [tuple(row) for row in rows] == [("https://example.com/hook", "job.completed")]


async def test_what_json_cannot_say_is_mended_before_it_is_stored(world: World) -> None:
    from engine.jobs.job_values import encoded

    assert encoded({"a": float("nan"), "b": "\ud800"}) == ('{"a":null,"b":"\\ud800"}', 23)


def _replace_version(session, flow_id: str, text: str) -> None:
    from storage.tables import FlowVersion

    session.execute(update(FlowVersion).where(FlowVersion.flow_id == flow_id).values(document=text))


async def test_jobs_whose_ends_cannot_be_stored_are_logged_together_and_end_when_the_disk_has_room(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gate = tmp_path / "gate"
    flow_id = world.add_flow(document_of(("slow", "test_wait", {"until": str(gate), "value": "x" * 200_000})))
    job_ids = [world.submit(flow_id).job_id for _ in range(4)]
    runs = world.runs()
    tasks = [await carry_until_running(world, runs, job_id) for job_id in job_ids]
    world.write(fill_disk)
    gate.touch()
    while "cannot be stored yet" not in caplog.text:
        await asyncio.sleep(0.05)
    await asyncio.sleep(1)
    assert caplog.text.count("cannot be stored yet") == 1
    assert {world.job(job_id).status for job_id in job_ids} == {"processing"}
    world.write(free_disk)
    await asyncio.gather(*tasks)
    assert {world.job(job_id).status for job_id in job_ids} == {"completed"}


@pytest.mark.process
async def test_what_a_job_used_is_freed_at_its_end(world: World) -> None:
    """Without reference cycles. The garbage collector would look at the objects of each job several times, and those of
    many jobs at once would stay until it comes by.
    """
    with WebSite() as site:
        site.pages["/"] = Page("Hello")
        get = {"url": site.at("/")}
        flow_id = world.add_flow(
            document_of(("get", "http_request", get), ("echo", "set_fields", {"n": "{{ get.out }}"}))
        )
        outbound = OutboundClient(OutboundRules(parse_allow_list("127.0.0.1")))
        unused: Any = None
        outside = Outside(world.database, outbound, unused, unused, unused, unused, unused)
        runs = world.runs()
        runs.services_for = outside.services_for
        for _ in range(2):  # the first one fills caches
            job_id = world.submit(flow_id, {"n": 1}).job_id
            gc.collect()
            gc.set_debug(gc.DEBUG_SAVEALL)
            try:
                await runs.carry(job_id)
                gc.collect()
            finally:
                gc.set_debug(0)
                cyclic = {type(one).__name__ for one in gc.garbage if type(one).__module__.startswith("engine.")}
                gc.garbage.clear()
            assert world.job(job_id).status == "completed"
        await outbound.aclose()
    assert not cyclic
