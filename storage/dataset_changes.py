"""Writes to datasets: adds, replaces and removes rows, and keeps the dataset's totals and columns correct.

A dataset has at most `MAX_ROWS` rows and `MAX_BYTES` of JSON text. A row has the `key` by which `storage.dataset_keys`
finds it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, cast

from msgspec import Struct, field
from msgspec.structs import replace
from sqlalchemy import Text, delete, func, select
from sqlalchemy import cast as as_type
from sqlalchemy.orm import Session

from engine.core.clock import DAY
from engine.core.errors import Invalid, TooLarge
from engine.core.ids import file_ids_in, new_id
from engine.core.json_types import json_type
from engine.core.lone_surrogates import without_lone_surrogates
from storage.database import now
from storage.dataset_keys import MAX_SAME, PIECE_CHARS, PIECE_ROWS, TakesLong, Turn, find_by_value, is_small, key_text
from storage.datasets import ColumnType, Row, as_json, hold_dataset, rows_of
from storage.files import add_uses, drop_uses, find_for_job, note_named_files
from storage.statements import Statement, Values, is_sqlite
from storage.tables import Dataset, DatasetRow, DatasetWrite

MAX_ROWS = 100_000
MAX_BYTES = 50 << 20
MAX_ROW_BYTES = 1 << 20
MAX_COLUMNS = 200
MAX_COLUMN_NAME = 200
#: The most characters of rows with the same value that a step writes over, and how many of them it writes over without a
#: turn.
MAX_SAME_CHARS = 4 << 20
WITHOUT_TURN = 50
#: How long the receipt of a step's write is kept, in milliseconds; longer than the step's job may run.
RECEIPT_MS = 4 * DAY

Mode = Literal["append", "update", "upsert", "leave"]
Action = Literal["added", "updated", "unchanged", "not_found", "kept"]

_ADD = Statement(
    "insert into dataset_rows (dataset_id, data, key, written_by) values (:dataset_id, :data, :key, :written_by)"
)
_ADD_AS = Statement(
    "insert into dataset_rows (id, dataset_id, data, key, written_by)"
    " values (:id, :dataset_id, :data, :key, :written_by)"
)
_LAST_ID = Statement("select max(id) from dataset_rows")
_REPLACE = Statement("update dataset_rows set data = :data, key = :key, written_by = :written_by where id = :id")
_STAMP = Statement("update dataset_rows set written_by = :written_by where id = :id")
_RECEIPT = Statement(
    "insert into dataset_writes (id, dataset_id, action, at) values (:id, :dataset_id, '', :at)"
    " on conflict do nothing returning id"
)
_OLD_RECEIPTS = Statement(
    "delete from dataset_writes where id in (select id from dataset_writes where at < :before order by at limit 20)"
    " and at < :before"
)


#: The key of a column with the id of the job whose step made it.
BY = "by"


class NewRows(Struct, frozen=True):
    """Rows that were checked, with their JSON texts, their total size in bytes and the types of their columns. `keys`:
    those of a dataset whose key column is `key_column`, when they were made already.
    """

    rows: Sequence[Row]
    texts: tuple[str, ...]
    size: int
    columns: Mapping[str, str]
    key_column: str | None = None
    keys: tuple[str | None, ...] = ()
    #: Tells these rows from others that are imported in pieces.
    token: str = field(default_factory=lambda: new_id("import"))

    @property
    def is_small(self) -> bool:
        """True when a transaction may write all of the rows."""
        return len(self.texts) <= PIECE_ROWS and self.size <= PIECE_CHARS


class Written(Struct, frozen=True):
    """The result of a step's write.

    `rows`: how many rows matched or were added; `again`: an earlier try had done it.
    """

    action: Action
    rows: int
    again: bool = False


def checked_rows(rows: Sequence[Row], columns: Iterable[str] = ()) -> NewRows:
    """Checks rows and returns them as they are stored. It needs no database, so that a large import can run it in a
    thread.

    `columns` sets the order of the first columns. Raises TooLarge, Invalid.
    """
    if len(rows) > MAX_ROWS:
        raise too_many_rows(len(rows))
    rows = [_whole_characters(row) for row in rows]
    texts = tuple(_checked_text(row) for row in rows)
    kinds: dict[str, str] = dict.fromkeys(map(without_lone_surrogates, columns), "")
    for row in rows:
        for name, value in row.items():
            kinds[name] = wider(kinds.get(name, ""), value)
    return NewRows(tuple(rows), texts, sum(map(json_size, texts)), kinds)


def checked_texts(texts: Sequence[str], columns: Iterable[str] = ()) -> NewRows:
    """Does what `checked_rows` does, for rows as compact JSON texts; no more than one of them is built at a time. Raises
    TooLarge, Invalid.
    """
    if len(texts) > MAX_ROWS:
        raise too_many_rows(len(texts))
    rows, size = _ParsedRows(texts), 0
    kinds: dict[str, str] = dict.fromkeys(map(without_lone_surrogates, columns), "")
    for text, row in zip(texts, rows, strict=True):
        _check_names(row)
        size += _checked_size(text)
        for name, value in row.items():
            kinds[name] = wider(kinds.get(name, ""), value)
    return NewRows(rows, tuple(texts), size, kinds)


def with_keys(new: NewRows, key_column: str | None) -> NewRows:
    """Returns the rows with their keys for a dataset with this key column. It may build each row once more, so a large
    import runs it in a thread: without it the write does that.
    """
    if key_column is None:
        return new
    return replace(new, key_column=key_column, keys=tuple(key_text(row.get(key_column)) for row in new.rows))


class _ParsedRows(Sequence[Row]):
    """Rows that are built from their texts each time they are asked for."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, at: Any) -> Any:
        found = self._texts[at]
        return _parsed(found) if isinstance(found, str) else [_parsed(text) for text in found]


