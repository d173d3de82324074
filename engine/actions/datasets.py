"""Actions on datasets: create, rename, delete, import, and edit rows and columns. They need the role editor or owner.

Files are parsed beforehand with `engine.table_files.reading`, outside the event loop; the actions take rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

from sqlalchemy.orm import Session

from engine.actions.flow_uses import refuse_delete, refuse_rename
from engine.actions.names import check_name
from engine.actions.principal import Principal, require_may
from engine.core.environments import Environment
from engine.core.errors import Conflict, NotFound
from engine.nodes.known_datasets import KnownDataset
from engine.table_files.table import Table
from storage import dataset_columns
from storage.audit import add_entry
from storage.database import now
from storage.dataset_changes import (
    NewRows,
    add_to_totals,
    append_rows,
    checked_rows,
    find_row,
    import_piece,
    insert_dataset,
    last_row_id,
    remove_all_rows,
    remove_dataset,
    remove_rows,
    replace_row,
)
from storage.dataset_keys import PIECE_ROWS, is_small
from storage.dataset_pieces import add_pieces, after_pieces
from storage.dataset_pieces import let_go as let_go_of_dataset
from storage.dataset_uses import list_uses
from storage.dataset_writes import note_taken_out, still_written_by
from storage.datasets import ColumnLine, ColumnType, Row, find_named, hold_dataset, list_datasets
from storage.jobs import get_job
from storage.knowledge_changes import hold_dataset_sources, let_go, rename_chosen_column

if TYPE_CHECKING:
    from storage.tables import Dataset

#: The environments whose jobs are practice: runs in the Playground, and calls with a key of Development.
PRACTICE = frozenset({"playground", Environment.DEV.value})
Import = Literal["append", "replace"]


def add_dataset(session: Session, principal: Principal, name: str, columns: Sequence[ColumnLine] = ()) -> str:
    """Creates an empty dataset and returns its id. Raises Invalid, and Conflict when the name is taken."""
    require_may(principal, "edit datasets")
    name = _check_name(session, principal, name)
    dataset = insert_dataset(session, principal.workspace_id, name)
    for column in columns:
        dataset_columns.add_column(session, dataset, column.name, column.type)
    add_entry(session, principal, "create dataset", dataset.id, name)
    return dataset.id


def add_dataset_with_rows(session: Session, principal: Principal, name: str, new: NewRows) -> str:
    """Creates a dataset with rows and returns its id. Raises Invalid, Conflict and TooLarge, and DoFirst while many rows are
    written in pieces; a refused import leaves no dataset behind.
    """
    require_may(principal, "edit datasets")
    if new.is_small:
        dataset_id = add_dataset(session, principal, name)
        import_rows(session, principal, dataset_id, new)
        return dataset_id
    name = _check_name(session, principal, name)
    write_piece = partial(import_piece, new=new, key_column=None, workspace_id=principal.workspace_id)
    dataset = after_pieces(session, None, new.token, write_piece)
    dataset.name, dataset.workspace_id = name, principal.workspace_id
    add_to_totals(dataset, new)
    add_pieces(session, dataset)
    add_entry(session, principal, "create dataset", dataset.id, name)
    add_entry(session, principal, "import rows", dataset.id, f"{name}: append {len(new.rows):,} rows")
    return dataset.id


def bring_samples(session: Session, principal: Principal, samples: Mapping[str, Table]) -> list[str]:
    """Creates those of a template's sample datasets that do not exist yet, with their rows; returns their names."""
    require_may(principal, "edit datasets")
    made = []
    for name, table in samples.items():
        if find_named(session, principal.workspace_id, name) is None:
            add_dataset_with_rows(session, principal, name, checked_rows(table.rows, table.columns))
            made.append(name)
    return made


def rename_dataset(session: Session, principal: Principal, dataset_id: str, name: str) -> None:
    """Renames a dataset.

    Raises Invalid, and Conflict when the name is taken or when a flow refers to the dataset by its name.
    """
    require_may(principal, "edit datasets")
    dataset = hold_dataset(session, principal.workspace_id, dataset_id)
    name = _check_name(session, principal, name, dataset.id)
    if name == dataset.name:
        return
    refuse_rename(list_uses(session, principal.workspace_id).get(dataset.id, ()), "dataset")
    add_entry(session, principal, "rename dataset", dataset.id, f"{dataset.name} is now {name}")
    dataset.name = name
    dataset.updated_at = now(session)


