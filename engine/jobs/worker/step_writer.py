"""Stores what running jobs report, in group commits: the reports of some milliseconds share a transaction.

A run reports to its `JobRecorder`, which only keeps the reports in memory; the one `StepWriter` of the process writes
them every few milliseconds. A job that ends before that stores them with its final write. Before a step sends anything
out, `settled` waits until every step that ended is stored: after a crash at most the step in progress runs twice, and
no earlier paid model call is repeated (L3).
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from pydantic import JsonValue

from engine.core.clock import Clock
from engine.core.errors import StorageUnavailable
from engine.core.redaction import Redaction
from engine.flow.json_values import is_small
from engine.flow.node_context import Json
from engine.jobs.job_values import cut, encoded
from engine.jobs.transitions import write_steps
from engine.jobs.worker.model_stream import Piece, Streamed
from engine.run.steps import INNER, RunError, StepEnded, StepKey, StepPart, StepStarted
from storage.database import Database
from storage.job_changes import Claimed, Lease
from storage.steps import PART, NewValue, Progress

log = logging.getLogger(__name__)

#: The seconds for which reports are gathered before they are written: of Playground runs and of text as it arrives, which
#: people watch, and of other jobs, which usually end before.
GATHER_SECONDS, GATHER_UNWATCHED_SECONDS = 0.02, 0.1
#: The seconds before a write is tried again while the disk is full.
AGAIN_SECONDS = 0.5


@dataclass(frozen=True)
class PastCall:
    """What a model call of an earlier attempt took: the job has paid for it, and it counts with its step again."""

    input_tokens: int
    output_tokens: int
    cost_nanos: int | None
    simulated: bool
    model: str = ""
    connection: str = ""
    price: None = None
    duration_ms: int = 0
    error: None = None

    @classmethod
    def of(cls, part: Mapping[str, Json]) -> PastCall:
        """Returns the call that a part of a step tells of."""
        return cls(
            int(part.get("input_tokens") or 0),
            int(part.get("output_tokens") or 0),
            part.get("cost_nanos"),
            bool(part.get("simulated")),
        )


class StepsNotStored(Exception):  # ends the run; what happened is in the log
    """The database refused a report of the job about its steps."""


@dataclass
class JobRecorder:
    """The Recorder of one attempt. Its methods are called on the event loop and return at once."""

    step_writer: StepWriter
    job: Claimed
    lease: Lease
    redaction: Redaction
    clock: Clock
    on_lost: Callable[[], None]
    #: Called when a report of this attempt cannot be stored, so that the job must fail.
    on_fault: Callable[[], None]
    #: Nodes that have ended; a node that runs per item, when it has ended for all items.
    done: set[str] = field(default_factory=set)
    #: The items that failed: the Splitter, and the position in its list.
    failed_items: set[tuple[str, tuple[int, ...]]] = field(default_factory=set)
    #: The nodes that failed; a step of a called flow counts as the node that calls it.
    failed_steps: set[str] = field(default_factory=set)
    #: The number of items that failed in lists which an earlier attempt completed.
    failed_before: int = 0
    closed: bool = False
    #: True when a report is not stored and never will be.
    incomplete: bool = False
    #: The number of reports so far, and how many of them were written or given up.
    reported: int = 0
    written: int = 0
    running: dict[StepKey, int] = field(default_factory=dict)
    #: The questions to people that this attempt found without an answer.
    open_questions: list[str] = field(default_factory=list)
    #: The values of the parts of steps that have ended, also in earlier attempts.
    parts: dict[tuple[StepKey, str], Json] = field(default_factory=dict)
    #: What the model calls of earlier attempts took that belong to such parts.
    past_calls: dict[StepKey, tuple[PastCall, ...]] = field(default_factory=dict)
    #: When parts that have not ended began, in milliseconds.
    _begun: dict[tuple[StepKey, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._streamed = Streamed(self.redaction)
        #: Somebody looks at the run while it goes on.
        self.is_watched = self.job.environment == "playground"

    def started(self, step: StepStarted) -> None:
        """Reports that a step starts."""
        self.running[step.key] = step.at
        self._add(step)

    def called(self, key: StepKey, call: Any) -> None:
        """Reports a model call. Its cost counts from now on."""
        self._streamed.called(key)
        self._add(_Call(key, call, self.clock.now()))

    def delta(self, key: StepKey, text: str) -> None:
        """Reports a piece of a model's text."""
        if self._streamed.add(key, text):
            asyncio.get_running_loop().call_later(self._streamed.due_in, self._add_text)

    def part(self, key: StepKey, part: StepPart) -> None:
        """Reports that a part of a step has begun or ended."""
        place = key, part.name
        if part.ended:
            self.parts[place] = part.value
        else:
            self._begun.setdefault(place, part.at)
        self._add(_Part(key, part, self._begun.get(place, part.at)))

    def finished(self, key: StepKey, name: str) -> Json | None:
        """Returns the value of a part that has ended, also in an earlier attempt."""
        return self.parts.get((key, name))

    def take_parts(self, parts: Mapping[tuple[StepKey, str], JsonValue]) -> None:
        """Takes the parts of earlier attempts. The model calls in them count with their steps."""
        self.parts |= parts
        for (key, _name), value in parts.items():
            if isinstance(value, dict) and (value.get("input_tokens") or value.get("output_tokens")):
                self.past_calls[key] = (*self.past_calls.get(key, ()), PastCall.of(value))

    def ended(self, step: StepEnded) -> None:
        """Reports that a step has ended."""
        for piece in self._streamed.end(step.key):
            self._add(_Text(piece, self.clock.now()))
        if past := self.past_calls.pop(step.key, ()):
            step.calls = (*past, *step.calls)
        self.running.pop(step.key, None)
        if step.status == "waiting":
            self._add(step)
            return
        self.done |= step.through
        self._note_failure(step)
        if step.key.is_inner:
            pass  # counts as a part of the step that called the flow
        elif not step.key.index:
            self.done.add(step.key.node_id)
        elif step.status == "failed":
            self.failed_items.add((step.splitter, step.key.index))
        self._add(step)

    def _note_failure(self, step: StepEnded) -> None:
        if step.error is not None:
            self.failed_steps.add(step.key.node_id.partition(INNER)[0])
        elif step.through and not self.failed_steps & step.through and lost_items(step.output):
            self.failed_steps.add(step.key.node_id)  # items that a list's time limit ended, which no step reports

    @property
    def items_failed(self) -> int:
        """The number of items that failed so far."""
        return self.failed_before + len(self.failed_items)

    @property
    def may_have_running_steps(self) -> bool:
        """Whether rows of the job may say that a step is running: an earlier attempt left them, or its end was dropped."""
        return bool(self.running) or self.closed or self.lease.attempt > 1

    def close(self) -> None:
        """Drops later reports, which come from a step that does not stop."""
        self.closed = True

    async def settled(self) -> None:
        """Waits until all reports so far are stored. Raises StepsNotStored."""
        await self.step_writer.settled(self, self.reported)
        if self.incomplete:
            raise StepsNotStored

    def _add_text(self) -> None:
        for piece in self._streamed.take():
            self._add(_Text(piece, self.clock.now()))

    def _add(self, item: _Item) -> None:
        if not self.closed:
            self.step_writer.add(self, item)


