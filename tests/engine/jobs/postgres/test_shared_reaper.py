"""Who counts as dead when several machines share a PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from engine.actions.knowledge import add_collection, add_site
from engine.core.errors import StorageUnavailable
from engine.jobs.shared_reaper import SharedReaper
from engine.jobs.transitions import claim
from storage.knowledge import list_sources
from storage.knowledge_changes import claim_next
from storage.opening import open_database
from storage.postgres.connections import WRITE_LOCK
from storage.postgres.process_link import lock_key
from storage.workers import beat, beats, insert_worker
from tests.databases import url_of
from tests.engine.jobs.world import World
from tests.factories import person
from tests.postgres_proxy import Proxy
from tests.stored import fill_disk, free_disk


@dataclass
class Stage:
    """A worker elsewhere that holds a job, and a process that looks at it once a second of its own clock."""

    world: World
    seconds: float = 1_000.0
    connected_since: float = 900.0
    reaper: SharedReaper = field(init=False)
    job_id: str = ""

    def __post_init__(self) -> None:
        self.reaper = SharedReaper(self.world.database, self.world.data, self, monotonic=lambda: self.seconds)
        self.world.write(insert_worker, "boot_far", "far", 1)
        self.job_id = self.world.submit(self.world.add_flow()).job_id
        self.world.write(claim, "boot_far", self.job_id)

    @property
    def connected_for(self) -> float:
        return self.seconds - self.connected_since

    def look(self, most: int) -> float | None:
        """Looks every second; returns after how many seconds the job was taken, or None."""
        for number in range(most + 1):
            if self.reaper.pass_over("boot_me"):
                return number
            self.seconds += 1
        return None

    def beat(self) -> None:
        self.world.write(beat, "boot_far", "far", 1)


@pytest.fixture
def stage(world: World) -> Stage:
    return Stage(world)


@contextmanager
def lock_of(data: Path, name: str) -> Iterator[None]:
    with psycopg.connect(url_of(data) or "", autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(%s::bigint)", (lock_key(name),))
        yield


def test_a_worker_whose_lock_is_free_and_that_is_silent_for_10_seconds_is_dead(stage: Stage) -> None:
    assert stage.look(13) == 10
    assert stage.world.job(stage.job_id).status == "queued"
    assert stage.world.read(beats) == {}


def test_a_worker_without_a_row_and_a_job_gives_its_source_back(stage: Stage) -> None:
    ada = person(stage.world.workspace_id)
    made = stage.world.write(add_collection, ada, "Shop")
    stage.world.write(add_site, ada, made, "https://practice.flowport.example/")
    stage.look(11)
    assert stage.world.write(claim_next, "boot_gone") is not None
    stage.look(11)
    (source,) = stage.world.read(list_sources, stage.world.workspace_id, made)
    assert source.state == "waiting"


def test_a_worker_whose_lock_is_held_is_dead_after_30_seconds_of_silence(stage: Stage, new_data: Path) -> None:
    with lock_of(new_data, "boot_far"):
        assert stage.look(35) == 30


def test_a_worker_that_beats_lives_without_its_lock(stage: Stage) -> None:
    for _ in range(10):
        assert stage.look(9) is None
        stage.beat()


def test_a_free_lock_says_nothing_while_the_own_connection_is_young(stage: Stage) -> None:
    stage.look(8)
    stage.connected_since = stage.seconds
    assert stage.look(20) == 10


def test_silence_does_not_count_while_nothing_can_be_read(stage: Stage, proxy: Proxy) -> None:
    database = open_database(stage.world.data, url=proxy.url)
    stage.reaper = SharedReaper(database, stage.world.data, stage, monotonic=lambda: stage.seconds)
    assert stage.look(8) is None
    with proxy.away():
        for _ in range(60):
            stage.seconds += 1
            with pytest.raises(StorageUnavailable):
                stage.reaper.pass_over("boot_me")
    assert stage.look(20) == 10
    database.close()


def test_a_process_that_stood_still_begins_anew(stage: Stage) -> None:
    assert stage.look(8) is None
    stage.seconds += 60
    assert stage.look(20) == 10


def test_the_time_for_which_the_own_heartbeat_waited_counts(stage: Stage) -> None:
    assert stage.look(0) is None
    stage.seconds += 11
    assert stage.look(5) == 0


def test_a_beat_counts_from_when_it_was_and_not_from_when_it_is_seen(stage: Stage, new_data: Path) -> None:
    """The process that looks waited for the lock of a worker that was cut off just after its heartbeat."""
    assert stage.look(0) is None
    stage.beat()
    with psycopg.connect(url_of(new_data) or "") as connection:
        connection.execute("update workers set beat_at = beat_at - 9500")
    stage.seconds += 10
    assert stage.look(5) == 1


def test_jobs_that_could_not_be_taken_are_taken_at_the_next_look(stage: Stage) -> None:
    stage.world.write(fill_disk)
    with pytest.raises(StorageUnavailable):
        stage.look(13)
    stage.world.write(free_disk)
    assert stage.look(5) == 0


def test_a_beat_that_comes_while_the_jobs_are_taken_saves_them(stage: Stage, new_data: Path) -> None:
    assert stage.look(9) is None
    with psycopg.connect(url_of(new_data) or "") as connection, ThreadPoolExecutor(1) as threads:
        connection.execute(f"select pg_advisory_xact_lock{WRITE_LOCK}")
        taken = threads.submit(stage.reaper.pass_over, "boot_me")
        waits = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        while connection.execute(waits).fetchone() != (1,):
            assert not taken.done()
        connection.execute("update workers set beat = beat + 1")
        connection.commit()
        assert taken.result() == 0
    assert stage.world.job(stage.job_id).status == "processing"
