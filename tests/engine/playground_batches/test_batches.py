"""Tests of Playground batches across a restart of the server: no row is lost, and none runs twice."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from engine.actions.datasets import add_dataset, import_rows
from engine.actions.erasing import erase_data, find_copies
from engine.actions.members import ensure_owner
from engine.actions.playground_batches import begin_playground_batch
from engine.actions.principal import Principal
from engine.core.clock import DAY, SECOND, MovedClock
from engine.core.errors import BatchDataGone, BatchRunning, StorageUnavailable
from engine.core.ids import WorkspaceId
from engine.flow.document import Document
from engine.jobs.server.erasing import finish_erasing
from engine.jobs.server.job_waiters import JobWaiters
from engine.jobs.server.retention import Retention
from engine.jobs.transitions import cancel_job
from engine.playground_batches.registry import PlaygroundBatches
from engine.playground_batches.rows import DatasetRows, ListedRows, Rows
from engine.playground_batches.runner import BatchRunner
from storage.batches import list_batch_runs
from storage.dataset_changes import checked_rows
from storage.datasets import list_rows
from storage.jobs import JobFilters, list_jobs
from storage.members import list_people
from storage.playground_batches import RowOutsideJobs, list_rows_outside_jobs, store_row
from storage.retention import remove_jobs, remove_values
from storage.tables import Base, Batch, DatasetRow, Job, PlaygroundBatch, PlaygroundBatchRow, Snapshot, User
from tests.engine.jobs.world import World, open_world
from tests.logical_time import LogicalClock, LogicalLoop, pass_time
from tests.stored import failing, fill_disk, free_disk

READING = Document.model_validate(
    {
        "format": 1,
        "nodes": [
            {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "text", "type": "string", "required": True}]}},
            {"id": "read", "type": "parse_json", "inputs": {"text": "{{ api_input.out.text }}"}},
        ],
        "edges": [{"id": "e1", "source": "api_input", "target": "read"}],
    }
)  # fmt: skip


@pytest.fixture
def world(new_data: Path) -> Iterator[World]:
    world = open_world(new_data, clock=LogicalClock())
    world.database.write_now(ensure_owner, world.workspace_id, "ada@example.com", "hash")
    yield world
    world.database.close()


class Servers:
    """One server after another on the same data folder."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.flow_id = world.add_flow(READING)
        self.batches = self._fresh()

    def _fresh(self) -> PlaygroundBatches:
        return PlaygroundBatches(self.world.database, JobWaiters(self.world.database))

    @property
    def owner(self) -> Principal:
        person = self.world.database.read_now(list_people, self.world.workspace_id)[0]
        return Principal(WorkspaceId(person.workspace_id), person.id, person.name, person.role)

    def begin(self, rows: Rows) -> BatchRunner:
        begun = self.world.database.write_now(
            begin_playground_batch, self.owner, self.flow_id, READING, rows.total, rows.as_json()
        )
        return self.batches.start(begun, rows, self.owner.actor)

    async def restart(self) -> None:
        await self.batches.close()
        self.batches = self._fresh()
        await self.batches.resume()

    async def newest(self) -> BatchRunner:
        found = await self.batches.newest(self.world.workspace_id, self.flow_id)
        assert found is not None
        return found

    def jobs(self) -> list[Any]:
        return list(self.world.database.read_now(list_jobs, self.world.workspace_id, JobFilters()).jobs)

    def ran(self, batch: BatchRunner) -> list[tuple[int, str, str]]:
        runs = self.world.database.read_now(list_batch_runs, self.world.workspace_id, batch.batch.id)
        return [(run.row, run.title, run.job.status) for run in runs]


@pytest.fixture
async def servers(world: World) -> AsyncIterator[Servers]:
    servers = Servers(world)
    yield servers
    await servers.batches.close()


@contextlib.asynccontextmanager
async def working(world: World) -> AsyncIterator[None]:
    """A worker that takes every job."""
    runs = world.runs()

    async def work() -> None:
        while True:
            for job in world.database.read_now(list_jobs, world.workspace_id, JobFilters(statuses=("queued",))).jobs:
                await runs.carry(job.id)
            await asyncio.sleep(0.01)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.01)


def listed(*texts: str) -> Rows:
    return Rows(ListedRows([(f"Row {text}", {"text": text}) for text in texts]))