def _parsed(text: str) -> Row:
    row: Any
    try:
        row = json.loads(text, parse_constant=int)  # raises ValueError for NaN and Infinity
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise Invalid("A row is no object", remedy="Save the file again, and import that.")
    return cast("Row", row)


def insert_dataset(session: Session, workspace_id: str, name: str) -> Dataset:
    """Adds a dataset without columns and rows; returns its ORM row."""
    at = now(session)
    dataset = Dataset(
        id=new_id("dataset"),
        workspace_id=workspace_id,
        name=name,
        columns=[],
        row_count=0,
        byte_count=0,
        created_at=at,
        updated_at=at,
    )
    session.add(dataset)
    session.flush()
    return dataset


def remove_dataset(session: Session, dataset: Dataset) -> None:
    """Removes a small dataset with its rows and the receipts of writes to it."""
    for table in (DatasetRow, DatasetWrite):
        session.execute(
            delete(table).where(table.dataset_id == dataset.id).execution_options(synchronize_session=False)
        )
    drop_uses(session, "dataset", dataset.id)
    session.delete(dataset)


def remove_all_rows(session: Session, dataset: Dataset, *, keep_files: bool = False) -> None:
    """Removes all rows and columns of a dataset; many rows are removed later, in pieces, and nobody reads them until
    then. `keep_files`: rows that were written in pieces name files already.
    """
    last = dataset.rows_to
    if last is None:
        last = session.scalar(select(func.max(DatasetRow.id)).where(*rows_of(dataset)))
    if last:
        note_removed(dataset, last)
        if is_small(dataset):
            mine = delete(DatasetRow).where(*rows_of(dataset), DatasetRow.id <= last)
            session.execute(mine.execution_options(synchronize_session=False))
        else:
            dataset.rows_after = last
    if not keep_files:
        drop_uses(session, "dataset", dataset.id)
    dataset.columns, dataset.row_count, dataset.byte_count = [], 0, 0
    note_change(session, dataset)


