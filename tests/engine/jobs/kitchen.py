"""A world with an agent, its model and its tools."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine.actions.connections import add_connection
from engine.actions.principal import Principal
from engine.core.ids import WorkspaceId
from engine.core.roles import Role
from engine.flow.document import Document
from engine.jobs.at_work import AtWork
from engine.jobs.worker.plan_loader import PlanLoader
from engine.jobs.worker.step_services import Outside
from engine.jobs.worker.threads import Threads
from engine.models.client import Models
from engine.models.saved_connections import open_connection
from engine.outbound.client import OutboundClient, OutboundRules, parse_allow_list
from engine.secrets.opening import open_for_step
from engine.secrets.sealing import open_vault
from engine.tool_servers.saved_servers import open_tool_server
from storage.jobs import JobRow
from storage.steps import PartRow, list_parts
from tests.engine.jobs.world import TEST_CATALOG, World, document_of
from tests.stand_ins.openai_server import OpenAIServer

WORD = [{"name": "word", "type": "string", "required": True}]
SHOUT = document_of(("loud", "text_template", {"template": "{{ api_input.out.word | upper }}!"}), fields=WORD)


@dataclass
class Kitchen:
    """A world with an agent, its model and its tools."""

    world: World
    model: OpenAIServer
    allow: str = "127.0.0.1"
    outbound: OutboundClient = field(init=False)

    def __post_init__(self) -> None:
        self.owner = Principal(WorkspaceId(self.world.workspace_id), "ada@example.com", "Ada", Role.OWNER)
        self.vault = open_vault(self.world.data)
        self.world.write(
            add_connection, self.owner, self.vault, "box", "openai_compatible", base_url=self.model.url, key="sk-1"
        )
        self.outbound = OutboundClient(OutboundRules(parse_allow_list(self.allow)))

    def agent(self, *tools: dict[str, Any], **settings: Any) -> str:
        """Adds a flow with an agent, and returns its id."""
        config = {"model": "box:m", "max_cost_usd": None, "tools": list(tools), **settings}
        return self.world.add_flow(agent_document(config))

    def shout(self, name: str = "shout", document: Document = SHOUT, **settings: Any) -> dict[str, Any]:
        """Returns a flow as a tool."""
        return {"kind": "flow", "flow_id": self.world.add_flow(document), "version": 1, "name": name, **settings}

    async def run(self, flow_id: str) -> JobRow:
        """Runs the flow as a worker does."""
        job_id = self.world.submit(flow_id, {"question": "How much is it?"}).job_id
        await self.carry(job_id)
        return self.world.job(job_id)

    async def carry(self, job_id: str) -> None:
        runs = self.world.runs()
        runs.services_for = self.outside().services_for
        await runs.carry(job_id)

    def outside(self) -> Outside:
        vault = self.vault
        return Outside(
            database=self.world.database,
            outbound=self.outbound,
            models=Models(self.outbound),
            threads=Threads(AtWork()),
            open_secret=lambda session, workspace_id, secret_id: open_for_step(session, vault, workspace_id, secret_id),
            open_connection=lambda session, workspace_id, name: open_connection(session, vault, workspace_id, name),
            called_plan=PlanLoader(TEST_CATALOG).called_plan,
            open_tool_server=lambda session, workspace_id, name: open_tool_server(session, vault, workspace_id, name),
        )

    def parts(self, job_id: str) -> dict[str, PartRow]:
        return {one.name: one for one in self.world.read(list_parts, self.world.workspace_id, job_id, "agent", "")}

    def told(self, turn: int = -1) -> list[str]:
        """Returns the results that the model was told with its request number `turn`."""
        return [one["content"] for one in self.model.asked[turn]["messages"] if one["role"] == "tool"]


def agent_document(config: dict[str, Any]) -> Document:
    document = document_of(
        ("agent", "agent", {"message": "{{ api_input.out.question }}", "instructions": "Be short."}),
        fields=[{"name": "question", "type": "string", "required": True}],
    )
    return configured(document, agent=config)


def configured(document: Document, **configs: dict[str, Any]) -> Document:
    nodes = tuple(
        node.model_copy(update={"config": configs[node.id]}) if node.id in configs else node for node in document.nodes
    )
    return document.model_copy(update={"nodes": nodes})
