"""Routes that read, list, cancel and erase jobs. A key sees the jobs of its own environment; all others are not found."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from api.http import parameters, schemas
from api.http.context import Context, context_of
from api.http.cursors import cursor_of, place_of
from api.http.job_answers import dump, etag_matches, etag_of, with_result
from api.http.parameters import IfNoneMatch, JobId
from api.http.route_classes import BASE, ByKey, FromApp, PublicRoute, RawRoute, refusals, with_headers
from engine.actions.erasing import erase_job, find_copies
from engine.actions.jobs import cancel
from engine.core.errors import Expired, JobNotCancellable, JobNotEnded, NotFound
from engine.jobs.job_views import job_view
from engine.jobs.server.erasing import WAIT_SECONDS, finish_erasing_soon
from engine.jobs.submit.accept import Caller
from engine.jobs.transitions import require_cancelled
from storage.cursors import cursor_after
from storage.job_results import LIST_CAP, result_sizes, result_texts
from storage.jobs import (
    JobFilters,
    JobRow,
    WantedJob,
    find_job_and_result,
    find_jobs_and_small_results,
    list_jobs,
    no_such_job,
)

#: Value of Retry-After while a job has not ended.
ASK_AGAIN_SECONDS = 2
CANCEL_WAIT_SECONDS = 3
#: Limit of the bytes of one page of a list. A page has at least one job, also when that is larger.
PAGE_BYTES = 512 * 1024


router = APIRouter(prefix=BASE, route_class=PublicRoute, tags=["jobs"])
raw = APIRouter(prefix=BASE, route_class=RawRoute, tags=["jobs"])


async def reading(if_none_match: IfNoneMatch = None) -> None:
    """Declares the header with which reading a job is made conditional."""


@raw.get(
    "/jobs/{job_id}",
    operation_id="get_job",
    summary="Read a job",
    dependencies=[Depends(reading), Depends(parameters.waiting)],
    response_model=schemas.Job,
    response_description="One run of a flow. A job that has ended changes only when its data are erased or expire",
    responses={
        200: with_headers("ETag", "Retry-After", "Preference-Applied"),
        304: {
            "description": "Nothing has changed since that ETag",
            **with_headers("ETag", "Retry-After", "Preference-Applied"),
        },
        **refusals(NotFound, Expired),
    },
)
async def read_job(request: Request, job_id: JobId) -> Response:
    """With `wait`, answers as soon as the job ends. With If-None-Match, 304 while nothing has changed."""
    context = await context_of(request)
    caller = await context.caller(request)
    wait = parameters.wait_seconds(request, parameters.query(request).get("wait"))
    answer, job = await job_answer(context, request, caller, job_id)
    if wait and not job.ended:
        with context.held.place(caller, request) as peer:
            caller = await context.until_ended(caller, job_id, wait, peer=peer)
        answer, _ = await job_answer(context, request, caller, job_id, after_wait=True)
    if wait:
        answer.headers["Preference-Applied"] = f"wait={wait}"
    return answer


@router.get(
    "/jobs",
    operation_id="list_jobs",
    summary="List jobs",
    response_model=schemas.JobList,
    response_description="A page of jobs, newest first",
    responses=refusals(),
)
async def list_own_jobs(
    caller: ByKey,
    context: FromApp,
    status: parameters.Status = None,
    flow_id: parameters.OfFlow = None,
    created_after: parameters.CreatedAfter = None,
    created_before: parameters.CreatedBefore = None,
    limit: parameters.Limit = 50,
    cursor: parameters.Cursor = None,
) -> Response:
    """Newest first; the pages stay stable while jobs arrive. A key sees the jobs of its own environment and of the \
flows it may call. A page ends before it has more than 512 KiB, so it may hold fewer jobs than `limit`: go on \
while `next_cursor` is not null.
    """
    filters = JobFilters(
        statuses=() if status is None else (status,),
        environments=(caller.environment,),
        flow_id=flow_id,
        flow_ids=caller.flow_ids,
        created_after=created_after,
        created_before=created_before,
    )
    which = "jobs", caller.environment, status, flow_id, created_after, created_before
    place = place_of(cursor, *which)
    page, next_place = await context.database.read_in_turn(
        caller.workspace_id, _read_page, caller, filters, limit, place
    )
    content = page + b',"next_cursor":' + dump(cursor_of(next_place, *which)) + b"}"
    return Response(content, headers={"Cache-Control": "no-store"}, media_type="application/json")


@router.post(
    "/jobs/{job_id}/cancel",
    operation_id="cancel_job",
    summary="Cancel a job",
    response_model=schemas.Job,
    response_description="One run of a flow. A job that has ended changes only when its data are erased or expire",
    responses={200: with_headers("ETag", "Retry-After"), **refusals(NotFound, JobNotCancellable)},
)
async def cancel_job(caller: ByKey, context: FromApp, request: Request, job_id: JobId) -> Response:
    """A queued job ends at once. A job at work is stopped: the call waits up to 3 seconds and answers with the job \
