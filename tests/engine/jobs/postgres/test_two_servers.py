"""Two processes with data folders of their own on one PostgreSQL: files, answers, slots, links, messages and sources are
there for both, and each is taken once.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.actions.hooks import add_hook
from engine.actions.knowledge import add_collection, add_text
from engine.actions.one_time_links import add_link, use_link
from engine.actions.principal import command_line
from engine.actions.schedules import add_schedule
from engine.core.clock import DAY, MINUTE, MovedClock
from engine.core.errors import LinkNotValid, QuestionClosed
from engine.files.intake import incoming_of, store_file, value_of
from engine.jobs.questions import answer
from engine.jobs.server.retention import Retention, Rules
from engine.jobs.server.scheduler import Scheduler
from engine.jobs.submit.hook_calls import HookCall, receive
from engine.jobs.worker.job_files import JobFiles
from engine.secrets.sealing import open_vault
from storage.database import Database
from storage.events import list_events
from storage.files import find_file, list_uses
from storage.jobs import JobFilters, list_jobs
from storage.knowledge import list_sources
from storage.knowledge_changes import claim_next, release_sources, wait_again
from storage.questions import list_questions_of_job
from storage.schedules import list_starts
from storage.tables_knowledge import KnowledgeSource
from tests.databases import stored_bytes, url_of
from tests.engine.jobs.world import World, document_of

CONTENT = bytes(range(256)) * 10_000  # three pieces


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def other(world: World, tmp_path: Path, clock: MovedClock) -> Iterator[World]:
    """The same database in another process, with a data folder of its own."""
    from storage.opening import open_database

    folder = tmp_path / "elsewhere"
    database = open_database(folder, url=url_of(world.data), clock=clock)
    yield replace(world, data=folder, database=database, boot_id="boot_other", _open=[])
    database.close()


def at_once(databases: tuple[Database, ...], times: int, work: Callable[[Database, int], Any]) -> list[Any]:
    """Runs `work` as often on each database, all at the same time; returns the answers and the errors."""
    ready = threading.Barrier(len(databases) * times)

    def one(database: Database, number: int) -> Any:
        ready.wait()
        try:
            return work(database, number)
        except Exception as error:  # noqa: BLE001 - told to the test
            return error

    with ThreadPoolExecutor(len(databases) * times) as pool:
        begun = [pool.submit(one, database, number) for number in range(times) for database in databases]
        return [one.result() for one in begun]


def upload(world: World, content: bytes = CONTENT, name: str = "a.bin") -> dict[str, Any]:
    incoming = incoming_of(world.database.file_bytes, content, name)
    try:
        return value_of(world.write(store_file, incoming, workspace_id=world.workspace_id, environment="live"))
    finally:
        incoming.discard()


async def test_a_file_of_one_is_read_by_the_other(world: World, other: World, clock: MovedClock) -> None:
    value = upload(world)
    flow_id = world.add_flow(
        document_of(("echo", "set_fields", {"f": "{{ api_input.out.f }}"}), fields=[{"name": "f", "type": "file"}])
    )
    job_id = world.submit(flow_id, {"f": value["file_id"]}).job_id
    await other.runs("boot_other").carry(job_id)
    assert other.result(job_id)["output"]["f"] == value

    class Claim:
        workspace_id, id, environment = world.workspace_id, job_id, "live"

    files = JobFiles(other.database, Claim())  # pyright: ignore[reportArgumentType]
    assert (await files.read(value)).content == CONTENT
    kept = await files.keep("b.bin", "", CONTENT + b"!")
    row = world.read(find_file, world.workspace_id, kept["file_id"])
    held = world.database.file_bytes.hold(row.sha256, row.size)
    assert held is not None
    assert held.read_bytes() == CONTENT + b"!"
    world.database.file_bytes.give_back(held)
    assert sorted(world.read(list_uses, "job", job_id)) == sorted([value["file_id"], kept["file_id"]])
    assert [
        path for folder in (world.data, other.data) for path in (folder / "files").rglob("*") if path.is_file()
    ] == []
    clock.offset += 40 * DAY
    Retention(other.database, rest=0.0).run(Rules(cap_gb=0))
    assert stored_bytes(world.database) == []


def test_equal_files_that_come_at_once_are_stored_once(world: World, other: World) -> None:
    worlds = {one.database: one for one in (world, other)}
    found = at_once((world.database, other.database), 5, lambda database, _: upload(worlds[database]))
    assert len({one["file_id"] for one in found}) == 10
    for one in (world, other):
        one.database.file_bytes.close()  # what is not needed is removed in the background
    assert stored_bytes(world.database) == [CONTENT]
    assert world.database.file_bytes.remove_old_drafts(older_than_seconds=-1) == 0


def test_twenty_answers_at_two_servers_are_one_answer(world: World, other: World) -> None:
    flow_id = world.add_flow(document_of(("ask", "test_ask", {"title": "Send it?", "values": {}})))
    job_id = world.submit(flow_id).job_id
    asyncio.run(world.runs().carry(job_id))
    assert other.job(job_id).waits_for_person
    (question,) = world.read(list_questions_of_job, world.workspace_id, job_id)
    said = at_once(
        (world.database, other.database),
        10,
        lambda database, number: database.write_now(answer, question, "approved", {}, "", f"Person {number}"),
    )
    assert sum(isinstance(one, QuestionClosed) for one in said) == 19
    asyncio.run(other.runs("boot_other").carry(job_id))
    assert (world.job(job_id).status, world.job(job_id).attempts) == ("completed", 1)
    names = [one.name for one in world.read(list_events, world.workspace_id, job_id)]
    assert names.count("step.answered") == 1
    assert world.active() == 0


async def test_two_schedulers_start_a_slot_once(world: World, other: World, clock: MovedClock) -> None:
    flow_id, who = world.add_flow(), command_line(world.workspace_id)
    every = {"kind": "minutes", "every": 1}
    source = {"kind": "input", "payload": {"n": 1}}
    schedules = [world.write(add_schedule, who, flow_id, "", every, "Europe/Berlin", source) for _ in range(5)]
    servers = [Scheduler(one.database) for one in (world, other)]
    for _ in range(3):
        clock.offset += MINUTE
        await asyncio.gather(*(one.pass_over() for one in servers * 3))
    for schedule_id in schedules:
        slots = [one.slot for one in world.read(list_starts, world.workspace_id, schedule_id, 100)]
        assert len(slots) == len(set(slots)) == 3
        jobs = world.read(list_jobs, world.workspace_id, JobFilters(trigger=f"schedule:{schedule_id}"), 100).jobs
        assert len(jobs) == 3


def test_a_message_of_a_service_starts_one_job(world: World, other: World) -> None:
    vault = open_vault(world.data)
    hook = world.write(add_hook, command_line(world.workspace_id), vault, world.add_flow(), "A service", "github", {})
    calls = [HookCall({"n": 1}, {}, f"message {number}", "push", 7) for number in range(5)]
    told = at_once(
        (world.database, other.database),
        10,
        lambda database, number: database.write_now(receive, hook.id, calls[number % 5]),
    )
    assert Counter(one.repeated for one in told) == {True: 15, False: 5}
    assert len({one.job_id for one in told}) == 5


def test_a_link_for_one_use_is_used_once(world: World, other: World) -> None:
    token = world.write(add_link, "invite", world.workspace_id, DAY, created_by="ada", role="editor")
    used = at_once(
        (world.database, other.database), 5, lambda database, _: database.write_now(use_link, token, "invite")
    )
    assert sum(isinstance(one, LinkNotValid) for one in used) == 9


def test_one_worker_reads_a_source_at_a_time(world: World, other: World) -> None:
    who = command_line(world.workspace_id)
    made = world.write(add_collection, who, "Terms")
    for number in range(4):
        world.write(add_text, who, made, f"T{number}", "Tins may be returned.")

    def due(session: Any) -> None:
        for source in session.query(KnowledgeSource):
            wait_again(session, source)

    world.write(due)
    workers = {world.database: "boot_test", other.database: "boot_other"}
    tasks = at_once(tuple(workers), 4, lambda database, _: database.write_now(claim_next, workers[database]))
    claimed = [one.source.id for one in tasks if one is not None]
    assert sorted(claimed) == sorted(one.id for one in world.read(list_sources, world.workspace_id, made))
    other.write(release_sources, "boot_test")  # the worker that read them is gone
    states = Counter(one.state for one in world.read(list_sources, world.workspace_id, made))
    assert states["waiting"] + states["working"] == 4
