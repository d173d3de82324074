from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.core.clock import MovedClock
from tests.engine.jobs.world import World, open_world
from tests.logical_time import LogicalClock


@pytest.fixture
def clock() -> MovedClock:
    return LogicalClock()


@pytest.fixture
def world(new_data: Path, clock: MovedClock) -> Iterator[World]:
    world = open_world(new_data, clock=clock)
    yield world
    world.database.close()
