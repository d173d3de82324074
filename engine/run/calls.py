"""Runs a flow as one step of another: its payload, its steps among the steps of the job, and its failure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from msgspec.structs import replace

from engine.core.error_codes import JobErrorCode
from engine.flow.called_flows import DEEPEST_CALL
from engine.flow.contract import input_fields
from engine.flow.job_checks import is_large
from engine.flow.node_context import Json, NodeFailed
from engine.flow.payload_check import PayloadCheck, has_patterns
from engine.run.plan import Plan
from engine.run.steps import INNER, Recorder, RunError, StepEnded, StepKey, StepPart, StepStarted

#: The flows that call each other around a run, outermost first: (flow id, title).
OpenCalls = tuple[tuple[str, str], ...]
T = TypeVar("T")


@dataclass(frozen=True)
class CalledPlan:
    """A version of a flow that a Call Flow node runs."""

    flow_id: str
    version: int
    title: str
    plan: Plan
    #: What the flow's author wrote about it.
    description: str = ""

    @cached_property
    def has_patterns(self) -> bool:
        """Whether a field of it has a pattern."""
        return has_patterns(self.fields)

    @cached_property
    def fields(self) -> list[dict[str, Any]]:
        """The fields that a call may send."""
        return input_fields(self.plan.document)


def may_open(called: CalledPlan, around: OpenCalls) -> None:
    """Raises NodeFailed when this call would be recursive, or nested deeper than DEEPEST_CALL."""
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


def takes_long(called: CalledPlan, values: Mapping[str, Json]) -> bool:
    """Tells whether `payload_for` may take longer than a moment, so that it has to run in a thread."""
    return called.has_patterns or is_large(dict(values))


def payload_for(called: CalledPlan, values: Mapping[str, Json], check: PayloadCheck | None = None) -> dict[str, Json]:
    """Returns the payload of the called flow, with defaults applied. `check`: with what is left of the job's budget.

    Raises NodeFailed that names the first 5 wrong fields.
    """
    fields = called.fields
    check = PayloadCheck(kept=True) if check is None else check
    payload, errors = check.payload(fields, values), check.errors
    if check.ended_early:
        raise NodeFailed(
            f"What “{called.title}” is called with takes too long to be checked.",
            code=JobErrorCode.INPUT_MISSING,
            why="All calls of a job share the time for checking texts against the patterns of fields, and it is used up.",
            remedy="Call it with shorter texts or fewer times in one job, or make the patterns of its fields simpler.",
        )
    if errors:
        said = "; ".join(f"`{error.pointer.lstrip('/') or 'input'}`: {error.detail}" for error in errors[:5])
        raise NodeFailed(
            f"“{called.title}” does not take this input: {said}.",
            code=JobErrorCode.INPUT_MISSING,
            why=f"Version {called.version} of it checks what it is called with like any other call.",
            remedy="Look at this step's input, and at the API Input of the called flow.",
        )
    return payload


def as_failure(called: CalledPlan, error: RunError) -> NodeFailed:
    """Returns the failure of the called flow as that of the calling step.

    It is not retried: the steps inside had their retries.
    """
    at = f" at {error.node_label}" if error.node_label else ""
    return NodeFailed(
        f"“{called.title}” failed{at}: {error.message}", code=error.code, why=error.why, remedy=error.remedy
    )


def kept_inside(kept: Mapping[StepKey, T], plan: Plan) -> dict[StepKey, dict[StepKey, T]]:
    """Returns what earlier attempts stored of the steps of called flows, outputs or failures: calling step -> step of the
    called flow -> output or failure.
    """
    found: dict[StepKey, dict[StepKey, T]] = defaultdict(dict)
    for key, output in kept.items():
        outer, _, rest = key.node_id.partition(INNER)
        if rest and outer in plan.nodes:
            depth = len(plan.nodes[outer].around)
            found[StepKey(outer, key.index[:depth])][StepKey(rest, key.index[depth:])] = output
    return found


def kept_under(kept: Mapping[StepKey, T], caller: StepKey) -> dict[StepKey, T]:
    """Returns the same of the steps of a flow that `caller`, a tool, has called."""
    begin, depth = f"{caller.node_id}{INNER}", len(caller.index)
    return {
        StepKey(key.node_id.removeprefix(begin), key.index[depth:]): output
        for key, output in kept.items()
        if key.node_id.startswith(begin) and key.index[:depth] == caller.index
    }


class InnerRecorder:
    """Reports the steps of a called flow as steps of the job: `call_flow.prompt`, with the caller's index before its
    own.
    """

    def __init__(self, outer: Recorder, caller: StepKey) -> None:
        self._outer = outer
        self._caller = caller
        #: The model calls inside, for the totals of the calling step.
        self.calls: list[Any] = []
        self.simulated = False

    def started(self, step: StepStarted) -> None:
        """Reports that a step of the called flow starts."""
        self._outer.started(StepStarted(self._key(step.key), step.at, step.inputs, step.size))

    def ended(self, step: StepEnded) -> None:
        """Reports that a step of the called flow has ended."""
        self.simulated = self.simulated or step.simulated
        self._outer.ended(replace(step, key=self._key(step.key), through=frozenset()))

    def called(self, key: StepKey, call: Any) -> None:
        """Reports a model call of the called flow; the job pays for it."""
        self.calls.append(call)
        self._outer.called(self._key(key), call)

    def delta(self, key: StepKey, text: str) -> None:
        """Reports model text of the called flow."""
        self._outer.delta(self._key(key), text)

    def part(self, key: StepKey, part: StepPart) -> None:
        """Reports a part of a step of the called flow."""
        self._outer.part(self._key(key), part)

    def finished(self, key: StepKey, name: str) -> Json | None:
        """Returns the value of a part of a step of the called flow that has ended."""
        return self._outer.finished(self._key(key), name)

    def forget(self, nodes: Collection[str], index: tuple[int, ...]) -> None:
        """Drops what earlier attempts stored of steps of the called flow."""
        caller = self._caller
        self._outer.forget([f"{caller.node_id}{INNER}{node_id}" for node_id in nodes], (*caller.index, *index))

    def as_stored(self, text: str) -> str:
        """Returns a JSON text as another attempt finds it."""
        return self._outer.as_stored(text)

    def unfinished(self, key: StepKey, name: str) -> Json | None:
        """Returns the value of a part of a step of the called flow that has not ended."""
        return self._outer.unfinished(self._key(key), name)

    def _key(self, key: StepKey) -> StepKey:
        return key.inside(self._caller)
