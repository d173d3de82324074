"""The doorbell: Huey carries job ids from the accept transaction to the workers. The only file that knows Huey.

A message is written by our own statement into Huey's table, in the transaction that accepts the job; it is JSON, never pickle.
Huey deletes a message before it runs, so nothing may depend on it: a queued job is sent again when nobody took it.

Huey's habits that are turned off here: signal handlers, the scheduler (it would lock the file every second), results and
revocations (a lock for every job), and polling that backs off to ten seconds.
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

#: Huey names a task by module and function, and the name is stored with each message: it stays as the first release wrote it.
_NAMED: Final = {"name": "run_job", "__module__": "engine.jobs.queue"}
#: Messages taken from the table in one transaction.
TAKE = 32


def send(session: Session, *job_ids: str) -> None:
    """Puts jobs into the queue within this transaction, and wakes workers after its commit."""
    if not job_ids:
        return
    add_messages(session, [message(job_id) for job_id in job_ids])
    wake_workers(session)


def message(job_id: str) -> bytes:
    """A job id as Huey stores it."""
    return _PATTERN.replace(b"JOB", job_id.encode())


class JsonSerializer(Serializer):
    """Messages as JSON lists."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(list(data)).encode()

    def _deserialize(self, data: bytes) -> Any:
        return Message(*json.loads(bytes(data)))


class QueueTable(BaseStorage):
    """Huey's table in our own database: waits for a wake-up instead of polling, and takes several messages at once."""

    blocking = True

    def __init__(self, name: str, *, database: Database, poll_seconds: float) -> None:
        self.awake = threading.Event()
        self.taken: deque[bytes] = deque()
        self._database = database
        self._poll_seconds = poll_seconds
        super().__init__(name)

    def dequeue(self) -> bytes | None:
        """The next message; waits at most one poll for it."""
        found = self._next()
        if found is None:
            self.awake.wait(self._poll_seconds)
            self.awake.clear()
            found = self._next()
        return found

    def peek_many(self, keys: Any) -> dict[Any, Any]:
        """No task is ever revoked: a cancelled job is refused when it is claimed."""
        return {}

    def delete_data(self, key: Any) -> bool:
        """Nothing is stored, so there is nothing to delete, and no lock to take for it."""
        return False

    def _next(self) -> bytes | None:
        if not self.taken and self._database.look_up(has_messages):
            # in the worker's own group commits: a connection of Huey's would fight with them for the lock
            self.taken.extend(self._database.write_now(take_messages, TAKE))
        return self.taken.popleft() if self.taken else None


class _Dispatcher(Worker):
    """One thread for all jobs: waits for a free slot, takes a message, hands the job id over."""

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
    """In the scheduler's place: nothing is ever scheduled."""

    def __init__(self, huey: Any, stop_flag: Any, interval: int, periodic: bool) -> None:  # noqa: FBT001 - Huey's call
        super().__init__(huey, stop_flag)

    def loop(self, now: Any = None) -> None:
        self.stop_flag.wait(3600)


class _Consumer(Consumer):
    worker_class = _Dispatcher
    scheduler_class = _Idle

    def _set_signal_handlers(self) -> None:
        """Signals belong to the worker process."""


class Dispatch:
    """Takes job ids out of the queue of a database and hands them to `run`, at most `slots` at a time.

    `run(job_id, done)` is called in the dispatcher's thread; it must return at once and call `done` when the job is over.
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
        """Begins to take messages."""
        self._consumer.start()

    def wake(self) -> None:
        """There may be a new message. From any thread."""
        self._huey.storage.awake.set()

    @property
    def has_room(self) -> bool:
        """True while another job could be taken."""
        return self._busy < self.slots

    def stop(self) -> list[str]:
        """Takes no more messages; returns the job ids that were taken out of the table but not handed over."""
        self._consumer.stop()
        self.wake()
        for _, thread in self._consumer.worker_threads:
            if thread.ident is not None:  # it was started
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
    """The name of the task; each side gives it its own body."""


def _make_huey(storage: type, **options: Any) -> Huey:
    return Huey(QUEUE, results=False, serializer=JsonSerializer(), storage_class=storage, **options)


_SENDER: Any = _make_huey(BlackHoleStorage)
_RUN_JOB: Any = _SENDER.task(**_NAMED)(run_job)
#: Every message is the same but for the job id: written by Huey once, not for every job.
_PATTERN: bytes = _SENDER.serialize_task(_RUN_JOB.s("JOB", id="JOB"))
