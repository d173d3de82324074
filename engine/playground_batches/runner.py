"""Runs the rows of a Playground batch: several at once, with pause, stop, and retry of failed rows.

A batch belongs to the server and not to a browser tab. Its state is stored with every change, its rows are jobs, and a
row that is no job is stored too (`storage/playground_batches.py`), so that a restarted server continues it.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.orm import Session

from engine.actions.jobs import CheckedInput, check_beside
from engine.actions.playground_batches import PlaygroundBatch, run_in_batch
from engine.actions.principal import Principal
from engine.core.errors import (
    BatchDataGone,
    BatchRunning,
    JobNotCancellable,
    NotAllowed,
    NotFound,
    Refusal,
    Unavailable,
)
from engine.core.ids import JobId, WorkspaceId
from engine.flow.dataset_payloads import PayloadRoom
from engine.flow.references import as_text
from engine.jobs.server.job_waiters import JobWaiters, wait_for_end
from engine.jobs.submit.check_threads import CheckThreads
from engine.jobs.transitions import cancel_job
from engine.nodes.model_answers import SAME_TEXTS
from engine.playground_batches.rows import BatchInputRow, Rows
from storage.database import Database
from storage.job_changes import PLAYGROUND_SLOTS
from storage.jobs import JobRow, read_value
from storage.members import find_account, person_of
from storage.playground_batches import (
    BatchState,
    RowOutsideJobs,
    count_jobs,
    find_job_of_row,
    has_open_batch,
    is_kept,
    store_again,
    store_batch_state,
    store_end,
    store_row,
)
from storage.steps import list_warned

T = TypeVar("T")

#: The pause before what could not be read or stored is tried again, in seconds.
TRY_AGAIN_SECONDS = 1.0
#: Number of characters of a result that are kept for the table.
SHOWN = 200
#: Number of fields of a result that the table shows in a column each.
MAX_FIELDS = 12
AGAIN = frozenset({"failed", "refused", "cancelled"})
_ENDED = AGAIN | {"completed"}


@dataclass
class BatchLine:
    """One row that has started. `state` is a job's status, or `refused` when its input was invalid."""

    number: int
    title: str
    state: str = "queued"
    job_id: JobId | None = None
    text: str = ""
    #: The fields of a result that is an object, as text by name; None for another result.
    fields: Mapping[str, str] | None = None
    seconds: float | None = None
    #: The id of the row in its dataset; None for a listed row.
    dataset_row: int | None = None
    #: True when a model gave the same text for all fields of an answer.
    same_texts: bool = False

    @property
    def ended(self) -> bool:
        """True when the row will not change any more, unless it is run again."""
        return self.state in _ENDED

    def take(self, job: JobRow, result: Any, *, same_texts: bool) -> None:
        """Shows the end of the row's job."""
        self.same_texts = same_texts
        self.state = job.status
        self.seconds = ((job.completed_at or 0) - (job.started_at or job.completed_at or 0)) / 1000
        self.text = _outcome(job, result)[:SHOWN]
        self.fields = _fields(result) if job.status == "completed" else None


class BatchProgress(Struct, frozen=True):
    """The progress of a batch.

    `rate` is rows per second of running time; `left_seconds` is None while it cannot be estimated.
    """

    total: int
    done: int
    failed: int
    remaining: int
    rate: float | None
    left_seconds: float | None


