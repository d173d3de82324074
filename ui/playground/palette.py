"""The palette: every kind of node by group, searchable. Click or Enter adds after the selected node; drag puts it anywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui

from engine.flow.node_type import GROUPS, NodeType
from engine.nodes import NODE_TYPES
from ui.look.parts import icon, words
from ui.look.text import _

#: A constant script: it carries the kind of node from the button's own data to the canvas.
_DRAG = """(e) => {
  e.dataTransfer.setData('application/x-flowport-node', e.currentTarget.dataset.type);
  e.dataTransfer.effectAllowed = 'copy';
}"""


def palette(add: Callable[[str], Any]) -> ui.element:
    """Draws the palette; `add` is called with the type of a node that was chosen."""
    with ui.element("aside").classes("fp-pal") as panel:
        panel.props["aria-label"] = _("Nodes")
        box = ui.input(placeholder=_("Find a node")).props("outlined dense clearable")
        box.props["aria-label"] = _("Find a node")
        with box.add_slot("prepend"):
            icon("search", size=16)
        items = node_list(NODE_TYPES, add)
        words(_("Click adds after the selected node. Drag puts it anywhere."), "fp-pf", tag="p")

    def narrow() -> None:
        text = (box.value or "").strip().casefold()
        for heading, group in items:
            shown = False
            for node, button in group:
                button.visible = not text or text in f"{node.title} {node.tooltip}".casefold()
                shown = shown or button.visible
            heading.visible = shown

    async def add_first() -> None:
        for _heading, group in items:
            for node, button in group:
                if button.visible:
                    await add(node.type)
                    return

    box.on_value_change(narrow)
    box.on("keydown.enter", add_first)
    return panel


def node_list(
    kinds: Sequence[NodeType], add: Callable[[str], Any], *, drag: bool = True
) -> list[tuple[ui.element, list[tuple[NodeType, ui.element]]]]:
    """Buttons for these kinds under their group's name; gives back headings and buttons for filtering."""
    made = []
    with ui.element("div").classes("fp-pl"):
        for group, title in GROUPS.items():
            members = [kind for kind in kinds if kind.group == group]
            if members:
                heading = words(title, tag="h2")
                made.append((heading, [(kind, _item(kind, add, drag=drag)) for kind in members]))
    return made


def _item(kind: NodeType, add: Callable[[str], Any], *, drag: bool) -> ui.element:
    with ui.element("button").classes("fp-pi").props("type=button") as button:
        button.props["data-type"] = kind.type
        button.props["title"] = kind.tooltip
        with ui.element("span").classes(f"fp-tile-i fp-sm fp-g-{kind.group}"):
            icon(kind.icon, size=16)
        words(kind.title)
    button.on("click", lambda: add(kind.type), [])
    if drag:
        button.props("draggable=true")
        button.on("dragstart", js_handler=_DRAG)
    return button
