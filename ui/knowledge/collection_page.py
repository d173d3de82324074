"""A collection: a search that shows why a piece is found, and its sources with their state; add, read again, remove."""

from __future__ import annotations

from functools import partial

from msgspec import Struct
from nicegui import ui
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from engine.actions.knowledge import delete_source, read_again, set_again, stop_reading
from engine.core.errors import NotFound
from storage.flow_uses import FlowUse
from storage.knowledge import CollectionLine, SourceLine, get_collection, list_sources
from storage.knowledge_uses import list_knowledge_uses
from ui.kit import feedback
from ui.kit.answer import answer_of
from ui.kit.assets import asset_url
from ui.kit.parts import (
    Column,
    Words,
    button,
    card,
    icon,
    link,
    link_button,
    menu_button,
    menu_item,
    meter,
    status_line,
    table,
    words,
)
from ui.kit.text import _, number, plural
from ui.knowledge import collection_actions
from ui.knowledge.add_dialog import add_sources
from ui.knowledge.found_pieces import SearchCard
from ui.knowledge.source_dialog import show_source
from ui.knowledge.words import AGAIN, KINDS, pieces_word, progress_word
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import every, nothing_here, one_at_a_time, opened, times_of

LOOK_SECONDS = 1.5


class CollectionContents(Struct, frozen=True):
    """The data of the page."""

    collection: CollectionLine
    sources: tuple[SourceLine, ...]
    uses: tuple[FlowUse, ...]


def load_collection(session: Session, workspace_id: str, collection_id: str) -> CollectionContents:
    """Reads the data of the page in one transaction. Raises NotFound."""
    collection = get_collection(session, workspace_id, collection_id)
    return CollectionContents(
        collection,
        tuple(list_sources(session, workspace_id, collection.id)),
        list_knowledge_uses(session, workspace_id).get(collection.id, ()),
    )


def register(app: App) -> None:
    """Registers `/knowledge/{collection_id}`."""

    @page_at("/knowledge/{collection_id}")
    async def open_collection(request: Request, collection_id: str) -> Response | None:
        page_session = await open_page_session(app, request)
        try:
            seen = await page_session.query(load_collection, collection_id)
        except NotFound:
            return nothing_here(request)
        CollectionPage(page_session, seen).build()
        return None