@dataclass
class BatchRunner:
    """Runs each row once. `change` is increased with every change of state, so that views know when to redraw.

    `user_id` is the person on whose behalf the rows run: the batch pauses when that person may not run flows any more.
    """

    database: Database
    waiters: JobWaiters
    batch: PlaygroundBatch
    rows: Rows
    user_id: str
    #: In which inputs are checked; the whole server shares them.
    threads: CheckThreads
    state: BatchState = "running"
    lines: list[BatchLine] = field(default_factory=list)
    #: Why the server paused the batch; empty when it did not.
    trouble: str = ""
    #: True after a stop, and once failed rows are run again: rows that had not started stay out.
    closed: bool = False
    #: Number of all jobs of the batch, with those of rows that have run again since.
    jobs: int = 0
    change: int = 0
    _may_go: asyncio.Event = field(default_factory=asyncio.Event)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: Held while a change of the state is stored. The state here changes once it is stored: what could not be stored did
    #: not happen, and can be tried again.
    _changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _each: AsyncIterator[BatchInputRow] | None = None
    _ran: float = 0.0
    _since: float | None = None

    def __post_init__(self) -> None:
        """Continues with what `lines` tell: of a batch that was loaded, some rows have begun and some wait again."""
        self._again = [line for line in self.lines if line.state == "queued" and line.job_id is None]
        self._ended = 0  # in the time that `_ran` and `_since` measure
        self._begun = {_identity(line.number, line.dataset_row) for line in self.lines}
        self._numbers = {line.number for line in self.lines}

    async def go(self) -> None:
        """Runs the remaining rows until the end or a stop. Cancelling it leaves the stored state as it is."""
        if self.state != "paused":
            self._start_clock()
            self._may_go.set()
        async with asyncio.TaskGroup() as group:
            for line in [line for line in self.lines if line.job_id is not None and not line.ended]:
                group.create_task(self._wait(line))
            for _slot in range(min(PLAYGROUND_SLOTS, max(1, self.rows.total))):
                group.create_task(self._work())
        self._stop_clock()
        await _patiently(self._finish)

    async def pause(self, trouble: str = "") -> None:
        """Starts no further rows; rows that are running continue."""
        async with self._changing:
            if self.state == "running":
                await self._store("paused", self.user_id, trouble)
                self._may_go.clear()
                self._stop_clock()

    async def resume(self, user_id: str) -> None:
        """Continues after a pause, on behalf of this person."""
        async with self._changing:
            if self.state == "paused":
                await self._store("running", user_id)
                self._start_clock()
                self._may_go.set()

    async def stop(self) -> None:
        """Starts no further rows and cancels the running ones."""
        async with self._changing:
            if self.over:
                return
            await self._store("stopping", self.user_id, closed=True)
            self._may_go.set()
        for line in self.lines:
            if line.job_id is not None and not line.ended:
                await self._cancel(line.job_id)

    async def drop(self) -> None:
        """Stops a batch that nobody drives. The ends of the rows that run are not waited for."""
        await self.stop()
        async with self._changing:
            await self._end("stopped", closed=True)

    async def fail(self, trouble: str) -> None:
        """Ends the batch after an error of the server; the rows that had not started stay out."""
        self._stop_clock()
        async with self._changing:
            await self._end("stopped", trouble, closed=True)

    async def retry_failed(self, user_id: str) -> bool:
        """Queues the rows that failed, were refused or cancelled, and no others; the caller starts `go` again.

        False when there are none, or when another runner of this batch has run rows since this one was built. Raises
        BatchRunning while a batch of the flow has rows to run, and BatchDataGone.
        """
        failed = [line for line in self.lines if line.state in AGAIN]
        if not self.over or not failed:
            return False
        again = [RowOutsideJobs(line.number, "again", line.title, "", line.dataset_row) for line in failed]
        if not await self.database.write(_store_again, self.batch, user_id, again, self.jobs):
            return False
        self.user_id, self._again, self.closed = user_id, failed, True
        self._ended, self._ran = 0, 0.0
        for line in failed:
            line.state, line.text, line.seconds, line.job_id = "queued", "", None, None
        self.state, self.trouble = "running", ""
        self.change += 1
        return True

    @property
    def over(self) -> bool:
        """True when no row is running or waiting to run."""
        return self.state in {"stopped", "ended"}

    @property
    def progress(self) -> BatchProgress:
        """The current progress."""
        ended = [line for line in self.lines if line.ended]
        failed = sum(line.state in AGAIN for line in ended)
        total = self.rows.total if not self.over or self.state == "stopped" else len(self.lines)
        remaining = max(0, total - len(ended))
        ran = self._ran + (self._now() - self._since if self._since is not None else 0.0)
        rate = self._ended / ran if self._ended > 0 and ran > 0 else None
        left = remaining / rate if rate and not self.over else None
        return BatchProgress(total, len(ended) - failed, failed, remaining, rate, left)

    async def _store(self, state: BatchState, user_id: str, trouble: str = "", *, closed: bool | None = None) -> None:
        closed = self.closed if closed is None else closed
        await self.database.write(store_batch_state, self.batch.id, user_id, state, trouble, closed=closed)
        self.user_id = user_id
        self._show(state, trouble, closed=closed)

    async def _finish(self) -> None:
        async with self._changing:
            await self._end("stopped" if self.state == "stopping" else "ended", closed=self.closed)

    async def _end(self, state: BatchState, trouble: str = "", *, closed: bool) -> None:
        """Ends the batch. Rows that wait for their job, to run again, are cancelled, so that a retry takes them."""
        waiting = [line for line in self.lines if line.job_id is None and not line.ended]
        rows = [RowOutsideJobs(line.number, "cancelled", line.title, "", line.dataset_row) for line in waiting]
        await self.database.write(store_end, self.batch.id, self.user_id, state, trouble, rows, closed=closed)
        self._again = []
        for line in waiting:
            line.state = "cancelled"
        self._show(state, trouble, closed=closed)

    def _show(self, state: BatchState, trouble: str, *, closed: bool) -> None:
        self.state, self.trouble, self.closed = state, trouble, closed
        self.change += 1

    def _now(self) -> float:
        return self.database.clock.monotonic()

    def _start_clock(self) -> None:
        self._since = self._now()

    def _stop_clock(self) -> None:
        if self._since is not None:
            self._ran += self._now() - self._since
            self._since = None

    async def _work(self) -> None:
        while (found := await self._next()) is not None:
            await self._run(*found)

    async def _next(self) -> tuple[BatchLine, BatchInputRow | None] | None:
        """Returns the next row, failed rows that are run again first. None at the end and after a stop."""
        async with self._turn:
            return await _patiently(self._take_next)

    async def _take_next(self) -> tuple[BatchLine, BatchInputRow | None] | None:
        await self._may_go.wait()
        if self.state == "stopping":
            return None
        if self._again:
            return await self._take_again(self._again.pop(0))
        if self.closed:
            return None
        row = await self._next_new()
        if row is None:
            return None
        line = BatchLine(row.number, row.title, dataset_row=row.dataset_row)
        self.lines.append(line)
        self._begun.add(_identity(row.number, row.dataset_row))
        self._numbers.add(line.number)
        return line, row

    async def _take_again(self, line: BatchLine) -> tuple[BatchLine, BatchInputRow | None]:
        source = self.rows.source
        try:
            return line, await source.again(self.database, self.batch.workspace_id, line.number, line.dataset_row)
        except Unavailable:
            self._again.insert(0, line)
            raise

    async def _next_new(self) -> BatchInputRow | None:
        """Returns the next row of the source that has not begun.

        A deleted row of a dataset shifts the numbers of the later ones, which then get the next free number.
        """
        if self._each is None:
            self._each = self.rows.each(self.database, self.batch.workspace_id)
        try:
            while (row := await anext(self._each, None)) is not None:
                if _identity(row.number, row.dataset_row) not in self._begun:
                    return replace(row, number=max(self._numbers) + 1) if row.number in self._numbers else row
        except Unavailable:
            self._each = None  # one that failed yields nothing more
            raise
        return None

    async def _run(self, line: BatchLine, row: BatchInputRow | None) -> None:
        if row is None:
            await self._refuse(line, "The row is not in the dataset any more.")
            return
        try:
            batch = self.batch
            _check_size(row.payload)
            checked = await check_beside(self.threads, batch.workspace_id, batch.id, batch.document, row.payload)
            line.job_id = await self.database.write(_run_row, batch, self.user_id, row, checked)
            self.jobs += 1
        except NotAllowed:
            self._again.insert(0, line)
            await _patiently(lambda: self.pause("Whoever started it may not run flows any more."))
            return
        except Unavailable:
            line.job_id = await _patiently(lambda: self._find_job(line), pause_first=True)
            if line.job_id is None:
                self._again.insert(0, line)
                return
            self.jobs += 1
        except Refusal as refusal:
            reasons = [f"`{error.pointer}` {error.detail}" for error in refusal.errors]
            await self._refuse(line, "; ".join(reasons) or f"{refusal.title}. {refusal.detail}".strip())
            return
        self.change += 1
        if self.state == "stopping":  # the batch was stopped while this job was being submitted
            job_id = line.job_id
            await _patiently(lambda: self._cancel(job_id))
        await self._wait(line)

    async def _find_job(self, line: BatchLine) -> JobId | None:
        """Returns the job of a row whose storing was not answered: it may be stored all the same, and runs once. It is asked for
        after what was asked to be stored before, which may be under way yet.
        """
        batch = self.batch
        found = await self.database.write(find_job_of_row, batch.workspace_id, batch.id, line.number)
        return None if found is None else JobId(found)

    async def _wait(self, line: BatchLine) -> None:
        if line.job_id is None:
            return
        job, result, same_texts = await self._read_end(line.job_id)
        line.take(job, result, same_texts=same_texts)
        self._ended += 1
        self.change += 1

    async def _read_end(self, job_id: JobId) -> tuple[JobRow, Any, bool]:
        """Returns the job with its result once it has ended, however long a person takes to answer what it asks, and
        whether a model gave the same text for all fields.
        """

        async def read() -> tuple[JobRow, Any, bool]:
            job = await wait_for_end(self.database, self.waiters, self.batch.workspace_id, job_id, math.inf)
            if job.status != "completed":
                return job, None, False
            result, same_texts = await self.database.read(_read_result, job_id)
            return job, result, same_texts

        return await _patiently(read)

    async def _refuse(self, line: BatchLine, text: str) -> None:
        row = RowOutsideJobs(line.number, "refused", line.title, text[:SHOWN], line.dataset_row)
        await _patiently(lambda: self.database.write(store_row, self.batch.id, row))
        line.state, line.text = row.state, row.text
        self._ended += 1
        self.change += 1

    async def _cancel(self, job_id: JobId) -> None:
        with contextlib.suppress(JobNotCancellable, NotFound):  # the run may have ended by itself
            await self.database.write(cancel_job, self.batch.workspace_id, job_id)