async def test_a_batch_continues_after_a_restart_with_each_row_once(world: World, servers: Servers) -> None:
    batch = servers.begin(listed("1", "2", "{broken", "4", "5", "6", "7"))
    await until(lambda: len(servers.jobs()) == 4)
    await servers.restart()
    continued = await servers.newest()
    assert continued is not batch
    async with working(world):
        await until(lambda: continued.over)

    assert servers.ran(continued) == [
        (number, f"Row {text}", "failed" if text == "{broken" else "completed")
        for number, text in enumerate(("1", "2", "{broken", "4", "5", "6", "7"), 1)
    ]
    assert len(servers.jobs()) == 7
    assert (continued.progress.done, continued.progress.failed, continued.progress.remaining) == (6, 1, 0)
    assert servers.batches.running(servers.flow_id) is None, "an ended batch holds no memory"


async def test_a_batch_that_cannot_be_read_keeps_no_other_from_continuing(
    world: World, servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    broken = servers.begin(listed(*"123456"))
    await until(lambda: len(servers.jobs()) == 4)
    servers.flow_id = world.add_flow(READING)
    servers.begin(listed("7"))
    await servers.batches.close()
    world.write(
        lambda session: session.execute(
            update(PlaygroundBatch).where(PlaygroundBatch.batch_id == broken.batch.id).values(source={})
        )
    )
    await servers.restart()
    continued = await servers.newest()
    async with working(world):
        await until(lambda: continued.over)
    assert continued.progress.done == 1
    assert f"the batch {broken.batch.id} cannot be continued" in caplog.text
    servers.flow_id = broken.batch.flow_id
    servers.begin(listed("8"))  # it is stopped, else its flow could have no other batch


@pytest.mark.parametrize("newer", ["ended", "paused"])
async def test_an_older_batch_of_a_flow_that_0_2_left_open_is_stopped(
    world: World, servers: Servers, newer: str
) -> None:
    def store(batch: BatchRunner, state: str) -> None:
        of_batch = PlaygroundBatch.batch_id == batch.batch.id
        world.write(lambda session: session.execute(update(PlaygroundBatch).where(of_batch).values(state=state)))

    older = servers.begin(listed(*"123456"))
    await until(lambda: len(servers.jobs()) == 4)
    await older.pause()
    await servers.batches.close()
    store(older, "ended")  # so that another can begin
    await pass_time(1)
    newest = servers.begin(listed("7"))
    await until(lambda: len(servers.jobs()) == 5)
    await servers.batches.close()
    store(older, "paused")
    world.write(store_row, older.batch.id, RowOutsideJobs(5, "again", "Row 5", "", None))
    store(newest, newer)

    await servers.restart()
    found = await servers.newest()
    assert (found.batch.id, found.state) == (newest.batch.id, newer)
    assert [status for _row, _title, status in servers.ran(older)] == ["cancelled"] * 4
    rows = world.database.read_now(list_rows_outside_jobs, world.workspace_id, older.batch.id)
    assert [(row.row, row.state) for row in rows] == [(5, "cancelled")]
    if newer == "paused":
        await found.stop()
        await until(lambda: found.over and servers.batches.running(servers.flow_id) is None)
    servers.begin(listed("8"))  # no older batch keeps the flow from it


async def test_a_flow_has_one_batch_at_a_time(servers: Servers) -> None:
    batch = servers.begin(listed(*"123456"))
    with pytest.raises(BatchRunning) as refused:
        servers.begin(listed("7"))
    assert str(refused.value) == "A batch of this flow is running. Stop it before you start another."
    assert servers.batches.running(servers.flow_id) is batch
    await until(lambda: len(servers.jobs()) == 4)
    await batch.stop()
    await until(lambda: batch.over)
    again = servers.begin(listed("7"))
    await until(lambda: len(servers.jobs()) == 5)
    assert servers.batches.running(servers.flow_id) is again


async def test_a_batch_that_nobody_drives_goes_on_when_a_page_shows_it(world: World, servers: Servers) -> None:
    """Its end could not be stored; else its flow could have no other batch until the server starts anew."""
    servers.begin(listed(*"123456"))
    await until(lambda: len(servers.jobs()) == 4)
    await servers.batches.close()
    first, second = await asyncio.gather(servers.newest(), servers.newest())
    assert first is second
    async with working(world):
        await until(lambda: first.over)
    assert (first.state, len(servers.jobs())) == ("ended", 6)


async def test_a_paused_batch_stays_paused_and_a_stopped_one_stopped(world: World, servers: Servers) -> None:
    batch = servers.begin(listed(*"123456"))
    await until(lambda: len(servers.jobs()) == 4)
    await batch.pause()
    await servers.restart()
    continued = await servers.newest()
    async with working(world):
        await until(lambda: all(job.ended for job in servers.jobs()))
        assert (continued.state, len(servers.jobs())) == ("paused", 4)
        await continued.stop()
        await until(lambda: continued.over)
    await servers.restart()
    ended = await servers.newest()
    assert (ended.state, ended.progress.remaining, len(servers.jobs())) == ("stopped", 2, 4)


async def test_the_rate_counts_what_ended_since_the_batch_went_on(world: World, servers: Servers) -> None:
    batch = servers.begin(listed("{bad", *"23456"))
    await until(lambda: len(servers.jobs()) == 4)
    await batch.pause()
    async with working(world):
        await until(lambda: batch.progress.remaining == 2)
    await servers.restart()
    continued = await servers.newest()
    await continued.resume(servers.owner.actor)
    await pass_time(1)
    assert (continued.progress.rate, continued.progress.left_seconds) == (None, None), "four ended before"
    async with working(world):
        await until(lambda: continued.over)
    assert continued.progress.rate is not None
    assert 0 < continued.progress.rate < 2

    assert await continued.retry_failed(servers.owner.actor)
    servers.batches.run(continued)
    await pass_time(1)
    assert continued.progress.rate is None, "five ended before"


async def test_a_stop_that_the_server_did_not_finish_is_finished_by_the_next(world: World, servers: Servers) -> None:
    batch = servers.begin(listed(*"123456"))
    await until(lambda: len(servers.jobs()) == 4)
    stopping = asyncio.create_task(batch.stop())
    await until(lambda: batch.state == "stopping")
    stopping.cancel()
    await servers.batches.close()
    await servers.restart()
    continued = await servers.newest()
    await until(lambda: continued.over)
    assert [status for _row, _title, status in servers.ran(continued)] == ["cancelled"] * 4
    assert continued.state == "stopped"


async def test_a_change_that_cannot_be_stored_did_not_happen_and_can_be_tried_again(
    world: World, servers: Servers
) -> None:
    batch = servers.begin(listed(*map(str, range(60))))
    await until(lambda: len(servers.jobs()) == 4)
    with failing(world.database.write_engine, "UPDATE playground_batches"):
        for change in (batch.pause, batch.stop):
            with pytest.raises(StorageUnavailable):
                await change()
    assert (batch.state, batch.closed) == ("running", False)
    async with working(world):
        await until(lambda: len(servers.jobs()) > 4)
        await batch.pause()
        await until(lambda: all(job.ended for job in servers.jobs()))
        with failing(world.database.write_engine, "UPDATE playground_batches"):
            for change in (lambda: batch.resume("somebody"), batch.stop):
                with pytest.raises(StorageUnavailable):
                    await change()
        assert (batch.state, batch.closed, batch.user_id) == ("paused", False, servers.owner.actor)
        await batch.stop()
        await until(lambda: batch.over)
    assert batch.state == "stopped"


async def test_refused_and_failed_rows_are_known_after_a_restart_and_run_again(world: World, servers: Servers) -> None:
    batch = servers.begin(Rows(ListedRows([("A", {}), ("B", {"text": "{broken"}), ("C", {"text": "3"})])))
    async with working(world):
        await until(lambda: batch.over)
    await servers.restart()
    ended = await servers.newest()
    assert [(line.title, line.state) for line in ended.lines] == [("A", "refused"), ("B", "failed"), ("C", "completed")]
    assert "text" in ended.lines[0].text

    assert await ended.retry_failed(servers.owner.actor)
    await servers.restart()  # before one of the rows began
    again = await servers.newest()
    assert again.state == "running"
    async with working(world):
        await until(lambda: again.over)
    assert [(line.title, line.state) for line in again.lines] == [("A", "refused"), ("B", "failed"), ("C", "completed")]
    assert len(servers.jobs()) == 3, "the failed row has run again, the completed one has not"


async def test_of_two_retries_of_one_batch_the_later_runs_nothing(world: World, servers: Servers) -> None:
    servers.begin(listed("{bad", "{bad"))
    async with working(world):
        await until(lambda: servers.batches.running(servers.flow_id) is None)
        earlier, later, last = await servers.newest(), await servers.newest(), await servers.newest()
        assert await earlier.retry_failed(servers.owner.actor)
        with pytest.raises(BatchRunning):
            await later.retry_failed(servers.owner.actor)
        servers.batches.run(earlier)
        await until(lambda: servers.batches.running(servers.flow_id) is None)
        assert not await last.retry_failed(servers.owner.actor), "it knows nothing of what ran meanwhile"
        assert (await servers.newest()).state == "ended"
    assert len(servers.jobs()) == 4


@pytest.mark.parametrize("stored_as", ["cancelled", "again"])  # as 0.2 left it
async def test_rows_that_a_stopped_retry_did_not_reach_can_be_retried(
    world: World, servers: Servers, stored_as: str
) -> None:
    batch = servers.begin(listed(*["{bad"] * 12))
    async with working(world):
        await until(lambda: batch.over)
    assert await batch.retry_failed(servers.owner.actor)
    servers.batches.run(batch)
    await until(lambda: len(servers.jobs()) == 16)
    await batch.stop()
    await until(lambda: servers.batches.running(servers.flow_id) is None)  # the end is stored
    assert [line.state for line in batch.lines] == ["cancelled"] * 12

    database = world.database
    rows = database.read_now(list_rows_outside_jobs, world.workspace_id, batch.batch.id)
    assert [row.state for row in rows] == ["cancelled"] * 8
    database.write_now(lambda session: session.execute(update(PlaygroundBatchRow).values(state=stored_as)))
    await servers.restart()
    again = await servers.newest()
    assert (again.state, [line.state for line in again.lines]) == ("stopped", ["cancelled"] * 12)
    assert await again.retry_failed(servers.owner.actor)
    servers.batches.run(again)
    async with working(world):
        await until(lambda: again.over)
    assert len(servers.jobs()) == 28
    assert [line.state for line in again.lines] == ["failed"] * 12


async def test_a_row_that_fills_fields_with_more_than_a_request_may_have_is_refused(
    world: World, servers: Servers
) -> None:
    database = world.database
    dataset_id = database.write_now(add_dataset, servers.owner, "Texts")
    database.write_now(import_rows, servers.owner, dataset_id, checked_rows([{"text": "x" * 1_000_000}]))
    names = ["text", *(f"f{number}" for number in range(10))]
    fields = [{"name": name, "type": "string"} for name in names]
    batch = servers.begin(Rows(DatasetRows(dataset_id, fields, dict.fromkeys(names, "text"), 1)))
    await until(lambda: batch.over)
    assert [line.state for line in batch.lines] == ["refused"]
    assert "more than 10 MiB" in batch.lines[0].text
    assert servers.jobs() == []


async def test_a_row_that_was_deleted_shifts_no_other_row_into_its_place(world: World, servers: Servers) -> None:
    database = world.database
    dataset_id = database.write_now(add_dataset, servers.owner, "Texts")
    database.write_now(import_rows, servers.owner, dataset_id, checked_rows([{"text": str(n)} for n in range(8)]))
    source = DatasetRows(dataset_id, [{"name": "text", "type": "string", "required": True}], {"text": "text"}, 8)
    servers.begin(Rows(source))
    await until(lambda: len(servers.jobs()) == 4)
    await servers.batches.close()
    first = database.read_now(list_rows, world.workspace_id, dataset_id)[0].id
    database.write_now(lambda session: session.delete(session.get_one(DatasetRow, first)))
    await servers.restart()
    continued = await servers.newest()
    async with working(world):
        await until(lambda: continued.over)
    assert [(row, title) for row, title, _status in servers.ran(continued)] == [(n + 1, str(n)) for n in range(8)]


@pytest.mark.parametrize("restart", [False, True])
async def test_a_retry_runs_no_row_of_the_dataset_that_was_not_in_the_batch(
    world: World, servers: Servers, restart: bool
) -> None:
    database = world.database
    dataset_id = database.write_now(add_dataset, servers.owner, "Texts")
    database.write_now(
        import_rows, servers.owner, dataset_id, checked_rows([{"text": text} for text in ("1", "{", "3", "4")])
    )
    fields = [{"name": "text", "type": "string", "required": True}]
    async with working(world):
        batch = servers.begin(Rows(DatasetRows(dataset_id, fields, {"text": "text"}, 3)))
        await until(lambda: batch.over)
        first = database.read_now(list_rows, world.workspace_id, dataset_id)[0].id
        database.write_now(lambda session: session.delete(session.get_one(DatasetRow, first)))
        batch = await servers.newest()
        assert await batch.retry_failed(servers.owner.actor)
        if restart:
            await servers.restart()
            batch = await servers.newest()
        else:
            servers.batches.run(batch)
        await until(lambda: batch.over)
    assert [(line.number, line.title) for line in batch.lines] == [(1, "1"), (2, "{"), (3, "3")]
    assert len(servers.jobs()) == 4, "the row that failed has run twice"


async def test_a_batch_waits_for_rows_that_take_days(world: World, servers: Servers) -> None:
    batch = servers.begin(listed(*"123456"))
    await until(lambda: len(servers.jobs()) == 4)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, LogicalLoop)
    loop.pass_time(2 * DAY / SECOND)
    await pass_time(10)
    assert [(line.state, line.seconds) for line in batch.lines] == [("queued", None)] * 4
    async with working(world):
        await until(lambda: batch.over)
    assert [line.state for line in batch.lines] == ["completed"] * 6


