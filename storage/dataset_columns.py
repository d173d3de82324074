"""Changes to a dataset's columns by a person: add, rename, remove. The rows that have the column are rewritten."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import Text, cast, or_, select
from sqlalchemy.orm import Session

from engine.core.errors import Conflict, FieldError, Invalid
from storage.database import now
from storage.dataset_changes import BY, MAX_COLUMN_NAME, MAX_COLUMNS, insert_rows, json_size, note_change
from storage.dataset_keys import is_small, key_text, some_rows
from storage.dataset_pieces import after_pieces, begin_with_pieces
from storage.datasets import ColumnType, Row, as_json, rows_of
from storage.statements import Statement, is_sqlite
from storage.tables import Dataset, DatasetRow

_PUT = Statement("update dataset_rows set data = :data, key = :key where id = :id")
#: PostgreSQL takes the rows as one statement: other writers wait until the last one is changed.
_PUT_POSTGRES = Statement(
    """
    update dataset_rows set data = cast(changed.data as json), key = changed.key
      from unnest(cast(:ids as bigint[]), cast(:texts as text[]), cast(:keys as text[])) as changed (id, data, key)
     where dataset_rows.id = changed.id
    """
)


def add_column(session: Session, dataset: Dataset, name: str, kind: ColumnType) -> None:
    """Adds an empty column at the end. Raises Invalid, Conflict."""
    name = _free_name(dataset, name)
    if len(dataset.columns) >= MAX_COLUMNS:
        raise Invalid(f"A dataset has {MAX_COLUMNS} columns at most", remedy="Remove one that is not needed first.")
    dataset.columns = [*dataset.columns, {"name": name, "type": kind}]
    dataset.updated_at = now(session)


def rename_column(session: Session, dataset: Dataset, column: str, name: str, what: str) -> str:
    """Renames a column in every row. Returns its name as it is stored. Raises Invalid, Conflict, and DoFirst while the
    change `what` is done in pieces.
    """
    _known(dataset, column)
    if name.strip() == column:
        return column
    name = _free_name(dataset, name)
    dataset.columns = [{"name": name, "type": one["type"]} if one["name"] == column else one for one in dataset.columns]
    if dataset.key_column == column:
        dataset.key_column = name
    _rewrite(session, dataset, what, column, lambda row: {name if key == column else key: row[key] for key in row})
    return name


def remove_column(session: Session, dataset: Dataset, column: str, what: str) -> None:
    """Removes a column and its values. Raises Invalid, and DoFirst while the change `what` is done in pieces."""
    _known(dataset, column)
    dataset.columns = [one for one in dataset.columns if one["name"] != column]
    if dataset.key_column == column:
        dataset.key_column = None
    _rewrite(session, dataset, what, column, lambda row: {key: row[key] for key in row if key != column})


def drop_columns_of(session: Session, dataset: Dataset, job_id: str) -> None:
    """Removes the columns that a step of this job made and in which no row has a value any more."""
    text = cast(DatasetRow.data, Text)
    gone = {
        one["name"]
        for one in dataset.columns
        if one.get(BY) == job_id
        and session.execute(
            select(DatasetRow.id)
            .where(*rows_of(dataset), or_(*(text.contains(name, autoescape=True) for name in _written(one["name"]))))
            .limit(1)
        ).first()
        is None
    }
    if gone:
        dataset.columns = [one for one in dataset.columns if one["name"] not in gone]
        if dataset.key_column in gone:
            dataset.key_column = None


def _written(name: str) -> set[str]:
    """Returns how a column's name stands in the texts of rows. 0.2 escaped letters in rows that were changed."""
    return {json.dumps(name, ensure_ascii=False), json.dumps(name)}


def _rewrite(session: Session, dataset: Dataset, what: str, column: str, change: Callable[[Row], Row]) -> None:
    """Changes every row: those of a small table in their places, the others as a copy that takes the place of all."""
    key_column = dataset.key_column
    if not is_small(dataset):

        def copy_piece(session: Session, dataset: Dataset, after: int) -> tuple[int | None, int, int]:
            copied: list[tuple[str, str | None, str | None]] = []
            rows = some_rows(session, dataset, after)
            for _, stored, written_by in rows:
                row = change(json.loads(stored))
                copied.append((as_json(row), key_text(row.get(key_column)) if key_column else None, written_by))
            insert_rows(session, dataset, copied)
            return rows[-1][0] if rows else None, len(rows), sum(json_size(text) for text, _, _ in copied)

        begin_with_pieces(session, after_pieces(session, dataset, what, copy_piece))
        dataset.keyed_to = None
        return
    rows = session.execute(select(DatasetRow.id, cast(DatasetRow.data, Text)).where(*rows_of(dataset))).all()
    grown = 0
    written: list[dict[str, Any]] = []
    for row_id, stored in rows:
        data = json.loads(stored)
        if column not in data:
            continue
        changed = change(data)
        text = as_json(changed)
        grown += json_size(text) - json_size(stored)
        written.append({"id": row_id, "data": text, "key": key_text(changed.get(key_column)) if key_column else None})
    if written:
        _put(session, written)
    dataset.byte_count = max(0, dataset.byte_count + grown)
    note_change(session, dataset)
    session.flush()
    session.expire_all()


def _put(session: Session, rows: list[dict[str, Any]]) -> None:
    if is_sqlite(session):
        _PUT.run(session, *rows)
        return
    values = {f"{name}s": [row[of] for row in rows] for name, of in (("id", "id"), ("text", "data"), ("key", "key"))}
    _PUT_POSTGRES.run(session, values)


def _known(dataset: Dataset, column: str) -> None:
    if all(one["name"] != column for one in dataset.columns):
        raise Invalid(f"The dataset has no column `{column}`", remedy="Reload the page to see its columns.")


def _free_name(dataset: Dataset, name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > MAX_COLUMN_NAME:
        said = "The name is empty" if not name else f"The name has {len(name)} characters"
        raise Invalid(
            said,
            remedy=f"Give the column a name of 1 to {MAX_COLUMN_NAME} characters.",
            errors=(FieldError("/name", "max_length" if name else "required", said),),
        )
    if any(one["name"] == name for one in dataset.columns):
        raise Conflict(f"There is a column `{name}` already", remedy="Choose another name.")
    return name
