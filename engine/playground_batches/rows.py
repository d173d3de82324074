"""Sources of the rows of a batch: listed inputs, or a dataset whose columns fill the input fields.

A source is stored as JSON with the batch, so that the server can read the remaining rows after a restart:
`{"kind": "listed", "rows": [[title, payload], ...]}` or `{"kind": "dataset", "dataset_id", "fields", "mapping",
"total"}`. What is left out: `"skip": [row number, ...]`, and of a dataset `"without": [id of a row, ...]`. 0.2 left out rows
of a dataset by number, too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from engine.flow.dataset_payloads import payload_of_row
from engine.flow.references import as_text
from storage.database import Database
from storage.datasets import RowLine, list_rows

#: Number of rows that are read at once.
PAGE = 100
_TITLE = 80


def title_of(text: str) -> str:
    """Returns the title of a row of a dataset whose first value is this text: its beginning, on one line."""
    return " ".join(text.split())[:_TITLE]


class BatchInputRow(Struct, frozen=True):
    """One row to run; `number` counts from 1. `dataset_row` is its id in the dataset; None for a listed row."""

    number: int
    title: str
    payload: dict[str, Any]
    dataset_row: int | None = None


class ListedRows(Struct, frozen=True):
    """Inputs that are stored with the batch: (title, payload) of each, for example the samples of the flow."""

    rows: Sequence[tuple[str, dict[str, Any]]]

    @property
    def total(self) -> int:
        """The number of rows."""
        return len(self.rows)

    def as_json(self) -> dict[str, Any]:
        """Returns the source as it is stored."""
        return {"kind": "listed", "rows": [[title, payload] for title, payload in self.rows]}

    async def each(self, *_where: object) -> AsyncIterator[BatchInputRow]:
        """Yields all rows."""
        for number, (title, payload) in enumerate(self.rows, 1):
            yield BatchInputRow(number, title, payload)

    async def again(
        self, _database: Database, _workspace_id: str, number: int, _dataset_row: int | None
    ) -> BatchInputRow | None:
        """Returns one row."""
        title, payload = self.rows[number - 1]
        return BatchInputRow(number, title, payload)


class DatasetRows(Struct, frozen=True):
    """The first `total` rows of a dataset. `mapping` is field -> column; a field without a column is not sent."""

    dataset_id: str
    fields: Sequence[Mapping[str, Any]]
    mapping: Mapping[str, str]
    total: int

    def as_json(self) -> dict[str, Any]:
        """Returns the source as it is stored."""
        return {
            "kind": "dataset",
            "dataset_id": self.dataset_id,
            "fields": [dict(one) for one in self.fields],
            "mapping": dict(self.mapping),
            "total": self.total,
        }

    async def each(self, database: Database, workspace_id: str) -> AsyncIterator[BatchInputRow]:
        """Yields the rows, reading them page by page."""
        after = number = 0
        while number < self.total:
            limit = min(PAGE, self.total - number)
            page = await database.read(list_rows, workspace_id, self.dataset_id, after=after, limit=limit)
            if not page:
                return
            for line in page:
                number += 1
                after = line.id
                yield self._row(number, line)

    async def again(
        self, database: Database, workspace_id: str, number: int, dataset_row: int | None
    ) -> BatchInputRow | None:
        """Reads a row in its current state; None when it was deleted."""
        if dataset_row is None:
            return None
        page = await database.read(list_rows, workspace_id, self.dataset_id, after=dataset_row - 1, limit=1)
        return self._row(number, page[0]) if page and page[0].id == dataset_row else None

    def _row(self, number: int, line: RowLine) -> BatchInputRow:
        payload = payload_of_row(line.data, self.fields, self.mapping)
        first = next((as_text(value) for value in payload.values() if value not in (None, "")), "")
        return BatchInputRow(number, title_of(first) or f"Row {number}", payload, line.id)


class Rows(Struct, frozen=True):
    """The rows of a batch: all of a source, except those whose number is in `skip` and those of a dataset whose id is in
    `without`. An id stays the same when other rows are deleted.
    """

    source: ListedRows | DatasetRows
    skip: frozenset[int] = frozenset()
    without: frozenset[int] = frozenset()

    @property
    def total(self) -> int:
        """The number of rows to run."""
        return self.source.total - sum(number <= self.source.total for number in self.skip) - len(self.without)

    def as_json(self) -> dict[str, Any]:
        """Returns the rows as they are stored with the batch."""
        return {**self.source.as_json(), "skip": sorted(self.skip), "without": sorted(self.without)}

    async def each(self, database: Database, workspace_id: str) -> AsyncIterator[BatchInputRow]:
        """Yields the rows in order, with their numbers in the source."""
        async for row in self.source.each(database, workspace_id):
            if row.number not in self.skip and row.dataset_row not in self.without:
                yield row


class RowsThatRan(Struct, frozen=True):
    """The rows that a batch has run: their numbers, and of a dataset their ids."""

    source: ListedRows | DatasetRows
    numbers: frozenset[int]
    dataset_rows: frozenset[int]

    def among(self, rows: ListedRows) -> frozenset[int]:
        """Returns the numbers of the rows of this list that have run: the samples may be others now."""
        if not isinstance(self.source, ListedRows):
            return frozenset()
        ran = [tuple(row) for number, row in enumerate(self.source.rows, 1) if number in self.numbers]
        found: set[int] = set()
        for number, row in enumerate(rows.rows, 1):
            if row in ran:
                ran.remove(row)
                found.add(number)
        return frozenset(found)


def rows_from_json(stored: Mapping[str, Any]) -> Rows:
    """Returns the rows that `Rows.as_json` has stored."""
    skip, without = frozenset(stored["skip"]), frozenset(stored.get("without", ()))
    if stored["kind"] == "listed":
        return Rows(ListedRows([(title, payload) for title, payload in stored["rows"]]), skip, without)
    return Rows(DatasetRows(stored["dataset_id"], stored["fields"], stored["mapping"], stored["total"]), skip, without)
