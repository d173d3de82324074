"""How a template writes a list: each item on its own line, with commas, or as JSON. A press on the chip opens the choice."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui

from engine.flow.references import Reference
from engine.nodes.text_template import split_filters
from ui.kit.parts import drop_menu, menu_item
from ui.kit.text import _


def list_writings(raw: str, fields: Sequence[str]) -> list[tuple[str, str]]:
    """Returns the choices for a reference to a list, with its braces and filters: what a choice says, and the reference
    that writes the list so. `fields`: those of an item, when the items are groups. Empty for no valid reference.
    """
    reference, _filters = split_filters(raw.removeprefix("{{").removesuffix("}}"))
    if not isinstance(reference, Reference):
        return []

    def written(*filters: str) -> str:
        return " | ".join([str(reference).removesuffix(" }}"), *filters]) + " }}"

    lines, commas, plain = 'join("\\n")', 'join(", ")', (_("As it is (JSON)"), written())
    if fields:
        said = _("“{field}” of each, on its own line")
        of_each = [
            (said.format(field=one), written(f"map({json.dumps(one, ensure_ascii=False)})", lines)) for one in fields
        ]
        return [*of_each, plain]
    return [(_("Each on its own line"), written(lines)), (_("With commas"), written(commas)), plain]


def draw_list_writings(raw: str, fields: Sequence[str], take: Callable[[str], Any]) -> ui.menu:
    """Draws the opened choice at the chip that was pressed. `take` gets the reference that was chosen."""
    with drop_menu(_("How to write this list"), "target=.fp-chip--asked no-parent-event") as menu:
        for said, new in list_writings(raw, fields):
            menu_item(said, lambda new=new: take(new), icon="check" if new == raw else None)
    menu.open()
    return menu
