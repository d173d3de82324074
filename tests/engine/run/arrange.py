"""Helpers for tests of runs: a recorder that stores everything, test node types, small flows."""

from dataclasses import dataclass, field

from engine.flow.document import Document
from engine.flow.job_checks import JobChecks
from engine.flow.node_context import Json, NodeFailed
from engine.flow.node_type import FreeInputs, NodeConfig, NodeType
from engine.nodes import CATALOG
from engine.run.plan import compile_plan
from engine.run.runner import run_flow
from engine.run.turns import Turns


@dataclass
class Notebook:
    """A recorder that stores everything."""

    begun: list = field(default_factory=list)
    over: list = field(default_factory=list)
    texts: list = field(default_factory=list)
    forgotten: list = field(default_factory=list)

    def started(self, step):
        self.begun.append(step)

    def ended(self, step):
        self.over.append(step)

    def called(self, key, call):
        pass

    def forget(self, nodes, index):
        self.forgotten.append((sorted(nodes), index))

    def as_stored(self, text):
        return text

    def delta(self, key, text):
        self.texts.append(text)

    def statuses(self, node_id):
        """Maps each index path to the status of the node's step."""
        return {step.key.index_path: step.status for step in self.over if step.key.node_id == node_id}

    def status_of(self, node_id):
        """Returns the status of the node's first step."""
        return self.step(node_id).status

    def step(self, node_id):
        return next(step for step in self.over if step.key.node_id == node_id)

    def kept(self):
        """Returns the stored outputs that a later attempt would reuse."""
        return {step.key: step.output for step in self.over if step.status == "completed"}


class NoServices:
    http = None

    def __init__(self):
        self.checks = JobChecks(self.in_thread)
        self.turns = Turns()

    async def ask_model(self, question, *, on_call=None, on_text=None):
        raise AssertionError

    async def caught_up(self):
        pass

    async def secret(self, secret_id):
        raise AssertionError

    async def in_thread(self, work, *args):
        return work(*args)


class Inputs(FreeInputs):
    pass


def node_type(name, run, **more):
    return NodeType(
        type=name,
        title=name,
        group="transform",
        icon="x",
        config=NodeConfig,
        inputs=Inputs,
        run=run,
        out_schema=lambda config, inputs: None,
        summary=lambda config, inputs: "",
        **more,
    )


async def _work(config, inputs, context) -> Json:
    """Returns `x` unchanged; fails for texts that start with "bad"."""
    value = inputs.values.get("x")
    if isinstance(value, str) and value.startswith("bad"):
        raise NodeFailed(f"{value} broke.", code="http_status")
    return value


WORK = {**CATALOG, "work": node_type("work", _work)}


def flow(nodes, edges):
    """Builds a flow.

    `edges` is a text such as `in>a a>b c.yes>d`; `in` is an API Input with the fields `x`, `y` and `word`.
    """
    fields = [{"name": name, "type": "array"} for name in ("x", "y")] + [{"name": "word", "type": "string"}]
    drawn = []
    for number, text in enumerate(edges.split()):
        source, target = text.split(">")
        source, _, port = source.partition(".")
        drawn.append({"id": f"e{number}", "source": source, "target": target, "source_port": port or "out"})
    made = [{"id": "in", "type": "api_input", "config": {"fields": fields}}]
    for node_id, kind, *parts in nodes:
        inputs, config, policy = [*parts, {}, {}, {}][:3]
        made.append({"id": node_id, "type": kind, "inputs": inputs, "config": config, "policy": policy})
    return Document.model_validate({"format": 1, "nodes": made, "edges": drawn})


async def go(document, payload, *, catalog=WORK, trial=False, recorder=None, **more):
    """Runs a flow; returns the outcome and the notebook."""
    notebook = recorder or Notebook()
    whole = {"x": None, "y": None, "word": None, **payload}
    plan = compile_plan(document, catalog, trial=trial)
    outcome = await run_flow(plan, whole, system={}, services=NoServices(), recorder=notebook, **more)
    return outcome, notebook
