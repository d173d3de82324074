"""The worker process: takes jobs out of the queue and runs them. `app.py worker`, or the server's own child.

Threads: this one reads signals and the supervisor's pipe and keeps house; `engine` holds the event loop with every run;
Huey's dispatcher hands job ids over; the watchdog and the database's writer stand beside the loop. SIGTERM: nothing more is
claimed, jobs have 20 s to end, the rest goes back into the queue at once and its attempt does not count.

A step whose thread goes on after its time limit cannot be ended, only its process can: then this worker claims nothing more,
tells its supervisor, which starts another, lets its jobs end for a minute and gives the rest back in the same way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

from engine.browser.browser import browser_of
from engine.core.clock import Clock
from engine.core.errors import StorageUnavailable
from engine.core.logging_setup import log_to_stderr
from engine.core.settings import Settings
from engine.flow.node_type import Catalog
from engine.jobs.at_work import AtWork
from engine.jobs.huey_queue import Dispatch, send
from engine.jobs.notifier import BELL
from engine.jobs.outbound_rules import outbound_rules
from engine.jobs.submit.accept import forget_old_idempotency
from engine.jobs.transitions import FORGOTTEN_MS, send_forgotten
from engine.jobs.webhook_delivery import Webhooks
from engine.jobs.worker.plan_loader import PlanLoader
from engine.jobs.worker.runs import Runs
from engine.jobs.worker.spans import Spans
from engine.jobs.worker.step_services import Outside
from engine.jobs.worker.step_writer import StepWriter
from engine.jobs.worker.threads import Threads
from engine.jobs.worker.watchdog import Watchdog
from engine.jobs.worker_locks import Lock, Reaper, new_boot
from engine.models.client import Models
from engine.models.saved_connections import open_connection
from engine.nodes import CATALOG
from engine.outbound.client import OutboundClient
from engine.outbound.otlp import open_tracer_provider
from engine.secrets.opening import open_all, open_for_step
from engine.secrets.sealing import open_vault
from storage.database import Database, open_database
from storage.job_changes import held_jobs
from storage.workers import add_worker, beat, remove_worker

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Jobs in flight in one process.
SLOTS = 1_000
GRACE_SECONDS = 20.0
#: When the server is gone without a word, its child does not stay long.
ORPHAN_GRACE_SECONDS = 5.0
#: Jobs that run beside a step that cannot be ended have so long to end here.
DRAIN_SECONDS = 60.0
#: A process that ends sends its last spans for so long.
TELL_SPANS_SECONDS = 2.0
#: The exit code of a process that ends because of such a step.
EXIT_DRAINED = 76
HOUSE_SECONDS = 1.0
#: Without a supervisor's pipe the queue is looked into this often; with one, this is only a net.
POLL_SECONDS = 0.2
POLL_WITH_PIPE_SECONDS = 2.0
BEAT_SECONDS = 5.0
FORGET_SECONDS = 600.0


@dataclass
class WorkerOptions:
    """What tests and the supervisor set. `pipes`: commands are read from stdin, notices go to stdout.

    `alone`: runs the jobs that two workers died under, one at a time, and ends when there is none.
    """

    pipes: bool = False
    alone: bool = False
    slots: int = SLOTS
    grace_seconds: float = GRACE_SECONDS
    drain_seconds: float = DRAIN_SECONDS
    catalog: Catalog = field(default_factory=lambda: CATALOG)
    clock: Clock | None = None
    #: Where OpenTelemetry's own variables say whether and where traces are sent.
    environment: Mapping[str, str] = field(default_factory=dict)


def run_worker(settings: Settings, options: WorkerOptions | None = None) -> int:
    """Runs until SIGTERM, SIGINT or the end of the supervisor's pipe; returns the exit code."""
    options = options or WorkerOptions()
    notices = _take_stdout() if options.pipes else None
    database = open_database(settings.data, clock=options.clock)
    boot_id, lock = new_boot(settings.data)
    try:
        worker = _Worker(settings, options, database, boot_id, lock, notices)
        code = worker.work()
    finally:
        database.close()
        lock.release()
    if code == EXIT_DRAINED and not options.pipes:
        _start_again()  # nobody else would
    if worker.outside.threads.left_behind:
        _leave(code)
    return code


