"""A workspace with a key and deployed flows behind the real public API, on a real data folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.create_api import PublicApi, create_api
from api.json_body import BodyLimits
from engine.actions.deployments import deploy
from engine.actions.flows import create_flow, save_as
from engine.actions.keys import NewKey, create_key
from engine.actions.principal import Principal, command_line
from engine.actions.workspaces import create_workspace, ensure_workspace
from engine.clock import MovedClock
from engine.flow.document import Document, Edge, Node
from engine.jobs.hub import Hub
from engine.settings import Settings
from storage.database import Database, open_database
from storage.job_changes import Holder, claim_job, end_job

SERVER = "http://flows.test"

FIELDS: list[dict[str, Any]] = [
    {"name": "url", "type": "string", "format": "uri", "required": True},
    {"name": "max_pages", "type": "integer", "minimum": 1, "maximum": 50},
    {"name": "tags", "type": "array", "items": {"type": "string"}, "default": []},
]


def echo_document(fields: list[dict[str, Any]]) -> Document:
    """An API Input, a Text Template that writes the address, and an API Output `text`."""
    return Document(
        nodes=(
            Node(id="api_input", type="api_input", label="API Input", config={"fields": fields}),
            Node(id="text_template", type="text_template", inputs={"template": "Read {{ api_input.out.url }}"}),
            Node(id="api_output", type="api_output", inputs={"text": "{{ text_template.out }}"}),
        ),
        edges=(
            Edge(id="e1", source="api_input", target="text_template"),
            Edge(id="e2", source="text_template", target="api_output"),
        ),
    )


@dataclass
class House:
    """What a test arranges with: verbs as short calls, and a client that speaks to the API in process."""

    database: Database
    api: PublicApi
    principal: Principal
    clock: MovedClock
    client: httpx.AsyncClient
    key: str = ""
    flow_id: str = ""
    ids: dict[str, str] = field(default_factory=dict)

    def new_key(self, environment: str = "live", principal: Principal | None = None, **options: Any) -> NewKey:
        return self.database.write_now(create_key, principal or self.principal, "Key", environment, **options)

    def new_flow(
        self,
        title: str = "Summarise a page",
        *,
        principal: Principal | None = None,
        deployed: bool = True,
        fields: list[dict[str, Any]] | None = None,
    ) -> str:
        owner = principal or self.principal
        document = echo_document(FIELDS if fields is None else fields)
        flow_id = self.database.write_now(create_flow, owner, title, document)
        self.database.write_now(save_as, owner, flow_id, title)
        if deployed:
            self.database.write_now(deploy, owner, flow_id)
        return flow_id

    def other_workspace(self) -> Principal:
        return command_line(self.database.write_now(create_workspace, "Other", "pro"))

    def finish(self, job_id: str, status: str = "completed", **options: Any) -> None:
        """Does what a worker does: claims the job and ends it."""
        claimed = self.database.write_now(claim_job, "boot_test", job_id)
        if status == "completed":
            options.setdefault("result", ('{"text":"Read it"}', 18))
        holder = Holder("boot_test", claimed.attempt)
        assert self.database.write_now(end_job, job_id, status, holder=holder, **options)

    async def post(self, path: str, json: Any = None, key: str | None = None, **options: Any) -> httpx.Response:
        return await self._call("POST", path, key, json=json, **options)

    async def get(self, path: str, key: str | None = None, **options: Any) -> httpx.Response:
        return await self._call("GET", path, key, **options)

    async def submit(self, payload: Any = None, **options: Any) -> httpx.Response:
        body = {"url": "https://example.com"} if payload is None else payload
        return await self.post(f"/flows/execute/{self.flow_id}", body, **options)

    async def _call(self, method: str, path: str, key: str | None, **options: Any) -> httpx.Response:
        sent = {"Authorization": f"Bearer {self.key if key is None else key}"} | options.pop("headers", {})
        return await self.client.request(method, f"/public/v1{path}", headers=sent, **options)


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def database(tmp_path: Path, clock: MovedClock) -> Iterator[Database]:
    opened = open_database(tmp_path / "data", clock=clock)
    yield opened
    opened.close()


@pytest.fixture
async def house(database: Database, clock: MovedClock) -> AsyncIterator[House]:
    hub = Hub(database)
    database.info["bell"] = hub
    limits = BodyLimits(max_bytes=1024 * 1024, receive_seconds=0.3)
    api = create_api(database, hub, Settings(), body_limits=limits)
    principal = command_line(database.write_now(ensure_workspace, "free"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url=SERVER) as client:
        made = House(database, api, principal, clock, client)
        made.key = made.new_key().key
        made.flow_id = made.new_flow()
        yield made
    await asyncio.wait_for(api.close(), 10)