def _note_files(
    session: Session, dataset: Dataset, texts: Iterable[str], written_by: str | None, before: str = ""
) -> None:
    """Keeps the files that rows name, of those that a step writes the ones that its job may read: whoever reads the rows
    may read these files. `before`: the text of a row that is replaced. Files of removed rows are found by
    `storage.files.forget_unnamed`.
    """
    ids = {file_id for text in texts for file_id in file_ids_in(text)} - file_ids_in(before)
    if not ids:
        return
    if written_by is None:
        note_named_files(session, dataset.workspace_id, "dataset", dataset.id, ids)
    else:
        job_id = written_by.partition(":")[0]
        add_uses(session, "dataset", dataset.id, sorted(find_for_job(session, dataset.workspace_id, job_id, ids)))


def find_row(session: Session, dataset: Dataset, row_id: int) -> DatasetRow | None:
    """Returns the ORM row of a dataset's row, for an action to change; None without one."""
    return session.scalars(select(DatasetRow).where(*rows_of(dataset), DatasetRow.id == row_id)).one_or_none()


def last_row_id(session: Session, dataset: Dataset) -> int:
    """Returns the id of the last row. The dataset must have rows."""
    return session.scalars(select(DatasetRow.id).where(*rows_of(dataset)).order_by(DatasetRow.id.desc()).limit(1)).one()


def append_rows(session: Session, dataset: Dataset, new: NewRows, written_by: str | None = None) -> None:
    """Adds rows at the end. Raises TooLarge, Invalid."""
    add_to_totals(dataset, new)
    if new.texts:
        keys: Sequence[str | None] = (None,) * len(new.texts)
        if dataset.key_column is not None:
            keys = (new if new.key_column == dataset.key_column else with_keys(new, dataset.key_column)).keys
        insert_rows(session, dataset, [(text, key, written_by) for text, key in zip(new.texts, keys, strict=True)])
        _note_files(session, dataset, new.texts, written_by)
    note_change(session, dataset)


def add_to_totals(dataset: Dataset, new: NewRows) -> None:
    """Adds rows to the totals and columns of a dataset. Raises TooLarge, Invalid."""
    _grow(dataset, len(new.rows), new.size)
    widen(dataset, new.columns)


def insert_rows(session: Session, dataset: Dataset, new: Sequence[tuple[str, str | None, str | None]]) -> None:
    """Adds rows at the end, each a JSON text, its key and the step that wrote it; totals and columns are not changed."""
    rows = [
        {"dataset_id": dataset.id, "data": text, "key": key, "written_by": written_by} for text, key, written_by in new
    ]
    if rows and (first_id := _id_behind_removed(session, dataset)):
        _ADD_AS.run(session, {"id": first_id, **rows.pop(0)})
    if rows:
        _ADD.run(session, *rows)


def import_piece(
    session: Session, dataset: Dataset, at: int, *, new: NewRows, key_column: str | None, workspace_id: str
) -> tuple[int | None, int, int]:
    """Adds the next of many rows, from a place in them, for `storage.dataset_pieces`. `workspace_id`: the one whose files
    the rows may name.
    """
    end, size = at, 0
    while end < len(new.texts) and end - at < PIECE_ROWS and size < PIECE_CHARS:
        size += len(new.texts[end])
        end += 1
    texts = new.texts[at:end]
    keys: Sequence[str | None] = (None,) * len(texts)
    if key_column is not None and key_column == new.key_column:
        keys = new.keys[at:end]
    elif key_column is not None:
        keys = [key_text(row.get(key_column)) for row in new.rows[at:end]]
    insert_rows(session, dataset, [(text, key, None) for text, key in zip(texts, keys, strict=True)])
    if ids := {file_id for text in texts for file_id in file_ids_in(text)}:
        note_named_files(session, workspace_id, "dataset", dataset.id, ids)
    return end if end < len(new.texts) else None, len(texts), sum(map(json_size, texts))


