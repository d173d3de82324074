"""The job queue: Huey carries job ids from the transaction that accepts a job to the workers. Only this file imports
Huey.

`send` writes a message with its own SQL statement into Huey's table, in the transaction that accepts the job. Messages
are JSON, not pickle. A worker takes a group of messages in the transaction that claims their jobs
(`engine.jobs.transitions.claim_many`); Huey itself would delete a message before it runs the task, and lose it together
with its process. A queued job whose message is gone all the same is sent again
(`engine.jobs.transitions.send_forgotten`).

Huey gives the format of the messages and the thread of the dispatcher. These parts of it are switched off here: its
signal handlers, its storage and its scheduler (each takes the database's write lock for itself), results and revocations
(a write for every job), and its polling, whose interval grows to ten seconds.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy.orm import Session

from engine.core.hidden_modules import hidden
from engine.core.log_throttle import LogThrottle
from engine.jobs.notifier import wake_workers
from storage.queue import QUEUE, add_messages, add_messages_ahead

# Huey imports the client of every database that it can keep messages in. None is used, and psycopg alone would take 8 MiB
# and a twentieth of a start.
with hidden("cysqlite", "psycopg", "redis"):
    from huey.api import Huey
    from huey.consumer import BaseProcess, Consumer, Worker
    from huey.registry import Message
    from huey.serializer import Serializer
    from huey.storage import BlackHoleStorage

log = logging.getLogger(__name__)

#: Huey stores a task's module and name in each message. These are the names that the first release stored, so that its
#: messages can still be read.
_NAMED: Final = {"name": "run_job", "__module__": "engine.jobs.queue"}
#: The largest number of messages that one transaction takes from the table, and the smallest while the worker has more to
#: do than it can.
TAKE, LEAST_TAKE = 32, 4
#: How long the event loop should be busy with the jobs of one transaction, in seconds of CPU time: jobs of others that come
#: meanwhile wait behind them.
TURN_SECONDS = 0.008
#: The number of ends after which the cost of a job is estimated anew.
_ENDS = 16
#: No job is taken while the event loop answers later than this, and the longest pause before it is asked again. A few are
#: taken all the same when none was for so long, so that work which slows the loop keeps nobody waiting for its end.
MAX_LAG_SECONDS, LONGEST_PAUSE_SECONDS, LONGEST_HOLD_SECONDS = 0.05, 0.02, 0.25


def send(session: Session, *jobs: tuple[str, str]) -> None:
    """Queues jobs within this transaction, and wakes the workers after its commit. Each is a job id and its subject: whose
    turn it takes (`storage.queue`).
    """
    if not jobs:
        return
    add_messages(session, [(message(job_id), subject) for job_id, subject in jobs])
    wake_workers(session)


def send_ahead(session: Session, *job_ids: str) -> None:
    """Queues jobs before all others: those that had their turn already, and Playground runs, for which a person waits."""
    if not job_ids:
        return
    add_messages_ahead(session, [message(job_id) for job_id in job_ids])
    wake_workers(session)


def message(job_id: str) -> bytes:
    """Returns the message that Huey stores for a job id."""
    return _PATTERN.replace(b"JOB", job_id.encode())


class JsonSerializer(Serializer):
    """Serializes Huey's messages as JSON lists."""

    def _serialize(self, data: Message) -> bytes:
        return json.dumps(list(data)).encode()

    def _deserialize(self, data: bytes) -> Message:
        return Message(*json.loads(bytes(data)))


class _Dispatcher(Worker):
    """The only thread that takes messages: in each turn it passes a group of jobs on, or waits."""

    def loop(self, now: Any = None) -> None:
        self.huey.take_turn()


class _Idle(BaseProcess):
    """Replaces Huey's scheduler thread. Nothing is ever scheduled, so it only sleeps."""

    def __init__(self, huey: Huey, stop_flag: threading.Event, interval: int, periodic: bool) -> None:  # noqa: FBT001 - Huey's call
        super().__init__(huey, stop_flag)

    def loop(self, now: Any = None) -> None:
        self.stop_flag.wait(3600)


class _Consumer(Consumer):
    worker_class = _Dispatcher
    scheduler_class = _Idle

    def _set_signal_handlers(self) -> None:
        """Does nothing: the worker process installs its own signal handlers."""


