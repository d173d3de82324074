"""The import dialog: choose a file or paste text, check the rows that were read, and store them.

dataset_id = await import_file(page_session)              # a new dataset; None when the dialog is cancelled
done = await import_file(page_session, dataset)           # rows for an existing one: added or replaced
"""

from __future__ import annotations

from nicegui import events, ui

from engine.actions.datasets import Import, add_dataset_with_rows, import_rows
from engine.core.errors import Refusal
from engine.core.shared_places import CURRENT_WORKSPACE
from engine.documents.table_reading import RowTexts, is_office_file, read_rows_apart, read_sheets_apart
from engine.flow.file_values import FileContent
from engine.table_files.reading import MAX_FILE, read_table
from engine.table_files.table import Names, Table
from storage.dataset_changes import MAX_ROWS, NewRows, checked_rows, checked_texts, with_keys
from storage.datasets import DatasetLine, find_key_column
from ui.datasets.words import cell_text, column_word, rows_word
from ui.forms.form import Field
from ui.kit import feedback
from ui.kit.answer import answer_of
from ui.kit.frame import reader
from ui.kit.hidden_upload import TOO_LARGE, hidden_upload
from ui.kit.parts import button, icon, note, segments, table, words
from ui.kit.text import _, number, plural
from ui.page_session import PageSession

#: Number of rows in the preview.
PREVIEW = 5
#: Longest text that can be pasted. A paste is sent over the page's socket, so longer text must be uploaded as a file.
MAX_PASTE = 400_000
#: Larger files are read in an evaluator process: their rows may take sixty times the memory of the file.
SMALL_FILE = 512 * 1_024


#: The endings of files that can be chosen.
ACCEPTED = ".csv,.tsv,.txt,.json,.jsonl,.ndjson,.xlsx,.xlsm,.xlsb,.xls,.ods"


async def import_file(page_session: PageSession, dataset: DatasetLine | None = None) -> str | None:
    """Asks for a file and stores its rows. Returns the dataset's id."""
    with feedback.open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg fp-dlg--import"):
        ImportDialog(page_session, dialog, dataset).draw()
    return await answer_of(dialog)


