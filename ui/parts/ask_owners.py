"""What a person is told about something their role may not do: who may, and whom to ask."""

from __future__ import annotations

from nicegui import ui

from ui.kit.parts import note
from ui.kit.text import _
from ui.page_session import PageSession


def asking(page_session: PageSession, said: str) -> str:
    """Returns the sentence, followed by the owners: `Editors and owners run it. Ask: Mara (mara@example.com).`"""
    owners = ", ".join(f"{one.name} ({one.email})" if one.name else one.email for one in page_session.owners)
    return _("{said} Ask: {owners}.").format(said=said, owners=owners) if owners else said


def ask_note(page_session: PageSession, said: str) -> ui.element:
    """Draws a strip with the sentence and the owners."""
    return note(asking(page_session, said), icon="lock")
