"""Runs one node after an API Input, as a worker does, with an outbound client that may reach this machine and one
secret.
"""

from __future__ import annotations

from engine.browser.browser import browser_of
from engine.flow.document import Document
from engine.flow.node_context import NodeFailed
from engine.flow.node_http import SecretValue
from engine.nodes import CATALOG
from engine.outbound.client import OutboundClient, OutboundRules, parse_allow_list
from engine.pages.readers import READERS
from engine.run.plan import compile_plan
from engine.run.runner import run_flow
from engine.run.state import RunOptions
from engine.run.turns import Turns
from tests.stand_ins.network import Names


class Notebook:
    def __init__(self):
        self.steps = {}
        self.parts = {}

    def started(self, step):
        pass

    def ended(self, step):
        self.steps[step.key.node_id] = step

    def called(self, key, call):
        pass

    def delta(self, key, text):
        pass

    def part(self, key, part):
        if part.ended:
            self.parts[key, part.name] = part.value

    def finished(self, key, name):
        return self.parts.get((key, name))

    def as_stored(self, text):
        return text

    def unfinished(self, key, name):
        return None


class Services:
    """The services that a worker gives to a run."""

    def __init__(self, outbound=None):
        self.http = outbound or OutboundClient(
            OutboundRules(parse_allow_list("127.0.0.1")), Names(), renderer=browser_of
        )
        self.turns = Turns()

    async def caught_up(self):
        """Nothing is stored."""

    async def in_thread(self, work, *args):
        return work(*args)

    async def read_apart(self, reader, arguments):
        return {"value": READERS[reader](**arguments)}

    async def secret(self, secret_id):
        if secret_id != "sec_1":
            raise NodeFailed("There is no such secret.")
        return SecretValue("Shop token", "swordfish", ("127.0.0.1",))


def flow(kind, config, inputs, policy=None):
    node = {"id": kind, "type": kind, "config": config, "inputs": inputs, "policy": {"retries": 0, **(policy or {})}}
    fields = [{"name": "value", "type": "object"}]
    return Document.model_validate(
        {
            "format": 1,
            "nodes": [{"id": "api_input", "type": "api_input", "config": {"fields": fields}}, node],
            "edges": [{"id": "e", "source": "api_input", "target": kind}],
        }
    )


async def run_node(services, kind, config, inputs, payload=None, policy=None):
    """Returns the node's output or its error, and the step."""
    notebook = Notebook()
    plan = compile_plan(flow(kind, config, inputs, policy), CATALOG)
    options = RunOptions(job_id="job_1")
    outcome = await run_flow(
        plan, payload or {"value": None}, system={}, services=services, recorder=notebook, options=options
    )
    step = notebook.steps[kind]
    return (outcome.result["output"] if outcome.error is None else outcome.error), step
