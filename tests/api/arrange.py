"""Arranges tests of the public API: a workspace with flows and keys, and a client that calls the API in process."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text, update

from api.app import PublicApi, create_api
from api.http.json_body import BodyLimits
from engine.actions.deployments import deploy
from engine.actions.flows import create_flow, save_as, save_draft, save_version
from engine.actions.keys import NewKey, create_key
from engine.actions.principal import Principal, command_line
from engine.actions.workspaces import create_workspace, ensure_workspace
from engine.core.clock import SECOND, MovedClock
from engine.core.settings import Settings
from engine.flow.document import Document, Edge, Node
from engine.jobs.server.job_waiters import JobWaiters
from engine.jobs.submit.bodies import read_version
from engine.jobs.transitions import finish
from engine.secrets.sealing import open_vault
from storage.database import Database
from storage.flows import get_draft
from storage.job_changes import Lease, claim_job
from storage.tables import Job
from tests.databases import open_database
from tests.postgres_cluster import POSTGRES

SERVER = "http://flows.test"
JSON = "application/json"

FAILED = {
    "code": "http_status",
    "message": "https://example.com answered 500.",
    "node_id": "text_template",
    "node_label": "Text Template",
    "item_index": None,
    "attempts": 3,
}
FIELDS: list[dict[str, Any]] = [
    {"name": "url", "type": "string", "format": "uri", "required": True},
    {"name": "max_pages", "type": "integer", "minimum": 1, "maximum": 50},
    {"name": "tags", "type": "array", "items": {"type": "string"}, "default": []},
]


def echo_document(fields: list[dict[str, Any]]) -> Document:
    """A flow with an API Input, a Text Template that contains the `url`, and an API Output with the field `text`."""
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
    """A workspace for a test: actions as short methods, and a client that calls the API in process."""

    database: Database
    api: PublicApi
    principal: Principal
    clock: MovedClock
    client: httpx.AsyncClient
    key: str = ""
    flow_id: str = ""

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

    def change_flow(self, document: Document, *, deployed: bool = True) -> int:
        """Saves a document as the draft and then as a version, which it deploys by default. Returns the number of the
        version.
        """
        revision = self.database.read_now(get_draft, self.principal.workspace_id, self.flow_id).revision
        self.database.write_now(save_draft, self.principal, self.flow_id, document, revision)
        if deployed:
            return self.database.write_now(deploy, self.principal, self.flow_id).version
        return self.database.write_now(save_version, self.principal, self.flow_id)

    def other_workspace(self) -> Principal:
        return command_line(self.database.write_now(create_workspace, "Other", "pro"))

    def finish(self, job_id: str, status: str = "completed", **options: Any) -> None:
        """Claims the job and ends it, as a worker does."""
        self.database.write_now(claim_job, "boot_test", job_id)
        self.end(status, job_id, "boot_test", **options)

    def end(self, status: str, job_id: str, owner: str, **options: Any) -> None:
        """Ends a job that `owner` has claimed in its first attempt."""
        if status == "completed":
            options.setdefault("result", ('{"text":"Read it"}', 18))
        if status == "failed":
            options.setdefault("error", {**FAILED, "why": "", "remedy": ""})
        assert self.database.write_now(finish, job_id, status, lease=Lease(owner, 1), **options)

    def mark_simulated(self, job_id: str) -> None:
        """Marks a job as one with an answer of the Simulated model."""
        self.database.write_now(
            lambda session: session.execute(update(Job).where(Job.id == job_id).values(simulated=True))
        )

    async def post(self, path: str, json: Any = None, key: str | None = None, **options: Any) -> httpx.Response:
        return await self._call("POST", path, key, **({"json": json} if json is not None else {}), **options)

    async def get(self, path: str, key: str | None = None, **options: Any) -> httpx.Response:
        return await self._call("GET", path, key, **options)

    async def submit(self, payload: Any = None, **options: Any) -> httpx.Response:
        body = {"url": "https://example.com"} if payload is None else payload
        return await self.post(f"/flows/execute/{self.flow_id}", body, **options)

    async def submit_stream(self, content: AsyncIterator[bytes]) -> httpx.Response:
        """Submits a body that arrives in pieces and without Content-Length."""
        return await self.post(f"/flows/execute/{self.flow_id}", content=content, headers={"Content-Type": JSON})

    async def _call(self, method: str, path: str, key: str | None, **options: Any) -> httpx.Response:
        sent = {"Authorization": f"Bearer {self.key if key is None else key}"} | options.pop("headers", {})
        return await self.client.request(method, f"/public/v1{path}", headers=sent, **options)


@dataclass(frozen=True)
class _Kept:
    """What a workspace with a key and a flow is opened with again: the files of its data folder, and its ids."""

    files: dict[str, bytes]
    workspace_id: str
    key: str
    flow_id: str


#: The plan and the kind of clock -> the house that was made first. Making it takes longer than most tests.
_KEPT: dict[tuple[str, type[MovedClock]], _Kept] = {}


@contextlib.asynccontextmanager
async def open_house(data: Path, clock: MovedClock, plan: str = "free") -> AsyncIterator[House]:
    """Opens a workspace with a key and a deployed flow behind the real public API, on a data folder whose tables exist.

    With SQLite its ids and its key are those of the other tests of this process: each test gets a copy of the files.
    """
    if POSTGRES:
        async with _open(data, clock, plan) as house:
            house.key, house.flow_id = house.new_key().key, house.new_flow()
            yield house
        return
    kept = _KEPT.get((plan, type(clock)))
    if kept is None:
        kept = _KEPT[plan, type(clock)] = await _make(data, type(clock)(offset=-SECOND), plan)
    read_version.cache_clear()  # of this flow, each test makes other versions
    for name, content in kept.files.items():
        (data / name).touch(mode=0o600)
        (data / name).write_bytes(content)
    async with _open(data, clock, plan, kept.workspace_id) as house:
        house.key, house.flow_id = kept.key, kept.flow_id
        yield house


async def _make(data: Path, clock: MovedClock, plan: str) -> _Kept:
    """Makes a house in a data folder. The clock is a little behind that of the test, for which it lies in the past."""
    async with _open(data, clock, plan) as house:
        key, flow_id = house.new_key().key, house.new_flow()
    files = {path.name: path.read_bytes() for path in data.iterdir() if path.is_file()}
    return _Kept(files, house.principal.workspace_id, key, flow_id)


@contextlib.asynccontextmanager
async def _open(data: Path, clock: MovedClock, plan: str, workspace_id: str = "") -> AsyncIterator[House]:
    """Opens a house without a key and a flow. `workspace_id`: empty when it has no workspace yet."""
    database = open_database(data, clock=clock)
    waiters = JobWaiters(database)
    database.info["notifier"] = waiters
    limits = BodyLimits(max_bytes=1024 * 1024, receive_seconds=0.3, bytes_in_flight=3 * 512 * 1024)
    api = create_api(database, waiters, Settings(data=data), open_vault(data), body_limits=limits)
    principal = command_line(workspace_id or database.write_now(ensure_workspace, plan))
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url=SERVER) as client:
            yield House(database, api, principal, clock, client)
        await api.close()
    finally:
        database.close()


def queued_messages(database: Database) -> list[str]:
    """Returns the job ids in the queue's table, in order and without duplicates."""
    with database.reading() as session:
        rows = session.execute(text("select data from task order by id")).scalars()
        return list(dict.fromkeys(re.search(rb"job_[0-9A-Za-z]+", bytes(row)).group().decode() for row in rows))
