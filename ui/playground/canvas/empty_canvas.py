"""What an empty canvas shows: three ways to begin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from ui.kit.parts import tile, words
from ui.kit.text import _


class Blank:
    """The overlay of an empty canvas; `begin` adds the first node."""

    def __init__(self, begin: Callable[[], Awaitable[None]], *, may_edit: bool) -> None:
        self._begin = begin
        self._may_edit = may_edit
        self._box = ui.element("div").classes("fp-blank")

    def draw(self, *, empty: bool) -> None:
        """Shows the overlay when the document is empty, otherwise hides it."""
        self._box.visible = empty
        self._box.clear()
        if not empty:
            return
        with self._box, ui.element("div"):
            if not self._may_edit:
                words(_("This flow is empty"), tag="h2")
                words(_("Nobody has added a node yet. What an editor adds shows up here at once."), "fp-t2", tag="p")
                return
            words(_("Start with the input"), tag="h2")
            words(
                _(
                    "First say what goes in: a web address, a text, a list. Whoever calls the flow sends it. When nothing is "
                    "sent, as for a report every Monday, it stays without fields."
                ),
                "fp-t2",
                tag="p",
            ).style("margin: 6px 0 12px")
            with ui.element("button").classes("fp-choice").props("type=button") as first:
                tile("io", "input")
                with ui.element("span"):
                    words(_("Add an API Input"), "fp-b", tag="div")
                    words(_("Choose what callers send"), "fp-t2", tag="div")
            first.on("click", self._begin, [])
            with ui.element("a").classes("fp-choice").props("href=/start"):
                tile("ai", "search")
                with ui.element("span"):
                    words(_("Say what it should do"), "fp-b", tag="div")
                    words(_("We ask two or three questions and make the flow"), "fp-t2", tag="div")
            with ui.element("a").classes("fp-choice").props("href=/templates"):
                tile("transform", "dashboard")
                with ui.element("span"):
                    words(_("Begin with a template"), "fp-b", tag="div")
                    words(_("Ready-made flows that run at once, without a key"), "fp-t2", tag="div")
