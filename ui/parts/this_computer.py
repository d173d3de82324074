"""A warning beside addresses and links that only this computer can open, because Flowport is open at localhost."""

from __future__ import annotations

from nicegui import ui

from engine.core.settings import LOOPBACK
from engine.core.web_addresses import split_url
from ui.kit.parts import icon, link, note, words
from ui.kit.text import _
from ui.page_session import PageSession


def only_here(base: str) -> bool:
    """True when `base`, the address at which Flowport is open, leads other computers to themselves."""
    host = split_url(base).hostname or ""
    return host in LOOPBACK or host.endswith(".localhost")


def this_computer_note(page_session: PageSession, base: str, said: str) -> None:
    """Draws the warning with the way to a better address; nothing when other computers can open `base`. `said`: what does
    not work there, as a sentence.
    """
    if not only_here(base):
        return
    with note(
        f"{said} {_remedy(page_session)}",
        kind="warn",
        icon="warning",
        strong=_("Flowport is open at an address of this computer only."),
    ).classes("fp-note--act"):
        _link(page_session)


def this_computer_line(page_session: PageSession, base: str) -> None:
    """The same as one line in a card, below an address."""
    if not only_here(base):
        return
    with ui.element("p").classes("fp-code-says fp-s13"):
        icon("warning", "fp-warn", size=16)
        with ui.element("span").classes("fp-wrap-text"):
            words(_("This address works on this computer only.") + " ", "fp-b")
            words(_remedy(page_session) + " ")
            _link(page_session)


def _remedy(page_session: PageSession) -> str:
    if page_session.may("change the server"):
        return _("You can give Flowport an address that others reach.")
    return _("Whoever runs Flowport can give it an address that others reach, under Settings, Server.")


def _link(page_session: PageSession) -> None:
    if page_session.may("change the server"):
        link(_("Settings, Server"), "/settings/server", "fp-nw fp-in-text", new_tab=True)