async def _patiently(work: Callable[[], Awaitable[T]], *, pause_first: bool = False) -> T:
    """Returns what `work` returns. While the database cannot be read or written, it tries again; so `work` may be done
    twice.
    """
    if pause_first:
        await asyncio.sleep(TRY_AGAIN_SECONDS)
    while True:
        try:
            return await work()
        except Unavailable:
            await asyncio.sleep(TRY_AGAIN_SECONDS)


def _check_size(payload: Mapping[str, Any]) -> None:
    """Raises TooLarge for a payload that is larger than the body of a request may be."""
    room = PayloadRoom("What this row puts into the fields would take more than 10 MiB", "Fill fewer fields with it.")
    for name, value in payload.items():
        room.take(name, value)


def _identity(number: int, dataset_row: int | None) -> tuple[str, int]:
    """What stays the same of a row when others are deleted: its id in the dataset, or its number in a list."""
    return ("number", number) if dataset_row is None else ("dataset row", dataset_row)


def _store_again(
    session: Session, batch: PlaygroundBatch, user_id: str, rows: Sequence[RowOutsideJobs], jobs: int
) -> bool:
    """Stores that these rows wait to run again, unless the batch has not `jobs` jobs any more. Raises BatchRunning, and
    BatchDataGone.
    """
    if has_open_batch(session, batch.flow_id):
        raise BatchRunning
    if not is_kept(session, batch.id):
        raise BatchDataGone
    if count_jobs(session, batch.id) != jobs:
        return False
    store_again(session, batch.id, user_id, rows)
    return True


