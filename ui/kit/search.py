"""The search dialog of the frame (Ctrl+K). It finds flows by title, with a function that is passed in, and pages.

open_it = search_dialog(search, places)   builds the dialog; call `open_it()` to show it
Hit(title, path, note="")                 one result
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from nicegui import ui

from ui.kit.parts import icon, link, words
from ui.kit.text import _


@dataclass(frozen=True)
class Hit:
    """One search result: its title, its path and a short note."""

    title: str
    path: str
    note: str = ""


Search = Callable[[str], Sequence[Hit] | Awaitable[Sequence[Hit]]]
_MOST = 20


def search_dialog(search: Search | None, places: Sequence[Hit]) -> Callable[[], Awaitable[None]]:
    """Builds the dialog and returns the function that opens it.

    `search` gets the text as typed; it gets "" when the dialog opens.
    """
    with ui.dialog().props("position=top") as dialog, ui.card().classes("fp-find"):
        dialog.props["aria-label"] = _("Search")
        box = ui.input(placeholder=_("Find a flow or a page")).props("outlined dense autofocus debounce=150")
        box.props["aria-label"] = _("Find a flow or a page")
        with box.add_slot("prepend"):
            icon("search")
        results = ui.element("ul")
    first: list[str] = []

    async def show() -> None:
        text = (box.value or "").strip()
        found = search(text) if search is not None else ()
        flows = await found if inspect.isawaitable(found) else found
        if text != (box.value or "").strip():
            return  # a later search shows the results of the text that is in the box now
        pages = [place for place in places if text.casefold() in place.title.casefold()]
        first[:] = [hit.path for hit in [*flows, *pages]][:1]
        results.clear()
        with results:
            for hit in flows[:_MOST]:
                _result(hit, "schema")
            for place in pages:
                _result(place, "arrow_forward")
            if not flows and not pages:
                words(
                    _("Nothing has this name. Check the spelling, or look through Saved Flows."),
                    "fp-t2 fp-person",
                    tag="li",
                )

    async def open_it() -> None:
        box.value = ""
        dialog.open()
        await show()

    async def go() -> None:
        await show()
        if first and (box.value or "").strip():
            ui.navigate.to(first[0])

    box.on_value_change(show)
    box.on("keydown.enter", go, [])
    return open_it


def _result(hit: Hit, symbol: str) -> None:
    with ui.element("li"), link("", hit.path):
        icon(symbol, "fp-t3")
        words(hit.title, "fp-b fp-cut")
        words(hit.note, "fp-t3 fp-s12 fp-cut")
