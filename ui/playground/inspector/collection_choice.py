"""The field for the collection of knowledge of a node: chosen from the workspace, or created here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from nicegui import ui

from engine.actions.knowledge import add_collection
from engine.flow.called_flows import AGENT
from engine.flow.document import Node
from engine.knowledge.known import known_collections
from engine.nodes.known_collections import COLLECTION_NODES, KnownCollection, find_known_collection
from storage.knowledge import find_collection
from ui.forms.specs import FieldSpec, Json
from ui.kit.ask import ask_text
from ui.kit.parts import button, link, note, words
from ui.kit.text import _, plural
from ui.knowledge.add_dialog import add_sources
from ui.page_session import PageSession
from ui.page_shell import every
from ui.playground.inspector.choice_box import choice_box

if TYPE_CHECKING:
    from ui.forms.form import Form, Widget


#: How often it is looked whether added documents can be found, in seconds.
_LOOK_SECONDS = 1.5


class CollectionChoice:
    """Draws the form widget `collection`. Call `load` before drawing, because the form itself does not wait."""

    def __init__(self, page_session: PageSession) -> None:
        self.page_session = page_session
        self.known: tuple[KnownCollection, ...] = ()
        #: Ids of collections to which documents were added here and that have no pieces of them yet.
        self.filling: set[str] = set()

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
        around = ui.element("div").props("data-fp-back")
        with around:
            place = ui.element("div").classes("fp-stack")
        shown, was = value, self.filling.copy()

        def draw(chosen: Any) -> None:
            nonlocal shown, was
            shown, was = chosen, self.filling.copy()
            place.clear()
            with place:
                self._draw_choice(form, spec, pointer, chosen, draw, add)

        async def look_again() -> None:
            """Documents may have been added in another tab."""
            fresh = await self.page_session.query_again(known_collections)
            if (fresh != self.known or was != self.filling) and not place.is_deleted:
                self.known = fresh
                draw(shown)

        async def add(collection_id: str) -> None:
            await self._add(around, collection_id, look_again)

        draw(value)
        around.on("fpback", look_again, [])

    def _draw_choice(
        self,
        form: Form,
        spec: FieldSpec,
        pointer: str,
        chosen: Any,
        draw: Callable[[Any], None],
        add: Callable[[str], Awaitable[None]],
    ) -> None:
        found = find_known_collection(self.known, chosen)
        options = {one.id: one.name for one in self.known}
        if chosen and isinstance(chosen, str) and found is None:
            options[chosen] = _("A collection that is gone") if chosen.startswith("collection_") else chosen

        def pick(collection: Any) -> None:
            form.change(pointer, collection or "")
            draw(collection)

        choice_box(form, spec, options, found.id if found else chosen or None, pick, none=_("No collections yet"))
        with ui.element("div").classes("fp-row"):
            if not form.read_only and self.page_session.may("edit knowledge"):
                button(_("New collection"), lambda: self._make(pick), icon="add", small=True)
            if found is not None:
                pieces = plural(found.pieces, _("piece"), _("pieces"))
                link(_("Open it ({pieces})").format(pieces=pieces), f"/knowledge/{found.id}", "fp-s13", new_tab=True)
                if chosen != found.id and not form.read_only:
                    button(_("Allow renaming"), lambda: pick(found.id), icon="edit", small=True).tooltip(
                        _("This step finds the collection by its name. Press to make it follow another name.")
                    )
            elif not self.known:
                words(_("A collection holds documents in pieces."), "fp-t3 fp-s12")

        if found is not None and not found.pieces and found.id in self.filling:
            note(_("They can be found in a moment."), icon="info", strong=_("Your documents are being read."))
        elif found is not None and not found.pieces:
            with note(
                _("Until documents are added and read, nothing is found."),
                kind="warn",
                icon="warning",
                strong=_("Nothing is in this collection yet."),
            ).classes("fp-note--act"):
                if not form.read_only and self.page_session.may("edit knowledge"):
                    button(_("Add documents"), lambda: add(found.id), icon="upload_file", small=True)

    async def _add(self, place: ui.element, collection_id: str, again: Callable[[], Awaitable[None]]) -> None:
        """Adds documents, and looks until the first of them can be found."""
        line = await self.page_session.query(find_collection, collection_id)
        if line is None or not await add_sources(self.page_session, line) or place.is_deleted:
            return
        self.filling.add(collection_id)

        async def look() -> None:
            await again()
            found = find_known_collection(self.known, collection_id)
            if found is None or found.pieces or place.is_deleted:
                timer.deactivate()

        with place:
            timer = every(_LOOK_SECONDS, look)

    async def _make(self, pick: Callable[[Any], None]) -> None:
        name = await ask_text(_("New collection"), _("Name"), "", _("Create"))
        made = await self.page_session.try_execute(add_collection, name) if name else None
        if made is not None:
            self.known = await self.page_session.query(known_collections)
            pick(made)
