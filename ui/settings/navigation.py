"""The navigation beside each settings page."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from nicegui import ui

from ui.kit.frame import PageFrame
from ui.kit.parts import link, words
from ui.kit.text import _
from ui.page_session import PageSession
from ui.page_shell import opened

PLACES = {
    "keys": _("API Keys"),
    "models": _("Models and secrets"),
    "tools": _("Tools"),
    "limits": _("Limits and plan"),
    "team": _("Team"),
    "account": _("Your account"),
    "data": _("Data"),
    "server": _("Server"),
    "audit": _("Audit log"),
    "about": _("About"),
}


class SettingsPage:
    """One open settings page. Elements entered into `actions` are placed at the right of its title line."""

    def __init__(self, page: PageFrame, actions: ui.element) -> None:
        self.page = page
        self.actions = actions


@contextlib.contextmanager
def settings_page(page_session: PageSession, place: str, sub: str) -> Iterator[SettingsPage]:
    """Draws the frame, the navigation and the page's title, and enters the slot of the page's content."""
    title = PLACES[place]
    with opened(page_session, title, active="settings", h1=False) as page, ui.element("div").classes("fp-side"):
        with ui.element("nav").classes("fp-sn") as places:
            places.props["aria-label"] = _("Settings")
            for name, word in PLACES.items():
                entry = link(word, f"/settings/{name}", "fp-on" if name == place else "")
                if name == place:
                    entry.props("aria-current=page")
                    entry.run_method(
                        "scrollIntoView", {"block": "nearest", "inline": "center"}
                    )  # on a phone the navigation is one scrolling row
        with ui.element("div").classes("fp-grow"):
            with ui.element("div").classes("fp-head"):
                with ui.element("div").classes("fp-titles"):
                    words(title, tag="h1")
                    words(sub, "fp-sub", tag="p")
                actions = ui.element("div").classes("fp-acts")
            with ui.element("div").classes("fp-col"):
                yield SettingsPage(page, actions)
