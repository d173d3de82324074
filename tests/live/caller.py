"""A program that calls deployed flows, and the owner beside the server who makes them."""

from __future__ import annotations

import functools
import json
import time
from dataclasses import dataclass
from typing import Any

import httpx

from engine.actions.deployments import deploy
from engine.actions.flows import import_flow
from engine.actions.principal import Principal, command_line
from storage.database import Database, open_database
from storage.workspaces import find_first_workspace, pick_workspace
from tests.factories import as_bytes
from tests.live_server import LiveServer

ENDED = {"completed", "failed", "cancelled"}
PATIENCE_SECONDS = 90


@dataclass(frozen=True)
class Caller:
    """Knows the server's address and one API key."""

    url: str
    key: str

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}", **options.pop("headers", {})}
        return httpx.request(method, f"{self.url}/public/v1{path}", headers=headers, timeout=60, **options)

    def submit(self, flow_id: str, payload: Any, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", f"/flows/execute/{flow_id}", json=payload, headers=named)

    def accepted(self, flow_id: str, payload: Any, **headers: str) -> str:
        """The id of a job that was accepted."""
        answer = self.submit(flow_id, payload, **headers)
        assert answer.status_code == 202, answer.text
        return answer.json()["job_id"]

    def job(self, job_id: str) -> dict[str, Any]:
        return self.request("GET", f"/jobs/{job_id}").json()

    def ended(self, job_id: str) -> dict[str, Any]:
        """The job once it has ended."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (job := self.request("GET", f"/jobs/{job_id}?wait=10").json())["status"] not in ENDED:
            assert time.monotonic() < deadline, job
        return job

    def run(self, flow_id: str, payload: Any, **headers: str) -> dict[str, Any]:
        """Submits and waits for the end."""
        return self.ended(self.accepted(flow_id, payload, **headers))

    def cancel(self, job_id: str) -> httpx.Response:
        return self.request("POST", f"/jobs/{job_id}/cancel")

    def events(self, job_id: str, after: int | None = None) -> list[tuple[int, str, dict[str, Any]]]:
        """The whole stream, until the server closes it: number, name and data of each event."""
        headers = {} if after is None else {"Last-Event-ID": str(after)}
        answer = self.request("GET", f"/jobs/{job_id}/events", headers=headers)
        assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
        blocks = [block for block in answer.text.split("\n\n") if block and not block.startswith(":")]
        fields = [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]
        return [(int(event["id"]), event["event"], json.loads(event["data"])) for event in fields]


class Terminal:
    """Commands of app.py beside the running server. Flows are made through the store, as a second process does it."""

    def __init__(self, server: LiveServer) -> None:
        self._server = server
        self._flows: dict[str, str] = {}

    @functools.cached_property
    def store(self) -> Database:
        """The server's data folder, opened by this process too."""
        return open_database(self._server.data)

    @functools.cached_property
    def owner(self) -> Principal:
        """The owner of the first workspace."""
        first = self.store.read_now(find_first_workspace)
        assert first is not None
        return command_line(first.id)

    def close(self) -> None:
        """Closes the store if it was opened."""
        if "store" in self.__dict__:
            self.store.close()

    def flow(self, file: dict[str, Any], workspace: str | None = None) -> str:
        """The id of this flow, imported and deployed the first time it is asked for."""
        text = json.dumps([file, workspace])
        if text not in self._flows:
            owner = command_line(self.store.read_now(pick_workspace, workspace).id) if workspace else self.owner
            flow_id = self.store.write_now(import_flow, owner, as_bytes(file), "Flow").flow_id
            self.store.write_now(deploy, owner, flow_id)
            self._flows[text] = flow_id
        return self._flows[text]

    def caller(self, *options: str, environment: str = "live") -> Caller:
        """A program with a new key."""
        key = self.value("keys", "create", "--label", "Shop", "--environment", environment, *options)
        return Caller(self._server.url, key)

    def value(self, *command: str, stdin: str | None = None) -> str:
        """The one line the command prints."""
        out = self._server.run(*command, stdin=stdin).stdout
        assert out.count("\n") == 1, out
        return out.strip()

    def do(self, *command: str, stdin: str | None = None) -> None:
        """A command that has nothing to print."""
        assert self._server.run(*command, stdin=stdin).stdout == ""
