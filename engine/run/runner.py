"""Walks a plan: a node runs when all its edges are settled; a finished node goes on with its first ready successor.

A node whose incoming edges are all skipped is skipped; API Output never is. The first failure ends the run and stops what
is still running. Outputs that an earlier attempt of the job kept are taken as they are and not run again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from engine.clock import Clock, SystemClock, to_rfc3339
from engine.flow.node_type import Json, ModelQuestion, NodeFailed
from engine.flow.references import Missing, Scope, render
from engine.run.plan import Plan, PlannedNode
from engine.run.policy import Tried, attempt
from engine.run.steps import Recorder, RunError, RunOutcome, Services, StepEnded, StepKey, StepStarted, StepStatus


@dataclass(frozen=True)
class RunOptions:
    """`until`: run only this node and what it needs. `job_id` makes the idempotency keys."""

    job_id: str = ""
    until: str | None = None


class _Stop(Exception):  # noqa: N818 - ends the run, never shown
    def __init__(self, error: RunError) -> None:
        self.error = error


async def run_flow(
    plan: Plan,
    payload: Mapping[str, Json],
    *,
    system: Mapping[str, Json],
    services: Services,
    recorder: Recorder,
    kept: Mapping[StepKey, Json] | None = None,
    options: RunOptions = RunOptions(),
    clock: Clock | None = None,
) -> RunOutcome:
    """Runs a plan to its end. Cancelling the task stops every step and records it as cancelled.

    `payload` has its defaults applied. `system` gives `flow_id`, `flow_version`, `job_id`; the timestamp is made here.
    """
    run = _Run(plan, payload, system, services, recorder, kept or {}, options, clock or SystemClock())
    stopped: RunError | None = None
    try:
        async with asyncio.TaskGroup() as group:
            run.start(group)
    except* _Stop as stops:
        stopped = _first(stops).error
    return RunOutcome("failed", error=stopped) if stopped else RunOutcome("completed", result=run.result())


def _first(group: BaseExceptionGroup[_Stop]) -> _Stop:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, _Stop)
    return error


class _Run:
    """One run's state."""

    def __init__(
        self,
        plan: Plan,
        payload: Mapping[str, Json],
        system: Mapping[str, Json],
        services: Services,
        recorder: Recorder,
        kept: Mapping[StepKey, Json],
        options: RunOptions,
        clock: Clock,
    ) -> None:
        self.plan = plan
        self.payload = payload
        self.services = services
        self.recorder = recorder
        self.kept = kept
        self.options = options
        self.clock = clock
        self.system = {**system, "timestamp": to_rfc3339(clock.now())}
        self.wanted = plan.until(options.until) if options.until else frozenset(plan.nodes)
        self.outputs: dict[str, Json] = {}
        self.skipped: set[str] = set()
        self.taken: dict[str, int] = dict.fromkeys(self.wanted, 0)
        self.open: dict[str, int] = {
            node_id: len({edge.source for edge in plan.nodes[node_id].incoming}) for node_id in self.wanted
        }

    def start(self, group: asyncio.TaskGroup) -> None:
        """Starts every node that waits for nothing."""
        self.group = group
        for node_id in self.plan.order:
            if node_id in self.wanted and not self.open[node_id]:
                group.create_task(self._walk(node_id))

    def result(self) -> Json:
        """The job's result: the API Output's object, or `{"output": ...}` of the final node."""
        if self.options.until:
            return {"output": self.outputs.get(self.options.until)}
        if self.plan.output:
            return self.outputs.get(self.plan.output)
        return {"output": self.outputs.get(self.plan.final) if self.plan.final else None}

    async def _walk(self, node_id: str | None) -> None:
        """Runs a node and then, in the same task, the first successor that became ready."""
        while node_id is not None:
            planned = self.plan.nodes[node_id]
            runs = await self._run_node(planned)
            ready = [child for child in self._settle(planned, runs) if child in self.wanted]
            for child in ready[1:]:
                self.group.create_task(self._walk(child))
            node_id = ready[0] if ready else None

    async def _run_node(self, planned: PlannedNode) -> bool:
        """False when the node was skipped."""
        key = StepKey(planned.node.id)
        if planned.incoming and not self.taken[planned.node.id] and planned.node.type != "api_output":
            self._skip(planned, "Everything before it was skipped.")
            return False
        if key in self.kept:
            self.outputs[planned.node.id] = self.kept[key]
            return True
        return await _StepRun(self, planned, key).go()

    def _skip(self, planned: PlannedNode, why: str) -> None:
        self.skipped.add(planned.node.id)
        at = self.clock.now()
        self.recorder.ended(StepEnded(StepKey(planned.node.id), "skipped", at, at, 0, {}, warnings=(why,)))

    def _settle(self, planned: PlannedNode, runs: bool) -> list[str]:  # noqa: FBT001 - private
        ready = []
        for child in dict.fromkeys(edge.target for edge in planned.outgoing):
            if child not in self.wanted:
                continue
            self.open[child] -= 1
            self.taken[child] += int(runs)
            if not self.open[child]:
                ready.append(child)
        return ready


