"""Turns what a run reports about its steps into the rows that are stored of it, without secrets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from engine.core.redaction import Redaction
from engine.flow.data_size import data_size
from engine.flow.json_values import is_small
from engine.flow.node_context import Json
from engine.jobs.job_values import beginning, encoded
from engine.jobs.worker.model_stream import Piece
from engine.run.steps import INNER, RunError, StepEnded, StepKey, StepPart, StepStarted
from storage.job_changes import Claimed, Lease
from storage.steps import PART, NewValue, Progress
from storage.value_sizes import VALUE_CAP

#: The number of characters that are kept of a step's value above VALUE_CAP.
BEGINNING = 20_000
#: A larger value, in bytes as `data_size` counts them, is not written as JSON to find out how long it is.
MAX_WRITTEN = 8 << 20


class CallReport(Struct, frozen=True):
    """A model call."""

    key: StepKey
    call: Any
    at: int


class TextReport(Struct, frozen=True):
    """A piece of a model's text."""

    piece: Piece
    at: int


class PartReport(Struct, frozen=True):
    """A part of a step has begun or ended."""

    key: StepKey
    part: StepPart
    begun_at: int


class ForgetReport(Struct, frozen=True):
    """What earlier attempts stored of the steps of these nodes, and of flows that they called, inside this index does not
    count any more.
    """

    nodes: tuple[str, ...]
    index: tuple[int, ...]

    def covers(self, key: StepKey) -> bool:
        """Returns whether a step is one of these."""
        if key.index[: len(self.index)] != self.index:
            return False
        return any(key.node_id == node or key.node_id.startswith(f"{node}{INNER}") for node in self.nodes)


Report = StepStarted | StepEnded | CallReport | TextReport | PartReport | ForgetReport


class Reports(Struct, frozen=True):
    """Reports of one attempt that are written together, and its counts at that moment: a thread reads them while the run
    goes on.
    """

    job: Claimed
    lease: Lease
    redaction: Redaction
    reports: Sequence[Report]
    steps_done: int
    items_failed: int
    steps_failed: int

    @property
    def are_small(self) -> bool:
        """True when the rows are made faster here than in a thread."""
        return all(_is_small(report) for report in self.reports)


def progress_of(reported: Reports) -> Progress:
    """Returns the rows. The end of a step replaces its start."""
    steps: dict[StepKey, dict[str, Any]] = {}
    values: dict[tuple[StepKey, str], NewValue] = {}
    calls: list[dict[str, Any]] = []
    events: list[tuple[str, int, dict[str, Any]]] = []
    forgotten: list[tuple[str, str]] = []
    lease, redaction = reported.lease, reported.redaction
    have_ended = {item.key for item in reported.reports if isinstance(item, StepEnded)}
    for item in reported.reports:
        match item:
            case StepStarted():
                if item.key not in have_ended:
                    steps[item.key] = _running(item, lease.attempt)
                _put_value(values, item.key, "input", item.inputs, redaction, keys=True, size=item.size)
                events.append(("step.started", item.at, _where(item.key)))
            case StepEnded():
                steps[item.key] = _ended(item, lease.attempt, redaction)
                _put_values(values, item, redaction)
                if item.status != "waiting":  # the event of a question is stored with the question
                    events.append((f"step.{item.status}", item.ended_at, _end_event(item, redaction)))
            case CallReport():
                calls.append(_call(item))
            case PartReport(key, part, begun_at):
                stored = {"ended": part.ended, "begun_at": begun_at, "at": part.at, "value": part.value}
                _put_value(
                    values,
                    key,
                    f"{PART}{part.name}",
                    stored,
                    redaction,
                    size=0 if is_small(part.value) else data_size(part.value, MAX_WRITTEN),
                )
                data = {**_where(key), "part": part.name, "ended": part.ended}
                events.append(("step.part", part.at, data))
            case ForgetReport(nodes, index):
                forgotten += [(node_id, StepKey(node_id, index).index_path) for node_id in nodes]
            case TextReport(piece, at):
                events.append(("step.delta", at, {**_where(piece.key), "call": piece.call, "text": piece.text}))
    return Progress(
        job_id=reported.job.id,
        workspace_id=reported.job.workspace_id,
        flow_id=reported.job.flow_id,
        lease=lease,
        steps=tuple(steps.values()),
        values=tuple(values.values()),
        calls=tuple(calls),
        events=tuple(events),
        steps_done=reported.steps_done,
        items_failed=reported.items_failed,
        steps_failed=reported.steps_failed,
        forgotten=tuple(forgotten),
    )


def _is_small(item: Report) -> bool:
    match item:
        case StepStarted():
            return not item.size
        case StepEnded():
            return not item.size and (not item.tries or is_small([one.message for one in item.tries]))
        case PartReport():
            return is_small(item.part.value)
        case _:
            return True