class ImportDialog:
    """One open dialog. `dataset` None: the rows become a new dataset."""

    def __init__(self, page_session: PageSession, dialog: ui.dialog, dataset: DatasetLine | None) -> None:
        self.page_session = page_session
        self.dialog = dialog
        self.dataset = dataset
        self.reader = reader()
        self.data = b""
        self.file_name = ""
        self.names: Names = "auto"
        self.mode: Import = "append"
        self.table: Table | RowTexts | None = None
        self.new: NewRows | None = None
        #: The sheets of an Excel or OpenDocument file; none of another file.
        self.sheets: list[Table] = []

    def draw(self) -> None:
        """Draws the first step."""
        title = _("Import into {name}").format(name=self.dataset.name) if self.dataset else _("Import a file")
        self.dialog.props["aria-label"] = title
        words(title, tag="h2")
        self.body = ui.element("div").classes("fp-col").props("aria-live=polite")
        with ui.element("div").classes("fp-acts"):
            button(_("Cancel"), self.dialog.close, kind="quiet")
            self.back = button(_("Another file"), self._start)
            self.go = button(_("Import"), self._store, kind="main")
        self._start()

    def _start(self) -> None:
        self.back.visible = self.go.visible = False
        self.names = "auto"  # what was said of a file counts for that file
        self.body.clear()
        with self.body:
            words(
                _("A table saved as CSV with the names of its columns in the first line, or a JSON file."),
                "fp-t2",
                tag="p",
            )
            words(_("A table of Excel (.xlsx) or OpenDocument (.ods) can be read as it is."), "fp-t2", tag="p")
            self.told = ui.element("div").props("role=alert")
            upload = hidden_upload(self._received, self._not_sent, most_bytes=MAX_FILE, accept=ACCEPTED)
            pick = f"getElement({upload.id}).$refs.qRef"
            with ui.element("button").classes("fp-drop").props("type=button") as drop:
                icon("upload_file", size=32)
                words(_("Drop a file here, or choose one"), "fp-b")
                words(
                    _("Up to {megabytes} MB, {max_rows} rows").format(
                        megabytes=MAX_FILE >> 20, max_rows=number(MAX_ROWS, self.reader)
                    ),
                    "fp-s12 fp-t3",
                )
            drop.on("click", js_handler=f"() => {pick}.pickFiles()")
            drop.on("dragover.prevent", js_handler="() => {}")
            drop.on("drop.prevent", js_handler=f"(event) => {pick}.addFiles(event.dataTransfer.files)")
            field = Field(_("Or paste rows"), help_text=_("From a spreadsheet, a CSV file or JSON."))
            with field.place:
                self.paste = field.control(ui.textarea().props(f"outlined dense rows=4 maxlength={MAX_PASTE}"))
                self.paste.classes("fp-mono")
            button(_("Read the text"), self._pasted, icon="content_paste", small=True).classes("fp-self-start")

    async def _received(self, event: events.UploadEventArguments) -> None:
        await self._read(await event.file.read(), event.file.name)

    def _not_sent(self, why: str) -> None:
        if why != TOO_LARGE:
            self._refuse(
                _("The file is no CSV or JSON file."),
                _("Save the table as an Excel file (.xlsx) or as CSV, then choose that file."),
            )
            return
        self._refuse(
            _("The file is larger than {megabytes} MB.").format(megabytes=MAX_FILE >> 20),
            _("Split it, or leave out long columns."),
        )

    async def _pasted(self) -> None:
        await self._read((self.paste.value or "").encode(errors="replace"), "")

    async def _read(self, data: bytes, name: str) -> None:
        """Reads the file, a large one or one of an office program in a process of its own, and shows the rows.

        A file that is no table is refused with the line of the error.
        """
        apart, sheets = self.page_session.app.sandbox.read_file, list[Table]()
        CURRENT_WORKSPACE.set(self.page_session.principal.workspace_id)
        try:
            if is_office_file(content := FileContent(name, "", len(data), data)):
                sheets = await read_sheets_apart(content, apart=apart)
                read = sheets[0], await self.page_session.beside(checked_rows, sheets[0].rows, sheets[0].columns)
            elif len(data) <= SMALL_FILE:
                read = await self.page_session.beside(_read_and_check, data, name, self.names)
            else:
                rows = await read_rows_apart(data, name, names=self.names, most_rows=MAX_ROWS, apart=apart)
                read = rows, await self.page_session.beside(checked_texts, rows.texts, rows.columns)
        except Refusal as refusal:
            self._refuse(f"{refusal.detail}.", refusal.remedy)
            return
        if self.dialog.is_deleted:  # the page was closed meanwhile
            return
        self.data, self.file_name, self.sheets = data, name, sheets
        self.table, self.new = read
        self._show()

    async def _choose_sheet(self, place: int) -> None:
        sheet = self.sheets[place]
        try:
            new = await self.page_session.beside(checked_rows, sheet.rows, sheet.columns)
        except Refusal as refusal:
            self._refuse(f"{refusal.detail}.", refusal.remedy)
            return
        if not self.dialog.is_deleted:
            self.table, self.new = sheet, new
            self._show()

    def _refuse(self, what: str, todo: str) -> None:
        if self.told.is_deleted:
            self._start()
        self.told.clear()
        with self.told:
            note(f"{what} {todo}", kind="bad", icon="error", strong=_("Not read."))

    def _show(self) -> None:
        table_, new = self.table, self.new
        assert table_ is not None
        assert new is not None
        self.body.clear()
        self.back.visible = self.go.visible = True
        with self.body:
            self.told = ui.element("div").props("role=alert")
            with ui.element("div").classes("fp-row fp-wrap-row"):
                icon("check_circle", "fp-ok")
                words(self.file_name or _("Pasted text"), "fp-b")
                columns = plural(len(new.columns), _("column"), _("columns"), self.reader)
                words(f"{rows_word(len(new.rows), self.reader)}, {columns} ({table_.form})", "fp-t2")
            if table_.form.startswith("CSV"):
                switch = ui.switch(_("The first line holds the names of the columns"), value=table_.has_names)
                switch.on_value_change(lambda event: self._change_names(bool(event.value)))
            if len(self.sheets) > 1:
                field = Field(_("Sheet"))
                with field.place:
                    choices = {at: one.form.removeprefix("sheet ") for at, one in enumerate(self.sheets)}
                    box = ui.select(choices, value=next(at for at, one in enumerate(self.sheets) if one is table_))
                    field.control(box.props("outlined dense options-dense")).classes("w-full")
                    box.on_value_change(lambda event: self._choose_sheet(event.value))
            self._draw_preview(new)
            self._draw_where()
        self.go.text = _("Import {rows}").format(rows=rows_word(len(new.rows), self.reader))

    async def _change_names(self, has_names: bool) -> None:  # noqa: FBT001 - a switch
        self.names = "first line" if has_names else "none"
        await self._read(self.data, self.file_name)

    def _draw_preview(self, new: NewRows) -> None:
        shown = list(new.columns)[:30]
        preview = table([f"{name}" for name in shown], label=_("The first rows")).classes("fp-preview")
        preview.props("tabindex=0")
        with preview.row():
            for name in shown:
                preview.cell(column_word(new.columns[name]), "fp-t3 fp-s12")
        for row in new.rows[:PREVIEW]:
            with preview.row():
                for name in shown:
                    preview.cell(cell_text(row.get(name), self.reader), "fp-cell")
        if (rest := len(new.rows) - PREVIEW) > 0:
            words(_("and {rows} more").format(rows=rows_word(rest, self.reader)), "fp-s12 fp-t3", tag="p")

    def _draw_where(self) -> None:
        assert self.new is not None
        if self.dataset is None:
            field = Field(_("Name of the dataset"))
            with field.place:
                start = self.file_name.rpartition(".")[0].replace("_", " ").strip()[:100]
                self.name = field.control(ui.input(value=start).props("outlined dense autocomplete=off maxlength=100"))
        elif self.dataset.rows:
            count = rows_word(self.dataset.rows, self.reader)
            segments(
                {
                    "append": _("Add to the {count}").format(count=count),
                    "replace": _("Replace the {count}").format(count=count),
                },
                self.mode,
                self._change_mode,
                label=_("What becomes of the rows that are there"),
            )
            self.warning = ui.element("div")
            self._warn()

    def _change_mode(self, mode: str) -> None:
        self.mode = "replace" if mode == "replace" else "append"
        self._warn()

    def _warn(self) -> None:
        assert self.new is not None
        assert self.dataset is not None
        known = set(self.dataset.column_names)
        added = [name for name in self.new.columns if name not in known]
        self.warning.clear()
        with self.warning:
            if self.mode == "replace":
                note(_("The rows and columns that are there now are deleted."), kind="warn", icon="warning")
            elif added:
                count = plural(len(added), _("new column"), _("new columns"), self.reader)
                names = ", ".join(added[:5]) + ("…" if len(added) > 5 else "")
                note(
                    _("{count}: {names}. The rows that are there have nothing in it.").format(count=count, names=names),
                    icon="view_column",
                )

    async def _store(self) -> None:
        assert self.new is not None
        self.go.disable()
        try:
            if self.dataset is None:
                dataset_id = await self.page_session.execute(add_dataset_with_rows, self.name.value or "", self.new)
            else:
                dataset_id = self.dataset.id
                column = await self.page_session.query(find_key_column, dataset_id)
                new = await self.page_session.beside(with_keys, self.new, column)
                await self.page_session.execute(import_rows, dataset_id, new, self.mode)
        except Refusal as refusal:
            self.go.enable()
            self._refuse(f"{refusal.detail}.", refusal.remedy)
            return
        feedback.told(_("{rows} imported.").format(rows=rows_word(len(self.new.rows), self.reader)))
        self.dialog.submit(dataset_id)


def _read_and_check(data: bytes, name: str, names: Names) -> tuple[Table, NewRows]:
    table_ = read_table(data, name, names=names, most_rows=MAX_ROWS)
    return table_, checked_rows(table_.rows, table_.columns)
