"""Open notes to the owner: who asked for a model, for which flow, and a button that closes the note."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from engine.actions.owner_notes import close_note
from storage.owner_notes import OwnerNoteRow
from ui.kit import feedback
from ui.kit.parts import button, card, icon, link, words
from ui.kit.text import _
from ui.kit.times import Times
from ui.page_session import PageSession


def draw_open_notes(
    page_session: PageSession, notes: Sequence[OwnerNoteRow], times: Times, on_closed: Callable[[], Awaitable[None]]
) -> None:
    """Draws a card with the open notes; nothing when there are none."""
    if not notes:
        return

    async def close(note: OwnerNoteRow) -> None:
        with feedback.refusals_told() as outcome:
            await page_session.execute(close_note, note.id)
        if not outcome.refused:
            await on_closed()

    with card(_("Asked for"), _("by people who may not set up models")), ui.element("ul").classes("fp-models"):
        for note in notes:
            with ui.element("li").classes("fp-asked"):
                icon("person_raised_hand")
                with ui.element("div").classes("fp-grow"):
                    with ui.element("div").classes("fp-row fp-wrap-row fp-s13"):
                        words(note.name, "fp-b")
                        words(_("needs a model for"))
                        if note.flow_id is None:
                            words(note.subject)
                        else:
                            link(note.subject, f"/playground/{note.flow_id}")
                        words(times.ago(note.created_at), "fp-t3")
                    if note.message:
                        words(note.message, "fp-s13 fp-t2", tag="p")
                done = button(_("Done"), lambda note=note: close(note), icon="check", small=True)
                done.props["aria-label"] = _("Done: {name}, {subject}").format(name=note.name, subject=note.subject)
