"""Knowledge: every collection of the workspace with what it holds and the flows that use it; a row opens it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from nicegui import ui
from sqlalchemy.orm import Session
from starlette.requests import Request

from storage.flow_uses import FlowUse
from storage.knowledge import MAX_CHARS, MAX_PIECES, CollectionLine, Room, list_collections, read_room
from storage.knowledge_uses import list_knowledge_uses
from ui.kit import feedback
from ui.kit.assets import asset_url
from ui.kit.parts import Column, button, link, menu_button, menu_item, status_line, table, words
from ui.kit.text import _, number, plural
from ui.knowledge import collection_actions
from ui.knowledge.words import pieces_word, search_word
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import every, one_at_a_time, opened, times_of
from ui.parts.flow_uses import uses_word

LOOK_SECONDS = 3.0


class KnowledgeContents(Struct, frozen=True):
    """The data that the page shows."""

    collections: tuple[CollectionLine, ...]
    uses: Mapping[str, tuple[FlowUse, ...]]
    room: Room


def load_knowledge(session: Session, workspace_id: str) -> KnowledgeContents:
    """Reads every collection with the flows that use it in one transaction."""
    return KnowledgeContents(
        tuple(list_collections(session, workspace_id)),
        list_knowledge_uses(session, workspace_id),
        read_room(session, workspace_id),
    )


def register(app: App) -> None:
    """Registers `/knowledge`."""

    @page_at("/knowledge")
    async def open_knowledge(request: Request) -> None:
        page_session = await open_page_session(app, request)
        seen = await page_session.query(load_knowledge)
        KnowledgePage(page_session, seen).build()


class KnowledgePage:
    """One open page with the list of collections."""

    def __init__(self, page_session: PageSession, seen: KnowledgeContents) -> None:
        self.page_session = page_session
        self.seen = seen
        self.times = times_of(page_session)
        self.reader = self.times.reader

    def build(self) -> None:
        """Draws the page."""
        with opened(self.page_session, _("Knowledge"), active="knowledge", sub="") as page:
            ui.add_head_html(f'<link rel="stylesheet" href="{asset_url("knowledge.css")}">')
            if self.page_session.may("edit knowledge"):
                with page.actions:
                    button(_("New collection"), self._make, icon="add", kind="main")
            self.sub = words("", "fp-sub fp-under", tag="p")
            self.body = ui.element("div").classes("fp-col")
            self._draw()
        every(LOOK_SECONDS, self._look)

    @one_at_a_time
    async def _look(self) -> None:
        fresh = await self.page_session.query_again(load_knowledge)
        if fresh != self.seen:
            self.seen = fresh
            self._draw()

    def _draw(self) -> None:
        found, room = self.seen.collections, self.seen.room
        self.sub.text = (
            _("{collections}, {pieces}. Flows find answers in them with “Search Knowledge”.").format(
                collections=plural(len(found), _("collection"), _("collections"), self.reader),
                pieces=pieces_word(sum(one.pieces for one in found), self.reader),
            )
            if found
            else _("Your documents, cut into pieces that flows can find.")
        )
        self.body.clear()
        with self.body:
            with ui.element("section").classes("fp-card"):
                if found:
                    self._draw_table(found)
                else:
                    self._draw_empty()
            if room.pieces * 2 > MAX_PIECES or room.chars * 2 > MAX_CHARS:
                words(
                    _("{pieces} of {max_pieces} pieces, {chars} of {max_chars} characters are used.").format(
                        pieces=number(room.pieces, self.reader),
                        max_pieces=number(MAX_PIECES, self.reader),
                        chars=number(room.chars, self.reader),
                        max_chars=number(MAX_CHARS, self.reader),
                    ),
                    "fp-s13 fp-t3",
                    tag="p",
                )

    def _draw_empty(self) -> None:
        sentence = _(
            "A collection holds texts, files, the pages of a website or the rows of a dataset, cut into pieces. The step"
            " “Search Knowledge” finds those that fit a question, and a Prompt answers from them and names its sources."
            " It works without a key: words are searched. With an embedding model meaning is searched, too."
        )
        with feedback.empty("manage_search", _("No knowledge yet"), sentence):
            if self.page_session.may("edit knowledge"):
                button(_("New collection"), self._make, icon="add")
            link(_("See the template that answers from documents"), "/templates?q=documents")

    def _draw_table(self, collections: tuple[CollectionLine, ...]) -> None:
        columns = [
            _("Name"),
            Column(_("Sources"), right=True),
            Column(_("Pieces"), right=True),
            _("Searched by"),
            _("State"),
            _("Used by"),
            _("Changed"),
            Column(_("Actions"), hidden=True, width="64px"),
        ]
        rows = table(columns, label=_("Collections"), stacks=True)
        for one in collections:
            uses = self.seen.uses.get(one.id, ())
            path = f"/knowledge/{one.id}"
            with rows.row(on_open=lambda path=path: ui.navigate.to(path)):
                with rows.cell():
                    link(one.name, path, "fp-row-link")
                rows.cell(number(one.sources, self.reader))
                rows.cell(number(one.pieces, self.reader))
                rows.cell(search_word(one), "fp-t2")
                with rows.cell():
                    self._draw_state(one)
                rows.cell(uses_word(uses, self.reader), "fp-t2" if uses else "fp-t3")
                rows.cell(self.times.ago(one.updated_at), "fp-t2")
                with rows.cell(classes="fp-acts-cell").on("click.stop", js_handler="() => {}"):
                    self._menu(one, uses)

    def _draw_state(self, one: CollectionLine) -> None:
        if one.busy:
            status_line("running", _("Reading"))
        elif one.failed:
            status_line("failed", plural(one.failed, _("source failed"), _("sources failed"), self.reader))
        elif one.sources:
            status_line("done", _("Ready"))
        else:
            words(_("Empty"), "fp-t3")

    def _menu(self, one: CollectionLine, uses: tuple[FlowUse, ...]) -> None:
        with menu_button(_("More for {name}").format(name=one.name)):
            menu_item(_("Open"), lambda: ui.navigate.to(f"/knowledge/{one.id}"), icon="arrow_forward")
            if self.page_session.may("edit knowledge"):
                menu_item(_("Rename..."), lambda: self._rename(one), icon="edit")
                ui.separator()
                menu_item(_("Delete..."), lambda: self._delete(one, uses), icon="delete", danger=True)

    async def _make(self) -> None:
        if made := await collection_actions.make(self.page_session):
            ui.navigate.to(f"/knowledge/{made}")

    async def _rename(self, one: CollectionLine) -> None:
        if await collection_actions.rename(self.page_session, one):
            await self._look()

    async def _delete(self, one: CollectionLine, uses: tuple[FlowUse, ...]) -> None:
        if await collection_actions.delete(self.page_session, one, uses):
            feedback.told(_("{name} is deleted.").format(name=one.name))
            await self._look()