def _run_row(
    session: Session, batch: PlaygroundBatch, user_id: str, row: BatchInputRow, checked: CheckedInput | None
) -> JobId:
    """Starts the run of a row for the person with this id. Raises NotAllowed and PayloadInvalid."""
    user = find_account(session, user_id)
    if user is None or person_of(user).disabled or user.workspace_id != batch.workspace_id:
        raise NotAllowed("Whoever started the batch has no account any more")
    person = person_of(user)
    principal = Principal(WorkspaceId(person.workspace_id), person.id, person.name, person.role)
    return run_in_batch(
        session,
        principal,
        batch,
        row.payload,
        row=row.number,
        title=row.title,
        dataset_row=row.dataset_row,
        checked=checked,
    )


def answer_of(result: Any) -> Any:
    """Returns what a flow gave: of one without an API Output the value itself, which its result has under `output`."""
    return result["output"] if isinstance(result, dict) and set(result) == {"output"} else result


def _read_result(session: Session, job_id: JobId) -> tuple[Any, bool]:
    return read_value(session, job_id, "result"), bool(list_warned(session, [job_id], SAME_TEXTS))


def _fields(result: Any) -> dict[str, str] | None:
    answer = answer_of(result)
    if not isinstance(answer, dict) or not 1 <= len(answer) <= MAX_FIELDS:
        return None
    return {str(name): as_text(value)[:SHOWN] for name, value in answer.items()}


def _outcome(job: JobRow, result: Any) -> str:
    if job.status == "failed" and job.error:
        return str(job.error.get("message", ""))
    return as_text(answer_of(result))
