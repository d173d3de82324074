"""`flows run`: runs a flow file once in this process, without a server and without storing a job.

Model connections, secrets and datasets come from the data folder, which is opened only when the flow uses one of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.commands.local_files import LocalFiles, with_files
from api.commands.terminal import Terminal, UsedWrongly, read_flow_file
from engine.browser.browser import browser_of
from engine.core.error_codes import JobErrorCode
from engine.core.errors import FlowInvalid, PayloadInvalid, Refusal, wrong_fields
from engine.core.ids import new_id
from engine.flow.contract import input_fields
from engine.flow.document import Document
from engine.flow.flow_file import parse_flow_file
from engine.flow.job_checks import JobChecks
from engine.flow.node_context import Json, NodeFailed, PersonAnswer, PersonQuestion, ToolServer
from engine.flow.node_http import SecretValue
from engine.flow.node_models import ModelQuestion, ModelTurn
from engine.flow.payload_check import check_payload
from engine.flow.storable_values import MAX_DEPTH, deeper_than
from engine.jobs.outbound_rules import environment_rules
from engine.jobs.worker.plan_loader import PlanLoader
from engine.models.client import ModelRequest, Models, split_model
from engine.nodes import CATALOG
from engine.outbound.client import OutboundClient
from engine.run.plan import Plan, compile_plan
from engine.run.runner import run_flow
from engine.run.state import RunOptions
from engine.run.steps import RunOutcome, StepEnded, StepKey, StepPart, StepStarted
from engine.sandbox.pool import Sandbox

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from engine.jobs.worker.dataset_writes import WorkspaceDatasets
    from engine.jobs.worker.knowledge import WorkspaceKnowledge
    from engine.knowledge.saved_embeddings import SavedEmbeddings
    from engine.models.client import ModelAnswer, ModelConnection
    from engine.models.tool_turns import Reply
    from engine.run.calls import CalledPlan


def run_file(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Runs the file; prints the result to stdout and a line for each step to stderr.

    Returns 1 when the flow or the payload is invalid or the run fails, else 0.
    """
    try:
        file, found = parse_flow_file(read_flow_file(arguments.file), fallback_title=Path(arguments.file).stem)
        if file is None:
            return _refuse(terminal, FlowInvalid(found))
        plan = compile_plan(file.document, CATALOG)
        payload = _read_payload(file.document, arguments.input, arguments.file_fields or ())
        files = LocalFiles()
        outcome = asyncio.run(_run(plan, payload, files, terminal, approve=arguments.approve))
    except (FlowInvalid, PayloadInvalid) as refusal:
        return _refuse(terminal, refusal)
    if outcome.status == "completed":
        terminal.json(outcome.result)
        for path in files.write_named(json.dumps(outcome.result), Path.cwd()):
            terminal.note(f"Written: {path}")
        return 0
    error = outcome.error
    assert error is not None, "a run that failed says why"
    terminal.note(" ".join(part for part in (f"{error.message}", error.why, error.remedy) if part))
    if error.code == JobErrorCode.ADDRESS_NOT_ALLOWED:
        terminal.note_allowed_here()
    return 1


async def _run(
    plan: Plan, payload: dict[str, Json], files: LocalFiles, terminal: Terminal, *, approve: bool
) -> RunOutcome:
    outbound = OutboundClient(environment_rules(terminal.settings), renderer=browser_of)
    services = _Outside(outbound, files, terminal, approve=approve)
    try:
        return await run_flow(
            plan,
            payload,
            system={"flow_id": "local", "flow_version": 0, "job_id": "local"},
            services=services,
            recorder=_Notes(plan.document, terminal),
            # a new id for each run, so that dataset writes are not skipped as repetitions
            options=RunOptions(job_id=new_id("local")),
        )
    finally:
        await outbound.aclose()
        await services.close()


