"""Flows that call flows, as jobs: one job contains all steps and costs, and its limits apply to the called flows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import update

from engine.actions.flows import delete_flow
from engine.actions.jobs import RunOptions, run_in_playground
from engine.actions.principal import Principal
from engine.core.errors import FlowInvalid
from engine.core.ids import WorkspaceId
from engine.flow.document import Document
from engine.jobs.transitions import cancel_job, reclaim
from engine.models.client import ModelRequest, Models
from engine.outbound.client import OutboundClient
from storage.events import list_events
from storage.steps import StepRow, list_steps
from storage.tables import FlowVersion
from tests.engine.jobs.world import NoServices, World, add_workspace, document_of

WORD = [{"name": "word", "type": "string", "required": True}, {"name": "mark", "type": "string", "default": "!"}]
SHOUT = document_of(
    ("loud", "text_template", {"template": "{{ api_input.out.word | upper }}{{ api_input.out.mark }}"}), fields=WORD
)


def calling(flow_id: str, inputs: dict[str, Any] | None = None, *, version: int | None = None) -> Document:
    """A flow of an API Input with `n` and a call; `version` is the version that a deployment pins."""
    document = document_of(("call", "call_flow", {"word": "word {{ api_input.out.n }}"} if inputs is None else inputs))
    config = {"flow_id": flow_id, **({"version": version} if version else {})}
    nodes = tuple(
        node.model_copy(update={"config": config, "label": "Shout"}) if node.id == "call" else node
        for node in document.nodes
    )
    return document.model_copy(update={"nodes": nodes})


def steps(world: World, job_id: str) -> dict[str, StepRow]:
    return {step.node_id: step for step in world.read(list_steps, world.workspace_id, job_id)}


async def run(world: World, flow_id: str, payload: dict[str, Any] | None = None) -> str:
    job_id = world.submit(flow_id, payload or {"n": 3}).job_id
    await world.runs().carry(job_id)
    return job_id


async def test_a_called_flow_is_one_step_whose_result_goes_on(world: World) -> None:
    shout = world.add_flow(SHOUT)
    job_id = await run(world, world.add_flow(calling(shout, version=1)))
    job = world.job(job_id)
    assert (job.status, job.steps_done, job.steps_total) == ("completed", 2, 2), job.error
    assert world.result(job_id) == {"output": {"output": "WORD 3!"}}
    found = steps(world, job_id)
    assert set(found) == {"api_input", "call", "call.api_input", "call.loud"}
    assert found["call"].started_at <= found["call.loud"].started_at
    told = {event.data.get("node_id") for event in world.read(list_events, world.workspace_id, job_id)}
    assert {"call", "call.loud"} <= told


async def test_it_takes_one_slot_and_one_call_of_the_quota(world: World) -> None:
    job_id = world.submit(world.add_flow(calling(world.add_flow(SHOUT), version=1)), {"n": 1}).job_id
    assert world.active() == 1
    await world.runs().carry(job_id)
    assert world.active() == 0


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "`word`: missing"),
        ({"word": "x", "loud": True}, "`loud`"),
        ({"word": "{{ api_input.out.n }}"}, "`word`"),
    ],
    ids=["missing", "unknown", "a number for a text"],
)
async def test_it_checks_what_it_is_called_with(world: World, inputs: dict[str, Any], said: str) -> None:
    job_id = await run(world, world.add_flow(calling(world.add_flow(SHOUT), inputs, version=1)))
    error = world.job(job_id).error
    assert error is not None
    assert (error["code"], error["node_id"]) == ("input_missing", "call")
    assert said in error["message"]


async def test_a_failure_inside_names_the_flow_and_the_step(world: World) -> None:
    broken = world.add_flow(document_of(("bad", "test_fail", {}), fields=WORD))
    job_id = await run(world, world.add_flow(calling(broken, version=1)))
    job = world.job(job_id)
    assert job.error is not None
    assert (job.error["code"], job.error["node_id"], job.items_failed) == ("http_status", "call", 0)
    assert job.error["message"] == "“A flow” failed at bad: It fails on purpose."
    found = steps(world, job_id)
    assert {node_id: step.status for node_id, step in found.items()} == {
        "api_input": "completed",
        "call": "failed",
        "call.api_input": "completed",
        "call.bad": "failed",
    }


async def test_models_inside_are_paid_by_the_job_once(world: World) -> None:
    prompt = document_of(("ask", "prompt", {"prompt": "Say {{ api_input.out.word }}"}), fields=WORD)
    prompt = prompt.model_copy(
        update={
            "nodes": tuple(
                node.model_copy(update={"config": {"model": "simulated"}}) if node.id == "ask" else node
                for node in prompt.nodes
            )
        }
    )
    flow_id = world.add_flow(calling(world.add_flow(prompt), version=1))
    runs = world.runs()
    outbound = OutboundClient()

    class Outside(NoServices):
        async def ask_model(self, question: Any, *, on_call: Any = None, on_text: Any = None) -> Any:
            return await Models(outbound).ask(None, ModelRequest.of(question, on_delta=on_text, on_call=on_call))

    runs.services_for = lambda job, recorder: Outside(recorder, world)
    job_id = world.submit(flow_id, {"n": 3}).job_id
    await runs.carry(job_id)
    await outbound.aclose()
    job, found = world.job(job_id), steps(world, job_id)
    assert (job.status, job.simulated, job.model_calls) == ("completed", True, 1), job.error
    for step in (found["call"], found["call.ask"]):
        assert (step.simulated, step.model_calls, step.input_tokens) == (True, 1, job.input_tokens)


async def test_every_item_of_a_list_calls_it(world: World) -> None:
    shout = world.add_flow(SHOUT)
    document = document_of(
        ("s", "array_splitter", {"items": "{{ api_input.out.x }}"}),
        ("call", "call_flow", {"word": "{{ s.out }}"}),
        ("f", "array_flatten", {"value": "{{ call.out.output }}"}),
        fields=[{"name": "x", "type": "array"}],
    )
    document = document.model_copy(
        update={
            "nodes": tuple(
                node.model_copy(update={"config": {"flow_id": shout, "version": 1}}) if node.id == "call" else node
                for node in document.nodes
            )
        }
    )
    job_id = await run(world, world.add_flow(document), {"x": ["a", 2, "c"]})
    output = world.result(job_id)["output"]
    assert output["items"] == ["A!", "C!"]
    assert output["errors"][0]["index"] == 1
    assert world.job(job_id).items_failed == 1
    indexes = [
        step.index_path for step in world.read(list_steps, world.workspace_id, job_id) if step.node_id == "call.loud"
    ]
    assert indexes == ["0", "2"]


async def test_cancelling_and_the_time_limit_reach_the_steps_inside(world: World) -> None:
    slow = world.add_flow(document_of(("wait", "test_sleep", {"seconds": 30}), fields=WORD))
    flow_id = world.add_flow(calling(slow, version=1))
    runs = world.runs()
    job_id = world.submit(flow_id, {"n": 1}).job_id
    carried = asyncio.create_task(runs.carry(job_id))
    while "call.wait" not in steps(world, job_id):
        await asyncio.sleep(0.01)
    world.write(cancel_job, world.workspace_id, job_id)
    runs.cancel(job_id)
    await carried
    assert (world.job(job_id).status, steps(world, job_id)["call.wait"].status) == ("cancelled", "cancelled")

    short = world.submit(flow_id, {"n": 1}, cancel_after_seconds=0.2).job_id
    await world.runs().carry(short)
    error = world.job(short).error
    assert error is not None
    assert error["code"] in {"timeout", "timed_out"}


async def test_another_attempt_goes_on_inside_the_called_flow(world: World, tmp_path: Any) -> None:
    path = str(tmp_path / "lines")
    inner = world.add_flow(
        document_of(
            ("one", "test_write", {"path": path, "line": "one"}),
            ("two", "test_sleep", {"seconds": "{{ api_input.out.word }}", "value": "{{ one.out }}"}),
            fields=WORD,
        )
    )
    job_id = world.submit(world.add_flow(calling(inner, {"word": "0.3"}, version=1)), {"n": 1}).job_id
    first = world.runs("boot_gone")
    task = asyncio.create_task(first.carry(job_id))
    while steps(world, job_id).get("call.two") is None:
        await asyncio.sleep(0.005)
    assert world.write(reclaim, "boot_gone") == 1
    first.cancel(job_id)
    await world.runs("boot_next").carry(job_id)
    await task
    assert world.job(job_id).status == "completed", world.job(job_id).error
    assert world.result(job_id) == {"output": {"output": "one"}}
    assert (tmp_path / "lines").read_text() == "one\n"


async def test_a_flow_that_was_deleted_since_is_told_as_such(world: World) -> None:
    shout = world.add_flow(SHOUT)
    flow_id = world.add_flow(calling(shout, version=1))
    world.write(delete_flow, _editor(world), shout)
    error = world.job(await run(world, flow_id)).error
    assert error is not None
    assert error["message"] == "The flow that this step calls is not there any more."


async def test_a_foreign_flow_is_as_good_as_not_there(world: World) -> None:
    foreign = world.add_flow(SHOUT, workspace_id=world.write(add_workspace))
    error = world.job(await run(world, world.add_flow(calling(foreign, version=1)))).error
    assert error is not None
    assert error["message"] == "The flow that this step calls is not there any more."
    with pytest.raises(FlowInvalid) as refused:
        world.write(run_in_playground, _editor(world), world.add_flow(), calling(foreign), {"n": 1}, RunOptions())
    assert [problem.code for problem in refused.value.problems] == ["unknown_flow"]


async def test_flows_that_call_each_other_end_with_their_names(world: World) -> None:
    flow_id = world.add_flow(SHOUT)
    document = calling(flow_id, {"n": 1}).dumps()
    world.write(lambda session: session.execute(update(FlowVersion).values(document=document)))
    error = world.job(await run(world, flow_id)).error
    assert error is not None
    assert "call each other without end" in error["message"]


async def test_six_calls_in_one_another_are_one_too_many(world: World) -> None:
    flow_id = world.add_flow(document_of(("end", "set_fields", {"x": 1})))
    depth = {}
    for number in range(1, 7):
        flow_id = depth[number] = world.add_flow(calling(flow_id, {"n": 1}, version=1))
    assert world.job(await run(world, depth[5])).status == "completed"
    error = world.job(await run(world, depth[6])).error
    assert error is not None
    assert "5 deep" in f"{error['message']} {error['why']}"


async def test_a_run_in_the_playground_fixes_the_version_it_calls(world: World) -> None:
    shout = world.add_flow(SHOUT)
    flow_id = world.add_flow(live=False)
    job_id = world.write(run_in_playground, _editor(world), flow_id, calling(shout), {"n": 3}, RunOptions())
    await world.runs().carry(job_id)
    assert world.result(job_id) == {"output": {"output": "WORD 3!"}}
    again = world.write(
        run_in_playground,
        _editor(world),
        flow_id,
        calling(shout),
        {"n": 4},
        RunOptions(start="call", reuse=job_id),
    )
    await world.runs().carry(again)
    assert "call.loud" in steps(world, again), "what was kept inside is not taken for another call"


def _editor(world: World) -> Principal:
    return Principal(WorkspaceId(world.workspace_id), "user_1", "Ada", "editor")
