"""The tab Log of the Run panel: one line per event, newest first, filtered by level and node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui
from sqlalchemy.orm import Session

from engine.core.errors import Refusal
from engine.flow.document import Node
from storage.job_log import JobLog, read_log
from ui.flow_view.job_watch import Look
from ui.flow_view.node_views import labels_of
from ui.kit.parts import button, icon, words
from ui.kit.text import Reader, _, number
from ui.kit.times import clock_time, when
from ui.page_session import PageSession
from ui.parts.open_drafts import OpenDraft
from ui.playground.run.log_lines import LEVELS, Level, LogLine, log_lines, narrowed

#: Number of lines that are drawn at once.
PAGE = 100
_SIGNS = {"info": ("info", "fp-t3"), "warning": ("warning", "fp-warn"), "error": ("error", "fp-bad")}
_WORDS = {"info": _("Note"), "warning": _("Warning"), "error": _("Error")}


class LogView:
    """Drawn while its tab is open; `follow` is called after each reading of the job."""

    def __init__(self, page_session: PageSession, draft: OpenDraft, reader: Reader) -> None:
        self.page_session = page_session
        self.draft = draft
        self.reader = reader
        self.level: Level = "info"
        self.node_id = ""
        #: The nodes of called flows, by the names of their steps.
        self.inner: Mapping[str, Node] = {}
        self.page = 0
        self.lines: Sequence[LogLine] = ()
        self.cut = False
        self.open = False
        self.begun = False
        self.look: Look | None = None
        self._read: tuple[str, int] | None = None
        self.box = ui.element("div").classes("fp-rt fp-rc fp-log")
        with self.box:
            self.head = ui.element("div").classes("fp-row fp-log-head")
            self.place = ui.element("div").props("tabindex=0 role=region")
            self.place.props["aria-label"] = _("Log")
        self._draw_head()
        self._draw()

    async def show(self) -> None:
        """Called when the tab is opened."""
        self.open = True
        await self._refresh()

    def hide(self) -> None:
        """Called when another tab is opened."""
        self.open = False

    def begin(self) -> None:
        """Clears the log at the start of another run."""
        self.begun = True
        self.look, self._read, self.lines, self.page, self.node_id = None, None, (), 0, ""
        self._draw_head()
        self._draw()

    async def follow(self, look: Look) -> None:
        """Adds what happened in the job since the last reading."""
        self.look = look
        if self.open:
            await self._refresh()

    async def _refresh(self) -> None:
        look = self.look
        if look is None or self._read == (look.job.id, look.job.last_seq):
            return
        self._read = (look.job.id, look.job.last_seq)

        def read(session: Session, workspace_id: str) -> tuple[JobLog, list[LogLine]]:
            log = read_log(session, workspace_id, look.job.id)
            return log, log_lines(log, look.steps, self.reader)

        try:
            log, lines = await self.page_session.query(read)
        except Refusal:
            self._read = None  # the next call reads it
            raise
        if self.box.is_deleted or self.look is None or self.look.job.id != look.job.id:
            return
        fresh = {line.node_id for line in lines} != {line.node_id for line in self.lines}
        self.lines, self.cut = lines, log.cut
        if fresh:
            self._draw_head()
        self._draw()

    def _draw_head(self) -> None:
        labels = self._labels()
        nodes = dict.fromkeys(line.node_id for line in self.lines if line.node_id)
        self.head.clear()
        with self.head:
            level = ui.select(dict(LEVELS), value=self.level, on_change=lambda event: self._narrow(level=event.value))
            level.props("outlined dense options-dense").props["aria-label"] = _("Level")
            chosen = {"": _("All nodes")} | {node_id: labels.get(node_id, node_id) for node_id in nodes}
            node = ui.select(chosen, value=self.node_id, on_change=lambda event: self._narrow(node_id=event.value))
            node.props("outlined dense options-dense").props["aria-label"] = _("Node")
            words("", "fp-sp")
            self.count = words("", "fp-s12 fp-t3 fp-num").props("role=status")

    def _labels(self) -> dict[str, str]:
        return labels_of(self.draft.document) | {name: node.name for name, node in self.inner.items()}

    def _narrow(self, **change: Any) -> None:
        self.level = change.get("level", self.level)
        self.node_id = change.get("node_id", self.node_id)
        self.page = 0
        self._draw()

    def _draw(self) -> None:
        found = narrowed(self.lines, self.level, self.node_id)[::-1]
        self.page = max(0, min(self.page, (len(found) - 1) // PAGE))
        page = found[self.page * PAGE : (self.page + 1) * PAGE]
        said = _("{count} of {total}, newest first").format(
            count=number(len(found), self.reader), total=number(len(self.lines), self.reader)
        )
        self.count.text = said if self.lines else ""
        self.place.clear()
        with self.place:
            if not page:
                words(self._nothing(), "fp-t2", tag="p")
                return
            labels = self._labels()
            with ui.element("ol").classes("fp-log-lines"):
                for line in page:
                    self._draw_line(line, labels)
            if self.cut and self.page == (len(found) - 1) // PAGE:
                words(
                    _("The run has more events than are read here; the oldest are left out."), "fp-s12 fp-t3", tag="p"
                )
            if len(found) > PAGE:
                self._draw_pages(len(found))

    def _nothing(self) -> str:
        if not self.begun:
            if not self.page_session.may("run flows"):
                return _("When somebody runs this flow, what happens is here, line by line.")
            return _("Press Run to see here what happens, line by line.")
        return _("Nothing of this kind happened.") if self.lines else _("Nothing has happened yet.")

    def _draw_line(self, line: LogLine, labels: dict[str, str]) -> None:
        sign, colour = _SIGNS[line.level]
        at = when(line.at)
        with ui.element("li").classes(f"fp-log-{line.level}"):
            words(f"{clock_time(at, self.reader)}.{at.microsecond // 1000:03d}", "fp-num fp-t3 fp-nw")
            with ui.element("span").classes(colour):
                icon(sign, size=14)
                words(_WORDS[line.level], "fp-hide")
            name = labels.get(line.node_id, line.node_id) or _("Run")
            if line.index_path:
                where = " · ".join(number(int(part) + 1, self.reader) for part in line.index_path.split("/"))
                name += ", " + _("item {where}").format(where=where)
            words(name, "fp-b fp-log-who")
            words(line.text[:2_000], "fp-log-text")

    def _draw_pages(self, count: int) -> None:
        def turn(by: int) -> None:
            self.page += by
            self._draw()

        with ui.element("div").classes("fp-row"):
            newer = button(_("Newer"), lambda: turn(-1), icon="chevron_left", kind="quiet", small=True)
            newer.set_enabled(self.page > 0)
            older = button(_("Older"), lambda: turn(1), icon="chevron_right", kind="quiet", small=True)
            older.set_enabled((self.page + 1) * PAGE < count)
