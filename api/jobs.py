"""Reading, listing and cancelling jobs. A key sees the jobs of its own environment; anything else is unknown to it."""

from __future__ import annotations

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from api import parameters
from api.context import Context
from api.job_view import dump, etag_matches, etag_of, with_result
from engine.actions.jobs import cancel
from engine.errors import Expired
from engine.jobs.accept import Caller
from engine.jobs.published import job_view
from storage.job_results import LIST_CAP, result_sizes, result_texts
from storage.jobs import JobFilters, JobRow, cursor_after, get_job, list_jobs

#: Callers ask again after so many seconds while a job has not ended.
ASK_AGAIN_SECONDS = 2
CANCEL_WAIT_SECONDS = 3
#: A page of a list ends before it has more bytes than this; it has at least one job.
PAGE_BYTES = 512 * 1024
STATUSES = ("queued", "processing", "completed", "failed", "cancelled")


async def read_job(context: Context, request: Request) -> Response:
    """`GET /jobs/{job_id}`, with `wait` until it has ended."""
    caller = context.caller(request)
    job_id: str = request.path_params["job_id"]
    wait = parameters.wait_seconds(request, parameters.query(request, "wait"))
    answer, job = await job_answer(context, request, caller, job_id)
    if wait and not job.ended:
        caller = await context.until_ended(caller, job_id, wait)
        answer, _ = await job_answer(context, request, caller, job_id)
    if wait and "prefer" in request.headers:
        answer.headers["Preference-Applied"] = f"wait={wait}"
    return answer


async def list_own_jobs(context: Context, request: Request) -> Response:
    """`GET /jobs`: a page, newest first. It ends early, with a cursor, before it is larger than `PAGE_BYTES`."""
    caller = context.caller(request)
    sent = parameters.query(request, "status", "flow_id", "created_after", "limit", "cursor")
    status = sent.get("status")
    if status is not None and status not in STATUSES:
        raise parameters.invalid("status", f"must be one of {', '.join(STATUSES)}")
    flow_id = sent.get("flow_id")
    if flow_id is not None and not parameters.is_id(flow_id):
        raise parameters.invalid("flow_id", "is not the id of a flow")
    filters = JobFilters(
        statuses=() if status is None else (status,),
        environments=(caller.environment,),
        flow_id=flow_id,
        flow_ids=caller.flow_ids,
        created_after=parameters.moment("created_after", sent["created_after"]) if "created_after" in sent else None,
    )
    limit = parameters.whole_number("limit", sent.get("limit", "50"), 1, 100)
    content = await context.database.read(_read_page, caller, filters, limit, sent.get("cursor"))
    return Response(content, headers={"Cache-Control": "no-store"}, media_type="application/json")


async def cancel_job(context: Context, request: Request) -> Response:
    """`POST /jobs/{job_id}/cancel`: waits up to 3 seconds for the work to stop, then answers with the job as it is."""
    caller = context.caller(request)
    parameters.query(request)
    job_id: str = request.path_params["job_id"]
    job = await context.database.write(cancel, caller, job_id)
    if not job.ended:
        caller = await context.until_ended(caller, job_id, CANCEL_WAIT_SECONDS)
    answer, _ = await job_answer(context, request, caller, job_id, conditional=False)
    answer.headers["Cache-Control"] = "no-store"
    return answer


async def job_answer(
    context: Context, request: Request, caller: Caller, job_id: str, *, conditional: bool = True
) -> tuple[Response, JobRow]:
    """The job as a response, and its row. 304 when the caller has it already. Raises NotFound, Expired."""
    job, content = await context.database.read(_read_job, caller, job_id)
    headers = {"ETag": etag_of(content), "Cache-Control": "private, no-cache"}
    if not job.ended:
        headers["Retry-After"] = str(ASK_AGAIN_SECONDS)
    if conditional and request.method == "GET" and etag_matches(headers["ETag"], request.headers.get("if-none-match")):
        return Response(status_code=304, headers=headers), job
    return Response(content, headers=headers, media_type="application/json"), job


def _read_job(session: Session, caller: Caller, job_id: str) -> tuple[JobRow, bytes]:
    job = get_job(session, caller.workspace_id, job_id, caller.scope)
    view = dump(job_view(job, None))
    if job.status != "completed":
        return job, view
    if not job.has_result:
        raise Expired("Results are kept for a limited time, and this one's is over")
    return job, with_result(view, result_texts(session, [job_id])[job_id])


def _read_page(session: Session, caller: Caller, filters: JobFilters, limit: int, cursor: str | None) -> bytes:
    """The page as JSON, written here: what is built at the same time is bounded by the number of reader threads."""
    page = list_jobs(session, caller.workspace_id, filters, limit, cursor)
    sizes = result_sizes(session, [job.id for job in page.jobs if job.status == "completed"])
    rows: list[tuple[JobRow, bytes]] = []
    total = 0
    for job in page.jobs:
        size = sizes.get(job.id, 0)
        truncated = {"result_truncated": True} if size > LIST_CAP else {}
        row = dump(job_view(job, None) | truncated)
        total += len(row) + (0 if truncated else size)
        if rows and total > PAGE_BYTES:
            break
        rows.append((job, row))
    texts = result_texts(session, [job.id for job, _ in rows if 0 < sizes.get(job.id, 0) <= LIST_CAP])
    data = [with_result(row, texts.get(job.id, b"null")) for job, row in rows]
    next_cursor = page.next_cursor if len(rows) == len(page.jobs) else cursor_after(rows[-1][0])
    return b'{"data":[' + b",".join(data) + b'],"next_cursor":' + dump(next_cursor) + b"}"
