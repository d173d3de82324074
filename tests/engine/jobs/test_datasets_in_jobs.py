"""Datasets in jobs: each item writes its row once even if the worker dies, and rows are read at run time."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from engine.actions.datasets import (
    add_dataset,
    add_row,
    change_row,
    delete_dataset,
    delete_rows,
    import_rows,
    take_out_rows,
)
from engine.actions.deployments import deploy
from engine.actions.flows import create_flow, import_flow, save_as
from engine.actions.jobs import run_in_playground
from engine.core.errors import Conflict, FlowInvalid
from engine.flow.document import Document
from engine.jobs.transitions import reclaim
from storage.dataset_changes import checked_rows
from storage.dataset_writes import TableWritten, list_added_rows, list_job_writes
from storage.datasets import each_row, list_datasets, list_row_ids
from storage.steps import list_steps
from tests.engine.jobs.world import World, document_of
from tests.factories import flow_file, person

X = [{"name": "x", "type": "array"}]


def add(world: World, name: str, rows: list[dict[str, Any]]) -> str:
    ada = person(world.workspace_id)
    dataset_id = world.write(add_dataset, ada, name)
    world.write(import_rows, ada, dataset_id, checked_rows(rows))
    return dataset_id


def rows_of(world: World, dataset_id: str) -> list[dict[str, Any]]:
    return [row.data for row in world.read(lambda session: list(each_row(session, world.workspace_id, dataset_id)))]


def keeping(*, sleeps: bool = False) -> Document:
    """A flow that adds each item of `x` to the dataset Kept; with `sleeps`, an item then waits for its own number of
    seconds.
    """
    nodes: list[tuple[str, str, dict[str, Any]]] = [
        ("each", "array_splitter", {"items": "{{ api_input.out.x }}"}),
        ("keep", "dataset_sink", {"item": "{{ each.out }}", "index": "{{ each.index }}"}),
    ]
    if sleeps:
        nodes.append(("slow", "test_sleep", {"seconds": "{{ each.out }}", "value": "{{ keep.out.action }}"}))
    document = document_of(*nodes, ("all", "array_flatten", {}), fields=X)
    return configured(document, "keep", dataset="Kept")


def configured(document: Document, node_id: str, **config: Any) -> Document:
    nodes = [one.model_copy(update={"config": config}) if one.id == node_id else one for one in document.nodes]
    return document.model_copy(update={"nodes": tuple(nodes)})


async def test_each_item_is_kept_once_also_when_the_worker_dies_between(world: World) -> None:
    kept = add(world, "Kept", [])
    job_id = world.submit(world.add_flow(keeping(sleeps=True)), {"x": [0, 0.01, 0.5]}).job_id
    first = world.runs("boot_first")
    task = asyncio.create_task(first.carry(job_id))
    while len(rows_of(world, kept)) < 3:
        await asyncio.sleep(0.005)
    assert world.write(reclaim, "boot_first") == 1
    first.cancel(job_id)
    await world.runs("boot_second").carry(job_id)
    await task
    job = world.job(job_id)
    assert (job.status, job.attempts) == ("completed", 2), job.error
    assert world.result(job_id)["output"]["items"] == ["added"] * 3
    assert Counter(row["item"] for row in rows_of(world, kept)) == {0: 1, 0.01: 1, 0.5: 1}


async def test_a_number_makes_a_column_of_numbers_also_when_the_first_is_whole(world: World) -> None:
    kept = add(world, "Kept", [])
    fields = [{"name": "price", "type": "number"}, {"name": "count", "type": "integer"}]
    row = {"price": "{{ api_input.out.price }}", "count": "{{ api_input.out.count }}", "fixed": 1}
    nodes = ("keep", "dataset_sink", row), ("done", "set_fields", {"done": "{{ keep.out.action }}"})
    document = configured(document_of(*nodes, fields=fields), "keep", dataset="Kept")
    job_id = world.submit(world.add_flow(document), {"price": 12, "count": 3}).job_id
    await world.runs().carry(job_id)
    assert world.job(job_id).status == "completed", world.job(job_id).error
    (line,) = world.read(list_datasets, world.workspace_id)
    assert line.id == kept
    assert {one.name: one.type for one in line.columns} == {"price": "number", "count": "integer", "fixed": "integer"}


async def test_items_with_one_key_that_run_together_leave_the_last_one(world: World) -> None:
    kept = add(world, "Kept", [])
    document = configured(keeping(), "keep", dataset="Kept", mode="upsert", key_column="item")
    document = configured(document, "each", mode="parallel", max_concurrency=8)
    job_id = world.submit(world.add_flow(document), {"x": ["a", "b"] * 20}).job_id
    await world.runs().carry(job_id)
    assert world.job(job_id).status == "completed"
    assert {row["item"]: row["index"] for row in rows_of(world, kept)} == {"a": 38, "b": 39}
    assert len(rows_of(world, kept)) == 2


LOOK_UP = {"value": "{{ api_input.out.email }}"}
NAMED = {"text": "Dear {{ look.out.name }}"}


def looking_up(first: list[str], nodes: list[dict[str, Any]], edges: str) -> Document:
    """A flow that looks the payload's `email` up in Tenants; `first`: the values of the First Value that callers get."""
    start = {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "email", "type": "string"}]}}
    look = {"id": "look", "type": "look_up_row", "config": {"dataset": "Tenants", "column": "email"}, "inputs": LOOK_UP}
    last = {"id": "last", "type": "first_value", "inputs": {"values": first}}
    output = {"id": "out", "type": "api_output", "inputs": {"reply": "{{ last.out }}"}}
    drawn = [one.replace(">", ".").split(".") for one in edges.split()]
    made = [
        {"id": f"e{at}", "source": one[0], "source_port": one[1] if len(one) == 3 else "out", "target": one[-1]}
        for at, one in enumerate(drawn)
    ]
    return Document.model_validate({"nodes": [start, look, *nodes, last, output], "edges": made})


