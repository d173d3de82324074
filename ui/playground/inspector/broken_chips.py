"""Under a field: "Replace with ..." for each chip whose data cannot be found. A click on the chip opens it, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui

from ui.kit.parts import button, drop_menu, menu_item, words
from ui.kit.text import _
from ui.playground.state.replacements import BrokenData


def draw_replacements(found: BrokenData, take: Callable[[str], Any]) -> ui.menu:
    """Draws the button into the current container. `take` gets the reference that was chosen."""
    opener = button(
        _("Replace “{name}” with …").format(name=found.name), icon="add_link", kind="quiet", small=True
    ).props("aria-haspopup=menu")
    with opener, drop_menu(_("Replace with")) as menu:
        words(found.sentence, "fp-person fp-b", tag="p")
        if not found.choices:
            words(_("No step before this one has data: connect one."), "fp-person fp-t2", tag="p")
        for at, choice in enumerate(found.choices):
            item = menu_item(
                choice.name, lambda raw=choice.raw: take(raw), icon="check" if at == 0 and found.likely else None
            )
            with item:
                words(choice.value or choice.type_word, "fp-t3 fp-cut fp-s12").style("max-width: 200px")
    return menu
