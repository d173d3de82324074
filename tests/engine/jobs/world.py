"""A small environment for running jobs: a data folder with a workspace, flows of test nodes, and runs inside the test
process.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import asdict
from pydantic import ConfigDict
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine.actions.jobs import RunOptions, submit
from engine.core.clock import Clock, month_of
from engine.core.ids import new_id
from engine.core.job_status import OPEN
from engine.flow.document import Document
from engine.flow.node_context import Json, NodeContext, NodeFailed, PersonQuestion
from engine.flow.node_type import FreeInputs, NodeConfig, NodeType
from engine.jobs.submit.accept import Accepted, Caller
from engine.jobs.submit.bodies import SubmitOptions
from engine.jobs.worker.plan_loader import PlanLoader
from engine.jobs.worker.runs import Runs
from engine.jobs.worker.step_services import JobServices, Outside
from engine.jobs.worker.step_writer import StepWriter
from engine.nodes import CATALOG
from storage.database import Database, now
from storage.jobs import JobRow, find_job, read_value
from storage.tables import Flow, FlowVersion, Job, Usage, Workspace
from storage.value_sizes import VALUE_CAP
from tests.databases import open_database


class AnyConfig(NodeConfig):
    model_config = ConfigDict(extra="allow", frozen=True)


class AnyInputs(FreeInputs):
    pass


async def _sleep(config: Any, inputs: Any, context: NodeContext) -> Json:
    await asyncio.sleep(float(inputs.values.get("seconds", 0)))
    return inputs.values.get("value")


async def _wait(config: Any, inputs: Any, context: NodeContext) -> Json:
    """Waits until a file exists."""
    while not Path(inputs.values["until"]).exists():
        await asyncio.sleep(0.02)
    return inputs.values.get("value")


async def _block(config: Any, inputs: Any, context: NodeContext) -> Json:
    time.sleep(float(inputs.values.get("seconds", 0)))
    return "blocked"


async def _stubborn(config: Any, inputs: Any, context: NodeContext) -> Json:
    clock = asyncio.get_running_loop().time
    until = clock() + float(inputs.values.get("seconds", 0))
    while clock() < until:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            continue
    return "done"


async def _fail(config: Any, inputs: Any, context: NodeContext) -> Json:
    raise NodeFailed("It fails on purpose.", code="http_status")


async def _fail_on(config: Any, inputs: Any, context: NodeContext) -> Json:
    """Fails for one value."""
    if inputs.values["value"] == inputs.values["on"]:
        raise NodeFailed("It fails on purpose.", code="http_status")
    return inputs.values["value"]


async def _write(config: Any, inputs: Any, context: NodeContext) -> Json:
    """Appends a line to a file, as a side effect that a test can count."""
    if isinstance(context.http, NoServices):
        await context.http.settle()
    with Path(inputs.values["path"]).open("a") as file:
        file.write(f"{inputs.values['line']}\n")
    return inputs.values["line"]


async def _call(config: Any, inputs: Any, context: NodeContext) -> Json:
    answer = await context.http.request(
        "POST",
        inputs.values["url"],
        headers={"Idempotency-Key": context.idempotency_key},
        content=json.dumps(inputs.values.get("body")).encode(),
    )
    return answer.text()


async def _hold(config: Any, inputs: Any, context: NodeContext) -> Json:
    """Keeps the interpreter lock, as C code may do, so that no other thread of the process runs."""
    microseconds = int(float(inputs.values["seconds"]) * 1_000_000)
    if inputs.values.get("where") == "loop":
        ctypes.PyDLL(None).usleep(microseconds)
    else:
        await context.in_thread(ctypes.PyDLL(None).usleep, microseconds)
    return "held"


async def _compute(config: Any, inputs: Any, context: NodeContext) -> Json:
    """Blocks a thread, which cannot be stopped, and returns the process id."""
    await context.in_thread(time.sleep, float(inputs.values.get("seconds", 0)))
    return os.getpid()


async def _read_file(config: Any, inputs: Any, context: NodeContext) -> Json:
    """Returns the text of the file that a value names, whatever the value is."""
    return (await context.files.read(inputs.values["file"])).content.decode()


async def _lines(config: Any, inputs: Any, context: NodeContext) -> Json:
    """Returns the lines of a file, and so much else that the output is not kept."""
    return {"lines": Path(inputs.values["path"]).read_text().split(), "more": "x" * (VALUE_CAP + 1)}


async def _keep_file(config: Any, inputs: Any, context: NodeContext) -> Json:
    return await context.files.keep("made.txt", "text/plain", str(inputs.values["text"]).encode())


async def _ask(config: Any, inputs: Any, context: NodeContext) -> Json:
    """Asks a person, several times at once for several `keys`."""
    said = dict(inputs.values)
    keys = said.pop("keys", ["one"])
    options: dict[str, Any] = {"title": "May it go on?", "values": {}, **said}
    questions = [PersonQuestion(key, **{**options, "editable": tuple(options.get("editable", ()))}) for key in keys]
    if len(questions) == 1:
        return asdict(await context.ask_person(questions[0]))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(context.ask_person(question)) for question in questions]
    return [asdict(task.result()) for task in tasks]


async def _large(config: Any, inputs: Any, context: NodeContext) -> Json:
    return "x" * int(inputs.values["bytes"])


def _node(name: str, run: Any) -> NodeType:
    return NodeType(
        type=name,
        title=name,
        group="transform",
        icon="bolt",
        config=AnyConfig,
        inputs=AnyInputs,
        run=run,
        out_schema=lambda config, inputs: None,
        summary=lambda config, inputs: name,
    )


TEST_NODES = {
    name: _node(name, run)
    for name, run in {
        "test_sleep": _sleep,
        "test_wait": _wait,
        "test_block": _block,
        "test_stubborn": _stubborn,
        "test_fail": _fail,
        "test_fail_on": _fail_on,
        "test_write": _write,
        "test_call": _call,
        "test_hold": _hold,
        "test_compute": _compute,
        "test_large": _large,
        "test_ask": _ask,
        "test_read_file": _read_file,
        "test_keep_file": _keep_file,
        "test_lines": _lines,
    }.items()
}
TEST_CATALOG = {**CATALOG, **TEST_NODES}


def document_of(*nodes: tuple[str, str, Mapping[str, Any]], fields: list[dict[str, Any]] | None = None) -> Document:
    """A flow of an API Input and nodes (id, type, inputs), each connected to the one before."""
    made: list[dict[str, Any]] = [
        {"id": "api_input", "type": "api_input", "config": {"fields": fields or [{"name": "n", "type": "integer"}]}}
    ]
    edges = []
    for node_id, kind, inputs in nodes:
        edges.append({"id": f"e{len(edges)}", "source": made[-1]["id"], "target": node_id})
        made.append({"id": node_id, "type": kind, "inputs": dict(inputs)})
    return Document.model_validate({"format": 1, "nodes": made, "edges": edges})


ECHO = document_of(("echo", "set_fields", {"n": "{{ api_input.out.n }}"}))


class NoServices(JobServices):
    """The services of a worker without network access, models, secrets and evaluator processes. `http.settle` waits as a
    real request does.
    """

    def __init__(self, recorder: Any, world: World) -> None:
        none: Any = None
        outside = Outside(
            world.database, none, none, none, none, none, PlanLoader(TEST_CATALOG).called_plan, sandbox=none
        )
        super().__init__(outside, recorder.job.workspace_id, recorder)
        self.http: Any = self

    async def settle(self) -> None:
        await self._recorder.settled()

    async def ask_model(self, question: Any, **rest: Any) -> Any:
        raise AssertionError("no model here")

    async def secret(self, secret_id: str) -> Any:
        raise AssertionError("no secrets here")

    async def in_thread(self, work: Any, *args: Any) -> Any:
        return await asyncio.to_thread(work, *args)


@dataclass
class World:
    """A data folder with one workspace, used by one process."""

    data: Path
    database: Database
    workspace_id: str = ""
    boot_id: str = "boot_test"
    _open: list[asyncio.Task[None]] = field(default_factory=list)

    def write(self, work: Any, *args: Any, **kwargs: Any) -> Any:
        return self.database.write_now(work, *args, **kwargs)

    def read(self, work: Any, *args: Any, **kwargs: Any) -> Any:
        return self.database.read_now(work, *args, **kwargs)

    @property
    def caller(self) -> Caller:
        return Caller(self.workspace_id, None, "live")

    def add_flow(
        self,
        document: Document = ECHO,
        *,
        live: bool = True,
        settings: dict[str, Any] | None = None,
        workspace_id: str | None = None,
    ) -> str:
        """Adds a flow with version 1, deployed by default.

        It is inserted directly, as the catalog does not contain the test nodes.
        """
        return self.write(_add_flow, workspace_id or self.workspace_id, document, live, settings or {})

    def submit(self, flow_id: str, payload: dict[str, Any] | None = None, **options: Any) -> Accepted:
        return self.write(submit, self.caller, flow_id, payload or {}, SubmitOptions(**options))

    def job(self, job_id: str) -> JobRow:
        job = self.read(find_job, self.workspace_id, job_id)
        assert job is not None
        return job

    def result(self, job_id: str) -> Any:
        return self.read(read_value, job_id, "result")

    def active(self, subject: str | None = None) -> int:
        return self.read(lambda session: session.get(Usage, subject or self.workspace_id).active)

    def runs(self, boot_id: str | None = None) -> Runs:
        """Creates a worker's job runner on the event loop of the test."""
        step_writer = StepWriter(self.database)
        return Runs(
            self.database,
            boot_id or self.boot_id,
            lambda job, recorder: NoServices(recorder, self),
            PlanLoader(TEST_CATALOG),
            step_writer,
        )


