"""The results of a Playground batch as a CSV or Excel file for a person: a line per row, in their order (rule S30).

The columns are those of the dataset that no field takes, as they are now, of the input, as they were given, of the result,
how it went, and what somebody needs who looks for the run.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from msgspec import Struct
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from engine.core.clock import Millis
from engine.flow.references import as_text
from engine.playground_batches.rows import title_of
from engine.playground_batches.runner import answer_of
from storage.batches import BatchRun, PlaygroundBatchRow, find_playground_batch, list_batch_runs
from storage.datasets import find_dataset, find_rows
from storage.jobs import find_value
from storage.playground_batches import RowOutsideJobs, find_source, list_rows_outside_jobs
from storage.questions import list_refusers_of_batch
from storage.sessions import find_signed_in
from ui.access_guard import stranger_answer
from ui.file_download import Pieces, Recipient, form_of, named_by_time, sent_table
from ui.kit.parts import STATES
from ui.kit.text import _
from ui.page_session import COOKIE, App
from ui.page_shell import nothing_here
from ui.parts.answer_words import refuser_words
from ui.parts.job_words import dollars, job_state
from ui.parts.table_downloads import excel_path

PATH = "/playground/batches/{batch_id}/results.csv"
EXCEL_PATH = excel_path(PATH)
PIECE = 100
#: The columns behind those of the values. The title is left out where a column of the input says the same.
TITLE = _("Title")
FACTS = (_("Status"), _("Error"), _("Row"), TITLE, _("Job"), _("Seconds"), _("Cost in USD"))


class Columns(Struct, frozen=True):
    """The columns of a dataset that fill no field of the flow, and the field -> column of the others."""

    dataset_id: str = ""
    names: tuple[str, ...] = ()
    mapping: Mapping[str, str] = {}


class RowValues(Struct, frozen=True):
    """The row of the dataset as it is now, the input and the result of a row."""

    beside: dict[str, Any]
    given: dict[str, Any]
    result: dict[str, Any]


def csv_path(batch_id: str) -> str:
    """The path of a batch's file."""
    return PATH.format(batch_id=batch_id)


def add_routes(root: FastAPI, app: App) -> None:
    """Registers the routes of the files. They are plain routes and not pages, so that they keep no page session open."""

    @root.get(PATH, include_in_schema=False)
    @root.get(EXCEL_PATH, include_in_schema=False)
    async def batch_file(request: Request, batch_id: str) -> Response:
        cookie = request.cookies.get(COOKIE, "")
        person = await app.database.read_briefly(find_signed_in, cookie)
        if person is None:
            return await stranger_answer(app, request)
        workspace_id = person.workspace_id
        found = await app.database.read(find_playground_batch, workspace_id, batch_id=batch_id)
        if found is None:
            return nothing_here(request)
        recipient = Recipient(app, cookie, workspace_id)
        return sent_table(recipient, _file_name(found), form_of(request), _lines(recipient, batch_id))


def _file_name(batch: PlaygroundBatchRow) -> str:
    """Returns for example `product-price-2026-05-04-0930`: the flow, and when the batch was begun (UTC)."""
    words = re.sub(r"[^a-z0-9]+", "-", batch.flow_title.casefold()).strip("-")[:60]
    return named_by_time(words or "batch", Millis(batch.created_at))


async def _lines(recipient: Recipient, batch_id: str) -> Pieces:
    runs = await recipient.read(list_batch_runs, recipient.workspace_id, batch_id)
    listed = await recipient.read(list_rows_outside_jobs, recipient.workspace_id, batch_id)
    outside = {row.row: row for row in listed if row.state != "again"}
    rows = sorted([*(run for run in runs if run.row not in outside), *outside.values()], key=lambda one: one.row)
    columns = await recipient.read(_columns_beside, recipient.workspace_id, batch_id)
    inputs, results, titles = await _names(recipient, columns, rows)
    refusers = await recipient.read(list_refusers_of_batch, recipient.workspace_id, batch_id)
    refused = {job_id: refuser_words(by) for job_id, by in refusers.items()}
    left_out = () if titles or outside else (FACTS.index(TITLE),)

    def facts(values: Sequence[Any]) -> list[Any]:
        return [value for at, value in enumerate(values) if at not in left_out]

    yield [_head(columns.names, inputs, results, facts(FACTS))]
    async for piece, values in _pieces(recipient, columns, rows):
        yield [
            [
                *(_cell(of.beside.get(name)) for name in columns.names),
                *(_cell(of.given.get(name)) for name in inputs),
                *(_cell(of.result.get(name)) for name in results),
                *facts(_facts(row, refused)),
            ]
            for row, of in zip(piece, values, strict=True)
        ]


