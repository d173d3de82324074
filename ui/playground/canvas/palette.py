"""The palette: all node types by group, with search.

Click or Enter adds a node after the selected one; dragging places it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nicegui import ui

from engine.flow.node_type import GROUPS, NodeType
from engine.nodes import NODE_TYPES
from ui.kit.finding import Said, best
from ui.kit.not_yet import not_yet
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

#: The nodes that can do the most different things: shown when a search finds none.
_FOR_MUCH = frozenset({"prompt", "http_request"})
#: A group heading and the buttons under it.
Group = tuple[ui.element, list[tuple[NodeType, ui.element]]]


def palette(add: Callable[[str], Awaitable[Any]]) -> ui.element:
    """Draws the palette. `add` is called with the node type that was chosen."""
    with ui.element("aside").classes("fp-pal") as panel:
        panel.props["aria-label"] = _("Nodes")
        box = ui.input(placeholder=_("Find a node")).props("outlined dense clearable")
        box.props["aria-label"] = _("Find a node")
        with box.add_slot("prepend"):
            icon("search", size=16)
        answer = words("", "fp-pal-said", tag="p").props("role=status")

        async def choose(kind: str) -> None:
            await add(kind)
            box.value = ""

        items = node_list(NODE_TYPES, choose)
        words(_("Click adds after the selected node. Drag puts it anywhere."), "fp-pf", tag="p")

    async def add_first() -> None:
        if first := narrow_to(items, box.value):
            await choose(first)

    def look() -> None:
        narrow_to(items, box.value)
        answer.text = said_about(box.value or "", NODE_TYPES)

    box.on_value_change(look)
    box.on("keydown.enter", add_first)
    panel.on("keydown", js_handler=ARROWS)
    return panel


def narrow_to(groups: Sequence[Group], text: str | None) -> str | None:
    """Shows the node types that match this text and returns the one that Enter adds, which matches best.

    The best matches come first, each under the name of its group. For what no node does, the nodes that come nearest are
    shown, and Enter adds none. Only the first one is a tab stop; the arrow keys reach the others.
    """
    kinds = [kind for _heading, group in groups for kind, _item in group]
    found = kinds_for(text or "", kinds)
    first = next(iter(found), None)
    chosen = first if _matching(text or "", kinds) else None
    for heading, group in groups:
        for kind, item in group:
            item.visible = kind.type in found
            item.props["tabindex"] = "0" if kind.type == first else "-1"
            item.classes(add="fp-pi--first") if kind.type == chosen and text else item.classes(remove="fp-pi--first")
        heading.visible = any(item.visible for _kind, item in group)
    rank = {kind_type: at for at, kind_type in enumerate(found)} if text else dict[str, int]()
    in_order = [(heading, sorted(group, key=lambda one: rank.get(one[0].type, len(rank)))) for heading, group in groups]
    in_order.sort(key=lambda one: rank.get(one[1][0][0].type, len(rank)))
    _put_in_order([one for heading, group in in_order for one in (heading, *(item for _kind, item in group))])
    return chosen


def _put_in_order(elements: Sequence[ui.element]) -> None:
    slot = elements[0].parent_slot if elements else None
    if slot is None or slot.children == list(elements):
        return
    for at, one in enumerate(elements):
        if slot.children[at] is not one:
            one.move(target_index=at)


def kinds_for(text: str, kinds: Sequence[NodeType]) -> list[str]:
    """Returns the node types that match a search, the best first; when none does, those that come nearest."""
    return _matching(text, kinds) or [kind.type for kind in kinds if kind.type in _FOR_MUCH]


def _matching(text: str, kinds: Sequence[NodeType]) -> list[str]:
    missing = not_yet(text)
    if missing is not None and missing.nodes:
        return [kind.type for kind in kinds if kind.type in missing.nodes]
    return best([(kind.type, Said(kind.title, kind.tooltip, kind.synonyms)) for kind in kinds], text)


def said_about(text: str, kinds: Sequence[NodeType]) -> str:
    """Returns what is said above the nodes that a search shows: that no node does this, or nothing."""
    missing = not_yet(text)
    if missing is not None:
        return f"{missing.title} {missing.instead}"
    if best([(kind.type, Said(kind.title, kind.tooltip, kind.synonyms)) for kind in kinds], text):
        return ""
    return _("No node is called that. A model does much with a text, and many services can be asked:")


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