@dataclass(frozen=True)
class _Call:
    key: StepKey
    call: Any
    at: int


@dataclass(frozen=True)
class _Text:
    piece: Piece
    at: int


@dataclass(frozen=True)
class _Part:
    key: StepKey
    part: StepPart
    begun_at: int


_Item = StepStarted | StepEnded | _Call | _Text | _Part
#: The reports that people watch in every run.
_WATCHED = (_Text, _Part)


class StepWriter:
    """Writes the reports of the recorders of a process, in order, one write at a time. Belongs to one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        #: The reports to write, by the recorder's identity, in the order of their first report.
        self._waiting: dict[int, tuple[JobRecorder, list[_Item]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        #: When the first of the waiting reports is to be written, in seconds of the event loop.
        self._due = math.inf
        self._writing: asyncio.Task[None] | None = None
        self._watchers: list[tuple[JobRecorder, int, asyncio.Future[None]]] = []

    def add(self, recorder: JobRecorder, item: _Item) -> None:
        """Takes a report, which is written within a few milliseconds."""
        waiting = self._waiting.get(id(recorder))
        if waiting is None:
            waiting = self._waiting[id(recorder)] = recorder, []
        waiting[1].append(item)
        recorder.reported += 1
        watched = recorder.is_watched or isinstance(item, _WATCHED)
        if not watched and self._due < math.inf:
            return  # what waits already is due earlier
        due = asyncio.get_running_loop().time() + (GATHER_SECONDS if watched else GATHER_UNWATCHED_SECONDS)
        if due < self._due:
            self._due = due
            self._set_timer()

    async def settled(self, recorder: JobRecorder, number: int) -> None:
        """Waits until the first `number` reports of a recorder are written or given up.

        They are written now, without gathering more.
        """
        if recorder.written >= number:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.append((recorder, number, done))
        self._begin()
        await done

    async def take(self, recorder: JobRecorder) -> Progress | None:
        """Returns the reports of an ending job that are not stored yet, for its final write; None when all
        are stored.
        """
        _, items = self._waiting.pop(id(recorder), (recorder, []))
        await self.settled(recorder, recorder.reported - len(items))
        if not items:
            return None
        (progress,) = await _as_progress([(recorder, items)])
        return progress

    def _set_timer(self) -> None:
        """Writes when the first report that waits is due; while a write is under way, after it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is None:
            self._timer = asyncio.get_running_loop().call_at(self._due, self._begin)

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiting:  # the jobs ended and took their reports
            self._due = math.inf
        elif self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write_all(), name="step-writer")

    async def _write_all(self) -> None:
        try:
            while self._waiting and (self._watchers or self._due <= asyncio.get_running_loop().time()):
                batch, self._waiting = list(self._waiting.values()), {}
                self._due = math.inf
                await self._write(batch)
                self._resolve_watchers()
        finally:
            self._writing = None
        if self._waiting:
            self._set_timer()
        else:
            self._due = math.inf  # the jobs whose reports came meanwhile have ended and took them

    async def _write(self, batch: list[tuple[JobRecorder, list[_Item]]]) -> None:
        progress = await _as_progress(batch)
        answers = await asyncio.gather(*(self._write_one(one) for one in progress))
        for (recorder, items), answer in zip(batch, answers, strict=True):
            recorder.written += len(items)
            if answer == "lost":
                recorder.close()
                recorder.on_lost()
            elif answer == "refused":
                recorder.incomplete = True
                recorder.on_fault()

    async def _write_one(self, progress: Progress) -> Literal["stored", "lost", "refused"]:
        while True:
            try:
                return "stored" if await self._database.write_joined(write_steps, progress) else "lost"
            except StorageUnavailable as error:
                log.warning("Steps of %s cannot be stored yet: %s", progress.job_id, error)
                await asyncio.sleep(AGAIN_SECONDS)
            except Exception:
                log.exception("Steps of %s were not stored", progress.job_id)
                return "refused"

    def _resolve_watchers(self) -> None:
        still: list[tuple[JobRecorder, int, asyncio.Future[None]]] = []
        for recorder, number, done in self._watchers:
            if number > recorder.written:
                still.append((recorder, number, done))
            elif not done.done():
                done.set_result(None)
        self._watchers = still


