"""A workspace with a key and a deployed flow behind the real public API, on a real data folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from api.create_api import create_api
from api.json_body import BodyLimits
from engine.actions.principal import command_line
from engine.actions.workspaces import ensure_workspace
from engine.clock import MovedClock
from engine.jobs.hub import Hub
from engine.settings import Settings
from storage.database import Database, open_database
from tests.api.arrange import SERVER, House


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def database(new_data: Path, clock: MovedClock) -> Iterator[Database]:
    opened = open_database(new_data, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
async def house(database: Database, clock: MovedClock, tmp_path: Path) -> AsyncIterator[House]:
    hub = Hub(database)
    database.info["bell"] = hub
    limits = BodyLimits(max_bytes=1024 * 1024, receive_seconds=0.3)
    api = create_api(database, hub, Settings(data=tmp_path / "data"), body_limits=limits)
    principal = command_line(database.write_now(ensure_workspace, "free"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url=SERVER) as client:
        made = House(database, api, principal, clock, client)
        made.key = made.new_key().key
        made.flow_id = made.new_flow()
        yield made
    await api.close()
