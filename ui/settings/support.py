"""The support file on the page About. It is created on request and shown in full before it can be downloaded.

The server sends it nowhere.
"""

from __future__ import annotations

from datetime import UTC, datetime

from nicegui import ui

from engine.diagnostics.support import write_support_file
from storage.workspaces import is_first_workspace
from ui.kit.code_view import code
from ui.kit.parts import button, card, words
from ui.kit.text import _
from ui.page_session import PageSession


class SupportCard:
    """The card, for the owner of the server."""

    def __init__(self, page_session: PageSession, versions: dict[str, str]) -> None:
        self.page_session = page_session
        self.versions = versions
        with card(_("Support file")), ui.element("div").classes("fp-col"):
            words(
                _(
                    "For somebody who helps you: versions, settings without secrets, what the check finds, counts, and the codes of the last errors. No flow, value, name or address of a person is in it. Flowport sends it nowhere."
                ),
                "fp-s13 fp-t2",
                tag="p",
            )
            with ui.element("div").classes("fp-row"):
                self.make = button(_("Make the support file"), self._make, icon="description")
            self.shown = ui.element("div").classes("fp-col").props("role=status")

    async def _make(self) -> None:
        if not self.page_session.may("change the server") or not await self.page_session.query(is_first_workspace):
            return
        self.make.disable()
        try:
            app = self.page_session.app
            text = await write_support_file(app.settings, app.database, app.vault, self.versions)
        finally:
            self.make.enable()
        self.shown.clear()
        with self.shown:
            words(_("Read it first; it is downloaded as it stands here."), "fp-s13", tag="p")
            code(text, "json", name=_("Support file"), inside=True)
            with ui.element("div").classes("fp-row"):
                button(_("Download the support file"), lambda: self._download(text), icon="download", kind="main")

    def _download(self, text: str) -> None:
        at = datetime.fromtimestamp(self.page_session.app.database.clock.now() / 1000, UTC)
        ui.download.content(text.encode(), f"flowport-support-{at:%Y-%m-%d-%H%M}.json", "application/json")
