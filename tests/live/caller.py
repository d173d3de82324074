"""An API caller of deployed flows, and the owner who creates them through the server's database."""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from engine.actions.deployments import deploy
from engine.actions.flows import import_flow
from engine.actions.keys import create_key
from engine.actions.limits import set_plan
from engine.actions.members import ensure_owner, password_hash_now, sign_in
from engine.actions.principal import Principal, command_line
from engine.actions.workspaces import create_workspace
from engine.core.environments import Environment
from engine.secrets.sealing import Vault, open_vault
from storage.database import Database
from storage.members import list_people
from storage.workspaces import find_first_workspace
from tests.factories import flow_file
from tests.live_server import PASSWORD, TLS, LiveServer

ENDED = {"completed", "failed", "cancelled"}
PATIENCE_SECONDS = 90


@dataclass(frozen=True)
class Caller:
    """An API caller with the server's address and one API key."""

    url: str
    key: str

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}", **options.pop("headers", {})}
        return httpx.request(method, f"{self.url}/public/v1{path}", headers=headers, timeout=60, verify=TLS, **options)

    def submit(self, flow_id: str, payload: Any, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", f"/flows/execute/{flow_id}", json=payload, headers=named)

    def accepted(self, flow_id: str, payload: Any, **headers: str) -> str:
        """Submits a job, asserts that it is accepted, and returns its id."""
        answer = self.submit(flow_id, payload, **headers)
        assert answer.status_code == 202, answer.text
        return answer.json()["job_id"]

    def job(self, job_id: str) -> dict[str, Any]:
        return self.request("GET", f"/jobs/{job_id}").json()

    def ended(self, job_id: str) -> dict[str, Any]:
        """Waits until the job has ended and returns it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (job := self.request("GET", f"/jobs/{job_id}?wait=10").json())["status"] not in ENDED:
            assert time.monotonic() < deadline, job
        return job

    def run(self, flow_id: str, payload: Any, **headers: str) -> dict[str, Any]:
        """Submits a job and waits for its end."""
        return self.ended(self.accepted(flow_id, payload, **headers))

    def cancel(self, job_id: str) -> httpx.Response:
        return self.request("POST", f"/jobs/{job_id}/cancel")

    def events(
        self, job_id: str, after: int | None = None, each: Callable[[str], object] = lambda _name: None
    ) -> list[tuple[int, str, dict[str, Any]]]:
        """Reads the event stream until the server closes it; returns number, name and data of each event.

        `each` is called with the name of each event as it arrives.
        """
        headers = {"Authorization": f"Bearer {self.key}"} | ({} if after is None else {"Last-Event-ID": str(after)})
        url, found, fields = f"{self.url}/public/v1/jobs/{job_id}/events", [], {}
        with httpx.stream("GET", url, headers=headers, timeout=60, verify=TLS) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream"), answer.read()
            for line in answer.iter_lines():
                if line and not line.startswith(":"):
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif fields:
                    found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
                    each(fields["event"])
                    fields = {}
        return found


class Terminal:
    """The owner of a workspace on a running server, who writes to the database from the test process, as a command
    does.

    Without a name, the workspace is the server's first one; `Terminal.new(server)` creates one that no other test uses.
    """

    def __init__(self, server: LiveServer, workspace_id: str | None = None) -> None:
        self.server = server
        self._named = workspace_id
        self._flows: dict[str, str] = {}

    @classmethod
    def new(cls, server: LiveServer, plan: str = "free") -> Terminal:
        """Creates a workspace without members."""
        name = f"Workspace {next(_numbers)}"
        return cls(server, server.store.write_now(create_workspace, name, plan))

    @property
    def store(self) -> Database:
        """The server's database, opened by the test process too."""
        return self.server.store

    @functools.cached_property
    def vault(self) -> Vault:
        """Encrypts and decrypts the server's secrets."""
        return open_vault(self.server.data)

    @functools.cached_property
    def owner(self) -> Principal:
        """A principal with all permissions in the workspace."""
        if self._named is not None:
            return command_line(self._named)
        first = self.store.read_now(find_first_workspace)
        assert first is not None
        return command_line(first.id)

    @property
    def workspace_id(self) -> str:
        return self.owner.workspace_id

    @functools.cached_property
    def email(self) -> str:
        """The e-mail address of the workspace's owner; the account is created on first use."""
        people = self.store.read_now(list_people, self.workspace_id)
        if people:
            return people[0].email
        email = f"owner@w{next(_numbers)}.example.com"
        self.store.write_now(ensure_owner, self.workspace_id, email, password_hash())
        return email

    def sign_in(self) -> str:
        """Signs the owner in and returns the session cookie.

        Runs in a thread, because the caller may have a running event loop.
        """
        cookies: list[str] = []
        email = self.email
        signing = threading.Thread(target=lambda: cookies.append(asyncio.run(sign_in(self.store, email, PASSWORD))))
        signing.start()
        signing.join()
        return cookies[0]

    def close(self) -> None:
        """Closes the database if it was opened."""
        self.server.close_store()

    def made(self, file: dict[str, Any]) -> str:
        """Imports a flow and returns its id."""
        return self.store.write_now(import_flow, self.owner, flow_file(file, "Flow")).flow_id

    def flow(self, file: dict[str, Any]) -> str:
        """Returns the id of this flow, which is imported and deployed on first use."""
        text = json.dumps(file)
        if text not in self._flows:
            flow_id = self.made(file)
            self.store.write_now(deploy, self.owner, flow_id)
            self._flows[text] = flow_id
        return self._flows[text]

    def caller(self, label: str = "Shop", environment: Environment = "live", **limits: Any) -> Caller:
        """Returns a caller with a new key."""
        return Caller(self.server.url, self.store.write_now(create_key, self.owner, label, environment, **limits).key)

    def set_plan(self, plan: str, **limits: int) -> None:
        """Sets the workspace's plan and limits from the next request on; -1 means unlimited."""
        self.store.write_now(set_plan, self.owner, plan, **limits)

    def value(self, *command: str, stdin: str | None = None) -> str:
        """Runs a command and returns the single line it prints."""
        out = self.run(*command, stdin=stdin).stdout
        assert out.count("\n") == 1, out
        return out.strip()

    def do(self, *command: str, stdin: str | None = None) -> None:
        """Runs a command that prints nothing to stdout."""
        assert self.run(*command, stdin=stdin).stdout == ""

    def run(self, *command: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs a command of app.py in this workspace."""
        where = ("--workspace", self._named) if self._named else ()
        return self.server.run(*command, *where, stdin=stdin, check=check)


@functools.cache
def password_hash() -> str:
    """The hash of the password; computed once, because hashing is slow by design."""
    return password_hash_now(PASSWORD)


_numbers = itertools.count(1)
