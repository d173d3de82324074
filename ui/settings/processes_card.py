"""The card of every server and worker: where it runs, its release, when it was heard last, its jobs and its delay."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Sequence

from nicegui import ui
from sqlalchemy.orm import Session

from engine.core.version import VERSION
from storage.server_figures import LIVING_MS
from storage.workers import API, SERVER, WORKER, Kind, SeenProcess, list_processes
from storage.workspaces import is_first_workspace
from ui.kit.parts import Column, card, note, table, words
from ui.kit.text import _, duration, number
from ui.page_session import PageSession
from ui.page_shell import every, one_at_a_time, times_of

LOOK_SECONDS = 5.0
#: A process that beats every 5 s and was not heard for this many milliseconds is shown as silent.
SILENT_MS = 12_000
_NO_WORKER = _("No worker runs, so jobs wait in the queue.")
KINDS: dict[Kind, str] = {SERVER: _("Server"), API: _("Server without pages"), WORKER: _("Worker")}


def load_processes(session: Session, workspace_id: str) -> list[SeenProcess]:
    """Reads what the processes said of themselves. Returns nothing for people who do not own the server."""
    return list_processes(session) if is_first_workspace(session, workspace_id) else []


class ProcessesCard:
    """Draws its place in the current slot; `begin` fills it and keeps it up to date."""

    def __init__(self, page_session: PageSession) -> None:
        self.page_session = page_session
        self.times = times_of(page_session)
        with card(_("Servers and workers"), padded=False) as self.place:
            self.notes = ui.element("div")
            self.rows = table(
                [
                    _("Process"),
                    _("Release"),
                    _("Started"),
                    _("Heard"),
                    Column(_("Jobs now"), right=True),
                    Column(_("Delay"), right=True),
                ],
                label=_("Servers and workers"),
                tall=True,
                stacks=True,
            ).props("tabindex=0")

    async def begin(self) -> None:
        """Draws the rows, now and every LOOK_SECONDS."""
        await self.look()
        every(LOOK_SECONDS, self.look)

    @one_at_a_time
    async def look(self) -> None:
        """Reads the processes, and draws them."""
        seen = await self.page_session.query(load_processes)
        late_ms = await _delay_ms()
        if not self.place.is_deleted:
            self._show(self._with_this_server(seen, late_ms))

    def _with_this_server(self, seen: Sequence[SeenProcess], late_ms: int) -> list[SeenProcess]:
        """Adds the server that shows the page, when it writes no beats: with SQLite it is the only one."""
        app = self.page_session.app
        if app.database.is_postgres:
            return list(seen)
        at = app.database.clock.now()
        this = SeenProcess("", SERVER, socket.gethostname(), os.getpid(), VERSION, app.started_at, at, late_ms, 0)
        return [this, *seen]

    def _show(self, seen: Sequence[SeenProcess]) -> None:
        at = self.page_session.app.database.clock.now()
        self.notes.clear()
        if said := self._said(seen, at):
            with self.notes, ui.element("div").style("padding: 12px 16px 4px"):
                for text in said:
                    note(text, kind="warn" if text == _NO_WORKER else "")
        self.rows.clear_rows()
        for one in seen:
            self._draw(one, at)

    def _said(self, seen: Sequence[SeenProcess], at: int) -> list[str]:
        """Returns what is to be known about all of them."""
        said = []
        if not any(one.kind == WORKER and at - one.beat_at <= LIVING_MS for one in seen):
            said.append(_NO_WORKER)
        if len({one.version for one in seen}) > 1:
            said.append(_("More than one release runs. That is fine while you replace them one after the other."))
        return said

    def _draw(self, one: SeenProcess, at: int) -> None:
        reader, silent = self.times.reader, at - one.beat_at > SILENT_MS
        with self.rows.row():
            # a long host name is wrapped, and on a phone this cell is a line of its own
            with self.rows.cell(classes="fp-wrap-text").style(
                "flex: 0 0 100%; overflow-wrap: anywhere; padding-block: 10px"
            ):
                words(KINDS.get(one.kind, one.kind), "fp-b", tag="div")
                is_this = (one.host, one.pid) == (socket.gethostname(), os.getpid())
                where = _("{host}, process {pid}").format(host=one.host, pid=one.pid)
                words(
                    _("{where}, shows this page").format(where=where) if is_this else where,
                    "fp-s13 fp-t3 fp-wrap-text",
                    tag="div",
                )
            for name, said, classes in (
                (_("Release"), one.version or _("unknown"), ""),
                (_("Started"), self.times.moment(one.started_at), "fp-t2"),
                (_("Heard"), self.times.ago(one.beat_at), "fp-warn fp-b" if silent else "fp-t2"),
            ):
                self.rows.cell(said, classes).props["data-name"] = name  # shown before it on a phone
            self.rows.cell(number(one.jobs, reader) if one.kind == WORKER else "")
            self.rows.cell(duration(one.lag_ms / 1_000, reader))


async def _delay_ms() -> int:
    """Returns after how many milliseconds this server's event loop goes on with what waits."""
    begun = time.monotonic()
    await asyncio.sleep(0)
    return round((time.monotonic() - begun) * 1_000)
