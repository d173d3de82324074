"""Stores what running jobs report, in group commits: the reports of some milliseconds share a transaction.

A run reports to its `JobRecorder`, which only keeps the reports in memory; the one `StepWriter` of the process writes
them every few milliseconds. A job that ends before that stores them with its final write. Before a step sends anything
out, `settled` waits until every step that ended is stored, except those that would give the same again: after a crash at
most the step in progress runs twice, and no earlier paid model call is repeated (L3).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from msgspec import Struct
from msgspec.structs import replace
from pydantic import JsonValue

from engine.core.clock import Clock
from engine.core.errors import StorageUnavailable
from engine.core.log_throttle import LogThrottle
from engine.core.redaction import Redaction
from engine.flow.node_context import Json
from engine.jobs.transitions import write_steps
from engine.jobs.worker.model_stream import Streamed
from engine.jobs.worker.step_rows import CallReport, ForgetReport, PartReport, Report, Reports, TextReport, progress_of
from engine.run.steps import INNER, StepEnded, StepKey, StepPart, StepStarted
from storage.database import Database
from storage.job_changes import Claimed, Lease
from storage.steps import PartRow, Progress

log = logging.getLogger(__name__)
_log_throttle = LogThrottle()

#: The seconds for which reports are gathered before they are written: of Playground runs and of text as it arrives, which
#: people watch, and of other jobs, which usually end before.
GATHER_SECONDS, GATHER_UNWATCHED_SECONDS = 0.02, 0.25
#: What is due within these seconds is written together.
TOGETHER_SECONDS = 0.05
#: The most reports that one transaction writes: others wait for the lock of writers meanwhile. And how many of a run may wait
#: to be written before its lists pause.
MAX_TOGETHER, MAX_BEHIND = 250, 5_000
#: More reports are made ready in a thread, however small they are.
FEW = 50
#: For so many seconds after a claim or a write an attempt sends requests without looking whether the job is still its
#: own. Others take the jobs of a silent worker after 10 s at the earliest (`engine.jobs.shared_reaper`).
CONFIRMED_SECONDS = 5.0
#: The seconds before a write is tried again while the disk is full.
AGAIN_SECONDS = 0.5


class PastCall(Struct, frozen=True):
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
    #: The number of reports that must be stored before a step sends anything out.
    needed: int = 0
    #: True once a step has sent anything out: from then on the end of every step must be stored, since it may depend on
    #: what came back.
    has_sent: bool = False
    running: dict[StepKey, int] = field(default_factory=dict)
    #: The questions to people that this attempt found without an answer.
    open_questions: list[str] = field(default_factory=list)
    #: The values of the parts of steps that have ended, also in earlier attempts; and of those that have not.
    parts: dict[tuple[StepKey, str], Json] = field(default_factory=dict)
    unfinished_parts: dict[tuple[StepKey, str], Json] = field(default_factory=dict)
    #: What the model calls of earlier attempts took that belong to such parts.
    past_calls: dict[StepKey, tuple[PastCall, ...]] = field(default_factory=dict)
    #: When parts that have not ended began, in milliseconds.
    _begun: dict[tuple[StepKey, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._streamed: Streamed | None = None
        #: When this attempt last held its job for sure, in seconds of `time.monotonic`.
        self.confirmed_at = time.monotonic()
        #: Somebody looks at the run while it goes on.
        self.is_watched = self.job.environment == "playground"

    @property
    def _texts(self) -> Streamed:
        """The texts of models. Made at the first use, as most jobs ask no model."""
        if self._streamed is None:
            self._streamed = Streamed(self.redaction)
        return self._streamed

    def started(self, step: StepStarted) -> None:
        """Reports that a step starts."""
        self.running[step.key] = step.at
        self._add(step)

    def called(self, key: StepKey, call: Any) -> None:
        """Reports a model call. Its cost counts from now on."""
        self._texts.called(key)
        self._add(CallReport(key, call, self.clock.now()))

    def delta(self, key: StepKey, text: str) -> None:
        """Reports a piece of a model's text."""
        if self._texts.add(key, text):
            asyncio.get_running_loop().call_later(self._texts.due_in, self._add_text)

    def part(self, key: StepKey, part: StepPart) -> None:
        """Reports that a part of a step has begun or ended."""
        place = key, part.name
        if part.ended:
            self.parts[place] = part.value
            self.unfinished_parts.pop(place, None)
        else:
            self.unfinished_parts[place] = part.value
            self._begun.setdefault(place, part.at)
        self._add(PartReport(key, part, self._begun.get(place, part.at)))

    def finished(self, key: StepKey, name: str) -> Json | None:
        """Returns the value of a part that has ended, also in an earlier attempt."""
        return self.parts.get((key, name))

    def forget(self, nodes: Collection[str], index: tuple[int, ...]) -> None:
        """Drops what earlier attempts stored of steps inside a list that is another one now."""
        report = ForgetReport(tuple(nodes), index)
        for known in (self.parts, self.unfinished_parts):
            for place in [place for place in known if report.covers(place[0])]:
                del known[place]
        self._add(report)

    def as_stored(self, text: str) -> str:
        """Returns a JSON text as another attempt finds it: without known secrets."""
        return self.redaction.known_in_json(text)

    def unfinished(self, key: StepKey, name: str) -> Json | None:
        """Returns the value of a part that has begun and not ended, also in an earlier attempt."""
        return self.unfinished_parts.get((key, name))

    def take_parts(self, parts: Mapping[StepKey, Sequence[PartRow]]) -> None:
        """Takes the parts of earlier attempts. The model calls in them count with their steps."""
        for key, part in ((key, part) for key, parts_of in parts.items() for part in parts_of):
            known = self.unfinished_parts if part.ended_at is None else self.parts
            value: JsonValue = part.value
            known[key, part.name] = value
            if isinstance(value, dict) and (value.get("input_tokens") or value.get("output_tokens")):
                self.past_calls[key] = (*self.past_calls.get(key, ()), PastCall.of(value))

    def ended(self, step: StepEnded) -> None:
        """Reports that a step has ended."""
        if self._streamed is not None:
            for piece in self._streamed.end(step.key):
                self._add(TextReport(piece, self.clock.now()))
        if past := self.past_calls.pop(step.key, ()):
            step = replace(step, calls=(*past, *step.calls))
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

    def with_counts(self, reports: Sequence[Report]) -> Reports:
        """Returns reports of this attempt with what it has counted up to now."""
        done, failed = len(self.done), len(self.failed_steps)
        return Reports(self.job, self.lease, self.redaction, reports, done, self.items_failed, failed)

    @property
    def may_have_running_steps(self) -> bool:
        """Whether rows of the job may say that a step is running: an earlier attempt left them, or its end was dropped."""
        return bool(self.running) or self.closed or self.incomplete or self.lease.attempt > 1

    def close(self) -> None:
        """Drops later reports, which come from a step that does not stop."""
        self.closed = True

    async def settled(self) -> None:
        """Waits until what a crash must not undo is stored: all reports up to the last one that another attempt would not
        repeat by itself. Each step awaits it before it sends anything out. Raises StepsNotStored.

        A process that was suspended may have lost its jobs to others, so the lease is looked at again now and then.
        """
        self.has_sent = True
        await self._stored(self.needed)
        if not self._is_confirmed:
            await self.all_stored()  # a write confirms the lease
        if not self._is_confirmed:
            await self.step_writer.confirm(self)
        if self.closed:
            raise StepsNotStored  # the job has ended or belongs to another worker, and its steps may not be cancelled yet

    @property
    def _is_confirmed(self) -> bool:
        return time.monotonic() - self.confirmed_at <= CONFIRMED_SECONDS

    async def caught_up(self) -> None:
        """Waits while more than MAX_BEHIND reports are not written yet."""
        if self.reported - self.written > MAX_BEHIND:
            await self.step_writer.settled(self, self.reported - MAX_BEHIND)

    async def all_stored(self) -> None:
        """Waits until all reports so far are stored. Raises StepsNotStored."""
        await self._stored(self.reported)

    async def _stored(self, number: int) -> None:
        await self.step_writer.settled(self, number)
        if self.incomplete:
            raise StepsNotStored

    def _add_text(self) -> None:
        for piece in self._texts.take():
            self._add(TextReport(piece, self.clock.now()))

    def _add(self, item: Report) -> None:
        if self.closed:
            return
        self.step_writer.add(self, item)
        may_repeat = isinstance(item, StepEnded) and item.is_repeatable and not self.has_sent
        if not may_repeat and not isinstance(item, StepStarted):
            self.needed = self.reported


