"""What a run in a worker may use: the outbound client, models with the owner's connections, secrets, datasets, threads.

Connections and secrets are read when they are used, so that a change applies from the next call. Before a call goes
out, every step that ended is stored: after a crash, at most the call in progress is repeated (L3).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy.orm import Session

from engine.core.error_codes import JobErrorCode
from engine.core.errors import Refusal, StorageUnavailable
from engine.core.shared_bytes import SharedBytes
from engine.core.trace_context import CURRENT_TRACE
from engine.flow.called_flows import DEEPEST_CALL
from engine.flow.job_checks import JobChecks
from engine.flow.json_values import is_small
from engine.flow.named_secrets import NamedSecrets
from engine.flow.node_context import Json, NodeFailed, PersonAnswer, PersonQuestion
from engine.flow.node_http import DrawnPage, SecretValue
from engine.flow.node_models import ModelQuestion, ModelTurn
from engine.jobs.worker.dataset_writes import WorkspaceDatasets
from engine.jobs.worker.job_files import ROOM, JobFiles
from engine.jobs.worker.knowledge import WorkspaceKnowledge
from engine.jobs.worker.person_questions import Questions
from engine.jobs.worker.step_writer import JobRecorder
from engine.jobs.worker.threads import Threads
from engine.knowledge.saved_embeddings import SavedEmbeddings
from engine.models.client import ModelAnswer, ModelRequest, Models
from engine.models.connections import ModelConnection, split_model
from engine.models.embeddings import Embedded, Embeddings, Purpose
from engine.models.tool_turns import Reply
from engine.outbound.client import Answer, OutboundClient
from engine.outbound.robots import SiteRules
from engine.run.calls import CalledPlan
from engine.run.steps import StepKey
from engine.run.turns import Turns
from engine.sandbox.pool import Sandbox
from engine.tool_servers.session import ServerAddress, ServerSession, opened
from storage.database import Database
from storage.job_changes import Claimed

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Outside:
    """What the runs of one worker process share. `open_secret` and `open_connection` are queries that also decrypt."""

    database: Database
    outbound: OutboundClient
    models: Models
    threads: Threads
    open_secret: Callable[[Session, str, str], SecretValue]
    open_connection: Callable[[Session, str, str], ModelConnection | None]
    #: Workspace id, flow id, version -> the plan that a Call Flow runs; a query.
    called_plan: Callable[[Session, str, str, int | None], CalledPlan]
    sandbox: Sandbox = field(default_factory=Sandbox)
    #: The memory for the files of steps.
    room: SharedBytes = field(default_factory=lambda: SharedBytes(*ROOM))
    #: Workspace id, name -> an MCP server with its key; a query that also decrypts.
    open_tool_server: Callable[[Session, str, str], ServerAddress | None] = lambda _session, _workspace, _name: None
    turns: Turns = field(default_factory=Turns)

    def services_for(self, job: Claimed, recorder: JobRecorder) -> JobServices:
        """Returns the services of one run."""
        return JobServices(self, job.workspace_id, recorder)

    def values_of(self, session: Session, workspace_id: str, named: NamedSecrets) -> set[str]:
        """Returns the values of secrets, also of those that called flows name; a query that also decrypts."""
        found: set[str] = set()
        seen: set[tuple[str, int | None]] = set()
        level = [named]
        for _ in range(DEEPEST_CALL + 1):
            flows: set[tuple[str, int | None]] = set()
            for one in level:
                flows |= one.flows
                found |= set(self._opened(session, workspace_id, one))
            level = [
                called.plan.named_secrets
                for flow_id, version in flows - seen
                if (called := _if_usable(self.called_plan, session, workspace_id, flow_id, version)) is not None
            ]
            seen |= flows
        return found

    def _opened(self, session: Session, workspace_id: str, named: NamedSecrets) -> Iterator[str]:
        for secret_id in named.secrets:
            if (secret := _if_usable(self.open_secret, session, workspace_id, secret_id)) is not None:
                yield secret.value
        for names, read in ((named.connections, self.open_connection), (named.servers, self.open_tool_server)):
            for name in names:
                found = _if_usable(read, session, workspace_id, name)
                if found is not None and found.key:
                    yield found.key

    @cached_property
    def embeddings(self) -> SavedEmbeddings:
        """The embedding models of all workspaces; made on first use."""
        embeddings = Embeddings(self.outbound, self.database.clock)
        return SavedEmbeddings(self.database, embeddings, self.open_connection)

    async def close(self) -> None:
        """Closes connections and evaluator processes; does not wait for threads."""
        await self.outbound.aclose()
        await self.sandbox.close()
        self.threads.shutdown()


class JobServices:
    """Implements `engine.run.steps.Services` for one attempt at a job.

    What few jobs use is made at its first use. `checks` refers back to this object, so a job that uses it is freed by the
    garbage collector only; all others are freed at their end.
    """

    def __init__(self, outside: Outside, workspace_id: str, recorder: JobRecorder) -> None:
        self._outside = outside
        self._workspace_id = workspace_id
        self._recorder = recorder
        self.http = _SettledClient(outside.outbound, recorder)
        self.turns = outside.turns
        self._checks: JobChecks | None = None

    @cached_property
    def datasets(self) -> WorkspaceDatasets:
        """The datasets of the workspace."""
        recorder = self._recorder
        return WorkspaceDatasets(self._outside.database, self._workspace_id, recorder.settled, recorder.job.id)

    @cached_property
    def files(self) -> JobFiles:
        """The files that the job reads and makes."""
        recorder = self._recorder
        return JobFiles(self._outside.database, recorder.job, recorder.lease, recorder.settled, self._outside.room)

    @property
    def checks(self) -> JobChecks:
        """The checks of this job's inner payloads, which share a budget."""
        if self._checks is None:
            self._checks = JobChecks(self.in_thread)
        return self._checks

    @cached_property
    def _questions(self) -> Questions:
        return Questions(self._outside.database, self._recorder)

    async def hide_secrets(self, named: NamedSecrets, payload: Mapping[str, Json]) -> None:
        """Hides the values of all secrets that a flow names, and the flows that it calls, in what is stored about the run;
        not those that stand in the payload.

        Done before the first step of every attempt: what is stored of a value, and with it the fingerprints of lists and
        questions, is the same whichever steps this attempt has run before. What cannot be opened is left to the step that
        uses it, which says so.
        """
        try:
            values = await self._outside.database.read(self._outside.values_of, self._workspace_id, named)
        except StorageUnavailable:
            return
        hide = self._recorder.redaction.add_unless_in
        if is_small(payload):
            hide(payload, values)
        else:
            await asyncio.to_thread(hide, payload, values)

    def knowledge(self, step: str, on_call: Callable[[Any], None], warn: Callable[[str], None]) -> WorkspaceKnowledge:
        """Returns the knowledge of the workspace for one step, which gets the calls of embedding models."""
        return WorkspaceKnowledge(
            self._outside.database, self._workspace_id, step, self._embed, on_call, warn, self._recorder.settled
        )

    async def _embed(
        self,
        workspace_id: str,
        model: str,
        texts: Sequence[str],
        purpose: Purpose,
        on_call: Callable[[Any], None] | None = None,
    ) -> Embedded:
        hide = self._recorder.redaction.add
        return await self._outside.embeddings.embed(workspace_id, model, texts, purpose, on_call, hide)

    async def ask_model(
        self,
        question: ModelQuestion,
        *,
        on_call: Callable[[Any], None] | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> ModelAnswer:
        """Asks the model that the question names. Raises NodeFailed."""
        connection = await self._connection(question.model)
        await self._recorder.settled()
        return await self._outside.models.ask(
            connection, ModelRequest.of(question, on_delta=on_text, on_call=on_call, checks=self.checks)
        )

    async def ask_turn(
        self,
        turn: ModelTurn,
        *,
        on_call: Callable[[Any], None] | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Reply:
        """Returns the next reply of a conversation with tools. Raises NodeFailed."""
        connection = await self._connection(turn.model)
        await self._recorder.settled()
        return await self._outside.models.turn(connection, turn, on_delta=on_text, on_call=on_call, checks=self.checks)

    async def settled(self) -> None:
        """Waits until everything that was reported is stored."""
        await self._recorder.settled()

    async def caught_up(self) -> None:
        """Waits while so much was reported and is not stored yet that it would fill the memory."""
        await self._recorder.caught_up()

    @asynccontextmanager
    async def tool_server(self, server: str) -> AsyncGenerator[ServerSession]:
        """Opens an MCP server of the workspace for one step. Raises NodeFailed."""
        read = self._outside.open_tool_server
        try:
            found = await self._outside.database.read(read, self._workspace_id, server)
        except Refusal as refusal:
            raise _unusable(refusal) from refusal
        if found is None:
            raise NodeFailed(
                f"No MCP server is called “{server}”.",
                why="It was removed after this flow was deployed.",
                remedy="The owner can add it under Settings, Tools, or you take the tool away from the agent.",
            )
        if found.key:
            self._recorder.redaction.add(found.key)
        async with opened(self._outside.outbound, found, self._recorder.settled) as session:
            yield session

    async def secret(self, secret_id: str) -> SecretValue:
        """Returns a decrypted secret, and hides its value in what is stored about the run. Raises NodeFailed."""
        read = self._outside.open_secret
        try:
            secret = await self._outside.database.read_briefly(read, self._workspace_id, secret_id)
        except Refusal as refusal:
            raise _unusable(refusal) from refusal
        self._recorder.redaction.add(secret.value)
        return secret

    async def called_flow(self, flow_id: str, version: int | None) -> CalledPlan:
        """Returns a version of another flow of the workspace, read at the time of the call. Raises NodeFailed."""
        read = self._outside.called_plan
        called = await self._outside.database.read(read, self._workspace_id, flow_id, version)
        await self.files.note_read("flow", flow_id, called.plan.file_ids)
        return called

    async def ask_person(self, key: StepKey, question: PersonQuestion) -> PersonAnswer | None:
        """Asks a person, once, and returns the answer; None while there is none. Raises NodeFailed."""
        await self._recorder.all_stored()  # the question names the row of its step
        return await self._questions.ask(key, question)

    async def in_thread(self, work: Callable[..., Json], *args: Any) -> Json:
        """Runs CPU-heavy work in a thread, so that it does not block the event loop."""
        return await self._outside.threads.run(self._recorder.job.id, work, *args)

    async def render_template(self, template: str, data: Mapping[str, Mapping[str, Json]]) -> str:
        """Renders in an evaluator process. Raises RenderFailed. The cancellation of the step kills the process."""
        return await self._outside.sandbox.render(template, data)

    async def read_apart(self, reader: str, arguments: Mapping[str, Json]) -> dict[str, Json]:
        """Reads a page in an evaluator process: returns `{"value"}`, or `{"wrong": name of an error, "message"}`.

        The cancellation of the step kills the process.
        """
        return await self._outside.sandbox.read(reader, arguments)

    async def read_file_apart(
        self, family: str, reader: str, arguments: Mapping[str, Json], content: bytes
    ) -> tuple[dict[str, Json], bytes]:
        """Reads a file in an evaluator process of its own (`Sandbox.read_file`).

        The cancellation of the step kills the process.
        """
        return await self._outside.sandbox.read_file(family, reader, arguments, content)

    async def _connection(self, model: str) -> ModelConnection | None:
        name, _ = split_model(model)
        if name is None:
            return None
        try:
            found = await self._outside.database.read(self._outside.open_connection, self._workspace_id, name)
        except Refusal as refusal:
            raise _unusable(refusal) from refusal
        if found is None:
            raise NodeFailed(
                f"No model connection is called “{name}”.",
                code=JobErrorCode.MODEL_KEY_MISSING,
                why="It was removed or renamed after this flow was deployed.",
                remedy="The owner can add it under Settings, Models and secrets, or you choose another model in the node.",
            )
        if found.key:
            self._recorder.redaction.add(found.key)
        return found


class _SettledClient:
    """The outbound client of a run. Before each request it waits until every step that ended is stored."""

    def __init__(self, outbound: OutboundClient, recorder: JobRecorder) -> None:
        self._client = outbound
        self._recorder = recorder

    async def request(self, method: str, url: str, **options: Any) -> Answer:
        """Sends a request with the trace headers of the step, unless the node sets its own."""
        await self._recorder.settled()
        own: Mapping[str, str] = options.pop("headers", None) or {}
        return await self._client.request(method, url, headers={**CURRENT_TRACE.get().headers(), **own}, **options)

    async def site_rules(self, url: str, **options: Any) -> SiteRules:
        return await self._client.site_rules(url, **options)

    async def draw(self, answer: Answer, **options: Any) -> DrawnPage:
        return await self._client.draw(answer, **options)

    def turn(self, url: str, **options: Any) -> AbstractAsyncContextManager[None]:
        return self._client.turn(url, **options)


def _if_usable(
    read: Callable[Concatenate[Session, P], T], session: Session, *args: P.args, **kwargs: P.kwargs
) -> T | None:
    """Returns what a query finds; None when it refuses."""
    try:
        return read(session, *args, **kwargs)
    except StorageUnavailable:
        raise
    except (Refusal, NodeFailed):
        return None


def _unusable(refusal: Refusal) -> NodeFailed:
    return NodeFailed(
        f"A secret this step needs cannot be used: {refusal.title.lower()}.",
        code=JobErrorCode.MODEL_KEY_MISSING,
        passing=isinstance(refusal, StorageUnavailable),
        why=refusal.detail,
        remedy=refusal.remedy or "The owner can mend it under Settings, Models and secrets.",
    )
