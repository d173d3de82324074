"""The line below the drawn items of a list that says how many more there are, and draws the next ones."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from ui.forms.part import Owner
from ui.kit.parts import button, words
from ui.kit.text import _, plural


class MoreItems:
    """The line. It is hidden while everything is drawn."""

    def __init__(self, owner: Owner, title: str, show: Callable[[], None]) -> None:
        self._by_json = owner.json_views and not owner.read_only
        with ui.element("div").classes("fp-row fp-wrap-row") as self._line:
            self._words = words("", "fp-hint")
            shown = button(_("Show more"), show, kind="quiet", small=True)
            shown.props["aria-label"] = _("Show more, {title}").format(title=title)
        self._line.visible = False

    def tell(self, count: int) -> None:
        """Says how many items are not drawn."""
        self._line.visible = count > 0
        if count:
            more = plural(count, _("more item is not shown."), _("more items are not shown."))
            self._words.text = _("{more} JSON shows all of them.").format(more=more) if self._by_json else more
