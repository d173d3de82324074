"""The jobs that a worker process runs: it claims, runs and ends them. Belongs to one event loop; the watchdog reads it
from its thread.

The task that handles a job is never cancelled. Only the run inside it is: by its caller, by the job's time limit,
because another worker has taken the job, or because this process stops. So the final write always happens exactly once.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from msgspec.structs import replace

from engine.core.clock import to_rfc3339
from engine.core.error_codes import JobErrorCode
from engine.core.errors import FlowInvalid, StorageUnavailable
from engine.core.log_throttle import LogThrottle
from engine.core.logging_setup import CURRENT_JOB, EACH_JOB, known
from engine.core.redaction import CURRENT_REDACTION, Redaction
from engine.core.shared_places import CURRENT_WORKSPACE
from engine.core.trace_context import CURRENT_TRACE, TraceContext
from engine.flow.data_size import data_size
from engine.flow.json_values import is_small
from engine.flow.named_secrets import NamedSecrets
from engine.flow.node_context import Json
from engine.jobs.job_values import encoded
from engine.jobs.questions import set_aside
from engine.jobs.transitions import claim, finish_many, give_back, job_error, timed_out
from engine.jobs.worker.plan_loader import PlanLoader, Prepared
from engine.jobs.worker.spans import JobSpans, Spans
from engine.jobs.worker.step_rows import redacted_error
from engine.jobs.worker.step_writer import JobRecorder, StepWriter, lost_items
from engine.run.runner import run_flow
from engine.run.steps import Recorder, RunOutcome, Services
from storage.database import Database
from storage.job_changes import Claimed, Lease, next_alone
from storage.job_ends import JobEnd

log = logging.getLogger(__name__)
each_job = logging.getLogger(EACH_JOB)
T = TypeVar("T")

#: The largest size of a result in bytes.
MAX_RESULT = 10 << 20
#: A result of so many bytes as `data_size` counts them is larger also when it has empty lists only.
SURELY_TOO_LARGE = 24 * MAX_RESULT
#: The seconds that a cancelled run has to stop.
STOP_SECONDS = 2.0

Verdict = Literal["", "cancelled", "timeout", "lost", "released", "fault"]


class AttemptServices(Services, Protocol):
    """The services of one attempt."""

    async def hide_secrets(self, named: NamedSecrets, payload: Mapping[str, Json]) -> None:
        """Hides the values of secrets in everything that is stored from now on, but for those in the payload."""
        ...


class ServicesFor(Protocol):
    """Returns the services (outbound requests, models, secrets) that one run may use."""

    def __call__(self, job: Claimed, recorder: JobRecorder) -> AttemptServices: ...


@dataclass
class Run:
    """One attempt at a job in this process. `deadline` is in seconds on the clock's `monotonic`."""

    job: Claimed
    lease: Lease
    deadline: float
    recorder: JobRecorder
    verdict: Verdict = ""
    inner: asyncio.Task[RunOutcome] | None = None
    spans: JobSpans | None = None

    def stop(self, verdict: Verdict) -> None:
        """Cancels the run; only the first reason counts."""
        if not self.verdict:
            self.verdict = verdict
            if self.inner is not None:
                self.inner.cancel()


