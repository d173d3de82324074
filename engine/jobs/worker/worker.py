"""The worker process: takes jobs from the queue and runs them. It is started as `app.py worker` or as a child of the
server.

Threads: the main thread reads signals and the supervisor's pipe and does periodic work; the thread `engine` runs the
event loop with every run; Huey's dispatcher hands job ids over; the watchdog and the database's writer have a thread
each. On SIGTERM the worker claims nothing more and its jobs have 20 s to end. The rest goes back into the queue, and
its attempt does not count.

A step whose thread goes on after the step's time limit can only be ended together with its process. Then the worker
claims nothing more and tells its supervisor, which starts another worker. It gives its jobs a minute to end, and puts
the rest back into the queue in the same way.

The lock file of a worker that ends by an error, or that could not give all its jobs back, is kept: its lock is free when
the process has ended, and then others take these jobs at once. None of them is the cause, as their code runs on the event
loop and in threads, and its errors end there.

A process that is out of descriptors goes on: what needs one is tried again. It takes no more jobs at a time than its limit
is enough for (`slots_within`).

A worker without a supervisor starts the worker process for jobs that must run alone by itself (`Beside`), and ends it
when it ends.
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
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeVar

from engine.browser.browser import browser_of
from engine.core.clock import Clock
from engine.core.errors import Refusal, StorageUnavailable
from engine.core.garbage import collect_garbage_seldom
from engine.core.log_throttle import LogThrottle
from engine.core.logging_setup import log_to_stderr
from engine.core.settings import Settings
from engine.core.version import VERSION
from engine.flow.node_type import Catalog
from engine.jobs.at_work import AtWork
from engine.jobs.huey_queue import Dispatch
from engine.jobs.notifier import NOTIFIER
from engine.jobs.outbound_rules import outbound_rules
from engine.jobs.questions import expire_due
from engine.jobs.transitions import FORGOTTEN_MS, claim_many, give_back, send_forgotten
from engine.jobs.webhook_delivery import Webhooks
from engine.jobs.worker.plan_loader import PlanLoader
from engine.jobs.worker.runs import Runs
from engine.jobs.worker.spans import Spans
from engine.jobs.worker.step_services import Outside
from engine.jobs.worker.step_writer import StepWriter
from engine.jobs.worker.threads import Threads
from engine.jobs.worker.watchdog import Watchdog
from engine.jobs.worker_locks import Lock, Reaper, new_boot, ready_for_upgrade
from engine.knowledge.indexer import Indexer
from engine.knowledge.reading import Tools
from engine.models.client import Models
from engine.models.saved_connections import open_connection
from engine.nodes import CATALOG
from engine.outbound.client import OutboundClient
from engine.outbound.otlp import open_tracer_provider
from engine.sandbox.pool import Sandbox
from engine.secrets.opening import open_all, open_for_step, open_vault_of
from engine.tool_servers.saved_servers import open_tool_server
from storage.database import Database
from storage.database_note import put_note
from storage.idempotency import remove_old_answers
from storage.job_changes import Claimed, Lease, held_jobs
from storage.opening import open_database
from storage.questions import has_due_question
from storage.queue import has_messages
from storage.workers import beat, insert_worker, remove_worker

if TYPE_CHECKING:
    from storage.postgres.process_link import Link

log = logging.getLogger(__name__)
T = TypeVar("T")

#: The largest number of jobs that one process runs at a time.
SLOTS = 5_000
#: The descriptors of a process that runs no job: database, pipes, evaluators and a reserve, in a few kinds up to all of
#: them; and those of a job, as most have one connection open at a time.
OWN_DESCRIPTORS, DESCRIPTORS_OF_JOB = 128, 2
#: The interval in seconds at which a thread that computes gives up the interpreter lock when another one waits for it.
#: With Python's 5 ms the writer would wait that long after each of its statements while the event loop is busy.
SWITCH_SECONDS = 0.0005
#: The longest time in seconds that the dispatcher waits for an answer of the event loop.
LAG_SECONDS = 1.0
GRACE_SECONDS = 20.0
#: The seconds that jobs have to end when the server has died and this worker is its child.
ORPHAN_GRACE_SECONDS = 5.0
#: The most seconds until the worker for jobs that must run alone has ended.
BESIDE_SECONDS = 45.0
#: The seconds that other jobs have to end in a worker with a step that cannot be ended.
DRAIN_SECONDS = 60.0
#: The seconds in which an ending process sends its last spans.
SEND_SPANS_SECONDS = 2.0
#: The exit code of a process that ends because of a step that cannot be ended.
EXIT_DRAINED = 76
PERIODIC_SECONDS = 1.0
#: The interval in which the queue is polled. With a supervisor's pipe, polling only makes up for lost wake-ups.
POLL_SECONDS = 0.2
POLL_WITH_PIPE_SECONDS = 2.0
#: A heartbeat is a commit, and after each commit every open page looks for changes. The lock file tells who lives.
BEAT_SECONDS = 10.0
#: The interval in which secrets are looked up that log lines must not show.
SECRETS_SECONDS = 5.0
#: With PostgreSQL a worker whose lock is lost and that does not beat for 10 s is taken for dead.
SHARED_BEAT_SECONDS = 2.0
#: How often in a row a job that this worker holds may be without a run before it is given back.
LOST_LOOKS = 3
FORGET_SECONDS = 600.0


class Beside(Protocol):
    """What starts another worker process for jobs that must run alone, in a worker that no supervisor started."""

    def start(self) -> None:
        """Begins to look for such jobs."""
        ...

    def terminate(self) -> object:
        """Starts no more processes, and sends SIGTERM to the one that runs. After a second one it gives its job no time."""
        ...

    def stop(self) -> None:
        """Does the same, and returns when the process has ended, within 40 s."""
        ...


@dataclass
class WorkerOptions:
    """What tests and the supervisor set. `pipes`: commands are read from stdin, and notifications written to stdout.

    `alone`: the worker runs the jobs under which two workers died, one at a time, and ends when there is none. `beside`
    makes what starts such a worker when this one has no supervisor that does; it is called with the opened database.
    """

    pipes: bool = False
    alone: bool = False
    beside: Callable[[Database], Beside] | None = None
    slots: int = SLOTS
    grace_seconds: float = GRACE_SECONDS
    drain_seconds: float = DRAIN_SECONDS
    catalog: Catalog = field(default_factory=lambda: CATALOG)
    clock: Clock | None = None
    #: Environment variables; those of OpenTelemetry say whether and where traces are sent.
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


def run_worker(settings: Settings, options: WorkerOptions | None = None) -> int:
    """Runs a worker until SIGTERM, SIGINT or the end of the supervisor's pipe. Returns the exit code."""
    options = options or WorkerOptions()
    notices = _take_stdout() if options.pipes else None
    # After a power cut a job whose claim, steps or end are not on disk yet goes on from what is there, so none of them waits
    # for the disk. Acceptance does, and it writes everything before it, too.
    database = open_database(
        settings.data,
        url=settings.database_url,
        clock=options.clock,
        durable=False,
        keep_out=lambda: ready_for_upgrade(settings),
    )
    if settings.database_url is not None:
        put_note(settings.data, settings.database_url)
    boot_id, lock = new_boot(settings.data)
    try:
        worker = _Worker(settings, options, database, boot_id, lock, notices)
    except BaseException:  # it has no jobs yet
        database.close()
        lock.release()
        raise
    try:
        code = worker.work()
    except Exception as error:
        log.critical("The worker ends by an error: %s", error, exc_info=not isinstance(error, Refusal))
        if not isinstance(error, MemoryError):  # which a job may have caused
            worker.at_work.end_without_cause()
        _exit_at_once(1)  # its jobs run until then, and the lock is held as long
    if worker.holds_jobs:
        log.warning("Some jobs could not be put back into the queue; other workers take them")
        worker.at_work.end_without_cause()
    else:
        lock.release()
    database.close()
    if code == EXIT_DRAINED and not options.pipes:
        _start_again()  # no supervisor does it
    if worker.outside.threads.left_behind:
        _exit_at_once(code)
    return code