def _head(beside: Sequence[str], inputs: Sequence[str], results: Sequence[str], facts: Sequence[str]) -> list[str]:
    """The names of the columns. One that is taken gets `result.`, `run.` or `table.` in front."""
    head = dict.fromkeys(inputs)
    for prefix, names in (("result.", results), ("run.", facts), ("table.", beside)):
        for name in names:
            unused = name
            while unused in head:
                unused = prefix + unused
            head[unused] = None
    names, first = list(head), len(head) - len(beside)
    return names[first:] + names[:first]


def _columns_beside(session: Session, workspace_id: str, batch_id: str) -> Columns:
    """Returns the columns that no field takes. They stay in the dataset and are not stored with the batch."""
    source = find_source(session, workspace_id, batch_id) or {}
    dataset = find_dataset(session, workspace_id, source.get("dataset_id", ""))
    if dataset is None:
        return Columns()
    mapping = {field: column for field, column in source["mapping"].items() if column}
    beside = (name for name in dataset.column_names if name not in mapping.values())
    return Columns(dataset.id, tuple(beside), mapping)


async def _pieces(
    recipient: Recipient, columns: Columns, rows: Sequence[BatchRun | RowOutsideJobs]
) -> AsyncIterator[tuple[Sequence[BatchRun | RowOutsideJobs], list[RowValues]]]:
    """Yields the rows a hundred at a time, with their values."""
    for start in range(0, len(rows), PIECE):
        piece = rows[start : start + PIECE]
        yield piece, await recipient.read(_values, recipient.workspace_id, columns, piece)


async def _names(
    recipient: Recipient, columns: Columns, rows: Sequence[BatchRun | RowOutsideJobs]
) -> tuple[list[str], list[str], bool]:
    """Returns the names that stand in any input and in any result, in their order there, and whether the titles of the
    rows say something that no other column says. Of the results, those that the input has, too, come first, as in
    the table of the Run panel.
    """
    inputs: list[str] = []
    results: dict[str, None] = {}
    titles: set[str] | None = None  # the columns of the input that each row so far has for a title
    async for piece, values in _pieces(recipient, columns, [row for row in rows if isinstance(row, BatchRun)]):
        for run, of in zip(piece, values, strict=True):
            _add_names(inputs, of.given)
            results |= dict.fromkeys(of.result)
            same = {name for name, value in of.given.items() if title_of(as_text(value)) == run.title}
            titles = same if titles is None else titles & same
    return inputs, list(dict.fromkeys(name for name in inputs if name in results) | results), not titles


def _add_names(names: list[str], more: Iterable[str]) -> None:
    """Inserts the names of fields that are missing, each behind the one that it follows in its row. A flow has at most
    a hundred.
    """
    at = 0
    for name in more:
        if name in names:
            at = names.index(name)
        else:
            names.insert(at, name)
        at += 1


def _values(
    session: Session, workspace_id: str, columns: Columns, rows: Sequence[BatchRun | RowOutsideJobs]
) -> list[RowValues]:
    ids = [row.dataset_row for row in rows if row.dataset_row is not None] if columns.dataset_id else []
    found = find_rows(session, workspace_id, columns.dataset_id, ids)

    def of(run: BatchRun, name: str) -> Any:
        stored = find_value(session, run.job.id, name)
        return stored.value if stored is not None else None

    def values(row: BatchRun | RowOutsideJobs) -> RowValues:
        data = found.get(row.dataset_row or 0, {})
        if isinstance(row, RowOutsideJobs):
            return RowValues(data, {field: data.get(column) for field, column in columns.mapping.items()}, {})
        return RowValues(data, _fields(of(row, "payload")), _result(of(row, "result")))

    return [values(row) for row in rows]


def _fields(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _result(result: Any) -> dict[str, Any]:
    answer = answer_of(result)
    return answer if isinstance(answer, dict) else _fields(result)


def _cell(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else as_text(value)


def _facts(row: BatchRun | RowOutsideJobs, refused: Mapping[str, str]) -> list[Any]:
    if isinstance(row, RowOutsideJobs):
        return [STATES[row.state][0], row.text, row.row, row.title, None, None, None]
    job = row.job
    took = job.run_ms / 1000 if job.run_ms is not None and job.started_at else None
    error = str((job.error or {}).get("message") or "")
    status = STATES[job_state(job)][0]
    if job.status == "completed" and (by := refused.get(job.id)):
        status = f"{status}. {by}"
    return [status, error, row.row, row.title, job.id, took, dollars(job)]
