"""Runs one node without a flow, with given services."""

from dataclasses import dataclass, field
from typing import Any

from engine.flow.document import Document
from engine.flow.references import Scope
from engine.flow.validation import problems
from engine.nodes import CATALOG


@dataclass
class Alone:
    """The context of a node without a run."""

    scope: Scope = field(default_factory=lambda: Scope({}, {}))
    sandbox: Any = None
    datasets: Any = None
    idempotency_key: str = "job:node:"
    number_inputs: tuple[str, ...] = ()
    warnings: list[str] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)

    async def in_thread(self, work, *args):
        return work(*args)

    async def render_template(self, template, data):
        return await self.sandbox.render(template, data)

    def warn(self, message):
        self.warnings.append(message)

    def log(self, message):
        self.logged.append(message)


async def run_node(kind, config, inputs, context=None):
    """Validates settings and inputs as in a run and returns the node's `out`."""
    node = CATALOG[kind]
    return await node.run(node.config.model_validate(config), node.inputs.model_validate(inputs), context or Alone())


def problems_of(kind, config, inputs):
    """Returns the problems as `(code, pointer)` of a node after an API Input that accepts any list or text."""
    fields = [{"name": "text", "type": "string"}, {"name": "items", "type": "array"}]
    nodes = [
        {"id": "api_input", "type": "api_input", "config": {"fields": fields}},
        {"id": "node", "type": kind, "config": config, "inputs": inputs},
    ]
    edges = [{"id": "e", "source": "api_input", "target": "node"}]
    document = Document.model_validate({"format": 1, "nodes": nodes, "edges": edges})
    return [(one.code, one.pointer, one.message) for one in problems(document, CATALOG)]