async def test_a_batch_goes_on_when_the_end_of_a_row_could_not_be_read_for_a_moment(
    world: World, servers: Servers
) -> None:
    batch = servers.begin(listed(*"1234"))
    await until(lambda: len(servers.jobs()) == 4)
    job_ids = [job.id for job in servers.jobs()]
    with failing(world.database.read_engine) as failed:
        for job_id in job_ids:
            world.database.write_now(cancel_job, world.workspace_id, job_id)
        await until(lambda: len(failed) > 4)
    await until(lambda: batch.over)
    assert (batch.state, [line.state for line in batch.lines]) == ("ended", ["cancelled"] * 4)


@pytest.mark.parametrize("part", ["", "DELETE FROM playground_batch_rows", "UPDATE playground_batches"])
async def test_a_batch_goes_on_when_nothing_could_be_stored_for_a_moment(
    world: World, servers: Servers, part: str
) -> None:
    batch = servers.begin(Rows(ListedRows([("A", {}), *((text, {"text": text}) for text in "123456")])))
    async with contextlib.AsyncExitStack() as later:
        with failing(world.database.write_engine, part) as failed:
            if part.startswith("UPDATE"):
                await later.enter_async_context(working(world))
            await until(lambda: len(failed) > 4)
            assert servers.batches.running(servers.flow_id) is batch
        if not part.startswith("UPDATE"):
            await later.enter_async_context(working(world))
        await until(lambda: batch.over)
    assert [(line.title, line.state) for line in batch.lines] == [
        ("A", "refused"),
        *((text, "completed") for text in "123456"),
    ]
    assert len(servers.jobs()) == 6
    stored = await servers.batches.as_stored(world.workspace_id, servers.flow_id)
    assert stored is not None
    assert (stored.state, len(stored.lines)) == ("ended", 7)