def delete_dataset(
    session: Session, principal: Principal, dataset_id: str, if_used: Literal["refuse", "delete"] = "refuse"
) -> None:
    """Deletes a dataset with its rows, and the sources of knowledge that hold them.

    Raises NotFound, and Conflict while flows use it, unless `if_used` is "delete".
    """
    require_may(principal, "edit datasets")
    dataset = hold_dataset(session, principal.workspace_id, dataset_id)
    if if_used == "refuse":
        refuse_delete(list_uses(session, principal.workspace_id).get(dataset.id, ()), "dataset")
    add_entry(session, principal, "delete dataset", dataset.id, f"{dataset.name}: {dataset.row_count:,} rows")
    for source in hold_dataset_sources(session, principal.workspace_id, dataset.id):
        add_entry(session, principal, "delete source", source.id, f"{source.name}: {source.piece_count:,} pieces")
        let_go(source)
    if is_small(dataset) and not dataset.rows_after:
        remove_dataset(session, dataset)
    else:
        let_go_of_dataset(session, dataset)


def import_rows(
    session: Session,
    principal: Principal,
    dataset_id: str,
    new: NewRows,
    mode: Import = "append",
) -> int:
    """Appends rows or replaces all existing ones, depending on `mode`; returns the new number of rows.

    `checked_rows` makes `new`, outside the event loop. Raises NotFound, TooLarge and Invalid; then nothing is changed.
    Raises DoFirst while many rows are written in pieces.
    """
    require_may(principal, "edit datasets")
    dataset = hold_dataset(session, principal.workspace_id, dataset_id, new.token)
    if mode == "replace":
        remove_all_rows(session, dataset, keep_files=not new.is_small)
        if dataset.key_column not in new.columns:
            dataset.key_column = None
    if new.is_small:
        append_rows(session, dataset, new)
    else:
        add_to_totals(dataset, new)
        column, workspace_id = dataset.key_column, principal.workspace_id
        write_piece = partial(import_piece, new=new, key_column=column, workspace_id=workspace_id)
        after_pieces(session, dataset, new.token, write_piece)
        add_pieces(session, dataset)
    add_entry(session, principal, "import rows", dataset.id, f"{dataset.name}: {mode} {len(new.rows):,} rows")
    return dataset.row_count


def add_row(session: Session, principal: Principal, dataset_id: str, data: Row) -> int:
    """Appends a row and returns its id. Raises NotFound, Conflict for a value without a column, TooLarge and Invalid."""
    require_may(principal, "edit datasets")
    dataset = hold_dataset(session, principal.workspace_id, dataset_id)
    _require_columns(dataset, data)
    append_rows(session, dataset, checked_rows([data]))
    return last_row_id(session, dataset)


def change_row(session: Session, principal: Principal, dataset_id: str, row_id: int, data: Row) -> bool:
    """Overwrites the values in `data` and keeps the others. Returns False when nothing changed.

    Raises NotFound, Conflict for a value without a column, TooLarge and Invalid.
    """
    require_may(principal, "edit datasets")
    dataset = hold_dataset(session, principal.workspace_id, dataset_id)
    row = find_row(session, dataset, row_id)
    if row is None:
        raise NotFound("This row was deleted meanwhile", remedy="Close the form; the table shows what is there now.")
    _require_columns(dataset, data)
    return replace_row(session, dataset, row, {**row.data, **data})


def delete_rows(session: Session, principal: Principal, dataset_id: str, row_ids: Sequence[int]) -> int:
    """Deletes rows and returns how many of them existed. Raises DoFirst while many are deleted in pieces, each for good."""
    require_may(principal, "edit datasets")
    what = f"delete {len(row_ids)} {hash(tuple(row_ids))}"
    dataset = hold_dataset(session, principal.workspace_id, dataset_id, what)
    if len(row_ids) <= PIECE_ROWS:
        removed = remove_rows(session, dataset, row_ids)
    else:
        changing = after_pieces(session, dataset, what, partial(_delete_piece, row_ids=row_ids)).changing
        removed = changing["rows"] if changing else 0
        add_pieces(session, dataset)
    if removed:
        detail = f"{dataset.name}: {removed:,} {'row' if removed == 1 else 'rows'}"
        add_entry(session, principal, "delete rows", dataset.id, detail)
    return removed


