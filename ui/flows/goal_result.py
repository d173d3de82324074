"""Shows a result as people read it: names and values, lists as points, lists of groups as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nicegui import ui

from engine.flow.node_type import Json
from ui.kit.parts import link, table, words
from ui.kit.text import _

_MOST_ITEMS = 20
_MOST_COLUMNS = 8
_LONGEST = 2_000


def draw_value(value: Json) -> None:
    """Draws a value into the current container."""
    if isinstance(value, Mapping) and value:
        with ui.element("dl").classes("fp-kv fp-goal-values"):
            for name, part in value.items():
                words(str(name).replace("_", " ").capitalize(), tag="dt")
                with ui.element("dd"):
                    draw_value(part)
    elif isinstance(value, Sequence) and not isinstance(value, str) and value:
        _draw_list(value)
    else:
        _draw_plain(value)


def _draw_list(items: Sequence[Json]) -> None:
    names = list(dict.fromkeys(name for item in items if isinstance(item, Mapping) for name in item))
    if names and all(isinstance(item, Mapping) for item in items):
        shown = names[:_MOST_COLUMNS]
        rows = table([name.replace("_", " ").capitalize() for name in shown], label=_("List"), stacks=True)
        for item in items[:_MOST_ITEMS]:
            with rows.row():
                for name in shown:
                    with rows.cell():
                        draw_value(item.get(name))
    else:
        with ui.element("ul").classes("fp-goal-points"):
            for item in items[:_MOST_ITEMS]:
                with ui.element("li"):
                    draw_value(item)
    if len(items) > _MOST_ITEMS:
        words(f"{_('and')} {len(items) - _MOST_ITEMS} {_('more')}", "fp-t3 fp-s12", tag="p")


def _draw_plain(value: Json) -> None:
    if isinstance(value, bool):
        words(_("Yes") if value else _("No"))
    elif value is None or value in ("", [], {}):
        words(_("Empty"), "fp-t3")
    else:
        text = str(value)
        cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
        if text.startswith(("https://", "http://")) and len(text.split()) == 1:
            link(cut, text, new_tab=True)
        else:
            words(cut, "fp-goal-text")