class _Worker:
    """One worker process. It is also the JobNotifier of its process (`engine.jobs.notifier`)."""

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
        self._notices_lock = threading.Lock()
        #: Whether the server wants to know of more than the ends of jobs.
        self._is_watched = True
        self._signals: list[int] = []
        self._last_beat = self._last_hiding = self._last_cleanup = 0.0
        self._log_throttle = LogThrottle()
        self._lock = lock
        self._drain_until: float | None = None
        #: (job, attempt) that the dispatcher claimed and the event loop may not have begun yet; kept with PostgreSQL.
        self._handed_over: set[tuple[str, int]] = set()
        #: (job, attempt) -> how often in a row it was held in the database without a run here.
        self._lost: dict[tuple[str, int], int] = {}
        self.at_work = AtWork(lock.descriptor)
        self._vault = open_vault_of(settings, database)
        self._hidden: frozenset[str] | None = None
        self._signal_pipe = os.pipe()
        database.info[NOTIFIER] = self
        self.loop = _new_loop()
        threading.Thread(target=self._run_loop, name="engine", daemon=True).start()
        self.outside, self.runs = self._on_loop(self._build)
        self.webhooks = Webhooks(database, self.outside.outbound, self._vault, public_url=settings.public_url)
        tools = Tools(database, self.outside.outbound, self.outside.sandbox)
        self.indexer = Indexer(tools, self.outside.embeddings, boot_id)
        poll_seconds = POLL_WITH_PIPE_SECONDS if options.pipes else POLL_SECONDS
        self.dispatch = Dispatch(self._take_jobs, self._lag, slots=options.slots, poll_seconds=poll_seconds)
        self.link = self._join_others() if database.is_postgres else None
        if self.link is not None:
            self.outside.outbound.share_turns(self.link)
        self.reaper = self._make_reaper()
        self.beside = None if options.beside is None else options.beside(database)
        self.watchdog = Watchdog(database, self.runs, self.loop, os._exit, self.at_work, self._report_alive)

    def _join_others(self) -> Link:
        """Connects this worker with the servers and workers on other machines."""
        from engine.jobs.shared_notices import FAMILY, join_as_worker

        family = self.options.environment.get(FAMILY) if self.options.pipes else None
        return join_as_worker(self.database, self.boot_id, self, self.settings.database_direct_url, family)

    def _make_reaper(self) -> Reaper:
        if self.link is None:
            return Reaper(self.database, self.settings.data)
        from engine.jobs.shared_reaper import SharedReaper

        return SharedReaper(self.database, self.settings.data, self.link)

    # The methods of JobNotifier.

    def wake(self) -> None:
        """Wakes the dispatcher: a job was queued."""
        self.dispatch.wake()

    def cancel(self, job_id: str) -> None:
        """Asks a running job to stop."""
        self.loop.call_soon_threadsafe(self.runs.cancel, job_id)

    def changed(self, *job_ids: str) -> None:
        """Tells the supervisor that these jobs have new events, while somebody wants to know it."""
        if self._is_watched:
            self._notify_supervisor("".join(f"job {job_id}\n" for job_id in job_ids))

    def ended(self, *job_ids: str) -> None:
        """Tells the supervisor that these jobs or batches have ended."""
        self._notify_supervisor("".join(f"end {job_id}\n" for job_id in job_ids))

    # The process.

    def work(self) -> int:
        """Runs from the first claim to the end of the last job. Returns the exit code."""
        with self._listening_to_signals():
            self.database.write_now(insert_worker, self.boot_id, self.host, self.pid, version=VERSION)
            self.watchdog.start()
            self._do_periodic_work(first=True)
            collect_garbage_seldom()
            sys.setswitchinterval(SWITCH_SECONDS)
            log.info("Worker %s is ready", self.boot_id)
            self._notify_supervisor(
                f"ready {self._lock.path}\n"
            )  # the supervisor must know the lock file before the first job
            if self.options.alone:
                self._on_loop(self.runs.begin_alone)
            else:
                self.dispatch.start()
            if self.beside is not None:
                self.beside.start()
            grace = self._wait_until_stopped()
            self._stop(grace)
        return 0 if self._drain_until is None or self._signals else EXIT_DRAINED

    @property
    def holds_jobs(self) -> bool:
        """Whether jobs are still this worker's, or may be because the database does not answer."""
        try:
            return bool(self.database.read_now(held_jobs, self.boot_id))
        except StorageUnavailable:
            return True

    def _build(self) -> tuple[Outside, Runs]:
        """Builds the objects that belong to the event loop. Called on the loop."""
        vault = self._vault
        outbound = OutboundClient(outbound_rules(self.settings, self.database), renderer=browser_of)
        plan_loader = PlanLoader(self.options.catalog)
        sandbox = Sandbox()
        outside = Outside(
            database=self.database,
            outbound=outbound,
            models=Models(outbound, self.database.clock, sandbox.read_file),
            sandbox=sandbox,
            threads=Threads(self.at_work),
            open_secret=lambda session, workspace_id, secret_id: open_for_step(session, vault, workspace_id, secret_id),
            open_connection=lambda session, workspace_id, name: open_connection(session, vault, workspace_id, name),
            called_plan=plan_loader.called_plan,
            open_tool_server=lambda session, workspace_id, name: open_tool_server(session, vault, workspace_id, name),
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

    def _take_jobs(self, most: int) -> int:
        """Claims the next jobs of the queue and begins them. Returns how many messages there were. Called in the
        dispatcher's thread.
        """
        try:
            if not self.database.look_up(has_messages):  # a read, so that an idle worker never takes the write lock
                return 0
            claim = claim_many, self.boot_id, most, self.runs.open
            _, messages = self.database.write_and_hand_on(self._begin, *claim)
        except StorageUnavailable as error:
            if self._log_throttle.may_say("claim"):
                log.warning("Jobs could not be claimed; they stay queued: %s", error)
            return 0
        return messages

    def _begin(self, taken: tuple[list[Claimed], int]) -> None:
        """Has the event loop begin jobs that were claimed. Called in the thread that stored the claim."""
        claimed, _ = taken
        if claimed:
            self.dispatch.begun(len(claimed))
            if self.link is not None:
                self._hand_over(claimed)
            self.loop.call_soon_threadsafe(self.runs.begin, claimed, self.dispatch.ended)

    def _hand_over(self, claimed: Sequence[Claimed]) -> None:
        """Remembers jobs until the event loop has begun them. Called before they are."""
        keys = {(job.id, job.attempt) for job in claimed}
        self._handed_over |= keys

        def forget() -> None:  # a turn after `begin`, whose tasks run first
            self.loop.call_soon(self.loop.call_soon, self._handed_over.difference_update, keys)

        self.loop.call_soon_threadsafe(forget)

    def _lag(self) -> float:
        """Returns after how many seconds the event loop answers, at most LAG_SECONDS. Called in any other thread."""
        asked = time.monotonic()
        answered = threading.Event()
        self.loop.call_soon_threadsafe(answered.set)
        answered.wait(LAG_SECONDS)
        return time.monotonic() - asked

    def _wait_until_stopped(self) -> float:
        """Does the periodic work until a signal or the end of the pipe, or until nothing is left to do.

        Returns the grace in seconds.
        """
        sources = [self._signal_pipe[0], *([0] if self.options.pipes else [])]
        buffer = b""
        due = time.monotonic() + PERIODIC_SECONDS
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
                self._run_commands(lines)
            if time.monotonic() >= due:
                self._do_periodic_work()
                if self._shall_end():
                    return 0.0
                due = time.monotonic() + PERIODIC_SECONDS

    def _shall_end(self) -> bool:
        """True when this process shall end although no signal came."""
        if self._drain_until is None and self.outside.threads.stuck:
            self._begin_to_drain()
        elif self._drain_until is not None:
            self._notify_supervisor("drain\n")  # sent repeatedly, because the pipe may have been full
        if self._drain_until is not None and time.monotonic() >= self._drain_until:
            return True
        return not self.runs.busy and (self.options.alone or self._drain_until is not None)

    def _begin_to_drain(self) -> None:
        log.warning(
            "A step goes on after its time limit and cannot be ended alone: this worker takes no more jobs and ends within %g s",
            self.options.drain_seconds,
        )
        self._drain_until = time.monotonic() + self.options.drain_seconds
        self._notify_supervisor("drain\n")
        self.runs.stopping = True
        self.dispatch.stop()
        self._lag()  # until the event loop has begun the last jobs that were claimed, which count as busy then

    def _run_commands(self, lines: list[bytes]) -> None:
        for line in lines:
            command, _, job_id = line.decode(errors="replace").partition(" ")
            if command == "cancel":
                self.cancel(job_id)
            elif command == "watch":
                self._is_watched = True
                self._notify_supervisor("watching\n")  # readers look once more: what was changed before, nobody told
            elif command == "unwatch":
                self._is_watched = False
        self.wake()

    def _do_periodic_work(self, *, first: bool = False) -> None:
        """Does what is due once a second. When the disk is full, or this process has no descriptor left, it is tried again
        at the next call.
        """
        try:
            self._beat(first)
            reclaimed = self._reclaim()
            if not self.runs.stopping and self.dispatch.has_room:
                self.database.write_now(send_forgotten, 0 if reclaimed or first else FORGOTTEN_MS)
            if self.database.read_now(has_due_question):
                self.database.write_now(expire_due)
            held = self.database.read_now(held_jobs, self.boot_id)
            for job_id, _, cancel_requested in held:
                if cancel_requested:
                    self.cancel(job_id)
            if self.link is not None:
                self._give_back_lost({(job_id, attempt) for job_id, attempt, _ in held})
            # On the loop, where connection pools are opened: a pool that is opened at the same time would keep the old
            # rules.
            rules = outbound_rules(self.settings, self.database)
            self.loop.call_soon_threadsafe(self.outside.outbound.replace_rules, rules)
            asyncio.run_coroutine_threadsafe(self.webhooks.pass_over(), self.loop)
            if not self.options.alone and not self.runs.stopping:
                asyncio.run_coroutine_threadsafe(self.indexer.pass_over(), self.loop)
        except (StorageUnavailable, OSError) as error:
            if self._log_throttle.may_say("periodic work"):
                log.warning("What is due once a second waits: %s", error)

    def _reclaim(self) -> int:
        """Takes the jobs of workers that are gone; returns how many there were."""
        try:
            reclaimed = self.reaper.pass_over(self.boot_id)
        except OSError as error:  # the folder of the lock files needs a descriptor
            if self._log_throttle.may_say("reaper"):
                log.warning("Jobs of other workers were not looked at: %s", error)
            return 0
        if reclaimed:
            log.warning("%d jobs of a worker that is gone were taken", reclaimed)
        return reclaimed

    def _give_back_lost(self, held: set[tuple[str, int]]) -> None:
        """Gives back jobs that are this worker's in the database, and of which it knows nothing: the answer to their claim
        was lost. Between two looks this worker writes, so that each claim before them has been answered.
        """
        unknown = held - self._handed_over - self.runs.open_attempts
        self._lost = {one: self._lost.get(one, 0) + 1 for one in unknown}
        for job_id, attempt in [one for one, looks in self._lost.items() if looks >= LOST_LOOKS]:
            log.warning("Job %s was claimed without an answer, and is given back", job_id)
            self.database.write_now(give_back, job_id, Lease(self.boot_id, attempt))

    def _beat(self, first: bool) -> None:  # noqa: FBT001 - private
        at = time.monotonic()
        if first or at - self._last_beat >= (BEAT_SECONDS if self.link is None else SHARED_BEAT_SECONDS):
            late = round(self._lag() * 1_000)
            self.database.write_now(beat, self.boot_id, self.host, self.pid, version=VERSION, lag_ms=late)
            self._last_beat = at  # a heartbeat that failed is tried again a second later
        if first or at - self._last_hiding >= SECRETS_SECONDS:
            self._last_hiding = at
            self._hide_secrets()
        if first or at - self._last_cleanup >= FORGET_SECONDS:
            self._last_cleanup = at
            self.database.write_now(remove_old_answers)
            self.database.file_bytes.remove_old_drafts()  # of this machine's folder, which has perhaps no server

    def _hide_secrets(self) -> None:
        """Hides all secrets in log lines, including those added since the last call."""
        secrets = frozenset(self.database.read_now(open_all, self._vault))
        if secrets != self._hidden:
            self._hidden = secrets
            log_to_stderr(secrets, self.settings.log)

    def _stop(self, grace_seconds: float) -> None:
        """Claims nothing more, lets jobs end for `grace_seconds`, and puts the rest back into the queue."""
        self.runs.stopping = True
        self.dispatch.stop()
        waits_for = len(self.runs.open) if grace_seconds else 0
        if waits_for:
            log.info(
                "Stopping: waits up to %g s for %s; press Ctrl+C again to stop at once (what has not ended is tried again at "
                "the next start)",
                grace_seconds,
                "1 job" if waits_for == 1 else f"{waits_for:,} jobs",
            )
        ends = [asyncio.run_coroutine_threadsafe(self.runs.stop(grace_seconds), self.loop)]
        seconds = grace_seconds + 10
        if self.beside is not None:
            ends.append(ThreadPoolExecutor(1, "stop-beside").submit(self.beside.stop))
            seconds = max(seconds, BESIDE_SECONDS)
        until = time.monotonic() + seconds
        while wait(ends, timeout=PERIODIC_SECONDS).not_done and time.monotonic() < until:
            if len(self._signals) > 1:
                self.loop.call_soon_threadsafe(self.runs.release_all)
                if self.beside is not None:
                    self.beside.terminate()
            with contextlib.suppress(StorageUnavailable, OSError):
                self._beat(first=False)
        for end in ends:
            if end.done():
                end.result()  # raises what it raised
        self.watchdog.stop()
        with contextlib.suppress(StorageUnavailable):
            self.database.write_now(remove_worker, self.boot_id)
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._close(), self.loop).result(timeout=3)
        self.loop.call_soon_threadsafe(self.loop.stop)
        if self.link is not None:
            self.link.close()
        if self.runs.spans is not None:
            self.runs.spans.close(SEND_SPANS_SECONDS)
        if waits_for:
            log.info("Stopped.")

    async def _close(self) -> None:
        await self.webhooks.close()
        await self.indexer.close()
        await self.outside.close()

    def _report_alive(self) -> None:
        self._notify_supervisor("alive\n")

    def _notify_supervisor(self, line: str) -> None:
        if self._notices is None:
            return
        with self._notices_lock, contextlib.suppress(OSError):  # the server may have ended
            os.write(self._notices, line.encode())

    @contextlib.contextmanager
    def _listening_to_signals(self) -> Generator[None]:
        read_end, write_end = self._signal_pipe
        os.set_blocking(write_end, False)

        def on_signal(number: int, _frame: object) -> None:
            self._signals.append(number)
            with contextlib.suppress(BlockingIOError):
                os.write(write_end, b"!")

        # Ctrl-C sends SIGINT to the whole process group. A supervised worker ignores it: its server stops it.
        earlier = {signal.SIGTERM: signal.signal(signal.SIGTERM, on_signal)}
        earlier[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN if self.options.pipes else on_signal)
        try:
            yield
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)
            os.close(read_end)
            os.close(write_end)


def slots_within(limit: int) -> int:
    """Returns how many jobs a process that may have `limit` open files and connections takes at a time."""
    return max(1, min(SLOTS, (limit - OWN_DESCRIPTORS) // DESCRIPTORS_OF_JOB))


def _exit_at_once(code: int) -> NoReturn:
    """Ends the process although a thread still computes; a normal exit would wait for that thread."""
    logging.shutdown()
    os._exit(code)


def _start_again() -> NoReturn:
    """Runs the same program from its beginning in this process, which ends all other threads."""
    logging.shutdown()
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - our own program


def _take_stdout() -> int:
    """Reserves stdout for notifications, by sending to stderr what libraries print. Returns the descriptor for them."""
    notices = os.dup(1)
    os.set_blocking(notices, False)  # a suspended server must not block its worker
    sys.stdout.flush()
    os.dup2(2, 1)
    return notices


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