@dataclass
class Runs:
    """All attempts of this process. The watchdog's thread reads `open`."""

    database: Database
    boot_id: str
    services_for: ServicesFor
    plan_loader: PlanLoader
    step_writer: StepWriter
    open: dict[str, Run] = field(default_factory=dict)
    stopping: bool = False
    #: Creates the spans of jobs; None when no traces are sent.
    spans: Spans | None = None
    _busy: set[asyncio.Task[Any]] = field(default_factory=set)
    _log_throttle: LogThrottle = field(default_factory=LogThrottle)

    def begin(self, jobs: Sequence[Claimed], done: Callable[[], None]) -> None:
        """Starts to handle jobs that this process has claimed; `done` is called at the end of each."""
        for job in jobs:
            self._start_task(self._carry(job), job.id).add_done_callback(lambda _: done())

    def begin_alone(self) -> None:
        """Starts to handle the jobs that must run alone in a process, one after the other."""
        self._start_task(self._carry_alone(), "alone")

    @property
    def busy(self) -> bool:
        """True while a job is handled."""
        return bool(self._busy)

    @property
    def open_attempts(self) -> set[tuple[str, int]]:
        """The jobs that are handled now, each with its attempt. May be read from any thread."""
        return {(run.job.id, run.job.attempt) for run in list(self.open.values())}

    async def carry(self, job_id: str, *, alone: bool = False) -> bool:
        """Claims a job and handles it until its end. Returns False, and at once, when there is nothing to claim."""
        if self.stopping or job_id in self.open:
            return False
        try:
            job = await self.database.write(claim, self.boot_id, job_id, alone=alone)
        except StorageUnavailable:
            if self._log_throttle.may_say("claim"):
                log.warning("Job %s could not be claimed; it stays queued", job_id)
            return False
        if job is None:
            return False
        await self._carry(job)
        return True

    async def _carry(self, job: Claimed) -> None:
        """Handles a claimed job until its end."""
        run = self._new_run(job)
        self.open[job.id] = run
        if self.stopping:
            run.stop("released")
        try:
            await self._work(run)
        except Exception:
            log.exception("Job %s fell out of its run", job.id)
            await self._end_after_fault(run)
        finally:
            run.recorder.close()
            if run.spans is not None:
                run.spans.end(run.verdict or "lost", None)
            if self.open.get(job.id) is run:
                del self.open[job.id]

    def cancel(self, job_id: str) -> None:
        """Stops a job because its caller asked for it."""
        if run := self.open.get(job_id):
            run.stop("cancelled")

    async def stop(self, grace_seconds: float) -> None:
        """Claims nothing more, lets jobs end for `grace_seconds`, then puts the rest back into the queue."""
        self.stopping = True
        if self._busy:
            await asyncio.wait(self._busy, timeout=grace_seconds)
        self.release_all()
        if self._busy:
            await asyncio.wait(self._busy, timeout=2 * STOP_SECONDS)

    def release_all(self) -> None:
        """Stops every run and puts its job back into the queue."""
        for run in list(self.open.values()):
            run.stop("released")

    def _start_task(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)
        return task

    async def _carry_alone(self) -> None:
        while not self.stopping:
            try:
                job_id = await self.database.read(next_alone)
            except StorageUnavailable:
                return
            if job_id is None or not await self.carry(job_id, alone=True):
                return

    def _new_run(self, job: Claimed) -> Run:
        lease = Lease(self.boot_id, job.attempt)
        left = max(0, job.limit_ms - job.elapsed_ms) / 1000
        recorder = JobRecorder(
            self.step_writer,
            job,
            lease,
            Redaction(),
            self.database.clock,
            on_lost=lambda: self._stop_run(job.id, job.attempt, "lost"),
            on_fault=lambda: self._stop_run(job.id, job.attempt, "fault"),
        )
        return Run(job, lease, self.database.clock.monotonic() + left, recorder)

    def _stop_run(self, job_id: str, attempt: int, verdict: Verdict) -> None:
        run = self.open.get(job_id)
        if run is not None and run.job.attempt == attempt:
            run.stop(verdict)

    async def _work(self, run: Run) -> None:
        try:
            prepared = self.plan_loader.prepare_at_once(run.job)
            if prepared is None:
                prepared = await self.database.read(self.plan_loader.prepare, run.job)
            run.recorder.done |= {key.node_id for key in prepared.kept if not key.index and not key.is_inner}
            run.recorder.failed_before = _failed_before(prepared)
            run.recorder.take_parts(prepared.parts)
        except FlowInvalid as error:
            await self._end(run, "failed", error=_no_plan(error))
            return
        if run.deadline <= self.database.clock.monotonic():
            await self._end(run, "failed", error=timed_out(run.job.limit_ms, run.job.attempt))
            return
        services = self.services_for(run.job, run.recorder)
        if prepared.plan.named_secrets:
            await services.hide_secrets(prepared.plan.named_secrets, prepared.payload)
        run.inner = self._start(run, prepared, services)
        if run.verdict:
            run.inner.cancel()
        await self._until_done(run, run.inner)
        await self._conclude(run, run.inner)

    async def _until_done(self, run: Run, inner: asyncio.Task[RunOutcome]) -> None:
        """Returns when the run has ended, or does not stop within STOP_SECONDS after its time limit."""
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()

        def end(_task: object = None) -> None:
            if not over.done():
                over.set_result(None)

        def time_out() -> None:
            nonlocal timer
            if inner.done():
                return
            run.verdict = "timeout"
            inner.cancel()
            timer = loop.call_later(STOP_SECONDS, end)

        timer = loop.call_later(max(0.0, run.deadline - self.database.clock.monotonic()), time_out)
        inner.add_done_callback(end)
        await over
        timer.cancel()

    def _start(self, run: Run, prepared: Prepared, services: Services) -> asyncio.Task[RunOutcome]:
        job = run.job
        trace = TraceContext.loads(job.trace)
        recorder: Recorder = run.recorder
        if self.spans is not None:
            run.spans = recorder = self.spans.of_job(job, trace, run.recorder)
            trace = run.spans.trace
        context = contextvars.copy_context()
        context.run(CURRENT_JOB.set, job.id)
        context.run(CURRENT_TRACE.set, trace)
        context.run(CURRENT_REDACTION.set, run.recorder.redaction)
        context.run(CURRENT_WORKSPACE.set, job.workspace_id)
        return asyncio.get_running_loop().create_task(
            run_flow(
                prepared.plan,
                prepared.payload,
                system={
                    "flow_id": job.flow_id,
                    "flow_version": job.flow_version,
                    "job_id": job.id,
                    "timestamp": to_rfc3339(job.started_at),  # the same in every attempt, and after a pause
                },
                services=services,
                recorder=recorder,
                kept=prepared.kept,
                options=replace(prepared.options, deadline=run.deadline),
                clock=self.database.clock,
            ),
            name=f"run {job.id}",
            context=context,
        )

    async def _conclude(self, run: Run, inner: asyncio.Task[RunOutcome]) -> None:
        outcome = inner.result() if inner.done() and not inner.cancelled() and inner.exception() is None else None
        if not inner.done():
            run.recorder.close()  # it does not stop: later reports are dropped
        if run.verdict == "timeout":
            await self._end(run, "failed", error=timed_out(run.job.limit_ms, run.job.attempt))
        elif outcome is not None and outcome.status == "completed":
            await self._complete(run, outcome.result)
        elif outcome is not None and outcome.error is not None and run.verdict != "cancelled":
            await self._end(run, "failed", error=redacted_error(outcome.error, run.recorder.redaction))
        elif run.verdict == "cancelled":
            await self._end(run, "cancelled")
        elif outcome is not None and outcome.status == "waiting" and run.verdict != "lost":
            await self._set_aside(run)
        elif run.verdict == "released":
            await run.recorder.all_stored()
            await self._until_stored(lambda: self.database.write(give_back, run.job.id, run.lease))
        elif run.verdict != "lost":
            log.error("Job %s stopped because of a fault", run.job.id, exc_info=_exception_of(inner))
            await self._end(run, "failed", error=_fault(run))

    async def _complete(self, run: Run, result: Json) -> None:
        redaction = run.recorder.redaction
        if is_small(result):
            text, size = _as_result(result, redaction)
        else:
            text, size = await asyncio.to_thread(_as_result, result, redaction)
        if size > MAX_RESULT:
            error = job_error(
                JobErrorCode.RESULT_TOO_LARGE,
                f"The result has {size:,} bytes; it may have {MAX_RESULT:,} (10 MiB).",
                why="Callers would have to download all of it.",
                remedy="Return less in API Output, for example a list of parts instead of whole pages.",
                attempts=run.job.attempt,
            )
            await self._end(run, "failed", error=error)
        else:
            await self._end(run, "completed", result=(text, size))

    async def _set_aside(self, run: Run) -> None:
        """Gives the job away until a person answers one of its questions."""
        await run.recorder.all_stored()
        questions = tuple(run.recorder.open_questions)
        if not await self._until_stored(lambda: self.database.write(set_aside, run.job.id, run.lease, questions)):
            log.warning("Job %s was taken over while it asked a person", run.job.id)
            return
        if run.spans is not None:
            run.spans.end("waiting", None)
        if each_job.isEnabledFor(logging.INFO):
            each_job.info("Job waits for a person", extra=known(**_log_fields(run, "waiting", None)))

    async def _end(
        self, run: Run, status: str, *, error: dict[str, Any] | None = None, result: tuple[str, int] | None = None
    ) -> None:
        progress = await self.step_writer.take(run.recorder)
        if status == "completed" and run.recorder.incomplete:
            status, error, result = "failed", _fault(run), None
        end = JobEnd(
            run.job.id,
            status,
            run.lease,
            error,
            result,
            progress,
            stop_steps=run.recorder.may_have_running_steps,
            of=(run.job.workspace_id, run.job.environment),
        )
        if not await self._until_stored(lambda: self.database.write_joined(finish_many, end)):
            log.warning("Job %s was taken over; what this worker found is dropped", run.job.id)
            return
        if run.spans is not None:
            run.spans.end(status, error["code"] if error else None)
        if each_job.isEnabledFor(logging.INFO):
            each_job.info("Job %s", status, extra=known(**_log_fields(run, status, error)))

    async def _end_after_fault(self, run: Run) -> None:
        """Ends a job that fell out of its run: again and again, since nobody else may end it while this process lives."""
        run.recorder.incomplete = True  # the reports of an end that was refused are lost, so steps may seem to run
        pause = 0.2
        while True:
            try:
                return await self._end(run, "failed", error=_fault(run))
            except Exception:
                log.exception("The end of job %s was not stored", run.job.id)
            if self.stopping:
                return None  # others take it when this process has ended
            await asyncio.sleep(pause)
            pause = min(60.0, pause * 2)

    async def _until_stored(self, write: Callable[[], Awaitable[T]]) -> T:
        """Repeats a write until storage accepts it: the job stays with this worker, since its lease holds."""
        pause = 0.2
        while True:
            try:
                return await write()
            except StorageUnavailable as error:
                if self._log_throttle.may_say("end"):
                    log.warning("The ends of jobs cannot be stored yet: %s", error)
                await asyncio.sleep(pause)
                pause = min(5.0, pause * 2)


