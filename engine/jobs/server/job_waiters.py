"""Waiting for jobs and batches within the server: a waiting reader is notified of a change, and reads the job again.

Notifications are hints. They come from this process's own commits, and from its worker through a pipe. Changes by other
processes (the command line, a worker elsewhere) are found by reading SQLite's `data_version` every 25 ms, only while a
reader waits; with PostgreSQL the other processes tell them (`engine.jobs.shared_notices`). A reader subscribes before it
reads the job, so that it misses no change.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Self

from sqlalchemy.orm import Session

from engine.core.errors import NotFound, StorageUnavailable
from engine.core.job_status import JobStatus
from storage.database import Database
from storage.jobs import JobRow, change_numbers, find_status, get_job
from storage.sqlite_file import DataVersion, is_sqlite

LOOK_SECONDS = 0.025
#: How long changes are still looked for, and told by workers, after the last reader has gone. Opening the database anew
#: for each caller would be a tenth of the server's work for a short job. With PostgreSQL the pauses between two looks are
#: longer than this.
LINGER_SECONDS = 1.0
#: A waiting reader reads again after this many seconds, even without a notification.
READ_AGAIN_SECONDS = 5.0
#: A timer of the event loop may end a little too early; what is left then is waited for in one piece.
_LEAST_SECONDS = 0.001
#: How many ends are kept for readers that subscribe after they were told.
_ENDED_LATELY = 2_000


#: A query for the status of a job or batch by workspace and id; None: there is none.
Look = Callable[[Session, str, str], str | None]


class Changes:
    """The changes of one job, or the end of one batch, as one waiting reader receives them. `async with` begins and ends
    the subscription.
    """

    def __init__(self, waiters: JobWaiters, job_id: str, *, ends_only: bool) -> None:
        self.job_id = job_id
        self.ends_only = ends_only
        self._waiters = waiters
        #: True once a notification said that the job has ended.
        self.ended = False
        self._changed = False
        self._waiting: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        self._waiters.add(self)
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._waiters.remove(self)

    def notify(self, *, ended: bool) -> None:
        """Records that something changed. `ended`: the job has ended for certain."""
        self.ended = self.ended or ended
        self._changed = True
        self._wake()

    async def wait(self, seconds: float) -> bool:
        """Returns True as soon as something has changed since the last wait, False after `seconds`."""
        if not self._changed:
            loop = asyncio.get_running_loop()
            self._waiting = loop.create_future()
            timer = loop.call_later(seconds, self._wake)
            try:
                await self._waiting
            finally:
                timer.cancel()
                self._waiting = None
        changed, self._changed = self._changed, False
        return changed

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class JobWaiters:
    """The waiting readers by job or batch id. Belongs to one event loop; notifications may come from any thread.

    It is also the JobNotifier (`engine.jobs.notifier`) of a server that has no worker of its own.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, set[Changes]] = {}
        #: How many of them wait for more than the end of the job.
        self._watching: dict[str, int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._poller: asyncio.Task[None] | None = None
        #: True while a reader waits for whom changes were not looked for yet.
        self._has_new = False
        self._notified_at = 0.0
        #: The jobs and batches whose end was told last, in order.
        self._ended_lately: dict[str, None] = {}
        #: True when other processes tell of their changes, so that polling only makes up for notices that were lost.
        self.is_told = False
        #: Whether a reader waits for more than ends, or did so within the last LINGER_SECONDS; and who is told of it.
        self.is_watching = False
        self.tell_watching: Callable[[], object] = lambda: None

    def wake(self) -> None:
        """Does nothing: this process runs no jobs."""

    def cancel(self, job_id: str) -> None:
        """Does nothing: this process runs no jobs, and the worker that runs this one polls for cancellations."""

    def changed(self, *job_ids: str) -> None:
        """Wakes the readers of jobs that have new events, except those that wait for the end alone."""
        self._notify(job_ids, ended=False)

    def ended(self, *job_ids: str) -> None:
        """Wakes the readers of jobs or batches that have ended."""
        lately = self._ended_lately
        lately.update(dict.fromkeys(job_ids))
        for job_id in list(itertools.islice(lately, max(0, len(lately) - _ENDED_LATELY))):
            lately.pop(job_id, None)
        self._notify(job_ids, ended=True)

    def ended_lately(self, job_id: str) -> bool:
        """True when one of the last notifications said that the job has ended. A job that has just been accepted and
        whose reader has subscribed needs no other look.
        """
        return job_id in self._ended_lately

    def subscribe(self, job_id: str, *, ends_only: bool = False) -> Changes:
        """Receives the changes of a job from now on, or its end alone. Read the job after this."""
        return Changes(self, job_id, ends_only=ends_only)

    def add(self, changes: Changes) -> None:
        """Begins a subscription."""
        self._loop = asyncio.get_running_loop()
        self._waiting.setdefault(changes.job_id, set()).add(changes)
        if not changes.ends_only:
            self._watching[changes.job_id] = self._watching.get(changes.job_id, 0) + 1
            self._set_watching(is_watching=True)
        self._has_new = True
        if self._poller is None or self._poller.done():
            self._poller = self._loop.create_task(self._poll(), name="job-waiters")

    def remove(self, changes: Changes) -> None:
        """Ends a subscription."""
        mine = self._waiting[changes.job_id]
        mine.discard(changes)
        if not mine:
            del self._waiting[changes.job_id]
        if not changes.ends_only:
            self._watching[changes.job_id] -= 1
            if not self._watching[changes.job_id]:
                del self._watching[changes.job_id]
            if not self._watching and self._loop is not None:
                self._loop.call_later(LINGER_SECONDS, self._end_watching)

    def _end_watching(self) -> None:
        if not self._watching:
            self._set_watching(is_watching=False)

    def _set_watching(self, *, is_watching: bool) -> None:
        if self.is_watching != is_watching:
            self.is_watching = is_watching
            self.tell_watching()

    def look_again(self) -> None:
        """Wakes the readers that wait for more than ends: a worker tells its changes from now on, and may have made some
        before. May be called from any thread.
        """
        self.changed(*tuple(self._watching))

    def wake_all(self) -> None:
        """Wakes every reader, because the server stops. Called on the event loop."""
        self._notify_readers(tuple(self._waiting), None)

    def read_again(self) -> None:
        """Wakes every reader, because notifications may have been lost. May be called from any thread."""
        if self._loop is not None and self._waiting:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self.wake_all)

    def _notify(self, job_ids: Iterable[str], *, ended: bool) -> None:
        self._notified_at = self._database.clock.monotonic()
        readers = self._waiting if ended else self._watching
        waited_for = [job_id for job_id in job_ids if job_id in readers]
        if not waited_for or self._loop is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended, and no reader is left
            self._loop.call_soon_threadsafe(self._notify_readers, waited_for, ended)

    def _notify_readers(self, job_ids: Iterable[str], ended: bool | None) -> None:  # noqa: FBT001 - passed on by the loop
        """Wakes readers. `ended` None: the job may have ended."""
        for job_id in job_ids:
            for changes in self._waiting.get(job_id, ()):
                if ended is not False or not changes.ends_only:
                    changes.notify(ended=ended is True)

    async def _poll(self) -> None:
        """Finds changes without a notification, until no reader has waited for LINGER_SECONDS. It queries at most every
        25 ms, and only after another commit or for a new reader: the job's last commit may have been seen before.
        """
        if not is_sqlite(self._database.url):
            await self._poll_without_version()
            return
        seen: dict[str, int | None] = {}
        version = -1
        with contextlib.closing(DataVersion(self._database.url)) as data_version:
            async for _ in self._ticks(lambda: LOOK_SECONDS):
                current = data_version.read()
                is_due = current != version or self._has_new
                if is_due and self._database.clock.monotonic() - self._notified_at >= LOOK_SECONDS:
                    version, self._has_new = current, False
                    await self._compare(seen)

    async def _poll_without_version(self) -> None:
        seen: dict[str, int | None] = {}
        async for _ in self._ticks(lambda: READ_AGAIN_SECONDS if self.is_told else 10 * LOOK_SECONDS):
            await self._compare(seen)

    async def _ticks(self, pause: Callable[[], float]) -> AsyncIterator[None]:
        """Yields while a reader waits, with a pause after each, and for LINGER_SECONDS after the last one."""
        now = asyncio.get_running_loop().time
        idle_since: float | None = None
        while True:
            if self._waiting:
                idle_since = None
                yield
            elif idle_since is None:
                idle_since = now()
            elif now() - idle_since >= LINGER_SECONDS:
                return
            await asyncio.sleep(pause())

    async def _compare(self, seen: dict[str, int | None]) -> None:
        try:
            current = await self._database.read(change_numbers, tuple(self._waiting))
        except StorageUnavailable:
            return
        for job_id, sequence in current.items():
            if seen.get(job_id) != sequence:  # also for a new id: the job may have changed before this query
                self._notify_readers((job_id,), None)
        seen.clear()
        seen.update(current)


