"""Walks a plan: a unit runs when all it waits for is over; a finished one goes on with its first ready successor.

A node whose incoming edges are all skipped is skipped; API Output never is. The first failure outside a list ends the run and
stops what is still running; inside a list it ends what comes after it for that item, and a Flatten is told. Items are handed
out by one iterator to as many workers as may run at once. Outputs that an earlier attempt of the job kept are taken as they
are and not run again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from engine.clock import Clock, SystemClock, to_rfc3339
from engine.flow.node_type import Json
from engine.flow.references import Missing, Scope
from engine.run.blocks import Block, Unit
from engine.run.calls import CalledPlan, InnerRecorder, OpenCalls, as_failure, kept_inside, may_open, payload_for
from engine.run.lists import Collector, Frame, Index, Opened
from engine.run.plan import Incoming, Plan, PlannedNode
from engine.run.step import StepRun
from engine.run.steps import Recorder, RunError, RunOutcome, Services, StepEnded, StepKey

#: Items that never wait give the event loop a turn after so many seconds.
BREATH_SECONDS = 0.01


@dataclass(frozen=True)
class RunOptions:
    """`until`: run only this node and what it needs. `job_id` makes the idempotency keys. `deadline`: monotonic seconds.

    `around`: the flows that this one is called by, outermost first.
    """

    job_id: str = ""
    until: str | None = None
    deadline: float | None = None
    around: OpenCalls = ()


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
    if options.until:
        plan = plan.until(options.until)
    run = Run(plan, payload, system, services, recorder, kept or {}, options, clock or SystemClock())
    stopped: RunError | None = None
    try:
        await run.go()
    except* _Stop as stops:
        stopped = _first(stops).error
    return RunOutcome("failed", error=stopped) if stopped else RunOutcome("completed", result=run.result())


def _first(group: BaseExceptionGroup[_Stop]) -> _Stop:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, _Stop)
    return error


class Run:
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
        outputs: dict[str, Json] = {}
        skipped: set[str] = set()
        scope = Scope(outputs, {**system, "timestamp": to_rfc3339(clock.now())}, skipped)
        self.frame = Frame(scope, outputs, skipped)
        #: The node whose output is the result when there is no API Output.
        self.shown = options.until or plan.final
        #: Its outputs when it stands in a list, which only a trial run may.
        self.shown_items: dict[Index, Json] | None = {} if self.shown and plan.nodes[self.shown].gives else None
        self._breathed = time.monotonic()

    async def go(self) -> None:
        """Runs everything."""
        await self._run_block(self.plan.block, self.frame)

    def result(self) -> Json:
        """The job's result: the API Output's object, or `{"output": ...}` of the final node."""
        if self.plan.output and not self.options.until:
            return self.frame.outputs.get(self.plan.output)
        if self.shown_items is not None:
            return {"output": [self.shown_items[index] for index in sorted(self.shown_items)]}
        return {"output": self.frame.outputs.get(self.shown) if self.shown else None}

    async def _run_block(self, block: Block, frame: Frame) -> None:
        if block.chain:
            nodes = self.plan.nodes
            for unit in block.units:
                if unit.kind == "node":
                    await self._run_node(nodes[unit.node_id], frame)
                elif unit.kind == "collect":
                    self._collect(nodes[unit.node_id], frame)
                else:
                    await self._run_unit(unit, frame)
            return
        async with asyncio.TaskGroup() as group:
            _Walk(self, block, frame, group).start()

    async def _run_unit(self, unit: Unit, frame: Frame) -> None:
        planned = self.plan.nodes[unit.node_id]
        match unit.kind:
            case "node":
                await self._run_node(planned, frame)
            case "each":
                await self._run_each(unit, planned, frame)
            case "collect":
                self._collect(planned, frame)
            case "close":
                await self._close(planned, frame)

    # Nodes.

    async def _run_node(self, planned: PlannedNode, frame: Frame) -> None:
        node_id = planned.node.id
        if planned.incoming:
            ran, error = self._before(planned, frame)
            if error is not None:
                frame.fail(node_id, error)
                return
            if not ran and planned.node.type != "api_output":
                self._skip(planned, frame, "Everything before it was skipped.")
                return
        if frame.keeps and self.kept and not planned.runs_again and (key := StepKey(node_id, frame.index)) in self.kept:
            frame.outputs[node_id] = self.kept[key]
        else:
            await StepRun(self, planned, frame).go()
        if node_id == self.shown and self.shown_items is not None:
            self._show(node_id, frame)

    def _show(self, node_id: str, frame: Frame) -> None:
        assert self.shown_items is not None
        if node_id in frame.lists.items:
            self.shown_items |= {(*frame.index, place): item for place, item in enumerate(frame.lists.items[node_id])}
        else:
            self.shown_items[frame.index] = frame.outputs.get(node_id)

    def _before(self, planned: PlannedNode, frame: Frame) -> tuple[bool, RunError | None]:
        """Whether a node before it ran, and the failure of one that failed."""
        ran = False
        for edge in planned.incoming:
            state = _state(edge, frame)
            if isinstance(state, RunError):
                return ran, state
            ran = ran or state
        return ran, None

    def sources(self, planned: PlannedNode, frame: Frame) -> list[Json]:
        """What the nodes before it gave that ran, in the order of the edges."""
        return [frame.up(edge.up).outputs.get(edge.source) for edge in planned.incoming if _state(edge, frame) is True]

    def failed(self, planned: PlannedNode, frame: Frame, error: RunError) -> None:
        """A node failed for good: the end of the run, or of what comes after it for this item."""
        if not planned.collected and not (frame.index and self.shown_items is not None):
            raise _Stop(error)
        frame.fail(planned.node.id, error)

    def _skip(self, planned: PlannedNode, frame: Frame, why: str) -> None:
        frame.skipped.add(planned.node.id)
        at = self.clock.now()
        self.recorder.ended(StepEnded(StepKey(planned.node.id, frame.index), "skipped", at, at, 0, {}, warnings=(why,)))

    # Called flows.

    async def call(
        self, called: CalledPlan, values: Mapping[str, Json], recorder: InnerRecorder, caller: StepRun
    ) -> Json:
        """Runs another flow as part of a step. Raises NodeFailed."""
        system = self.frame.scope.system
        around = self.options.around or ((str(system.get("flow_id", "")), ""),)
        may_open(called, around)
        outcome = await run_flow(
            called.plan,
            payload_for(called, values),
            system={**system, "flow_id": called.flow_id, "flow_version": called.version},
            services=self.services,
            recorder=recorder,
            kept=self._kept_inside.get(caller.key) if caller.frame.keeps else None,
            options=RunOptions(
                caller.idempotency_key, deadline=self.options.deadline, around=(*around, (called.flow_id, called.title))
            ),
            clock=self.clock,
        )
        if outcome.error is not None:
            raise as_failure(called, outcome.error)
        return outcome.result

    @cached_property
    def _kept_inside(self) -> Mapping[StepKey, Mapping[StepKey, Json]]:
        return kept_inside(self.kept, self.plan)

    # Lists.

    def open_list(self, planned: PlannedNode, frame: Frame, opened: Opened) -> Json:
        """Keeps a Splitter's list for its items; returns what is recorded of it."""
        node_id = planned.node.id
        frame.lists.items[node_id] = opened.items
        recorded = {"total": len(opened.items), "fingerprint": opened.mark}
        frame.lists.unchanged[node_id] = self.kept.get(StepKey(node_id, frame.index)) == recorded if self.kept else True
        return recorded

    async def _run_each(self, unit: Unit, planned: PlannedNode, frame: Frame) -> None:
        """Runs a block once for each item of a list."""
        splitter = unit.node_id
        assert unit.block is not None
        if (error := frame.failed.get(splitter)) is not None:
            for flatten in unit.collects:
                closing = self._closing(flatten, frame, len(planned.around))
                if closing is not None and closing is not frame:
                    closing.lists.collector(flatten).fail(frame.index[len(closing.index) :], error)
            return
        if splitter in frame.skipped or not frame.lists.items[splitter]:
            why = "The list was empty." if splitter in frame.lists.items else f"{planned.node.name} was skipped."
            for node_id in unit.block.nodes():
                self._skip(self.plan.nodes[node_id], frame, why)
            return
        if self._is_kept(unit, planned, frame):
            return
        limit = asyncio.timeout(planned.node.policy.timeout_seconds)
        through: set[int] = set()
        try:
            async with limit:
                await self._run_items(unit, planned, frame, through)
        except TimeoutError:
            if not limit.expired():
                raise
            self._give_up(unit, planned, frame, through)

    async def _run_items(self, unit: Unit, planned: PlannedNode, frame: Frame, through: set[int]) -> None:
        total = len(frame.lists.items[unit.node_id])
        mode, at_once, size = _mode(planned)
        if mode == "chunked":
            for start in range(0, total, size):
                await self._work(range(start, min(start + size, total)), size, unit, frame, through)
        else:
            await self._work(range(total), at_once, unit, frame, through)

    async def _work(self, positions: Iterable[int], at_once: int, unit: Unit, frame: Frame, through: set[int]) -> None:
        """So many workers take positions from one iterator."""
        waiting = iter(positions)

        async def work() -> None:
            for position in waiting:
                if unit.node_id in frame.lists.full:
                    return
                await self._run_item(unit, frame, position)
                through.add(position)
                if time.monotonic() - self._breathed > BREATH_SECONDS:
                    await asyncio.sleep(0)
                    self._breathed = time.monotonic()

        if at_once == 1:
            await work()
            return
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(frame.lists.items[unit.node_id]))):
                group.create_task(work())

    async def _run_item(self, unit: Unit, frame: Frame, position: int) -> None:
        assert unit.block is not None
        if unit.node_id in self.plan.repeated:
            frames = frame.lists.frames.setdefault(unit.node_id, {})
            inner = frames.get(position) or frames.setdefault(position, frame.inside(unit.node_id, position))
        else:
            inner = frame.inside(unit.node_id, position)
        await self._run_block(unit.block, inner)

    def _give_up(self, unit: Unit, planned: PlannedNode, frame: Frame, through: set[int]) -> None:
        """The Splitter's time limit passed: items that are not through have failed."""
        node = planned.node
        limit = node.policy.timeout_seconds or 0
        for position in range(len(frame.lists.items[unit.node_id])):
            if position in through:
                continue
            index = (*frame.index, position)
            error = RunError(
                "timeout",
                f"The item was not through within the list's {limit:g} seconds.",
                why=f"The time limit of {node.name} counts for all of its items together.",
                remedy="Raise the Splitter's time limit, let more items run at once, or send fewer.",
                node_id=node.id,
                node_label=node.name,
                item_index=index[0] if len(index) == 1 else list(index),
            )
            told = False
            for flatten in unit.collects:
                closing = self._closing(flatten, frame, len(planned.around))
                if closing is not None:
                    closing.lists.collector(flatten).fail(index[len(closing.index) :], error)
                    told = True
            if not told:
                raise _Stop(error)

    def _closing(self, flatten: str, frame: Frame, depth: int) -> Frame | None:
        """The frame a Flatten ends in, seen from a frame in so many lists; None when it is further in."""
        gives = len(self.plan.nodes[flatten].gives)
        return frame.up(depth - gives) if gives <= depth else None

    def _is_kept(self, unit: Unit, planned: PlannedNode, frame: Frame) -> bool:
        """True when an earlier attempt kept everything that the items are for."""
        if not self.kept or not unit.covered or unit.node_id in self.plan.repeated:
            return False
        if not frame.keeps or not frame.lists.unchanged[unit.node_id]:
            return False
        outer = [
            (flatten, closing)
            for flatten in unit.collects
            if (closing := self._closing(flatten, frame, len(planned.around))) is not None
        ]
        return all(StepKey(flatten, closing.index) in self.kept for flatten, closing in outer)

    def _collect(self, planned: PlannedNode, frame: Frame) -> None:
        """Takes what came out for one item."""
        closing = frame.up(planned.ends)
        collector = closing.lists.collector(planned.node.id)
        entries: list[Json] = []
        error: RunError | None = None
        alive = False
        for edge in planned.incoming:
            state = _state(edge, frame)
            if state is True:
                alive = True
                if not planned.collects_value:
                    entries.append(frame.up(edge.up).outputs.get(edge.source))
            elif state is not False:
                error = error or state
                if planned.puts_null and not planned.collects_value:
                    entries.append(None)
        if planned.collects_value and alive and error is None:
            missing: list[Missing] = []
            entries.append(planned.renderings["value"](frame.scope, missing))
            self._warn(collector, missing)
        collector.add(frame.index[len(closing.index) :], entries, error)
        if error is not None and self._ends_the_run(planned):
            closing.lists.full.add(planned.around[0])
            if frame.outer is not None:
                frame.outer.lists.full.add(planned.around[-1])

    def _ends_the_run(self, planned: PlannedNode) -> bool:
        fails = planned.node.config.get("on_item_error") == "fail" and planned.node.policy.on_error == "fail"
        return fails and not planned.gives

    def _warn(self, collector: Collector, missing: list[Missing]) -> None:
        for gone in missing:
            text = f"`value`: `{gone.reference}` named nothing for some items, so it is null."
            if text not in collector.warnings:
                collector.warnings.append(text)

    async def _close(self, planned: PlannedNode, frame: Frame) -> None:
        """Makes the list of what was collected."""
        node_id = planned.node.id
        splitter = planned.around[len(planned.gives)]
        if (error := frame.failed.get(splitter)) is not None:
            frame.fail(node_id, error)
            return
        if splitter in frame.skipped:
            self._skip(planned, frame, "Everything before it was skipped.")
            return
        key = StepKey(node_id, frame.index)
        if frame.keeps and frame.lists.unchanged[splitter] and key in self.kept:
            frame.outputs[node_id] = self.kept[key]
        else:
            collector = frame.lists.collectors.pop(node_id, None) or Collector()

            async def make() -> Json:
                return collector.result(planned.settings)  # type: ignore[arg-type]

            through = frozenset(self._through(planned)) if not frame.index else frozenset()
            await StepRun(self, planned, frame, collector.warnings).record(make, through=through)
        if node_id == self.shown and self.shown_items is not None:
            self._show(node_id, frame)

    def _through(self, flatten: PlannedNode) -> Iterable[str]:
        """The nodes in the lists that a Flatten ends; all their items have been gone through."""
        splitter = flatten.around[len(flatten.gives)]
        return (node_id for node_id, planned in self.plan.nodes.items() if splitter in planned.around)


def _state(edge: Incoming, frame: Frame) -> bool | RunError:
    """Whether something came by an edge, or the failure that came instead."""
    at = frame.up(edge.up) if edge.up else frame
    if (error := at.failed.get(edge.source)) is not None:
        return error
    if edge.source in at.skipped:
        return False
    return at.ports.get(edge.source, edge.port) == edge.port


def _mode(planned: PlannedNode) -> tuple[str, int, int]:
    """How a Splitter hands out its items: the mode, how many at once, and how many in a group."""
    config: Any = planned.settings
    return config.mode, config.max_concurrency if config.mode == "parallel" else 1, config.chunk_size


class _Walk:
    """One pass over a block in which units may run at the same time."""

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
        """Runs a unit and then, in the same task, the first one that became ready."""
        while True:
            unit = self.units[position]
            await self.run._run_unit(unit, self.frame)
            ready = []
            for after in unit.after:
                self.open[after] -= 1
                if not self.open[after]:
                    ready.append(after)
            for other in ready[1:]:
                self.group.create_task(self._walk(other))
            if not ready:
                return
            position = ready[0]
