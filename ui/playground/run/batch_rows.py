"""Sources of the rows of a batch: the flow's samples, or a dataset whose columns fill the input fields.

Imports no NiceGUI.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from engine.flow.references import as_text
from storage.database import Database
from storage.datasets import DatasetLine, list_rows
from ui.kit.text import _
from ui.playground.run.samples import Sample, payload_of, title_of

#: Number of rows that are read at once.
PAGE = 100
_TITLE = 80


@dataclass(frozen=True)
class BatchInputRow:
    """One row to run; `number` counts from 1."""

    number: int
    title: str
    payload: dict[str, Any]


class Rows(Protocol):
    """A source that yields its rows in order and can read one of them again."""

    @property
    def total(self) -> int: ...
    def each(self) -> AsyncIterator[BatchInputRow]: ...
    async def again(self, number: int) -> BatchInputRow | None: ...


@dataclass(frozen=True)
class SampleRows:
    """The saved samples of the flow as rows."""

    samples: Sequence[Sample]

    @property
    def total(self) -> int:
        """The number of rows."""
        return len(self.samples)

    async def each(self) -> AsyncIterator[BatchInputRow]:
        """Yields all samples."""
        for number in range(1, self.total + 1):
            yield self._row(number)

    async def again(self, number: int) -> BatchInputRow | None:
        """Returns one sample."""
        return self._row(number)

    def _row(self, number: int) -> BatchInputRow:
        sample = self.samples[number - 1]
        return BatchInputRow(number, title_of(sample, number - 1), payload_of(sample))


@dataclass
class DatasetRows:
    """The first `total` rows of a dataset. `mapping` is field -> column; a field without a column is not sent."""

    database: Database
    workspace_id: str
    dataset: DatasetLine
    fields: Sequence[Mapping[str, Any]]
    mapping: Mapping[str, str]
    total: int
    #: Number -> id of the rows that were yielded, because deleted rows shift the numbers of the others.
    _ids: dict[int, int] = field(default_factory=dict)

    async def each(self) -> AsyncIterator[BatchInputRow]:
        """Yields the rows, reading them page by page."""
        after = number = 0
        while number < self.total:
            page = await self.database.read(
                list_rows, self.workspace_id, self.dataset.id, after=after, limit=min(PAGE, self.total - number)
            )
            if not page:
                return
            for line in page:
                number += 1
                self._ids[number] = after = line.id
                yield self._row(number, line.data)

    async def again(self, number: int) -> BatchInputRow | None:
        """Reads a row in its current state; None when it was deleted."""
        wanted = self._ids.get(number, 0)
        page = await self.database.read(list_rows, self.workspace_id, self.dataset.id, after=wanted - 1, limit=1)
        return self._row(number, page[0].data) if page and page[0].id == wanted else None

    def _row(self, number: int, data: Mapping[str, Any]) -> BatchInputRow:
        payload = payload_of_row(data, self.fields, self.mapping)
        first = next((as_text(value) for value in payload.values() if value not in (None, "")), "")
        return BatchInputRow(number, " ".join(first.split())[:_TITLE] or f"{_('Row')} {number}", payload)


@dataclass(frozen=True)
class RestOfRows:
    """The rows that an earlier batch did not start; `ran` holds the numbers of those that it did."""

    rows: Rows
    ran: frozenset[int]

    @property
    def total(self) -> int:
        """The number of remaining rows."""
        return self.rows.total - sum(number <= self.rows.total for number in self.ran)

    async def each(self) -> AsyncIterator[BatchInputRow]:
        """Yields the remaining rows with their original numbers."""
        async for row in self.rows.each():
            if row.number not in self.ran:
                yield row

    async def again(self, number: int) -> BatchInputRow | None:
        """Reads one of the rows again."""
        return await self.rows.again(number)


def match_columns(fields: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> dict[str, str]:
    """Matches fields to columns of the same name, ignoring case, spaces, `_` and `-`."""
    by_name = {_plain(column): column for column in reversed(columns)}
    names = [str(one.get("name")) for one in fields if one.get("name")]
    return {name: by_name[_plain(name)] for name in names if _plain(name) in by_name}


def payload_of_row(
    data: Mapping[str, Any], fields: Sequence[Mapping[str, Any]], mapping: Mapping[str, str]
) -> dict[str, Any]:
    """The payload for a row. An empty cell of an optional field is left out."""
    payload: dict[str, Any] = {}
    for one in fields:
        name = str(one.get("name"))
        column = mapping.get(name)
        if not column:
            continue
        value = fitted(data.get(column), str(one.get("type") or "string"))
        if value is None or (value == "" and not one.get("required")):
            continue
        payload[name] = value
    return payload


def fitted(value: Any, kind: str) -> Any:
    """Converts a cell to the type of its field where the conversion is unambiguous: `"5"` to a whole number, 5 to
    text.
    """
    if kind == "string":
        return value if isinstance(value, str) or value is None else as_text(value)
    if not isinstance(value, str):
        return int(value) if kind == "integer" and isinstance(value, float) and value.is_integer() else value
    text = value.strip()
    if kind == "boolean" and text.lower() in {"true", "false", "yes", "no"}:
        return text.lower() in {"true", "yes"}
    if kind in {"integer", "number"} and re.fullmatch(r"-?\d{1,15}", text):
        return int(text)
    if kind == "number" and re.fullmatch(r"-?\d{1,15}\.\d{1,15}", text):
        return float(text)
    return None if text == "" and kind != "string" else value


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).casefold()
