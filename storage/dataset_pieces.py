"""Changes of all rows of a large dataset, in pieces, each in a transaction, between which others write.

    dataset = after_pieces(session, dataset, what, write_piece)  # raises DoFirst until all pieces are written
    begin_with_pieces(session, dataset)                          # or add_pieces: the rows are those of the table

The new rows are written behind those of the table, up to `rows_to`, where nobody reads them; a last small transaction makes
them the rows of the table. Meanwhile `changing` keeps others from changing it. `tidy_some` removes the rows that were
replaced, up to `rows_after`, and what a process leaves that ends in between: the table is as before then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, delete, func, or_, select
from sqlalchemy.orm import Session

from engine.core.clock import MINUTE
from engine.core.do_first import DoFirst
from storage.database import WRITE_NOW, now
from storage.dataset_changes import insert_dataset, note_change, note_removed
from storage.dataset_keys import PIECE_CHARS, PIECE_ROWS
from storage.datasets import BeingChanged, hold_dataset
from storage.files import drop_uses
from storage.tables import Dataset, DatasetRow

#: The workspace of datasets that were deleted, and of those whose first rows are being written.
NOWHERE = ""
#: A change of which no piece was written for so long has ended in between.
LEFT_MS = MINUTE

#: Writes or removes the next rows after a place. Returns the place of the next piece, None after the last, and how many
#: rows and bytes it were.
WritePiece = Callable[[Session, Dataset, int], tuple[int | None, int, int]]


def after_pieces(session: Session, dataset: Dataset | None, what: str, write_piece: WritePiece) -> Dataset:
    """Returns the dataset once all pieces of a change are written. `what` tells the change from others; `dataset` None: a
    new one, which belongs to no workspace yet.

    Raises DoFirst before; the work raises what `write_piece` raises, and BeingChanged.
    """
    if dataset is None:
        waiting = session.scalars(select(Dataset).where(Dataset.workspace_id == NOWHERE, Dataset.changing.is_not(None)))
        dataset = next((one for one in waiting if one.changing and one.changing["what"] == what), None)
    if dataset is not None and dataset.changing is not None and dataset.changing["ready"]:
        return dataset
    write_now: Callable[..., Any] = session.info[WRITE_NOW]
    where = None if dataset is None else (dataset.workspace_id, dataset.id)

    def work() -> None:
        held = write_now(_begin, where, what)
        at: int | None = 0
        while at is not None:
            at = write_now(_go_on, held, what, write_piece, at)

    raise DoFirst(work)


def begin_with_pieces(session: Session, dataset: Dataset) -> None:
    """Makes the rows that were written in pieces the only ones of the table."""
    assert dataset.changing is not None
    if dataset.rows_to:
        note_removed(dataset, dataset.rows_to)
        dataset.rows_after = dataset.rows_to
    dataset.row_count, dataset.byte_count = dataset.changing["rows"], dataset.changing["bytes"]
    add_pieces(session, dataset)


def add_pieces(session: Session, dataset: Dataset) -> None:
    """Ends a change: the rows that were written in pieces come after those of the table."""
    dataset.rows_to = dataset.changing = None
    note_change(session, dataset)


def let_go(session: Session, dataset: Dataset) -> None:
    """Takes a large dataset out of its workspace, to be removed."""
    drop_uses(session, "dataset", dataset.id)
    dataset.workspace_id = NOWHERE


def tidy_some(session: Session) -> bool:
    """Removes one piece of the rows that belong to no table any more. Returns False when there are none."""
    left = now(session) - LEFT_MS
    wanted = or_(Dataset.changing.is_not(None), Dataset.rows_after > 0, Dataset.workspace_id == NOWHERE)
    for dataset in session.scalars(select(Dataset).where(wanted)):
        if dataset.changing is not None and dataset.changing["at"] >= left:
            continue
        which, is_gone = DatasetRow.id <= dataset.rows_after, dataset.workspace_id == NOWHERE
        if dataset.changing is not None:
            dataset.changing = {**dataset.changing, "what": "", "ready": False}  # whoever comes back finds it ended
            which = DatasetRow.id > (dataset.rows_to or 0)
        if _removed_some(session, dataset, DatasetRow.id > 0 if is_gone else which):
            pass
        elif is_gone:
            drop_uses(session, "dataset", dataset.id)
            session.delete(dataset)
        elif dataset.changing is not None:
            dataset.rows_to = dataset.changing = None
        else:
            dataset.rows_after = 0
        return True
    return False


def _removed_some(session: Session, dataset: Dataset, which: ColumnElement[bool]) -> bool:
    sizes = session.execute(
        select(DatasetRow.id, func.length(cast(DatasetRow.data, Text)))
        .where(DatasetRow.dataset_id == dataset.id, which)
        .limit(PIECE_ROWS)
    )
    ids: list[int] = []
    size = 0
    for row_id, chars in sizes:
        ids.append(row_id)
        size += chars
        if size >= PIECE_CHARS:
            break
    if ids:
        mine = delete(DatasetRow).where(DatasetRow.id.in_(ids))
        session.execute(mine.execution_options(synchronize_session=False))
        note_removed(dataset, max(ids))
    return bool(ids)


def _begin(session: Session, where: tuple[str, str] | None, what: str) -> tuple[str, str]:
    dataset = insert_dataset(session, NOWHERE, "") if where is None else hold_dataset(session, *where)
    last = session.scalar(select(func.max(DatasetRow.id)).where(DatasetRow.dataset_id == dataset.id))
    dataset.rows_to = max(last or 0, dataset.rows_after)
    dataset.changing = {"what": what, "at": now(session), "ready": False, "rows": 0, "bytes": 0}
    return dataset.workspace_id, dataset.id


def _go_on(session: Session, held: tuple[str, str], what: str, write_piece: WritePiece, at: int) -> int | None:
    dataset = hold_dataset(session, *held, what)
    if dataset.changing is None:
        raise BeingChanged
    goes_on, rows, size = write_piece(session, dataset, at)
    dataset.changing = {
        "what": what,
        "at": now(session),
        "ready": goes_on is None,
        "rows": dataset.changing["rows"] + rows,
        "bytes": dataset.changing["bytes"] + size,
    }
    return goes_on