def _read_payload(document: Document, text: str, named_files: Sequence[str]) -> dict[str, Json]:
    try:
        value = json.loads(text)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise UsedWrongly(
            f"--input: {error}", remedy='Give a JSON object, like \'{"url": "https://example.com"}\'.'
        ) from None
    if not isinstance(value, dict):
        raise UsedWrongly(
            "--input is no JSON object", remedy='Give an object, like \'{"url": "https://example.com"}\'.'
        )
    if deeper_than(value, MAX_DEPTH):
        raise _too_deep()
    payload, errors = check_payload(input_fields(document), with_files(value, named_files))
    if errors:
        raise wrong_fields(errors)
    return payload


def _too_deep() -> UsedWrongly:
    return UsedWrongly(
        f"--input nests lists and objects more than {MAX_DEPTH} levels deep", remedy="Give a flatter object."
    )


def _refuse(terminal: Terminal, refusal: FlowInvalid | PayloadInvalid) -> int:
    terminal.note(f"{refusal.title}: {refusal.detail}.")
    for problem in refusal.problems if isinstance(refusal, FlowInvalid) else ():
        where = " ".join(part for part in (problem.node_id, problem.pointer) if part)
        terminal.note(f"  {problem.code}{f' at {where}' if where else ''}: {problem.message}")
    for error in refusal.errors:
        terminal.note(f"  {error.code} at {error.pointer}: {error.detail}")
    if refusal.error_count > len(refusal.errors):
        terminal.note(f"  The first {len(refusal.errors)} are listed.")
    return 1