@pytest.mark.parametrize(
    ("first", "nodes", "edges", "found", "not_found"),
    [
        pytest.param(
            ["{{ a.out.text }}", "{{ b.out }}"],
            [
                {"id": "a", "type": "set_fields", "inputs": NAMED},
                {"id": "b", "type": "text_template", "inputs": {"template": "Who are you?"}},
            ],
            "api_input>look look.found>a look.not_found>b a>last b>last last>out",
            "Dear Ann",
            "Who are you?",
            id="a step on each way",
        ),
        pytest.param(
            ["{{ look.out.name }}", "nobody"],
            [],
            "api_input>look look.found>last look.not_found>last last>out",
            "Ann",
            "nobody",
            id="a fixed value in place of the row",
        ),
        pytest.param(
            ["{{ look.out }}", "nobody"],
            [],
            "api_input>look look.found>last look.not_found>last last>out",
            {"email": "ann@example.com", "name": "Ann"},
            "nobody",
            id="the whole row",
        ),
    ],
)
async def test_a_row_is_looked_up_and_answered_differently_when_there_is_none(
    world: World, first: list[str], nodes: list[dict[str, Any]], edges: str, found: Any, not_found: str
) -> None:
    add(world, "Tenants", [{"email": "ann@example.com", "name": "Ann"}])
    flow_id = world.add_flow(looking_up(first, nodes, edges))
    sent = [({"email": "Ann@example.com"}, found), ({"email": "joe@example.com"}, not_found), ({}, not_found)]
    for payload, reply in sent:
        job_id = world.submit(flow_id, payload).job_id
        await world.runs().carry(job_id)
        assert world.job(job_id).status == "completed", world.job(job_id).error
        assert world.result(job_id) == {"reply": reply}