def _id_behind_removed(session: Session, dataset: Dataset) -> int | None:
    """Returns the id that the next row must have, since SQLite would give it the id of a removed one: it counts on from
    the largest that is there. None: the next id is a new one. A sequence of PostgreSQL gives no number twice.
    """
    removed_to = dataset.removed_to
    if removed_to is None or not is_sqlite(session):
        return None
    (last,) = _LAST_ID.row(session, {})
    return removed_to + 1 if (last or 0) < removed_to else None


def note_removed(dataset: Dataset, row_id: int) -> None:
    """Notes that a row with this id was removed: an open page may still name it, and must not mean another row."""
    dataset.removed_to = max(dataset.removed_to or 0, row_id)


def replace_row(session: Session, dataset: Dataset, row: DatasetRow, data: Row, written_by: str | None = None) -> bool:
    """Replaces the values of a row. Returns False when they are unchanged. Raises TooLarge, Invalid."""
    text, before = _checked_text(_whole_characters(data)), as_json(row.data)
    data = json.loads(text)
    if before == text:
        row.written_by = written_by or row.written_by
        return False
    _grow(dataset, 0, json_size(text) - json_size(before))
    widen(dataset, {name: wider("", value) for name, value in data.items()})
    _note_files(session, dataset, [text], written_by, before)
    _REPLACE.run(session, {"id": row.id, "data": text, "key": _key_of(dataset, data), "written_by": written_by})
    session.expire(row)
    note_change(session, dataset)
    return True


def remove_rows(session: Session, dataset: Dataset, ids: Iterable[int]) -> int:
    """Removes rows; returns how many existed."""
    wanted, removed = list(ids), 0
    for start in range(0, len(wanted), 500):
        mine = (*rows_of(dataset), DatasetRow.id.in_(wanted[start : start + 500]))
        rows = session.execute(select(DatasetRow.id, DatasetRow.data).where(*mine)).all()
        session.execute(delete(DatasetRow).where(*mine).execution_options(synchronize_session=False))
        removed += len(rows)
        _grow(dataset, -len(rows), -sum(json_size(as_json(data)) for _, data in rows))
        if rows:
            note_removed(dataset, max(row_id for row_id, _ in rows))
    note_change(session, dataset)
    return removed


def write_from_step(
    session: Session,
    workspace_id: str,
    name: str,
    mode: Mode,
    key_column: str,
    data: Row,
    step: str,
    numbers: Collection[str] = (),
    turn: Turn | None = None,
) -> Written:
    """Writes one row for a step (`job:node:0/12`), in whichever process it runs. A repeated call for the step changes
    nothing. Of `numbers`, a column that is new is one of numbers, also when its first value is a whole one.

    When items of one list run concurrently and have the same key, the result is that of running them in order: the
    values of the last item, with `leave` those of the first. Raises NotFound, TooLarge, Invalid, and TakesLong when it
    needs a turn.
    """
    dataset = hold_dataset(session, workspace_id, name)
    _OLD_RECEIPTS.run(session, {"before": now(session) - RECEIPT_MS})
    if _RECEIPT.row(session, {"id": step, "dataset_id": dataset.id, "at": now(session)}) is None:
        earlier = session.get_one(DatasetWrite, (step, dataset.id)).action
        return Written(earlier, 0, again=True)  # type: ignore[arg-type]
    data = _whole_characters(data)
    known = {one["name"] for one in dataset.columns}
    written = _write(session, dataset, mode, key_column, data, step, turn)
    made = {one["name"] for one in dataset.columns} - known
    whole = {one["name"] for one in dataset.columns if one["type"] == "integer"} & made
    widen(dataset, {name: "number" for name in numbers if name in whole})
    if made:
        job_id = step.partition(":")[0]
        dataset.columns = [{**one, BY: job_id} if one["name"] in made else one for one in dataset.columns]
    session.get_one(DatasetWrite, (step, dataset.id)).action = written.action
    session.flush()
    return written


