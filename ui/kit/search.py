"""The search dialog of the frame (Ctrl+K). It finds flows and templates, with a function that is passed in, and places.

open_it = search_dialog(search, areas, places)   builds the dialog; call `open_it()` to show it
Hit(title, path, note="", symbol="arrow_forward", synonyms="")     one result

What Flowport does not have (ui/kit/not_yet.py) is said first; when nothing is found, the help's own search is offered.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import quote

from msgspec import Struct
from nicegui import ui

from engine.actions.principal import Permission
from ui.kit.finding import Said, best
from ui.kit.not_yet import NotYet, nearest_not_yet, not_yet
from ui.kit.parts import icon, is_help, link, new_tab_sign, words
from ui.kit.text import _


class Hit(Struct, frozen=True):
    """One search result: its title, its path, a short note, and the words by which it is found beside these two.

    `needs` is the permission for what the title says. `who` says to somebody without it who does it, and is shown in
    place of the note.
    """

    title: str
    path: str
    note: str = ""
    symbol: str = "arrow_forward"
    synonyms: str = ""
    needs: Permission = "look"
    who: str = ""

    @property
    def said(self) -> Said:
        return Said(self.title, self.note, self.synonyms)


Search = Callable[[str], Sequence[Hit] | Awaitable[Sequence[Hit]]]
_MOST = 20


def found_for(text: str, hits: Sequence[Hit]) -> tuple[NotYet | None, list[Hit]]:
    """Returns what is missing, if the search is about such a thing, and the hits that match, the best first."""
    hits_found = best([(hit, hit.said) for hit in hits], text)[:_MOST]
    return (not_yet(text) if hits_found else nearest_not_yet(text)), hits_found


def search_dialog(
    search: Search | None, areas: Sequence[Hit], places: Sequence[Hit] = ()
) -> Callable[[], Awaitable[None]]:
    """Builds the dialog and returns the function that opens it.

    `search` gets the text as typed; it gets "" when the dialog opens. What it returns ranks before places that match
    equally well. Without a text only this and the `areas` are listed.
    """
    name = _("Find a flow, a page or what you want to do")
    with ui.dialog().props("position=top") as dialog, ui.card().classes("fp-find"):
        dialog.props["aria-label"] = _("Search")
        box = ui.input(placeholder=name).props("outlined dense autofocus debounce=150")
        box.props["aria-label"] = name
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
        missing, hits = found_for(text, [*flows, *areas, *(places if text else ())])
        first[:] = [one.path for one in (missing, *hits) if one is not None][:1]
        results.clear()
        with results:
            if missing is not None:
                _missing(missing)
            for hit in hits:
                _result(hit)
            if text and not hits:
                _nothing(text, said=missing is None)

    async def open_it() -> None:
        box.value = ""
        dialog.open()
        await show()

    async def go() -> None:
        await show()
        if first and (box.value or "").strip():
            ui.navigate.to(first[0], new_tab=is_help(first[0]))

    box.on_value_change(show)
    box.on("keydown.enter", go, [])
    return open_it


def _result(hit: Hit) -> None:
    with ui.element("li"), link("", hit.path):
        icon(hit.symbol, "fp-t3")
        words(hit.title, "fp-b fp-cut")
        words(hit.who or hit.note, "fp-t3 fp-s12" if hit.who else "fp-t3 fp-s12 fp-cut")
        if is_help(hit.path):
            new_tab_sign()


def _missing(one: NotYet) -> None:
    with ui.element("li"), link("", one.path, "fp-find-missing"):
        icon("info", "fp-t3")
        with ui.element("span"):
            words(one.title, "fp-b")
            words(one.instead, "fp-t2 fp-s13")
        if is_help(one.path):
            new_tab_sign()


def _nothing(text: str, *, said: bool) -> None:
    """Says that nothing was found, and where to look further."""
    if said:
        words(_("Nothing here is about “{text}”. You could look here:").format(text=text), "fp-t2 fp-person", tag="li")
    _result(Hit(_("Search the help for it"), f"/docs/search?q={quote(text)}", symbol="help"))
    _result(Hit(_("Look through the templates"), "/templates", symbol="dashboard"))
