"""The job queue: Huey carries job ids from the transaction that accepts a job to the workers. Only this file imports
Huey.

`send` writes a message with its own SQL statement into Huey's table, in the transaction that accepts the job. Messages
are JSON, not pickle. Huey deletes a message before it runs the task, so a message can be lost together with its
process; `engine.jobs.transitions.send_forgotten` sends a queued job again when no worker has claimed it.

These parts of Huey are switched off here: its signal handlers, its scheduler (it takes the database's write lock every
second), results and revocations (a write for every job), and its polling, whose interval grows to ten seconds.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from huey.api import Huey
from huey.consumer import BaseProcess, Consumer, Worker
from huey.registry import Message
from huey.serializer import Serializer
from huey.storage import BaseStorage, BlackHoleStorage
from sqlalchemy.orm import Session

from engine.jobs.notifier import wake_workers
from storage.database import Database
from storage.queue import QUEUE, add_messages, has_messages, take_messages

#: Huey stores a task's module and name in each message. These are the names that the first release stored, so that its
#: messages can still be read.
_NAMED: Final = {"name": "run_job", "__module__": "engine.jobs.queue"}
#: The largest number of messages that one transaction takes from the table.
TAKE = 32


def send(session: Session, *job_ids: str) -> None:
    """Queues jobs within this transaction, and wakes the workers after its commit."""
    if not job_ids:
        return
    add_messages(session, [message(job_id) for job_id in job_ids])
    wake_workers(session)


def message(job_id: str) -> bytes:
    """Returns the message that Huey stores for a job id."""
    return _PATTERN.replace(b"JOB", job_id.encode())


class JsonSerializer(Serializer):
    """Serializes Huey's messages as JSON lists."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(list(data)).encode()

    def _deserialize(self, data: bytes) -> Any:
        return Message(*json.loads(bytes(data)))


class QueueTable(BaseStorage):
    """Huey's storage in Flowport's own database.

    It waits for a wake-up instead of polling, and takes up to TAKE messages at once.
    """

    blocking = True

    def __init__(self, name: str, *, database: Database, poll_seconds: float) -> None:
        self.awake = threading.Event()
        self.taken: deque[bytes] = deque()
        self._database = database
        self._poll_seconds = poll_seconds
        super().__init__(name)

    def dequeue(self) -> bytes | None:
        """Returns the next message; waits for it for at most one poll interval, then returns None."""
        found = self._next()
        if found is None:
            self.awake.wait(self._poll_seconds)
            self.awake.clear()
            found = self._next()
        return found

    def peek_many(self, keys: Any) -> dict[Any, Any]:
        """Reports no revocations: Flowport revokes no Huey task, because the claim of a cancelled job fails anyway."""
        return {}

    def delete_data(self, key: Any) -> bool:
        """Reports that nothing was deleted: results are switched off, so there is nothing to delete and no lock to
        take.
        """
        return False

    def _next(self) -> bytes | None:
        if not self.taken and self._database.look_up(has_messages):
            # among the worker's own writes: a separate connection of Huey's would compete with them for the write lock
            self.taken.extend(self._database.write_now(take_messages, TAKE))
        return self.taken.popleft() if self.taken else None


class _Dispatcher(Worker):
    """The only thread that takes messages: it waits for a free slot, takes one message and hands the job id over."""

    def loop(self, now: Any = None) -> None:
        if not self.huey.slots.acquire(timeout=0.5):
            return
        self.huey.handed_over = False
        try:
            super().loop(now)
        finally:
            if not self.huey.handed_over:
                self.huey.slots.release()


class _Idle(BaseProcess):
    """Replaces Huey's scheduler thread. Nothing is ever scheduled, so it only sleeps."""

    def __init__(self, huey: Any, stop_flag: Any, interval: int, periodic: bool) -> None:  # noqa: FBT001 - Huey's call
        super().__init__(huey, stop_flag)

    def loop(self, now: Any = None) -> None:
        self.stop_flag.wait(3600)


class _Consumer(Consumer):
    worker_class = _Dispatcher
    scheduler_class = _Idle

    def _set_signal_handlers(self) -> None:
        """Does nothing: the worker process installs its own signal handlers."""


class Dispatch:
    """Takes job ids from the queue of a database and passes each to `run`, at most `slots` at a time.

    `run(job_id, done)` is called in the dispatcher's thread. It must return at once, and call `done` (from any thread)
    when the job has ended.
    """

    def __init__(
        self, database: Database, run: Callable[[str, Callable[[], None]], None], *, slots: int, poll_seconds: float
    ) -> None:
        logging.getLogger("huey").setLevel(logging.WARNING)
        self.slots = slots
        self._busy = 0
        self._lock = threading.Lock()
        self._run = run
        self._huey: Any = _make_huey(QueueTable, database=database, poll_seconds=poll_seconds)
        self._huey.slots = threading.Semaphore(slots)
        self._huey.handed_over = False
        self._huey.task(**_NAMED)(self._hand_over)
        self._consumer = _Consumer(self._huey, workers=1, periodic=False, check_worker_health=False)

    def start(self) -> None:
        """Starts to take messages."""
        self._consumer.start()

    def wake(self) -> None:
        """Says that there may be a new message. May be called from any thread."""
        self._huey.storage.awake.set()

    @property
    def has_room(self) -> bool:
        """True while fewer than `slots` jobs run."""
        return self._busy < self.slots

    def stop(self) -> list[str]:
        """Stops taking messages. Returns the ids of jobs whose message was taken from the table but that were not
        passed to `run`.
        """
        self._consumer.stop()
        self.wake()
        for _, thread in self._consumer.worker_threads:
            if thread.ident is not None:  # the thread was started
                thread.join(timeout=15)
        taken: deque[bytes] = self._huey.storage.taken
        left = [self._huey.deserialize_task(data).data[0][0] for data in taken]
        taken.clear()
        return left

    def _hand_over(self, job_id: str) -> None:
        self._huey.handed_over = True
        with self._lock:
            self._busy += 1
        self._run(job_id, self._give_back)

    def _give_back(self) -> None:
        with self._lock:
            self._busy -= 1
        self._huey.slots.release()


def run_job(job_id: str) -> None:
    """Gives the task its name when messages are written; a consumer registers its own function under the same name."""


def _make_huey(storage: type, **options: Any) -> Huey:
    return Huey(QUEUE, results=False, serializer=JsonSerializer(), storage_class=storage, **options)


_SENDER: Any = _make_huey(BlackHoleStorage)
_RUN_JOB: Any = _SENDER.task(**_NAMED)(run_job)
#: The message of the placeholder job id `JOB`. Huey serializes it once, since messages differ in the job id only.
_PATTERN: bytes = _SENDER.serialize_task(_RUN_JOB.s("JOB", id="JOB"))
