"""The results of a Playground batch as a CSV file: a line per row, with its input and result in columns (rule S30)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

from fastapi import FastAPI
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from engine.core.clock import Millis
from engine.flow.references import as_text
from engine.table_files.writing import MARK, csv_line
from storage.batches import BatchRun, PlaygroundBatchRow, find_playground_batch, list_batch_runs
from storage.jobs import find_value
from storage.playground_batches import list_rows_outside_jobs
from storage.sessions import find_signed_in
from ui.access_guard import stranger_answer
from ui.file_download import Recipient, csv_named, sent_file
from ui.page_session import COOKIE, App
from ui.page_shell import nothing_here

PATH = "/playground/batches/{batch_id}/results.csv"
PIECE = 100
HEAD = ("row", "title", "status", "job_id", "seconds", "cost_usd", "error")

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
    inputs, results = await _names(recipient, runs)
    yield MARK + csv_line([*HEAD, *(f"input.{name}" for name in inputs), *(f"result.{name}" for name in results)])
    async for piece, values in _pieces(recipient, runs):
        yield "".join(
            csv_line(
                [
                    *_facts(run),
                    *(as_text(given.get(name)) for name in inputs),
                    *(as_text(result.get(name)) for name in results),
                ]
            )
            for run, (given, result) in zip(piece, values, strict=True)
        )
    yield "".join(csv_line([row.row, row.title, row.state, "", "", "", row.text]) for row in outside.values())


async def _pieces(
    recipient: Recipient, runs: Sequence[BatchRun]
) -> AsyncIterator[tuple[Sequence[BatchRun], list[Values]]]:
    """Yields the rows a hundred at a time, with their values."""
    for start in range(0, len(runs), PIECE):
        piece = runs[start : start + PIECE]
        yield piece, await recipient.read(_values, piece)


async def _names(recipient: Recipient, runs: Sequence[BatchRun]) -> tuple[list[str], list[str]]:
    """Returns the names that stand in any input and in any result, in the order in which they come."""
    inputs: dict[str, None] = {}
    results: dict[str, None] = {}
    async for _piece, values in _pieces(recipient, runs):
        for given, result in values:
            inputs |= dict.fromkeys(given)
            results |= dict.fromkeys(result)
    return list(inputs), list(results)


def _values(session: Session, runs: Sequence[BatchRun]) -> list[Values]:
    return [(_object(session, run, "payload"), _object(session, run, "result")) for run in runs]


def _object(session: Session, run: BatchRun, name: str) -> dict[str, Any]:
    stored = find_value(session, run.job.id, name)
    value = stored.value if stored is not None else None
    return value if isinstance(value, dict) else {}


def _facts(run: BatchRun) -> list[Any]:
    job = run.job
    took = job.run_ms / 1000 if job.run_ms is not None and job.started_at else ""
    price = "" if job.cost_nanos is None else f"{job.cost_nanos / 1e9:.9f}".rstrip("0").rstrip(".")
    return [run.row, run.title, job.status, job.id, took, price, str((job.error or {}).get("message") or "")]
