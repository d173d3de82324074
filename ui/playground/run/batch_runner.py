"""Runs a Playground batch: several rows at once, pause, stop, and retry of failed rows. Imports no NiceGUI.

A batch belongs to the server process, not to a browser tab.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.actions.jobs import cancel_run
from engine.actions.playground_batches import PlaygroundBatch, run_in_batch
from engine.core.errors import JobNotCancellable, NotFound, Refusal
from engine.core.ids import JobId
from engine.flow.references import as_text
from engine.jobs.server.job_waiters import wait_for_end
from storage.job_changes import PLAYGROUND_SLOTS
from storage.jobs import JobRow, read_value
from ui.kit.text import _
from ui.page_session import App, PageSession, SignedOut
from ui.playground.run.batch_rows import BatchInputRow, Rows

#: How long the result of a row is waited for; the flow's own time limit ends the run earlier.
PATIENCE_SECONDS = 24 * 3_600
#: Number of characters of a result that are kept for the table.
SHOWN = 200
State = Literal["running", "paused", "stopping", "stopped", "ended"]
AGAIN = frozenset({"failed", "refused", "cancelled"})


@dataclass
class BatchLine:
    """One row that has started. `state` is a job's status, or `refused` when its input was invalid."""

    number: int
    title: str
    state: str = "queued"
    job_id: JobId | None = None
    text: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class BatchProgress:
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
    """Runs each row once. `change` is increased with every change of state, so that views know when to redraw."""

    page_session: PageSession
    batch: PlaygroundBatch
    rows: Rows
    state: State = "running"
    lines: list[BatchLine] = field(default_factory=list)
    trouble: str = ""
    change: int = 0
    _again: list[BatchLine] = field(default_factory=list)
    _may_go: asyncio.Event = field(default_factory=asyncio.Event)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _each: AsyncIterator[BatchInputRow] | None = None
    _ran: float = 0.0
    _since: float | None = None
    _ended: int = 0
    #: True after a stop: rows that had not started stay out, also when failed rows are run again.
    _closed: bool = False

    async def go(self) -> None:
        """Runs the remaining rows until the end, a stop, or the end of the server."""
        self.state, self._since = "running", time.monotonic()
        self._may_go.set()
        try:
            async with asyncio.TaskGroup() as group:
                for _slot in range(min(PLAYGROUND_SLOTS, max(1, self.rows.total))):
                    group.create_task(self._work())
        finally:
            self._stop_clock()
            self.state = "stopped" if self.state == "stopping" else "ended"
            self.change += 1

    def pause(self) -> None:
        """Starts no further rows; rows that are running continue."""
        if self.state == "running":
            self.state = "paused"
            self._may_go.clear()
            self._stop_clock()
            self.change += 1

    def resume(self, page_session: PageSession) -> None:
        """Continues after a pause, on behalf of this person."""
        if self.state == "paused":
            self.page_session = page_session
            self.state, self._since, self.trouble = "running", time.monotonic(), ""
            self._may_go.set()
            self.change += 1

    async def stop(self, page_session: PageSession) -> None:
        """Starts no further rows and cancels the running ones on behalf of this person."""
        if self.over:
            return
        self.state, self._closed = "stopping", True
        self._may_go.set()
        self.change += 1
        for line in self.lines:
            if line.job_id is not None and line.state not in _ENDED:
                await _cancel(page_session, line.job_id)

    def retry_failed(self, page_session: PageSession) -> bool:
        """Queues the rows that failed, were refused or cancelled; the caller starts `go` again.

        False when there are none.
        """
        failed = [line for line in self.lines if line.state in AGAIN]
        if not self.over or not failed:
            return False
        self.page_session, self._again = page_session, failed
        self._ended -= len(failed)
        self._ran = 0.0
        for line in failed:
            line.state, line.text, line.seconds, line.job_id = "queued", "", None, None
        self.change += 1
        return True

    @property
    def over(self) -> bool:
        """True when no row is running or waiting to run."""
        return self.state in {"stopped", "ended"}

    @property
    def progress(self) -> BatchProgress:
        """The current progress."""
        ended = [line for line in self.lines if line.state in _ENDED]
        failed = sum(line.state in AGAIN for line in ended)
        total = self.rows.total if not self.over or self.state == "stopped" else len(self.lines)
        remaining = max(0, total - len(ended))
        ran = self._ran + (time.monotonic() - self._since if self._since is not None else 0.0)
        rate = self._ended / ran if self._ended > 0 and ran > 0 else None
        left = remaining / rate if rate and not self.over else None
        return BatchProgress(total, len(ended) - failed, failed, remaining, rate, left)

    def _stop_clock(self) -> None:
        if self._since is not None:
            self._ran += time.monotonic() - self._since
            self._since = None

    async def _work(self) -> None:
        while (found := await self._next()) is not None:
            await self._run(*found)

    async def _next(self) -> tuple[BatchLine, BatchInputRow | None] | None:
        """Returns the next row, failed rows that are run again first. None at the end and after a stop."""
        async with self._turn:
            await self._may_go.wait()
            if self.state == "stopping":
                return None
            if self._again:
                line = self._again.pop(0)
                return line, await self.rows.again(line.number)
            if self._closed:
                return None
            if self._each is None:
                self._each = self.rows.each()
            row = await anext(self._each, None)
            if row is None:
                return None
            line = BatchLine(row.number, row.title)
            self.lines.append(line)
            return line, row

    async def _run(self, line: BatchLine, row: BatchInputRow | None) -> None:
        if row is None:
            self._end(line, "refused", _("The row is not in the dataset any more."))
            return
        try:
            line.job_id = await self.page_session.execute(
                run_in_batch, self.batch, row.payload, row=row.number, title=row.title
            )
        except Refusal as refusal:
            reasons = [f"`{error.pointer}` {error.detail}" for error in refusal.errors]
            self._end(line, "refused", "; ".join(reasons) or f"{refusal.title}. {refusal.detail}".strip())
            return
        except SignedOut:
            self._again.insert(0, line)
            self.pause()
            self.trouble = _("Whoever started it is signed out.")
            return
        self.change += 1
        if self.state == "stopping":  # the batch was stopped while this job was being submitted
            await _cancel(self.page_session, line.job_id)
        app = self.page_session.app
        job = await wait_for_end(
            app.database, app.waiters, self.page_session.person.workspace_id, line.job_id, PATIENCE_SECONDS
        )
        line.seconds = ((job.completed_at or 0) - (job.started_at or job.completed_at or 0)) / 1000
        result = await app.database.read(read_value, line.job_id, "result") if job.status == "completed" else None
        self._end(line, job.status, _outcome(job, result))

    def _end(self, line: BatchLine, state: str, text: str) -> None:
        line.state, line.text = state, text[:SHOWN]
        self._ended += 1
        self.change += 1


_ENDED = AGAIN | {"completed"}


async def _cancel(page_session: PageSession, job_id: JobId) -> None:
    with contextlib.suppress(JobNotCancellable, NotFound):  # the run may have ended by itself
        await page_session.execute(cancel_run, job_id)


def _outcome(job: JobRow, result: Any) -> str:
    if job.status == "failed" and job.error:
        return str(job.error.get("message", ""))
    value = result.get("output") if isinstance(result, dict) and set(result) == {"output"} else result
    return as_text(value)


class Batches(dict[str, BatchRunner]):
    """Flow id -> its newest batch on this server.

    All tabs of a flow show it, also after a tab was closed and opened again.
    """


def batches_of(app: App) -> Batches:
    """The batches of this server."""
    return app.shared(Batches)