def take_out_rows(session: Session, principal: Principal, job_id: str, rows: Mapping[str, Sequence[int]]) -> int:
    """Takes the rows that a practice run added out of its datasets again; returns how many it were.

    `rows`: dataset id -> ids, as `list_added_rows` finds them. A row that was written over since stays. Columns
    that the run made go with its rows when they are empty then. Raises NotFound,
    and Conflict for a job that is no practice run or has not ended.
    """
    require_may(principal, "edit datasets")
    job = get_job(session, principal.workspace_id, job_id)
    if job.environment not in PRACTICE or not job.ended:
        raise Conflict("Only the rows of a practice run that has ended can be taken out")
    taken = 0
    for dataset_id, row_ids in rows.items():
        dataset = hold_dataset(session, principal.workspace_id, dataset_id)
        found = still_written_by(session, dataset, job_id, row_ids)
        note_taken_out(session, dataset, job_id, list(found.values()))
        if removed := remove_rows(session, dataset, found):
            detail = f"{dataset.name}: {removed:,} {'row' if removed == 1 else 'rows'} of a practice run"
            add_entry(session, principal, "delete rows", dataset.id, detail)
            dataset_columns.drop_columns_of(session, dataset, job_id)
        taken += removed
    return taken


def add_column(session: Session, principal: Principal, dataset_id: str, name: str, kind: ColumnType) -> None:
    """Adds an empty column. Raises Invalid and Conflict."""
    require_may(principal, "edit datasets")
    dataset = hold_dataset(session, principal.workspace_id, dataset_id)
    dataset_columns.add_column(session, dataset, name, kind)
    add_entry(session, principal, "add column", dataset.id, f"{dataset.name}: {name.strip()}")


def rename_column(session: Session, principal: Principal, dataset_id: str, column: str, name: str) -> None:
    """Renames a column in every row, and where sources of knowledge choose it. Raises Invalid and Conflict, and DoFirst
    while many rows are changed in pieces.
    """
    require_may(principal, "edit datasets")
    what = f"rename {column}\n{name}"
    dataset = hold_dataset(session, principal.workspace_id, dataset_id, what)
    name = dataset_columns.rename_column(session, dataset, column, name, what)
    for source in hold_dataset_sources(session, principal.workspace_id, dataset.id):
        rename_chosen_column(session, source, column, name)
    add_entry(session, principal, "rename column", dataset.id, f"{dataset.name}: {column} is now {name}")


def remove_column(session: Session, principal: Principal, dataset_id: str, column: str) -> None:
    """Removes a column and its values. Raises Invalid, and DoFirst while many rows are changed in pieces."""
    require_may(principal, "edit datasets")
    what = f"remove {column}"
    dataset = hold_dataset(session, principal.workspace_id, dataset_id, what)
    dataset_columns.remove_column(session, dataset, column, what)
    add_entry(session, principal, "remove column", dataset.id, f"{dataset.name}: {column}")


def known_datasets(session: Session, workspace_id: str) -> tuple[KnownDataset, ...]:
    """Returns id, name and columns of each dataset in the workspace, for the validation of flows."""
    return tuple(
        KnownDataset(one.id, one.name, {column.name: column.type for column in one.columns})
        for one in list_datasets(session, workspace_id)
    )


def _delete_piece(
    session: Session, dataset: Dataset, at: int, *, row_ids: Sequence[int]
) -> tuple[int | None, int, int]:
    end = at + PIECE_ROWS
    return end if end < len(row_ids) else None, remove_rows(session, dataset, row_ids[at:end]), 0


def _require_columns(dataset: Dataset, data: Row) -> None:
    """Refuses a value of a column that was renamed or removed since somebody opened the row: storing it would bring the
    column back.
    """
    known = {str(one["name"]) for one in dataset.columns}
    unknown = next((name for name in data if name not in known), None)
    if unknown is not None:
        raise Conflict(
            f"The columns were changed meanwhile: “{unknown}” is none of them",
            remedy="Copy what you typed, close the form, and open it again.",
        )


def _check_name(session: Session, principal: Principal, name: str, own_id: str = "") -> str:
    return check_name(name, "dataset", lambda wanted: find_named(session, principal.workspace_id, wanted), own_id)
