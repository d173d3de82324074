"""What a person does with a whole collection, from the list and from its page: create, rename, delete, change."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from engine.actions.knowledge import (
    add_collection,
    delete_collection,
    rename_collection,
    set_meaning,
    set_piece_length,
)
from engine.knowledge.chunking import LARGEST_PIECE, PIECE_CHARS, SMALLEST_PIECE
from engine.models.provider_catalog import has_embeddings, is_embedding_model
from storage.connections import ConnectionRow, list_connections
from storage.flow_uses import FlowUse
from storage.knowledge import CollectionLine
from ui.forms.form import Field
from ui.kit import feedback
from ui.kit.answer import answer_of
from ui.kit.ask import ask_text
from ui.kit.frame import reader
from ui.kit.parts import button, link, note, words
from ui.kit.text import _, number
from ui.page_session import PageSession
from ui.parts.flow_uses import confirm_delete


async def make(page_session: PageSession) -> str | None:
    """Asks for a name and creates an empty collection. Returns its id."""
    name = await ask_text(_("New collection"), _("Name"), "", _("Create"))
    return await page_session.try_execute(add_collection, name) if name else None


async def rename(page_session: PageSession, collection: CollectionLine) -> bool:
    """Asks for another name. Returns whether the collection was renamed."""
    name = await ask_text(_("Rename the collection"), _("Name"), collection.name, _("Rename"))
    if not name or name == collection.name:
        return False
    with feedback.refusals_told() as outcome:
        await page_session.execute(rename_collection, collection.id, name)
    return not outcome.refused


async def delete(page_session: PageSession, collection: CollectionLine, uses: Sequence[FlowUse]) -> bool:
    """Asks for confirmation, by typing the name when flows use the collection, and deletes it."""
    lost = _("Its sources and pieces are gone for good. Websites and datasets themselves stay as they are.")
    if not await confirm_delete(collection.name, lost, uses):
        return False
    with feedback.refusals_told() as outcome:
        await page_session.execute(delete_collection, collection.id, "delete" if uses else "refuse")
    return not outcome.refused


async def change_meaning(page_session: PageSession, collection: CollectionLine, chars: int) -> bool:
    """Asks for the model of search by meaning. Returns whether it was changed."""
    connections = [one for one in await page_session.query(list_connections) if has_embeddings(one.provider)]
    with feedback.open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg fp-dlg--wide"):
        _MeaningDialog(dialog, collection, connections, chars).draw()
    model = await answer_of(dialog)
    if model is None or model == collection.model:
        return False
    with feedback.refusals_told() as outcome:
        await page_session.execute(set_meaning, collection.id, model)
    return not outcome.refused


class _MeaningDialog:
    """One open dialog with a connection and one of its models."""

    def __init__(
        self, dialog: ui.dialog, collection: CollectionLine, connections: Sequence[ConnectionRow], chars: int
    ) -> None:
        self.dialog = dialog
        self.collection = collection
        self.connections = {one.name: one for one in connections}
        self.chars = chars
        self.reader = reader()

    def draw(self) -> None:
        """Draws the dialog."""
        title = _("Search by meaning")
        self.dialog.props["aria-label"] = title
        words(title, tag="h2")
        words(
            _(
                "Words are always searched. With an embedding model, pieces are also found that say the same in other"
                " words: “refund” finds “we give your money back”."
            ),
            tag="p",
        )
        if not self.connections:
            with note(
                _("Connect OpenAI, Google, Azure, Mistral, Ollama or a server like them, and come back."),
                strong=_("No connection has embedding models yet."),
            ):
                link(_("Models and secrets"), "/settings/models")
            with ui.element("div").classes("fp-acts"):
                button(_("Close"), self.dialog.close, kind="quiet")
            return
        with ui.element("div").classes("fp-dlg-fields"):
            self._draw_fields()
        with ui.element("div").classes("fp-acts"):
            button(_("Cancel"), self.dialog.close, kind="quiet")
            if self.collection.model:
                button(_("Words only"), lambda: self.dialog.submit(""))
            button(_("Search by meaning too"), self._submit, kind="main")

    def _draw_fields(self) -> None:
        name, _colon, model = self.collection.model.partition(":")
        chosen = name if name in self.connections else next(iter(self.connections))
        field = Field(_("Connection"))
        with field.place:
            box = ui.select(list(self.connections), value=chosen, on_change=lambda event: self._offer(event.value))
            self.connection = field.control(box.props("outlined dense options-dense")).classes("w-full")
        field = Field(_("Embedding model"), help_text=_("Like text-embedding-3-small or nomic-embed-text."))
        with field.place:
            models = self._models(chosen)
            box = ui.select(
                list(dict.fromkeys([*models, *([model] if model else [])])),
                value=model or next(iter(models), None),
                with_input=True,
                new_value_mode="add-unique",
            )
            self.model = field.control(box.props("outlined dense options-dense")).classes("w-full")
        sent = number(self.chars // 4, self.reader)
        note(
            _(
                "About {sent} tokens are sent to this connection once, and each question later. What it costs stands beside each source."
            ).format(sent=sent),
            icon="payments",
        )

    def _models(self, connection: str) -> list[str]:
        offered = self.connections[connection].offered
        named = self.connections[connection].named_models
        return list(dict.fromkeys([one for one in offered if is_embedding_model(one) or one in named]))

    def _offer(self, connection: str) -> None:
        models = self._models(connection)
        self.model.set_options(models, value=next(iter(models), None))

    def _submit(self) -> None:
        model = str(self.model.value or "").strip()
        if not model:
            feedback.failed(_("No model is chosen."), _("Write the name of an embedding model and press Enter."))
            return
        self.dialog.submit(f"{self.connection.value}:{model}")


async def change_length(page_session: PageSession, collection: CollectionLine) -> bool:
    """Asks about how long the pieces shall be. Returns whether it was changed."""
    with feedback.open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg"):
        title = _("Length of the pieces")
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        words(
            _("Texts are cut at headings and paragraphs into pieces of about this length. Every source is cut again."),
            tag="p",
        )
        field = Field(
            _("Characters"),
            help_text=_("{smallest_piece} to {largest_piece}. Usual: {piece_chars}.").format(
                smallest_piece=f"{SMALLEST_PIECE:,}", largest_piece=f"{LARGEST_PIECE:,}", piece_chars=f"{PIECE_CHARS:,}"
            ),
        )
        with field.place:
            box = field.control(
                ui.number(value=collection.piece_chars, min=SMALLEST_PIECE, max=LARGEST_PIECE, precision=0).props(
                    "outlined dense"
                )
            )
        with ui.element("div").classes("fp-acts"):
            button(_("Cancel"), dialog.close, kind="quiet")
            button(_("Cut again"), lambda: dialog.submit(int(box.value or 0)), kind="main")
    length = await answer_of(dialog)
    if length is None:
        return False
    with feedback.refusals_told() as outcome:
        await page_session.execute(set_piece_length, collection.id, length)
    return not outcome.refused
