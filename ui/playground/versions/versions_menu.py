"""The Versions menu of the Playground: view a version, compare it, restore it to the canvas, deploy it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui

from engine.flow.document import Document, load_document
from storage.flows import FlowRow, VersionLine, get_version, list_versions
from ui.flow_view.compare_versions import show_version
from ui.kit.parts import link, menu_item, status_badge, words
from ui.kit.text import _
from ui.page_session import PageSession
from ui.page_shell import times_of

#: Number of versions in the menu; the flow's page lists the others.
MAX_LISTED = 20


class Versions:
    """Fills the menu each time it is opened.

    `restore` puts a document on the canvas as an edit that can be undone; `make_live` deploys a version;
    `save_with_note` asks for a note and saves the draft.
    """

    def __init__(
        self,
        page_session: PageSession,
        flow: Callable[[], FlowRow],
        draft: Callable[[], Document],
        *,
        restore: Callable[[Document], Awaitable[Any]],
        make_live: Callable[[int], Awaitable[Any]],
        save_with_note: Callable[[], Awaitable[Any]],
    ) -> None:
        self.page_session = page_session
        self.flow = flow
        self.draft = draft
        self.restore = restore
        self.make_live = make_live
        self.save_with_note = save_with_note
        self.times = times_of(page_session)

    async def fill(self, place: ui.element) -> None:
        """Draws the versions, newest first."""
        flow = self.flow()
        versions = await self.page_session.query(list_versions, flow.id)
        place.clear()
        with place:
            if not versions:
                words(_("No version yet. Save As makes version 1."), "fp-person", tag="p")
                return
            if self.page_session.may("edit flows"):
                menu_item(_("Save with a note..."), self.save_with_note, icon="save")
                ui.separator()
            for version in versions[:MAX_LISTED]:
                item = menu_item("", lambda version=version: self._open(version), icon="history")
                with item:
                    words(_("Version {number}").format(number=version.number), "fp-b")
                    if version.number == flow.live_version:
                        status_badge("live")
                    words(version.note or self.times.ago(version.created_at), "fp-t3 fp-s12 fp-cut").style(
                        "max-width: 220px"
                    )
            if len(versions) > MAX_LISTED:
                link(_("All versions"), f"/flows/{flow.id}?tab=versions", "fp-person")

    async def _open(self, line: VersionLine) -> None:
        version = await self.page_session.query(get_version, self.flow().id, line.number)
        document = load_document(version.document)
        chosen = await show_version(self.page_session, self.flow(), line, document, self.draft())
        if chosen == "restore":
            await self.restore(document)
        elif chosen == "live":
            await self.make_live(line.number)
