"""The buttons beside a value of a step, which return it to callers or use it in another node
(`state/point_at_value.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui

from engine.flow.document import Document, Node
from engine.flow.reference_labels import data_names, in_words
from engine.nodes import CATALOG
from ui.kit import feedback
from ui.kit.parts import button, drop_menu, icon, menu_item, words
from ui.kit.text import _
from ui.parts.open_drafts import Edit
from ui.playground.state.point_at_value import Path, places_for, reference_to, return_ops, use_ops


def value_actions(
    document: Callable[[], Document], node_id: str, path: Path, edit: Edit, done: Callable[[], Any] | None = None
) -> None:
    """Draws the buttons "Return this" and "Use in ..." for one value into the current container."""
    shown = in_words(reference_to(node_id, path), data_names(document()))

    async def give() -> None:
        name, ops = return_ops(document(), node_id, path, CATALOG)
        if not ops:
            feedback.told(_("It is returned already."), _("As {name}.").format(name=name))
        elif await edit(ops) and done is not None:
            done()
        if ops:
            feedback.told(
                _("{shown} is returned.").format(shown=shown),
                _("Callers get it as `{name}` after the next deployment.").format(name=name),
            )

    async def use(target: Node, name: str, title: str) -> None:
        if await edit(use_ops(document(), node_id, path, target.id, name, CATALOG)):
            feedback.told(
                _("{shown} is used.").format(shown=shown),
                _("In {name}, {title}.").format(name=target.name, title=title),
            )

    with ui.element("div").classes("fp-point").props("role=group") as row:
        row.props["aria-label"] = shown
        give_button = button(_("Return this"), give, icon="add", small=True)
        give_button.props["aria-label"] = _("Return this: {shown}").format(shown=shown)
        with button(_("Use in ..."), small=True).props("aria-haspopup=menu") as use_button:
            use_button.props["aria-label"] = _("Use in ... {shown}").format(shown=shown)
            with drop_menu(_("Use in")) as menu:
                entries = ui.element("div")

        def fill(event: Any) -> None:
            entries.clear()
            if not event.value:
                return
            with entries:
                places = places_for(document(), node_id, path, CATALOG)
                if not places:
                    words(_("No other node can run after this one yet. Add one first."), "fp-person", tag="p")
                for node, name, title in places:
                    kind = CATALOG[node.type]
                    menu_item(
                        f"{node.name} › {title}",
                        lambda node=node, name=name, title=title: use(node, name, title),
                        icon=kind.icon,
                    )

        menu.on_value_change(fill)


def pointing(
    document: Callable[[], Document], node_id: str, edit: Edit | None
) -> tuple[ui.element | None, Callable[[Path], None] | None]:
    """Draws a strip that names the selected value with its buttons.

    Returns the strip and the callback for a selected path.

    The callback is passed to `answer_view(..., on_pick=...)`. Both are None for people who may not edit.
    """
    if edit is None:
        return None, None
    strip = ui.element("div").classes("fp-pointed").props("role=status")

    def pick(path: Path) -> None:
        strip.clear()
        strip.classes(add="fp-pointed--part" if path else "", remove="" if path else "fp-pointed--part")
        with strip:
            with ui.element("span").classes("fp-chip"):
                icon("my_location", size=14)
                words(in_words(reference_to(node_id, path), data_names(document())))
            value_actions(document, node_id, path, edit)

    return strip, pick
