"""The Playground batches of this server: begins them, finds them for the pages, and continues them after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from engine.actions.playground_batches import PlaygroundBatch
from engine.core.errors import Refusal
from engine.core.ids import FlowId, JobId, WorkspaceId
from engine.flow.document import load_document
from engine.jobs.server.job_waiters import JobWaiters
from engine.playground_batches.rows import Rows, rows_from_json
from engine.playground_batches.runner import BatchLine, BatchRunner
from storage.batches import BatchRun, list_batch_runs
from storage.database import Database
from storage.job_results import small_results
from storage.jobs import read_value
from storage.playground_batches import StoredBatch, find_newest_batch, list_open_batches, list_rows_outside_jobs

#: Number of results that one statement reads.
CHUNK = 500

log = logging.getLogger(__name__)


class PlaygroundBatches:
    """Flow id -> its newest batch, for the batches that run. All tabs of a flow show the same batch."""

    def __init__(self, database: Database, waiters: JobWaiters) -> None:
        self._database = database
        self._waiters = waiters
        self._open: dict[str, BatchRunner] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def running(self, flow_id: str) -> BatchRunner | None:
        """Returns the batch of this flow that runs or is paused."""
        return self._open.get(flow_id)

    async def newest(self, workspace_id: str, flow_id: str) -> BatchRunner | None:
        """Returns the newest batch of this flow, loaded from the database when it has ended. None: there is none."""
        if (runner := self._open.get(flow_id)) is not None:
            return runner
        stored = await self._database.read(find_newest_batch, workspace_id, flow_id)
        loaded = None if stored is None else await self._load(stored)
        return self._open.get(flow_id) or loaded  # another tab may have begun one meanwhile

    def start(self, batch: PlaygroundBatch, rows: Rows, user_id: str) -> BatchRunner:
        """Runs a batch that `begin_playground_batch` has stored."""
        runner = BatchRunner(self._database, self._waiters, batch, rows, user_id)
        self.run(runner)
        return runner

    def run(self, runner: BatchRunner) -> None:
        """Runs what a batch still has to run."""
        self._open[runner.batch.flow_id] = runner
        task = asyncio.get_running_loop().create_task(self._go(runner), name=f"batch {runner.batch.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def resume(self) -> None:
        """Continues the batches that had rows to run when the server ended. Called once, when the server starts.

        A batch that cannot be continued keeps no server from starting.
        """
        for stored in await self._database.read(list_open_batches):
            try:
                await self._resume(stored)
            except Exception:
                log.exception("the batch %s cannot be continued", stored.id)

    async def _resume(self, stored: StoredBatch) -> None:
        runner = await self._load(stored)
        self.run(runner)
        if runner.state == "stopping":
            await runner.stop()

    async def close(self) -> None:
        """Stops without changing a stored state; the next start continues."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _go(self, runner: BatchRunner) -> None:
        try:
            await runner.go()
        except Exception:
            log.exception("the batch %s ended early", runner.batch.id)
            with contextlib.suppress(Refusal):  # the state stays as it is, and the next start continues
                await runner.fail("Something in Flowport failed; the server's log has the details.")
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
        return BatchRunner(
            self._database,
            self._waiters,
            batch,
            rows_from_json(stored.source),
            stored.user_id,
            stored.state,
            await self._database.read(_lines, stored),
            stored.trouble,
            stored.closed,
        )


def _lines(session: Session, stored: StoredBatch) -> list[BatchLine]:
    """The rows of a batch that have begun: a line for each of its jobs, and for each row that is no job."""
    runs = list_batch_runs(session, stored.workspace_id, stored.id)
    completed = [run.job.id for run in runs if run.job.status == "completed"]
    results: dict[str, Any] = {}
    for chunk in (completed[at : at + CHUNK] for at in range(0, len(completed), CHUNK)):
        small, large = small_results(session, stored.workspace_id, chunk)
        results |= small | {job_id: read_value(session, job_id, "result") for job_id in large}
    lines = {run.row: _line(run, results) for run in runs}
    for row in list_rows_outside_jobs(session, stored.workspace_id, stored.id):
        state = "queued" if row.state == "again" else "refused"
        lines[row.row] = BatchLine(row.row, row.title, state, None, row.text, dataset_row=row.dataset_row)
    return [lines[number] for number in sorted(lines)]


def _line(run: BatchRun, results: Mapping[str, Any]) -> BatchLine:
    line = BatchLine(run.row, run.title, run.job.status, JobId(run.job.id), dataset_row=run.dataset_row)
    if line.ended:
        line.take(run.job, results.get(run.job.id))
    return line
