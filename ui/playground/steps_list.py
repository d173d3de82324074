"""The flow as a list of steps: below 768 px, and for the keyboard and screen readers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nicegui import ui

from engine.flow.document import Document
from engine.nodes import CATALOG
from ui.look.parts import button, icon, status_line, tile, words
from ui.look.text import _


class StepsList:
    """Drawn anew after every change; `open_node` is called with the id of a step that was chosen."""

    def __init__(self, *, open_node: Callable[[str], Any], add: Callable[[], Any]) -> None:
        self.open_node = open_node
        self.add = add
        self.box = ui.element("div").classes("fp-steps")

    def draw(self, document: Document, statuses: Mapping[str, Mapping[str, Any]], inspected: str | None) -> None:
        """Shows the steps of this document; `statuses` is what each node shows of a run, by node id."""
        self.box.clear()
        with self.box:
            for number, node in enumerate(document.nodes):
                kind = CATALOG.get(node.type)
                if number:
                    ui.element("div").classes("fp-join")
                with ui.element("button").classes("fp-card-step").props("type=button") as card:
                    if inspected == node.id:
                        card.classes("fp-on")
                    tile(kind.group if kind else "transform", kind.icon if kind else "help")
                    with ui.element("span").style("min-width: 0; flex: 1"):
                        words(node.name, "fp-b fp-cut", tag="div")
                        words(kind.title if kind else node.type, "fp-t2 fp-s12", tag="div")
                    if shown := statuses.get(node.id):
                        status_line(shown["state"] if shown["state"] != "done" else "completed", shown["word"])
                    icon("chevron_right", "fp-t3")
                card.on("click", lambda _event, node_id=node.id: self.open_node(node_id))
            button(_("Add a step"), self.add, icon="add", kind="quiet").classes("w-full")
