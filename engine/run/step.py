"""One step: renders its inputs, runs its tries and reports the result. The step is also the node's NodeContext."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import jsonpointer
from pydantic import JsonValue, ValidationError

from engine.core.clock import Millis
from engine.core.error_codes import JobErrorCode
from engine.core.redaction import cut
from engine.flow.contract import input_fields, payload_schema
from engine.flow.data_size import MAX_DATA, data_size, require_moderate_texts, texts_are_short, too_much_data
from engine.flow.job_checks import JobChecks
from engine.flow.json_values import SMALL, is_small
from engine.flow.lists import not_a_list
from engine.flow.node_context import (
    FlowAnswer,
    FlowOffer,
    Json,
    NodeFailed,
    PersonAnswer,
    PersonQuestion,
    SetAside,
    Spent,
    ToolServer,
)
from engine.flow.node_http import SecretValue
from engine.flow.node_models import ModelQuestion, ModelTurn
from engine.flow.node_type import Routed
from engine.flow.references import Missing, Scope
from engine.flow.wrong_values import wrong_value
from engine.run.calls import CalledPlan, InnerRecorder
from engine.run.lists import Frame, ItemFailed, Opened, opened
from engine.run.named_sources import without_source
from engine.run.plan import PlannedNode
from engine.run.retry_policy import Tried, attempt
from engine.run.state import RunState
from engine.run.steps import INNER, RunError, StepEnded, StepKey, StepPart, StepStarted, StepStatus, Try

#: The largest number of different warnings that are kept for a step.
MAX_WARNINGS = 100


class StepRun:
    """One step of a run: the node `planned` in the frame `frame`."""

    __slots__ = (
        "begun",
        "calls",
        "frame",
        "inputs",
        "key",
        "lines",
        "planned",
        "run",
        "simulated",
        "size",
        "warnings",
    )

    def __init__(self, run: RunState, planned: PlannedNode, frame: Frame, warnings: tuple[str, ...] = ()) -> None:
        self.run = run
        self.planned = planned
        self.frame = frame
        self.key = StepKey(planned.node.id, frame.index)
        self.inputs: dict[str, Json] = {}
        self.begun: Millis = Millis(0)
        # Tuples instead of lists: most steps have none of these, and the empty tuple needs no allocation.
        self.warnings = warnings
        self.lines: tuple[str, ...] = ()
        self.calls: tuple[Any, ...] = ()
        self.simulated = False
        self.size = 0

    async def record(
        self,
        work: Callable[[], Coroutine[Any, Any, Json]],
        failure: NodeFailed | None = None,
        through: frozenset[str] = frozenset(),
    ) -> None:
        """Runs `work` under the node's policy and reports it.

        `failure`: fail without running. `through`: nodes that end with it.
        """
        run, planned = self.run, self.planned
        clock = run.clock
        self.begun = clock.now()
        size = 0 if is_small(self.inputs) else (await self._counted(self.inputs))[0]
        if size > MAX_DATA:
            failure = too_much_data()
        run.recorder.started(StepStarted(self.key, self.begun, self.inputs, size))
        if failure is not None:
            self._fail(Tried(None, failure, ()), through)
            return
        try:
            tried = await attempt(
                work, planned.limit, planned.node.policy.retries, clock, run.options.deadline, self.begun
            )
            output: Json = tried.value.value if isinstance(tried.value, Routed) else tried.value
            if not is_small(output):
                tried = await self._with_moderate(tried, output)
        except asyncio.CancelledError:
            self._end("cancelled", None)
            raise
        except SetAside:
            self.frame.wait(planned.node.id)
            self._end("waiting", None)
            return
        if tried.failure is not None:
            self._fail(tried, through)
        else:
            self._end("completed", self._put(tried.value), None, tried.tries, through)

    async def _with_moderate(self, tried: Tried, output: Json) -> Tried:
        """Returns the tries of a step with a large output, which has failed when that is more than a step may give."""
        size, sizes = await self._counted(output)
        if size > MAX_DATA:
            return Tried(None, too_much_data(), tried.tries)
        self.size = size
        self.frame.keep_sizes(sizes)
        return tried

    async def _counted(self, value: Json) -> tuple[int, dict[int, int]]:
        """Returns the size of a large value, and those of the large lists and objects in it by their identity."""
        return await self.in_thread(_counted, value, self.frame.known_sizes())

    def _end(
        self,
        status: StepStatus,
        output: Json,
        error: RunError | None = None,
        tries: tuple[Try, ...] = (),
        through: frozenset[str] = frozenset(),
    ) -> None:
        run, planned = self.run, self.planned
        ended_at = run.clock.now()
        run.recorder.ended(
            StepEnded(
                key=self.key,
                status=status,
                started_at=self.begun,
                ended_at=ended_at,
                duration_ms=_spent(tries) if tries else max(0, ended_at - self.begun),
                inputs=self.inputs,
                output=output,
                error=error,
                warnings=self.warnings,
                tries=tries,
                calls=self.calls,
                log=self.lines,
                simulated=self.simulated,
                items=output["total"] if planned.is_splitter and status == "completed" else None,
                splitter=planned.around[-1] if planned.around else "",
                through=through,
                is_repeatable=planned.type.is_repeatable and error is None,
                size=self.size if status == "completed" else 0,
            )
        )

    def _put(self, value: Json) -> Json:
        """Stores the value in the frame. Returns it as it is recorded."""
        node_id = self.planned.node.id
        if isinstance(value, Routed):
            self.frame.choose_port(node_id, value.port)
            value = value.value
        if self.planned.is_splitter:
            found = value if isinstance(value, Opened) else opened(value, self.run.recorder.as_stored)
            return self.run.open_list(self.planned, self.frame, found)
        self.frame.outputs[node_id] = value
        return value

    def _fail(self, tried: Tried, through: frozenset[str]) -> None:
        node, failure = self.planned.node, tried.failure
        assert failure is not None
        index = (*self.key.index, *failure.index) if isinstance(failure, ItemFailed) else self.key.index
        error = RunError(
            code=failure.code,
            message=failure.message,
            why=failure.why,
            remedy=failure.remedy,
            node_id=node.id,
            node_label=node.name,
            item_index=index[0] if len(index) == 1 else list(index) or None,
            attempts=max(1, len(tried.tries)),
            pointer=failure.pointer,
        )
        match node.policy.on_error:
            case "skip":
                self.warnings += (f"It failed and was skipped: {failure.message}",)
                self.frame.skip(node.id)
                self._end("skipped", None, error, tried.tries, through)
            case "use_default":
                self.warnings += (f"It failed, so its default value was used: {failure.message}",)
                default = self._default()
                self.size = 0 if is_small(node.policy.default) else data_size(node.policy.default)
                self._end("completed", self._put(default), error, tried.tries, through)
            case _:
                self._end("failed", None, error, tried.tries, through)
                self.run.failed(self.planned, self.frame, error)

    def _default(self) -> Json:
        default: JsonValue = self.planned.node.policy.default
        if self.planned.is_splitter:
            return default if isinstance(default, list) else []
        kind = self.planned.type
        if len(kind.ports) > 1:
            # A type whose kept output says which way was taken goes the same way when its default value is kept.
            return Routed(kind.ports[-1] if kind.kept_port is None else kind.kept_port(default), default)
        return default

    # Inputs.

    @property
    def renders_quickly(self) -> bool:
        """True when `render` takes no time that others would notice."""
        return texts_are_short(self.planned.in_texts, self.frame)

    async def render_apart(self) -> NodeFailed | None:
        """Does what `render` does in a thread. Returns a failure, too, when the texts would be too long."""
        try:
            return await self.in_thread(self._render_moderate)
        except NodeFailed as failure:
            return failure

    def _render_moderate(self) -> NodeFailed | None:
        require_moderate_texts(self.planned.in_texts, self.frame)
        return self.render()

    def render(self) -> NodeFailed | None:
        """Renders the input values. Returns a failure when a required input has no value."""
        planned, frame, values = self.planned, self.frame, self.inputs
        gone: dict[str, list[Missing]] = {}
        missing: list[Missing] = []
        for name, binding in planned.node.inputs.items():
            if (rendering := planned.renderings.get(name)) is not None:
                values[name] = rendering(frame, missing)
            elif name in planned.entries:
                values[name] = self._entries(name, missing)
            else:
                values[name] = binding
            if missing:
                self._warn_missing(name, missing)
                gone[name], missing = missing, []
        if planned.node.type == "api_output":
            for name, search, count in without_source(self.run.plan, planned, frame, values):
                found = f"{self._label(search)} found {count} piece{'s' * (count != 1)}"
                self.warn(
                    f"The answer names no source: `{name}` is empty, though {found}. Check it before you rely on it."
                )
        if planned.takes_source is not None:
            self._take_source(planned.takes_source, values)
        for name in planned.required_inputs:
            if values.get(name) is None and not (name in values and name in planned.type.takes_null):
                return self._no_value(name, gone.get(name, []))
        return None

    def _entries(self, name: str, missing: list[Missing]) -> list[Json]:
        """Returns the values of a list input, without those of skipped nodes and of rows that were not found."""
        values: list[Json] = []
        for rendering in self.planned.entries[name]:
            unknown: list[Missing] = []
            value = rendering(self.frame, unknown)
            if not any(self._has_no_data(one.reference.node_id) for one in unknown):
                values.append(value)
                missing += unknown
        return values

    def _has_no_data(self, node_id: str) -> bool:
        return self.frame.is_skipped(node_id) or self.frame.found_nothing(node_id)

    def _take_source(self, name: str, values: dict[str, Json]) -> None:
        ran = self.run.sources(self.planned, self.frame)
        if self.planned.type.all_sources:
            values[name] = ran
        elif ran:
            values[name] = ran[0]

    def _warn_missing(self, name: str, missing: list[Missing]) -> None:
        for gone in missing:
            target = gone.reference.node_id
            if self.frame.is_skipped(target):
                self.warn(f"`{name}` is null: {self._label(target)} was skipped.")
            elif self.frame.found_nothing(target):
                self.warn(f"`{name}` is null: {self._label(target)} found no row.")
            else:
                self.warn(f"`{name}`: `{gone.reference}` named nothing, so it is null.")

    def _no_value(self, name: str, missing: list[Missing]) -> NodeFailed:
        title = self.planned.type.inputs.model_fields[name].title or name
        pointer = f"/inputs/{jsonpointer.escape(name)}"
        if missing:
            reference = missing[0].reference
            if self.frame.found_nothing(reference.node_id):
                label = self._label(reference.node_id)
                return NodeFailed(
                    f"{title} has no value: {label} found no row.",
                    code=JobErrorCode.REFERENCE_MISSING,
                    why="Without a row that fits there is no data of it.",
                    remedy=f"Connect this step to “found” of {label}, and another step to “not found”.",
                    pointer=pointer,
                )
            return NodeFailed(
                f"{title} has no value: `{reference}` names nothing.",
                code=JobErrorCode.REFERENCE_MISSING,
                why=f"The output of {self._label(reference.node_id)} had no such part in this run.",
                remedy="Look at that step's output and choose data that is there.",
                pointer=pointer,
            )
        if self.planned.is_splitter and self.planned.node.inputs.get(name) is not None:
            return not_a_list(title, self.planned.node.inputs[name], None)
        return NodeFailed(
            f"{title} has no value.",
            code=JobErrorCode.INPUT_MISSING,
            why="The value chosen for it was empty in this run.",
            remedy="Choose data that is always there, or give the field a default value.",
            pointer=pointer,
        )

    def _label(self, node_id: str) -> str:
        planned = self.run.plan.nodes.get(node_id)
        return planned.node.name if planned else node_id

    def call(self) -> Coroutine[Any, Any, Json]:
        """Returns the coroutine of one try of the node. Raises NodeFailed when the inputs do not fit its type."""
        kind = self.planned.type
        try:
            config = self.planned.settings
            values = kind.inputs.model_validate(self.inputs)
        except ValidationError as error:
            first = error.errors()[0]
            pointer = "".join(f"/{jsonpointer.escape(str(part))}" for part in ("inputs", *first["loc"]))
            raise NodeFailed(
                f"{wrong_value(kind.inputs, first)}.",
                why="The data chosen for it was of another kind in this run.",
                remedy="Choose data that fits: this step's input shows what came, the step before what it has.",
                pointer=pointer,
            ) from error
        running = kind.run(config, values, self)
        return self._opened(running) if self.planned.is_splitter else running

    async def _opened(self, running: Coroutine[Any, Any, Json]) -> Json:
        items = await running
        return await self.in_thread(opened, items, self.run.recorder.as_stored)

    # The node's context (`engine.flow.node_context.NodeContext`).

    @property
    def http(self) -> Any:
        return self.run.services.http

    @property
    def datasets(self) -> Any:
        return self.run.services.datasets

    @property
    def files(self) -> Any:
        return self.run.services.files

    @property
    def knowledge(self) -> Any:
        return self.run.services.knowledge(self.idempotency_key, self._called, self.warn)

    @property
    def idempotency_key(self) -> str:
        return self.run.idempotency_key(self.key, self.frame)

    @property
    def timeout_seconds(self) -> float:
        return self.planned.limit

    @property
    def payload(self) -> Mapping[str, Json]:
        return self.run.payload

    @property
    def scope(self) -> Scope:
        return self.frame

    @property
    def bindings(self) -> Mapping[str, Json]:
        return self.planned.node.inputs

    @property
    def number_inputs(self) -> Collection[str]:
        return self.planned.numbers

    async def ask_model(self, question: ModelQuestion) -> Any:
        answer = await self.run.services.ask_model(question, on_call=self._called, on_text=self._said)
        self.simulated = self.simulated or answer.simulated
        return answer

    async def ask_turn(self, turn: ModelTurn) -> Any:
        reply = await self.run.services.ask_turn(turn, on_call=self._called, on_text=self._said)
        self.simulated = self.simulated or reply.simulated
        return reply

    def _called(self, call: Any) -> None:
        self.calls += (call,)
        self.run.recorder.called(self.key, call)

    def _said(self, text: str) -> None:
        self.run.recorder.delta(self.key, text)

    def tool_server(self, server: str) -> AbstractAsyncContextManager[ToolServer]:
        return self.run.services.tool_server(server)

    async def look_at_flow(self, flow_id: str, version: int | None) -> FlowOffer:
        called = await self.run.services.called_flow(flow_id, version)
        document = called.plan.document
        return FlowOffer(called.title, called.description, payload_schema(input_fields(document), as_sent=True))

    async def run_tool_flow(
        self, flow_id: str, version: int | None, values: Mapping[str, Json], *, tool: str, number: int, spent: Spent
    ) -> FlowAnswer:
        called = await self.run.services.called_flow(flow_id, version)
        caller = StepKey(f"{self.key.node_id}{INNER}{tool}", (*self.key.index, number))
        inner = InnerRecorder(self.run.recorder, caller)
        try:
            return FlowAnswer(await self._call(called, values, inner, caller))
        except NodeFailed as failure:
            return FlowAnswer(None, failure)
        finally:
            for call in inner.calls:
                spent.add(call.cost_nanos, call.input_tokens, call.output_tokens)

    def finished(self, key: str) -> Json | None:
        return self.run.recorder.finished(self.key, key)

    def unfinished(self, key: str) -> Json | None:
        return self.run.recorder.unfinished(self.key, key) if self.frame.keeps else None

    async def begin(self, key: str, value: Json) -> None:
        self.run.recorder.part(self.key, StepPart(key, value, self.run.clock.now(), ended=False))

    async def finish(self, key: str, value: Json) -> None:
        self.run.recorder.part(self.key, StepPart(key, value, self.run.clock.now(), ended=True))
        await self.run.services.settled()

    @property
    def checks(self) -> JobChecks:
        return self.run.services.checks

    async def in_thread(self, work: Callable[..., Any], *args: Any) -> Any:
        return await self.run.services.in_thread(work, *args)

    async def render_template(self, template: str, data: Mapping[str, Mapping[str, Json]]) -> str:
        return await self.run.services.render_template(template, data)

    async def read_apart(self, reader: str, arguments: Mapping[str, Json]) -> dict[str, Json]:
        return await self.run.services.read_apart(reader, arguments)

    async def read_file_apart(
        self, family: str, reader: str, arguments: Mapping[str, Json], content: bytes
    ) -> tuple[dict[str, Json], bytes]:
        return await self.run.services.read_file_apart(family, reader, arguments, content)

    async def call_flow(self, flow_id: str, version: int | None, values: Mapping[str, Json]) -> Json:
        called = await self.run.services.called_flow(flow_id, version)
        self.log(f"“{called.title}”, version {called.version}")
        return await self._call(called, values, InnerRecorder(self.run.recorder, self.key), self.key)

    async def _call(
        self, called: CalledPlan, values: Mapping[str, Json], inner: InnerRecorder, caller: StepKey
    ) -> Json:
        """Runs a called flow. Its model calls count with this step, also when it fails."""
        try:
            return await self.run.call(called, values, inner, caller, self.frame)
        finally:
            self.calls += tuple(inner.calls)
            self.simulated = self.simulated or inner.simulated

    async def ask_person(self, question: PersonQuestion) -> PersonAnswer:
        answer: PersonAnswer | None = await self.run.services.ask_person(self.run.job_step(self.key), question)
        if answer is None:
            raise SetAside
        if answer.expired and question.on_expiry == "fail":
            raise NodeFailed(
                f"Nobody answered “{cut(question.title, 200)}” in time.",
                code=JobErrorCode.TIMEOUT,
                why="The question was open for as long as this step allows, and fails when nobody answers.",
                remedy="Give people more time, or choose what happens when nobody answers.",
            )
        return answer

    async def secret(self, secret_id: str) -> SecretValue:
        return await self.run.services.secret(secret_id)

    def warn(self, message: str) -> None:
        if len(self.warnings) < MAX_WARNINGS and message not in self.warnings:
            self.warnings += (message,)

    def log(self, message: str) -> None:
        self.lines += (message,)


def _counted(value: Json, known: dict[int, int]) -> tuple[int, dict[int, int]]:
    size = data_size(value, MAX_DATA, known)
    return size, {place: one for place, one in known.items() if one > SMALL}


def _spent(tries: tuple[Try, ...]) -> Millis:
    """Returns the time that the tries and the pauses between them took."""
    return Millis(sum(one.waited_ms + one.duration_ms for one in tries))
