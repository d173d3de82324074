"""Fixtures: a workspace with a key and a deployed flow behind the real public API, on a real data folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.core.clock import MovedClock
from storage.database import Database
from tests.api.arrange import House, open_house
from tests.logical_time import LogicalClock, loop_factories


@pytest.fixture
def clock() -> MovedClock:
    return LogicalClock()


@pytest.fixture
async def house(new_data: Path, clock: MovedClock) -> AsyncIterator[House]:
    async with open_house(new_data, clock) as made:
        yield made


@pytest.fixture
def database(house: House) -> Database:
    return house.database


def pytest_asyncio_loop_factories(config: Any, item: Any) -> Any:
    """Runs the tests on event loops with logical time (`tests/logical_time.py`), so that sleeping takes no time."""
    return loop_factories(item)
