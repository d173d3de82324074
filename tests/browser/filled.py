"""Fills a running server with a bit of everything, through the verbs and the public API: what tests of every page look at."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from engine.actions.connections import add_connection, remember_models
from engine.actions.datasets import add_dataset, import_rows
from engine.actions.deployments import deploy
from engine.actions.flows import import_flow, save_version
from engine.actions.keys import create_key
from engine.actions.members import change_name
from engine.actions.principal import Principal, command_line
from engine.vault.sealing import open_vault
from storage.database import open_database
from storage.dataset_changes import checked_rows
from storage.members import list_people
from storage.workspaces import find_first_workspace
from tests.live_server import LiveServer
from tests.stand_ins.openai_server import OpenAIServer


@dataclass
class Filled:
    """A server, a key that may call everything, and the ids of what was made, by a name of the test's own."""

    server: LiveServer
    key: str = ""
    flows: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)
    dataset: str = ""

    def make(
        self,
        files: Mapping[str, dict[str, Any]],
        *,
        live: tuple[str, ...],
        model: OpenAIServer | None = None,
        key_label: str = "Shop",
        more_keys: Sequence[str] = (),
        connection: str = "stand",
        note: str = "First",
    ) -> None:
        """Flows from files; those in `live` are deployed. One key and one model connection."""
        vault = open_vault(self.server.data)
        database = open_database(self.server.data)
        try:
            workspace = database.read_now(find_first_workspace)
            assert workspace is not None
            owner = command_line(workspace.id)
            if model is not None:
                database.write_now(
                    add_connection, owner, vault, connection, "openai_compatible", base_url=model.url, key="sk-stand-in"
                )
                database.write_now(remember_models, owner, connection, model.models)
            for name, file in files.items():
                made = database.write_now(import_flow, owner, json.dumps(file).encode())
                self.flows[name] = made.flow_id
                if name in live:
                    database.write_now(save_version, owner, made.flow_id, note)
                    database.write_now(deploy, owner, made.flow_id)
            self.key = database.write_now(create_key, owner, key_label, "live").key
            for label in more_keys:
                database.write_now(create_key, owner, label, "dev")
        finally:
            database.close()

    def rename_owner(self, names: Sequence[str]) -> None:
        """The owner takes these names, one after the other; the audit log keeps them all."""
        database = open_database(self.server.data)
        try:
            workspace = database.read_now(find_first_workspace)
            assert workspace is not None
            owner = database.read_now(list_people, workspace.id)[0]
            for name in names:
                database.write_now(change_name, Principal(workspace.id, owner.id, owner.name, "owner", ""), name)
        finally:
            database.close()

    def keep(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """A dataset with these rows; its id is kept as `dataset`."""
        database = open_database(self.server.data)
        try:
            workspace = database.read_now(find_first_workspace)
            assert workspace is not None
            owner = command_line(workspace.id)
            self.dataset = database.write_now(add_dataset, owner, name)
            database.write_now(import_rows, owner, self.dataset, checked_rows([dict(row) for row in rows]))
        finally:
            database.close()

    def call(self, flow: str, payload: Any, **options: Any) -> httpx.Response:
        """A submit that waits for the end of the job."""
        return httpx.post(
            f"{self.server.url}/public/v1/flows/execute/{self.flows[flow]}?wait=30",
            json=payload,
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=60,
            **options,
        )

    def run(self, name: str, flow: str, payload: Any) -> dict[str, Any]:
        """A job that has ended, kept as `name`."""
        answer = self.call(flow, payload)
        assert answer.status_code == 200, answer.text
        job = answer.json()
        self.jobs[name] = job["job_id"]
        return job