@dataclass
class _StepRun:
    """One step from rendering its inputs to its record; also the node's context."""

    run: _Run
    planned: PlannedNode
    key: StepKey
    warnings: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    calls: list[Any] = field(default_factory=list)
    simulated: bool = False

    async def go(self) -> bool:
        """Runs the step. False when its policy skipped it; raises _Stop when the run ends here."""
        node = self.planned.node
        started_at, begun = self.run.clock.now(), time.monotonic()
        inputs, failure = self._render()
        self.run.recorder.started(StepStarted(self.key, started_at, inputs))

        def end(
            status: StepStatus, output: Json = None, error: RunError | None = None, tried: Tried | None = None
        ) -> None:
            self.run.recorder.ended(
                StepEnded(
                    key=self.key,
                    status=status,
                    started_at=started_at,
                    ended_at=self.run.clock.now(),
                    duration_ms=round((time.monotonic() - begun) * 1000),
                    inputs=inputs,
                    output=output,
                    error=error,
                    warnings=tuple(self.warnings),
                    tries=tried.tries if tried else (),
                    calls=tuple(self.calls),
                    log=tuple(self.lines),
                    simulated=self.simulated,
                )
            )

        try:
            tried = Tried(None, failure, ()) if failure else await self._attempt(inputs)
        except asyncio.CancelledError:
            end("cancelled")
            raise
        if tried.failure is None:
            self.run.outputs[node.id] = tried.value
            end("completed", tried.value, tried=tried)
            return True
        return self._fail(tried, end)

    def _fail(self, tried: Tried, end: Callable[..., None]) -> bool:
        node, failure = self.planned.node, tried.failure
        assert failure is not None
        error = RunError(
            code=failure.code,
            message=failure.message,
            why=failure.why,
            remedy=failure.remedy,
            node_id=node.id,
            node_label=node.name,
            item_index=list(self.key.index) or None,
            attempts=max(1, len(tried.tries)),
        )
        match node.policy.on_error:
            case "skip":
                self.warnings.append(f"It failed and was skipped: {failure.message}")
                self.run.skipped.add(node.id)
                end("skipped", error=error, tried=tried)
                return False
            case "use_default":
                self.warnings.append(f"It failed, so its default value was used: {failure.message}")
                self.run.outputs[node.id] = node.policy.default
                end("completed", node.policy.default, error, tried)
                return True
            case _:
                end("failed", error=error, tried=tried)
                raise _Stop(error)

    def _render(self) -> tuple[dict[str, Json], NodeFailed | None]:
        """The input values, and the failure when a required one names nothing."""
        kind, scope = self.planned.type, self.scope
        values: dict[str, Json] = {}
        failure: NodeFailed | None = None
        for name, binding in self.planned.node.inputs.items():
            missing: list[Missing] = []
            values[name] = binding if name in kind.source_inputs else render(binding, scope, missing)
            for gone in missing:
                self._warn_missing(name, gone)
            if values[name] is None and name in kind.required_inputs and failure is None:
                failure = self._no_value(name, missing)
        for name in kind.required_inputs:
            if name not in values and failure is None:
                failure = self._no_value(name, [])
        return values, failure

    def _warn_missing(self, name: str, gone: Missing) -> None:
        target = gone.reference.node_id
        if target in self.run.skipped:
            self.warnings.append(f"`{name}` is null: {self._label(target)} was skipped.")
        else:
            self.warnings.append(f"`{name}`: `{gone.reference}` named nothing, so it is null.")

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
        return NodeFailed(
            f"{title} has no value.",
            code="input_missing",
            why="The value bound to it was empty in this run.",
            remedy="Bind it to data that is always there, or give the field a default.",
        )

    def _label(self, node_id: str) -> str:
        planned = self.run.plan.nodes.get(node_id)
        return planned.node.name if planned else node_id

    async def _attempt(self, inputs: dict[str, Json]) -> Tried:
        node, kind = self.planned.node, self.planned.type
        try:
            config = kind.config.model_validate(node.config)
            values = kind.inputs.model_validate(inputs)
        except ValidationError as error:
            first = error.errors()[0]
            where = first["loc"][-1] if first["loc"] else "input"
            return Tried(None, NodeFailed(f"`{where}`: {first['msg']}.", code="input_missing"), ())
        return await attempt(
            lambda: kind.run(config, values, self),
            timeout_seconds=self.planned.timeout_seconds,
            retries=node.policy.retries,
            clock=self.run.clock,
        )

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
        return Scope(self.run.outputs, self.run.system, frozenset(self.run.skipped))

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

    def secret(self, secret_id: str) -> str:
        return self.run.services.secret(secret_id)

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def log(self, message: str) -> None:
        self.lines.append(message)
