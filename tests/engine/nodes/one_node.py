"""Runs one node on its own, with what it may use from outside."""

from dataclasses import dataclass, field
from typing import Any

from engine.flow.document import Document
from engine.flow.references import Scope
from engine.flow.validation import problems
from engine.nodes import CATALOG


@dataclass
class Alone:
    """A node's context without a run around it."""

    scope: Scope = field(default_factory=lambda: Scope({}, {}))
    sandbox: Any = None
    datasets: Any = None
    idempotency_key: str = "job:node:"
    warnings: list[str] = field(default_factory=list)

    async def in_thread(self, work, *args):
        return work(*args)

    async def render_template(self, template, data):
        return await self.sandbox.render(template, data)

    def warn(self, message):
        self.warnings.append(message)


async def run_node(kind, config, inputs, context=None):
    """The node's `out`, its settings and inputs checked as in a run."""
    node = CATALOG[kind]
    return await node.run(node.config.model_validate(config), node.inputs.model_validate(inputs), context or Alone())


def problems_of(kind, config, inputs):
    """`(code, pointer)` of what is wrong with the node after an API Input that takes any list or text."""
    fields = [{"name": "text", "type": "string"}, {"name": "items", "type": "array"}]
    nodes = [
        {"id": "api_input", "type": "api_input", "config": {"fields": fields}},
        {"id": "node", "type": kind, "config": config, "inputs": inputs},
    ]
    edges = [{"id": "e", "source": "api_input", "target": "node"}]
    document = Document.model_validate({"format": 1, "nodes": nodes, "edges": edges})
    return [(one.code, one.pointer, one.message) for one in problems(document, CATALOG)]
