"""The results of a Playground batch as a CSV file for a person: a line per row (rule S30).

The columns are those of the input, as they were given, of the result, how it went, and what somebody needs who looks for
the run.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from fastapi import FastAPI
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from engine.core.clock import Millis
from engine.flow.references import as_text
from engine.playground_batches.rows import title_of
from engine.playground_batches.runner import answer_of
from engine.table_files.writing import MARK, csv_line
from storage.batches import BatchRun, PlaygroundBatchRow, find_playground_batch, list_batch_runs
from storage.jobs import find_value
from storage.playground_batches import list_rows_outside_jobs
from storage.questions import list_refusers_of_batch
from storage.sessions import find_signed_in
from ui.access_guard import stranger_answer
from ui.file_download import Recipient, csv_named, sent_file
from ui.kit.parts import STATES
from ui.kit.text import _
from ui.page_session import COOKIE, App
from ui.page_shell import nothing_here
from ui.parts.answer_words import refuser_words
from ui.parts.job_words import job_state

PATH = "/playground/batches/{batch_id}/results.csv"
PIECE = 100
#: The columns behind those of the values. The title is left out where a column of the input says the same.
TITLE = _("Title")
FACTS = (_("Status"), _("Error"), _("Row"), TITLE, _("Job"), _("Seconds"), _("Cost in USD"))

Values = tuple[dict[str, Any], dict[str, Any]]


def csv_path(batch_id: str) -> str:
    """The path of a batch's file."""
    return PATH.format(batch_id=batch_id)


def add_routes(root: FastAPI, app: App) -> None:
    """Registers the route of the file. It is a plain route and not a page, so that it keeps no page session open."""

    @root.get(PATH, include_in_schema=False)
    async def batch_csv(request: Request, batch_id: str) -> Response:
        cookie = request.cookies.get(COOKIE, "")
        person = await app.database.read_briefly(find_signed_in, cookie)
        if person is None:
            return await stranger_answer(app, request)
        workspace_id = person.workspace_id
        found = await app.database.read(find_playground_batch, workspace_id, batch_id=batch_id)
        if found is None:
            return nothing_here(request)
        return sent_file(_file_name(found), _lines(Recipient(app, cookie, workspace_id), batch_id))


def _file_name(batch: PlaygroundBatchRow) -> str:
    """Returns for example `product-price-2026-05-04-0930.csv`: the flow, and when the batch was begun (UTC)."""
    words = re.sub(r"[^a-z0-9]+", "-", batch.flow_title.casefold()).strip("-")[:60]
    return csv_named(words or "batch", Millis(batch.created_at))


async def _lines(recipient: Recipient, batch_id: str) -> AsyncIterator[str]:
    runs = await recipient.read(list_batch_runs, recipient.workspace_id, batch_id)
    listed = await recipient.read(list_rows_outside_jobs, recipient.workspace_id, batch_id)
    outside = {row.row: row for row in listed if row.state != "again"}
    runs = [run for run in runs if run.row not in outside]
    inputs, results, titles = await _names(recipient, runs)
    refusers = await recipient.read(list_refusers_of_batch, recipient.workspace_id, batch_id)
    refused = {job_id: refuser_words(by) for job_id, by in refusers.items()}
    left_out = () if titles or outside else (FACTS.index(TITLE),)

    def facts(values: Sequence[Any]) -> list[Any]:
        return [value for at, value in enumerate(values) if at not in left_out]

    yield MARK + csv_line(_head(inputs, results, facts(FACTS)))
    async for piece, values in _pieces(recipient, runs):
        yield "".join(
            csv_line(
                [
                    *(as_text(given.get(name)) for name in inputs),
                    *(as_text(result.get(name)) for name in results),
                    *facts(_facts(run, refused.get(run.job.id, ""))),
                ]
            )
            for run, (given, result) in zip(piece, values, strict=True)
        )
    without_values = [""] * (len(inputs) + len(results))
    yield "".join(
        csv_line([*without_values, *facts([STATES[row.state][0], row.text, row.row, row.title, "", "", ""])])
        for row in outside.values()
    )


def _head(inputs: Sequence[str], results: Sequence[str], facts: Sequence[str]) -> list[str]:
    """The names of the columns. One that is taken gets `result.` or `run.` in front."""
    head = dict.fromkeys(inputs)
    for prefix, names in (("result.", results), ("run.", facts)):
        for name in names:
            unused = name
            while unused in head:
                unused = prefix + unused
            head[unused] = None
    return list(head)


async def _pieces(
    recipient: Recipient, runs: Sequence[BatchRun]
) -> AsyncIterator[tuple[Sequence[BatchRun], list[Values]]]:
    """Yields the rows a hundred at a time, with their values."""
    for start in range(0, len(runs), PIECE):
        piece = runs[start : start + PIECE]
        yield piece, await recipient.read(_values, piece)


async def _names(recipient: Recipient, runs: Sequence[BatchRun]) -> tuple[list[str], list[str], bool]:
    """Returns the names that stand in any input and in any result, in their order there, and whether the titles of the
    rows say something that no column of the input says. Of the results, those that the input has, too, come first, as in
    the table of the Run panel.
    """
    inputs: list[str] = []
    results: dict[str, None] = {}
    titles: set[str] | None = None  # the columns of the input that each row so far has for a title
    async for piece, values in _pieces(recipient, runs):
        for run, (given, result) in zip(piece, values, strict=True):
            _add_names(inputs, given)
            results |= dict.fromkeys(result)
            same = {name for name, value in given.items() if title_of(as_text(value)) == run.title}
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


def _values(session: Session, runs: Sequence[BatchRun]) -> list[Values]:
    def of(run: BatchRun, name: str) -> Any:
        stored = find_value(session, run.job.id, name)
        return stored.value if stored is not None else None

    return [(_fields(of(run, "payload")), _result(of(run, "result"))) for run in runs]


def _fields(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _result(result: Any) -> dict[str, Any]:
    answer = answer_of(result)
    return answer if isinstance(answer, dict) else _fields(result)


def _facts(run: BatchRun, refused: str) -> list[Any]:
    job = run.job
    took = job.run_ms / 1000 if job.run_ms is not None and job.started_at else ""
    price = "" if job.cost_nanos is None else f"{job.cost_nanos / 1e9:.9f}".rstrip("0").rstrip(".")
    error = str((job.error or {}).get("message") or "")
    status = STATES[job_state(job)][0]
    if refused and job.status == "completed":
        status = f"{status}. {refused}"
    return [status, error, run.row, run.title, job.id, took, price]