#: The reports that people watch in every run.
_WATCHED = (TextReport, PartReport)


@dataclass
class _Gathered:
    """The reports of a recorder that wait to be written."""

    recorder: JobRecorder
    #: When they are to be written, in seconds of the event loop.
    due: float
    reports: list[Report] = field(default_factory=list)


class StepWriter:
    """Writes the reports of the recorders of a process, each recorder's in order, one write at a time. Belongs to one
    event loop.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        #: What waits to be written, by the recorder's identity: in the order of `due`.
        self._waiting: dict[int, _Gathered] = {}
        #: The same, of recorders that somebody watches or whose job goes on after the write.
        self._urgent: dict[int, _Gathered] = {}
        self._timer: asyncio.Handle | None = None
        #: When the timer calls; uvloop's handle of a call that is due at once does not tell.
        self._timer_due = 0.0
        self._writing: asyncio.Task[None] | None = None
        self._watchers: list[tuple[JobRecorder, int, asyncio.Future[None]]] = []

    def add(self, recorder: JobRecorder, item: Report) -> None:
        """Takes a report, which is written within a quarter of a second, or a few milliseconds when people watch."""
        recorder.reported += 1
        key, now = id(recorder), asyncio.get_running_loop().time()
        gathered = self._urgent.get(key) or self._waiting.get(key)
        if gathered is None:
            gathered = self._waiting[key] = _Gathered(recorder, now + GATHER_UNWATCHED_SECONDS)
            self._wake_at(gathered.due)
        gathered.reports.append(item)
        if recorder.is_watched or isinstance(item, _WATCHED):
            self._hurry(key, now + GATHER_SECONDS)

    async def settled(self, recorder: JobRecorder, number: int) -> None:
        """Waits until the first `number` reports of a recorder are written or given up.

        They are written now, without gathering more.
        """
        if recorder.written >= number:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.append((recorder, number, done))
        self._hurry(id(recorder), 0)
        await done

    async def confirm(self, recorder: JobRecorder) -> None:
        """Stops the run when its job belongs to another worker by now."""
        await self._write([(recorder, [])])

    async def take(self, recorder: JobRecorder) -> Progress | None:
        """Returns the reports of an ending job that are not stored yet, for its final write; None when all
        are stored, and when they cannot be, so that the recorder is incomplete.
        """
        gathered = self._waiting.get(id(recorder)) or self._urgent.get(id(recorder))
        items = [] if gathered is None or len(gathered.reports) > MAX_TOGETHER else gathered.reports
        if items:
            self._waiting.pop(id(recorder), None)
            self._urgent.pop(id(recorder), None)
        await self.settled(recorder, recorder.reported - len(items))
        if not items:
            return None
        recorder.written += len(items)  # when the caller cannot write them, nobody writes them
        (progress,) = await _as_progress([(recorder, items)])
        if progress is None:
            recorder.incomplete = True
        return progress

    def _hurry(self, key: int, due: float) -> None:
        """Has what waits of a recorder written at `due` or before."""
        gathered = self._waiting.pop(key, None)
        if gathered is not None:
            self._urgent[key] = gathered
        elif (gathered := self._urgent.get(key)) is None or gathered.due <= due:
            return
        gathered.due = min(gathered.due, due)
        self._wake_at(gathered.due)

    def _wake_at(self, due: float) -> None:
        """Looks for what is due at this time, or earlier; a write under way looks when it is done."""
        if self._writing is not None or (self._timer is not None and self._timer_due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = asyncio.get_running_loop().call_at(due, self._begin)

    def _begin(self) -> None:
        self._timer = None
        if batch := self._take_due():
            self._writing = asyncio.get_running_loop().create_task(self._write_all(batch), name="step-writer")
        else:
            self._wake_for_next()

    def _take_due(self) -> list[_Gathered]:
        """Removes and returns what is due, with what is nearly due."""
        now = asyncio.get_running_loop().time()
        due = list(itertools.takewhile(lambda one: one.due <= now + TOGETHER_SECONDS, self._waiting.values()))
        for one in due:
            del self._waiting[id(one.recorder)]
        if any(one.due <= now for one in self._urgent.values()):
            due += self._urgent.values()
            self._urgent = {}
        return due

    def _wake_for_next(self) -> None:
        first = next(iter(self._waiting.values()), None)
        dues = [one.due for one in (*self._urgent.values(), *(() if first is None else (first,)))]
        if dues:
            self._wake_at(min(dues))

    async def _write_all(self, batch: list[_Gathered]) -> None:
        try:
            while batch:
                for together in _in_parts(batch):
                    try:
                        await self._write(together)
                    finally:
                        self._resolve_watchers()
                batch = self._take_due()
        finally:
            self._writing = None
            self._wake_for_next()

    async def _write(self, batch: list[tuple[JobRecorder, list[Report]]]) -> None:
        begun = time.monotonic()
        progress = await _as_progress(batch)
        answers = await asyncio.gather(*(self._write_one(one) for one in progress))
        for (recorder, items), answer in zip(batch, answers, strict=True):
            recorder.written += len(items)
            if answer == "stored":
                recorder.confirmed_at = begun
            elif answer == "lost":
                recorder.close()
                recorder.on_lost()
            elif answer == "refused":
                recorder.incomplete = True
                recorder.on_fault()

    async def _write_one(self, progress: Progress | None) -> Literal["stored", "lost", "refused"]:
        if progress is None:
            return "refused"
        while True:
            try:
                return "stored" if await self._database.write_joined(write_steps, progress) else "lost"
            except StorageUnavailable as error:
                if _log_throttle.may_say("steps"):
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


def _in_parts(batch: list[_Gathered]) -> Iterator[list[tuple[JobRecorder, list[Report]]]]:
    """Yields the reports, each recorder's in order, MAX_TOGETHER at a time."""
    part: list[tuple[JobRecorder, list[Report]]] = []
    room = MAX_TOGETHER
    for one in batch:
        left = one.reports
        while left:
            part.append((one.recorder, left[:room]))
            room, left = room - len(left), left[room:]
            if room <= 0:
                yield part
                part, room = [], MAX_TOGETHER
    if part:
        yield part


async def _as_progress(batch: list[tuple[JobRecorder, list[Report]]]) -> list[Progress | None]:
    """Turns reports into rows; in a thread when that takes long, as for the HTML of a page. None for a recorder whose
    reports cannot be turned into rows: those of the others are written.
    """
    reported = [recorder.with_counts(reports) for recorder, reports in batch]
    try:
        few = sum(len(one.reports) for one in reported) <= FEW
        if not few or not all(one.are_small for one in reported):
            return await asyncio.to_thread(lambda: [_find_progress(one) for one in reported])
    except Exception:
        # As when the system starts no more threads: the event loop stands still for a moment, and nothing is lost.
        log.exception("Steps are made ready on the event loop")
    return [_find_progress(one) for one in reported]


def _find_progress(reported: Reports) -> Progress | None:
    try:
        return progress_of(reported)
    except Exception:
        log.exception("Steps of %s cannot be stored", reported.job.id)
        return None


def lost_items(output: Json) -> int:
    """Returns how many items the output of a Flatten says have failed."""
    return cast("dict[str, Any]", output).get("failed_count") or 0 if isinstance(output, dict) else 0
