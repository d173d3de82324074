from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from engine.core.clock import MovedClock
from tests.engine.jobs.kitchen import Kitchen
from tests.engine.jobs.world import World, open_world
from tests.logical_time import LogicalClock
from tests.stand_ins.openai_server import OpenAIServer


@pytest.fixture
def clock() -> MovedClock:
    return LogicalClock()


@pytest.fixture
def world(new_data: Path, clock: MovedClock) -> Iterator[World]:
    world = open_world(new_data, clock=clock)
    yield world
    world.database.close()


@pytest.fixture
def model_server() -> Iterator[OpenAIServer]:
    with OpenAIServer(key="sk-1") as server:
        yield server


@pytest.fixture
async def kitchen(world: World, model_server: OpenAIServer) -> AsyncIterator[Kitchen]:
    kitchen = Kitchen(world, model_server)
    yield kitchen
    await kitchen.outbound.aclose()
