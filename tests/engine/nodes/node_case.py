"""Test cases of node types: settings and inputs of a node, and its exact result.

A case runs in a small complete flow.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from engine.core.ids import new_id
from engine.flow.document import Document
from engine.flow.job_checks import JobChecks
from engine.flow.node_context import NodeFailed, PersonAnswer, PersonQuestion
from engine.flow.node_http import SecretValue
from engine.flow.payload_check import check_payload
from engine.flow.validation import problems
from engine.jobs.worker.dataset_writes import WorkspaceDatasets
from engine.jobs.worker.knowledge import WorkspaceKnowledge
from engine.models.client import ModelConnection, ModelRequest, Models, split_model
from engine.nodes import CATALOG
from engine.outbound.client import OutboundClient, OutboundRules, parse_allow_list
from engine.run.calls import CalledPlan
from engine.run.plan import compile_plan
from engine.run.runner import run_flow
from engine.run.state import RunOptions
from engine.run.turns import Turns
from engine.sandbox.pool import Sandbox
from tests.engine.documents.made_files import Sent
from tests.engine.jobs.world import World
from tests.engine.nodes.node_in_flow import Notebook
from tests.stand_ins.network import Names
from tests.stand_ins.openai_server import OpenAIServer, Said

Json = Any
Kind = Literal["good", "odd", "bad"]
#: A reference to the value in the payload.
GIVEN = "{{ api_input.out.value }}"
#: Placeholder in a case for the URL of the local web site.
SITE = "http://site.test"


@dataclass(frozen=True)
class Fails:
    """The error of a failed step: what happened, why, and what to do."""

    message: str
    why: str
    remedy: str


@dataclass(frozen=True)
class Problem:
    """A problem that validation reports before the run, and the field it concerns."""

    pointer: str
    message: str


@dataclass(frozen=True)
class Refused:
    """The validation errors of a refused payload, by JSON pointer."""

    errors: Mapping[str, str]


@dataclass(frozen=True)
class Case:
    """A case. `comes`: the expected `out`, or a Fails, a Problem or a Refused.

    `says`: the model's answer. `only`: the keys of `out` that are compared. `before`: what the same step was given in a run
    before. Cases share a world and run in any order: what one of them needs, it says itself.
    """

    kind: Kind
    what: str
    comes: Json | Fails | Problem | Refused
    given: Json = None
    config: Mapping[str, Json] = field(default_factory=dict)
    inputs: Mapping[str, Json] = field(default_factory=dict)
    warns: tuple[str, ...] = ()
    says: tuple[str | Said, ...] = ()
    only: tuple[str, ...] = ()
    before: Json = None


def good(what: str, comes: Json, given: Json = None, **more: Any) -> Case:
    """A case with ordinary input."""
    return Case("good", what, comes, given, **more)


def odd(what: str, comes: Json, given: Json = None, **more: Any) -> Case:
    """A case with unusual valid input: empty, null, another script, a convertible type, or very large."""
    return Case("odd", what, comes, given, **more)


def bad(what: str, comes: Fails | Problem | Refused, given: Json = None, **more: Any) -> Case:
    """A case with invalid input, which gives an error message."""
    return Case("bad", what, comes, given, **more)


def after_a_branch(node: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """Adds a Condition whose outcome is always `yes`: the node `gone` is skipped, the node `there` outputs the
    payload.
    """
    rules = [{"left": 1, "operator": "equals", "right": 1}]
    return [
        {"id": "choice", "type": "condition", "inputs": {"rules": rules}},
        {"id": "gone", "type": "set_fields", "inputs": {"x": 1}},
        {"id": "there", "type": "parse_json", "inputs": {"text": GIVEN}},
        node,
    ], "api_input>choice choice.no>gone choice.yes>there gone>node there>node node>end"


def both_ways(node: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """Adds a node after each outcome `yes` and `no` of a Condition, and joins both again."""
    sides: list[dict[str, Any]] = [
        {"id": side, "type": "set_fields", "inputs": {"by": side, "value": "{{ node.out }}"}} for side in ("yes", "no")
    ]
    joined = {"id": "joined", "type": "first_value"}
    return [node, *sides, joined], "api_input>node node.yes>yes node.no>no yes>joined no>joined joined>end"


def approved_or_not(node: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """Adds a node after `approved` and one after `refused`, and joins both again."""
    nodes, edges = both_ways(node)
    return nodes, edges.replace("node.yes", "node.approved").replace("node.no", "node.refused")


def found_or_not(node: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """Adds a node after `found` and one after `not_found`, and joins both again."""
    nodes, edges = both_ways(node)
    return nodes, edges.replace("node.yes", "node.found").replace("node.no>", "node.not_found>")


def in_a_list(node: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """Adds a Splitter, a Read JSON text whose items fail for invalid JSON, and a Flatten."""
    splitter = {"id": "each", "type": "array_splitter", "inputs": {"items": GIVEN}}
    flatten = {"id": "all", "type": "array_flatten"}
    work = {"id": "work", "type": "parse_json", "inputs": {"text": f"{{{{ {node['id']}.out }}}}"}}
    if node["type"] == "array_flatten":
        work["inputs"] = {"text": "{{ each.out }}"}
        return [splitter, work, node], "api_input>each each>work work>node node>end"
    return [node, work, flatten], "api_input>node node>work work>all all>end"


SHAPES = {
    "approval": (approved_or_not, "joined"),
    "condition": (both_ways, "joined"),
    "look_up_row": (found_or_not, "joined"),
    "first_value": (after_a_branch, "node"),
    "merge_lists": (after_a_branch, "node"),
    "array_splitter": (in_a_list, "all"),
    "array_flatten": (in_a_list, "node"),
}


def shape_of(kind: str) -> Any:
    return SHAPES.get(kind, (None,))[0]


def flow_of(kind: str, case: Case) -> Document:
    """Builds the flow API Input -> node, with the nodes it needs around it -> API Output."""
    start: dict[str, Any] = {
        "id": "api_input",
        "type": "api_input",
        "config": {"fields": [{"name": "value", "type": "array" if shape_of(kind) is in_a_list else "string"}]},
    }
    node: dict[str, Any] = {
        "id": "node",
        "type": kind,
        "label": CATALOG[kind].title,
        "config": dict(case.config),
        "inputs": dict(case.inputs),
    }
    if kind == "api_input":
        nodes, edges, shown = [{"id": "change", "type": "set_fields"}], "api_input>change change>end", "api_input"
        start["config"] = dict(case.config)
    elif kind == "api_output":
        change = {"id": "change", "type": "parse_json", "inputs": {"text": GIVEN}}
        nodes, edges, shown = [change, {**node, "id": "end"}], "api_input>change change>end", ""
    else:
        shape, shown = SHAPES.get(kind, (lambda one: ([one], "api_input>node node>end"), "node"))
        nodes, edges = shape(node)
    if shown:
        nodes = [*nodes, {"id": "end", "type": "api_output", "inputs": {"out": f"{{{{ {shown}.out }}}}"}}]
    drawn = []
    for number, edge in enumerate(edges.split()):
        source, target = edge.split(">")
        source, _, port = source.partition(".")
        drawn.append({"id": f"e{number}", "source": source, "source_port": port or "out", "target": target})
    return Document.model_validate({"format": 1, "nodes": [start, *nodes], "edges": drawn})


async def what_comes(kind: str, case: Case, services: Services) -> tuple[Json, tuple[str, ...]]:
    """Validates and runs the flow; returns the problem, or the `out` or error of the node with its warnings."""
    if case.before is not None:
        await what_comes(kind, replace(case, given=case.before, before=None), services)
    document = flow_of(kind, case)
    told = [one for one in problems(document, CATALOG) if one.code != "no_processing_node"]
    if told:
        assert len(told) == 1, told
        return Problem(told[0].pointer, told[0].message), ()
    if kind == "api_input":
        value, errors = check_payload(case.config["fields"], case.given)
        return Refused({one.pointer: one.detail for one in errors}) if errors else value, ()
    if services.model:
        services.model.say(*case.says)
    plan, notebook = compile_plan(document, CATALOG, trial=True), Notebook()
    given = services.files.hold(case.given) if isinstance(case.given, Sent) else case.given
    outcome = await run_flow(
        plan, {"value": given}, system={}, services=services, recorder=notebook, options=RunOptions(new_id("job"))
    )
    warnings = notebook.steps["end" if kind == "api_output" else "node"].warnings
    if outcome.error:
        return Fails(outcome.error.message, outcome.error.why, outcome.error.remedy), warnings
    out = outcome.result if kind == "api_output" else outcome.result["out"]
    return {key: out[key] for key in case.only} if case.only else out, warnings


class _HeldFiles:
    """Files in memory, with their values."""

    def __init__(self) -> None:
        self._held: dict[str, Sent] = {}

    def hold(self, file: Sent) -> dict[str, Json]:
        """Returns the value of a file that steps can read."""
        file_id = new_id("file")
        self._held[file_id] = file
        return {"name": file.name, "media_type": file.media_type, "size": file.size, "file_id": file_id}

    async def read(self, value: Json) -> Sent:
        return self._held[value["file_id"]]

    async def look_up(self, value: Json) -> Sent:
        return self._held[value["file_id"]]

    def room(self, size: int) -> AbstractAsyncContextManager[None]:
        return nullcontext()


async def no_vectors(*_args: Any) -> Any:
    raise AssertionError("no collection here has a model")


class Services:
    """The services of a run: an outbound client that may reach this machine, a model server, datasets, and one flow to
    call.
    """

    def __init__(self, world: World, model: OpenAIServer | None = None) -> None:
        self.model = model
        self.http = OutboundClient(OutboundRules(parse_allow_list("127.0.0.1")), Names())
        self.datasets = WorkspaceDatasets(world.database, world.workspace_id)
        self.files = _HeldFiles()
        self.checks = JobChecks(self.in_thread)
        self.turns = Turns()
        self._world = world
        self._models = Models(self.http)
        self._sandbox = Sandbox(1)
        self._connection = ModelConnection("box", "openai_compatible", model.url, opens_address=True) if model else None

    async def close(self) -> None:
        """Closes the outbound client and the sandbox."""
        await self.http.aclose()
        await self._sandbox.close()

    async def ask_model(self, question: Any, *, on_call: Any = None, on_text: Any = None) -> Any:
        name, _ = split_model(question.model)
        request = ModelRequest.of(question, on_delta=on_text, on_call=on_call)
        return await self._models.ask(None if name is None else self._connection, request)

    def knowledge(self, step: str, on_call: Any, warn: Any) -> WorkspaceKnowledge:
        return WorkspaceKnowledge(self._world.database, self._world.workspace_id, step, no_vectors, on_call, warn)

    async def ask_turn(self, turn: Any, *, on_call: Any = None, on_text: Any = None) -> Any:
        name, _ = split_model(turn.model)
        return await self._models.turn(
            None if name is None else self._connection, turn, on_delta=on_text, on_call=on_call
        )

    async def settled(self) -> None:
        """Nothing is stored."""

    async def secret(self, secret_id: str) -> SecretValue:
        if secret_id != "sec_1":
            raise NodeFailed("There is no such secret.", why="It was deleted.", remedy="Choose another one.")
        return SecretValue("Shop token", "swordfish", ("127.0.0.1",))

    async def ask_person(self, key: Any, question: PersonQuestion) -> PersonAnswer:
        """Answers for Ada, who refuses what begins with "No", lets pass what begins with "Nobody", and writes in
        capitals.
        """
        if question.title.startswith("Nobody"):
            return PersonAnswer(question.on_expiry == "approve", dict(question.values), expired=True)
        changed = {name: str(question.values[name]).upper() for name in question.editable if name in question.values}
        return PersonAnswer(not question.title.startswith("No"), {**question.values, **changed}, "As agreed", "Ada")

    async def caught_up(self) -> None:
        """Nothing is stored."""

    async def in_thread(self, work: Any, *args: Any) -> Any:
        return work(*args)

    async def render_template(self, template: str, data: Any) -> str:
        return await self._sandbox.render(template, data)

    async def read_apart(self, reader: str, arguments: Any) -> Any:
        return await self._sandbox.read(reader, arguments)

    async def read_file_apart(self, family: str, reader: str, arguments: Any, content: bytes) -> Any:
        return await self._sandbox.read_file(family, reader, arguments, content)

    async def called_flow(self, flow_id: str, version: int | None) -> CalledPlan:
        """Returns a flow that greets the given name."""
        fields = [{"name": "name", "type": "string", "required": True}]
        greet = {"id": "greet", "type": "text_template", "inputs": {"template": "Hello {{ api_input.out.name }}"}}
        nodes = [{"id": "api_input", "type": "api_input", "config": {"fields": fields}}, greet]
        edges = [{"id": "e", "source": "api_input", "target": "greet"}]
        document = Document.model_validate({"format": 1, "nodes": nodes, "edges": edges})
        return CalledPlan(flow_id, 1, "Greeting", compile_plan(document, CATALOG))


def at_site(value: Json, here: str, there: str) -> Json:
    """Replaces an address in all texts of a value."""
    match value:
        case str():
            return value.replace(here, there)
        case list() | tuple():
            return type(value)(at_site(one, here, there) for one in value)
        case dict():
            return {key: at_site(one, here, there) for key, one in value.items()}
        case Fails() | Case():
            return replace(value, **{one.name: at_site(getattr(value, one.name), here, there) for one in fields(value)})
    return value
