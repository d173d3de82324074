"""A flow that runs as one step of another: its payload, its steps among those of the job, and how its failure reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from engine.flow.called import DEEPEST_CALL
from engine.flow.contract import check_payload, input_fields
from engine.flow.node_type import Json, NodeFailed
from engine.run.plan import Plan
from engine.run.steps import INNER, Recorder, RunError, StepEnded, StepKey, StepStarted

#: The calls that are open around a run, outermost first: (flow id, title).
OpenCalls = tuple[tuple[str, str], ...]
Kept = Mapping[StepKey, Json]


@dataclass(frozen=True)
class CalledPlan:
    """A version of a flow, ready to run."""

    flow_id: str
    version: int
    title: str
    plan: Plan


def may_open(called: CalledPlan, around: OpenCalls) -> None:
    """Raises NodeFailed when the flow is open already, or too many are."""
    ids = [flow_id for flow_id, _ in around]
    if called.flow_id in ids:
        names = [title or "this flow" for _, title in around[ids.index(called.flow_id) :]]
        raise NodeFailed(
            f"These flows call each other without end: {' → '.join([*names, names[0]])}.",
            why=f"“{called.title}” is running already, and this step would begin it again.",
            remedy="Change one of the calls and deploy again.",
        )
    if len(around) > DEEPEST_CALL:
        raise NodeFailed(
            f"“{called.title}” would be the call number {len(around)} in one another.",
            why=f"Flows may call flows {DEEPEST_CALL} deep.",
            remedy="Put the work of two of these flows into one.",
        )


def payload_for(called: CalledPlan, values: Mapping[str, Json]) -> dict[str, Json]:
    """What the called flow begins with, defaults applied. Raises NodeFailed with every field that is wrong."""
    payload, errors = check_payload(input_fields(called.plan.document), values)
    if errors:
        said = "; ".join(f"`{error.pointer.lstrip('/') or 'input'}`: {error.detail}" for error in errors[:5])
        raise NodeFailed(
            f"“{called.title}” does not take this input: {said}.",
            code="input_missing",
            why=f"Version {called.version} of it checks what it is called with like any other call.",
            remedy="Look at this step's input, and at the API Input of the called flow.",
        )
    return payload


def as_failure(called: CalledPlan, error: RunError) -> NodeFailed:
    """The failure of the called flow as the failure of the step that called it. It is final: the steps inside had their tries."""
    at = f" at {error.node_label}" if error.node_label else ""
    return NodeFailed(
        f"“{called.title}” failed{at}: {error.message}", code=error.code, why=error.why, remedy=error.remedy
    )


def kept_inside(kept: Kept, plan: Plan) -> dict[StepKey, dict[StepKey, Json]]:
    """What earlier attempts kept of called flows: the step that called -> the flow's own step -> output."""
    found: dict[StepKey, dict[StepKey, Json]] = defaultdict(dict)
    for key, output in kept.items():
        outer, _, rest = key.node_id.partition(INNER)
        if rest and outer in plan.nodes:
            depth = len(plan.nodes[outer].around)
            found[StepKey(outer, key.index[:depth])][StepKey(rest, key.index[depth:])] = output
    return found


class InnerRecorder:
    """Tells the steps of a called flow as steps of the job: `call_flow.prompt`, the items of the caller before its own."""

    def __init__(self, outer: Recorder, caller: StepKey) -> None:
        self._outer = outer
        self._caller = caller
        #: Model calls inside, for the sums of the step that called.
        self.calls: list[Any] = []
        self.simulated = False

    def started(self, step: StepStarted) -> None:
        """A step inside begins."""
        self._outer.started(StepStarted(self._key(step.key), step.at, step.inputs))

    def ended(self, step: StepEnded) -> None:
        """A step inside is over."""
        self.simulated = self.simulated or step.simulated
        self._outer.ended(replace(step, key=self._key(step.key), through=frozenset()))

    def called(self, key: StepKey, call: Any) -> None:
        """A model call inside: it is paid by this job."""
        self.calls.append(call)
        self._outer.called(self._key(key), call)

    def delta(self, key: StepKey, text: str) -> None:
        """Model text inside."""
        self._outer.delta(self._key(key), text)

    def _key(self, key: StepKey) -> StepKey:
        return StepKey(f"{self._caller.node_id}{INNER}{key.node_id}", (*self._caller.index, *key.index))
