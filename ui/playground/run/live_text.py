"""What models do during a run: the text that they write, collected from the job's events and shown until the output
exists, and which of them are asked again.
"""

from __future__ import annotations

from nicegui import ui

from storage.events import EventRow, list_events
from storage.job_log import CallRow, calls_without_answer
from storage.steps import StepRow
from ui.flow_view.job_watch import Look
from ui.kit.parts import Words, words
from ui.kit.text import _
from ui.page_session import PageSession

#: Number of characters shown, from the end of the text. The output of the finished step holds all of it.
SHOWN = 8_000
#: Number of events that are read at once.
_PAGE = 2_000

Place = tuple[str, str]


class LiveText:
    """The text that the models of one run have written so far, by step; and for each running step whose last model call
    gave no answer, that call.
    """

    def __init__(self, page_session: PageSession) -> None:
        self._here = page_session
        self._job_id: str | None = None
        self._seq = 0
        self._texts: dict[Place, tuple[int, str]] = {}
        self._shown: tuple[Place, ui.element, Words] | None = None
        self._runs = False
        self.asked_again: dict[Place, CallRow] = {}

    async def look(self, look: Look) -> None:
        """Reads new events and shows the text when its step is the one that is drawn."""
        if look.job.id != self._job_id:
            self._job_id, self._seq, self._texts, self._shown = look.job.id, 0, {}, None
        self._runs = any(step.status == "running" for step in look.steps)
        await self.look_at_calls()
        if not self._runs:
            return
        rows = await self._here.query(list_events, look.job.id, self._seq, _PAGE, name="step.delta")
        for row in rows:
            self._take(row)
        if rows:
            self._show()

    async def look_at_calls(self) -> None:
        """Reads which running steps ask their model again. No event tells of a call."""
        job_id = self._job_id
        found = await self._here.query(calls_without_answer, job_id) if self._runs and job_id else {}
        if job_id == self._job_id:
            self.asked_again = found

    def writing(self, look: Look) -> StepRow | None:
        """The running step whose model began to write last."""
        running = {(step.node_id, step.index_path): step for step in look.steps if step.status == "running"}
        return next((running[place] for place in reversed(self._texts) if place in running), None)

    def draw(self, step: StepRow) -> None:
        """Draws the place for the text of a running step into the current container."""
        with ui.element("div").classes("fp-writes") as box:
            words(_("The model writes"), "fp-s12 fp-t2")
            with ui.element("pre").classes("fp-code") as text:
                text.props["tabindex"] = "0"
                text.props["aria-label"] = _("Text so far")
                said = words("")
        self._shown = (step.node_id, step.index_path), box, said
        self._show()

    def _take(self, row: EventRow) -> None:
        place = str(row.data["node_id"]), "/".join(str(part) for part in row.data["index"])
        call, text = int(row.data.get("call") or 1), str(row.data["text"])
        before = self._texts.get(place)
        self._texts[place] = call, (before[1] + text if before and before[0] == call else text)[-SHOWN:]
        self._seq = row.seq

    def _show(self) -> None:
        if self._shown is None:
            return
        place, box, said = self._shown
        if box.is_deleted:
            self._shown = None
            return
        said.text = self._texts.get(place, (1, ""))[1]
        box.visible = bool(said.text)
