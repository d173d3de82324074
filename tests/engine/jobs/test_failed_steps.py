"""How many steps of a job failed: also those that were skipped, took a default value, or failed for items of a list."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from engine.actions.jobs import RunOptions, run_in_playground
from engine.actions.principal import Principal
from engine.core.ids import WorkspaceId
from engine.flow.document import Document
from engine.jobs.job_views import job_view
from engine.jobs.transitions import reclaim
from storage.events import list_events
from storage.jobs import JobFilters, list_jobs
from storage.steps import list_steps
from tests.engine.jobs.test_lists import X, steps_of
from tests.engine.jobs.world import World, document_of


def with_policy(document: Document, **policies: dict[str, Any]) -> Document:
    """Gives nodes a policy, by their ids."""
    nodes = tuple(
        type(node).model_validate({**node.model_dump(), "policy": policies.get(node.id, {})}) for node in document.nodes
    )
    return document.model_copy(update={"nodes": nodes})


async def run(world: World, document: Document, payload: dict[str, Any] | None = None) -> str:
    job_id = world.submit(world.add_flow(document), payload or {"n": 1}).job_id
    await world.runs().carry(job_id)
    return job_id


async def test_a_skipped_failure_and_a_default_value_are_counted_and_the_job_is_completed(world: World) -> None:
    document = document_of(
        ("a", "test_fail", {}), ("b", "test_fail", {}), ("c", "first_value", {"values": ["{{ b.out }}"]})
    )
    job_id = await run(
        world,
        with_policy(document, a={"on_error": "use_default", "default": "none"}, b={"on_error": "skip"}),
    )
    job = world.job(job_id)
    assert (job.status, job.steps_failed, job.went_on) == ("completed", 2, True), job.error
    view = job_view(job, None)
    assert (view["status"], view["steps_failed"]) == ("completed", 2)
    *events, last = world.read(list_events, world.workspace_id, job_id)
    ended = [(one.name, one.data["node_id"]) for one in events if "code" in one.data and one.data["message"]]
    assert sorted(ended) == [("step.completed", "a"), ("step.skipped", "b")]
    assert (last.name, last.data) == ("job.completed", {"steps_failed": 2})
    found = world.read(list_jobs, world.workspace_id, JobFilters(statuses=("completed",), steps_failed=True)).jobs
    assert [one.id for one in found] == [job_id]


async def test_a_whole_job_and_a_step_skipped_by_a_branch_have_no_failed_step(world: World) -> None:
    document = document_of(("a", "text_template", {"template": "x"}))
    job_id = await run(world, document)
    assert (world.job(job_id).steps_failed, world.job(job_id).went_on) == (0, False)
    assert world.read(list_events, world.workspace_id, job_id)[-1].data == {}
    assert world.read(list_jobs, world.workspace_id, JobFilters(steps_failed=True)).jobs == ()


async def test_a_step_that_failed_for_several_items_counts_once(world: World) -> None:
    document = document_of(
        ("s", "array_splitter", {"items": "{{ api_input.out.x }}"}),
        ("t", "array_splitter", {"items": "{{ s.out }}"}),
        ("f", "array_flatten", {}),
        ("g", "array_flatten", {}),
        fields=X,
    )
    job = world.job(await run(world, document, {"x": [[1], "no list", "none either"]}))
    assert (job.status, job.items_failed, job.steps_failed) == ("completed", 2, 1), job.error


async def test_items_that_the_time_limit_of_their_list_ended_are_a_failure_too(world: World) -> None:
    document = document_of(
        ("s", "array_splitter", {"items": "{{ api_input.out.x }}"}),
        ("a", "test_sleep", {"seconds": "{{ s.out }}"}),
        ("f", "array_flatten", {}),
        fields=X,
    )
    job = world.job(await run(world, with_policy(document, s={"timeout_seconds": 0.1}), {"x": [0, 30]}))
    assert (job.status, job.steps_failed) == ("completed", 1), job.error


async def test_a_failure_inside_a_called_flow_counts_as_the_step_that_calls_it(world: World) -> None:
    inner = world.add_flow(
        with_policy(
            document_of(("bad", "test_fail", {}), ("worse", "test_fail", {})),
            bad={"on_error": "use_default", "default": "x"},
            worse={"on_error": "use_default", "default": "y"},
        )
    )
    document = document_of(("call", "call_flow", {"n": 1}))
    nodes = tuple(
        node.model_copy(update={"config": {"flow_id": inner, "version": 1}}) if node.id == "call" else node
        for node in document.nodes
    )
    job = world.job(await run(world, document.model_copy(update={"nodes": nodes})))
    assert (job.status, job.steps_failed) == ("completed", 1), job.error


async def test_a_later_attempt_counts_what_failed_before_it(world: World, tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    document = with_policy(
        document_of(("a", "test_fail", {}), ("b", "test_wait", {"until": str(go_on)})),
        a={"on_error": "use_default", "default": "x"},
    )
    job_id = world.submit(world.add_flow(document), {"n": 1}).job_id
    first = world.runs("boot_first")
    task = asyncio.create_task(first.carry(job_id))
    while steps_of(world, job_id, "b").get("") != "running":
        await asyncio.sleep(0.005)
    assert world.job(job_id).steps_failed == 1
    assert world.write(reclaim, "boot_first") == 1
    first.cancel(job_id)
    go_on.touch()
    await world.runs("boot_second").carry(job_id)
    await task
    job = world.job(job_id)
    assert (job.status, job.attempts, job.steps_failed) == ("completed", 2, 1), job.error


async def test_a_run_from_a_later_step_counts_the_failure_it_took_over(world: World) -> None:
    document = with_policy(
        document_of(("a", "parse_json", {"text": "no JSON"}), ("b", "text_template", {"template": "{{ a.out }}"})),
        a={"on_error": "use_default", "default": "x"},
    )
    person = Principal(WorkspaceId(world.workspace_id), "user_1", "Ada", "editor")
    flow_id = world.add_flow(document)
    earlier = world.write(run_in_playground, person, flow_id, document, {"n": 1}, RunOptions())
    await world.runs().carry(earlier)
    again = world.write(run_in_playground, person, flow_id, document, {"n": 1}, RunOptions(start="b", reuse=earlier))
    await world.runs().carry(again)
    steps = {step.node_id: step for step in world.read(list_steps, world.workspace_id, again)}
    assert (steps["a"].reused, steps["a"].error is not None) == (True, True)
    assert world.job(again).steps_failed == 1