async def test_a_refused_row_is_stored_once_the_disk_has_room(world: World, servers: Servers) -> None:
    batch = servers.begin(Rows(ListedRows([("A" * 100_000, {})])))
    world.database.write_now(fill_disk)
    await pass_time(10)
    assert (batch.state, [line.state for line in batch.lines]) == ("running", ["queued"])
    assert servers.batches.running(servers.flow_id) is batch
    world.database.write_now(free_disk)
    await until(lambda: batch.over)
    assert (batch.state, [line.state for line in batch.lines]) == ("ended", ["refused"])


async def test_a_batch_can_be_stopped_once_what_could_not_be_stored_can_be(world: World, servers: Servers) -> None:
    batch = servers.begin(listed(*"123456"))
    with failing(world.database.write_engine, "DELETE FROM playground_batch_rows") as failed:
        await until(lambda: len(failed) > 4)
        await batch.pause()
    await pass_time(10)
    assert servers.jobs() == [], "a paused batch begins no row"
    await batch.stop()
    await until(lambda: servers.batches.running(servers.flow_id) is None)
    assert (batch.state, {line.state for line in batch.lines}) == ("stopped", {"cancelled"})
    assert await batch.retry_failed(servers.owner.actor)
    servers.batches.run(batch)
    async with working(world):
        await until(lambda: batch.over)
    assert {line.state for line in batch.lines} == {"completed"}