def open_world(data: Path, *, clock: Clock | None = None, plan: str = "free") -> World:
    """Creates a data folder with one workspace."""
    database = open_database(data, clock=clock)
    world = World(data, database)
    world.workspace_id = world.write(add_workspace, plan)
    return world


def add_workspace(session: Session, plan: str = "free") -> str:
    workspace_id = new_id("ws")
    session.add(Workspace(id=workspace_id, name=workspace_id, plan=plan, created_at=now(session)))
    session.flush()
    session.add(Usage(subject=workspace_id, active=0, month=month_of(now(session)), month_count=0))
    return workspace_id


def _add_flow(session: Session, workspace_id: str, document: Document, live: bool, settings: dict[str, Any]) -> str:
    flow_id, at = new_id("flow"), now(session)
    session.add(
        Flow(
            id=flow_id,
            workspace_id=workspace_id,
            title="A flow",
            description="",
            draft=document.dumps(),
            draft_revision=1,
            draft_saved_at=at,
            newest_version=1,
            live_version=1 if live else None,
            deployed_at=at if live else None,
            ever_deployed=live,
            settings=settings,
            created_at=at,
            updated_at=at,
        )
    )
    session.flush()
    session.add(
        FlowVersion(
            flow_id=flow_id,
            number=1,
            document=document.dumps(),
            title="A flow",
            note="",
            created_at=at,
            created_by="test",
            first_deployed_at=at if live else None,
        )
    )
    return flow_id


def count_open(session: Session, workspace_id: str, environment: str = "live") -> int:
    """Counts the active jobs of an environment in the jobs table."""
    return (
        session.scalar(
            select(func.count())
            .select_from(Job)
            .where(
                Job.workspace_id == workspace_id,
                Job.environment == environment,
                Job.counted,
                Job.status.in_(OPEN),
            )
        )
        or 0
    )


__all__ = ["ECHO", "RunOptions", "World", "count_open", "document_of", "open_world"]