class _Worker:
    """One worker process; also its bell."""

    def __init__(
        self,
        settings: Settings,
        options: WorkerOptions,
        database: Database,
        boot_id: str,
        lock: Lock,
        notices: int | None,
    ) -> None:
        self.settings = settings
        self.options = options
        self.database = database
        self.boot_id = boot_id
        self.host, self.pid = socket.gethostname(), os.getpid()
        self._notices = notices
        self._telling = threading.Lock()
        self._signals: list[int] = []
        self._beaten = self._forgot = 0.0
        self._lock = lock
        self._drain_until: float | None = None
        self.at_work = AtWork(lock.descriptor)
        self._vault = open_vault(settings.data, settings.secret_key_file)
        self._hidden: frozenset[str] | None = None
        self._signal_pipe = os.pipe()
        database.info[BELL] = self
        self.loop = _new_loop()
        threading.Thread(target=self._run_loop, name="engine", daemon=True).start()
        self.outside, self.runs = self._on_loop(self._build)
        self.webhooks = Webhooks(database, self.outside.outbound, self._vault)
        self.reaper = Reaper(database, settings.data)
        self.watchdog = Watchdog(database, self.runs, self.loop, os._exit, self.at_work, self._say_alive)
        self.dispatch = Dispatch(
            database,
            self._hand_over,
            slots=options.slots,
            poll_seconds=POLL_WITH_PIPE_SECONDS if options.pipes else POLL_SECONDS,
        )

    # The bell.

    def wake(self) -> None:
        """There is something to run."""
        self.dispatch.wake()

    def cancel(self, job_id: str) -> None:
        """A running job shall stop."""
        self.loop.call_soon_threadsafe(self.runs.cancel, job_id)

    def changed(self, *job_ids: str) -> None:
        """Tells the supervisor."""
        self._tell("".join(f"job {job_id}\n" for job_id in job_ids))

    # The process.

    def work(self) -> int:
        """Everything from the first claim to the last release."""
        with self._listening_to_signals():
            self.database.write_now(add_worker, self.boot_id, self.host, self.pid)
            self.watchdog.start()
            self._keep_house(first=True)
            log.info("Worker %s is ready", self.boot_id)
            self._tell(f"ready {self._lock.path}\n")  # before the first job: its supervisor must know the file by then
            if self.options.alone:
                self._on_loop(self.runs.begin_alone)
            else:
                self.dispatch.start()
            grace = self._until_told_to_stop()
            self._stop(grace)
        return 0 if self._drain_until is None or self._signals else EXIT_DRAINED

    def _build(self) -> tuple[Outside, Runs]:
        """Made on the loop: the door and the models belong to it."""
        vault = self._vault
        outbound = OutboundClient(outbound_rules(self.settings, self.database), renderer=browser_of)
        plan_loader = PlanLoader(self.options.catalog)
        outside = Outside(
            database=self.database,
            outbound=outbound,
            models=Models(outbound, self.database.clock),
            threads=Threads(self.at_work),
            open_secret=lambda session, workspace_id, secret_id: open_for_step(session, vault, workspace_id, secret_id),
            open_connection=lambda session, workspace_id, name: open_connection(session, vault, workspace_id, name),
            called_plan=plan_loader.called_plan,
        )
        provider = open_tracer_provider(self.options.environment)
        spans = None if provider is None else Spans(provider, self.database.clock)
        step_writer = StepWriter(self.database)
        return outside, Runs(self.database, self.boot_id, outside.services_for, plan_loader, step_writer, spans=spans)

    def _on_loop(self, work: Callable[[], T]) -> T:
        async def do() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(do(), self.loop).result(timeout=30)

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def _hand_over(self, job_id: str, done: Callable[[], None]) -> None:
        self.loop.call_soon_threadsafe(self.runs.begin, job_id, done)

    def _until_told_to_stop(self) -> float:
        """Keeps house every second; returns how long jobs may take to end. Also when it has nothing left to do."""
        sources = [self._signal_pipe[0], *([0] if self.options.pipes else [])]
        buffer = b""
        due = time.monotonic() + HOUSE_SECONDS
        while True:
            ready, _, _ = select.select(sources, [], [], max(0.0, due - time.monotonic()))
            if self._signals:
                log.info("Stopping: %s", signal.Signals(self._signals[0]).name)
                return self.options.grace_seconds
            if 0 in ready:
                read = os.read(0, 65_536)
                if not read:
                    log.info("Stopping: the server is gone")
                    return min(ORPHAN_GRACE_SECONDS, self.options.grace_seconds)
                *lines, buffer = (buffer + read).split(b"\n")
                self._obey(lines)
            if time.monotonic() >= due:
                self._keep_house()
                if self._is_through():
                    return 0.0
                due = time.monotonic() + HOUSE_SECONDS

    def _is_through(self) -> bool:
        """True when this process shall end though nobody told it to."""
        if self._drain_until is None and self.outside.threads.stuck:
            self._begin_to_drain()
        elif self._drain_until is not None:
            self._tell("drain\n")  # again and again: the pipe was perhaps full
        if self._drain_until is not None and time.monotonic() >= self._drain_until:
            return True
        return not self.runs.busy and (self.options.alone or self._drain_until is not None)

    def _begin_to_drain(self) -> None:
        log.warning(
            "A step goes on after its time limit and cannot be ended alone: this worker takes no more jobs and ends within %g s",
            self.options.drain_seconds,
        )
        self._drain_until = time.monotonic() + self.options.drain_seconds
        self._tell("drain\n")
        self.runs.stopping = True
        self.runs.unclaimed += self.dispatch.stop()

    def _obey(self, lines: list[bytes]) -> None:
        for line in lines:
            command, _, job_id = line.decode(errors="replace").partition(" ")
            if command == "cancel":
                self.cancel(job_id)
        self.wake()

    def _keep_house(self, *, first: bool = False) -> None:
        """What is due once a second. A full disk stops none of it for good."""
        try:
            self._beat(first)
            buried = self.reaper.pass_over(self.boot_id)
            if buried:
                log.warning("%d jobs of a worker that is gone were taken", buried)
            if self.runs.stopping:
                self._send_back_unclaimed()
            elif self.dispatch.has_room:
                self.database.write_now(send_forgotten, 0 if buried or first else FORGOTTEN_MS)
            for job_id, _, cancel_requested in self.database.read_now(held_jobs, self.boot_id):
                if cancel_requested:
                    self.cancel(job_id)
            # On the loop, where lanes are opened: one that is opened meanwhile would keep the rules of before.
            rules = outbound_rules(self.settings, self.database)
            self.loop.call_soon_threadsafe(self.outside.outbound.replace_rules, rules)
            asyncio.run_coroutine_threadsafe(self.webhooks.pass_over(), self.loop)
        except StorageUnavailable as error:
            log.warning("%s", error)

    def _beat(self, first: bool) -> None:  # noqa: FBT001 - private
        at = time.monotonic()
        if first or at - self._beaten >= BEAT_SECONDS:
            self.database.write_now(beat, self.boot_id, self.host, self.pid)
            self._beaten = at  # one that could not be written is tried again a second later
            self._hide_secrets()
        if first or at - self._forgot >= FORGET_SECONDS:
            self._forgot = at
            self.database.write_now(forget_old_idempotency)

    def _hide_secrets(self) -> None:
        """Log lines never show a secret, also one that was added a moment ago."""
        secrets = frozenset(self.database.read_now(open_all, self._vault))
        if secrets != self._hidden:
            self._hidden = secrets
            log_to_stderr(secrets, self.settings.log)

    def _stop(self, grace_seconds: float) -> None:
        """Claims nothing more, lets jobs end, gives the rest back."""
        self.runs.stopping = True
        self.runs.unclaimed += self.dispatch.stop()
        stopping = asyncio.run_coroutine_threadsafe(self.runs.stop(grace_seconds), self.loop)
        until = time.monotonic() + grace_seconds + 10
        while not stopping.done() and time.monotonic() < until:
            with contextlib.suppress(TimeoutError):
                stopping.result(timeout=HOUSE_SECONDS)
            if len(self._signals) > 1:
                self.loop.call_soon_threadsafe(self.runs.release_all)
            with contextlib.suppress(StorageUnavailable):
                self._beat(first=False)
        self.watchdog.stop()
        with contextlib.suppress(StorageUnavailable):
            self._send_back_unclaimed()
            self.database.write_now(remove_worker, self.boot_id)
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._close(), self.loop).result(timeout=3)
        self.loop.call_soon_threadsafe(self.loop.stop)
        if self.runs.spans is not None:
            self.runs.spans.close(TELL_SPANS_SECONDS)

    async def _close(self) -> None:
        await self.webhooks.close()
        await self.outside.close()

    def _send_back_unclaimed(self) -> None:
        """Their messages were taken, so others would find them only after some seconds."""
        unclaimed, self.runs.unclaimed = self.runs.unclaimed, []
        if unclaimed:
            self.database.write_now(send, *unclaimed)

    def _say_alive(self) -> None:
        self._tell("alive\n")

    def _tell(self, line: str) -> None:
        if self._notices is None:
            return
        with self._telling, contextlib.suppress(OSError):  # the server may be gone
            os.write(self._notices, line.encode())

    @contextlib.contextmanager
    def _listening_to_signals(self) -> Iterator[None]:
        read_end, write_end = self._signal_pipe
        os.set_blocking(write_end, False)

        def told(number: int, _frame: object) -> None:
            self._signals.append(number)
            with contextlib.suppress(BlockingIOError):
                os.write(write_end, b"!")

        # Ctrl-C reaches the whole group of processes; a supervised worker is told by its server.
        earlier = {signal.SIGTERM: signal.signal(signal.SIGTERM, told)}
        earlier[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN if self.options.pipes else told)
        try:
            yield
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)
            os.close(read_end)
            os.close(write_end)


def _leave(code: int) -> NoReturn:
    """Ends the process though a thread of it still computes: a usual end would wait for it."""
    logging.shutdown()
    os._exit(code)


def _start_again() -> NoReturn:
    """The same program from its beginning in this process, without the threads of before."""
    logging.shutdown()
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - our own program


def _take_stdout() -> int:
    """Notices have the pipe for themselves: what a library prints goes to stderr."""
    notices = os.dup(1)
    os.set_blocking(notices, False)  # a server that stands still must not stop its worker
    sys.stdout.flush()
    os.dup2(2, 1)
    return notices


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