def _write(
    session: Session, dataset: Dataset, mode: Mode, key_column: str, data: Row, step: str, turn: Turn | None
) -> Written:
    if mode != "append":
        if key_text(data.get(key_column)) is None:
            raise Invalid(
                f"`{key_column}` is the column to compare, but this row has no value in it",
                remedy=f"Fill in `{key_column}` in “Save rows” with data that is always there.",
            )
        found = find_by_value(session, dataset, key_column, data[key_column], turn)
        if found and mode == "leave":
            return _leave(session, dataset, found, data, step)
        if found:
            if len(found) > WITHOUT_TURN and turn is None:
                raise TakesLong(key_column, data[key_column])
            changed = _write_over(session, dataset, found, key_column, data, step)
            return Written("updated" if changed else "unchanged", len(found))
        if mode == "update":
            return Written("not_found", 0)
    append_rows(session, dataset, checked_rows([data]), step)
    return Written("added", 1)


def _leave(session: Session, dataset: Dataset, found: Sequence[int], data: Row, step: str) -> Written:
    """Leaves the rows as they are. A row that a later item of the same step has just added gives way to this one."""
    same_step = DatasetRow.written_by.startswith(f"{step.rpartition(':')[0]}:", autoescape=True)
    rows = session.scalars(select(DatasetRow).where(DatasetRow.id.in_(found), same_step).order_by(DatasetRow.id))
    later = [row for row in rows if _is_later(row.written_by, step)]
    for row in later:
        replace_row(session, dataset, row, data, step)
    return Written("added" if later else "kept", len(later))


def _write_over(
    session: Session, dataset: Dataset, found: Sequence[int], key_column: str, data: Row, step: str
) -> bool:
    """Writes values into all of these rows but those that a later item of the same step wrote. Returns False when they
    have them already. Raises TooLarge, Invalid.
    """
    if len(found) > MAX_SAME:
        raise _too_many_same(f"More than {MAX_SAME:,} rows have the same value in `{key_column}`", key_column)
    stamped: list[Values] = []
    written: list[Values] = []
    size = grown = 0
    for row_id, stored, written_by in _texts_of(session, found):
        size += len(stored)
        if size > MAX_SAME_CHARS and len(found) > 1:
            raise _too_many_same(
                f"The rows with the same value in `{key_column}` take more than {MAX_SAME_CHARS >> 20} MiB", key_column
            )
        if _is_later(written_by, step):
            continue
        had = json.loads(stored)
        row = _whole_characters({**had, **data})
        text, before = _checked_text(row), as_json(had)
        if text == before:
            stamped.append({"id": row_id, "written_by": step})
            continue
        grown += json_size(text) - json_size(before)
        written.append({"id": row_id, "data": text, "key": _key_of(dataset, row), "written_by": step})
    if stamped:
        _STAMP.run(session, *stamped)
    if not written:
        return False
    _grow(dataset, 0, grown)
    widen(dataset, {name: wider("", value) for name, value in data.items()})
    _note_files(session, dataset, [as_json(data)], step)
    _REPLACE.run(session, *written)
    note_change(session, dataset)
    return True


def _texts_of(session: Session, ids: Sequence[int]) -> Iterator[Any]:
    for first in range(0, len(ids), 100):
        rows = session.execute(
            select(DatasetRow.id, as_type(DatasetRow.data, Text), DatasetRow.written_by)
            .where(DatasetRow.id.in_(ids[first : first + 100]))
            .order_by(DatasetRow.id)
        )
        yield from rows


def _too_many_same(said: str, column: str) -> TooLarge:
    return TooLarge(
        f"{said}, and a step writes over {MAX_SAME:,} rows and {MAX_SAME_CHARS >> 20} MiB at most",
        remedy=f"Compare a column that tells rows apart, like a number, or remove the rows that are alike in `{column}`.",
    )


def _is_later(written_by: str | None, step: str) -> bool:
    """True when the row was written by a later item of the same step in the same job."""
    if written_by is None:
        return False
    (theirs, _, their_index), (mine, _, my_index) = written_by.rpartition(":"), step.rpartition(":")
    return theirs == mine and _index(their_index) > _index(my_index)


