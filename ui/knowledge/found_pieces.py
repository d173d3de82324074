"""A search in a collection, with why each piece was found: the words in it, its likeness in meaning, and its ranks."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from nicegui import ui

from engine.core.errors import Refusal
from storage.knowledge import CollectionLine
from storage.knowledge_terms import small
from ui.kit import feedback
from ui.kit.parts import badge, button, card, icon, link, note, words
from ui.kit.text import _, number, percent, plural
from ui.page_session import App, PageSession
from ui.page_shell import times_of

if TYPE_CHECKING:
    from engine.knowledge.saved_embeddings import SavedEmbeddings
    from engine.knowledge.search import Hit, Hits

LIMIT = 8
#: The marked words of one piece; more would be many elements.
MAX_MARKS = 60
SHOWN = 1_600
_WORD = re.compile(r"[^\W_]+")


class Searcher:
    """Searches for the pages of a server. Its parts are made with the first search by meaning."""

    def __init__(self) -> None:
        self._embeddings: SavedEmbeddings | None = None

    def embeddings(self, app: App) -> SavedEmbeddings:
        """Returns the embedding models, asked by the rules for outbound requests as they are now."""
        from engine.jobs.outbound_rules import outbound_rules
        from engine.knowledge.saved_embeddings import SavedEmbeddings
        from engine.models.embeddings import Embeddings
        from engine.models.saved_connections import open_connection
        from engine.outbound.client import OutboundClient

        rules = outbound_rules(app.settings, app.database)
        if self._embeddings is None:
            self._outbound = OutboundClient(rules)
            self._embeddings = SavedEmbeddings(
                app.database,
                Embeddings(self._outbound, app.database.clock),
                lambda session, workspace_id, name: open_connection(session, app.vault, workspace_id, name),
            )
        self._outbound.replace_rules(rules)
        return self._embeddings


class SearchCard:
    """The card with the search box and what was found."""

    def __init__(
        self,
        page_session: PageSession,
        collection: CollectionLine,
        set_meaning: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self.page_session = page_session
        self.set_meaning = set_meaning
        self.collection = collection
        self.reader = times_of(page_session).reader

    def draw(self) -> None:
        """Draws the card."""
        with card(_("Try the search"), _("As “Search Knowledge” finds it")), ui.element("div").classes("fp-col"):
            with ui.element("div").classes("fp-row fp-ask"):
                self.box = ui.input(placeholder=_("A question, or some words")).props(
                    "outlined dense clearable maxlength=2000 type=search"
                )
                self.box.classes("fp-grow")
                self.box.props["aria-label"] = _("A question, or some words")
                self.box.on("keydown.enter", self._search)
                self.go = button(_("Search"), self._search, icon="search")
            self.said = words("", "fp-s13 fp-t2", tag="p").props("role=status")
            self.said.visible = False
            self.place = ui.element("ol").classes("fp-hits")

    async def _search(self) -> None:
        question = (self.box.value or "").strip()
        if not question:
            return
        self.go.disable()
        try:
            found = await self._found(question)
        except Refusal as refusal:
            feedback.refused(refusal)
            return
        finally:
            if not self.go.is_deleted:
                self.go.enable()
        if not self.place.is_deleted:
            self._show(found)

    async def _found(self, question: str) -> Hits:
        from engine.knowledge.search import search

        await self.page_session.query(_still_there)  # the session is checked before anything is sent
        app, workspace_id = self.page_session.app, self.page_session.principal.workspace_id
        saved = app.shared(Searcher).embeddings(app) if self.collection.model else None

        async def embed(model: str, texts: Sequence[str], purpose: str) -> object:
            assert saved is not None
            return await saved.embed(workspace_id, model, texts, purpose)  # type: ignore[arg-type]

        return await search(app.database, workspace_id, self.collection.id, question, embed, limit=LIMIT)  # type: ignore[arg-type]

    def _show(self, found: Hits) -> None:
        how = _("by words and by meaning") if found.by_meaning else _("by words")
        count = plural(len(found.hits), _("piece"), _("pieces"), self.reader)
        self.said.text = _("{count} found {how}, {milliseconds} ms.").format(
            count=count, how=how, milliseconds=found.milliseconds
        )
        if not found.hits:
            self.said.text = _("Nothing was found {how}. Try other words, or fewer.").format(how=how)
        self.said.visible = True
        self.place.clear()
        with self.place:
            if not found.hits and not found.by_meaning and not self.collection.model:
                with ui.element("li"):
                    self._draw_way_on()
            if found.trouble:
                with ui.element("li"):
                    note(found.trouble, kind="warn", icon="warning", strong=_("Only words were searched."))
            for at, one in enumerate(found.hits, 1):
                with ui.element("li").classes("fp-hit"):
                    self._draw_hit(at, one)

    def _draw_way_on(self) -> None:
        """Offers search by meaning to those who found nothing by words."""
        with note(
            _("With an embedding model pieces are also found that say the same in other words than the question."),
            icon="neurology",
            strong=_("Search by meaning finds more."),
        ).classes("fp-note--act"):
            if self.set_meaning is not None:
                button(_("Search by meaning"), self.set_meaning, icon="neurology", small=True)

    def _draw_hit(self, at: int, one: Hit) -> None:
        piece = one.piece
        with ui.element("div").classes("fp-row fp-wrap-row fp-hit-head"):
            words(f"{at}.", "fp-t3")
            if piece.address.startswith(("http://", "https://")):
                link(piece.document, piece.address, "fp-b", new_tab=True)
            else:
                words(piece.document, "fp-b")
            if piece.place:
                words(piece.place, "fp-t2 fp-s13")
            if piece.heading:
                icon("chevron_right", "fp-t3", size=14)
                words(piece.heading, "fp-t2 fp-s13")
        draw_marked(piece.text[:SHOWN] + ("…" if len(piece.text) > SHOWN else ""), one.words)
        with ui.element("div").classes("fp-row fp-wrap-row"):
            badge(_("Score {score}").format(score=number(one.score, self.reader, places=2)), kind="acc")
            if one.word_rank is not None:
                found = ", ".join(one.words[:8])
                badge(
                    _("Words: {found} (rank {word_rank})").format(found=found or "-", word_rank=one.word_rank),
                    icon="match_word",
                )
            if one.meaning_rank is not None and one.likeness is not None:
                like = percent(one.likeness, self.reader)
                badge(
                    _("Meaning: {like} (rank {meaning_rank})").format(like=like, meaning_rank=one.meaning_rank),
                    icon="neurology",
                )


def draw_marked(text: str, found: Sequence[str]) -> None:
    """Draws a text with the words that were found marked in it."""
    with ui.element("p").classes("fp-hit-text"):
        at = 0
        for start, end in _marks(text, found)[:MAX_MARKS]:
            if start > at:
                words(text[at:start])
            words(text[start:end], tag="mark")
            at = end
        if at < len(text):
            words(text[at:])


def _marks(text: str, found: Sequence[str]) -> list[tuple[int, int]]:
    """Returns where the words stand in a text, in order. Words of letters with spaces around them stand alone."""
    joined = [one for one in found if one[0] >= "\u0e00"]
    spaced = set(found) - set(joined)
    marks = [one.span() for one in _WORD.finditer(text) if small(one[0]) in spaced]
    for word in joined:
        at = text.find(word)
        while at >= 0:
            marks.append((at, at + len(word)))
            at = text.find(word, at + 1)
    return _apart(sorted(marks))


def _apart(marks: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Joins marks that overlap or touch."""
    found: list[tuple[int, int]] = []
    for start, end in marks:
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _still_there(_session: object, _workspace_id: str) -> None:
    """A query that reads nothing. Running it only checks the session of the person."""
