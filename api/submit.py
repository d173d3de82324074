"""Submitting: one payload, or a batch of them. The row is on disk before the answer goes out."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from api import parameters, schemas
from api.context import Context, context_of
from api.errors import UnsupportedMediaType
from api.job_view import dump, job_path
from api.jobs import job_answer
from api.json_body import may_be_large
from api.limit_headers import limit_headers
from api.routes import BASE, RawRoute, refusals, with_headers
from engine import errors
from engine.actions.jobs import SubmitOptions, submit
from engine.clock import to_rfc3339
from engine.jobs.accept import Accepted, Caller, check_flow_allowed, find_live_flow, read_key_again
from engine.jobs.batches import accept_batch

#: Headers that ask for something; most calls have none.
_OPTIONAL = {b"x-flow-version", b"cancel-after", b"x-webhook-url", b"idempotency-key", b"traceparent"}


router = APIRouter(prefix=BASE, route_class=RawRoute, tags=["flows"])
_REFUSALS = refusals(
    errors.PayloadInvalid,
    errors.InvalidJson,
    errors.NotAllowed,
    errors.NotFound,
    errors.NotDeployed,
    errors.IdempotencyInProgress,
    errors.TooLarge,
    UnsupportedMediaType,
    errors.IdempotencyKeyReused,
    errors.ConcurrencyLimitExceeded,
    errors.MonthlyQuotaExceeded,
)
_TOLD = with_headers("Location", "Retry-After", "RateLimit")


def _links(name: str, *operation_ids: str) -> dict[str, Any]:
    """What to call with the id that a submit answered."""
    parameters = {name: f"$response.body#/{name}"}
    return {"links": {called: {"operationId": called, "parameters": parameters} for called in operation_ids}}


async def one_payload(payload: schemas.Payload) -> None:
    """Declares the body of a submit."""


async def many_payloads(payload: schemas.BatchPayload) -> None:
    """Declares the body of a batch."""


@router.post(
    "/flows/execute/{flow_id}",
    operation_id="run_flow",
    summary="Run a flow",
    dependencies=[Depends(parameters.waiting), Depends(parameters.submitting), Depends(one_payload)],
    status_code=202,
    response_model=schemas.JobAccepted,
    response_description="A job was stored and will run",
    responses={
        200: {"model": schemas.Job, "description": "The job has ended within the time asked for"},
        202: _TOLD | _links("job_id", "get_job", "stream_job_events", "cancel_job"),
        **_REFUSALS,
    },
)
async def run_flow(request: Request, flow_id: parameters.FlowId) -> Response:
    """The body holds the fields of the flow's API Input. Answers at once with a job id; with `wait`, with the job \
when it ends in time.
    """
    context = await context_of(request)
    caller = context.submitter(request)
    context.refuse_when_stopping()
    wait = parameters.wait_seconds(request, parameters.query(request))
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


@router.post(
    "/flows/execute/{flow_id}/batch",
    operation_id="run_flow_batch",
    summary="Run a flow for many payloads",
    dependencies=[Depends(parameters.submitting), Depends(many_payloads)],
    status_code=202,
    response_model=schemas.BatchAccepted,
    response_description="All items were stored and will run",
    responses={202: _TOLD | _links("batch_id", "get_batch", "get_batch_results", "cancel_batch"), **_REFUSALS},
)
async def run_batch(request: Request, flow_id: parameters.FlowId) -> Response:
    """At most 1,000 items. All are checked before any is accepted; they run within the concurrency limit."""
    context = await context_of(request)
    caller = context.submitter(request)
    context.refuse_when_stopping()
    parameters.query(request)
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
        "status": accepted.status,
        "total": accepted.total,
        "job_ids": accepted.job_ids,
    }
    return _accepted(view, headers)


ROUTES = router.routes


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
