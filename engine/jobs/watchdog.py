"""The watchdog of a worker: a thread beside the event loop that ends what the loop itself cannot end.

A node that blocks the loop stops every job of its process, and with it every time limit. So: when the loop has not answered for
a while and a job is past its limit, or when it has not answered for very long, this process is given up. Jobs past their limit
are written down as failed with `timeout`, the job whose code holds the loop too; all others go back into the queue unpunished,
and the process ends at once. Its supervisor starts another.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from engine.errors import Refusal
from engine.jobs.changes import finish, give_back, job_error, timed_out
from engine.jobs.runs import Run, Runs
from engine.log_lines import CURRENT_JOB
from storage.database import Database

log = logging.getLogger(__name__)

TICK_SECONDS = 0.25
#: A loop that has not answered for so many ticks (2 s) is blocked. Ticks, not time: a process that was stopped is not.
BLOCKED_TICKS = 8
#: A loop that has not answered for so many ticks (20 s) is given up even when no job is past its limit.
GIVEN_UP_TICKS = 80
#: The loop has so many seconds to end a job by itself after its limit.
OVERDUE_SECONDS = 2.5
EXIT_BLOCKED = 75


@dataclass
class Watchdog:
    """Watches one loop. `give_up(exit code)` ends the process without waiting for anything."""

    database: Database
    runs: Runs
    loop: asyncio.AbstractEventLoop
    give_up: Callable[[int], None]
    _stop: threading.Event = field(default_factory=threading.Event)
    _owners: weakref.WeakKeyDictionary[asyncio.Task[Any], str] = field(default_factory=weakref.WeakKeyDictionary)
    _answered: bool = True
    _silent_ticks: int = 0

    def start(self) -> None:
        """Begins to watch. Call before the first job."""
        self.loop.set_task_factory(self._make_task)
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Watches no more."""
        self._stop.set()

    def _make_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        """Remembers which job a task belongs to: a thread cannot ask for the context of another's task."""
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
        context = options.get("context")
        job_id = context.get(CURRENT_JOB) if context is not None else CURRENT_JOB.get()
        if job_id is not None:
            self._owners[task] = job_id
        return task

    def _watch(self) -> None:
        while not self._stop.wait(TICK_SECONDS):
            try:
                self._look()
            except Exception:
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
        blocking = self._blocking_job()
        log.error("The event loop is blocked by job %s; this worker process ends and another takes over", blocking)
        for run in list(self.runs.open.values()):
            try:
                if run in overdue:
                    error = timed_out(run.job.limit_ms, run.job.attempt)
                    self.database.write_now(finish, run.job.id, "failed", holder=run.holder, error=error)
                elif run.job.id == blocking:
                    self.database.write_now(finish, run.job.id, "failed", holder=run.holder, error=_blocked(run))
                elif blocking is not None:
                    self.database.write_now(give_back, run.job.id, run.holder)
                # Nobody knows who blocks: every job may be it, so the attempt counts and the reaper takes them.
            except Refusal as refusal:
                log.warning("Job %s is left to the reaper: %s", run.job.id, refusal)
        self.give_up(EXIT_BLOCKED)

    def _blocking_job(self) -> str | None:
        task = asyncio.current_task(self.loop)
        return self._owners.get(task) if task is not None else None


def _blocked(run: Run) -> dict[str, Any]:
    running = sorted(run.recorder.running.items(), key=lambda item: item[1])
    node_id = running[-1][0].node_id if running else None
    return job_error(
        "timeout",
        "A step of this job did not give control back, so it was stopped.",
        why="It kept the worker from doing anything else.",
        remedy="Make the step's work smaller. If it stays, report it.",
        attempts=run.job.attempt,
        node=(node_id, node_id) if node_id else None,
    )
