"""The Playground batches of this server: begins them, finds them for the pages, and continues them after a restart.

Servers that share a PostgreSQL hold a lock for each batch that they drive. When a server dies, another one takes its
batches within seconds; a server on which somebody opens or uses the tab of a batch asks the one that drives it to give it
away.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Collection, Mapping
from typing import Any, Protocol

from sqlalchemy.orm import Session

from engine.actions.playground_batches import PlaygroundBatch
from engine.core.errors import Refusal
from engine.core.ids import FlowId, JobId, WorkspaceId
from engine.flow.document import load_document
from engine.jobs.notifier import on_word, tell_others
from engine.jobs.server.job_waiters import JobWaiters
from engine.jobs.submit.check_threads import CheckThreads
from engine.nodes.model_answers import SAME_TEXTS
from engine.playground_batches.rows import Rows, rows_from_json
from engine.playground_batches.runner import BatchLine, BatchRunner
from storage.batches import BatchRun, list_batch_runs
from storage.database import Database
from storage.job_results import small_results
from storage.jobs import read_value
from storage.playground_batches import (
    UNFINISHED,
    StoredBatch,
    count_jobs,
    find_newest_batch,
    find_open_batch,
    list_open_batches,
    list_rows_outside_jobs,
    store_batch_state,
)
from storage.steps import list_warned

#: Number of results that one statement reads.
CHUNK = 500

#: The word with which a server asks another one for a batch.
_GIVE = "batch"
#: How often batches without a driver are looked for, in seconds; how often a batch is asked for, and the pause between.
_LOOK_SECONDS = 3.0
_ASKS, _ASK_SECONDS = 8, 0.25

_FAILED = "Something in Flowport failed; the server's log has the details."

log = logging.getLogger(__name__)


class Locks(Protocol):
    """The locks of this server among those of a PostgreSQL (`storage.postgres.process_link`)."""

    @property
    def connected_for(self) -> float: ...
    def hold(self, name: str) -> bool: ...
    def let_go(self, name: str) -> None: ...
    def holds(self, name: str) -> bool: ...


class PlaygroundBatches:
    """Flow id -> its newest batch, for the batches that run. All tabs of a flow show the same batch."""

    def __init__(
        self,
        database: Database,
        waiters: JobWaiters,
        locks: Locks | None = None,
        threads: CheckThreads | None = None,
    ) -> None:
        """`locks`: what tells the servers of a PostgreSQL apart; None when this is the only server. `threads`: those of
        the server.
        """
        self._database = database
        self._locks = locks
        self._watching: asyncio.Task[None] | None = None
        self._waiters = waiters
        self._open: dict[str, BatchRunner] = {}
        self._resuming = asyncio.Lock()
        #: In which the inputs of rows are checked.
        self.threads = threads or CheckThreads()
        self._tasks: set[asyncio.Task[None]] = set()

    def running(self, flow_id: str) -> BatchRunner | None:
        """Returns the batch of this flow that runs or is paused."""
        return self._open.get(flow_id)

    async def newest(self, workspace_id: str, flow_id: str) -> BatchRunner | None:
        """Returns the newest batch of this flow. One with rows to run is driven by this server from now on, unless another
        one does not give it away; one that has ended is loaded from the database. None: there is none.
        """
        if (runner := self._open.get(flow_id)) is not None:
            return runner
        stored = await self._database.read(find_newest_batch, workspace_id, flow_id)
        if stored is not None and stored.state in UNFINISHED:
            await self._drive_here(stored)
        if (runner := self._open.get(flow_id)) is not None:
            return runner
        loaded = await self.as_stored(workspace_id, flow_id)
        return self._open.get(flow_id) or loaded  # another tab may have begun one meanwhile

    async def as_stored(self, workspace_id: str, flow_id: str) -> BatchRunner | None:
        """Returns the newest batch of this flow as it is stored, whoever drives it: to look at, not to act on. None: there
        is none.
        """
        stored = await self._database.read(find_newest_batch, workspace_id, flow_id)
        return None if stored is None else await self._load(stored)

    def start(self, batch: PlaygroundBatch, rows: Rows, user_id: str) -> BatchRunner:
        """Runs a batch that `begin_playground_batch` has stored, unless this server has found it there already."""
        known = self._open.get(batch.flow_id)
        if known is not None and known.batch.id == batch.id:
            return known
        runner = BatchRunner(self._database, self._waiters, batch, rows, user_id, self.threads)
        self.run(runner)
        return runner

    def run(self, runner: BatchRunner) -> None:
        """Runs what a batch still has to run."""
        self._open[runner.batch.flow_id] = runner
        task = asyncio.get_running_loop().create_task(self._go(runner), name=_name_of(runner))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def resume(self) -> None:
        """Continues the batches that had rows to run when the server ended. Called once, when the server starts.

        A batch that cannot be continued keeps no server from starting.
        """
        if self._locks is not None:
            loop = asyncio.get_running_loop()

            def asked(*batch_ids: str) -> None:
                loop.call_soon_threadsafe(self._give, *batch_ids)

            on_word(self._database, _GIVE, asked)
            self._watching = asyncio.create_task(self._watch(), name="batches of others")
            return
        for stored in await self._database.read(list_open_batches):
            await self._continue(stored)

    async def _drive_here(self, stored: StoredBatch) -> None:
        """Continues a batch that another server drives, or that nobody drives, since its end could not be stored."""
        if self._locks is not None:
            await self._ask_for(stored)
            return
        async with self._resuming:
            if stored.flow_id not in self._open:  # another tab may have continued it meanwhile
                await self._continue(stored)

    async def _try_to_resume(self, stored: StoredBatch, *, is_newest: bool) -> bool:
        """Tells whether the batch is continued. One that can never be continued is stopped: it would keep the flow from
        every other batch. So is one that is not the newest of its flow, as 0.2 could leave it: no page shows it.
        """
        try:
            if is_newest:
                await self._resume(stored)
            else:
                await (await self._load(stored)).drop()
                log.warning("the batch %s is stopped: its flow has a newer one", stored.id)
        except Refusal as refusal:
            log.warning("the batch %s is not continued: %s", stored.id, refusal)
            return False
        except Exception:
            log.exception("the batch %s cannot be continued", stored.id)
            with contextlib.suppress(Refusal):
                await self._database.write(
                    store_batch_state, stored.id, stored.user_id, "stopped", _FAILED, closed=True
                )
            return False
        return is_newest

    async def _watch(self) -> None:
        """Takes the batches that no living server drives, and leaves those that another one has taken."""
        while True:
            try:
                await self._look()
            except Refusal as refusal:
                log.info("Playground batches were not looked at: %s", refusal)
            except Exception:
                log.exception("Playground batches were not looked at")
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self) -> None:
        assert self._locks is not None
        for runner in list(self._open.values()):
            if self._locks.connected_for > _LOOK_SECONDS and not self._locks.holds(_lock_of(runner.batch.id)):
                log.warning("the batch %s is driven by another server now", runner.batch.id)
                self._leave(runner)
        mine = {runner.batch.id for runner in self._open.values()}
        for stored in await self._database.read(list_open_batches):
            if stored.id not in mine and await self._take(stored.id):
                await self._continue(stored)

    async def _take(self, batch_id: str) -> bool:
        assert self._locks is not None
        try:
            return await asyncio.to_thread(self._locks.hold, _lock_of(batch_id))
        except asyncio.CancelledError:
            self._locks.let_go(_lock_of(batch_id))  # the thread may take it yet, and nobody would give it back
            raise

    async def _continue(self, known: StoredBatch) -> None:
        """Continues a batch whose lock was just taken: as it is stored now, since another server or tab drove it until then."""
        newest = await self._database.read(find_newest_batch, known.workspace_id, known.flow_id)
        is_newest = newest is not None and newest.id == known.id
        stored = await self._database.read(find_open_batch, known.workspace_id, known.id)
        goes_on = stored is not None and await self._try_to_resume(stored, is_newest=is_newest)
        if not goes_on and self._locks is not None:
            self._locks.let_go(_lock_of(known.id))

    async def _ask_for(self, stored: StoredBatch) -> None:
        """Takes over a batch that another server drives, because a page of this one shows it. A server that does not give
        it is waited for a moment.
        """
        await self._database.write(tell_others, _GIVE, stored.id)
        for _ in range(_ASKS):
            if await self._take(stored.id):
                await self._continue(stored)
                return
            await asyncio.sleep(_ASK_SECONDS)

    def _give(self, *asked: str) -> None:
        """Leaves batches to another server that asks for them."""
        for runner in list(self._open.values()):
            if runner.batch.id in asked:
                self._leave(runner)

    def _leave(self, runner: BatchRunner) -> None:
        """Stops to drive a batch, without a change of what is stored. Its rows that run go on."""
        self._forget(runner)
        for task in self._tasks:
            if task.get_name() == _name_of(runner):
                task.cancel()

    async def _resume(self, stored: StoredBatch) -> None:
        runner = await self._load(stored)
        known = self._open.get(stored.flow_id)
        if known is not None and known.batch.id == stored.id:
            return  # whoever began it has called `start` meanwhile
        self.run(runner)
        if runner.state == "stopping":
            await runner.stop()

    async def close(self) -> None:
        """Stops without changing a stored state; the next start continues."""
        if self._watching is not None:
            self._watching.cancel()
        self._open.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _go(self, runner: BatchRunner) -> None:
        lock = _lock_of(runner.batch.id)
        if self._locks is not None and not self._locks.holds(lock) and not await self._take(runner.batch.id):
            self._forget(runner)  # another server was quicker
            return
        try:
            await self._drive(runner)
        finally:
            if self._locks is not None:
                with contextlib.suppress(Refusal):  # so that a row whose job is being stored is not begun elsewhere
                    await self._database.write(_nothing)
                if self._open.get(runner.batch.flow_id) is not runner:  # its failed rows may run again already
                    self._locks.let_go(lock)

    async def _drive(self, runner: BatchRunner) -> None:
        try:
            await runner.go()
        except Exception:
            log.exception("the batch %s ended early", runner.batch.id)
            with contextlib.suppress(Refusal):  # the state stays as it is, and the next start continues
                await runner.fail(_FAILED)
        finally:
            self._forget(runner)

    def _forget(self, runner: BatchRunner) -> None:
        if self._open.get(runner.batch.flow_id) is runner:
            del self._open[runner.batch.flow_id]

    async def _load(self, stored: StoredBatch) -> BatchRunner:
        """Builds the runner of a stored batch."""
        batch = PlaygroundBatch(
            stored.id,
            WorkspaceId(stored.workspace_id),
            FlowId(stored.flow_id),
            stored.snapshot_id,
            load_document(stored.document),
            stored.total,
        )
        lines, jobs = await self._database.read(_begun, stored)
        return BatchRunner(
            self._database,
            self._waiters,
            batch,
            rows_from_json(stored.source),
            stored.user_id,
            self.threads,
            stored.state,
            lines,
            stored.trouble,
            stored.closed,
            jobs,
        )


def _nothing(_session: Session) -> None:
    """Is written after what was asked for before."""


def _name_of(runner: BatchRunner) -> str:
    return f"batch {runner.batch.id}"


def _lock_of(batch_id: str) -> str:
    return f"batch {batch_id}"


def _begun(session: Session, stored: StoredBatch) -> tuple[list[BatchLine], int]:
    """The rows of a batch that have begun, and the number of all its jobs."""
    return _lines(session, stored), count_jobs(session, stored.id)


def _lines(session: Session, stored: StoredBatch) -> list[BatchLine]:
    """The rows of a batch that have begun: a line for each of its jobs, and for each row that is no job."""
    runs = list_batch_runs(session, stored.workspace_id, stored.id)
    completed = [run.job.id for run in runs if run.job.status == "completed"]
    results: dict[str, Any] = {}
    same_texts: set[str] = set()
    for chunk in (completed[at : at + CHUNK] for at in range(0, len(completed), CHUNK)):
        small, large = small_results(session, stored.workspace_id, chunk)
        results |= small | {job_id: read_value(session, job_id, "result") for job_id in large}
        same_texts |= list_warned(session, chunk, SAME_TEXTS)
    lines = {run.row: _line(run, results, same_texts) for run in runs}
    for row in list_rows_outside_jobs(session, stored.workspace_id, stored.id):
        # 0.2 left rows of a batch that was stopped as `again`
        state = row.state if row.state != "again" else "queued" if stored.state in UNFINISHED else "cancelled"
        lines[row.row] = BatchLine(row.row, row.title, state, None, row.text, dataset_row=row.dataset_row)
    return [lines[number] for number in sorted(lines)]


def _line(run: BatchRun, results: Mapping[str, Any], same_texts: Collection[str]) -> BatchLine:
    line = BatchLine(run.row, run.title, run.job.status, JobId(run.job.id), dataset_row=run.dataset_row)
    if line.ended:
        line.take(run.job, results.get(run.job.id), same_texts=run.job.id in same_texts)
    return line
