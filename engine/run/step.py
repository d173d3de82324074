"""One step: from rendering its inputs, over its tries, to its record. The step is also the node's context."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from engine.flow.lists import not_a_list
from engine.flow.node_type import Json, ModelQuestion, NodeFailed, Routed
from engine.flow.references import Missing, Scope
from engine.run.lists import Frame, ItemFailed, Opened, fingerprint
from engine.run.plan import PlannedNode
from engine.run.policy import Tried, attempt
from engine.run.steps import RunError, StepEnded, StepKey, StepStarted, StepStatus

if TYPE_CHECKING:
    from engine.run.runner import Run

#: So many different warnings are kept with a step.
MOST_WARNINGS = 100


class StepRun:
    """One step of a run. `planned` runs in `frame`."""

    __slots__ = ("calls", "frame", "key", "lines", "planned", "run", "simulated", "warnings")

    def __init__(self, run: Run, planned: PlannedNode, frame: Frame, warnings: list[str] | None = None) -> None:
        self.run = run
        self.planned = planned
        self.frame = frame
        self.key = StepKey(planned.node.id, frame.index)
        self.warnings = warnings or []
        self.lines: list[str] = []
        self.calls: list[Any] = []
        self.simulated = False

    async def go(self) -> None:
        """Runs the node and puts what came out into the frame."""
        inputs, failure = self.render()
        await self.record(inputs, lambda: self._call(inputs), failure)

    async def record(
        self,
        inputs: dict[str, Json],
        work: Callable[[], Awaitable[Json]],
        failure: NodeFailed | None = None,
        through: frozenset[str] = frozenset(),
    ) -> None:
        """Does the work under the node's policy and tells the recorder; `through`: nodes that are over with this step."""
        run, node = self.run, self.planned.node
        started_at, begun = run.clock.now(), time.monotonic()
        run.recorder.started(StepStarted(self.key, started_at, inputs))

        def end(
            status: StepStatus, output: Json = None, error: RunError | None = None, tried: Tried | None = None
        ) -> None:
            splits = self.planned.is_splitter and status == "completed"
            run.recorder.ended(
                StepEnded(
                    key=self.key,
                    status=status,
                    started_at=started_at,
                    ended_at=run.clock.now(),
                    duration_ms=round((time.monotonic() - begun) * 1000),
                    inputs=inputs,
                    output=output,
                    error=error,
                    warnings=tuple(self.warnings),
                    tries=tried.tries if tried else (),
                    calls=tuple(self.calls),
                    log=tuple(self.lines),
                    simulated=self.simulated,
                    items=output["total"] if splits else None,
                    splitter=self.planned.around[-1] if self.planned.around else "",
                    through=through,
                )
            )

        try:
            if failure is None:
                tried = await attempt(
                    work,
                    timeout_seconds=self.planned.timeout_seconds,
                    retries=node.policy.retries,
                    clock=run.clock,
                    deadline=run.options.deadline,
                )
            else:
                tried = Tried(None, failure, ())
        except asyncio.CancelledError:
            end("cancelled")
            raise
        if tried.failure is not None:
            self._fail(tried, end)
        else:
            end("completed", self._put(tried.value), tried=tried)

    def _put(self, value: Json) -> Json:
        """Keeps what came out in the frame; returns it as it is recorded."""
        node_id = self.planned.node.id
        if isinstance(value, Routed):
            self.frame.ports[node_id] = value.port
            value = value.value
        if self.planned.is_splitter:
            opened = value if isinstance(value, Opened) else Opened(value, fingerprint(value))
            return self.run.open_list(self.planned, self.frame, opened)
        self.frame.outputs[node_id] = value
        return value

    def _fail(self, tried: Tried, end: Callable[..., None]) -> None:
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
        )
        match node.policy.on_error:
            case "skip":
                self.warnings.append(f"It failed and was skipped: {failure.message}")
                self.frame.skipped.add(node.id)
                end("skipped", error=error, tried=tried)
            case "use_default":
                self.warnings.append(f"It failed, so its default value was used: {failure.message}")
                self._use_default(error, tried, end)
            case _:
                end("failed", error=error, tried=tried)
                self.run.failed(self.planned, self.frame, error)

    def _use_default(self, error: RunError, tried: Tried, end: Callable[..., None]) -> None:
        default = self.planned.node.policy.default
        if self.planned.is_splitter:
            default = default if isinstance(default, list) else []
        elif len(self.planned.type.ports) > 1:
            self.frame.ports[self.planned.node.id] = self.planned.type.ports[-1]
        end("completed", self._put(default), error, tried)

    # Inputs.

    def render(self) -> tuple[dict[str, Json], NodeFailed | None]:
        """The input values, and the failure when a required one names nothing."""
        planned, scope = self.planned, self.frame.scope
        values: dict[str, Json] = {}
        failure: NodeFailed | None = None
        gone: dict[str, list[Missing]] = {}
        for name, binding in planned.node.inputs.items():
            missing: list[Missing] = []
            if (rendering := planned.renderings.get(name)) is not None:
                values[name] = rendering(scope, missing)
            elif name in planned.entries:
                values[name] = self._entries(name, missing)
            else:
                values[name] = binding
            if missing:
                gone[name] = missing
                self._warn_missing(name, missing)
        if (source := planned.type.source_input) is not None and planned.node.inputs.get(source) is None:
            self._take_source(source, values)
        for name in planned.required_inputs:
            if values.get(name) is None:
                failure = self._no_value(name, gone.get(name, []))
                break
        return values, failure

    def _entries(self, name: str, missing: list[Missing]) -> list[Json]:
        """The values whose nodes ran."""
        values = []
        for rendering in self.planned.entries[name]:
            unknown: list[Missing] = []
            value = rendering(self.frame.scope, unknown)
            if not any(self.frame.scope.is_skipped(one.reference.node_id) for one in unknown):
                values.append(value)
                missing += unknown
        return values

    def _take_source(self, name: str, values: dict[str, Json]) -> None:
        ran = self.run.sources(self.planned, self.frame)
        if self.planned.type.all_sources:
            values[name] = ran
        elif ran:
            values[name] = ran[0]

    def _warn_missing(self, name: str, missing: list[Missing]) -> None:
        for gone in missing:
            target = gone.reference.node_id
            if self.frame.scope.is_skipped(target):
                self.warn(f"`{name}` is null: {self._label(target)} was skipped.")
            else:
                self.warn(f"`{name}`: `{gone.reference}` named nothing, so it is null.")

    def _no_value(self, name: str, missing: list[Missing]) -> NodeFailed:
        title = self.planned.type.inputs.model_fields[name].title or name
        if missing:
            reference = missing[0].reference
            return NodeFailed(
                f"{title} has no value: `{reference}` names nothing.",
                code="reference_missing",
                why=f"The output of {self._label(reference.node_id)} had no such part in this run.",
                remedy="Look at that step's output and choose data that is there.",
            )
        if self.planned.is_splitter and self.planned.node.inputs.get(name) is not None:
            return not_a_list(title, self.planned.node.inputs[name], None)
        return NodeFailed(
            f"{title} has no value.",
            code="input_missing",
            why="The value bound to it was empty in this run.",
            remedy="Bind it to data that is always there, or give the field a default.",
        )

    def _label(self, node_id: str) -> str:
        planned = self.run.plan.nodes.get(node_id)
        return planned.node.name if planned else node_id

    async def _call(self, inputs: dict[str, Json]) -> Json:
        kind = self.planned.type
        try:
            config = self.planned.settings
            values = kind.inputs.model_validate(inputs)
        except ValidationError as error:
            first = error.errors()[0]
            where = first["loc"][-1] if first["loc"] else "input"
            raise NodeFailed(f"`{where}`: {first['msg']}.", code="input_missing") from error
        value = await kind.run(config, values, self)
        if self.planned.is_splitter:
            return Opened(value, await self.in_thread(fingerprint, value))
        return value

    # The node's context (engine.flow.node_type.NodeContext).

    @property
    def http(self) -> Any:
        return self.run.services.http

    @property
    def idempotency_key(self) -> str:
        return f"{self.run.options.job_id}:{self.key.node_id}:{self.key.index_path}"

    @property
    def timeout_seconds(self) -> float:
        return self.planned.timeout_seconds

    @property
    def payload(self) -> Mapping[str, Json]:
        return self.run.payload

    @property
    def scope(self) -> Scope:
        return self.frame.scope

    @property
    def bindings(self) -> Mapping[str, Json]:
        return self.planned.node.inputs

    async def ask_model(self, question: ModelQuestion) -> Any:
        def called(call: Any) -> None:
            self.calls.append(call)
            self.run.recorder.called(self.key, call)

        answer = await self.run.services.ask_model(
            question, on_call=called, on_text=lambda text: self.run.recorder.delta(self.key, text)
        )
        self.simulated = self.simulated or answer.simulated
        return answer

    async def in_thread(self, work: Callable[..., Any], *args: Any) -> Any:
        return await self.run.services.in_thread(work, *args)

    async def render_template(self, template: str, data: Mapping[str, Mapping[str, Json]]) -> str:
        return await self.run.services.render_template(template, data)

    def secret(self, secret_id: str) -> str:
        return self.run.services.secret(secret_id)

    def warn(self, message: str) -> None:
        if len(self.warnings) < MOST_WARNINGS and message not in self.warnings:
            self.warnings.append(message)

    def log(self, message: str) -> None:
        self.lines.append(message)