async def wait_for_end(
    database: Database, waiters: JobWaiters, workspace_id: str, job_id: str, seconds: float
) -> JobRow:
    """Returns the job when it has ended, or as it is after `seconds`.

    Raises NotFound. Holds no connection while it waits.
    """
    await wait_until_ended(database, waiters, workspace_id, job_id, seconds, go_on)
    return await database.read(get_job, workspace_id, job_id)


async def go_on() -> bool:
    """The `check` of who may always read on."""
    return True


async def wait_until_ended(
    database: Database,
    waiters: JobWaiters,
    workspace_id: str,
    job_id: str,
    seconds: float,
    check: Callable[[], Awaitable[bool]],
    look: Look = find_status,
    *,
    is_new: bool = False,
) -> None:
    """Waits until the job has ended or `seconds` have passed; the caller reads the job itself. Raises NotFound.

    After a notification that does not tell the end, only the status is queried, with `look`; with `find_batch_status` it
    waits for a batch, and with `find_status_or_waiting` also for the job to wait for a person. Of a job that is new, which
    this process has just accepted, it is not queried before the first notification. `check` is called after each
    notification: it raises when the caller may not read the job any more, and returns False to end the wait.
    """
    monotonic = database.clock.monotonic
    until = monotonic() + seconds
    async with waiters.subscribe(job_id, ends_only=True) as changes:
        if is_new and waiters.ended_lately(job_id):
            return
        while True:
            left = until - monotonic()
            if not is_new:
                status = await database.find(look, workspace_id, job_id)
                if status is None:
                    raise NotFound(f"{job_id[:100]!r} is not there any more")
                if status not in {JobStatus.QUEUED, JobStatus.PROCESSING} or left <= 0:
                    return
            is_new = False
            await changes.wait(min(max(left, _LEAST_SECONDS), READ_AGAIN_SECONDS))
            if not await check() or changes.ended:
                return
