"""Knowledge in jobs: each item adds its text once even if the worker dies, and what flows add is found and read again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from engine.actions.deployments import deploy
from engine.actions.erasing import erase_data
from engine.actions.flows import create_flow, save_as
from engine.actions.knowledge import add_collection, delete_collection
from engine.core.errors import FlowInvalid
from engine.flow.document import Document
from engine.jobs.transitions import reclaim
from storage.knowledge import find_collection, list_sources, page_of_pieces
from storage.steps import list_steps
from tests.engine.jobs.test_datasets_in_jobs import configured
from tests.engine.jobs.world import World, document_of
from tests.factories import person

X = [{"name": "x", "type": "array"}]


def keeping() -> Document:
    """A flow that keeps the text of each item of `x` and then waits for its own number of seconds."""
    document = document_of(
        ("each", "array_splitter", {"items": "{{ api_input.out.x }}"}),
        ("keep", "add_to_knowledge", {"text": "It took {{ each.out }} seconds."}),
        ("slow", "test_sleep", {"seconds": "{{ each.out }}", "value": "{{ keep.out.action }}"}),
        ("all", "array_flatten", {}),
        fields=X,
    )
    return configured(document, "keep", collection="Kept")


def pieces(world: World, collection: str) -> list[str]:
    def work(session: Any) -> list[str]:
        found: list[str] = []
        for source in list_sources(session, world.workspace_id, collection):
            found += [one.text for one in page_of_pieces(session, world.workspace_id, source.id, offset=0, limit=99)[0]]
        return found

    return world.read(work)


async def test_each_text_is_added_once_also_when_the_worker_dies_between(world: World) -> None:
    kept = world.write(add_collection, person(world.workspace_id), "Kept")
    job_id = world.submit(world.add_flow(keeping()), {"x": [0, 0.01, 0.5]}).job_id
    first = world.runs("boot_first")
    task = asyncio.create_task(first.carry(job_id))
    while len(pieces(world, kept)) < 3:
        await asyncio.sleep(0.005)
    assert world.write(reclaim, "boot_first") == 1
    first.cancel(job_id)
    await world.runs("boot_second").carry(job_id)
    await task
    job = world.job(job_id)
    assert (job.status, job.attempts) == ("completed", 2), job.error
    assert world.result(job_id)["output"]["items"] == ["added"] * 3
    assert sorted(pieces(world, kept)) == [f"It took {at} seconds." for at in ("0", "0.01", "0.5")]
    world.write(erase_data, person(world.workspace_id), job_id)
    receipts = world.read(lambda session: session.scalar(text("select count(*) from knowledge_writes")))
    assert receipts == 0, "they name what the job added"


async def test_a_flow_is_not_deployed_without_its_collection_and_a_job_says_that_it_is_gone(world: World) -> None:
    ada = person(world.workspace_id)
    document = configured(
        document_of(("find", "search_knowledge", {"query": "{{ api_input.out.n }}"})), "find", collection="Kept"
    )
    flow_id = world.write(create_flow, ada, "Finder", document, "")
    world.write(save_as, ada, flow_id, "Finder")
    with pytest.raises(FlowInvalid) as refused:
        world.write(deploy, ada, flow_id)
    assert [one.message for one in refused.value.problems] == [
        "There is no collection called `Kept`. Choose another one, or make it on the page Knowledge."
    ]
    kept = world.write(add_collection, ada, "Kept")
    world.write(deploy, ada, flow_id)
    job_id = world.submit(flow_id, {"n": 5}).job_id
    await world.runs().carry(job_id)
    assert world.result(job_id)["output"]["count"] == 0
    world.write(delete_collection, ada, kept, "delete")
    assert world.read(find_collection, ada.workspace_id, kept) is None
    job_id = world.submit(flow_id, {"n": 5}).job_id
    await world.runs().carry(job_id)
    error = world.job(job_id).error or {}
    assert (error["code"], error["message"]) == ("knowledge_failed", "No collection of knowledge is called `Kept`.")
    assert {step.node_id: step.status for step in world.read(list_steps, world.workspace_id, job_id)}[
        "find"
    ] == "failed"
