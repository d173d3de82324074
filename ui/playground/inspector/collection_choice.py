"""The field for the collection of knowledge of a node: chosen from the workspace, or created here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nicegui import ui

from engine.actions.knowledge import add_collection
from engine.flow.called import AGENT
from engine.flow.document import Node
from engine.knowledge.known import known_collections
from engine.nodes.known_collections import COLLECTION_NODES, KnownCollection, find_known_collection
from ui.forms.specs import FieldSpec, Json
from ui.kit.ask import ask_text
from ui.kit.parts import button, link, words
from ui.kit.text import _, plural
from ui.page_session import PageSession

if TYPE_CHECKING:
    from ui.forms.form import Form, Widget


class CollectionChoice:
    """Draws the form widget `collection`. Call `load` before drawing, because the form itself does not wait."""

    def __init__(self, page_session: PageSession) -> None:
        self.page_session = page_session
        self.known: tuple[KnownCollection, ...] = ()

    async def load(self, node: Node) -> None:
        """Loads the collections of the workspace when the node uses one."""
        if node.type in COLLECTION_NODES or node.type == AGENT:
            self.known = await self.page_session.query(known_collections)

    @property
    def widgets(self) -> Mapping[str, Widget]:
        """The widget by name, for `Form(widgets=...)`."""
        return {"collection": self.draw}

    def draw(self, form: Form, spec: FieldSpec, pointer: str, value: Json) -> None:
        """Draws the list of collections. A chosen one that was deleted stays in it, so that the choice can be seen."""
        place = ui.element("div").classes("fp-stack")

        def draw(chosen: Any) -> None:
            place.clear()
            with place:
                self._draw_choice(form, spec, pointer, chosen, draw)

        draw(value)

    def _draw_choice(self, form: Form, spec: FieldSpec, pointer: str, chosen: Any, draw: Callable[[Any], None]) -> None:
        found = find_known_collection(self.known, chosen)
        options = {one.id: one.name for one in self.known}
        if chosen and isinstance(chosen, str) and found is None:
            options[chosen] = _("A collection that is gone") if chosen.startswith("collection_") else chosen

        def pick(collection: Any) -> None:
            form.change(pointer, collection or "")
            draw(collection)

        box = ui.select(
            options,
            value=found.id if found else chosen or None,
            on_change=lambda event: pick(event.value),
            with_input=len(options) > 10,
        )
        box.props("outlined dense options-dense").classes("w-full")
        box.props["aria-label"] = spec.title
        if not options:
            box.props["placeholder"] = _("No collections yet")
        box.props.set_bool("readonly", form.read_only)
        with ui.element("div").classes("fp-row"):
            if not form.read_only and self.page_session.may("edit knowledge"):
                button(_("New collection"), lambda: self._make(pick), icon="add", small=True)
            if found is not None:
                pieces = plural(found.pieces, _("piece"), _("pieces"))
                text = f"{_('Open it')} ({pieces})" if found.pieces else _("Open it and add documents")
                link(text, f"/knowledge/{found.id}", "fp-s13", new_tab=True)
            elif not self.known:
                words(_("A collection holds documents in pieces."), "fp-t3 fp-s12")

    async def _make(self, pick: Callable[[Any], None]) -> None:
        name = await ask_text(_("New collection"), _("Name"), "", _("Create"))
        made = await self.page_session.try_execute(add_collection, name) if name else None
        if made is not None:
            self.known = await self.page_session.query(known_collections)
            pick(made)