async def test_a_step_that_needs_the_row_says_that_none_was_found(world: World) -> None:
    add(world, "Tenants", [{"email": "ann@example.com", "name": "Ann"}])
    reads = [
        {"id": "a", "type": "set_fields", "inputs": NAMED},
        {"id": "b", "type": "parse_json", "inputs": {"text": "{{ look.out.name }}"}},
    ]
    edges = "api_input>look look.found>a look.not_found>a a>last last>out"
    flow_id = world.add_flow(looking_up(["{{ a.out.text }}"], reads[:1], edges))
    job_id = world.submit(flow_id, {"email": "joe@example.com"}).job_id
    await world.runs().carry(job_id)
    assert world.result(job_id) == {"reply": "Dear "}
    steps = {one.node_id: one for one in world.read(list_steps, world.workspace_id, job_id)}
    assert list(steps["a"].warnings) == ["`text` is null: look found no row."]
    edges = "api_input>look look.found>b look.not_found>b b>last last>out"
    flow_id = world.add_flow(looking_up(["{{ b.out }}"], reads[1:], edges))
    job_id = world.submit(flow_id, {"email": "joe@example.com"}).job_id
    await world.runs().carry(job_id)
    error = world.job(job_id).error or {}
    assert error["message"] == "Text has no value: look found no row."
    assert error["remedy"] == "Connect this step to “found” of look, and another step to “not found”."


async def test_a_skipped_step_names_the_way_as_the_canvas_does(world: World) -> None:
    add(world, "Tenants", [])
    edges = "api_input>look look.found>a a>last look.not_found>last last>out"
    flow_id = world.add_flow(
        looking_up(["{{ a.out.text }}", "nobody"], [{"id": "a", "type": "set_fields", "inputs": NAMED}], edges)
    )
    job_id = world.submit(flow_id, {"email": "joe@example.com"}).job_id
    await world.runs().carry(job_id)
    (skipped,) = [one for one in world.read(list_steps, world.workspace_id, job_id) if one.node_id == "a"]
    assert list(skipped.warnings) == ["Skipped: “look” went to “not found”."]


async def test_the_way_of_a_row_stays_when_the_job_begins_again(world: World) -> None:
    """The row is gone when the second worker goes on: the flow stays on the way that it took."""
    tenants = add(world, "Tenants", [{"email": "ann@example.com", "name": "Ann"}])
    sleep = {"id": "a", "type": "test_sleep", "inputs": {"seconds": 0.5, "value": "{{ look.out.name }}"}}
    edges = "api_input>look look.found>a a>last last>out"
    job_id = world.submit(
        world.add_flow(looking_up(["{{ a.out }}", "nobody"], [sleep], edges)), {"email": "ann@example.com"}
    ).job_id
    first = world.runs("boot_first")
    task = asyncio.create_task(first.carry(job_id))
    while not any(one.node_id == "a" for one in world.read(list_steps, world.workspace_id, job_id)):
        await asyncio.sleep(0.005)
    world.write(delete_rows, person(world.workspace_id), tenants, world.read(list_row_ids, world.workspace_id, tenants))
    assert world.write(reclaim, "boot_first") == 1
    first.cancel(job_id)
    await world.runs("boot_second").carry(job_id)
    await task
    assert (world.job(job_id).attempts, world.result(job_id)) == (2, {"reply": "Ann"})


async def test_rows_are_read_when_the_job_runs(world: World) -> None:
    goods = add(world, "Goods", [{"name": "Rye"}])
    document = document_of(("rows", "dataset_source", {}), ("n", "set_fields", {"n": "{{ rows.out }}"}))
    flow_id = world.add_flow(configured(document, "rows", dataset="Goods"))
    world.write(add_row, person(world.workspace_id), goods, {"name": "Roll"})
    job_id = world.submit(flow_id).job_id
    await world.runs().carry(job_id)
    assert world.result(job_id)["output"] == {"n": [{"name": "Rye"}, {"name": "Roll"}]}
    world.write(delete_dataset, person(world.workspace_id), goods, "delete")
    job_id = world.submit(flow_id).job_id
    await world.runs().carry(job_id)
    error = world.job(job_id).error or {}
    assert (error["code"], error["message"]) == ("dataset_failed", "No dataset with the id `Goods`.")
    steps = world.read(list_steps, world.workspace_id, job_id)
    assert {step.node_id: step.status for step in steps}["rows"] == "failed"


