"""A dataset: its rows in pages with search; editing rows and columns, import, export, rename, delete."""

from __future__ import annotations

from msgspec import Struct
from nicegui import ui
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from engine.actions.datasets import delete_rows
from engine.core.errors import NotFound
from storage.dataset_uses import list_uses
from storage.datasets import DatasetLine, RowPage, get_dataset, page_of_rows
from storage.flow_uses import FlowUse
from ui.datasets import dataset_actions
from ui.datasets.columns import ColumnHeads, ask_new_column
from ui.datasets.import_dialog import import_file
from ui.datasets.row_form import edit_row
from ui.datasets.row_table import RowTable
from ui.datasets.words import rows_word, shown_numbers, sum_line
from ui.kit import feedback
from ui.kit.assets import asset_url
from ui.kit.parts import button, drop_menu, icon, link, link_button, menu_button, menu_item, words
from ui.kit.text import Reader, _, number
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import every, nothing_here, one_at_a_time, opened, times_of

LOOK_SECONDS = 5.0
PAGE_ROWS = 50


class DatasetContents(Struct, frozen=True):
    """The data of the page: the dataset and one page of the rows that match the search."""

    dataset: DatasetLine
    page: RowPage
    uses: tuple[FlowUse, ...]


def load_dataset(
    session: Session, workspace_id: str, dataset_id: str, offset: int, search: str, reader: Reader
) -> DatasetContents:
    """Reads the data of the page in one transaction. Raises NotFound."""
    dataset = get_dataset(session, workspace_id, dataset_id)
    shown = shown_numbers(dataset.columns, search.strip(), reader)
    page = page_of_rows(session, workspace_id, dataset.id, offset=offset, limit=PAGE_ROWS, search=search, shown=shown)
    return DatasetContents(dataset, page, list_uses(session, workspace_id).get(dataset.id, ()))


def register(app: App) -> None:
    """Registers `/datasets/{dataset_id}`."""

    @page_at("/datasets/{dataset_id}")
    async def open_dataset(request: Request, dataset_id: str) -> Response | None:
        page_session = await open_page_session(app, request)
        try:
            seen = await page_session.query(load_dataset, dataset_id, 0, "", times_of(page_session).reader)
        except NotFound:
            return nothing_here(request)
        DatasetDetailPage(page_session, seen).build()
        return None


