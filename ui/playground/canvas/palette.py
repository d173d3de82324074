"""The palette: all node types by group, with search.

Click or Enter adds a node after the selected one; dragging places it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui

from engine.flow.node_type import GROUPS, NodeType
from engine.nodes import NODE_TYPES
from ui.kit.parts import icon, words
from ui.kit.text import _

#: Browser handler that puts the node type of the dragged button into the drag event. The script is constant.
_DRAG = """(e) => {
  e.dataTransfer.setData('application/x-flowport-node', e.currentTarget.dataset.type);
  e.dataTransfer.effectAllowed = 'copy';
}"""
#: Browser handler for the arrow keys, which move the focus between node types. The script is constant: it reads nothing
#: of a flow.
ARROWS = """(e) => {
  const all = [...e.currentTarget.querySelectorAll(".fp-pi")].filter((one) => one.checkVisibility());
  const at = all.indexOf(e.target.closest(".fp-pi"));
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[e.key];
  if (to === undefined || (at < 0 && e.key !== "ArrowDown") || !all[to]) return;
  e.preventDefault();
  all[to].focus();
}"""

#: A group heading and the buttons under it.
Group = tuple[ui.element, list[tuple[NodeType, ui.element]]]


def palette(add: Callable[[str], Any]) -> ui.element:
    """Draws the palette. `add` is called with the node type that was chosen."""
    with ui.element("aside").classes("fp-pal") as panel:
        panel.props["aria-label"] = _("Nodes")
        box = ui.input(placeholder=_("Find a node")).props("outlined dense clearable")
        box.props["aria-label"] = _("Find a node")
        with box.add_slot("prepend"):
            icon("search", size=16)
        items = node_list(NODE_TYPES, add)
        words(_("Click adds after the selected node. Drag puts it anywhere."), "fp-pf", tag="p")

    async def add_first() -> None:
        if first := narrow_to(items, box.value):
            await add(first)

    box.on_value_change(lambda: narrow_to(items, box.value) and None)
    box.on("keydown.enter", add_first)
    panel.on("keydown", js_handler=ARROWS)
    return panel


def narrow_to(groups: Sequence[Group], text: str | None) -> str | None:
    """Shows the node types that match this text and returns the one that Enter adds. Titles rank before
    synonyms, and these before tooltips.

    Only that button is a tab stop; the arrow keys reach the others.
    """
    wanted = (text or "").strip().casefold()
    found = [(kind, item) for _heading, group in groups for kind, item in group if _fits(kind, wanted) is not None]
    first = min(found, key=lambda one: _fits(one[0], wanted) or 0)[1] if found else None
    for heading, group in groups:
        for kind, item in group:
            item.visible = _fits(kind, wanted) is not None
            item.props["tabindex"] = "0" if item is first else "-1"
            item.classes(add="fp-first") if item is first and wanted else item.classes(remove="fp-first")
        heading.visible = any(item.visible for _kind, item in group)
    return next((kind.type for kind, item in found if item is first), None)


def _fits(kind: NodeType, wanted: str) -> int | None:
    """How well a node type matches the search, 0 is best; None when it does not match."""
    title = kind.title.casefold()
    if title.startswith(wanted):
        return 0
    if wanted in title or any(wanted in word for word in kind.synonyms):
        return 1
    return 2 if wanted in kind.tooltip.casefold() else None


def node_list(kinds: Sequence[NodeType], add: Callable[[str], Any], *, drag: bool = True) -> list[Group]:
    """Draws buttons for these node types under their group's name. Returns headings and buttons for `narrow_to`."""
    made: list[Group] = []
    with ui.element("div").classes("fp-pl"):
        for group, title in GROUPS.items():
            members = [kind for kind in kinds if kind.group == group]
            if members:
                heading = words(title, tag="h2")
                made.append((heading, [(kind, _item(kind, add, drag=drag)) for kind in members]))
    narrow_to(made, "")
    return made


def _item(kind: NodeType, add: Callable[[str], Any], *, drag: bool) -> ui.element:
    with ui.element("button").classes("fp-pi").props("type=button") as button:
        button.props["data-type"] = kind.type
        with ui.element("span").classes(f"fp-tile-i fp-sm fp-g-{kind.group}"):
            icon(kind.icon, size=16)
        with ui.element("span").classes("fp-pi-text"):
            words(kind.title)
            words(kind.tooltip, "fp-pi-line")
    button.on("click", lambda: add(kind.type), [])
    if drag:
        button.props("draggable=true")
        button.on("dragstart", js_handler=_DRAG)
    return button