async def test_what_a_practice_run_added_is_known_and_can_be_taken_out_again(world: World) -> None:
    ada = person(world.workspace_id)
    kept = add(world, "Kept", [{"item": "old"}])
    document = configured(keeping(), "keep", dataset="Kept", mode="upsert", key_column="item")
    flow_id = world.add_flow(document)
    job_id = world.write(run_in_playground, ada, flow_id, document, {"x": ["a", "b", "c", "old"]})
    rows = world.read(list_added_rows, world.workspace_id, job_id)
    with pytest.raises(Conflict):  # it has not ended
        world.write(take_out_rows, ada, job_id, rows)
    await world.runs().carry(job_id)
    called = world.submit(flow_id, {"x": ["b"]}).job_id
    await world.runs().carry(called)
    wrote = world.read(list_job_writes, world.workspace_id, job_id)
    assert wrote == (TableWritten(kept, "Kept", added=3, changed=1),)
    rows = world.read(list_added_rows, world.workspace_id, job_id)
    with pytest.raises(Conflict, match="practice run"):
        world.write(take_out_rows, ada, called, rows)
    last = max(rows[kept])
    world.write(change_row, ada, kept, last, {"item": "mine"})  # after the page was shown
    assert world.write(take_out_rows, ada, job_id, rows) == 1
    assert [row["item"] for row in rows_of(world, kept)] == ["old", "b", "mine"]
    wrote = world.read(list_job_writes, world.workspace_id, job_id)
    assert wrote == (TableWritten(kept, "Kept", changed=1, taken_out=1),)
    assert world.read(list_job_writes, "ws_other", job_id) == ()
    assert world.read(list_added_rows, "ws_other", called) == {}


async def test_columns_that_a_practice_run_made_go_with_its_rows_unless_somebody_fills_them(world: World) -> None:
    ada = person(world.workspace_id)
    kept = add(world, "Kept", [{"item": "old"}])
    document = configured(keeping(), "keep", dataset="Kept")

    async def ran() -> str:
        flow_id = world.add_flow(document)
        job_id = world.write(run_in_playground, ada, flow_id, document, {"x": ["a"]})
        await world.runs().carry(job_id)
        return job_id

    def columns() -> list[str]:
        (line,) = world.read(list_datasets, world.workspace_id)
        return list(line.column_names)

    for others in (["item"], ["item", "index"]):
        job_id = await ran()
        assert columns() == ["item", "index"]
        if "index" in others:
            world.write(add_row, ada, kept, {"index": 7})
        assert world.write(take_out_rows, ada, job_id, world.read(list_added_rows, world.workspace_id, job_id)) == 1
        assert columns() == others


def file_with(dataset: str) -> dict[str, Any]:
    document = document_of(("rows", "dataset_source", {}), ("n", "set_fields", {"n": "{{ rows.out }}"}))
    return {"title": "Rows", **configured(document, "rows", dataset=dataset).model_dump(mode="json")}


def test_a_dataset_that_is_not_there_is_a_warning_on_import_and_stops_a_deployment(world: World) -> None:
    ada = person(world.workspace_id)
    imported = world.write(import_flow, ada, flow_file(file_with("Goods")))
    assert [(one.code, one.node_id) for one in imported.problems] == [("no_dataset", "rows")]
    with pytest.raises(FlowInvalid, match="1 problem"):
        world.write(deploy, ada, imported.flow_id)
    add(world, "Goods", [])
    world.write(deploy, ada, imported.flow_id)


async def test_a_flow_that_begins_with_rows_runs_in_the_playground(world: World) -> None:
    add(world, "Goods", [{"name": "Rye"}, {"name": "Roll"}])
    document = document_of(
        ("each", "array_splitter", {"items": "{{ rows.out }}"}),
        ("text", "text_template", {"template": "Buy {{ each.out.name }}"}),
        ("all", "array_flatten", {}),
    )
    source = {"id": "rows", "type": "dataset_source", "config": {"dataset": "Goods"}}
    whole = document.model_dump(mode="json")
    whole["nodes"][0] = source
    whole["edges"][0]["source"] = "rows"
    document = Document.model_validate(whole)
    ada = person(world.workspace_id)
    flow_id = world.write(create_flow, ada, "Rows", document)
    job_id = world.write(run_in_playground, ada, flow_id, document, {})
    await world.runs().carry(job_id)
    assert world.job(job_id).status == "completed", world.job(job_id).error
    assert world.result(job_id)["output"]["items"] == ["Buy Rye", "Buy Roll"]
    world.write(save_as, ada, flow_id, "Rows")
    with pytest.raises(FlowInvalid, match="2 problems"):
        world.write(deploy, ada, flow_id)