def _failed_before(prepared: Prepared) -> int:
    """Returns how many items failed in lists that an earlier attempt completed, or before the job was set aside: these
    items do not run again.
    """
    nodes = prepared.plan.nodes
    closed = sum(
        lost_items(output)
        for key, output in prepared.kept.items()
        if (planned := nodes.get(key.node_id)) is not None and planned.closes_list
    )
    given_up = {
        (nodes[key.node_id].around[-1], key.index)
        for key, error in prepared.options.gave_up.items()
        if error is not None and key.index and key.node_id in nodes and nodes[key.node_id].around
    }
    return max(closed, len(given_up))


def _as_result(result: Json, redaction: Redaction) -> tuple[str, int]:
    if not is_small(result) and (size := data_size(result)) > SURELY_TOO_LARGE:
        return "", size
    text, size = encoded(result)
    return redaction.known_in_json(text), size


def _log_fields(run: Run, status: str, error: dict[str, Any] | None) -> dict[str, Any]:
    """Returns the fields of the log line of a job that ended."""
    job = run.job
    fields = {"job_id": job.id, "flow_id": job.flow_id, "flow_version": job.flow_version, "attempt": job.attempt}
    return {**fields, "status": status, "code": error["code"] if error else None}


def _exception_of(inner: asyncio.Task[RunOutcome]) -> BaseException | None:
    return inner.exception() if inner.done() and not inner.cancelled() else None


def _fault(run: Run) -> dict[str, Any]:
    return job_error(
        JobErrorCode.NODE_FAILED,
        "The job stopped because of a fault in Flowport.",
        why="It is written in the server's log with this job's id.",
        remedy="Send the request again. If it stays, report it.",
        attempts=run.job.attempt,
    )


def _no_plan(error: FlowInvalid) -> dict[str, Any]:
    first = error.problems[0]
    return job_error(
        JobErrorCode.NODE_FAILED,
        f"This version of the flow cannot run: {first.message}",
        why="It has a problem that this Flowport does not accept.",
        remedy="Open the flow, mend the problem and deploy it again.",
        node=(first.node_id, first.node_id) if first.node_id else None,
    )
