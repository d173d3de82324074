"""What `/readyz` says of a server whose worker is away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.core.clock import MINUTE, MovedClock
from engine.diagnostics.readiness import Readiness
from engine.jobs.notifier import WORKER_AWAY
from storage.database import Database
from storage.workers import beat, insert_worker
from tests.databases import open_database
from tests.logical_time import LogicalClock


@pytest.fixture
def clock() -> MovedClock:
    return LogicalClock()


@pytest.fixture
def database(new_data: Path, clock: MovedClock) -> Iterator[Database]:
    database = open_database(new_data, clock=clock)
    yield database
    database.close()


async def test_a_server_without_its_worker_is_not_ready_unless_another_one_takes_jobs(
    database: Database, new_data: Path, clock: MovedClock
) -> None:
    async def state() -> object:
        return (await Readiness().look(database, new_data))["status"]

    assert await state() == "ready", "of a server that keeps no worker"
    database.info[WORKER_AWAY] = lambda: 5.0
    assert await state() == "ready", "it is being replaced"

    database.info[WORKER_AWAY] = lambda: 31.0
    body = await Readiness().look(database, new_data)
    assert (body["status"], body["queue_age_seconds"]) == ("not ready", 0.0)
    assert "31 seconds" in str(body["reason"])

    database.write_now(insert_worker, "boot_far", "far", 1)
    database.write_now(beat, "boot_far", "far", 1)
    assert await state() == "not ready", "one that ends soon after each start looks like this"
    database.write_now(beat, "boot_far", "far", 1)
    assert await state() == "ready"
    clock.offset += MINUTE
    assert await state() == "not ready"
