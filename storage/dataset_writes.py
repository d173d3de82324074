"""Queries for what the steps of a job wrote into datasets, by their receipts, which are kept for a few days."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from storage.datasets import SEEN, rows_of
from storage.tables import Dataset, DatasetRow, DatasetWrite

#: The action of a receipt whose row was taken out of the dataset again.
TAKEN_OUT = "taken_out"
#: That of a receipt whose row somebody wrote over since, so that it stays.
_STAYS = "stays"
_AT_ONCE = 500


class TableWritten(Struct, frozen=True):
    """What a job wrote into one dataset: how many rows it added, changed, found there and left as they were, and how
    many of those that it added were taken out again.
    """

    dataset_id: str
    name: str
    added: int = 0
    changed: int = 0
    left: int = 0
    taken_out: int = 0


def list_job_writes(session: Session, workspace_id: str, job_id: str) -> tuple[TableWritten, ...]:
    """Returns what a job wrote, by dataset, sorted by name; nothing for a job whose receipts are gone. Datasets in which
    it looked for a row and found none are left out.
    """
    rows = session.execute(
        select(Dataset.id, Dataset.name, DatasetWrite.action, func.count())
        .join(DatasetWrite, DatasetWrite.dataset_id == Dataset.id)
        .where(Dataset.workspace_id == workspace_id, _of_job(DatasetWrite.id, job_id))
        .group_by(Dataset.id, Dataset.name, DatasetWrite.action)
    )
    found: dict[tuple[str, str], dict[str, int]] = {}
    for dataset_id, name, action, count in rows:
        found.setdefault((dataset_id, name), {})[action] = count
    found = {one: counts for one, counts in found.items() if set(counts) - {"not_found", "", _STAYS}}
    tables = [
        TableWritten(
            dataset_id,
            name,
            added=counts.get("added", 0),
            changed=counts.get("updated", 0),
            left=counts.get("kept", 0) + counts.get("unchanged", 0),
            taken_out=counts.get(TAKEN_OUT, 0),
        )
        for (dataset_id, name), counts in found.items()
    ]
    return tuple(sorted(tables, key=lambda one: (one.name.casefold(), one.dataset_id)))


def list_added_rows(session: Session, workspace_id: str, job_id: str) -> dict[str, list[int]]:
    """Returns dataset id -> ids of the rows that the job added and nobody wrote over since."""
    receipts = session.execute(
        select(DatasetWrite.dataset_id, DatasetWrite.id)
        .join(Dataset, Dataset.id == DatasetWrite.dataset_id)
        .where(Dataset.workspace_id == workspace_id, _of_job(DatasetWrite.id, job_id), DatasetWrite.action == "added")
    )
    steps: dict[str, set[str]] = {}
    for dataset_id, step in receipts:
        steps.setdefault(dataset_id, set()).add(step)
    return {
        dataset_id: [
            row.id
            for row in session.execute(
                select(DatasetRow.id, DatasetRow.written_by)
                .join(Dataset, Dataset.id == DatasetRow.dataset_id)
                .where(DatasetRow.dataset_id == dataset_id, *SEEN, _of_job(DatasetRow.written_by, job_id))
            )
            if row.written_by in mine
        ]
        for dataset_id, mine in steps.items()
    }


def still_written_by(session: Session, dataset: Dataset, job_id: str, row_ids: Sequence[int]) -> dict[int, str]:
    """Returns those of these rows that the job wrote last: id -> the step."""
    found: dict[int, str] = {}
    for first in range(0, len(row_ids), _AT_ONCE):
        rows = session.execute(
            select(DatasetRow.id, DatasetRow.written_by).where(
                *rows_of(dataset),
                DatasetRow.id.in_(row_ids[first : first + _AT_ONCE]),
                _of_job(DatasetRow.written_by, job_id),
            )
        )
        found |= {row.id: row.written_by for row in rows}
    return found


def note_taken_out(session: Session, dataset: Dataset, job_id: str, steps: Sequence[str]) -> None:
    """Notes in the receipts of a job that the rows of these steps were taken out of the dataset again, and that the
    other rows which it added stay.
    """
    added = (DatasetWrite.dataset_id == dataset.id, DatasetWrite.action == "added")
    for first in range(0, len(steps), _AT_ONCE):
        mine = DatasetWrite.id.in_(steps[first : first + _AT_ONCE])
        _set_action(session, TAKEN_OUT, mine, *added)
    _set_action(session, _STAYS, _of_job(DatasetWrite.id, job_id), *added)


def _set_action(session: Session, action: str, *which: ColumnElement[bool]) -> None:
    change = update(DatasetWrite).where(*which).values(action=action)
    session.execute(change.execution_options(synchronize_session=False))


def _of_job(step: InstrumentedAttribute[Any], job_id: str) -> ColumnElement[bool]:
    """The steps of a job, which begin with its id and a colon; both databases compare by bytes and use the index."""
    return and_(step >= f"{job_id}:", step < f"{job_id};")