async def test_a_batch_goes_on_when_its_rows_could_not_be_read_for_a_moment(
    world: World, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.playground_batches.rows.PAGE", 4)
    database = world.database
    dataset_id = database.write_now(add_dataset, servers.owner, "Texts")
    texts = [str(number) for number in range(10)]
    database.write_now(import_rows, servers.owner, dataset_id, checked_rows([{"text": text} for text in texts]))
    source = DatasetRows(dataset_id, [{"name": "text", "type": "string", "required": True}], {"text": "text"}, 10)
    batch = servers.begin(Rows(source))
    await until(lambda: len(servers.jobs()) == 4)
    async with working(world):
        with failing(database.read_engine, "FROM dataset_rows") as failed:
            await until(lambda: len(failed) > 2)
        await until(lambda: batch.over)
    assert servers.ran(batch) == [(number, text, "completed") for number, text in enumerate(texts, 1)]
    assert len(servers.jobs()) == 10


@pytest.mark.sqlite("a commit that the disk did not take for sure")
@pytest.mark.parametrize("retried", [False, True])
async def test_a_row_whose_job_was_stored_without_an_answer_runs_once(
    world: World, servers: Servers, monkeypatch: pytest.MonkeyPatch, retried: bool
) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    database, before = world.database, 0
    batch = servers.begin(listed(*["{bad"] * 4))
    if retried:
        async with working(world):
            await until(lambda: servers.batches.running(servers.flow_id) is None)
        before = 4
        assert await batch.retry_failed(servers.owner.actor)
        servers.batches.run(batch)
    with (
        contextlib.closing(sqlite3.connect(database.url.removeprefix("sqlite:///"))) as reader,
        monkeypatch.context() as disk,
    ):
        reader.execute("begin")
        reader.execute("select * from jobs").fetchall()  # it keeps the log from being begun anew
        disk.setattr("storage.log_sync._sync_data", refuse)
        disk.setattr("storage.log_sync._BUSY_SECONDS", 0.01)
        await until(lambda: len(servers.jobs()) == before + 4)
        await pass_time(5)
    assert len(servers.jobs()) == before + 4
    async with working(world):
        await until(lambda: batch.over)
    assert [line.state for line in batch.lines] == ["failed"] * 4
    assert len(servers.jobs()) == batch.jobs == before + 4


@pytest.mark.sqlite("a commit that the disk did not take for sure")
async def test_an_end_that_was_stored_without_an_answer_is_stored_again_when_the_batch_is_forgotten(
    world: World, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    batch = servers.begin(listed(*["{bad"] * 6))
    async with working(world):
        await until(lambda: batch.over)
    assert await batch.retry_failed(servers.owner.actor)
    servers.batches.run(batch)
    await until(lambda: len(servers.jobs()) == 10)  # two rows wait
    await batch.stop()
    with (
        contextlib.closing(sqlite3.connect(world.database.url.removeprefix("sqlite:///"))) as reader,
        monkeypatch.context() as disk,
    ):
        reader.execute("begin")
        reader.execute("select * from jobs").fetchall()  # it keeps the log from being begun anew
        disk.setattr("storage.log_sync._sync_data", refuse)
        disk.setattr("storage.log_sync._BUSY_SECONDS", 0.01)
        await pass_time(5)
        assert not batch.over
        with contextlib.suppress(StorageUnavailable):
            expire(world, servers)
    await until(lambda: batch.over)
    assert servers.batches.running(servers.flow_id) is None


async def test_a_row_that_could_not_run_again_for_a_moment_does_so_then(world: World, servers: Servers) -> None:
    batch = servers.begin(listed("{bad", "{bad"))
    async with working(world):
        await until(lambda: servers.batches.running(servers.flow_id) is None)
        assert await batch.retry_failed(servers.owner.actor)
        with failing(world.database.write_engine, "DELETE FROM playground_batch_rows") as failed:
            servers.batches.run(batch)
            await until(lambda: len(failed) > 2)
        await until(lambda: batch.over)
    assert len(servers.jobs()) == batch.jobs == 4


def expire(world: World, servers: Servers) -> None:
    """Removes the values of all jobs, as retention does."""
    world.database.write_now(remove_values, [job.id for job in servers.jobs()], 10_000)


def erase(world: World, servers: Servers) -> None:
    """Erases the data of all jobs."""
    for job in servers.jobs():
        copies = world.database.read_now(find_copies, world.workspace_id, [job.id])
        world.database.write_now(erase_data, servers.owner, job.id, copies)
    finish_erasing(world.database)


def keep_house(world: World, _servers: Servers) -> None:
    """Lets 14 months pass, after which retention removes jobs, too."""
    clock_of(world).offset += 14 * 31 * DAY
    Retention(world.database).run()


def clock_of(world: World) -> MovedClock:
    assert isinstance(world.database.clock, MovedClock)
    return world.database.clock


async def paused(world: World, servers: Servers) -> BatchRunner:
    """A batch of 20 rows that was paused when some of them had run."""
    batch = servers.begin(listed(*map(str, range(20))))
    await until(lambda: len(servers.jobs()) == 4)
    await batch.pause()
    async with working(world):
        await until(lambda: sum(line.ended for line in batch.lines) == 4)
    return batch


def count(world: World, table: type[Base]) -> int:
    return world.database.read_now(lambda session: session.scalar(select(func.count()).select_from(table)) or 0)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("remove", [expire, erase, keep_house])
async def test_a_paused_batch_runs_on_after_the_data_of_its_runs_are_gone(
    world: World, servers: Servers, remove: Callable[[World, Servers], None], restart: bool
) -> None:
    batch = await paused(world, servers)
    remove(world, servers)
    if restart:
        await servers.restart()
        batch = await servers.newest()
    async with working(world):
        await batch.resume(servers.owner.actor)
        await until(lambda: batch.over)
    assert batch.state == "ended"
    assert {line.state for line in batch.lines} == {"completed"}
    assert len(batch.lines) == count(world, Job) == 20, "each row has run once"


@pytest.mark.parametrize("remove", [expire, erase, keep_house])
async def test_what_is_kept_for_a_paused_batch_goes_once_it_was_stopped(
    world: World, servers: Servers, remove: Callable[[World, Servers], None]
) -> None:
    batch = await paused(world, servers)
    remove(world, servers)
    assert count(world, Snapshot) == count(world, PlaygroundBatch) == 1
    await batch.stop()
    await until(lambda: batch.over)
    assert count(world, Snapshot) == count(world, PlaygroundBatch) == 0
    keep_house(world, servers)
    assert count(world, Job) == count(world, Batch) == 0


async def test_what_is_kept_for_a_batch_goes_with_the_values_of_its_runs(world: World, servers: Servers) -> None:
    batch = servers.begin(listed("1", "{", "3"))
    async with working(world):
        await until(lambda: batch.over)
    first, *others = [job.id for job in servers.jobs()]
    world.database.write_now(remove_values, others, 10_000)
    world.database.write_now(remove_jobs, others)
    assert count(world, Snapshot) == count(world, PlaygroundBatch) == 1, "the other run is shown with it"
    world.database.write_now(remove_values, [first], 10_000)
    assert count(world, Snapshot) == count(world, PlaygroundBatch) == 0


async def test_a_retry_of_a_batch_whose_data_are_gone_is_refused(world: World, servers: Servers) -> None:
    batch = servers.begin(listed("{", "{"))
    async with working(world):
        await until(lambda: servers.batches.running(servers.flow_id) is None)
    expire(world, servers)
    with pytest.raises(BatchDataGone) as refused:
        await batch.retry_failed(servers.owner.actor)
    assert str(refused.value) == (
        "The data of this batch are not kept any more, so none of its rows can run again. Run the rows as a new batch."
    )


async def test_a_batch_waits_when_whoever_started_it_was_disabled(world: World, servers: Servers) -> None:
    batch = servers.begin(listed(*"123456"))
    await until(lambda: len(servers.jobs()) == 4)
    world.database.write_now(
        lambda session: setattr(session.get_one(User, batch.user_id), "disabled_at", world.database.clock.now())
    )
    async with working(world):
        await until(lambda: batch.state == "paused")
    assert batch.trouble
    assert len(servers.jobs()) == 4
