"""The tab Batch of the Run panel: source of the rows, progress, pause and stop, and the result of each row."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nicegui import ui
from sqlalchemy.orm import Session

from engine.actions.playground_batches import begin_playground_batch
from engine.actions.principal import Principal, require_may
from engine.core.errors import BatchDataGone, BatchRunning, FlowInvalid, Refusal, Unavailable
from engine.core.ids import JobId
from engine.flow.contract import input_fields, samples_of
from engine.playground_batches.rows import Rows, RowsThatRan
from engine.playground_batches.runner import AGAIN, MAX_FIELDS, BatchLine, BatchRunner
from storage.batches import PlaygroundBatchRow, find_playground_batch, list_batch_runs
from storage.jobs import JobRow
from storage.playground_batches import list_repeats, list_rows_outside_jobs
from storage.questions import count_open_questions, find_asking_jobs
from ui.kit import feedback
from ui.kit.frame import show_waiting
from ui.kit.parts import (
    Column,
    TableElement,
    button,
    icon_button,
    link,
    link_button,
    meter,
    note,
    segments,
    sentence,
    status_badge,
    table,
    words,
)
from ui.kit.text import Reader, _, duration, number, plural
from ui.page_session import PageSession
from ui.page_shell import not_twice
from ui.parts.ask_owners import asking
from ui.parts.job_words import state_words
from ui.parts.open_drafts import OpenDraft
from ui.parts.same_texts import same_texts_note
from ui.parts.table_downloads import excel_path
from ui.playground.run.batch_csv import csv_path
from ui.playground.run.batch_set_up import BatchSetUp
from ui.playground.run.samples import sample_rows
from ui.pulse import RepeatedCall

#: Most rows that a warning names.
MAX_NAMED = 5
#: Number of rows on one page of the table.
PAGE = 20
LOOK_SECONDS = 0.5
#: The interval in which a batch of another server is read, in seconds, and how much longer it is than a reading takes.
READ_SECONDS, READ_SHARE = 3.0, 10
#: The interval in which the questions of the batch and the runs that repeat its rows are read, in seconds.
ASK_SECONDS = 2.0


class BatchView:
    """Shows the current batch of the flow, whoever started it. `on_open` shows one of its runs.

    When the tab is opened, and with each button, this server takes a batch over that another one drives. A page whose
    batch was taken away shows what is stored: two pages that only look take nothing from each other.
    """

    def __init__(
        self,
        page_session: PageSession,
        draft: OpenDraft,
        reader: Reader,
        *,
        on_open: Callable[[JobId], Awaitable[None]],
    ) -> None:
        self.page_session = page_session
        self.draft = draft
        self.reader = reader
        self.on_open = on_open
        self.start = not_twice(self._start)
        self.batches = page_session.app.batches
        self.batch: BatchRunner | None = None
        #: The id of the dataset that the page was opened for: the set-up is shown with it, and no batch that is over.
        self.wanted: str | None = None
        self.page = 0
        self.only_failed = False
        self._drawn: tuple[int, str] | None = None
        #: When a batch that another server drives is read again, in the time of the event loop.
        self._read_due = 0.0
        #: The jobs of the batch that wait for a person, and when they are read again, in the time of the event loop.
        self._asking: frozenset[str] = frozenset()
        self._ask_due = 0.0
        #: The newest run that repeats the job of a row outside the batch, by the id of that job.
        self._repeats: Mapping[str, JobRow] = {}
        self._rows: list[Any] = []
        self.box = ui.element("div").classes("fp-rt fp-rc")
        with self.box:
            self.timer = RepeatedCall(LOOK_SECONDS, self._look_again, active=False)
            self.content = ui.element("div").classes("fp-stack")

    async def show(self) -> None:
        """Called when the tab is opened."""
        self.batch = await self.batches.newest(self.page_session.person.workspace_id, self.draft.flow_id)
        if self.batch is None or (self.wanted and self.batch.over):
            await self._draw_set_up()
        else:
            self._ask_due = 0.0
            await self._read_beside(self.batch)
            self._draw_batch()

    def hide(self) -> None:
        """Called when another tab is opened."""
        self.timer.deactivate()

    async def run_samples(self) -> None:
        """Starts a batch over the saved samples."""
        await self.start(Rows(sample_rows(samples_of(self.draft.document))))

    # Starting a batch.

    async def _draw_set_up(self) -> None:
        self.timer.deactivate()
        begun = self.batch
        earlier = await self.page_session.query(find_playground_batch, flow_id=self.draft.flow_id)
        if self.batch is not begun:  # another batch was started meanwhile, and that one is shown
            return
        known = begun is not None and earlier is not None and earlier.id == begun.batch.id
        ran = await self._rows_that_ran(begun) if begun is not None and known else None
        self.content.clear()
        with self.content:
            if earlier is not None and not known:
                self._draw_earlier(earlier)
            if not self.page_session.may("run flows"):
                said = _("You can look at this flow; editors and owners run it.")
                words(asking(self.page_session, said), "fp-t2", tag="p")
                return
            set_up = BatchSetUp(self.page_session, self.draft, self.reader, on_start=self.start, ran=ran)
            set_up.source, self.wanted = self.wanted, None
        await set_up.draw()

    async def _rows_that_ran(self, batch: BatchRunner) -> RowsThatRan | None:
        """Returns the rows that an interrupted batch has run; None when all rows of the batch have run."""
        runs = await self.page_session.query(list_batch_runs, batch.batch.id)
        outside = {row.row for row in await self.page_session.query(list_rows_outside_jobs, batch.batch.id)}
        runs = [run for run in runs if run.row not in outside]
        if not runs or len(runs) >= batch.batch.total:
            return None
        dataset_rows = frozenset(run.dataset_row for run in runs if run.dataset_row is not None)
        return RowsThatRan(batch.rows.source, frozenset(run.row for run in runs), dataset_rows)

    def _draw_earlier(self, earlier: PlaygroundBatchRow) -> None:
        """Shows a batch that this page cannot open any more: how many of its rows ran, and its files.

        It is one of an earlier release, or its document was removed by retention.
        """
        began = sum(earlier.counts.values())
        said = _("{began} of {rows} ran, {counts} completed").format(
            began=number(began, self.reader),
            rows=plural(earlier.total, _("row"), _("rows"), self.reader),
            counts=number(earlier.counts.get("completed", 0), self.reader),
        )
        rest = earlier.total - began
        said += ", " + _("{rest} did not run.").format(rest=number(rest, self.reader)) if rest > 0 else "."
        with note(said, strong=_("The last batch:")):
            _draw_files(earlier.id)

    async def _start(self, rows: Rows) -> None:
        try:
            begun = await self.page_session.execute(
                begin_playground_batch, self.draft.flow_id, await self.draft.settled(), rows.total, rows.as_json()
            )
        except FlowInvalid as refusal:
            feedback.failed(_("The flow cannot run yet."), refusal.problems[0].message)
            return
        except BatchRunning as refusal:
            feedback.refused(refusal)
            await self.show()
            return
        except Refusal as refusal:
            feedback.refused(refusal)
            return
        self.batch = self.batches.start(begun, rows, self.page_session.person.id)
        self.page, self.only_failed = 0, False
        self._draw_batch()

    # Progress.

    def _draw_batch(self) -> None:
        self._drawn, self._rows = None, []
        self.content.clear()
        with self.content:
            self.head = ui.element("div").classes("fp-stack fp-batch-head")
            self.results = ui.element("div")
            with words(
                _("Each row is a run of its own and goes on when this tab is closed:") + " ", "fp-s12 fp-t3", tag="p"
            ):
                link(_("see them in Jobs"), f"/jobs?flow={self.draft.flow_id}&environment=playground")
        self._look()
        self.timer.activate()

    async def _look_again(self) -> None:
        batch = self.batch
        if batch is not None and not batch.over and self.batches.running(self.draft.flow_id) is None:
            await self._read_again(batch)
        if self.batch is not None and (self._asking or self._repeating or not self.batch.over):
            await self._read_beside(self.batch)
        self._look()

    @property
    def _repeating(self) -> bool:
        """True while a run that repeats a row goes on."""
        return any(not job.ended for job in self._repeats.values())

    async def _read_beside(self, batch: BatchRunner) -> None:
        """Reads from time to time which rows wait for a person and which were run again outside the batch, and says beside
        Waiting how many questions there are.
        """
        now = asyncio.get_running_loop().time()
        if now < self._ask_due and not (batch.over and self._asking):
            return
        self._ask_due = now + ASK_SECONDS
        try:
            asking, repeats, count = await self.page_session.query_again(_load_beside, batch.batch.id)
        except Unavailable:
            return
        if (asking, repeats) == (self._asking, self._repeats) or self.box.is_deleted:
            return
        self._asking, self._repeats = asking, repeats
        with self.box:
            show_waiting(count)
        if self._drawn is not None:
            self._drawn = (-1, self._drawn[1])

    async def _read_again(self, shown: BatchRunner) -> None:
        """Reads from time to time how far another server has come."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        if began < self._read_due:
            return
        try:
            read = await self.batches.as_stored(self.page_session.person.workspace_id, self.draft.flow_id)
        except Unavailable:
            return  # the figures stay until the database answers again
        self._read_due = loop.time() + max(READ_SECONDS, READ_SHARE * (loop.time() - began))
        if read is None or self.batch is not shown:
            return
        self.batch = read
        if read.batch.id != shown.batch.id:
            self._draw_batch()
        elif self._drawn is not None:
            self._drawn = (-1, self._drawn[1])  # the buttons are redrawn only when the state is another one

    def _look(self) -> None:
        batch = self.batches.running(self.draft.flow_id) or self.batch
        if batch is None or self.head.is_deleted:
            return
        if batch is not self.batch:  # another tab has begun it
            self.batch = batch
            self._draw_batch()
            return
        shown = (batch.change, batch.state)
        if shown != self._drawn:
            fresh = self._drawn is None or self._drawn[1] != batch.state
            self._drawn = shown
            if fresh:
                self._draw_head(batch)
            self._draw_results(batch)
        self._say_progress(batch)
        if batch.over and not self._repeating:
            self.timer.deactivate()

    def _draw_head(self, batch: BatchRunner) -> None:
        self.head.clear()
        with self.head:
            with ui.element("div").classes("fp-row fp-batch-acts"):
                self.said = words("", "fp-b fp-num", tag="div").props("role=status")
                self.waits = link("", "/waiting", "fp-b fp-nw")
                words("", "fp-sp")
                self._draw_buttons(batch)
            self.bar = ui.element("div")
            if batch.trouble:
                note(batch.trouble, kind="warn", icon="warning")

    def _draw_buttons(self, batch: BatchRunner) -> None:
        if self.page_session.may("run flows"):
            if batch.state == "running":
                button(_("Pause"), self._pause, icon="pause", small=True)
            if batch.state == "paused":
                button(_("Resume"), self._resume, icon="play_arrow", small=True)
            if not batch.over:
                button(_("Stop the batch"), self._stop, icon="stop", small=True).set_enabled(batch.state != "stopping")
            failed = sum(line.state in AGAIN for line in batch.lines)
            if batch.over and failed:
                button(
                    _("Retry failed ({failed})").format(failed=number(failed, self.reader)),
                    self._retry,
                    icon="replay",
                    small=True,
                )
            if batch.over:
                button(_("New batch"), self._draw_set_up, icon="add", small=True)

    def _say_progress(self, batch: BatchRunner) -> None:
        progress = batch.progress
        ended = progress.done + progress.failed
        waiting = sum(self._asks(line) for line in batch.lines)
        remaining = progress.remaining - waiting
        word = {"paused": _("Paused"), "stopping": _("Cancelling"), "stopped": _("Stopped")}.get(batch.state, "")
        said = [word] if word else []
        said += [
            _("{ended} of {rows}").format(
                ended=number(ended, self.reader), rows=plural(progress.total, _("row"), _("rows"), self.reader)
            ),
            _("{done} completed").format(done=number(progress.done, self.reader)),
        ]
        if progress.failed:
            said.append(_("{failed} failed").format(failed=number(progress.failed, self.reader)))
        if remaining:
            left = _("left out") if batch.state == "stopped" else _("remaining")
            said.append(f"{number(remaining, self.reader)} {left}")
        # how long a person takes is not known, and rows behind those that wait may wait for their place
        if progress.rate is not None and remaining and not waiting:
            said.append(_rate_words(progress.rate, self.reader))
        if progress.left_seconds is not None and remaining and not waiting:
            said.append(
                _("about {duration} left").format(duration=duration(max(1.0, progress.left_seconds), self.reader))
            )
        self.said.text = " · ".join(said)
        self.waits.visible = waiting > 0
        self.waits.text = plural(waiting, _("waits for a person"), _("wait for a person"), self.reader)
        self.bar.clear()
        with self.bar:
            meter(ended, max(1, progress.total), label=_("Rows that ended")).classes(remove="fp-meter--warn")

    def _draw_results(self, batch: BatchRunner) -> None:
        lines = [line for line in batch.lines if not self.only_failed or line.state in AGAIN]
        self.page = max(0, min(self.page, (len(lines) - 1) // PAGE))
        page = lines[self.page * PAGE : (self.page + 1) * PAGE]
        same_texts = sum(line.same_texts for line in batch.lines)
        beside = [(self._asks(line), self._repeats.get(line.job_id or "")) for line in page]
        shown = [
            (self.page, self.only_failed, len(lines) > PAGE, same_texts, beside),
            *(replace(line) for line in page),
        ]
        if shown != self._rows:  # rows are redrawn only when they changed, so that they keep the keyboard focus
            self._rows = shown
            self.results.clear()
            with self.results:
                self._draw_results_head(batch, pages=len(lines) > PAGE)
                self._draw_same_texts(batch)
                self._draw_table(page, batch)
        self._say_page(len(lines))

    def _draw_results_head(self, batch: BatchRunner, *, pages: bool) -> None:
        with ui.element("div").classes("fp-row fp-batch-acts"):
            ways = {"all": _("All"), "failed": _("Failed")}
            segments(ways, "failed" if self.only_failed else "all", self._narrow, label=_("Rows shown"))
            words("", "fp-sp")
            self.pager = ui.element("span").classes("fp-row")
            self.pager.visible = pages
            with self.pager:
                self.before = icon_button("chevron_left", _("Rows before"), lambda: self._turn(-1), tip=False)
                self.at = words("", "fp-num fp-s12 fp-t2 fp-nw")
                self.after = icon_button("chevron_right", _("Next rows"), lambda: self._turn(1), tip=False)
            _draw_files(batch.batch.id)

    def _draw_same_texts(self, batch: BatchRunner) -> None:
        """Says of which rows a model gave the same text for all fields."""
        rows = sorted(line.number for line in batch.lines if line.same_texts)
        if not rows:
            return
        named = ", ".join(number(row, self.reader) for row in rows[:MAX_NAMED])
        if len(rows) > MAX_NAMED:
            more = number(len(rows) - MAX_NAMED, self.reader)
            named = _("{rows} and {more} more").format(rows=named, more=more)
        same_texts_note(_("All fields of an answer are the same text in row {rows}:").format(rows=named))

    def _draw_table(self, page: Sequence[BatchLine], batch: BatchRunner) -> None:
        if not page:
            words(_("No row failed.") if self.only_failed else _("The first row is about to begin."), "fp-t2", tag="p")
            return
        names = _fields_of(page, batch)
        columns = [
            Column(_("Row"), right=True),
            Column(_("Input")),
            Column(_("Status")),
            Column(_("Time"), right=True),
            *(Column(name) for name in names or [_("Result")]),
        ]
        rows = table(columns, label=_("Rows of the batch"))
        for line in page:
            job_id = line.job_id
            with rows.row(on_open=(lambda job_id=job_id: self.on_open(job_id)) if job_id else None):
                self._draw_line(rows, line, names)

    def _draw_line(self, rows: TableElement, line: BatchLine, names: Sequence[str]) -> None:
        rows.cell(number(line.number, self.reader), "fp-num fp-t2")
        with rows.cell("", "fp-batch-input"):
            if line.job_id is None:
                words(line.title, "fp-b")
            else:
                with ui.element("button").classes("fp-plain-button fp-b").props("type=button"):
                    words(line.title)
        with rows.cell():
            asks = self._asks(line)
            status_badge("asks" if asks else line.state)
            if asks:
                with words("", "fp-s13", tag="div"):
                    link(_("See the question"), f"/jobs/{line.job_id}")
            if (repeat := self._repeats.get(line.job_id or "")) is not None:
                with words("", "fp-s13", tag="div"):
                    said = _("Run again: {state}").format(state=state_words(repeat, self.reader)[1])
                    link(said, f"/jobs/{repeat.id}")
        rows.cell(duration(line.seconds, self.reader), "fp-num")
        if names and line.fields is not None:
            for name in names:
                with rows.cell("", "fp-batch-text fp-batch-field" if len(names) > 1 else "fp-batch-text"):
                    words(line.fields.get(name, ""))
            return
        with rows.cell("", "fp-batch-text") as whole:
            whole.props.set_optional("colspan", len(names) or None)
            if line.state in AGAIN:
                sentence(line.text, tag="div")
            else:
                words(line.text)

    def _asks(self, line: BatchLine) -> bool:
        """True while the job of the row waits for a person."""
        return not line.ended and line.job_id in self._asking

    def _say_page(self, count: int) -> None:
        first = self.page * PAGE
        shown = f"{number(first + 1, self.reader)}-{number(min(first + PAGE, count), self.reader)}"
        self.at.text = _("{shown} of {count}").format(shown=shown, count=number(count, self.reader))
        self.before.set_enabled(self.page > 0)
        self.after.set_enabled(first + PAGE < count)

    def _turn(self, by: int) -> None:
        self.page += by
        if self.batch is not None:
            self._draw_results(self.batch)

    def _narrow(self, to: str) -> None:
        self.only_failed, self.page = to == "failed", 0
        if self.batch is not None:
            self._draw_results(self.batch)

    # Buttons.

    async def _pause(self) -> None:
        if (batch := await self._driven()) is not None:
            await batch.pause()
            self._look()

    async def _resume(self) -> None:
        if (batch := await self._driven()) is not None:
            await batch.resume(self.page_session.person.id)
            self._look()

    async def _stop(self) -> None:
        if (batch := await self._driven()) is not None:
            await batch.stop()
            self._look()

    async def _driven(self) -> BatchRunner | None:
        """Returns the batch that is shown when this server drives it, which takes it over from another one. Otherwise shows
        what became of it.
        """
        shown = self.batch
        if shown is None or not await self._may_run():
            return None
        batch = await self.batches.newest(self.page_session.person.workspace_id, self.draft.flow_id)
        if batch is None or batch.batch.id != shown.batch.id or batch.over:
            await self.show()
            return None
        if batch is not self.batches.running(self.draft.flow_id):
            feedback.failed(
                _("Nothing was changed."),
                _("Another server runs this batch and does not answer. Try again in a few seconds."),
            )
            return None
        return batch

    async def _retry(self) -> None:
        shown = self.batch
        if shown is None or not await self._may_run():
            return
        # another tab may have run rows again since this one was drawn
        batch = await self.batches.newest(self.page_session.person.workspace_id, self.draft.flow_id)
        if batch is None or batch.batch.id != shown.batch.id:
            await self.show()
            return
        try:
            done = _is_as_shown(batch, shown) and await self._run_again(batch)
        except (BatchDataGone, BatchRunning) as refusal:
            feedback.refused(refusal)
            await self.show()
            return
        if not done:
            feedback.failed(
                _("Rows of this batch were run again in another tab."),
                _("Look at the results, then retry what still failed."),
            )
            await self.show()

    async def _run_again(self, batch: BatchRunner) -> bool:
        if not await batch.retry_failed(self.page_session.person.id):
            return False
        self.batches.run(batch)
        self.batch = batch
        self._draw_batch()
        return True

    async def _may_run(self) -> bool:
        """Checks the person's permission in the database again; a refusal is shown."""
        return await self.page_session.try_execute(_require_run) is not None


def _draw_files(batch_id: str) -> None:
    path = csv_path(batch_id)
    link_button(_("Export CSV"), path, icon="download", small=True).props("download")
    link_button(_("Export Excel"), excel_path(path), icon="download", small=True).props("download")


def _load_beside(
    session: Session, workspace_id: str, batch_id: str
) -> tuple[frozenset[str], Mapping[str, JobRow], int]:
    """The jobs of a batch that ask a person, the runs that repeat its jobs, and how many questions of the workspace are
    open.
    """
    repeats = list_repeats(session, workspace_id, batch_id)
    return find_asking_jobs(session, workspace_id, batch_id), repeats, count_open_questions(session, workspace_id)


def _fields_of(lines: Sequence[BatchLine], batch: BatchRunner) -> list[str]:
    """The columns of the results on a page: their fields, when every result has fields; else none. Those that the input
    has, too, come first, in its order.
    """
    done = [line for line in lines if line.state == "completed"]
    names = {name: None for line in done for name in line.fields or ()}
    fits = len(names) <= MAX_FIELDS and all(line.fields is not None for line in done)
    given = [name for field in input_fields(batch.batch.document) if (name := str(field.get("name"))) in names]
    return list(dict.fromkeys([*given, *names])) if fits else []


def _is_as_shown(batch: BatchRunner, shown: BatchRunner) -> bool:
    """True when the batch is over and the rows that a retry takes are those that are shown."""
    return batch.over and _to_retry(batch) == _to_retry(shown)


def _to_retry(batch: BatchRunner) -> list[tuple[int, str, JobId | None]]:
    return sorted((line.number, line.state, line.job_id) for line in batch.lines if line.state in AGAIN)


def _require_run(_session: Session, principal: Principal) -> bool:
    require_may(principal, "run flows")
    return True


def _rate_words(rate: float, reader: Reader) -> str:
    if rate >= 1:
        return _("{rate} a second").format(rate=number(round(rate, 1), reader))
    return _("{rate} a minute").format(rate=number(max(round(rate * 60, 1), 0.1), reader))