def _index(path: str) -> tuple[int, ...]:
    return tuple(int(part) for part in path.split("/")) if path else ()


def widen(dataset: Dataset, others: Mapping[str, str]) -> None:
    """Adds the columns of new rows, and widens the type of a column that now holds another kind of value."""
    columns = {str(one["name"]): str(one["type"]) for one in dataset.columns}
    before = dict(columns)
    for name, kind in others.items():
        columns[name] = _both(columns.get(name, ""), kind)
    if columns == before:
        return
    if len(columns) > MAX_COLUMNS:
        raise Invalid(
            f"The dataset would have {len(columns)} columns; {MAX_COLUMNS} are allowed",
            remedy="Put what belongs together into one column, as a list or a group.",
        )
    had = {str(one["name"]): one for one in dataset.columns}
    dataset.columns = [{**had.get(name, {}), "name": name, "type": kind} for name, kind in columns.items()]


def wider(kind: str, value: Any) -> ColumnType:
    """Returns the type of a column of this type ("" when it has none yet) that can also hold this value."""
    return _both(kind, "" if value is None else json_type(value))  # type: ignore[return-value]


def _both(kind: str, other: str) -> str:
    """Returns the type of a column that can hold values of both types."""
    if not kind or not other or kind == other:
        return kind or other
    return "number" if {kind, other} == {"number", "integer"} else "mixed"


def json_size(text: str) -> int:
    """Returns the bytes that a JSON text takes of a dataset's limit."""
    return len(text.encode(errors="surrogatepass"))


def too_many_rows(count: int) -> TooLarge:
    """Returns the refusal for more rows than a dataset may have."""
    return TooLarge(
        f"The dataset would have {count:,} rows; it may have {MAX_ROWS:,}",
        remedy="Delete rows that are not needed any more, or put them into several datasets.",
    )


def too_many_bytes(size: int) -> TooLarge:
    """Returns the refusal for more bytes than a dataset may have."""
    return TooLarge(
        f"The rows of the dataset would take {size / (1 << 20):,.1f} MiB; they may take {MAX_BYTES >> 20} MiB",
        remedy="Leave out columns with long texts, or put the rows into several datasets.",
    )


def note_change(session: Session, dataset: Dataset) -> None:
    """Notes that rows were changed in this transaction."""
    dataset.updated_at = now(session)
    dataset.revision += 1


def _grow(dataset: Dataset, rows: int, size: int) -> None:
    if rows > 0 and dataset.row_count + rows > MAX_ROWS:
        raise too_many_rows(dataset.row_count + rows)
    if size > 0 and dataset.byte_count + size > MAX_BYTES:
        raise too_many_bytes(dataset.byte_count + size)
    dataset.row_count = max(0, dataset.row_count + rows)
    dataset.byte_count = max(0, dataset.byte_count + size)


def _checked_text(row: Row) -> str:
    _check_names(row)
    text = as_json(row)
    _checked_size(text)
    return text


def _whole_characters(row: Row) -> Row:
    """Returns the row as it can be stored: names and values hold no half of a character."""
    text = as_json(row)
    clean = without_lone_surrogates(text)
    return row if clean is text else json.loads(clean)


def _check_names(row: Row) -> None:
    for name in row:
        if not name.strip() or len(name) > MAX_COLUMN_NAME:
            raise Invalid(
                "A column has no name" if not name.strip() else f"A column's name has {len(name):,} characters",
                remedy=f"Give every column a name of 1 to {MAX_COLUMN_NAME} characters.",
            )


def _checked_size(text: str) -> int:
    size = json_size(text)
    if size > MAX_ROW_BYTES:
        raise TooLarge(
            f"A row would take {size:,} bytes; it may take {MAX_ROW_BYTES:,} (1 MiB)",
            remedy="Store less in one row, for example an address instead of a whole page.",
        )
    return size


def _key_of(dataset: Dataset, row: Row) -> str | None:
    return key_text(row.get(dataset.key_column)) if dataset.key_column else None
