"""The state of one run, which steps, items and the runner share: what is known, and what has been decided so far."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from msgspec import Struct, field

from engine.core.clock import Clock, to_rfc3339
from engine.flow.node_context import Json
from engine.run.blocks import Block
from engine.run.calls import CalledPlan, InnerRecorder, OpenCalls
from engine.run.lists import Frame, Index, Opened
from engine.run.plan import Plan, PlannedNode
from engine.run.steps import Recorder, RunError, Services, StepEnded, StepKey, Stop


class RunOptions(Struct, frozen=True):
    """`until`: run only this node and its ancestors. `job_id`: the base of idempotency keys. `deadline`: seconds,
    monotonic clock.

    `around`: the flows that call each other around this one, outermost first. `inside`: the step of the job that calls
    this flow; None for the job's own flow. `gave_up`: steps that failed before the job was set aside and do not run again:
    the failure of one inside a list, None for one that was skipped.
    """

    job_id: str = ""
    until: str | None = None
    deadline: float | None = None
    around: OpenCalls = ()
    inside: StepKey | None = None
    gave_up: Mapping[StepKey, RunError | None] = field(default_factory=dict[StepKey, RunError | None])


class RunState(ABC):
    """The state of a run. `engine.run.runner.Run` adds the execution of the plan."""

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
        self.frame = Frame({}, {"timestamp": to_rfc3339(clock.now()), **system})
        #: The node whose output is the result when there is no API Output.
        self.shown = options.until or plan.final
        #: The outputs of that node by index, when it is inside a list, which only a trial run allows.
        self.shown_items: dict[Index, Json] | None = {} if self.shown and plan.nodes[self.shown].gives else None

    def result(self) -> Json:
        """Returns the job's result: the object of API Output, or `{"output": ...}` of the final node."""
        if self.plan.output and not self.options.until:
            return self.frame.outputs.get(self.plan.output)
        if self.shown_items is not None:
            return {"output": [self.shown_items[index] for index in sorted(self.shown_items)]}
        return {"output": self.frame.outputs.get(self.shown) if self.shown else None}

    def show(self, node_id: str, frame: Frame) -> None:
        """Stores the output of a node inside a list, when it is the result of the run."""
        if self.shown_items is None:
            return
        if node_id in frame.lists.items:
            self.shown_items |= {(*frame.index, place): item for place, item in enumerate(frame.lists.items[node_id])}
        else:
            self.shown_items[frame.index] = frame.outputs.get(node_id)

    def sources(self, planned: PlannedNode, frame: Frame) -> list[Json]:
        """Returns the outputs of the preceding nodes that ran, in the order of the edges."""
        return [frame.up(edge.up).outputs.get(edge.source) for edge in planned.incoming if frame.came_by(edge) is True]

    def failed(self, planned: PlannedNode, frame: Frame, error: RunError) -> None:
        """Handles the final failure of a node: ends the run, or only the nodes after it for this item."""
        if not planned.collected and not (frame.index and self.shown_items is not None):
            raise Stop(error)
        frame.fail(planned.node.id, error)

    def skip(self, planned: PlannedNode, frame: Frame, why: str) -> None:
        """Marks a node as skipped in this frame and reports it."""
        frame.skip(planned.node.id)
        at = self.clock.now()
        key = StepKey(planned.node.id, frame.index)
        self.recorder.ended(
            StepEnded(key=key, status="skipped", started_at=at, ended_at=at, duration_ms=0, inputs={}, warnings=(why,))
        )

    def job_step(self, step: StepKey) -> StepKey:
        """Returns a step of this run as a step of the job: inside a called flow, with the calling step before it."""
        around = self.options.inside
        return step if around is None else step.inside(around)

    def idempotency_key(self, step: StepKey, frame: Frame) -> str:
        """Returns a key that is the same in each attempt, and different for each step, and for each list when another
        attempt had another one.
        """
        return f"{self.options.job_id}:{step.node_id}:{step.index_path}{frame.mark}"

    def open_list(self, planned: PlannedNode, frame: Frame, opened: Opened) -> Json:
        """Stores a Splitter's list for the runs of its items. Returns what is recorded as the Splitter's output.

        `changed` in it says that an earlier attempt had another list, whose steps are forgotten.
        """
        node_id, lists = planned.node.id, frame.lists
        lists.items[node_id] = opened.items
        recorded: dict[str, Json] = {"total": len(opened.items), "fingerprint": opened.mark}
        if not self.kept:
            lists.unchanged[node_id] = True
            return recorded
        before: Json = self.kept.get(StepKey(node_id, frame.index)) if frame.keeps else None
        if opened.raw_mark != opened.mark:
            as_it_is = {**recorded, "fingerprint": opened.raw_mark}
            if before in (as_it_is, {**as_it_is, "changed": True}):
                recorded = as_it_is
        lists.unchanged[node_id] = before in (recorded, {**recorded, "changed": True})
        if before is not None and before != recorded:
            recorded["changed"] = True
            lists.marks[node_id] = f":{recorded['fingerprint']}"
            if not lists.unchanged[node_id]:
                inside = [other.node.id for other in self.plan.nodes.values() if node_id in other.around]
                self.recorder.forget(inside, frame.index)
        return recorded

    @abstractmethod
    async def run_block(self, block: Block, frame: Frame) -> None:
        """Runs every unit of a block, for the flow itself or for one item."""

    @abstractmethod
    async def call(
        self,
        called: CalledPlan,
        values: Mapping[str, Json],
        recorder: InnerRecorder,
        caller: StepKey,
        frame: Frame,
    ) -> Json:
        """Runs another flow inside the step `caller` of this frame. Raises NodeFailed."""
