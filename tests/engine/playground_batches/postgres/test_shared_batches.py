"""One server drives a Playground batch: another takes it when that one dies, or when a page there shows the batch."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from engine.actions.members import ensure_owner
from engine.actions.playground_batches import begin_playground_batch
from engine.actions.principal import Principal
from engine.core.errors import BatchRunning, DatabaseAway
from engine.core.ids import WorkspaceId
from engine.jobs.server.job_waiters import JobWaiters
from engine.jobs.shared_notices import join
from engine.playground_batches.registry import PlaygroundBatches
from engine.playground_batches.rows import ListedRows, Rows
from storage.batches import list_batch_runs
from storage.job_changes import PLAYGROUND_SLOTS
from storage.jobs import JobFilters, list_jobs
from storage.members import list_people
from storage.opening import open_database
from storage.playground_batches import has_open_batch
from storage.postgres import reachability
from storage.tables import PlaygroundBatch
from tests.databases import url_of
from tests.engine.jobs.world import World, document_of, open_world
from tests.postgres_proxy import Proxy

ROWS = 30
FLOW = document_of(("echo", "set_fields", {"n": "{{ api_input.out.n }}"}))


@pytest.fixture
def world(new_data: Path) -> Iterator[World]:
    world = open_world(new_data)
    world.database.write_now(ensure_owner, world.workspace_id, "ada@example.com", "hash")
    yield world
    world.database.close()


class Server:
    """A server of its own on the database of a folder."""

    def __init__(self, world: World, name: str) -> None:
        self.database = open_database(world.data / name, url=url_of(world.data))
        self.waiters = JobWaiters(self.database)
        self.link = join(self.database, name, self.waiters)
        self.batches = PlaygroundBatches(self.database, self.waiters, self.link)

    async def start(self) -> None:
        await self.batches.resume()
        self.link.start()
        await until(lambda: self.link.is_held)

    async def stop(self) -> None:
        await self.batches.close()
        await asyncio.to_thread(self.link.close)
        await asyncio.to_thread(self.database.close)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.01)


async def work(world: World) -> None:
    runs = world.runs()
    while True:
        for job in await world.database.read(queued, world.workspace_id):
            await runs.carry(job)
        await asyncio.sleep(0.01)


def queued(session: Session, workspace_id: str) -> list[str]:
    return [job.id for job in list_jobs(session, workspace_id, JobFilters(statuses=("queued",))).jobs]


def owner_of(world: World) -> Principal:
    person = world.database.read_now(list_people, world.workspace_id)[0]
    return Principal(WorkspaceId(person.workspace_id), person.id, person.name, person.role)


async def test_a_batch_that_a_page_finds_before_it_is_started_runs_once(world: World) -> None:
    flow_id, owner = world.add_flow(FLOW), owner_of(world)
    server = Server(world, "one")
    await server.start()
    rows = Rows(ListedRows([(f"Row {number}", {"n": number}) for number in range(ROWS)]))
    begun = await server.database.write(begin_playground_batch, owner, flow_id, FLOW, ROWS, rows.as_json())
    await server.batches.newest(world.workspace_id, flow_id)
    found = server.batches.running(flow_id)
    started = server.batches.start(begun, rows, owner.actor)
    assert found is started
    working = asyncio.create_task(work(world))
    await until(lambda: started.over)
    runs = await world.database.read(list_batch_runs, world.workspace_id, begun.id)
    assert Counter(run.row for run in runs) == Counter(range(1, ROWS + 1))
    working.cancel()
    await server.stop()


async def test_a_row_whose_commit_is_still_under_way_runs_once(
    world: World, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reachability, "ASK_SECONDS", 0.1)
    monkeypatch.setattr(reachability, "SILENT_SECONDS", 0.5)
    monkeypatch.setattr("engine.playground_batches.runner.TRY_AGAIN_SECONDS", 0.1)
    flow_id, owner = world.add_flow(FLOW), owner_of(world)
    database = open_database(world.data / "one", url=proxy.url)
    batches = PlaygroundBatches(database, JobWaiters(database))
    rows = Rows(ListedRows([("Row 1", {"n": 1})]))
    begun = await database.write(begin_playground_batch, owner, flow_id, FLOW, 1, rows.as_json())
    with proxy.holding():
        batch = batches.start(begun, rows, owner.actor)
        await until(lambda: proxy.held)
        with proxy.silent(), pytest.raises(DatabaseAway):
            await database.read(list_people, world.workspace_id)
        await asyncio.sleep(0.5)  # in which a reader of the batch would find no job
    await until(lambda: batch.jobs)
    await database.write(list_people, world.workspace_id)  # after a second job, if there is one
    assert len(world.database.read_now(list_jobs, world.workspace_id, JobFilters()).jobs) == 1
    await batches.close()
    database.close()


@pytest.mark.parametrize("how", ["dies", "is asked"])
async def test_another_server_goes_on_and_each_row_runs_once(world: World, how: str) -> None:
    flow_id, owner = world.add_flow(FLOW), owner_of(world)
    one, other = Server(world, "one"), Server(world, "other")
    await one.start()
    await other.start()
    working = asyncio.create_task(work(world))
    rows = Rows(ListedRows([(f"Row {number}", {"n": number}) for number in range(ROWS)]))
    begun = await one.database.write(begin_playground_batch, owner, flow_id, FLOW, ROWS, rows.as_json())
    runner = one.batches.start(begun, rows, owner.actor)
    await until(lambda: runner.progress.done >= 2)
    if how == "dies":
        await one.stop()
        await until(lambda: other.batches.running(flow_id))
    else:
        await other.batches.newest(world.workspace_id, flow_id)
        assert one.batches.running(flow_id) is None
    taken = other.batches.running(flow_id)
    assert taken is not None
    await until(lambda: taken.over)
    runs = await world.database.read(list_batch_runs, world.workspace_id, begun.id)
    assert Counter(run.row for run in runs) == Counter(range(1, ROWS + 1))
    assert {run.job.status for run in runs} == {"completed"}
    assert len(world.database.read_now(list_jobs, world.workspace_id, JobFilters()).jobs) == ROWS
    working.cancel()
    if how == "is asked":
        await one.stop()
    await other.stop()


@pytest.mark.parametrize("state", ["running", "paused"])
async def test_an_older_batch_of_a_flow_that_0_2_left_open_is_stopped(world: World, state: str) -> None:
    def store(session: Session, batch_id: str, state: str) -> None:
        session.execute(update(PlaygroundBatch).where(PlaygroundBatch.batch_id == batch_id).values(state=state))

    flow_id, owner = world.add_flow(FLOW), owner_of(world)
    rows = Rows(ListedRows([(f"Row {number}", {"n": number}) for number in range(ROWS)]))
    one = Server(world, "one")
    await one.start()
    older = await one.database.write(begin_playground_batch, owner, flow_id, FLOW, ROWS, rows.as_json())
    one.batches.start(older, rows, owner.actor)
    await until(lambda: len(world.database.read_now(queued, world.workspace_id)) == PLAYGROUND_SLOTS)
    await one.stop()
    await world.database.write(store, older.id, "ended")  # so that another can begin
    newest = await world.database.write(begin_playground_batch, owner, flow_id, FLOW, ROWS, rows.as_json())
    await world.database.write(store, newest.id, "ended")
    await world.database.write(store, older.id, state)

    other = Server(world, "other")
    await other.start()
    await until(lambda: not world.database.read_now(has_open_batch, flow_id))
    runs = await world.database.read(list_batch_runs, world.workspace_id, older.id)
    assert [run.job.status for run in runs] == ["cancelled"] * PLAYGROUND_SLOTS
    begun = await world.database.write(begin_playground_batch, owner, flow_id, FLOW, ROWS, rows.as_json())
    await until(lambda: other.batches.running(flow_id))
    found = await other.batches.newest(world.workspace_id, flow_id)
    assert found is not None
    assert (found.batch.id, found.state) == (begun.id, "running")
    await other.stop()


async def test_whoever_looks_at_a_batch_takes_it_from_nobody_and_whoever_acts_on_it_does(world: World) -> None:
    flow_id, owner = world.add_flow(FLOW), owner_of(world)
    count = 2_000  # more than end before the stop
    one, other = Server(world, "one"), Server(world, "other")
    await one.start()
    await other.start()
    rows = Rows(ListedRows([(f"Row {number}", {"n": number}) for number in range(count)]))
    begun = await one.database.write(begin_playground_batch, owner, flow_id, FLOW, count, rows.as_json())
    one.batches.start(begun, rows, owner.actor)
    await other.batches.newest(world.workspace_id, flow_id)
    taken = other.batches.running(flow_id)
    assert taken is not None

    working = asyncio.create_task(work(world))
    await until(lambda: taken.progress.done >= 2)
    seen = await one.batches.as_stored(world.workspace_id, flow_id)
    assert seen is not None
    assert seen.progress.done >= 2
    assert (one.batches.running(flow_id), other.batches.running(flow_id)) == (None, taken)
    with pytest.raises(BatchRunning):
        await one.database.write(begin_playground_batch, owner, flow_id, FLOW, count, rows.as_json())

    mine = await one.batches.newest(world.workspace_id, flow_id)
    assert mine is not None
    assert (one.batches.running(flow_id), other.batches.running(flow_id)) == (mine, None)
    await mine.stop()
    await until(lambda: one.batches.running(flow_id) is None)  # the end is stored
    seen = await other.batches.as_stored(world.workspace_id, flow_id)
    assert seen is not None
    assert (seen.state, len(seen.lines)) == ("stopped", len(mine.lines))
    assert len(mine.lines) < count
    working.cancel()
    await one.stop()
    await other.stop()