class _Outside:
    """The services of a run: HTTP, models, and the secrets and datasets of the data folder."""

    def __init__(
        self, outbound: OutboundClient, files: LocalFiles, terminal: Terminal, *, approve: bool = False
    ) -> None:
        self.http = outbound
        self.files = files
        self._approve = approve
        self.checks = JobChecks(self.in_thread)
        self._terminal = terminal
        self._sandbox = Sandbox()
        self._models = Models(outbound, apart=self._sandbox.read_file)

    async def close(self) -> None:
        """Ends the processes that render templates and parse pages."""
        await self._sandbox.close()

    @cached_property
    def datasets(self) -> WorkspaceDatasets:
        """The datasets of the data folder, which is opened on first use."""
        from engine.jobs.worker.dataset_writes import WorkspaceDatasets

        return WorkspaceDatasets(self._terminal.database, self._terminal.workspace.id)

    def knowledge(self, step: str, on_call: Any, warn: Any) -> WorkspaceKnowledge:
        """The knowledge of the data folder."""
        from engine.jobs.worker.knowledge import WorkspaceKnowledge

        return WorkspaceKnowledge(
            self._terminal.database, self._terminal.workspace.id, step, self._embeddings.embed, on_call, warn
        )

    @cached_property
    def _embeddings(self) -> SavedEmbeddings:
        from engine.knowledge.saved_embeddings import SavedEmbeddings
        from engine.models.embeddings import Embeddings
        from engine.models.saved_connections import open_connection

        terminal = self._terminal

        def opened(session: Session, workspace_id: str, name: str) -> ModelConnection | None:
            return open_connection(session, terminal.vault, workspace_id, name)

        return SavedEmbeddings(terminal.database, Embeddings(self.http, terminal.database.clock), opened)

    async def render_template(self, template: str, data: Any) -> str:
        return await self._sandbox.render(template, data)

    async def read_apart(self, reader: str, arguments: Any) -> Any:
        return await self._sandbox.read(reader, arguments)

    async def read_file_apart(self, family: str, reader: str, arguments: Any, content: bytes) -> Any:
        return await self._sandbox.read_file(family, reader, arguments, content)

    async def ask_model(self, question: ModelQuestion, *, on_call: Any = None, on_text: Any = None) -> ModelAnswer:
        name, _ = split_model(question.model)
        connection = None if name is None else await asyncio.to_thread(self._connection, name)
        return await self._models.ask(connection, ModelRequest.of(question, on_delta=on_text, on_call=on_call))

    async def ask_turn(self, turn: ModelTurn, *, on_call: Any = None, on_text: Any = None) -> Reply:
        name, _ = split_model(turn.model)
        connection = None if name is None else await asyncio.to_thread(self._connection, name)
        return await self._models.turn(connection, turn, on_delta=on_text, on_call=on_call)

    @asynccontextmanager
    async def tool_server(self, server: str) -> AsyncIterator[ToolServer]:
        from engine.tool_servers.saved_servers import open_tool_server
        from engine.tool_servers.session import opened

        terminal = self._terminal
        found = await asyncio.to_thread(
            terminal.database.read_now, open_tool_server, terminal.vault, terminal.workspace.id, server
        )
        if found is None:
            raise NodeFailed(f"No MCP server is called “{server}” in {terminal.settings.data}.")
        async with opened(self.http, found) as session:
            yield session

    async def settled(self) -> None:
        """Nothing is stored about a run from the command line."""

    async def secret(self, secret_id: str) -> SecretValue:
        from engine.secrets.opening import open_for_step

        try:
            return self._terminal.database.read_now(
                open_for_step, self._terminal.vault, self._terminal.workspace.id, secret_id
            )
        except Refusal as refusal:
            raise NodeFailed(str(refusal)) from refusal

    async def called_flow(self, flow_id: str, version: int | None) -> CalledPlan:
        plan_loader, workspace_id = PlanLoader(CATALOG), self._terminal.workspace.id
        return await asyncio.to_thread(
            self._terminal.database.read_now, plan_loader.called_plan, workspace_id, flow_id, version
        )

    async def ask_person(self, key: StepKey, question: PersonQuestion) -> PersonAnswer:
        """Answers a question with yes when `--approve` was given; there is nobody else here to ask."""
        if not self._approve:
            raise NodeFailed(
                f"“{question.title[:200]}” needs the answer of a person.",
                why="`flows run` runs to the end at once, and does not wait for people.",
                remedy="Give `--approve` to answer every question with yes, or run the flow on a server.",
            )
        return PersonAnswer(approved=True, values=dict(question.values), by="--approve")

    async def in_thread(self, work: Any, *args: Any) -> Any:
        return await asyncio.to_thread(work, *args)

    def _connection(self, name: str) -> ModelConnection:
        from engine.models.saved_connections import open_connection

        found = self._terminal.database.read_now(
            open_connection, self._terminal.vault, self._terminal.workspace.id, name
        )
        if found is None:
            raise NodeFailed(
                f"No model connection is called “{name}” in {self._terminal.settings.data}.",
                code=JobErrorCode.MODEL_KEY_MISSING,
                remedy=f"Add it: `app.py models add {name} --provider ...`.",
            )
        return found


class _Notes:
    """Prints the progress of the steps to stderr."""

    def __init__(self, document: Document, terminal: Terminal) -> None:
        self._names = {node.id: node.name for node in document.nodes}
        self._terminal = terminal

    def started(self, step: StepStarted) -> None:
        pass

    def ended(self, step: StepEnded) -> None:
        item = f" [{step.key.index_path}]" if step.key.index else ""
        simulated = ", simulated model" if step.simulated else ""
        self._terminal.note(
            f"{self._names.get(step.key.node_id, step.key.node_id)}{item}: {step.status} in {step.duration_ms} ms{simulated}"
        )
        for warning in step.warnings:
            self._terminal.note(f"  {warning}")

    def called(self, key: StepKey, call: Any) -> None:
        pass

    def delta(self, key: StepKey, text: str) -> None:
        pass

    def part(self, key: StepKey, part: StepPart) -> None:
        value = part.value
        if part.ended and value.get("kind") == "call":
            self._terminal.note(f"  {value['tool']}: {value['state']}")

    def finished(self, key: StepKey, name: str) -> Json | None:
        return None

    def forget(self, nodes: Collection[str], index: tuple[int, ...]) -> None:
        pass

    def unfinished(self, key: StepKey, name: str) -> Json | None:
        return None

    def as_stored(self, text: str) -> str:
        return text
