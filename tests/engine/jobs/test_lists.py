"""Lists in jobs: stored steps of each item, progress, and a retry that continues with the remaining items."""

from __future__ import annotations

import asyncio
from pathlib import Path

from engine.jobs.transitions import reclaim
from storage.events import list_events
from storage.steps import list_steps
from tests.engine.jobs.world import World, document_of

X = [{"name": "x", "type": "array"}]


def steps_of(world: World, job_id: str, node_id: str) -> dict[str, str]:
    """Maps each index path to the status of its step."""
    steps = world.read(list_steps, world.workspace_id, job_id)
    return {step.index_path: step.status for step in steps if step.node_id == node_id}


async def test_items_are_steps_of_their_own_and_a_node_is_done_when_all_its_items_are(world: World) -> None:
    document = document_of(
        ("s", "array_splitter", {"items": "{{ api_input.out.x }}"}),
        ("a", "text_template", {"template": "{{ s.index }}: {{ s.out }}"}),
        ("t", "array_splitter", {"items": "{{ s.out }}"}),
        ("f", "array_flatten", {}),
        ("g", "array_flatten", {}),
        fields=X,
    )
    job_id = world.submit(world.add_flow(document), {"x": [[1, 2], "no list", []]}).job_id
    await world.runs().carry(job_id)
    job = world.job(job_id)
    assert (job.status, job.steps_done, job.steps_total, job.items_failed) == ("completed", 6, 6, 1), job.error
    assert steps_of(world, job_id, "a") == {"0": "completed", "1": "completed", "2": "completed"}
    assert steps_of(world, job_id, "t") == {"0": "completed", "1": "failed", "2": "completed"}
    assert steps_of(world, job_id, "f") == {"0": "completed", "2": "completed"}
    out = world.result(job_id)["output"]
    assert [inner["items"] for inner in out["items"]] == [[1, 2], []]
    assert out["errors"] == [{"index": 1, "message": "`{{ s.out }}` is text, not a list."}]
    rows = world.read(list_steps, world.workspace_id, job_id)
    assert {(step.node_id, step.index_path): step.items for step in rows if step.items is not None} == {
        ("s", ""): 3,
        ("t", "0"): 2,
        ("t", "2"): 0,
    }
    events = world.read(list_events, world.workspace_id, job_id)
    assert [event.data["index"] for event in events if event.name == "step.failed"] == [[1]]


async def test_another_attempt_goes_on_with_the_items_that_were_left(world: World, tmp_path: Path) -> None:
    paper = tmp_path / "lines"
    document = document_of(
        ("s", "array_splitter", {"items": "{{ api_input.out.x }}"}),
        ("w", "test_write", {"path": str(paper), "line": "{{ s.out }}"}),
        ("slow", "test_sleep", {"seconds": "{{ s.out }}", "value": "{{ s.index }}"}),
        ("f", "array_flatten", {}),
        fields=X,
    )
    job_id = world.submit(world.add_flow(document), {"x": [0, 0.01, 0.5]}).job_id
    first = world.runs("boot_first")
    task = asyncio.create_task(first.carry(job_id))
    while steps_of(world, job_id, "slow").get("2") != "running":
        await asyncio.sleep(0.005)
    done = world.job(job_id).steps_done
    assert world.write(reclaim, "boot_first") == 1
    first.cancel(job_id)
    await world.runs("boot_second").carry(job_id)
    await task
    job = world.job(job_id)
    assert (job.status, job.attempts) == ("completed", 2), job.error
    assert world.result(job_id)["output"]["items"] == [0, 1, 2]
    assert paper.read_text().split() == ["0", "0.01", "0.5"], "no item is written twice"
    assert done == 2, "nodes in the list are done when all items are"
