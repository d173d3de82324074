"""Retention of 100,000 jobs with values: the file becomes smaller than the maximum, and submitting stays as fast as
before.
"""

from __future__ import annotations

import math
import os
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import update

from engine.core.clock import DAY
from engine.jobs.server.retention import GIB, Retention, Rules
from storage.retention import read_room
from storage.tables import Workspace
from tests.engine.jobs.stored_jobs import add_ended_jobs
from tests.engine.jobs.world import World, open_world

JOBS = int(os.environ.get("FLOWPORT_TEST_JOBS", "100000"))
#: Submitting is measured alternately with and without retention, so that other load on the machine affects both.
BUSY_SECONDS, CALM_SECONDS = 20.0, 5.0
EACH_SECONDS = 0.01


def p99(times: list[float]) -> float:
    return sorted(times)[math.ceil(len(times) * 0.99) - 1]


@pytest.mark.slow
@pytest.mark.timeout(3_000)
def test_retention_of_100000_jobs(tmp_path: Path) -> None:
    world = open_world(tmp_path / "data")
    world.write(lambda session: session.execute(update(Workspace).values(concurrency=-1, monthly=-1)))
    flow_id, other = world.add_flow(), world.add_flow()
    at = world.database.clock.now()
    for part in range(20):
        first_at = at - 60 * DAY + part * 2 * DAY
        world.write(add_ended_jobs, world.workspace_id, flow_id, JOBS // 20, first_at=first_at, size=1_500)
    before = world.read(read_room).file
    cap = Rules(cap_gb=before * 0.3 / GIB)
    calm, busy = submits(world, other, CALM_SECONDS), []
    done = False
    while not done:
        retention = Retention(world.database)
        thread = threading.Thread(target=retention.run, args=(cap,))
        thread.start()
        busy += submits(world, other, BUSY_SECONDS)
        done = not thread.is_alive()
        retention.stop.set()
        thread.join()
        calm += submits(world, other, CALM_SECONDS)
    room = world.read(read_room)
    print(
        f"{JOBS} jobs, {before >> 20} MB -> {room.file >> 20} MB; submit p99 {p99(calm) * 1000:.1f} ms, with retention {p99(busy) * 1000:.1f} ms"
    )
    assert room.used <= cap.cap_bytes
    assert room.file < before * 0.4
    world.database.close()
    assert (tmp_path / "data" / "flowport.db").stat().st_size < before * 0.4
    assert p99(busy) < 2 * p99(calm)


def submits(world: World, flow_id: str, seconds: float) -> list[float]:
    """Submits a job every 10 ms and returns the duration of each, in seconds."""
    times = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        begun = time.perf_counter()
        world.submit(flow_id, {"n": 1})
        times.append(time.perf_counter() - begun)
        time.sleep(EACH_SECONDS)
    return times
