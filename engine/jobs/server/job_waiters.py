"""Waiting for jobs and batches within the server: those who wait are told that something changed and read again.

Notices are hints. They come from this process's own commits and from its worker through a pipe; changes by other processes
(the command line, a worker elsewhere) are found by asking SQLite's `data_version` every 25 ms, only while somebody waits.
Subscribe before reading, so that no change falls between.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from sqlalchemy.orm import Session

from engine.core.errors import NotFound, StorageUnavailable
from engine.core.job_status import ENDED
from storage.database import Database
from storage.jobs import JobRow, change_numbers, find_status, get_job
from storage.sqlite_file import DataVersion, is_sqlite

LOOK_SECONDS = 0.025
#: Whoever waits reads again after so many seconds even when nothing was heard.
READ_AGAIN_SECONDS = 5.0


#: Status of a job or batch by workspace and id; None: there is none.
Look = Callable[[Session, str, str], str | None]


class Changes:
    """What one waiting reader hears about one job, or about the end of one batch."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self._event = asyncio.Event()

    def notify(self) -> None:
        """Something changed."""
        self._event.set()

    async def wait(self, seconds: float) -> bool:
        """True as soon as something changed since the last wait, False when the time is over."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class JobWaiters:
    """Job or batch id -> who waits. Belongs to one event loop; `notify` may be called from any thread.

    It is also the bell of a server without a worker of its own (`engine.jobs.notifier`).
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, set[Changes]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looker: asyncio.Task[None] | None = None
        self._told_at = 0.0

    def notify(self, job_id: str) -> None:
        """A job has a new event. From any thread."""
        self._told_at = self._database.clock.monotonic()
        loop = self._loop
        if loop is None or job_id not in self._waiting:
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended, nobody waits any more
            loop.call_soon_threadsafe(self._tell, job_id)

    def wake(self) -> None:
        """Nobody here runs jobs."""

    def cancel(self, job_id: str) -> None:
        """Nobody here runs jobs; the worker that has it looks by itself."""

    def changed(self, *job_ids: str) -> None:
        """The same as `notify`."""
        for job_id in job_ids:
            self.notify(job_id)

    @contextlib.asynccontextmanager
    async def subscribe(self, job_id: str) -> AsyncIterator[Changes]:
        """Hears of a job from now on; read the job after this."""
        self._loop = asyncio.get_running_loop()
        changes = Changes(job_id)
        self._waiting.setdefault(job_id, set()).add(changes)
        if self._looker is None:
            self._looker = self._loop.create_task(self._look(), name="job-waiters")
        try:
            yield changes
        finally:
            mine = self._waiting[job_id]
            mine.discard(changes)
            if not mine:
                del self._waiting[job_id]
            if not self._waiting and self._looker is not None:
                self._looker.cancel()
                self._looker = None

    def _tell(self, job_id: str) -> None:
        for changes in self._waiting.get(job_id, ()):
            changes.notify()

    async def _look(self) -> None:
        """Finds changes that nobody told of. One query at most every 25 ms, and only after somebody committed."""
        if not is_sqlite(self._database.url):
            await self._look_without_version()
            return
        seen: dict[str, int | None] = {}
        version = -1
        with contextlib.closing(DataVersion(self._database.url)) as data_version:
            while True:
                current = data_version.read()
                if current != version and self._database.clock.monotonic() - self._told_at >= LOOK_SECONDS:
                    version = current
                    await self._compare(seen)
                await asyncio.sleep(LOOK_SECONDS)

    async def _look_without_version(self) -> None:
        seen: dict[str, int | None] = {}
        while True:
            await self._compare(seen)
            await asyncio.sleep(10 * LOOK_SECONDS)

    async def _compare(self, seen: dict[str, int | None]) -> None:
        try:
            current = await self._database.read(change_numbers, tuple(self._waiting))
        except StorageUnavailable:
            return
        for job_id, sequence in current.items():
            if seen.get(job_id) != sequence:  # also when it is new here: it may have changed before this look
                self._tell(job_id)
        seen.clear()
        seen.update(current)


async def wait_for_end(
    database: Database, waiters: JobWaiters, workspace_id: str, job_id: str, seconds: float
) -> JobRow:
    """The job when it has ended, or as it is after so many seconds. Raises NotFound. Holds no connection meanwhile."""
    await wait_until_ended(database, waiters, workspace_id, job_id, seconds, lambda: None)
    return await database.read(get_job, workspace_id, job_id)


async def wait_until_ended(
    database: Database,
    waiters: JobWaiters,
    workspace_id: str,
    job_id: str,
    seconds: float,
    check: Callable[[], object],
    look: Look = find_status,
) -> None:
    """The same for those who read the job themselves; after each notice only its status is looked up.

    `check` is called before each look and raises when whoever waits may not any more. With `find_batch_status` as `look` it
    waits for a batch.
    """
    monotonic = database.clock.monotonic
    until = monotonic() + seconds
    async with waiters.subscribe(job_id) as changes:
        while True:
            check()
            status = database.look_up(look, workspace_id, job_id)
            if status is None:
                raise NotFound(f"{job_id[:100]!r} is not there any more")
            left = until - monotonic()
            if status in ENDED or left <= 0:
                return
            await changes.wait(min(left, READ_AGAIN_SECONDS))
