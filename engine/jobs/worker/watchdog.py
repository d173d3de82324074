"""The watchdog of a worker: a thread that ends the process when the event loop is blocked.

A node that blocks the event loop stops every job of its process, and no time limit works any more. When the loop has
not responded for a while and a job is past its limit, or when it has not responded for very long, the watchdog gives
the process up. Jobs past their limit, and the job whose code blocks the loop, are stored as failed with `timeout`. All
others go back into the queue, and their attempt does not count. Then the process ends at once, and its supervisor
starts another.

Twice a second the watchdog tells the supervisor that the process is alive. Code that holds the interpreter lock stops
the watchdog too; then the supervisor ends the process.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from engine.core.error_codes import JobErrorCode
from engine.core.errors import Refusal
from engine.core.log_throttle import LogThrottle
from engine.core.logging_setup import CURRENT_JOB
from engine.jobs.at_work import AtWork
from engine.jobs.transitions import finish, give_back, job_error, timed_out
from engine.jobs.worker.runs import Run, Runs
from storage.database import Database

log = logging.getLogger(__name__)

TICK_SECONDS = 0.25
#: A loop that has not responded for this many ticks (2 s) is blocked. Ticks instead of time: a process that was suspended
#: is not.
BLOCKED_TICKS = 8
#: A loop that has not responded for this many ticks (10 s) is given up even when no job is past its limit.
GIVEN_UP_TICKS = 40
#: The number of ticks between two reports to the supervisor.
BEAT_TICKS = 2
#: The seconds that the loop has to end a job by itself after the job's limit.
OVERDUE_SECONDS = 2.5
EXIT_BLOCKED = 75


@dataclass
class Watchdog:
    """Watches one event loop.

    `give_up(exit code)` ends the process without waiting; `beat` tells the supervisor that it is alive.
    """

    database: Database
    runs: Runs
    loop: asyncio.AbstractEventLoop
    give_up: Callable[[int], None]
    at_work: AtWork
    beat: Callable[[], None]
    _stop: threading.Event = field(default_factory=threading.Event)
    _answered: bool = True
    _silent_ticks: int = 0
    _log_throttle: LogThrottle = field(default_factory=LogThrottle)

    def start(self) -> None:
        """Starts the thread, and the recording of which job runs on the loop. Call it before the first job."""
        self.loop.set_task_factory(self._make_task)
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Ends the watching."""
        self._stop.set()

    def _make_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        """Creates a task. The task of a job records the job's id while it runs (`engine.jobs.at_work`)."""
        context = options.get("context")
        job_id = context.get(CURRENT_JOB) if context is not None else CURRENT_JOB.get()
        watched = coroutine if job_id is None else self.at_work.watched(job_id, coroutine)
        return asyncio.Task(watched, loop=loop, **options)

    def _watch(self) -> None:
        for tick in itertools.count():
            if self._stop.wait(TICK_SECONDS):
                return
            if tick % BEAT_TICKS == 0:
                self.beat()
            try:
                self._look()
            except Exception:
                if self._log_throttle.may_say("look"):
                    log.exception("The watchdog stumbled")

    def _look(self) -> None:
        if self._answered:
            self._silent_ticks = 0
            self._answered = False
            self.loop.call_soon_threadsafe(self._answer)
            return
        self._silent_ticks += 1
        if self._silent_ticks < BLOCKED_TICKS:
            return
        overdue = [run for run in list(self.runs.open.values()) if time.monotonic() > run.deadline + OVERDUE_SECONDS]
        if overdue or self._silent_ticks >= GIVEN_UP_TICKS:
            self._give_up(overdue)

    def _answer(self) -> None:
        self._answered = True

    def _give_up(self, overdue: list[Run]) -> None:
        blocking = self.at_work.on_loop
        log.error("The event loop is blocked by job %s; this worker process ends and another takes over", blocking)
        for run in list(self.runs.open.values()):
            try:
                if run in overdue:
                    error = timed_out(run.job.limit_ms, run.job.attempt)
                    self.database.write_now(finish, run.job.id, "failed", lease=run.lease, error=error)
                elif run.job.id == blocking:
                    self.database.write_now(finish, run.job.id, "failed", lease=run.lease, error=_blocked(run))
                elif blocking is not None:
                    self.database.write_now(give_back, run.job.id, run.lease)
                # Without a known job, each may be the one that blocks: the attempts count, and the reaper reclaims the
                # jobs.
            except Refusal as refusal:
                log.warning("Job %s is left to the reaper: %s", run.job.id, refusal)
        self.give_up(EXIT_BLOCKED)


def _blocked(run: Run) -> dict[str, Any]:
    running = sorted(run.recorder.running.items(), key=lambda item: item[1])
    node_id = running[-1][0].node_id if running else None
    return job_error(
        JobErrorCode.TIMEOUT,
        "A step of this job did not give control back, so it was stopped.",
        why="It kept the worker from doing anything else.",
        remedy="Make the step's work smaller. If it stays, report it.",
        attempts=run.job.attempt,
        node=(node_id, node_id) if node_id else None,
    )
