"""What a person can do who needs a model: an owner connects a found server or opens the set-up, an editor asks the
owner.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from engine.actions.owner_notes import MAX_TEXT, ask_owner
from engine.core.errors import Refusal
from storage.connections import ConnectionRow
from storage.owner_notes import has_asked
from storage.workspaces import is_first_workspace
from ui.forms.form import Field
from ui.kit import feedback
from ui.kit.answer import answer_of
from ui.kit.parts import button, icon, link_button, words
from ui.kit.text import _
from ui.page_session import PageSession
from ui.parts.found_servers import fresh_servers, server_row


class ModelWanted:
    """Call `load`, then `draw`. `on_connected` gets the name of the connection to a found server."""

    def __init__(
        self,
        page_session: PageSession,
        subject: str,
        *,
        on_connected: Callable[[str], Awaitable[None]],
        flow_id: str | None = None,
    ) -> None:
        self.page_session = page_session
        self.subject = subject
        self.flow_id = flow_id
        self.on_connected = on_connected
        self.asked = False
        self.offers_found = False

    async def load(self) -> None:
        """Reads whether found servers may be connected here, or whether this person has asked the owner already."""
        if self.page_session.may("manage connections"):
            self.offers_found = await self.page_session.query(is_first_workspace)
        else:
            self.asked = await self.page_session.query(
                has_asked, self.page_session.person.id, self.flow_id, self.subject
            )

    def draw(self, rows: Sequence[ConnectionRow]) -> None:
        """Draws the buttons into the current container; `rows` are the existing connections.

        A viewer gets no buttons.
        """
        if self.page_session.may("manage connections"):
            for server in fresh_servers(self.page_session, rows) if self.offers_found else ():
                server_row(self.page_session, server, self.on_connected)
            with ui.element("div").classes("fp-row"):
                link_button(_("Set up a model"), "/settings/models", icon="auto_awesome", small=True)
        elif self.page_session.may("edit flows"):
            self.place = ui.element("div").classes("fp-row fp-wrap-row").props("role=status")
            with self.place:
                self._draw_asking()

    def _draw_asking(self) -> None:
        if self.asked:
            icon("check", "fp-ok", size=16)
            words(_("The owner has your note."), "fp-s13 fp-t2")
        else:
            button(_("Ask the owner"), self._ask, icon="mail", small=True)

    async def _ask(self) -> None:
        if await ask_for_model(self.page_session, self.subject, self.flow_id) and not self.place.is_deleted:
            self.asked = True
            self.place.clear()
            with self.place:
                self._draw_asking()


def model_button(page_session: PageSession, subject: str) -> None:
    """Draws one button: the set-up for an owner, a request to the owner for an editor."""

    async def ask() -> None:
        if await ask_for_model(page_session, subject, None):
            feedback.told(_("The owner has your note."))

    if page_session.may("manage connections"):
        link_button(_("Set up a model"), "/settings/models", small=True)
    elif page_session.may("edit flows"):
        button(_("Ask the owner"), ask, icon="mail", small=True)


async def ask_for_model(page_session: PageSession, subject: str, flow_id: str | None) -> bool:
    """Shows a dialog for the request to the owner and stores the request. True when it was stored."""
    with feedback.open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg"):
        title = _("Ask the owner for a model")
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        words(
            _("The owner sees it under Settings, Models and secrets: you need a model for {subject}.").format(
                subject=subject
            ),
            tag="p",
        )
        field = Field(_("Message"), _("optional"), _("Which model, or what it is for."))
        with field.place:
            box = ui.textarea().props(f"outlined dense autogrow autofocus maxlength={MAX_TEXT}")
            message = field.control(box)

        async def send() -> None:
            try:
                await page_session.execute(ask_owner, subject, flow_id=flow_id, message=message.value or "")
            except Refusal as refusal:
                field.error(f"{refusal.detail}. {refusal.remedy}")
                return
            dialog.submit(True)

        with ui.element("div").classes("fp-acts"):
            button(_("Cancel"), dialog.close, kind="quiet")
            button(_("Leave the note"), send, kind="main")
    return bool(await answer_of(dialog))
