"""All samples at once: one run for each, with what came out beside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from engine.actions.jobs import run_in_playground
from engine.errors import Refusal
from engine.flow.contract import samples_of
from engine.flow.document import Document
from engine.flow.references import as_text
from engine.ids import FlowId, JobId
from engine.jobs.hub import wait_for_end
from storage.jobs import JobRow, read_value
from ui.look.parts import status_badge, table, words
from ui.look.text import ENGLISH, Reader, _, duration, plural
from ui.visit import SignedOut, Visit

#: A sample's row is looked at so long; a flow's own time limit ends it before.
PATIENCE_SECONDS = 3_600


@dataclass
class _Line:
    """One sample's row: `job_id` None when it was refused."""

    title: str
    job_id: JobId | None
    state: str
    text: str = ""
    time: str = ""


class SampleBatch:
    """Runs every sample and draws the table; `on_open` shows one of the runs in the panel."""

    def __init__(
        self, here: Visit, flow_id: str, document: Document, *, on_open: Callable[[JobId], Awaitable[None]]
    ) -> None:
        self.here = here
        self.flow_id = FlowId(flow_id)
        self.document = document
        self.on_open = on_open
        self.reader: Reader = ENGLISH
        self.lines: list[_Line] = []
        self.box = ui.element("div").classes("fp-stack")

    async def run(self) -> None:
        """Starts one run per sample (four go at once, the others wait) and follows each to its end."""
        for number, sample in enumerate(samples_of(self.document)):
            title = str(sample.get("title") or f"{_('Sample')} {number + 1}")
            try:
                job_id = await self.here.do(run_in_playground, self.flow_id, self.document, sample.get("payload") or {})
            except Refusal as refusal:
                reasons = [f"{error.pointer} {error.detail}" for error in refusal.errors]
                self.lines.append(_Line(title, None, "refused", "; ".join(reasons) or str(refusal)))
                continue
            self.lines.append(_Line(title, job_id, "queued"))
        self._draw()
        for line in self.lines:
            if line.job_id is not None and not self.box.is_deleted:
                await self._follow(line, line.job_id)

    async def _follow(self, line: _Line, job_id: JobId) -> None:
        app = self.here.app
        try:
            job = await wait_for_end(app.database, app.hub, self.here.person.workspace_id, job_id, PATIENCE_SECONDS)
            result = await self.here.see(lambda session, _workspace: read_value(session, job_id, "result"))
        except SignedOut:
            return
        line.state = job.status
        line.text = _outcome(job, result)
        line.time = duration(
            (job.completed_at or 0) / 1000 - (job.started_at or job.completed_at or 0) / 1000, self.reader
        )
        if not self.box.is_deleted:
            self._draw()

    def _draw(self) -> None:
        ended = sum(line.state not in {"queued", "processing"} for line in self.lines)
        good = sum(line.state == "completed" for line in self.lines)
        self.box.clear()
        with self.box:
            words(
                f"{ended} of {plural(len(self.lines), _('sample'), _('samples'))} · {good} {_('completed')}",
                "fp-b",
                tag="h3",
            )
            rows = table([_("Sample"), _("Status"), _("Time"), _("Result")], label=_("Samples"))
            for line in self.lines:
                with rows.row(on_open=(lambda line=line: line.job_id and self.on_open(line.job_id))):
                    rows.cell(line.title, "fp-b")
                    with rows.cell():
                        status_badge(line.state)
                    rows.cell(line.time, "fp-num")
                    rows.cell(line.text[:120], "fp-cut")


def _outcome(job: JobRow, result: Any) -> str:
    if job.status == "failed" and job.error:
        return str(job.error.get("message", ""))
    value = result.get("output") if isinstance(result, dict) and set(result) == {"output"} else result
    return as_text(value)
