"""`GET /jobs/{job_id}/events`: streams the stored events of a job as server-sent events, each exactly once and in
order.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import APIRouter
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from api.http import parameters
from api.http.context import Context
from api.http.job_answers import dump, in_lines
from api.http.route_classes import BASE, ByKey, FromApp, PublicRoute, Stream, refusals, with_headers
from engine.core.clock import to_rfc3339
from engine.core.errors import NotFound, Unauthorized
from engine.jobs.job_views import place_in_batch, published_code, question_view
from engine.jobs.submit.accept import Caller, read_key_again
from engine.secrets.question_links import question_link_path
from storage.events import EventRow, list_events
from storage.jobs import JobRow, get_job
from storage.questions import QuestionRow, find_question

#: A comment is sent after this many seconds without an event, so that proxies do not close the connection as idle.
COMMENT_SECONDS = 15
_PAGE = 500
_LAST = {"job.completed", "job.failed", "job.cancelled"}
_OF_FAILED = ("code", "message", "node_id")
#: The stream is documented by an example without a schema: tools differ in whether the schema of a stream describes one
#: event or the whole body.
_EXAMPLE = {
    #: OpenAPI 3.2 has `itemSchema` for this; 3.1 has no keyword for the items of a stream.
    "x-itemSchema": {"$ref": "#/components/schemas/StreamEvent"},
    "example": "id: 1\nevent: job.queued\n"
    'data: {"job_id":"job_3nXq8TfW2LrKc0ZbYp5VdA","seq":1,"at":"2026-01-31T12:00:00.000Z"}\n\n',
}

router = APIRouter(prefix=BASE, route_class=PublicRoute, tags=["jobs"])


class EventStream(Stream):
    """A response of server-sent events."""

    media_type = "text/event-stream"


@router.get(
    "/jobs/{job_id}/events",
    operation_id="stream_job_events",
    summary="Follow a job as server-sent events",
    response_class=EventStream,
    response_description="Follow a job as server-sent events",
    responses={
        200: {"content": {EventStream.media_type: _EXAMPLE}} | with_headers("X-Accel-Buffering"),
        **refusals(NotFound),
    },
)
async def stream_events(
    caller: ByKey, context: FromApp, request: Request, job_id: parameters.JobId, after: parameters.LastEvent
) -> Response:
    """`id` is the number of the event, `event` its name (`job.queued|processing|completed|failed|cancelled`, \
`step.started|completed|failed|skipped|cancelled`, `step.delta|part|waiting|answered`), `data` JSON with `job_id`, `seq` and `at`, for an item of a \
batch with `batch_id` and `item_index` too; the guide Streaming lists what each has beside them. \
A `step.completed` or `step.skipped` with a `code` failed, and the job went on: with the default value of the step, or without its output. \
A `step.delta` carries `text` of a model as it arrives; text of another `call` of the step begins anew. \
Last-Event-ID goes on after that number. The stream ends with the job. Of a job whose events are not kept any more it has the \
last event alone; with `data_erased_at` when its data were erased.
    """
    await context.database.read(get_job, caller.workspace_id, job_id, caller.scope)
    context.held.check(caller)

    def view(question: QuestionRow) -> dict[str, Any]:
        return question_view(question, context.base_url(request) + question_link_path(context.vault, question.id))

    return EventStream(request, _follow(context, caller, request, job_id, after, view))


async def _follow(
    context: Context,
    caller: Caller,
    request: Request,
    job_id: str,
    after: int,
    view: Callable[[QuestionRow], dict[str, Any]],
) -> AsyncIterator[bytes]:
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(context.held.counted(caller, request))
        # subscribed before reading, so that no change is missed
        changes = await stack.enter_async_context(context.waiters.subscribe(job_id))
        heard = True
        while not context.stopping.is_set():
            try:
                job, rows, asked = await context.database.read(_read_on, caller, job_id, after)
            except (Unauthorized, NotFound):
                return  # the key or its access to the job was revoked, the key expired, or the job was deleted
            if job.ended and not rows and after > job.last_seq:
                # no event has that number, so the last event is sent, which tells that the job has ended
                after = max(job.last_seq - 1, 0)
                continue
            for row in rows:
                after = row.seq
                question = asked.get(row.data.get("question_id", "")) if row.name == "step.waiting" else None
                yield event_text(job, row, None if question is None else view(question))
                if row.name in _LAST:
                    return
            if len(rows) == _PAGE:
                continue
            if job.ended and not rows:
                # the events were erased or their retention has ended
                if job.data_erased_at is not None or after < job.last_seq:
                    yield event_text(job, _end_alone(job))
                return
            if not heard and not rows:
                yield b": still here\n\n"
            heard = await context.unless_stopping(changes.wait(COMMENT_SECONDS))


def _read_on(
    session: Session, caller: Caller, job_id: str, after: int
) -> tuple[JobRow, list[EventRow], dict[str, QuestionRow]]:
    """Returns the events after number `after`, and the questions that they name. Raises Unauthorized and NotFound as a new request would."""
    caller = read_key_again(session, caller)
    job = get_job(session, caller.workspace_id, job_id, caller.scope)
    events = list_events(session, caller.workspace_id, job_id, after, _PAGE)
    asked = [event.data["question_id"] for event in events if event.name == "step.waiting"]
    found = (find_question(session, question_id) for question_id in asked)
    return job, events, {question.id: question for question in found if question is not None}


def _end_alone(job: JobRow) -> EventRow:
    """Builds the last event of a job whose events are deleted. Without a final event, clients that reconnect
    automatically would never stop.
    """
    failed = {name: (job.error or {}).get(name) for name in _OF_FAILED} if job.status == "failed" else {}
    lost = {"steps_failed": job.steps_failed} if job.went_on else {}
    at = job.data_erased_at
    erased = {} if at is None else {"data_erased_at": to_rfc3339(at)}
    return EventRow(
        max(job.last_seq, 1), job.completed_at or at or 0, f"job.{job.status}", {**failed, **lost, **erased}
    )


def event_text(job: JobRow, row: EventRow, question: dict[str, Any] | None = None) -> bytes:
    """Returns one event in the text format of server-sent events. `question`: what a `step.waiting` asks."""
    data = {"job_id": job.id, **place_in_batch(job), "seq": row.seq, "at": to_rfc3339(row.at), **row.data}
    if question is not None:
        data["question"] = question
    if "code" in data:
        data["code"] = published_code(data["code"])
    return f"id: {row.seq}\nevent: {row.name}\ndata: ".encode() + in_lines(dump(data)) + b"\n\n"
