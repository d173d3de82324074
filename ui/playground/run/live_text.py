"""The text that models write during a run, collected from the job's events and shown until the output exists."""

from __future__ import annotations

from nicegui import ui

from storage.events import EventRow, list_events
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
    """The text that the models of one run have written so far, by step."""

    def __init__(self, page_session: PageSession) -> None:
        self._here = page_session
        self._job_id: str | None = None
        self._seq = 0
        self._texts: dict[Place, tuple[int, str]] = {}
        self._shown: tuple[Place, ui.element, Words] | None = None

    async def look(self, look: Look) -> None:
        """Reads new events and shows the text when its step is the one that is drawn."""
        if look.job.id != self._job_id:
            self._job_id, self._seq, self._texts, self._shown = look.job.id, 0, {}, None
        if not any(step.status == "running" for step in look.steps):
            return
        rows = await self._here.query(list_events, look.job.id, self._seq, _PAGE, name="step.delta")
        for row in rows:
            self._take(row)
        if rows:
            self._show()

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
