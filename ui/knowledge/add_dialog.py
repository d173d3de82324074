"""The dialog that adds sources to a collection: files, a text, a website, or the rows of a dataset."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from nicegui import events, ui

from engine.actions.knowledge import add_dataset_rows, add_file, add_site, add_text
from engine.core.errors import Refusal
from engine.files.intake import incoming_of
from engine.knowledge.documents import (
    DOCUMENTS,
    MAX_DEPTH,
    MAX_FILE,
    MAX_PAGES,
    PAGES,
    TABLES,
    TEXTS,
    USUAL_DEPTH,
    USUAL_PAGES,
)
from storage.datasets import DatasetLine, list_datasets
from storage.knowledge import CollectionLine
from storage.knowledge_uses import list_knowledge_uses
from ui.forms.form import Field
from ui.kit.answer import answer_of
from ui.kit.feedback import open_page
from ui.kit.frame import reader
from ui.kit.hidden_upload import TOO_LARGE, hidden_upload
from ui.kit.parts import button, icon, link, link_button, note, segments, words
from ui.kit.text import _, plural
from ui.page_session import PageSession

#: The longest text that can be pasted; it is sent over the page's socket.
MAX_PASTE = 400_000
_TABS = {"files": _("Files"), "text": _("Text"), "site": _("Website"), "rows": _("Dataset")}
_ENDINGS = ",".join(f".{one}" for one in sorted(TEXTS | PAGES | TABLES | DOCUMENTS))


async def add_sources(page_session: PageSession, collection: CollectionLine) -> bool:
    """Asks for sources and adds them. Returns whether any was added."""
    datasets = [one for one in await page_session.query(list_datasets) if one.rows]
    uses = (await page_session.query(list_knowledge_uses)).get(collection.id, ())
    with open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg fp-dlg--wide"):
        drawn = AddDialog(page_session, dialog, collection, datasets, uses[0].flow_id if uses else "")
        drawn.draw()
    await answer_of(dialog)
    return drawn.added > 0


class AddDialog:
    """One open dialog."""

    def __init__(
        self,
        page_session: PageSession,
        dialog: ui.dialog,
        collection: CollectionLine,
        datasets: list[DatasetLine],
        used_by: str,
    ) -> None:
        self.page_session = page_session
        self.dialog = dialog
        self.collection = collection
        self.datasets = {one.id: one for one in datasets}
        #: The id of a flow that searches the collection; empty when none does.
        self.used_by = used_by
        self.reader = reader()
        self.added = 0

    def draw(self) -> None:
        """Draws the dialog with its first tab."""
        title = _("Add to {name}").format(name=self.collection.name)
        self.dialog.props["aria-label"] = title
        words(title, tag="h2")
        segments(_TABS, "files", self._show, label=_("What to add")).classes("fp-tabs-here")
        self.told = ui.element("div").props("role=alert")
        self.body = ui.element("div").classes("fp-col fp-dlg-fields").props("aria-live=polite")
        with ui.element("div").classes("fp-acts"):
            self.close = button(_("Close"), self.dialog.close, kind="quiet")
            self.try_it = link_button(_("Try it in your flow"), f"/playground/{self.used_by}", icon="schema")
            self.done = button(_("Done"), self.dialog.close, kind="main")
            self.try_it.visible = self.done.visible = False
            self.go = button(_("Add"), self._submit, kind="main")
        self._show("files")

    def _show(self, tab: str) -> None:
        self.tab = tab
        self.told.clear()
        self.body.clear()
        self.done.visible = self.added > 0 and tab == "files"
        self.go.visible = tab != "files" and not (tab == "rows" and not self.datasets)
        with self.body:
            {"files": self._files, "text": self._text, "site": self._site, "rows": self._rows}[tab]()

    # Files.

    def _files(self) -> None:
        upload = hidden_upload(self._received, self._rejected, most_bytes=MAX_FILE, accept=_ENDINGS, multiple=True)
        pick = f"getElement({upload.id}).$refs.qRef"
        with ui.element("button").classes("fp-drop").props("type=button") as drop:
            icon("upload_file", size=32)
            words(_("Drop files here, or choose some"), "fp-b")
            words(
                _(
                    "PDF, Word, PowerPoint, Excel, text, Markdown, HTML, CSV, JSON or e-mail, up to {megabytes} MB"
                ).format(megabytes=MAX_FILE >> 20),
                "fp-s12 fp-t3",
            )
        drop.on("click", js_handler=f"() => {pick}.pickFiles()")
        drop.on("dragover.prevent", js_handler="() => {}")
        drop.on("drop.prevent", js_handler=f"(event) => {pick}.addFiles(event.dataTransfer.files)")
        self.taken = ui.element("ul").classes("fp-taken")

    async def _received(self, event: events.UploadEventArguments) -> None:
        name = event.file.name
        try:
            await self._keep(name, await event.file.read())
        except Refusal as refusal:
            self._refuse(refusal)
            return
        self.added += 1
        if not self.taken.is_deleted:
            with self.taken, ui.element("li").classes("fp-row"):
                icon("check_circle", "fp-ok", size=16)
                words(name)
        self.close.visible = False
        self.try_it.visible = bool(self.used_by)
        self.done.visible = True

    async def _keep(self, name: str, content: bytes) -> None:
        """Stores a file as a source; its bytes go to the disk in a thread. Raises Refusal."""
        incoming = await asyncio.to_thread(incoming_of, self.page_session.app.database.file_bytes, content, name)
        try:
            await self.page_session.execute(add_file, self.collection.id, incoming)
        finally:
            incoming.discard()

    def _rejected(self, why: str) -> None:
        self._say(
            _("A file was not taken."),
            _("It is larger than {megabytes} MB.").format(megabytes=MAX_FILE >> 20)
            if why == TOO_LARGE
            else _("It is of a kind that cannot be read."),
        )

    # Text, website, rows.

    def _text(self) -> None:
        field = Field(_("Title"), help_text=_("Answers name it as their source."))
        with field.place:
            self.title = field.control(ui.input().props("outlined dense autocomplete=off maxlength=300"))
        field = Field(_("Text"), help_text=_("Lines that begin with # are headings, and are kept with each piece."))
        with field.place:
            self.text = field.control(ui.textarea().props(f"outlined dense rows=10 maxlength={MAX_PASTE}"))

    def _site(self) -> None:
        field = Field(
            _("Address of the website"), help_text=_("Its pages are found by their links, and by its sitemap.")
        )
        with field.place:
            self.url = field.control(
                ui.input(placeholder="https://example.com/").props("outlined dense autocomplete=off maxlength=2000")
            )
        note(
            _("Only pages that the site's robots.txt allows are read. Use sites whose texts you may use."),
            icon="smart_toy",
        )
        with ui.expansion(_("More")).classes("fp-more w-full"), ui.element("div").classes("fp-col"):
            field = Field(_("Most pages"))
            with field.place:
                self.pages = field.control(
                    ui.number(value=USUAL_PAGES, min=1, max=MAX_PAGES, precision=0).props("outlined dense")
                )
            field = Field(_("Depth"), help_text=_("How many links away from this page to go. 0 is this page alone."))
            with field.place:
                self.depth = field.control(
                    ui.number(value=USUAL_DEPTH, min=0, max=MAX_DEPTH, precision=0).props("outlined dense")
                )
            field = Field(_("Only"), help_text=_("Only addresses that match one of these lines, like /help/*."))
            with field.place:
                self.include = field.control(ui.textarea().props("outlined dense rows=2"))
            field = Field(_("Leave out"), help_text=_("Addresses that match one of these lines, like /login."))
            with field.place:
                self.exclude = field.control(ui.textarea().props("outlined dense rows=2"))

    def _rows(self) -> None:
        if not self.datasets:
            with note(_("Import a CSV or JSON file there first."), strong=_("No dataset has rows yet.")):
                link(_("Datasets"), "/datasets")
            return
        options = {
            one.id: f"{one.name} ({plural(one.rows, _('row'), _('rows'), self.reader)})"
            for one in self.datasets.values()
        }
        field = Field(_("Dataset"), help_text=_("Each row can be found by itself."))
        with field.place:
            box = ui.select(options, value=next(iter(options)), on_change=lambda event: self._offer(event.value))
            self.dataset = field.control(box.props("outlined dense options-dense")).classes("w-full")
        field = Field(_("Columns"), help_text=_("Empty: all of them."))
        with field.place:
            box = ui.select(list(self.datasets[self.dataset.value].column_names), multiple=True, value=[])
            self.columns = field.control(box.props("outlined dense options-dense use-chips")).classes("w-full")

    def _offer(self, dataset: str) -> None:
        self.columns.set_options(list(self.datasets[dataset].column_names), value=[])

    async def _submit(self) -> None:
        self.go.disable()
        try:
            await self._add()
        except Refusal as refusal:
            self._refuse(refusal)
            return
        finally:
            if not self.go.is_deleted:
                self.go.enable()
        self.added += 1
        self.dialog.submit(True)

    async def _add(self) -> None:
        execute: Callable[..., Any] = self.page_session.execute
        match self.tab:
            case "text":
                await execute(add_text, self.collection.id, self.title.value or "", self.text.value or "")
            case "site":
                options = {
                    "max_pages": int(self.pages.value or 0),
                    "max_depth": int(self.depth.value or 0),
                    "include": (self.include.value or "").split(),
                    "exclude": (self.exclude.value or "").split(),
                }
                await execute(add_site, self.collection.id, self.url.value or "", options)
            case "rows":
                await execute(add_dataset_rows, self.collection.id, self.dataset.value, tuple(self.columns.value or ()))

    def _refuse(self, refusal: Refusal) -> None:
        self._say(f"{refusal.detail or refusal.title}.", refusal.remedy)

    def _say(self, what: str, todo: str) -> None:
        if self.told.is_deleted:
            return
        self.told.clear()
        with self.told:
            note(todo, kind="bad", icon="error", strong=what)
