"""Submitting: one payload, or a batch of them. The row is on disk before the answer goes out."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from api import parameters
from api.context import Context
from api.job_view import dump, job_path
from api.jobs import job_answer
from api.json_body import may_be_large
from api.limit_headers import limit_headers
from engine.actions.jobs import SubmitOptions, submit
from engine.clock import to_rfc3339
from engine.jobs.accept import Accepted, Caller, check_flow_allowed, find_live_flow, read_key_again
from engine.jobs.batches import accept_batch

#: Headers that ask for something; most calls have none.
_OPTIONAL = {b"x-flow-version", b"cancel-after", b"x-webhook-url", b"idempotency-key", b"traceparent"}


async def run_flow(context: Context, request: Request) -> Response:
    """`POST /flows/execute/{flow_id}`: 202 with the job's id, or 200 with the job when it ended while the caller waited."""
    caller = context.submitter(request)
    context.refuse_when_stopping()
    flow_id: str = request.path_params["flow_id"]
    wait = parameters.wait_seconds(request, parameters.query(request, "wait"))
    options = _options(request, f"/flows/execute/{flow_id}")
    if may_be_large(request):
        context.database.look_up(_check_flow, caller, flow_id, options)
    payload = await context.bodies.read_json(request)
    accepted = await context.database.write(submit, caller, flow_id, payload, options)
    request.state.job_id = accepted.job_id
    if not accepted.replayed:
        context.sent_fields.note(caller, flow_id, [payload])
    headers = {
        "Location": job_path(accepted.job_id),
        **limit_headers(accepted.limits, request.state.rate),
        **_replayed(accepted.replayed),
    }
    if wait:
        answer = await _ended(context, request, caller, accepted, wait, headers)
        if answer is not None:
            return answer
    return _accepted(accepted_view(accepted), headers)


async def run_batch(context: Context, request: Request) -> Response:
    """`POST /flows/execute/{flow_id}/batch`: all items or none; they wait for slots in `queued`."""
    caller = context.submitter(request)
    context.refuse_when_stopping()
    parameters.query(request)
    flow_id: str = request.path_params["flow_id"]
    options = _options(request, f"/flows/execute/{flow_id}/batch")
    if may_be_large(request):
        context.database.look_up(_check_flow, caller, flow_id, options)
    body = await context.bodies.read_json(request)
    accepted = await context.database.write(accept_batch, caller, flow_id, body, options)
    if not accepted.replayed:
        context.sent_fields.note(caller, flow_id, body["items"])
    headers = {
        "Location": f"/public/v1/batches/{accepted.batch_id}",
        **limit_headers(accepted.limits, request.state.rate),
        **_replayed(accepted.replayed),
    }
    view = {
        "batch_id": accepted.batch_id,
        "status": "queued",
        "total": accepted.total,
        "job_ids": accepted.job_ids,
    }
    return _accepted(view, headers)


def _check_flow(session: Session, caller: Caller, flow_id: str, options: SubmitOptions) -> None:
    """Refuses before a large body is read what its transaction would refuse after it. Raises as `accept`.

    A repeated request may get the job of a flow that is not deployed any more.
    """
    caller = read_key_again(session, caller)
    if options.idempotency_key is None:
        find_live_flow(session, caller, flow_id)
    else:
        check_flow_allowed(session, caller, flow_id)


def accepted_view(accepted: Accepted) -> dict[str, Any]:
    """The published body of a job that was just accepted."""
    return {
        "job_id": accepted.job_id,
        "status": accepted.status,
        "flow_id": accepted.flow_id,
        "created_at": to_rfc3339(accepted.created_at),
        "url": job_path(accepted.job_id),
    }


def _options(request: Request, route: str) -> SubmitOptions:
    if _OPTIONAL.isdisjoint([name for name, _ in request.scope["headers"]]):
        return SubmitOptions(request_id=request.state.request_id, route=route)
    return SubmitOptions(
        version=parameters.flow_version(request),
        cancel_after_seconds=parameters.cancel_after(request),
        webhook_url=parameters.webhook_url(request),
        idempotency_key=parameters.idempotency_key(request),
        request_id=request.state.request_id,
        traceparent=parameters.traceparent(request),
        route=route,
    )


async def _ended(
    context: Context, request: Request, caller: Caller, accepted: Accepted, wait: int, headers: dict[str, str]
) -> Response | None:
    caller = await context.until_ended(caller, accepted.job_id, wait)
    answer, job = await job_answer(context, request, caller, accepted.job_id)
    if not job.ended:
        return None
    answer.headers.update({**headers, "Cache-Control": "no-store", "Preference-Applied": f"wait={wait}"})
    return answer


def _replayed(replayed: bool) -> dict[str, str]:  # noqa: FBT001 - one fact in, one header out
    return {"Idempotent-Replayed": "true"} if replayed else {}


def _accepted(body: dict[str, Any], headers: dict[str, str]) -> Response:
    all_headers = {**headers, "Retry-After": "2", "Cache-Control": "no-store"}
    return Response(dump(body), 202, all_headers, media_type="application/json")