@dataclass(frozen=True)
class _Counts:
    """The counts of a recorder at one moment: a thread reads them while the run goes on."""

    steps_done: int
    items_failed: int
    steps_failed: int

    @classmethod
    def of(cls, recorder: JobRecorder) -> _Counts:
        return cls(len(recorder.done), recorder.items_failed, len(recorder.failed_steps))


async def _as_progress(batch: list[tuple[JobRecorder, list[_Item]]]) -> list[Progress]:
    """Turns reports into rows; in a thread when that takes long, as for the HTML of a page."""
    reported = [(recorder, items, _Counts.of(recorder)) for recorder, items in batch]
    if all(_is_small(item) for _, items in batch for item in items):
        return [_progress(*one) for one in reported]
    return await asyncio.to_thread(lambda: [_progress(*one) for one in reported])


def _is_small(item: _Item) -> bool:
    match item:
        case StepStarted():
            return is_small(item.inputs)
        case StepEnded():
            return is_small(item.output) and (not item.tries or is_small([one.message for one in item.tries]))
        case _Part():
            return is_small(item.part.value)
        case _:
            return True


def _progress(recorder: JobRecorder, items: list[_Item], counts: _Counts) -> Progress:
    """Turns reports into rows. The end of a step replaces its start."""
    steps: dict[StepKey, dict[str, Any]] = {}
    values: dict[tuple[StepKey, str], NewValue] = {}
    calls: list[dict[str, Any]] = []
    events: list[tuple[str, int, dict[str, Any]]] = []
    redaction = recorder.redaction
    have_ended = {item.key for item in items if isinstance(item, StepEnded)}
    for item in items:
        match item:
            case StepStarted():
                if item.key not in have_ended:
                    steps[item.key] = _running(item, recorder.lease.attempt)
                _put_value(values, item.key, "input", item.inputs, redaction)
                events.append(("step.started", item.at, _where(item.key)))
            case StepEnded():
                steps[item.key] = _ended(item, recorder.lease.attempt, redaction)
                if item.status == "completed":
                    _put_value(values, item.key, "output", item.output, redaction)
                if any(one.code for one in item.tries):  # a first try that succeeded has nothing to show
                    _put_value(values, item.key, "tries", [one.as_json() for one in item.tries], redaction)
                if item.log:
                    _put_value(values, item.key, "log", list(item.log), redaction)
                if item.status != "waiting":  # the question told of itself when it was stored
                    events.append((f"step.{item.status}", item.ended_at, _end_event(item, redaction)))
            case _Call():
                calls.append(_call(item))
            case _Part(key, part, begun_at):
                stored = {"ended": part.ended, "begun_at": begun_at, "at": part.at, "value": part.value}
                _put_part(values, key, part.name, stored, redaction)
                data = {**_where(key), "part": part.name, "ended": part.ended}
                events.append(("step.part", part.at, data))
            case _Text(piece, at):
                events.append(("step.delta", at, {**_where(piece.key), "call": piece.call, "text": piece.text}))
    return Progress(
        job_id=recorder.job.id,
        workspace_id=recorder.job.workspace_id,
        flow_id=recorder.job.flow_id,
        lease=recorder.lease,
        steps=tuple(steps.values()),
        values=tuple(values.values()),
        calls=tuple(calls),
        events=tuple(events),
        steps_done=counts.steps_done,
        items_failed=counts.items_failed,
        steps_failed=counts.steps_failed,
    )


