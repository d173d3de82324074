"""`GET /jobs/{job_id}/events`: what happens to a job as server-sent events, from the stored numbers, without gap or repeat."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api import parameters
from api.context import Context
from api.job_view import dump
from engine.clock import to_rfc3339
from engine.errors import NotFound, Unauthorized
from engine.jobs.accept import Caller, read_key_again
from storage.events import EventRow, list_events
from storage.jobs import JobRow, get_job

#: A comment is sent after so many seconds without an event, so that nothing between takes the stream for dead.
COMMENT_SECONDS = 15
_PAGE = 500
_LAST = {"job.completed", "job.failed", "job.cancelled"}
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


async def stream_events(context: Context, request: Request) -> Response:
    """Everything that happened, then everything that happens; ends with the job's last event, or when the key counts no more."""
    caller = context.caller(request)
    parameters.query(request)
    job_id: str = request.path_params["job_id"]
    after = _last_event_id(request)
    await context.database.read(get_job, caller.workspace_id, job_id, caller.scope)
    if request.method == "HEAD":
        return Response(headers=_HEADERS, media_type="text/event-stream")
    return StreamingResponse(_follow(context, caller, job_id, after), headers=_HEADERS, media_type="text/event-stream")


async def _follow(context: Context, caller: Caller, job_id: str, after: int) -> AsyncIterator[bytes]:
    async with context.hub.subscribe(job_id) as changes:  # before reading: no change is missed
        heard = True
        while not context.stopping.is_set():
            try:
                job, rows = await context.database.read(_read_on, caller, job_id, after)
            except (Unauthorized, NotFound):
                return  # the key was revoked, has expired or may not see this job any more; or the job is gone
            for row in rows:
                after = row.seq
                yield event_text(job_id, row)
                if row.name in _LAST:
                    return
            if len(rows) == _PAGE:
                continue
            if job.ended and not rows:
                return
            if not heard and not rows:
                yield b": still here\n\n"
            heard = await context.unless_stopping(changes.wait(COMMENT_SECONDS))


def _read_on(session: Session, caller: Caller, job_id: str, after: int) -> tuple[JobRow, list[EventRow]]:
    """What has happened since event `after`. Raises Unauthorized and NotFound as a new request would."""
    caller = read_key_again(session, caller)
    job = get_job(session, caller.workspace_id, job_id, caller.scope)
    return job, list_events(session, caller.workspace_id, job_id, after, _PAGE)


def event_text(job_id: str, row: EventRow) -> bytes:
    """One event as it goes over the wire."""
    data = {"job_id": job_id, "seq": row.seq, "at": to_rfc3339(row.at), **row.data}
    return f"id: {row.seq}\nevent: {row.name}\ndata: ".encode() + dump(data) + b"\n\n"


def _last_event_id(request: Request) -> int:
    text = parameters.single_header(request, "Last-Event-ID")
    if text is None:
        return 0
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise parameters.invalid("Last-Event-ID", "must be the number of an event")
    return int(text)
