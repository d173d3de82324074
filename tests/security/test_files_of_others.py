"""An id alone opens no file: a run reads the files that its job may name, wherever the id in its data comes from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.actions.datasets import add_column, add_dataset, change_row, import_rows
from engine.actions.erasing import erase_data
from engine.actions.hooks import add_hook
from engine.actions.jobs import RunOptions, run_in_playground, submit
from engine.actions.keys import create_key
from engine.actions.knowledge import add_collection, add_dataset_rows, add_text
from engine.actions.schedules import add_schedule, start_schedule
from engine.files.intake import incoming_of, store_file, value_of
from engine.flow.document import Document
from engine.jobs.submit.accept import Caller
from engine.jobs.submit.bodies import SubmitOptions
from engine.jobs.submit.hook_calls import HookCall, receive
from engine.jobs.transitions import cancel_job
from engine.jobs.worker.dataset_writes import WorkspaceDatasets
from engine.knowledge.documents import Found
from engine.knowledge.writing import cut_document, write_document
from engine.secrets.sealing import open_vault
from storage.dataset_changes import checked_rows
from storage.datasets import list_rows
from storage.files import add_read, add_uses, find_for_job, find_visible, list_uses
from storage.jobs import JobFilters, list_jobs
from tests.engine.jobs.test_called_flows import calling
from tests.engine.jobs.test_datasets_in_jobs import configured
from tests.engine.jobs.world import World, document_of, open_world
from tests.factories import person

SECRET = "content of another flow"
ANYTHING = [{"name": "doc", "type": "object", "required": True}]
READ = ("read", "test_read_file", {"file": "{{ api_input.out.doc }}"})
MONDAYS = {"kind": "weekly", "days": [1], "time": "09:00"}


@pytest.fixture
def world(new_data: Path) -> Iterator[World]:
    world = open_world(new_data)
    yield world
    world.database.close()


def reading(field: dict[str, Any] | None = None) -> Document:
    """A flow that reads what its field names as a file. The field is no file for the API, unless `field` makes it one."""
    return document_of(READ, fields=[{"name": "doc", "required": True, **(field or {"type": "object"})}])


def echoing() -> Document:
    return document_of(("echo", "set_fields", {"doc": "{{ api_input.out.doc }}"}), fields=ANYTHING)


def caller(world: World, environment: str, *flow_ids: str) -> Caller:
    made = world.write(create_key, person(world.workspace_id), "A key", environment, flow_ids=flow_ids or None)
    return Caller(world.workspace_id, made.id, environment, flow_ids=frozenset(flow_ids) or None)


def stored(world: World, by: Caller | None = None, environment: str = "live") -> dict[str, Any]:
    incoming = incoming_of(world.database.file_bytes, SECRET.encode(), "letter.txt")
    environment = by.environment if by else environment
    key_id = by.key_id if by else None
    return value_of(
        world.write(store_file, incoming, workspace_id=world.workspace_id, environment=environment, key_id=key_id)
    )


async def carried(world: World, job_id: str) -> Any:
    """Runs a job and returns what its step read, or the code of its error."""
    await world.runs().carry(job_id)
    job = world.job(job_id)
    return world.result(job_id)["output"] if job.error is None else job.error["code"]


def sent(world: World, by: Caller, flow_id: str, payload: dict[str, Any]) -> str:
    return world.write(submit, by, flow_id, payload, SubmitOptions()).job_id


def table(world: World, name: str, *rows: dict[str, Any]) -> str:
    dataset_id = world.write(add_dataset, person(world.workspace_id), name)
    if rows:
        world.write(import_rows, person(world.workspace_id), dataset_id, checked_rows(rows))
    return dataset_id


def rows_read(world: World, name: str = "Inbox") -> Document:
    """A flow that reads the file which the first row of a dataset names."""
    document = document_of(
        ("rows", "dataset_source", {}), ("read", "test_read_file", {"file": "{{ rows.out[0].doc }}"})
    )
    return configured(document, "rows", dataset=name)


def rows_written(name: str = "Inbox") -> Document:
    """A flow that adds a row with what it is sent to a dataset."""
    document = document_of(
        ("keep", "dataset_sink", {"doc": "{{ api_input.out.doc }}"}),
        ("done", "set_fields", {"done": "{{ keep.out.action }}"}),
        fields=ANYTHING,
    )
    return configured(document, "keep", dataset=name)


# Foreign files.


@pytest.mark.parametrize("form", ["object", "text", "called flow"])
async def test_a_key_gets_no_file_of_another_flow_and_environment(world: World, form: str) -> None:
    value = stored(world, caller(world, "live", world.add_flow()))
    match form:
        case "object":
            flow_id, doc = world.add_flow(reading()), {"file_id": value["file_id"]}
        case "text":
            flow_id, doc = world.add_flow(reading({"type": "string"})), value["file_id"]
        case _:
            inner = world.add_flow(reading({"type": "file"}))
            calls = calling(inner, {"doc": "{{ api_input.out.doc }}"}, version=1)
            nodes = (calls.nodes[0].model_copy(update={"config": {"fields": ANYTHING}}), *calls.nodes[1:])
            flow_id, doc = world.add_flow(calls.model_copy(update={"nodes": nodes})), {"file_id": value["file_id"]}
    key = caller(world, "test", flow_id)

    job_id = sent(world, key, flow_id, {"doc": doc})

    assert await carried(world, job_id) == "file_not_found"
    assert world.read(list_uses, "job", job_id) == []
    assert world.read(find_visible, world.workspace_id, [value["file_id"]], key.scope, key.key_id) == {}


async def test_the_sender_of_a_webhook_gets_no_file_of_another_flow(world: World) -> None:
    value = stored(world, caller(world, "live", world.add_flow()))
    flow_id = world.add_flow(reading())
    mapping = {"doc": {"from": "all"}}
    hook = world.write(
        add_hook, person(world.workspace_id), open_vault(world.data), flow_id, "A service", "link", mapping
    )
    answer = world.write(receive, hook.id, HookCall({"file_id": value["file_id"]}, {}, "", "", 10))
    assert await carried(world, answer.job_id) == "file_not_found"


async def test_a_dataset_makes_no_file_readable_that_its_writer_could_not_read(world: World) -> None:
    value = stored(world, caller(world, "live", world.add_flow()))
    dataset_id = table(world, "Inbox")
    writer, reader = world.add_flow(rows_written()), world.add_flow(rows_read(world))
    key = caller(world, "test", writer, reader)
    job_id = sent(world, key, writer, {"doc": {"file_id": value["file_id"]}})
    assert await carried(world, job_id) == {"done": "added"}

    assert world.read(list_uses, "dataset", dataset_id) == []
    assert await carried(world, sent(world, key, reader, {})) == "file_not_found"
    (line,) = world.read(list_rows, world.workspace_id, dataset_id)
    world.write(add_column, person(world.workspace_id), dataset_id, "state", "string")
    world.write(change_row, person(world.workspace_id), dataset_id, line.id, {"state": "seen"})
    assert await carried(world, sent(world, key, reader, {})) == "file_not_found", "nobody looked at the id in it"


async def test_a_schedule_leaves_out_rows_with_files_that_their_writer_could_not_read(world: World) -> None:
    value = stored(world, caller(world, "test"))
    mine = stored(world)
    dataset_id = table(world, "Inbox", {"doc": mine})
    writer, reader = (
        world.add_flow(rows_written()),
        world.add_flow(reading({"type": "file"})),
    )
    await carried(world, sent(world, caller(world, "live", writer), writer, {"doc": value}))

    source = {"kind": "dataset", "dataset_id": dataset_id, "mapping": {"doc": "doc"}}
    start = started(world, reader, source)

    assert (start.jobs, [one["number"] for one in start.left_out]) == (1, [2])
    assert value["file_id"] in start.left_out[0]["text"]
    assert await carried(world, scheduled_job(world, reader)) == SECRET


# Honest files.


def started(world: World, flow_id: str, source: dict[str, Any]) -> Any:
    ada = person(world.workspace_id)
    schedule_id = world.write(add_schedule, ada, flow_id, "Weekly", MONDAYS, "UTC", source)
    return world.write(start_schedule, ada, schedule_id)


def scheduled_job(world: World, flow_id: str) -> str:
    (job,) = world.read(list_jobs, world.workspace_id, JobFilters(flow_id=flow_id)).jobs
    return job.id


@pytest.mark.parametrize("source", ["input", "dataset"])
async def test_a_schedule_reads_what_its_input_or_its_rows_name_in_any_field(world: World, source: str) -> None:
    value = stored(world, environment="playground")
    if source == "input":
        given: dict[str, Any] = {"kind": "input", "payload": {"doc": value}}
    else:
        given = {"kind": "dataset", "dataset_id": table(world, "Inbox", {"doc": value}), "mapping": {"doc": "doc"}}
    flow_id = world.add_flow(reading())
    started(world, flow_id, given)
    assert await carried(world, scheduled_job(world, flow_id)) == SECRET


@pytest.mark.parametrize("whose", ["its own", "of its environment", "of the flow"])
async def test_a_key_reads_what_it_sees(world: World, whose: str) -> None:
    flow_id = world.add_flow(reading())
    key = caller(world, "test") if whose == "of its environment" else caller(world, "test", flow_id)
    value = stored(world, key if whose == "its own" else None, environment="test")
    if whose == "of the flow":
        world.write(add_uses, "flow", flow_id, [value["file_id"]])
    job_id = sent(world, key, flow_id, {"doc": {"file_id": value["file_id"]}})
    assert await carried(world, job_id) == SECRET
    assert world.read(list_uses, "job", job_id) == [value["file_id"]]


async def test_a_run_reads_the_files_in_the_rows_that_it_read(world: World) -> None:
    value = stored(world, environment="playground")
    table(world, "Inbox", {"doc": value})
    flow_id = world.add_flow(rows_read(world))
    job_id = sent(world, caller(world, "test", flow_id), flow_id, {})
    assert await carried(world, job_id) == SECRET


async def test_a_run_reads_the_files_in_the_rows_that_it_found_in_a_collection(world: World) -> None:
    value, other = stored(world, environment="playground"), stored(world, environment="playground")
    collection_id = world.write(add_collection, person(world.workspace_id), "Letters")
    dataset_id = table(world, "Inbox", {"doc": value})
    source_id = world.write(add_dataset_rows, person(world.workspace_id), collection_id, dataset_id)

    both = f"Letter {value['file_id']} {other['file_id']}"
    world.write(add_text, person(world.workspace_id), collection_id, "A text", both)
    world.write(write_document, source_id, None, cut_document(Found("1", "1", (("", both),)), 1_000), None)
    find = document_of(
        ("find", "search_knowledge", {"query": "letter"}), ("count", "set_fields", {"n": "{{ find.out.count }}"})
    )
    flow_id = world.add_flow(configured(find, "find", collection="Letters"))
    job_id = sent(world, caller(world, "test", flow_id), flow_id, {})

    assert await carried(world, job_id) == {"n": 2}
    assert world.read(list_uses, "job", job_id) == [value["file_id"]]


async def test_a_run_reads_what_an_earlier_step_made_and_what_a_called_flow_names(world: World) -> None:
    made = document_of(
        ("make", "test_keep_file", {"text": "made"}), ("read", "test_read_file", {"file": "{{ make.out }}"})
    )
    assert await carried(world, world.submit(world.add_flow(made)).job_id) == "made"

    value = stored(world, environment="playground")
    inner = world.add_flow(document_of(("name", "set_fields", {"doc": value})))
    world.write(add_uses, "flow", inner, [value["file_id"]])
    calls = calling(inner, {}, version=1)
    read = document_of(("read", "test_read_file", {"file": "{{ call.out.output.doc }}"})).nodes[1]
    edge = calls.edges[0].model_copy(update={"id": "e9", "source": "call", "target": "read"})
    flow_id = world.add_flow(calls.model_copy(update={"nodes": (*calls.nodes, read), "edges": (*calls.edges, edge)}))
    assert await carried(world, sent(world, caller(world, "test", flow_id), flow_id, {})) == SECRET


async def test_a_person_reads_every_file_of_the_workspace_in_the_playground(world: World) -> None:
    value = stored(world, caller(world, "live"))
    document = echoing()
    payload = {"doc": {"file_id": value["file_id"]}}
    job_id = world.write(
        run_in_playground, person(world.workspace_id), world.add_flow(document), document, payload, RunOptions()
    )
    (row,) = world.read(find_for_job, world.workspace_id, job_id, [value["file_id"]]).values()
    assert value_of(row) == value


async def test_a_read_that_comes_late_names_no_file_for_a_job_whose_data_were_erased(world: World) -> None:
    table(world, "Inbox", {"doc": stored(world)})
    job_id = world.submit(world.add_flow()).job_id
    world.write(cancel_job, world.workspace_id, job_id)
    world.write(erase_data, person(world.workspace_id), job_id)
    await WorkspaceDatasets(world.database, world.workspace_id, None, job_id).read("Inbox")
    assert world.read(list_uses, "job", job_id) == []


def test_a_file_that_is_gone_after_it_was_read_is_left_out(world: World) -> None:
    job_id, value = world.submit(world.add_flow()).job_id, stored(world)
    world.write(add_read, job_id, ["file_gone", value["file_id"]])
    assert world.read(list_uses, "job", job_id) == [value["file_id"]]


@pytest.mark.parametrize("how", ["again", "reuse"])
async def test_a_run_that_repeats_a_job_reads_the_files_that_this_job_reads(world: World, how: str) -> None:
    """The data of a caller opens no other files because a person runs it."""
    foreign, document = stored(world, caller(world, "live", world.add_flow())), echoing()
    flow_id = world.add_flow(reading())
    key = caller(world, "test", flow_id)
    own = stored(world, key)

    def repeated(earlier: str, payload: dict[str, Any], by: str) -> str:
        options = RunOptions(again=earlier) if by == "again" else RunOptions(start="echo", reuse=earlier)
        return world.write(run_in_playground, person(world.workspace_id), flow_id, document, payload, options)

    for value, outcome in ((foreign, "file_not_found"), (own, SECRET)):
        payload = {"doc": {"file_id": value["file_id"]}}
        job_id = sent(world, key, flow_id, payload)
        assert await carried(world, job_id) == outcome
        first = repeated(job_id, payload, "again")
        second = repeated(first, payload, how)
        files = world.read(find_for_job, world.workspace_id, second, [value["file_id"]])
        assert bool(files) == (outcome == SECRET)
