"""Runs from the Playground: on a snapshot, outside the plan's limits, at most four at a time."""

from __future__ import annotations

import asyncio

import pytest

from engine.actions.jobs import RunOptions, cancel_run, run_in_playground
from engine.actions.principal import Principal
from engine.core.errors import Conflict, FlowInvalid, NotAllowed, NotFound, PayloadInvalid
from engine.core.ids import WorkspaceId
from engine.flow.document import Document
from engine.jobs.huey_queue import JsonSerializer
from engine.jobs.transitions import claim, finish
from storage.job_changes import Lease
from storage.jobs import JobFilters, list_jobs, read_value
from storage.retention import remove_values
from storage.steps import list_steps
from tests.engine.jobs.world import ECHO, World, add_workspace

CHAIN = Document.model_validate(
    {
        "format": 1,
        "nodes": [
            {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "n", "type": "integer"}]}},
            {"id": "one", "type": "set_fields", "inputs": {"n": "{{ api_input.out.n }}"}},
            {"id": "two", "type": "set_fields", "inputs": {"n": "{{ one.out.n }}"}},
            {"id": "other", "type": "text_template", "inputs": {"template": "{% bad %}"}},
        ],
        "edges": [
            {"id": "a", "source": "api_input", "target": "one"},
            {"id": "b", "source": "one", "target": "two"},
            {"id": "c", "source": "two", "target": "other"},
        ],
    }
)


EACH = Document.model_validate(
    {
        "format": 1,
        "nodes": [
            {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "items", "type": "array"}]}},
            {"id": "split", "type": "array_splitter", "inputs": {"items": "{{ api_input.out.items }}"}},
            {"id": "before", "type": "set_fields", "inputs": {"x": "{{ split.out }}"}},
            {"id": "after", "type": "set_fields", "inputs": {"x": "{{ before.out.x }}!"}},
            {"id": "flat", "type": "array_flatten"},
        ],
        "edges": [
            {"id": "a", "source": "api_input", "target": "split"},
            {"id": "b", "source": "split", "target": "before"},
            {"id": "c", "source": "before", "target": "after"},
            {"id": "d", "source": "after", "target": "flat"},
        ],
    }
)


def principal(world: World, role: str = "editor") -> Principal:
    return Principal(WorkspaceId(world.workspace_id), "user_1", "Ada", role)  # type: ignore[arg-type]


def run(world: World, flow_id: str, document: Document = ECHO, payload=None, **options):
    return world.write(
        run_in_playground, principal(world), flow_id, document, payload or {"n": 3}, RunOptions(**options)
    )


@pytest.mark.parametrize("option", ["again", "reuse"])
async def test_a_run_takes_up_no_job_of_another_flow(world: World, option: str) -> None:
    job_id = run(world, world.add_flow())
    with pytest.raises(NotFound, match="another flow"):
        run(world, world.add_flow(), **{option: job_id})


@pytest.mark.parametrize("option", ["again", "reuse"])
async def test_a_run_takes_up_no_job_whose_values_are_gone(world: World, option: str) -> None:
    flow_id = world.add_flow()
    job_id = run(world, flow_id)
    await world.runs().carry(job_id)
    world.write(remove_values, [job_id], 100)
    with pytest.raises(Conflict, match="not kept any more"):
        run(world, flow_id, **{option: job_id})


async def test_a_playground_run_takes_no_slot_and_no_quota(world: World) -> None:
    flow_id = world.add_flow(live=False)
    job_id = run(world, flow_id)
    assert world.active() == 0
    await world.runs().carry(job_id)
    job = world.job(job_id)
    assert (job.status, job.environment, job.counted, job.flow_version) == ("completed", "playground", False, None)
    assert world.result(job_id) == {"output": {"n": 3}}
    public = world.read(list_jobs, world.workspace_id, JobFilters(environments=("live", "test", "dev")))
    assert public.jobs == ()


async def test_run_this_node_runs_what_it_needs_and_ignores_problems_elsewhere(world: World) -> None:
    flow_id = world.add_flow(live=False)
    job_id = run(world, flow_id, CHAIN, until="one")
    await world.runs().carry(job_id)
    assert world.result(job_id) == {"output": {"n": 3}}
    assert {step.node_id for step in world.read(list_steps, world.workspace_id, job_id)} == {"api_input", "one"}
    assert world.job(job_id).steps_total == 2


