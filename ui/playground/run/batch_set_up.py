"""The set-up of a batch: the flow's samples as rows, or a dataset whose columns are assigned to the input fields."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from nicegui import ui

from engine.flow.contract import input_fields, samples_of
from engine.flow.dataset_payloads import is_same_name, match_columns
from engine.playground_batches.rows import DatasetRows, Rows, RowsThatRan
from storage.datasets import DatasetLine, list_datasets, list_row_ids
from ui.datasets.import_dialog import import_file
from ui.forms.form import Field
from ui.kit.parts import button, note, words
from ui.kit.text import Reader, _, number, plural, type_word
from ui.page_session import PageSession
from ui.parts.open_drafts import OpenDraft
from ui.playground.run.input_form import no_input_words
from ui.playground.run.samples import sample_rows

SAMPLES = ""


class BatchSetUp:
    """The form of the set-up; `on_start` gets the rows. Redrawn when another source is chosen."""

    def __init__(
        self,
        page_session: PageSession,
        draft: OpenDraft,
        reader: Reader,
        *,
        on_start: Callable[[Rows], Awaitable[None]],
        ran: RowsThatRan | None = None,
    ) -> None:
        """`ran`: the rows that an interrupted batch has run; they can be left out when its source is chosen."""
        self.page_session = page_session
        self.draft = draft
        self.reader = reader
        self.on_start = on_start
        self.ran = ran
        #: Id -> number now, of the rows of a dataset that ran.
        self.numbers: dict[int, int] = {}
        self.only_rest = False
        #: `SAMPLES`, or the id of a dataset; `draw` chooses one in place of what is not there.
        self.source: str | None = None
        self.datasets: Mapping[str, DatasetLine] = {}
        self.mapping: dict[str, str] = {}
        #: Field -> the sentence about the column that was chosen for it.
        self.guessed: dict[str, ui.element] = {}
        self.count: int | None = None
        self.box = ui.element("div").classes("fp-stack fp-batch-set-up")

    async def draw(self) -> None:
        """Loads the datasets and draws the form."""
        self.datasets = {one.id: one for one in await self.page_session.query(list_datasets) if one.rows}
        if self.ran is not None and isinstance(self.ran.source, DatasetRows):
            ids = await self.page_session.query(list_row_ids, self.ran.source.dataset_id)
            self.numbers = {one: number for number, one in enumerate(ids, 1) if one in self.ran.dataset_rows}
        if self.source not in self.datasets:
            self.source = SAMPLES if samples_of(self.draft.document) else next(iter(self.datasets), None)
        self._match()
        self._draw()

    def _draw(self) -> None:
        samples, fields = samples_of(self.draft.document), input_fields(self.draft.document)
        self.box.clear()
        with self.box:
            words(_("Run the flow once for each row, four rows at a time."), "fp-t2", tag="p")
            if self.source is None or not fields:
                self._draw_nothing(fields)
                return
            choices = {SAMPLES: _("The saved samples ({count})").format(count=len(samples))} if samples else {}
            choices |= {
                one.id: _("Dataset {name} ({rows})").format(
                    name=one.name, rows=plural(one.rows, _("row"), _("rows"), self.reader)
                )
                for one in self.datasets.values()
            }
            field = Field(
                _("Run over"),
                help_text=_(
                    "To run over a list of your own, import it: a CSV file, which Excel can write, or rows that you paste. It"
                    " is kept as a dataset. An Excel file (.xlsx) can be imported, too."
                ),
            )
            with field.place, ui.element("div").classes("fp-row fp-wrap-row"):
                box = ui.select(choices, value=self.source, on_change=lambda event: self._choose(event.value))
                field.control(box.props("outlined dense options-dense").classes("fp-grow"))
                self._draw_import()
            dataset = self.datasets.get(self.source)
            if dataset is not None:
                self._draw_mapping(dataset, fields)
            self._draw_start(dataset, fields, len(samples))

    def _draw_nothing(self, fields: Sequence[Any]) -> None:
        if not fields:
            words(no_input_words(self.draft.document), tag="p")
            return
        with note(
            _("Import a file with one row for each run, or keep inputs as samples beside the form."),
            strong=_("There is nothing to run over yet."),
        ).classes("fp-note--act"):
            self._draw_import()

    def _draw_import(self) -> None:
        if self.page_session.may("edit datasets"):
            button(_("Import a file"), self._import, icon="upload", small=True)

    async def _import(self) -> None:
        made = await import_file(self.page_session)
        if made and not self.box.is_deleted:
            self.source, self.count = made, None
            await self.draw()

    def _draw_mapping(self, dataset: DatasetLine, fields: Sequence[Mapping[str, Any]]) -> None:
        self.guessed = {}
        columns = {"": _("not sent")} | {name: name for name in dataset.column_names}
        with ui.element("div").classes("fp-batch-map").props("role=group") as group:
            group.props["aria-label"] = _("Columns for the input fields")
            for one in fields:
                name = str(one.get("name"))
                need = f", {_('required')}" if one.get("required") else ""
                field = Field(name, f"{type_word(one)}{need}")
                with field.place:
                    box = ui.select(
                        columns,
                        value=self.mapping.get(name, ""),
                        on_change=lambda event, name=name: self._map(name, event.value),
                    )
                    field.control(box.props("outlined dense options-dense").classes("w-full"))
                    if (column := self.mapping.get(name)) and not is_same_name(name, column):
                        said = _("“{field}” takes the column “{column}”. Choose another one if that is wrong.")
                        self.guessed[name] = words(said.format(field=name, column=column), "fp-s12 fp-t2", tag="p")
            field = Field(_("Rows"), "", _("The first so many; empty means all."))
            with field.place:
                rows = ui.input(value="" if self.count is None else str(self.count), placeholder=str(dataset.rows))
                field.control(rows.props("outlined dense inputmode=numeric autocomplete=off"))
            rows.on_value_change(lambda event: self._take(str(event.value or ""), dataset, field))

    def _draw_start(self, dataset: DatasetLine | None, fields: Sequence[Mapping[str, Any]], samples: int) -> None:
        if ran := self._ran():
            left_out = _("Leave out the rows that ran in the last batch ({count})").format(
                count=number(len(ran), self.reader)
            )
            box = ui.checkbox(left_out, value=self.only_rest).props("dense")
            box.on_value_change(lambda event: self._leave_out(bool(event.value)))
        with ui.element("div").classes("fp-row"):
            self.start = button("", self._start, icon="play_arrow", small=True)
            self.why = words("", "fp-s12 fp-bad").props("role=status")
        self._say_start(dataset, fields, samples)

    def _say_start(self, dataset: DatasetLine | None, fields: Sequence[Mapping[str, Any]], samples: int) -> None:
        count = samples if dataset is None else min(self.count or dataset.rows, dataset.rows)
        if self.only_rest:
            count -= sum(number <= count for number in self._ran())
        self.start.text = _("Start {runs}").format(runs=plural(count, _("run"), _("runs"), self.reader))
        missing = [
            str(one.get("name"))
            for one in fields
            if dataset is not None and one.get("required") and not self.mapping.get(str(one.get("name")))
        ]
        self.start.set_enabled(not missing and count > 0)
        self.why.text = _("Choose a column for {missing}.").format(missing=", ".join(missing)) if missing else ""

    def _ran(self) -> frozenset[int]:
        """The numbers of the rows of the chosen source that the last batch has run."""
        if self.ran is None:
            return frozenset()
        if self.source == SAMPLES:
            return self.ran.among(sample_rows(samples_of(self.draft.document)))
        source = self.ran.source
        same = isinstance(source, DatasetRows) and source.dataset_id == self.source
        return frozenset(self.numbers.values()) if same else frozenset()

    def _leave_out(self, wanted: bool) -> None:  # noqa: FBT001 - what the box says
        self.only_rest = wanted
        self._again()

    def _again(self) -> None:
        dataset = self.datasets.get(self.source or "")
        self._say_start(dataset, input_fields(self.draft.document), len(samples_of(self.draft.document)))

    def _choose(self, source: str) -> None:
        self.source, self.count = source, None
        self._match()
        self._draw()

    def _match(self) -> None:
        dataset = self.datasets.get(self.source or "")
        fields = input_fields(self.draft.document)
        self.mapping = match_columns(fields, dataset.column_names) if dataset is not None else {}

    def _map(self, name: str, column: str) -> None:
        self.mapping[name] = column
        if (said := self.guessed.pop(name, None)) is not None:
            said.delete()
        self._again()

    def _take(self, text: str, dataset: DatasetLine, field: Field) -> None:
        wrong = bool(text.strip()) and not (text.strip().isdecimal() and int(text) > 0)
        field.error(
            _("Write a number from 1 to {rows}").format(rows=number(dataset.rows, self.reader)) if wrong else ""
        )
        self.count = int(text) if text.strip() and not wrong else None
        self._again()

    async def _start(self) -> None:
        await self.on_start(self._rows())

    def _rows(self) -> Rows:
        dataset = self.datasets.get(self.source or "")
        ran = self._ran() if self.only_rest else frozenset()
        if dataset is None:
            return Rows(sample_rows(samples_of(self.draft.document)), skip=ran)
        total = min(self.count or dataset.rows, dataset.rows)
        source = DatasetRows(dataset.id, input_fields(self.draft.document), dict(self.mapping), total)
        without = (one for one, number in self.numbers.items() if number in ran and number <= total)
        return Rows(source, without=frozenset(without))
