"""Fills a workspace of a running server through the actions and the public API, for tests that open every page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from sqlalchemy.orm import Session

from engine.actions.connections import add_connection, remember_models
from engine.actions.datasets import add_dataset, import_rows
from engine.actions.deployments import deploy
from engine.actions.flows import import_flow, save_version
from engine.actions.keys import create_key
from engine.actions.knowledge import add_collection, add_text
from engine.actions.members import change_name
from engine.actions.principal import Principal
from engine.actions.tool_servers import add_tool_server, allow_tools, remember_tools
from engine.flow.node_context import ServerTool
from storage.dataset_changes import checked_rows
from storage.members import list_people
from tests.factories import flow_file
from tests.live.caller import Terminal
from tests.live_server import TLS
from tests.stand_ins.openai_server import OpenAIServer


@dataclass
class Filled:
    """A workspace, a key that may call everything, and the ids of created objects by a name of the test's own."""

    terminal: Terminal
    key: str = ""
    flows: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)
    dataset: str = ""
    collection: str = ""

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
        """Creates flows from files and deploys those in `live`. Creates one key and one model connection."""
        store, owner = self.terminal.store, self.terminal.owner
        if model is not None:
            store.write_now(
                add_connection,
                owner,
                self.terminal.vault,
                connection,
                "openai_compatible",
                base_url=model.url,
                key="sk-stand-in",
            )
            store.write_now(remember_models, owner, connection, model.models)

        def put(session: Session) -> str:
            for name, file in files.items():
                self.flows[name] = import_flow(session, owner, flow_file(file)).flow_id
                if name in live:
                    save_version(session, owner, self.flows[name], note)
                    deploy(session, owner, self.flows[name])
            for label in more_keys:
                create_key(session, owner, label, "dev")
            return create_key(session, owner, key_label, "live").key

        self.key = store.write_now(put)

    def rename_owner(self, names: Sequence[str]) -> None:
        """Gives the owner these names one after the other, so that the audit log contains them all."""
        workspace_id, email = self.terminal.workspace_id, self.terminal.email
        (owner,) = (one for one in self.terminal.store.read_now(list_people, workspace_id) if one.email == email)

        def rename(session: Session) -> None:
            known = owner.name
            for name in names:
                change_name(session, Principal(self.terminal.owner.workspace_id, owner.id, known, "owner", ""), name)
                known = name

        self.terminal.store.write_now(rename)

    def keep(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Creates a dataset with these rows; its id is kept as `dataset`."""
        store, owner = self.terminal.store, self.terminal.owner
        self.dataset = store.write_now(add_dataset, owner, name)
        store.write_now(import_rows, owner, self.dataset, checked_rows([dict(row) for row in rows]))

    def know(self, name: str, texts: Mapping[str, str]) -> None:
        """Creates a collection of knowledge with these texts; its id is kept as `collection`."""
        store, owner = self.terminal.store, self.terminal.owner
        self.collection = store.write_now(add_collection, owner, name)
        for title, text in texts.items():
            store.write_now(add_text, owner, self.collection, title, text)

    def offer(self, name: str, tools: Mapping[str, str]) -> None:
        """Adds an MCP server that listed these tools (name to description) and allows all of them."""
        store, owner = self.terminal.store, self.terminal.owner
        address = "https://tools.example.com/mcp"
        server_id = store.write_now(add_tool_server, owner, self.terminal.vault, name, address, key="k-stand-in")
        listed = [ServerTool(tool, told, {"type": "object"}) for tool, told in tools.items()]
        store.write_now(remember_tools, owner, server_id, listed)
        store.write_now(allow_tools, owner, server_id, list(tools))

    def call(self, flow: str, payload: Any, **options: Any) -> httpx.Response:
        """Submits a job and waits for its end."""
        return httpx.post(
            f"{self.terminal.server.url}/public/v1/flows/execute/{self.flows[flow]}?wait=30",
            json=payload,
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=60,
            verify=TLS,
            **options,
        )

    def run(self, name: str, flow: str, payload: Any) -> dict[str, Any]:
        """Runs a job to its end and keeps its id as `name`."""
        answer = self.call(flow, payload)
        assert answer.status_code == 200, answer.text
        job = answer.json()
        self.jobs[name] = job["job_id"]
        return job