async def test_run_from_here_reuses_the_outputs_before(world: World) -> None:
    flow_id = world.add_flow(live=False)
    first = run(world, flow_id, CHAIN, until="two")
    await world.runs().carry(first)
    again = run(world, flow_id, CHAIN, {"n": 4}, until="two", start="two", reuse=first)
    await world.runs().carry(again)
    assert world.result(again) == {"output": {"n": 3}}
    steps = {step.node_id: step for step in world.read(list_steps, world.workspace_id, again)}
    assert {node_id: step.reused for node_id, step in steps.items()} == {"api_input": True, "one": True, "two": False}
    assert world.read(read_value, again, "input", "one") == {"n": 3}, "what it was given is taken over with it"


async def test_what_was_reused_can_be_reused_again_and_costs_nothing(world: World) -> None:
    flow_id = world.add_flow(live=False)
    job_id = run(world, flow_id, CHAIN, until="two")
    await world.runs().carry(job_id)
    paid = "update steps set cost_nanos = 5, input_tokens = 6, model_calls = 1, simulated = true where node_id = 'one'"
    world.write(lambda session: session.connection().exec_driver_sql(paid))
    for _ in range(2):
        job_id = run(world, flow_id, CHAIN, {"n": 4}, until="two", start="two", reuse=job_id)
        await world.runs().carry(job_id)
    one = next(step for step in world.read(list_steps, world.workspace_id, job_id) if step.node_id == "one")
    assert (one.reused, one.cost_nanos, one.input_tokens, one.model_calls) == (True, 0, 0, 0)
    job = world.job(job_id)
    assert (job.cost_nanos, job.model_calls, job.simulated) == (0, 0, True), "a simulated answer stays one"
    assert world.result(job_id) == {"output": {"n": 3}}


async def test_a_run_from_a_node_of_a_list_reuses_what_stands_before_it_for_every_item(world: World) -> None:
    flow_id = world.add_flow(live=False)
    job_id = run(world, flow_id, EACH, {"items": ["a", "b"]})
    await world.runs().carry(job_id)
    again = run(world, flow_id, EACH, {"items": ["a", "b"]}, start="after", reuse=job_id)
    await world.runs().carry(again)
    steps = world.read(list_steps, world.workspace_id, again)
    reused = sorted((step.node_id, step.index_path) for step in steps if step.reused)
    assert reused == [("api_input", ""), ("before", "0"), ("before", "1")], "a Splitter decides again where data goes"
    assert world.result(again) == world.result(job_id)


def test_a_run_is_refused_with_its_problems_its_wrong_fields_or_its_role(world: World) -> None:
    flow_id = world.add_flow(live=False)
    with pytest.raises(FlowInvalid):
        run(world, flow_id, CHAIN)
    with pytest.raises(PayloadInvalid):
        run(world, flow_id, payload={"n": "x"})
    with pytest.raises(NotAllowed):
        world.write(run_in_playground, principal(world, "viewer"), flow_id, ECHO, {}, RunOptions())
    foreign = world.add_flow(workspace_id=world.write(add_workspace))
    with pytest.raises(NotFound):
        run(world, foreign)
    with pytest.raises(NotFound):
        run(world, flow_id, start="echo", reuse="job_unknown")


def test_the_fifth_run_waits_and_is_sent_when_one_ends(world: World) -> None:
    flow_id = world.add_flow(live=False)
    jobs = [run(world, flow_id) for _ in range(6)]
    claimed = [world.write(claim, "boot_w", job_id) for job_id in jobs]
    assert [one is not None for one in claimed] == [True] * 4 + [False] * 2
    world.write(lambda session: session.connection().exec_driver_sql("delete from task"))
    world.write(finish, jobs[0], "completed", lease=Lease("boot_w", 1))
    (message,) = world.read(
        lambda session: session.connection().exec_driver_sql("select data from task").scalars().all()
    )
    assert JsonSerializer().deserialize(message).args == [jobs[4]]
    assert world.write(claim, "boot_w", jobs[4]) is not None
    assert world.write(claim, "boot_w", jobs[5]) is None
    assert world.submit(world.add_flow()).limits.active == 1


async def test_a_person_stops_a_run(world: World) -> None:
    job_id = run(world, world.add_flow(live=False))
    assert world.write(cancel_run, principal(world), job_id).status == "cancelled"
    with pytest.raises(NotAllowed):
        world.write(cancel_run, principal(world, "viewer"), job_id)
    await asyncio.sleep(0)
