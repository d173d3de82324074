"""Where the rows of a batch come from: the flow's samples, or a dataset whose columns fill the input fields. No NiceGUI here."""

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

#: Rows are read so many at a time.
PAGE = 100
_TITLE = 80


@dataclass(frozen=True)
class BatchInputRow:
    """One run to be: `number` counts from 1."""

    number: int
    title: str
    payload: dict[str, Any]


class Rows(Protocol):
    """Hands out the rows in order, and one of them once more."""

    @property
    def total(self) -> int: ...
    def each(self) -> AsyncIterator[BatchInputRow]: ...
    async def again(self, number: int) -> BatchInputRow | None: ...


@dataclass(frozen=True)
class SampleRows:
    """The flow's saved samples."""

    samples: Sequence[Sample]

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self.samples)

    async def each(self) -> AsyncIterator[BatchInputRow]:
        """All of them."""
        for number in range(1, self.total + 1):
            yield self._row(number)

    async def again(self, number: int) -> BatchInputRow | None:
        """One of them."""
        return self._row(number)

    def _row(self, number: int) -> BatchInputRow:
        sample = self.samples[number - 1]
        return BatchInputRow(number, title_of(sample, number - 1), payload_of(sample))


@dataclass
class DatasetRows:
    """The first `total` rows of a dataset. `mapping` is field -> column; a field without one is not sent."""

    database: Database
    workspace_id: str
    dataset: DatasetLine
    fields: Sequence[Mapping[str, Any]]
    mapping: Mapping[str, str]
    total: int
    #: Number -> id, of the rows handed out: a dataset may lose rows meanwhile.
    _ids: dict[int, int] = field(default_factory=dict)

    async def each(self) -> AsyncIterator[BatchInputRow]:
        """The rows, read piece by piece."""
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
        """A row as it is now, None when it is gone."""
        wanted = self._ids.get(number, 0)
        page = await self.database.read(list_rows, self.workspace_id, self.dataset.id, after=wanted - 1, limit=1)
        return self._row(number, page[0].data) if page and page[0].id == wanted else None

    def _row(self, number: int, data: Mapping[str, Any]) -> BatchInputRow:
        payload = payload_of_row(data, self.fields, self.mapping)
        first = next((as_text(value) for value in payload.values() if value not in (None, "")), "")
        return BatchInputRow(number, " ".join(first.split())[:_TITLE] or f"{_('Row')} {number}", payload)


@dataclass(frozen=True)
class RestOfRows:
    """The rows that did not begin in an earlier batch; `ran` holds the numbers of those that did."""

    rows: Rows
    ran: frozenset[int]

    @property
    def total(self) -> int:
        """How many are left."""
        return self.rows.total - sum(number <= self.rows.total for number in self.ran)

    async def each(self) -> AsyncIterator[BatchInputRow]:
        """Those, with the numbers they had."""
        async for row in self.rows.each():
            if row.number not in self.ran:
                yield row

    async def again(self, number: int) -> BatchInputRow | None:
        """One of them."""
        return await self.rows.again(number)


def match_columns(fields: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> dict[str, str]:
    """Field -> the column of the same name; capitals, spaces, `_` and `-` do not matter."""
    by_name = {_plain(column): column for column in reversed(columns)}
    names = [str(one.get("name")) for one in fields if one.get("name")]
    return {name: by_name[_plain(name)] for name in names if _plain(name) in by_name}


def payload_of_row(
    data: Mapping[str, Any], fields: Sequence[Mapping[str, Any]], mapping: Mapping[str, str]
) -> dict[str, Any]:
    """What is sent for a row. An empty cell of a field that need not be there is left out."""
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
    """A cell as a field of this type takes it, where that is beyond doubt: `"5"` as a whole number, 5 as text."""
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
