"""The filtered list of jobs as a CSV or Excel file, read in pieces (S30). No cell of it is a formula."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from engine.core.clock import to_rfc3339
from storage.job_documents import list_flow_titles, list_key_labels
from storage.jobs import JobFilters, JobRow, list_jobs
from storage.schedules import list_started_by_hand
from storage.sessions import find_signed_in
from storage.triggers import list_trigger_titles
from ui.access_guard import stranger_answer
from ui.file_download import Pieces, Recipient, form_of, named_by_time, sent_table
from ui.jobs.filters import Narrowed
from ui.kit.text import Reader
from ui.page_session import COOKIE, App
from ui.parts.job_words import dollars, environment_word, job_state, trigger_title

CSV_PATH = "/jobs/export.csv"
EXCEL_PATH = "/jobs/export.xlsx"
PIECE = 500
HEAD = (
    "job_id", "status", "flow_id", "flow", "flow_version", "environment", "key", "created_at", "started_at",
    "completed_at", "execution_time_seconds", "attempts", "cost_usd", "input_tokens", "output_tokens", "model_calls",
    "simulated", "error_code", "error_node", "error_message", "request_id", "steps_failed", "started_by",
)  # fmt: skip


def add_routes(root: FastAPI, app: App) -> None:
    """Registers the routes of the files. They are plain routes, so they create no NiceGUI client."""

    @root.get(CSV_PATH, include_in_schema=False)
    @root.get(EXCEL_PATH, include_in_schema=False)
    async def jobs_file(request: Request) -> Response:
        cookie = request.cookies.get(COOKIE, "")
        person = await app.database.read_briefly(find_signed_in, cookie)
        if person is None:
            return await stranger_answer(app, request)
        now = app.database.clock.now()
        zone = Reader.of(request.cookies).zone
        filters = Narrowed.of(dict(request.query_params)).filters(now, zone)
        recipient = Recipient(app, cookie, person.workspace_id)
        return sent_table(recipient, named_by_time("jobs", now), form_of(request), _rows(recipient, filters))


async def _rows(recipient: Recipient, filters: JobFilters) -> Pieces:
    workspace_id = recipient.workspace_id
    titles = await recipient.read(list_flow_titles, workspace_id)
    keys = await recipient.read(list_key_labels, workspace_id)
    keys |= await recipient.read(list_trigger_titles, workspace_id)
    yield [HEAD]
    cursor: str | None = None
    while True:
        page = await recipient.read(list_jobs, workspace_id, filters, PIECE, cursor)
        by_hand = await recipient.read(list_started_by_hand, workspace_id, page.jobs)
        yield [_cells(job, titles, keys, by_hand) for job in page.jobs]
        cursor = page.next_cursor
        if cursor is None:
            return


def _cells(
    job: JobRow, titles: Mapping[str, str], keys: Mapping[str, str], by_hand: Collection[str]
) -> tuple[Any, ...]:
    error = job.error or {}
    took = job.run_ms / 1000 if job.run_ms is not None and job.started_at else ""
    return (
        job.id,
        job_state(job),
        job.flow_id,
        titles.get(job.flow_id, ""),
        job.flow_version,
        environment_word(job.environment),
        keys.get(job.key_id or "", ""),
        *(to_rfc3339(at) if at else "" for at in (job.created_at, job.started_at, job.completed_at)),
        took,
        job.attempts,
        dollars(job),
        job.input_tokens,
        job.output_tokens,
        job.model_calls,
        "yes" if job.simulated else "no",
        error.get("code"),
        error.get("node_label") or error.get("node_id"),
        error.get("message"),
        job.request_id,
        job.steps_failed,
        trigger_title(job, keys, by_hand) if job.trigger else "",
    )
