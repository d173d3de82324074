"""A workspace with a key and a deployed flow behind the real public API, on a real data folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.clock import MovedClock
from storage.database import Database
from tests.api.arrange import House, open_house


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
async def house(new_data: Path, clock: MovedClock) -> AsyncIterator[House]:
    async with open_house(new_data, clock) as made:
        yield made


@pytest.fixture
def database(house: House) -> Database:
    return house.database