class DatasetDetailPage:
    """One open page of a dataset."""

    def __init__(self, page_session: PageSession, seen: DatasetContents) -> None:
        self.page_session = page_session
        self.seen = seen
        self.reader = times_of(page_session).reader
        self.offset = 0
        self.search = ""
        self.chosen: set[int] = set()
        #: What the line of the flows that use it shows: their names and steps, and whether the dataset has rows.
        self.used_shown: object = None
        self.may_edit = page_session.may("edit datasets")

    @property
    def dataset(self) -> DatasetLine:
        """The dataset as last read."""
        return self.seen.dataset

    def build(self) -> None:
        """Draws the page."""
        name = self.dataset.name
        with opened(self.page_session, name, active="datasets", crumbs=[(_("Datasets"), "/datasets")], sub="") as page:
            ui.add_head_html(f'<link rel="stylesheet" href="{asset_url("datasets.css")}">')
            self.frame = page
            with page.actions:
                self._draw_actions()
            self.sub = words("", "fp-sub fp-under", tag="p")
            self.used = ui.element("div").classes("fp-used")
            with ui.element("div").classes("fp-filters"):
                box = ui.input(placeholder=_("Search in all rows"), on_change=lambda event: self._find(event.value))
                box.props("outlined dense clearable debounce=300").classes("fp-finder")
                box.props["aria-label"] = _("Search in all rows")
                with box.add_slot("prepend"):
                    icon("search", size=16)
                self.found = words("", "fp-s13 fp-t2").props("role=status")
                words("", "fp-sp")
                self.tools = ui.element("div").classes("fp-row fp-wrap-row")
            self.body = ui.element("section").classes("fp-card")
            self.pages = ui.element("nav").classes("fp-row fp-pages")
            self.pages.props["aria-label"] = _("Pages of rows")
            self._draw()
        every(LOOK_SECONDS, self._look)

    def _draw_actions(self) -> None:
        with button(_("Export"), icon="download").props("aria-haspopup=menu"), drop_menu(_("Export")):
            menu_item(_("Export as CSV"), lambda: dataset_actions.export(self.dataset, "csv"), icon="download")
            menu_item(_("Export as Excel"), lambda: dataset_actions.export(self.dataset, "xlsx"), icon="download")
            menu_item(_("Export as JSON"), lambda: dataset_actions.export(self.dataset, "json"), icon="download")
        if self.page_session.may("run flows"):
            button(_("Run a flow over these rows"), self._run_over, icon="play_arrow")
        if self.may_edit:
            button(_("Import"), self._import, icon="upload")
            button(_("Add a row"), self._add, icon="add", kind="main")
            with menu_button(_("More for this dataset")):
                menu_item(_("Add a column..."), self._add_column, icon="add_column_right")
                menu_item(_("Rename..."), self._rename, icon="edit")
                ui.separator()
                menu_item(_("Delete..."), self._delete, icon="delete", danger=True)

    @one_at_a_time
    async def _look(self) -> None:
        await self._look_now()

    async def _look_now(self) -> None:
        """Draws changes made here or by a flow. When the dataset was deleted meanwhile, opens the list."""
        wanted = self.offset, self.search
        try:
            fresh = await self.page_session.query_again(load_dataset, self.dataset.id, *wanted, self.reader)
        except NotFound:
            ui.navigate.to("/datasets")
            return
        if wanted != (self.offset, self.search):  # another page or search was chosen during the query
            return
        if self.offset and not fresh.page.rows:
            self.offset = max(0, (fresh.page.total - 1) // PAGE_ROWS * PAGE_ROWS)
            await self._look_now()
        elif fresh != self.seen:
            self.seen = fresh
            self._draw()

    async def _find(self, text: str | None) -> None:
        self.search, self.offset = (text or "").strip(), 0
        self.chosen.clear()
        await self._look()
        self._draw_found()

    async def _turn(self, offset: int) -> None:
        self.offset = offset
        await self._look()

    # Drawing.

    def _draw(self) -> None:
        self.frame.title(self.dataset.name)
        self.sub.text = f"{sum_line(self.dataset, self.reader)}."
        self._draw_used()
        self._draw_found()
        self._draw_tools()
        self.body.clear()
        with self.body:
            if self.seen.page.rows:
                heads = ColumnHeads(self.page_session, self.dataset, self._look) if self.may_edit else None
                RowTable(
                    self.seen.page.rows,
                    self.dataset.columns,
                    self.reader,
                    first=self.offset,
                    heads=heads,
                    chosen=self.chosen if self.may_edit else None,
                    on_open=self._open,
                    on_choose=self._draw_tools,
                ).draw()
            else:
                self._draw_empty()
        self._draw_pages()

    def _draw_used(self) -> None:
        """Draws the flows that use it, when they are others: a link that is pressed stays under the pointer."""
        shown = (self.seen.uses, bool(self.dataset.rows))
        if shown == self.used_shown:
            return
        self.used_shown = shown
        self.used.clear()
        with self.used:
            if not self.seen.uses:
                words(
                    _(
                        "Flows that read it, save rows in it or let an AI model look into it are named here, once you have made them."
                    ),
                    "fp-t3",
                )
                if self.dataset.rows and self.page_session.may("edit flows"):
                    link_button(
                        _("Make a flow that answers from this table"),
                        f"/start?goal=find-one-row&table={self.dataset.id}",
                        icon="add",
                        small=True,
                    )
                return
            words(_("Used by"), "fp-t3")
            for use in self.seen.uses[:10]:
                link(use.title, f"/flows/{use.flow_id}")
                if use.live:
                    words(_("(live)"), "fp-t3")
            if (more := len(self.seen.uses) - 10) > 0:
                words(_("and {more} more").format(more=number(more, self.reader)), "fp-t3")

    def _draw_found(self) -> None:
        self.found.text = (
            _("{rows} found").format(rows=rows_word(self.seen.page.total, self.reader)) if self.search else ""
        )

    def _draw_tools(self) -> None:
        self.tools.clear()
        if not self.chosen:
            return
        with self.tools:
            words(_("{rows} chosen").format(rows=rows_word(len(self.chosen), self.reader)), "fp-s13 fp-t2").props(
                "role=status"
            )
            button(_("Choose none"), self._choose_none, kind="quiet", small=True)
            button(_("Delete..."), self._delete_chosen, icon="delete", kind="danger", small=True)

    def _draw_empty(self) -> None:
        if self.search:
            with feedback.empty("search_off", _("No row has this text"), _("Capital letters do not matter.")):
                pass
            return
        if self.dataset.columns:
            names = ", ".join(column.name for column in self.dataset.columns[:20])
            sentence = _(
                "Its columns: {names}. Type rows in, import a CSV or JSON file, or let a flow keep rows here with the step"
                " “Save rows”."
            ).format(names=names)
        else:
            sentence = _(
                "Type your table here: first add its columns, like a name and a price, then its rows. Or import a CSV or"
                " JSON file, or let a flow keep rows here with the step “Save rows”."
            )
        with feedback.empty("table_rows", _("No rows yet"), sentence):
            if self.may_edit:
                with ui.element("div").classes("fp-row fp-wrap-row"):
                    if self.dataset.columns:
                        button(_("Add a row"), self._add, icon="add")
                    button(_("Add a column"), self._add_column, icon="add_column_right")
                    button(_("Import a file"), self._import, icon="upload")

    def _draw_pages(self) -> None:
        total, shown = self.seen.page.total, len(self.seen.page.rows)
        self.pages.clear()
        self.pages.visible = total > PAGE_ROWS
        if not self.pages.visible:
            return
        with self.pages:
            first, last = number(self.offset + 1, self.reader), number(self.offset + shown, self.reader)
            words(
                _("Rows {first} to {last} of {total}").format(first=first, last=last, total=number(total, self.reader)),
                "fp-s13 fp-t2",
            )
            words("", "fp-sp")
            self._page_button(_("First"), "first_page", 0, on=self.offset > 0)
            self._page_button(_("Before"), "chevron_left", max(0, self.offset - PAGE_ROWS), on=self.offset > 0)
            self._page_button(_("Next"), "chevron_right", self.offset + PAGE_ROWS, on=self.offset + shown < total)

    def _page_button(self, text: str, symbol: str, offset: int, *, on: bool) -> None:
        button(text, lambda: self._turn(offset), icon=symbol, small=True).set_enabled(on)

    # Actions.

    async def _open(self, at: int, column: str) -> None:
        row = self.seen.page.rows[at]
        title = _("Row {offset}").format(offset=number(self.offset + at + 1, self.reader))
        if await edit_row(self.page_session, self.dataset, row, column, "" if self.search else title):
            await self._look()

    async def _add(self) -> None:
        if not self.dataset.columns:
            await self._add_column(_("A row needs columns to write into. Add the first one, then the row."))
        elif await edit_row(self.page_session, self.dataset, None):
            feedback.told(_("Added at the end of the table."))
            await self._look()

    async def _add_column(self, why: str = "") -> None:
        if await ask_new_column(self.page_session, self.dataset, why):
            await self._look()

    async def _import(self) -> None:
        if await import_file(self.page_session, self.dataset):
            await self._look()

    async def _run_over(self) -> None:
        await dataset_actions.run_over(self.page_session, self.dataset)

    async def _rename(self) -> None:
        if await dataset_actions.rename(self.page_session, self.dataset):
            await self._look()

    async def _delete(self) -> None:
        if await dataset_actions.delete(self.page_session, self.dataset, self.seen.uses):
            ui.navigate.to("/datasets")

    def _choose_none(self) -> None:
        self.chosen.clear()
        self._draw()

    async def _delete_chosen(self) -> None:
        count = rows_word(len(self.chosen), self.reader)
        sure = await feedback.confirm(
            _("Delete {count}?").format(count=count),
            _("It is gone for good.") if len(self.chosen) == 1 else _("They are gone for good."),
            verb=_("Delete"),
            danger=True,
            keep=_("Keep it") if len(self.chosen) == 1 else _("Keep them"),
        )
        if not sure:
            return
        with feedback.refusals_told() as outcome:
            await self.page_session.execute(delete_rows, self.dataset.id, sorted(self.chosen))
        if not outcome.refused:
            self.chosen.clear()
            feedback.told(_("{count} deleted.").format(count=count))
            await self._look()