as it then is. Cancelling it again is no error: a job that is being cancelled, or was, answers 200. One that is `completed` or \
`failed`, or ends so before it could be stopped, is 409 `job_not_cancellable`.
    """
    job = await context.database.write(cancel, caller, job_id)
    if not job.ended:
        caller = await context.until_ended(caller, job_id, CANCEL_WAIT_SECONDS)
    answer, job = await job_answer(context, request, caller, job_id)
    require_cancelled(job.status)  # its work may have ended meanwhile
    return answer


@router.delete(
    "/jobs/{job_id}/data",
    operation_id="erase_job_data",
    summary="Erase the data of a job",
    response_model=schemas.Job,
    response_description="The job as it then is, without its result",
    responses={200: with_headers("ETag"), **refusals(NotFound, JobNotEnded)},
)
async def erase_job_data(caller: ByKey, context: FromApp, request: Request, job_id: JobId) -> Response:
    """Removes its input, result, steps, events and messages for good and answers with the job as it then is: status, \
times and usage stay, `data_erased_at` says when. Files that nothing else uses go with them, uploads also before their \
`kept_until`. Erasing it again is no error. A job that has not ended is 409 `job_not_ended`, and so is one that \
somebody has run again in the Playground, until that run has ended. Backups made before still hold the data.
    """
    address = request.client.host if request.client else ""
    copies = await context.database.read(find_copies, caller.workspace_id, [job_id])
    await context.database.write(erase_job, caller, job_id, address, copies)
    await finish_erasing_soon(context.database, WAIT_SECONDS)
    answer, _ = await job_answer(context, request, await context.caller_now(caller), job_id)
    return answer


async def job_answer(
    context: Context, request: Request, caller: Caller, job_id: str, *, after_wait: bool = False
) -> tuple[Response, JobRow]:
    """Returns the job as a response, and its row. The response is 304 when the caller already has this state.
    `after_wait`: jobs end together, so those of several callers are read together. Raises NotFound, Expired.
    """
    asked = WantedJob(caller.workspace_id, job_id, caller.scope)
    database = context.database
    if after_wait:
        found = await database.find_joined(find_jobs_and_small_results, asked)
    else:
        [found] = await database.find(find_jobs_and_small_results, [asked])
    if found is not None and found[1] is None and found[0].has_result:  # too large to be read on the event loop
        found = await database.read(find_job_and_result, asked)
    if found is None:
        raise no_such_job(job_id)
    job, result = found
    content = _job_body(job, result)
    headers = {"ETag": etag_of(content), "Cache-Control": "no-store"}
    if not job.ended:
        headers["Retry-After"] = str(ASK_AGAIN_SECONDS)
    if request.method in {"GET", "HEAD"}:
        headers["Cache-Control"] = "private, no-cache"
        if etag_matches(headers["ETag"], ",".join(request.headers.getlist("if-none-match"))):
            return Response(status_code=304, headers=headers), job
    return Response(content, headers=headers, media_type="application/json"), job


def _job_body(job: JobRow, result: str | None) -> bytes:
    """Returns the JSON of a job. Raises Expired when the result of a completed job is not kept any more."""
    view = dump(job_view(job, None))
    if job.status != "completed" or job.data_erased_at is not None:
        return view
    if result is None:
        raise Expired("Results are kept for a limited time, and this one's is over")
    return with_result(view, result.encode())


def _read_page(
    session: Session, caller: Caller, filters: JobFilters, limit: int, place: str | None
) -> tuple[bytes, str | None]:
    """Returns the page as JSON without its end, and where the next one starts. It is encoded here, in a reader thread, so
    that the number of these threads limits how many pages are in memory at the same time.
    """
    page = list_jobs(session, caller.workspace_id, filters, limit, place)
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
    data = [with_result(row, texts.pop(job.id, "null").encode()) for job, row in rows]
    next_place = (
        page.next_cursor if len(rows) == len(page.jobs) else cursor_after(rows[-1][0].created_at, rows[-1][0].id)
    )
    return b'{"data":[' + b",".join(data) + b"]", next_place
