"""Fixtures: a workspace with a key and a deployed flow behind the real public API, on a real data folder."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.connection_limits import ConnectionLimits
from api.http_server import http_server
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


@pytest.fixture
async def port(house: House) -> AsyncIterator[int]:
    """The port at which the API of the house answers on real sockets."""
    ready = asyncio.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = http_server(house.api.state.context.settings, house.api, ConnectionLimits(50, 50), ready.set)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        await ready.wait()
        yield listener.getsockname()[1]
        house.api.stop()
        server.should_exit = True
        await running


def pytest_asyncio_loop_factories(config: Any, item: Any) -> Any:
    """Runs the tests on event loops with logical time (`tests/logical_time.py`), so that sleeping takes no time."""
    return loop_factories(item)