class CollectionPage:
    """One open page of a collection."""

    def __init__(self, page_session: PageSession, seen: CollectionContents) -> None:
        self.page_session = page_session
        self.seen = seen
        self.times = times_of(page_session)
        self.reader = self.times.reader
        self.may_edit = page_session.may("edit knowledge")
        #: The cells that say how long ago a source was read, with that time.
        self.ages: list[tuple[Words, int]] = []

    @property
    def collection(self) -> CollectionLine:
        """The collection as last read."""
        return self.seen.collection

    def build(self) -> None:
        """Draws the page."""
        crumbs = [(_("Knowledge"), "/knowledge")]
        with opened(self.page_session, self.collection.name, active="knowledge", crumbs=crumbs, sub="") as page:
            ui.add_head_html(f'<link rel="stylesheet" href="{asset_url("knowledge.css")}">')
            self.frame = page
            if self.may_edit:
                with page.actions:
                    self._draw_actions()
            self.sub = words("", "fp-sub fp-under", tag="p")
            self.used = ui.element("div").classes("fp-used")
            with ui.element("div").classes("fp-col"):
                self.search = SearchCard(self.page_session, self.collection, self._meaning if self.may_edit else None)
                self.search_place = ui.element("div")
                with self.search_place:
                    self.search.draw()
                self.sources = ui.element("div")
            self._draw()
        every(LOOK_SECONDS, self._look)

    def _draw_actions(self) -> None:
        button(_("Add a source"), self._add, icon="add", kind="main")
        with menu_button(_("More for this collection")):
            menu_item(_("Search by meaning..."), self._meaning, icon="neurology")
            menu_item(_("Length of the pieces..."), self._length, icon="content_cut")
            menu_item(_("Rename..."), self._rename, icon="edit")
            ui.separator()
            menu_item(_("Delete..."), self._delete, icon="delete", danger=True)

    @one_at_a_time
    async def _look(self) -> None:
        try:
            fresh = await self.page_session.query_again(load_collection, self.collection.id)
        except NotFound:
            ui.navigate.to("/knowledge")
            return
        if fresh != self.seen:
            self.seen = fresh
            self._draw()
            return
        for cell, at in self.ages:
            if (said := self.times.ago(at)) != cell.text:
                cell.text = said

    # Drawing.

    def _draw(self) -> None:
        one = self.collection
        self.search.collection = one
        self.search_place.visible = one.pieces > 0
        self.frame.title(one.name)
        how = (
            _("Searched by words, and by meaning with {model}").format(model=one.model)
            if one.model
            else _("Searched by words")
        )
        self.sub.text = f"{plural(one.sources, _('source'), _('sources'), self.reader)}, {pieces_word(one.pieces, self.reader)}. {how}."
        self._draw_used()
        self.sources.clear()
        self.ages = []
        with self.sources, card(_("Sources"), padded=False):
            if self.seen.sources:
                self._draw_table()
            else:
                self._draw_empty()

    def _draw_used(self) -> None:
        self.used.clear()
        with self.used:
            if not self.seen.uses:
                words(_("No flow uses it yet: choose it in the step “Search Knowledge” of a flow."), "fp-t3")
                if self.collection.pieces and self.page_session.may("edit flows"):
                    link_button(
                        _("Make a flow from this"),
                        f"/start?goal=answer-from-documents&collection={self.collection.id}",
                        icon="add",
                        small=True,
                    )
                return
            words(_("Used by"), "fp-t3")
            for use in self.seen.uses[:10]:
                link(use.title, f"/playground/{use.flow_id}")

    def _draw_empty(self) -> None:
        sentence = _(
            "Add files, a text, the pages of a website or the rows of a dataset. They are cut into pieces in the background;"
            " you see here how far it is."
        )
        with feedback.empty("library_add", _("Nothing in it yet"), sentence):
            if self.may_edit:
                button(_("Add a source"), self._add, icon="add")

    def _draw_table(self) -> None:
        columns = [
            _("Name"),
            _("State"),
            Column(_("Pieces"), right=True),
            _("Read again"),
            _("Last read"),
            Column(_("Actions"), hidden=True, width="64px"),
        ]
        rows = table(columns, label=_("Sources"), stacks=True)
        for one in self.seen.sources:
            with rows.row(on_open=lambda one=one: self._open(one)):
                with rows.cell(classes="fp-source-name"), ui.element("div").classes("fp-row"):
                    icon(KINDS[one.kind][1], "fp-t3")
                    with ui.element("button").classes("fp-row-link fp-plain-button").props("type=button") as opener:
                        words(one.name)
                    opener.on("click.stop", partial(self._open, one), [])
                with rows.cell(classes="fp-source-state"):
                    self._draw_state(one)
                rows.cell(number(one.pieces, self.reader))
                again = one.kind in {"site", "dataset"}
                rows.cell(AGAIN.get(one.again, "") if again and one.again else _("By hand") if again else "-", "fp-t2")
                with rows.cell(classes="fp-t2"):
                    said = words(self.times.ago(one.indexed_at) if one.indexed_at else "-")
                if one.indexed_at:
                    self.ages.append((said, one.indexed_at))
                with rows.cell(classes="fp-acts-cell").on("click.stop", js_handler="() => {}"):
                    if self.may_edit:
                        self._menu(one)

    def _draw_state(self, one: SourceLine) -> None:
        if one.busy:
            status_line("queued" if one.state == "waiting" else "running", progress_word(one, self.reader))
            if one.total:
                meter_ = meter(one.done, one.total, label=_("Progress of {name}").format(name=one.name))
                meter_.classes(remove="fp-meter--warn")
            return
        if one.state == "failed":
            status_line("failed", _("Failed"))
            words(one.message, "fp-s13 fp-t2 fp-clamp", tag="p")
        elif one.state == "stopped":
            status_line("cancelled", _("Stopped"))
        elif one.problems:
            count = plural(len(one.problems), _("thing to know"), _("things to know"), self.reader)
            status_line("steps_failed", _("Ready, {count}").format(count=count))
        else:
            status_line("done", _("Ready"))

    def _menu(self, one: SourceLine) -> None:
        with menu_button(_("More for {name}").format(name=one.name)):
            menu_item(_("Show its pieces"), lambda: self._open(one), icon="list_alt")
            if one.busy:
                menu_item(_("Stop"), lambda: self._do(stop_reading, one.id), icon="stop_circle")
            else:
                menu_item(_("Read again now"), lambda: self._do(read_again, one.id), icon="refresh")
            if one.kind in {"site", "dataset"}:
                menu_item(_("Look again every..."), lambda: self._set_again(one), icon="event_repeat")
            ui.separator()
            menu_item(_("Remove..."), lambda: self._remove(one), icon="delete", danger=True)

    # What a person does.

    async def _open(self, one: SourceLine) -> None:
        fresh = next((now for now in self.seen.sources if now.id == one.id), one)
        await show_source(self.page_session, fresh, self.times)

    async def _do(self, verb: object, source_id: str) -> None:
        await self.page_session.try_execute(verb, source_id)  # type: ignore[arg-type]
        await self._look()

    async def _add(self) -> None:
        if await add_sources(self.page_session, self.collection):
            await self._look()

    async def _set_again(self, one: SourceLine) -> None:
        with feedback.open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg"):
            title = _("Look again every...")
            dialog.props["aria-label"] = title
            words(title, tag="h2")
            words(_("What did not change is left as it is, so it costs only what is new."), tag="p")
            choice = ui.radio(AGAIN, value=one.again).props("dense")
            with ui.element("div").classes("fp-acts"):
                button(_("Cancel"), dialog.close, kind="quiet")
                button(_("Save"), lambda: dialog.submit(choice.value), kind="main")
        again = await answer_of(dialog)
        if again is not None and again != one.again:
            await self.page_session.try_execute(set_again, one.id, again)
            await self._look()

    async def _remove(self, one: SourceLine) -> None:
        sure = await feedback.confirm(
            _("Remove {name}?").format(name=one.name),
            _("{pieces} cannot be found any more.").format(pieces=pieces_word(one.pieces, self.reader)),
            verb=_("Remove"),
            danger=True,
            keep=_("Keep it"),
        )
        if sure:
            await self._do(delete_source, one.id)

    async def _meaning(self) -> None:
        chars = sum(one.chars for one in self.seen.sources)
        if await collection_actions.change_meaning(self.page_session, self.collection, chars):
            await self._look()

    async def _length(self) -> None:
        if await collection_actions.change_length(self.page_session, self.collection):
            await self._look()

    async def _rename(self) -> None:
        if await collection_actions.rename(self.page_session, self.collection):
            await self._look()

    async def _delete(self) -> None:
        if await collection_actions.delete(self.page_session, self.collection, self.seen.uses):
            ui.navigate.to("/knowledge")
