"""Erases the data of jobs for good: their rows, and the remains of them in the database file and its write-ahead log.

`erase` marks jobs and removes their input, result and messages in the same transaction. `finish_erasing` does the rest
in writes of a few milliseconds: it deletes steps, values and events, overwrites the unused parts of database pages, and
empties the write-ahead log. Until then, queries for steps, values and events leave out those of a marked job. The next
call continues interrupted work; the server calls `finish_some` twice a minute.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.core.clock import MINUTE
from engine.core.errors import JobNotEnded, StorageUnavailable
from storage.database import Database, now
from storage.erasing import (
    can_clean,
    clean_pages,
    clear_jobs,
    last_page,
    list_copies,
    mark_erased,
    mark_finished,
    unclean_pages,
    unfinished,
)
from storage.files import drop_uses, list_only_named_by_job, remove_files
from storage.jobs import JobRow, find_job
from storage.sqlite_file import checkpoint, file_of, is_sqlite, write_anew
from storage.write_ahead_log import LogPlace, pages_since

log = logging.getLogger(__name__)

#: Rows of one write, pages of one write, and pages of one query: each takes a few milliseconds.
ROWS, PAGES, LOOKED_AT = 200, 50, 500
#: The pause after each of them, as a multiple of the time it took, in which other threads use the database.
REST = 1.0
#: The number of jobs that are finished together.
JOBS = 200
#: How often emptying the write-ahead log is tried while readers still need it, and the pause between two tries.
TRIES, PAUSE_SECONDS = 20, 0.1
#: How long a request or command that erases waits at most until the remains are removed.
WAIT_SECONDS = 10.0
#: Up to this size the file is rebuilt where single pages cannot be cleared; that blocks writers for about a second.
ANEW_BYTES = 64 << 20
#: Replaces an error's message, which may quote values.
ERASED_MESSAGE = "The message was erased with the data of the job."
#: Runs created longer ago than this are visible to every read, because no transaction takes as long.
COMMITTED = MINUTE
_KEPT = ("code", "node_id", "node_label", "item_index", "attempts")

_one_at_a_time = threading.Lock()
_thread = ThreadPoolExecutor(1, "erasing")


class Copies(Struct, frozen=True):
    """Playground runs that reuse values of the jobs to erase, found before the transaction that erases them. `until`:
    runs created later are not included.
    """

    run_ids: tuple[str, ...] = ()
    until: int = 0


def find_copies(session: Session, workspace_id: str, job_ids: Iterable[str]) -> Copies:
    """Returns the runs that `erase` needs. This is a separate read, because it scans every run created since the jobs
    and would block writers.
    """
    jobs = [job for job_id in job_ids if (job := find_job(session, workspace_id, job_id)) is not None]
    if not jobs:
        return Copies()
    found = list_copies(session, workspace_id, [job.id for job in jobs], min(job.created_at for job in jobs))
    return Copies(tuple(found), now(session) - COMMITTED)


def erase(session: Session, jobs: Iterable[JobRow], copies: Copies = Copies()) -> int:
    """Marks ended jobs, and the Playground runs that reuse their values, as erased. Returns how many were not marked
    before.

    `copies` are the runs found before the transaction; later runs are searched here. Raises JobNotEnded.
    """
    wanted = [job for job in jobs if job.data_erased_at is None]
    if not wanted:
        return 0
    workspace_id, known = wanted[0].workspace_id, [*(job.id for job in wanted), *copies.run_ids]
    since = max(copies.until, min(job.created_at for job in wanted))
    run_ids = [*copies.run_ids, *list_copies(session, workspace_id, known, since)]
    runs = [run for run_id in run_ids if (run := find_job(session, workspace_id, run_id)) is not None]
    for job in wanted:
        if not job.ended:
            raise JobNotEnded(f"{job.id} is {job.status}")
    for run in runs:
        if not run.ended:
            raise JobNotEnded(f"A run in the Playground that was made from it, {run.id}, is {run.status}")
    fresh = [*wanted, *(run for run in runs if run.data_erased_at is None)]
    for job in fresh:
        remove_files(session, list_only_named_by_job(session, job.id), unused_only=False)
        drop_uses(session, "job", job.id)
        mark_erased(session, job, _without_words(job.error))
    return len(fresh)


def _without_words(error: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {**{key: error.get(key) for key in _KEPT}, "message": ERASED_MESSAGE, "why": "", "remedy": ""}


def finish_erasing(database: Database, *, stop: threading.Event | None = None, rest: float = REST) -> bool:
    """Finishes the erasing of every marked job. Returns False when it was stopped or readers still use the log; the
    next call continues.

    `rest`: as REST. Raises StorageUnavailable.
    """
    work = _Work(database, stop or threading.Event(), rest)
    with _one_at_a_time:
        while jobs := database.read_now(unfinished, JOBS):
            if not work.on(jobs):
                return False
    return True


def is_clean(database: Database) -> bool:
    """Tells whether `finish_erasing` removes all remains. Without `sqlite_dbpage` it does so only for a small file."""
    if not is_sqlite(database.url) or database.read_now(can_clean):
        return True
    return file_of(database.url).stat().st_size <= ANEW_BYTES


def finish_some(database: Database, *, stop: threading.Event) -> None:
    """Does the work of `finish_erasing` for up to JOBS jobs, or nothing while another thread does it. `stop` ends it
    early.

    Raises StorageUnavailable.
    """
    if not _one_at_a_time.acquire(blocking=False):
        return
    try:
        if jobs := database.read_now(unfinished, JOBS):
            _Work(database, stop, REST).on(jobs)
    finally:
        _one_at_a_time.release()


async def finish_erasing_soon(database: Database, seconds: float) -> None:
    """Runs `finish_erasing` in a thread.

    Returns when it is done or after `seconds`; the thread then continues on its own.
    """
    done = asyncio.get_running_loop().run_in_executor(_thread, _finish_or_log, database)
    await asyncio.wait({done}, timeout=seconds)


def _finish_or_log(database: Database) -> None:
    try:
        finish_erasing(database)
    except Exception:
        log.exception("Erased data was not overwritten yet")


class _Work:
    """Finishes jobs together, so that the database file is searched only once for all of them."""

    def __init__(self, database: Database, stop: threading.Event, rest: float) -> None:
        self._database = database
        self._stop = stop
        self._rest = rest
        self._file = file_of(database.url)

    def on(self, jobs: list[str]) -> bool:
        """Does all steps for these jobs; returns True when no data of them is left."""
        return self._clear(jobs) and self._clean() and self._empty_log() and self._mark(jobs)

    def _clear(self, jobs: list[str]) -> bool:
        left = jobs
        while left and not self._stopped:
            left = left[self._rested(lambda left=left: self._database.write_now(clear_jobs, left, ROWS)) :]
        return not left

    def _clean(self) -> bool:
        if not is_sqlite(self._database.url):
            return True
        if not self._database.read_now(can_clean):
            return self._write_anew()
        _, place = pages_since(self._file, LogPlace())
        with self._database.reading() as snapshot:
            return self._clean_all(snapshot) and self._clean_written_since(place)

    def _clean_all(self, snapshot: Session) -> bool:
        """Cleans the pages that the file has at the time of the snapshot."""
        last = last_page(snapshot)
        for first in range(2, last + 1, LOOKED_AT):
            some = range(first, min(last + 1, first + LOOKED_AT))
            if not self._clean_some(self._rested(lambda some=some: unclean_pages(snapshot, some))):
                return False
        return True

    def _clean_some(self, unclean: Sequence[int]) -> bool:
        for begin in range(0, len(unclean), PAGES):
            if self._stopped:
                return False
            some = unclean[begin : begin + PAGES]
            self._rested(lambda some=some: self._database.write_now(clean_pages, some))
        return not self._stopped

    def _clean_written_since(self, place: LogPlace) -> bool:
        """Cleans the pages that were written after `place`. When the file shrinks or a table is rebalanced, SQLite
        moves pages with their remains, also to page numbers that were cleaned before. The last pages are cleaned in a
        transaction, so that nothing is written at the same time.
        """
        waiting: set[int] = set()
        while not self._stopped:
            written, place = pages_since(self._file, place)
            waiting |= written
            if len(waiting) <= PAGES:
                return self._database.write_alone(self._clean_last, waiting, place)
            some = [waiting.pop() for _ in range(min(LOOKED_AT, len(waiting)))]
            if not self._clean_some(self._rested(lambda some=some: self._database.read_now(unclean_pages, some))):
                return False
        return False

    def _clean_last(self, session: Session, waiting: set[int], place: LogPlace) -> bool:
        written, _ = pages_since(self._file, place)
        clean_pages(session, sorted(waiting | written))
        return True

    def _write_anew(self) -> bool:
        """Rebuilds a small file when single pages cannot be cleared, because `sqlite_dbpage` is missing. A large file
        is not rebuilt, because that would block writers for too long.
        """
        if not is_clean(self._database):
            log.warning(
                "This Python's SQLite has no `sqlite_dbpage`, so remains of erased data may stay in the unused parts of %s. "
                "To remove them, stop Flowport and run `sqlite3 %s VACUUM`, or run it with a Python whose SQLite has it.",
                self._file,
                self._file,
            )
            return True
        try:
            write_anew(self._database.url)
        except StorageUnavailable as error:
            log.info("The database was not written anew yet: %s", error.detail)
            return False
        return True

    def _empty_log(self) -> bool:
        """Empties the write-ahead log into the database file, because it contains old versions of pages."""
        if not is_sqlite(self._database.url):
            return True
        try:
            for _try in range(TRIES):
                if checkpoint(self._database.url, "truncate"):
                    return True
                if self._stop.wait(PAUSE_SECONDS):
                    break
        except StorageUnavailable as error:
            log.info("The log of the database was not emptied yet: %s", error.detail)
        return False

    def _mark(self, jobs: list[str]) -> bool:
        self._database.write_now(mark_finished, jobs)
        return True

    @property
    def _stopped(self) -> bool:
        return self._stop.is_set() or self._database.closing

    def _rested(self, work: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        answer = work()
        self._stop.wait((time.perf_counter() - begun) * self._rest)
        return answer
