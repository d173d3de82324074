"""Datasets: every table of the workspace with its size and the flows that use it; a row opens it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from nicegui import ui
from sqlalchemy.orm import Session
from starlette.requests import Request

from storage.dataset_uses import list_uses
from storage.datasets import DatasetLine, list_datasets
from storage.flow_uses import FlowUse
from ui.datasets import dataset_actions
from ui.datasets.import_dialog import import_file
from ui.datasets.words import rows_word
from ui.kit import feedback
from ui.kit.assets import asset_url
from ui.kit.parts import Column, button, icon, link, menu_button, menu_item, table, words
from ui.kit.text import _, number, plural, size
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import every, one_at_a_time, opened, times_of
from ui.parts.flow_uses import uses_word

LOOK_SECONDS = 5.0


class DatasetListContents(Struct, frozen=True):
    """The data that the page shows."""

    datasets: tuple[DatasetLine, ...]
    uses: Mapping[str, tuple[FlowUse, ...]]


def load_datasets(session: Session, workspace_id: str) -> DatasetListContents:
    """Reads every dataset with the flows that use it in one transaction."""
    return DatasetListContents(tuple(list_datasets(session, workspace_id)), list_uses(session, workspace_id))


def register(app: App) -> None:
    """Registers `/datasets`."""

    @page_at("/datasets")
    async def open_datasets(request: Request) -> None:
        page_session = await open_page_session(app, request)
        seen = await page_session.query(load_datasets)
        DatasetsPage(page_session, seen).build()


class DatasetsPage:
    """One open page with the list of datasets."""

    def __init__(self, page_session: PageSession, seen: DatasetListContents) -> None:
        self.page_session = page_session
        self.seen = seen
        self.times = times_of(page_session)
        self.reader = self.times.reader
        self.text = ""

    def build(self) -> None:
        """Draws the page."""
        may_edit = self.page_session.may("edit datasets")
        with opened(self.page_session, _("Datasets"), active="datasets", sub="") as page:
            ui.add_head_html(f'<link rel="stylesheet" href="{asset_url("datasets.css")}">')
            if may_edit:
                with page.actions:
                    button(_("New dataset"), self._make, icon="add")
                    button(_("Import a file"), self._import, icon="upload", kind="main")
            self.sub = words("", "fp-sub fp-under", tag="p")
            with ui.element("div").classes("fp-filters") as self.filters:
                box = ui.input(placeholder=_("Find a dataset"), on_change=lambda event: self._find(event.value))
                box.props("outlined dense clearable debounce=150").classes("fp-finder")
                box.props["aria-label"] = _("Find a dataset")
                with box.add_slot("prepend"):
                    icon("search", size=16)
            self.body = ui.element("div").classes("fp-col")
            self._draw()
        every(LOOK_SECONDS, self._look)

    @one_at_a_time
    async def _look(self) -> None:
        fresh = await self.page_session.query_again(load_datasets)
        if fresh != self.seen:
            self.seen = fresh
            self._draw()

    def _find(self, text: str | None) -> None:
        self.text = (text or "").strip().casefold()
        self._draw()

    def _draw(self) -> None:
        datasets = self.seen.datasets
        rows = sum(one.rows for one in datasets)
        self.sub.text = (
            _("{datasets}, {rows}. Flows take rows from them and keep rows in them.").format(
                datasets=plural(len(datasets), _("dataset"), _("datasets"), self.reader),
                rows=rows_word(rows, self.reader),
            )
            if datasets
            else _("Tables that flows take rows from and keep rows in.")
        )
        self.filters.visible = len(datasets) > 1
        self.body.clear()
        with self.body, ui.element("section").classes("fp-card"):
            if not datasets:
                self._draw_empty()
                return
            shown = [one for one in datasets if self.text in one.name.casefold()]
            if shown:
                self._draw_table(shown)
            else:
                words(_("No dataset has this in its name."), "fp-body fp-t2", tag="p")

    def _draw_empty(self) -> None:
        sentence = _(
            "A dataset is a table. A flow takes its rows with “Read rows”, works on each of them, and keeps what comes"
            " out with “Save rows”. Type your own, or bring one from a spreadsheet as a CSV file."
        )
        with feedback.empty("table_rows", _("No datasets yet"), sentence):
            if self.page_session.may("edit datasets"):
                with ui.element("div").classes("fp-row fp-wrap-row"):
                    button(_("New dataset"), self._make, icon="add")
                    button(_("Import a file"), self._import, icon="upload")
            link(_("See the template that enriches rows"), "/templates")

    def _draw_table(self, datasets: list[DatasetLine]) -> None:
        columns = [
            _("Name"),
            Column(_("Rows"), right=True),
            Column(_("Columns"), right=True),
            Column(_("Size"), right=True),
            _("Used by"),
            _("Changed"),
            Column(_("Actions"), hidden=True, width="64px"),
        ]
        rows = table(columns, label=_("Datasets"), stacks=True)
        for one in datasets:
            uses = self.seen.uses.get(one.id, ())
            path = f"/datasets/{one.id}"
            with rows.row(on_open=lambda path=path: ui.navigate.to(path)):
                with rows.cell():
                    link(one.name, path, "fp-row-link")
                rows.cell(number(one.rows, self.reader))
                rows.cell(number(len(one.columns), self.reader), "fp-t2")
                rows.cell(size(one.bytes, self.reader), "fp-t2")
                rows.cell(uses_word(uses, self.reader), "fp-t2" if uses else "fp-t3")
                rows.cell(self.times.ago(one.updated_at), "fp-t2")
                with rows.cell(classes="fp-acts-cell").on("click.stop", js_handler="() => {}"):
                    self._menu(one, uses)

    def _menu(self, one: DatasetLine, uses: tuple[FlowUse, ...]) -> None:
        with menu_button(_("More for {name}").format(name=one.name)):
            menu_item(_("Open"), lambda: ui.navigate.to(f"/datasets/{one.id}"), icon="arrow_forward")
            menu_item(_("Export as CSV"), lambda: dataset_actions.export(one, "csv"), icon="download")
            menu_item(_("Export as Excel"), lambda: dataset_actions.export(one, "xlsx"), icon="download")
            menu_item(_("Export as JSON"), lambda: dataset_actions.export(one, "json"), icon="download")
            if self.page_session.may("edit datasets"):
                menu_item(_("Rename..."), lambda: self._rename(one), icon="edit")
                ui.separator()
                menu_item(_("Delete..."), lambda: self._delete(one, uses), icon="delete", danger=True)

    async def _make(self) -> None:
        if made := await dataset_actions.make(self.page_session):
            ui.navigate.to(f"/datasets/{made}")

    async def _import(self) -> None:
        if made := await import_file(self.page_session):
            ui.navigate.to(f"/datasets/{made}")

    async def _rename(self, one: DatasetLine) -> None:
        if await dataset_actions.rename(self.page_session, one):
            await self._look()

    async def _delete(self, one: DatasetLine, uses: tuple[FlowUse, ...]) -> None:
        if await dataset_actions.delete(self.page_session, one, uses):
            feedback.told(_("{name} is deleted.").format(name=one.name))
            await self._look()