def lost_items(output: Json) -> int:
    """Returns how many items the output of a Flatten says have failed."""
    return cast("dict[str, Any]", output).get("failed_count") or 0 if isinstance(output, dict) else 0


def redacted_error(error: RunError, redaction: Redaction) -> dict[str, Any]:
    """Returns the error of a step or job as it is stored, without secrets."""
    return {name: redaction.text(value) if isinstance(value, str) else value for name, value in error.as_json().items()}


def _put_value(
    values: dict[tuple[StepKey, str], NewValue], key: StepKey, name: str, value: Json, redaction: Redaction
) -> None:
    text, size = encoded(value)
    values[key, name] = NewValue(key.node_id, key.index_path, name, cut(redaction.text(text), size), size)


def _put_part(
    values: dict[tuple[StepKey, str], NewValue], key: StepKey, name: str, stored: Json, redaction: Redaction
) -> None:
    """Stores a part of a step. Only known secrets are hidden: what a provider signed must come back as it was."""
    text, size = encoded(stored)
    name = f"{PART}{name}"
    values[key, name] = NewValue(key.node_id, key.index_path, name, cut(redaction.known(text), size), size)


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
    calls = [_call(_Call(step.key, call, step.ended_at)) for call in step.calls]
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


def _call(item: _Call) -> dict[str, Any]:
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
