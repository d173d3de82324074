"""Which documents a template answers from: the practice documents that it brings along, or a collection of one's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nicegui import ui

from engine.actions.knowledge import add_collection, delete_collection
from storage.knowledge import CollectionLine, find_collection, list_collections
from ui.flows.goal_flow import SearchedDocuments
from ui.kit.parts import button, link, words
from ui.kit.scroll import into_view
from ui.kit.text import _, plural
from ui.knowledge.add_dialog import add_sources
from ui.page_session import PageSession
from ui.page_shell import every, not_twice, times_of

#: How often the page looks how far the reading of files is, in seconds.
_LOOK_SECONDS = 1.5


class DocumentsChoice:
    """The choice on the page of a goal, drawn into the current container. It shows nothing for a template that searches
    no documents.

    `known`: the collections of the workspace; `chosen`: the id of one, or empty for the practice documents.
    """

    def __init__(
        self,
        page_session: PageSession,
        searched: SearchedDocuments,
        known: Sequence[CollectionLine],
        chosen: str,
        on_change: Callable[[], None],
    ) -> None:
        self.page_session = page_session
        self.practice = searched.practice
        self.known = known
        self.chosen = chosen
        self.on_change = on_change
        with ui.element("section").classes("fp-goal-documents") as self.around:
            self.place = ui.element("div").classes("fp-goal-documents")
        self.around.visible = bool(self.practice)
        if self.practice:
            self.around.props("data-fp-back").on("fpback", self._look_again, [])
            self._draw()

    async def _load(self) -> None:
        self.known = await self.page_session.query(list_collections)

    async def _look_again(self) -> None:
        """Collections may have been changed in another tab."""
        fresh = await self.page_session.query_again(list_collections)
        if fresh != self.known and not self.place.is_deleted:
            self.known = fresh
            self._draw()

    def _draw(self) -> None:
        self.place.clear()
        with self.place:
            title = words(_("Which documents should it answer from?"), "fp-b fp-s13", tag="h3")
            self.around.props["aria-labelledby"] = title.html_id
            own = [one for one in self.known if one.name not in self.practice]
            options = {"": _("Practice documents, to see how it works"), **{one.id: self._named(one) for one in own}}
            with ui.element("div").classes("fp-row fp-wrap-row"):
                box = ui.select(
                    options,
                    value=self.chosen if self.chosen in options else "",
                    on_change=lambda event: self._choose(str(event.value or "")),
                )
                box.props("outlined dense options-dense").classes("fp-grow")
                box.props["aria-label"] = _("Which documents should it answer from?")
                if self.page_session.may("edit knowledge"):
                    kind = "normal" if self.chosen else "main"
                    verb = _("Add files") if self.chosen else _("Use my documents")
                    button(verb, self.add if self.chosen else not_twice(self.use_mine), icon="upload_file", kind=kind)
            self.said = ui.element("p").classes("fp-s13 fp-t2").props("role=status")
            self._say()

    def _named(self, one: CollectionLine) -> str:
        return f"{one.name} ({plural(one.sources, _('source'), _('sources'), times_of(self.page_session).reader)})"

    def _line(self) -> CollectionLine | None:
        return next((one for one in self.known if one.id == self.chosen), None)

    def _say(self) -> None:
        one = self._line()
        self.said.clear()
        with self.said:
            if one is None:
                words(_("Upload your PDF, Word or other files, or choose a collection of the page Knowledge."))
                return
            if one.busy:
                words(_("Your files are being read. Wait a moment before you run it.") + " ")
            elif not one.pieces:
                words(_("Nothing is in it yet: add files first.") + " ")
            else:
                words(_("Your files are ready.") + " ")
            link(_("Open the collection"), f"/knowledge/{one.id}", new_tab=True)

    def _choose(self, collection: str) -> None:
        if collection != self.chosen:
            self.chosen = collection
            self._draw()
            self.on_change()

    async def use_mine(self) -> None:
        """Makes a collection and opens the dialog that adds files; without files it is taken back."""
        into_view(self.place)
        made = await self.page_session.try_execute(add_collection, self._free_name())
        if made is None:
            return
        added = await self._add_to(made)
        if not added:
            await self.page_session.try_execute(delete_collection, made)
        await self._load()
        if added and not self.place.is_deleted:
            self._choose(made)
            self._follow()

    async def add(self) -> None:
        """Opens the dialog that adds files to the chosen collection."""
        if await self._add_to(self.chosen) and not self.place.is_deleted:
            await self._load()
            self._draw()
            self.on_change()
            self._follow()

    async def _add_to(self, collection_id: str) -> bool:
        line = await self.page_session.query(find_collection, collection_id)
        return line is not None and await add_sources(self.page_session, line)

    def _follow(self) -> None:
        """Looks how far the reading is until it has ended."""

        async def look() -> None:
            if self.place.is_deleted:
                timer.deactivate()
                return
            await self._load()
            one = self._line()
            if one is None or not one.busy:
                timer.deactivate()
                self._draw()
            else:  # the list may be open
                self._say()

        with self.around:
            timer = every(_LOOK_SECONDS, look)

    def _free_name(self) -> str:
        """A name that no collection has."""
        taken = {one.name.casefold() for one in self.known}
        first = _("My documents")
        names = [first, *(f"{first} {number}" for number in range(2, len(taken) + 3))]
        return next(name for name in names if name.casefold() not in taken)
