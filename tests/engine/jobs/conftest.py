from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.jobs.world import World, open_world
from tests.logical_time import LogicalClock


@pytest.fixture
def world(new_data: Path) -> Iterator[World]:
    world = open_world(new_data, clock=LogicalClock())
    yield world
    world.database.close()