class Pace:
    """Estimates what a job costs the event loop, from the CPU time of its thread between the ends of jobs."""

    def __init__(self) -> None:
        self._cost = 0.0
        self._ends = 0
        self._since: float | None = None

    @property
    def most(self) -> int:
        """How many jobs keep the event loop busy for TURN_SECONDS, LEAST_TAKE to TAKE."""
        return TAKE if self._cost * TAKE <= TURN_SECONDS else max(LEAST_TAKE, int(TURN_SECONDS / self._cost))

    def ended(self) -> None:
        """Counts the end of a job. Called in the thread of the event loop."""
        self._ends += 1
        if self._since is None:
            self._ends, self._since = 0, time.thread_time()
        elif self._ends >= _ENDS:
            used = time.thread_time()
            self._cost += ((used - self._since) / self._ends - self._cost) / 2
            self._ends, self._since = 0, used


class Dispatch:
    """Takes jobs from the queue while fewer than `slots` run and the event loop answers at once.

    A loop with more to do than it can would only make the jobs that it has slower, and keep those of others waiting behind
    them; it gets few at a time, LONGEST_HOLD_SECONDS apart. `lag` returns after how many seconds the loop answers.

    `take(most)` is called in the dispatcher's thread. It takes up to `most` messages, tells `begun` how many jobs it begins,
    and returns the number of messages. Whoever runs the jobs calls `ended` on the event loop at the end of each.
    """

    def __init__(
        self, take: Callable[[int], int], lag: Callable[[], float], *, slots: int, poll_seconds: float
    ) -> None:
        logging.getLogger("huey").setLevel(logging.WARNING)
        self.slots = slots
        self._take = take
        self._lag = lag
        self._poll_seconds = poll_seconds
        self._busy = 0
        self._pace = Pace()
        self._lock = threading.Lock()
        self._awake = threading.Event()
        self._stopping = False
        #: When jobs were last taken, in seconds of `time.monotonic`.
        self._took_at = 0.0
        self._log_throttle = LogThrottle()
        self._huey: Any = _make_huey()
        self._huey.take_turn = self._take_turn
        self._consumer = _Consumer(self._huey, workers=1, periodic=False, check_worker_health=False)

    def start(self) -> None:
        """Starts to take messages."""
        self._consumer.start()

    def wake(self) -> None:
        """Says that there may be a new message. May be called from any thread."""
        self._awake.set()

    @property
    def has_room(self) -> bool:
        """True while fewer than `slots` jobs run."""
        return self._busy < self.slots

    def begun(self, count: int) -> None:
        """Counts jobs that take slots."""
        with self._lock:
            self._busy += count

    def ended(self) -> None:
        """Counts a slot that is free again."""
        self._pace.ended()
        with self._lock:
            was_full = self._busy >= self.slots
            self._busy -= 1
        if was_full:
            self._awake.set()

    def stop(self) -> None:
        """Stops taking messages. All that were taken have begun when this returns."""
        self._stopping = True
        self._consumer.stop()
        self.wake()
        for _, thread in self._consumer.worker_threads:
            if thread.ident is not None:  # the thread was started
                thread.join(timeout=15)

    def _take_turn(self) -> None:
        """Takes jobs once, or waits. After an error the next turn tries again: Huey would end the thread."""
        try:
            self._take_or_wait()
        except Exception:
            if self._log_throttle.may_say("take"):
                log.exception("Jobs could not be taken from the queue")
            self._awake.wait(self._poll_seconds)

    def _take_or_wait(self) -> None:
        most = min(self._pace.most if self._busy > TAKE else TAKE, self.slots - self._busy)
        if self._busy > TAKE and (lag := self._lag()) > MAX_LAG_SECONDS:
            if time.monotonic() - self._took_at < LONGEST_HOLD_SECONDS:
                time.sleep(min(lag, LONGEST_PAUSE_SECONDS))
                return
            most = min(most, LEAST_TAKE)
        self._took_at = time.monotonic()
        if self._stopping or most <= 0 or self._take(most) < most:  # fewer: no more wait
            self._awake.wait(self._poll_seconds)
            self._awake.clear()


def job_id_of(data: bytes) -> str:
    """Returns the job id of a message."""
    return Message(*json.loads(bytes(data))).args[0]


def run_job(job_id: str) -> None:
    """Gives the task its name when messages are written."""


def _make_huey() -> Huey:
    return Huey(QUEUE, results=False, serializer=JsonSerializer(), storage_class=BlackHoleStorage)


_SENDER = _make_huey()
_RUN_JOB = _SENDER.task(**_NAMED)(run_job)
#: The message of the placeholder job id `JOB`. Huey serializes it once, since messages differ in the job id only.
_PATTERN = _SENDER.serialize_task(_RUN_JOB.s("JOB", id="JOB"))
