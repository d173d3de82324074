"""Queries for datasets and their rows. Datasets belong to a workspace: every statement that reads rows names it.

A row is a JSON object, stored as text. Rows have the order in which they were added, which is that of `id`. Columns are
`{"name", "type"}`, where the type is `string`, `number`, `integer`, `boolean`, `array`, `object` or `mixed`, or empty
while the column has no values; `by` names the job whose step made the column.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, Text, cast, func, or_, select
from sqlalchemy.orm import Session

from engine.core.errors import Conflict, NotFound
from engine.core.lone_surrogates import has_lone_surrogates, without_lone_surrogates
from storage.tables import Dataset, DatasetRow

ColumnType = Literal["string", "number", "integer", "boolean", "array", "object", "mixed", ""]
Row = dict[str, Any]
#: The number of rows that are read at a time.
CHUNK = 1_000
#: The rows of a table, in a query with its dataset, also while rows are written or removed in pieces. The sum keeps SQLite
#: from beginning at the first row of the table where a reader goes on after another one.
SEEN = (DatasetRow.id + 0 > Dataset.rows_after, or_(Dataset.rows_to.is_(None), DatasetRow.id <= Dataset.rows_to))


class ColumnLine(Struct, frozen=True):
    """A column of a dataset."""

    name: str
    type: ColumnType


class DatasetLine(Struct, frozen=True):
    """A dataset without its rows. Times are milliseconds; `bytes` is the size of its rows as JSON text."""

    id: str
    name: str
    columns: tuple[ColumnLine, ...]
    rows: int
    bytes: int
    created_at: int
    updated_at: int

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


class RowLine(Struct, frozen=True):
    """A row. A later row has a larger `id`."""

    id: int
    data: Row


class SizedRow(RowLine, frozen=True):
    """A row, and the number of characters of its JSON text."""

    size: int


class RowPage(Struct, frozen=True):
    """Some rows of a dataset, and how many rows there are in all, or with a search how many match."""

    rows: tuple[RowLine, ...]
    total: int


class ShownValues(Struct, frozen=True):
    """How values are shown, for a search in what the reader sees. `text(column, value)`: the value as it is shown.

    `parts`: the JSON text of each row with a value that is shown with the searched text holds one of these.
    """

    text: Callable[[str, Any], str]
    parts: tuple[str, ...]


class BeingChanged(Conflict):
    """All rows of the dataset are being changed, in pieces."""

    def __init__(self) -> None:
        super().__init__(
            "Many rows of the dataset are being changed right now, as by an import",
            remedy="Wait until that is done, two minutes at most, and try again.",
        )


class RowsChanged(Exception):
    """The rows of a dataset were replaced while they were read page by page, or a column of them is gone."""


def list_datasets(session: Session, workspace_id: str) -> list[DatasetLine]:
    """Returns all datasets of a workspace, sorted by name."""
    rows = session.scalars(
        select(Dataset).where(Dataset.workspace_id == workspace_id).order_by(func.lower(Dataset.name), Dataset.id)
    )
    return [_line(row) for row in rows]


def find_dataset(session: Session, workspace_id: str, dataset: str) -> DatasetLine | None:
    """Returns the dataset with this id, or else with this name, which imported flows use; None when there is none."""
    row = session.scalars(named(workspace_id, dataset)).first()
    return None if row is None else _line(row)


def get_dataset(session: Session, workspace_id: str, dataset: str) -> DatasetLine:
    """Returns the same as `find_dataset`. Raises NotFound."""
    found = find_dataset(session, workspace_id, dataset)
    if found is None:
        raise no_dataset(dataset)
    return found


def find_named(session: Session, workspace_id: str, name: str) -> str | None:
    """Returns the id of the dataset with this name, ignoring case; None when there is none."""
    names = session.execute(select(Dataset.id, Dataset.name).where(Dataset.workspace_id == workspace_id))
    return next((dataset_id for dataset_id, one in names if one.casefold() == name.casefold()), None)


def find_key_column(session: Session, workspace_id: str, dataset_id: str) -> str | None:
    """Returns the column by whose values rows of a dataset are found, if it has one."""
    return session.scalar(
        select(Dataset.key_column).where(Dataset.id == dataset_id, Dataset.workspace_id == workspace_id)
    )


def hold_dataset(session: Session, workspace_id: str, dataset: str, what: str = "") -> Dataset:
    """Returns the dataset's ORM row, for an action to change. `what`: the action is this change in pieces. Raises NotFound,
    and BeingChanged while another change is done in pieces.
    """
    row = session.scalars(named(workspace_id, dataset)).first()
    if row is None:
        raise no_dataset(dataset)
    if row.changing is not None and (not what or row.changing["what"] != what):
        raise BeingChanged
    if any(has_lone_surrogates(one["name"]) for one in row.columns):
        row.columns = _whole_columns(row)
    return row


def list_rows(
    session: Session, workspace_id: str, dataset_id: str, *, after: int = 0, limit: int = CHUNK
) -> list[RowLine]:
    """Returns the next rows after the id `after`, in order; none at the end, or when the dataset is not of this
    workspace.
    """
    return _lines(session, _owned_rows(workspace_id, dataset_id).where(DatasetRow.id > after).limit(limit))


def find_rows(session: Session, workspace_id: str, dataset_id: str, ids: Sequence[int]) -> dict[int, Row]:
    """Returns the data of those of these rows that are there, by their ids."""
    rows = _lines(session, _owned_rows(workspace_id, dataset_id).where(DatasetRow.id.in_(ids)))
    return {row.id: row.data for row in rows}


def list_rows_on(session: Session, workspace_id: str, seen: DatasetLine, *, after: int = 0) -> list[RowLine]:
    """Returns the same as `list_rows`, for a reader that takes the rows of one table page by page. Raises RowsChanged when
    the next rows are not those of `seen` as it was then: none of the rows that were read is left, or a column is gone.
    Rows and columns that were added, and single rows that were deleted, are no other table.
    """
    now = find_dataset(session, workspace_id, seen.id)
    if now is None or not set(seen.column_names) <= set(now.column_names):
        raise RowsChanged
    if after and not goes_on_after(session, seen.id, after):
        raise RowsChanged
    return list_rows(session, workspace_id, seen.id, after=after)


def goes_on_after(session: Session, dataset_id: str, row_id: int) -> bool:
    """True when the rows after this id are of the table of which the rows up to it were read: one of those is left. An
    import with Replace leaves none, and gives larger ids to all of its rows.
    """
    of_table = select(DatasetRow.id).join(Dataset, Dataset.id == DatasetRow.dataset_id).where(*SEEN)
    mine = of_table.where(DatasetRow.dataset_id == dataset_id)
    row_itself, row_before = mine.where(DatasetRow.id == row_id), mine.where(DatasetRow.id < row_id).limit(1)
    return session.scalar(row_itself) is not None or session.scalar(row_before) is not None


def list_row_ids(session: Session, workspace_id: str, dataset_id: str) -> list[int]:
    """Returns the ids of all rows, in order; none when the dataset is not of this workspace."""
    return list(session.scalars(_owned_rows(workspace_id, dataset_id).with_only_columns(DatasetRow.id)))


def list_sized_rows(
    session: Session, workspace_id: str, dataset_id: str, *, after: int = 0, limit: int = CHUNK
) -> list[SizedRow]:
    """Returns the same as `list_rows`, with the length of each row's JSON text, for a reader that limits how much it
    takes.
    """
    query = _owned_rows(workspace_id, dataset_id).with_only_columns(DatasetRow.id, cast(DatasetRow.data, Text))
    texts = session.execute(query.where(DatasetRow.id > after).limit(limit))
    return [SizedRow(row_id, json.loads(text), len(text)) for row_id, text in texts]


def each_row(session: Session, workspace_id: str, dataset_id: str) -> Iterator[RowLine]:
    """Yields every row in order; they are read in chunks."""
    after = 0
    while rows := list_rows(session, workspace_id, dataset_id, after=after):
        yield from rows
        after = rows[-1].id


def page_of_rows(
    session: Session,
    workspace_id: str,
    dataset_id: str,
    *,
    offset: int,
    limit: int,
    search: str = "",
    shown: ShownValues | None = None,
) -> RowPage:
    """Returns one page of rows. `search`: only rows with a value that contains this text, ignoring case, as it is stored
    or as it is `shown`.
    """
    if search.strip():
        return _found(session, workspace_id, dataset_id, search.strip().casefold(), offset, limit, shown)
    total = session.scalar(
        select(Dataset.row_count).where(Dataset.workspace_id == workspace_id, Dataset.id == dataset_id)
    )
    rows = _lines(session, _owned_rows(workspace_id, dataset_id).offset(offset).limit(limit))
    return RowPage(tuple(rows), total or 0)


def count_rows(session: Session, workspace_id: str, dataset_id: str) -> int:
    """Returns the number of rows; 0 when the dataset is not of this workspace."""
    return page_of_rows(session, workspace_id, dataset_id, offset=0, limit=0).total


def named(workspace_id: str, dataset: str) -> Select[Dataset]:
    """Selects the dataset with this id or, when there is none, with this name."""
    return (
        select(Dataset)
        .where(Dataset.workspace_id == workspace_id, or_(Dataset.id == dataset, Dataset.name == dataset))
        .order_by((Dataset.id == dataset).desc())
        .limit(1)
    )


def rows_of(dataset: Dataset) -> tuple[ColumnElement[bool], ...]:
    """The rows of a dataset, for who changes it."""
    return DatasetRow.dataset_id == dataset.id, DatasetRow.id > dataset.rows_after


def no_dataset(dataset: str) -> NotFound:
    """Returns the refusal for a dataset that is unknown, deleted or of another workspace."""
    return NotFound(f"No dataset with the id `{dataset}`", remedy="The page Datasets lists them all.")


def as_json(data: Row) -> str:
    """Returns a row as the JSON text that is stored."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _found(
    session: Session,
    workspace_id: str,
    dataset_id: str,
    wanted: str,
    offset: int,
    limit: int,
    shown: ShownValues | None,
) -> RowPage:
    raw = json.dumps(wanted, ensure_ascii=False)[1:-1]
    rows: list[RowLine] = []
    total = 0
    texts = session.execute(
        select(DatasetRow.id, cast(DatasetRow.data, Text))
        .select_from(DatasetRow)
        .join(Dataset, Dataset.id == DatasetRow.dataset_id)
        .where(Dataset.workspace_id == workspace_id, DatasetRow.dataset_id == dataset_id, *SEEN)
        .order_by(DatasetRow.id)
        .execution_options(yield_per=CHUNK)
    )
    for row_id, text in texts:
        folded = text.casefold()
        # skips most rows without parsing them; 0.2 escaped letters in rows that were changed
        stored = raw in folded or wanted in folded or "\\u" in folded
        seen = shown if shown is not None and any(part in folded for part in shown.parts) else None
        if not stored and seen is None:
            continue
        data = json.loads(text)
        if not (stored and any(wanted in _as_words(value) for value in data.values())) and not (
            seen is not None and any(wanted in seen.text(name, value) for name, value in data.items())
        ):
            continue
        if offset <= total < offset + limit:
            rows.append(RowLine(row_id, data))
        total += 1
    return RowPage(tuple(rows), total)


def _as_words(value: Any) -> str:
    return (value if isinstance(value, str) else "" if value is None else as_json(value)).casefold()


def _owned_rows(workspace_id: str, dataset_id: str) -> Select[int, Row]:
    return (
        select(DatasetRow.id, DatasetRow.data)
        .join(Dataset, Dataset.id == DatasetRow.dataset_id)
        .where(Dataset.workspace_id == workspace_id, DatasetRow.dataset_id == dataset_id, *SEEN)
        .order_by(DatasetRow.id)
    )


def _lines(session: Session, query: Select[int, Row]) -> list[RowLine]:
    return [RowLine(row_id, data) for row_id, data in session.execute(query)]


def _whole_columns(row: Dataset) -> list[Any]:
    """Returns the columns with the names that rows have: 0.2 left halves of characters in those of columns."""
    named = [{**one, "name": without_lone_surrogates(str(one.get("name")))} for one in row.columns]
    return list({one["name"]: one for one in named}.values())


def _line(row: Dataset) -> DatasetLine:
    columns = tuple(ColumnLine(one["name"], one.get("type") or "") for one in _whole_columns(row))
    return DatasetLine(row.id, row.name, columns, row.row_count, row.byte_count, row.created_at, row.updated_at)
