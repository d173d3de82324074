"""Builds the log of a run from its stored events, steps, tries and model calls. Imports no NiceGUI."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from storage.job_log import CallRow, JobLog
from storage.steps import StepRow
from ui.kit.text import ENGLISH, Reader, _, cost, duration, number
from ui.parts.failure_words import failure_word

Level = Literal["info", "warning", "error"]
LEVELS: dict[Level, str] = {"info": _("Everything"), "warning": _("Warnings and errors"), "error": _("Errors")}
_ENDS = {"step.completed", "step.failed", "step.skipped", "step.cancelled"}
#: Sort order of lines with the same time: before the event, or at it.
_BEFORE, _AT = 0, 1
_RANK: dict[Level, int] = {"info": 0, "warning": 1, "error": 2}


class LogLine(Struct, frozen=True):
    """One entry of the log. `node_id` is empty for the run itself."""

    at: int
    level: Level
    node_id: str
    index_path: str
    text: str


def log_lines(log: JobLog, steps: Sequence[StepRow], reader: Reader = ENGLISH) -> list[LogLine]:
    """Returns the lines in chronological order.

    What a step reports in the millisecond of its end comes before the end.
    """
    retried = {(step.node_id, step.index_path): step for step in steps if step.tries > 1}
    events = list(_events(log, reader))
    ends = {
        (line.node_id, line.index_path): place
        for place, (line, event) in enumerate(zip(events, log.events, strict=True))
        if event.name in _ENDS
    }
    told = [*_calls(log.calls, reader), *_tries(log, retried, reader), *_said(log, steps)]
    placed = [
        *((line.at, -1, _AT, line) for line in _reused(steps)),
        *((line.at, place, _AT, line) for place, line in enumerate(events)),
        *((line.at, ends.get((line.node_id, line.index_path), len(events)), _BEFORE, line) for line in told),
    ]
    return [line for *_at, line in sorted(placed, key=operator.itemgetter(0, 1, 2))]


def narrowed(lines: Sequence[LogLine], level: Level, node_id: str) -> list[LogLine]:
    """The lines of this level and above, and of this node; an empty id selects all nodes."""
    return [line for line in lines if _RANK[line.level] >= _RANK[level] and node_id in ("", line.node_id)]


def _reused(steps: Sequence[StepRow]) -> Iterator[LogLine]:
    for step in steps:
        if step.reused:
            yield LogLine(step.started_at, "info", step.node_id, step.index_path, _("reused from an earlier run"))


def _events(log: JobLog, reader: Reader) -> Iterator[LogLine]:
    for event in log.events:
        data = event.data
        level, text = _event_words(event.name, data, reader)
        path = "/".join(str(part) for part in data.get("index") or ())
        yield LogLine(event.at, level, str(data.get("node_id") or ""), path, text)


def _event_words(name: str, data: Mapping[str, Any], reader: Reader) -> tuple[Level, str]:  # noqa: PLR0911 - one case per kind
    took = duration((data.get("duration_ms") or 0) / 1000, reader)
    attempt = int(data.get("attempt") or 1)
    match name:
        case "job.queued":
            return ("warning", _("The run waits for its turn again.")) if data else ("info", _("The run was accepted."))
        case "job.processing":
            said = _("The run began.")
            return (
                ("info", said)
                if attempt == 1
                else ("warning", _("{said} Attempt {attempt}.").format(said=said, attempt=attempt))
            )
        case "job.completed":
            return "info", _("The run is completed.")
        case "job.failed":
            return "error", _("The run failed. {message}").format(message=data.get("message") or "").strip()
        case "job.cancelled":
            return "warning", _("The run was stopped.")
        case "step.started":
            return "info", _("started")
        case "step.completed":
            return "info", _("finished in {took}").format(took=took)
        case "step.failed":
            return "error", _("failed after {took}: {message}").format(
                took=took, message=data.get("message") or data.get("code") or ""
            )
        case "step.skipped":
            return "info", _("skipped")
        case "step.cancelled":
            return "warning", _("stopped")
    return "info", name


def _calls(calls: Sequence[CallRow], reader: Reader) -> Iterator[LogLine]:
    for call in calls:
        if call.error:
            yield LogLine(call.at, "warning", call.node_id, call.index_path, no_answer_words(call, reader))
            continue
        who, took = _who(call), duration(call.duration_ms / 1000, reader)
        used = _("{input_tokens} tokens in, {output_tokens} out").format(
            input_tokens=number(call.input_tokens, reader), output_tokens=number(call.output_tokens, reader)
        )
        price = cost(None if call.cost_nanos is None else call.cost_nanos / 1e9, reader)
        said = _("{who} answered in {took}: {used}, cost {price}").format(who=who, took=took, used=used, price=price)
        yield LogLine(
            call.at,
            "info",
            call.node_id,
            call.index_path,
            _("{said} (simulated)").format(said=said) if call.simulated else said,
        )


def _who(call: CallRow) -> str:
    return call.model if call.connection in ("", call.model) else f"{call.connection}:{call.model}"


def no_answer_words(call: CallRow, reader: Reader = ENGLISH) -> str:
    """Says in plain words that a model call gave no answer, with the code of its error, if it has one, in brackets."""
    error = str(call.error)
    said = error if " " in error else _("{why} ({code})").format(why=failure_word(error), code=error)
    took = duration(call.duration_ms / 1000, reader)
    return _("{who} gave no answer ({took}): {error}").format(who=_who(call), took=took, error=said)


def _tries(log: JobLog, retried: Mapping[tuple[str, str], StepRow], reader: Reader) -> Iterator[LogLine]:
    for key, tries in log.tries.items():
        if key not in retried:
            continue
        for one in tries:
            if one.get("message"):
                at = int(one.get("started_at") or 0) + int(one.get("duration_ms") or 0)
                took = duration(int(one.get("duration_ms") or 0) / 1000, reader)
                text = _("try {number} failed after {took}: {message}").format(
                    number=one.get("number"), took=took, message=one["message"]
                )
                yield LogLine(at, "warning", *key, text)


def _said(log: JobLog, steps: Sequence[StepRow]) -> Iterator[LogLine]:
    for step in steps:
        at = step.ended_at or step.started_at
        for warning in step.warnings:
            yield LogLine(at, "warning", step.node_id, step.index_path, warning)
        for line in log.said.get((step.node_id, step.index_path), ()):
            yield LogLine(at, "info", step.node_id, step.index_path, str(line))
