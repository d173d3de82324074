"""Executes a plan: a unit runs when all units that it waits for have ended.

A node whose incoming edges are all skipped is skipped; API Output never is. The first failure outside a list ends the
run and cancels what still runs; nodes inside lists run in `engine.run.items`. Outputs that an earlier attempt of the
job stored are used, and their steps do not run again.

A step that waits for a person ends, and so does, for now, everything after it. All else goes on; then the run ends as
`waiting`, and the job is set aside until there is an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import cached_property

from engine.core.clock import Clock, SystemClock
from engine.flow.node_context import Json, SetAside
from engine.flow.ways import port_words
from engine.run.blocks import Block, Unit
from engine.run.calls import (
    CalledPlan,
    InnerRecorder,
    as_failure,
    kept_inside,
    kept_under,
    may_open,
    payload_for,
    takes_long,
)
from engine.run.items import Items
from engine.run.lists import Frame
from engine.run.plan import Plan, PlannedNode
from engine.run.state import RunOptions, RunState
from engine.run.step import StepRun
from engine.run.steps import Recorder, RunError, RunOutcome, Services, StepKey, Stop


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
    """Runs a plan to its end. Cancelling the task stops every step and reports it as cancelled.

    `payload` has its defaults applied. `system` holds `flow_id`, `flow_version` and `job_id`; the timestamp is added
    here. `kept`: the outputs of earlier attempts.
    """
    if options.until:
        plan = plan.until(options.until)
    run = Run(plan, payload, system, services, recorder, kept or {}, options, clock or SystemClock())
    stopped: RunError | None = None
    try:
        await run.go()
    except* Stop as stops:
        stopped = _first(stops).error
    if stopped is not None:
        return RunOutcome("failed", error=stopped)
    return RunOutcome("waiting") if run.frame.waits else RunOutcome("completed", result=run.result())


def _first(group: BaseExceptionGroup[Stop]) -> Stop:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Stop)
    return error


class Run(RunState):
    """One run: executes the blocks of the plan."""

    @cached_property
    def items(self) -> Items:
        """The lists of this run."""
        return Items(self)

    async def go(self) -> None:
        """Runs the whole flow."""
        await self.run_block(self.plan.block, self.frame)

    async def run_block(self, block: Block, frame: Frame) -> None:
        """Runs every unit of a block, for the flow itself or for one item."""
        if not block.chain:
            async with asyncio.TaskGroup() as group:
                _Walk(self, block, frame, group).start()
            return
        for unit in block.units:
            if unit.kind == "collect":
                self.items.collect(self.plan.nodes[unit.node_id], frame)
            else:
                await self.run_unit(unit, frame)

    async def run_unit(self, unit: Unit, frame: Frame) -> None:
        """Runs one unit."""
        planned = self.plan.nodes[unit.node_id]
        match unit.kind:
            case "node":
                if (step := self._step(planned, frame)) is not None:
                    await step.record(step.call, step.render() if step.renders_quickly else await step.render_apart())
                if planned.node.id == self.shown:
                    self.show(planned.node.id, frame)
            case "each":
                await self.items.each(unit, planned, frame)
            case "collect":
                self.items.collect(planned, frame)
            case "close":
                await self.items.close(planned, frame)

    # Nodes.

    def _step(self, planned: PlannedNode, frame: Frame) -> StepRun | None:
        """Returns the step of a node to run; None when its output is known, or when what comes before it failed or was
        skipped.
        """
        node_id = planned.node.id
        if planned.incoming:
            ran = False
            for edge in planned.incoming:
                came = frame.came_by(edge)
                if came is True:
                    ran = True
                elif came is not False:
                    frame.fail(node_id, came)
                    return None
            if not ran and planned.node.type != "api_output":
                self.skip(planned, frame, self._why_skipped(planned, frame))
                return None
        if frame.keeps and self.kept and not planned.runs_again and (key := StepKey(node_id, frame.index)) in self.kept:
            output = frame.outputs[node_id] = self.kept[key]
            if planned.type.kept_port is not None:
                frame.choose_port(node_id, planned.type.kept_port(output))
            return None
        if (gave_up := self.options.gave_up) and frame.keeps and (key := StepKey(node_id, frame.index)) in gave_up:
            error = gave_up[key]
            if error is None:
                frame.skip(node_id)
            else:
                self.failed(planned, frame, error)
            return None
        return StepRun(self, planned, frame)

    def _why_skipped(self, planned: PlannedNode, frame: Frame) -> str:
        """Returns which steps before a node ran and went another way, or that none of them ran."""
        went = {edge.source: frame.up(edge.up).ports.get(edge.source) for edge in planned.incoming}
        ways = [
            f"“{self.plan.nodes[one].node.name}” went to “{port_words(port)}”" for one, port in went.items() if port
        ]
        return f"Skipped: {' and '.join(ways)}." if ways else "Everything before it was skipped."

    # Called flows.

    async def call(
        self,
        called: CalledPlan,
        values: Mapping[str, Json],
        recorder: InnerRecorder,
        caller: StepKey,
        frame: Frame,
    ) -> Json:
        """Runs another flow inside a step of this frame. Raises NodeFailed."""
        system = self.frame.system
        around = self.options.around or ((str(system.get("flow_id", "")), ""),)
        may_open(called, around)
        outcome = await run_flow(
            called.plan,
            await self._payload_for(called, values),
            system={**system, "flow_id": called.flow_id, "flow_version": called.version},
            services=self.services,
            recorder=recorder,
            kept=self._kept_of(caller) if frame.keeps else None,
            options=RunOptions(
                self.idempotency_key(caller, frame),
                deadline=self.options.deadline,
                around=(*around, (called.flow_id, called.title)),
                inside=self.job_step(caller),
                gave_up=self._gave_up_of(caller) if frame.keeps else {},
            ),
            clock=self.clock,
        )
        if outcome.error is not None:
            raise as_failure(called, outcome.error)
        if outcome.status == "waiting":
            raise SetAside
        return outcome.result

    async def _payload_for(self, called: CalledPlan, values: Mapping[str, Json]) -> dict[str, Json]:
        if not takes_long(called, values):
            return payload_for(called, values)
        return await self.services.checks.run(lambda check: payload_for(called, values, check), kept=True)

    def _kept_of(self, caller: StepKey) -> Mapping[StepKey, Json] | None:
        return self._kept_inside.get(caller) if caller.node_id in self.plan.nodes else kept_under(self.kept, caller)

    def _gave_up_of(self, caller: StepKey) -> Mapping[StepKey, RunError | None]:
        gave_up = self.options.gave_up
        if not gave_up:
            return gave_up
        return (
            self._gave_up_inside.get(caller, {}) if caller.node_id in self.plan.nodes else kept_under(gave_up, caller)
        )

    @cached_property
    def _gave_up_inside(self) -> Mapping[StepKey, Mapping[StepKey, RunError | None]]:
        return kept_inside(self.options.gave_up, self.plan)

    @cached_property
    def _kept_inside(self) -> Mapping[StepKey, Mapping[StepKey, Json]]:
        return kept_inside(self.kept, self.plan)


class _Walk:
    """Runs a block once, with units that may run concurrently."""

    def __init__(self, run: Run, block: Block, frame: Frame, group: asyncio.TaskGroup) -> None:
        self.run = run
        self.units = block.units
        self.frame = frame
        self.group = group
        self.open = [unit.waits for unit in block.units]

    def start(self) -> None:
        """Starts every unit that waits for nothing."""
        for position, unit in enumerate(self.units):
            if not unit.waits:
                self.group.create_task(self._walk(position))

    async def _walk(self, position: int) -> None:
        """Runs a unit and then, in the same task, the first of the units that have become ready."""
        while True:
            unit = self.units[position]
            await self.run.run_unit(unit, self.frame)
            ready: list[int] = []
            for after in unit.after:
                self.open[after] -= 1
                if not self.open[after]:
                    ready.append(after)
            for other in ready[1:]:
                self.group.create_task(self._walk(other))
            if not ready:
                return
            position = ready[0]