def redacted_error(error: RunError, redaction: Redaction) -> dict[str, Any]:
    """Returns the error of a step or job as it is stored, without secrets."""
    return _without_secrets(error.as_json(), redaction)


def _without_secrets(said: dict[str, Any], redaction: Redaction) -> dict[str, Any]:
    """Returns an error or a try without secrets."""
    return {name: redaction.text(value) if isinstance(value, str) else value for name, value in said.items()}


def _put_values(values: dict[tuple[StepKey, str], NewValue], step: StepEnded, redaction: Redaction) -> None:
    """Puts the output, the tries and the log of a step among the values to store."""
    if step.status == "completed":
        _put_value(values, step.key, "output", step.output, redaction, size=step.size)
    if any(one.code for one in step.tries):  # a first try that succeeded has nothing to show
        tries = [_without_secrets(one.as_json(), redaction) for one in step.tries]
        _put_value(values, step.key, "tries", tries, redaction, keys=True)
    if step.log:
        _put_value(values, step.key, "log", [redaction.text(line) for line in step.log], redaction, keys=True)


def _put_value(
    values: dict[tuple[StepKey, str], NewValue],
    key: StepKey,
    name: str,
    value: Json,
    redaction: Redaction,
    *,
    keys: bool = False,
    size: int = 0,
) -> None:
    """Puts a value of a step among the values to store; above VALUE_CAP bytes, its first characters as one JSON string.

    `size`: that of a large value, as `data_size` counts it. `keys`: texts that only look like API keys are hidden, too.
    Outputs and parts keep them, since another attempt goes on with these values, and a text may look like a key without
    being one; they are hidden when an output is shown.
    """
    if size > MAX_WRITTEN:
        text = beginning(value, 4 * BEGINNING)
    else:
        text, size = encoded(value)
    if size > VALUE_CAP:
        stored = json.dumps(redaction.part(text, 0, BEGINNING, keys=keys))
    else:
        stored = redaction.in_json(text) if keys else redaction.known_in_json(text)
    values[key, name] = NewValue(key.node_id, key.index_path, name, stored, size)


def _where(key: StepKey) -> dict[str, Any]:
    return {"node_id": key.node_id, "index": list(key.index)}


def _end_event(step: StepEnded, redaction: Redaction) -> dict[str, Any]:
    data: dict[str, Any] = {**_where(step.key), "duration_ms": step.duration_ms}
    if step.error is not None:
        data |= {"code": step.error.code, "message": redaction.text(step.error.message)}
    return data


def _running(step: StepStarted, attempt: int) -> dict[str, Any]:
    return {
        "node_id": step.key.node_id,
        "index_path": step.key.index_path,
        "status": "running",
        "attempt": attempt,
        "tries": 0,
        "started_at": step.at,
        "ended_at": None,
        "duration_ms": None,
        "error": None,
        "warnings": None,
        "cost_nanos": None,
        "input_tokens": 0,
        "output_tokens": 0,
        "model_calls": 0,
        "simulated": False,
        "items": None,
    }


def _ended(step: StepEnded, attempt: int, redaction: Redaction) -> dict[str, Any]:
    calls = [_call(CallReport(step.key, call, step.ended_at)) for call in step.calls]
    return {
        "node_id": step.key.node_id,
        "index_path": step.key.index_path,
        "status": step.status,
        "attempt": attempt,
        "tries": step.tried,
        "started_at": step.started_at,
        "ended_at": None if step.status == "waiting" else max(step.started_at, step.ended_at),
        "duration_ms": step.duration_ms,
        "error": None if step.error is None else redacted_error(step.error, redaction),
        "warnings": [redaction.text(warning) for warning in step.warnings] or None,
        "cost_nanos": _sum_costs(call["cost_nanos"] for call in calls),
        "input_tokens": sum(call["input_tokens"] for call in calls),
        "output_tokens": sum(call["output_tokens"] for call in calls),
        "model_calls": len(calls),
        "simulated": step.simulated,
        "items": step.items,
    }


def _sum_costs(costs: Iterable[int | None]) -> int | None:
    known = list(costs)
    return None if None in known else sum(cost or 0 for cost in known)


def _call(item: CallReport) -> dict[str, Any]:
    """Returns a model call as a row; `item.call` has the attributes of `engine.models.client.ModelCall`."""
    call = item.call
    return {
        "node_id": item.key.node_id,
        "index_path": item.key.index_path,
        "at": item.at,
        "connection": call.connection,
        "model": call.model,
        "input_tokens": call.input_tokens,
        "output_tokens": call.output_tokens,
        "cost_nanos": call.cost_nanos,
        "price": None if call.price is None else call.price.as_json(),
        "duration_ms": call.duration_ms,
        "simulated": call.simulated,
        "error": call.error,
    }
