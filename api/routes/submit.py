"""Routes that submit one payload or a batch of payloads. The job is committed to disk before the response is sent."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.dependencies.utils import get_dependant
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from api.http import parameters, schemas
from api.http.context import Context, context_of
from api.http.job_answers import dump, job_path
from api.http.json_body import may_be_large, weighed_batch, weighed_object
from api.http.limit_headers import limit_headers
from api.http.problem_json import UnsupportedMediaType
from api.http.route_classes import BASE, RawRoute, refusals, with_headers
from api.routes.jobs import ASK_AGAIN_SECONDS, job_answer
from engine.actions.jobs import SubmitOptions, submit_many
from engine.core import errors
from engine.core.clock import to_rfc3339
from engine.core.job_status import ENDED
from engine.flow.node_context import NodeFailed
from engine.jobs.submit.accept import (
    Accepted,
    Caller,
    Submit,
    check_flow_allowed,
    find_live_flow,
    read_key_again,
)
from engine.jobs.submit.batches import AcceptedBatch, accept_batch, check_items

#: The headers that change a submit; most calls have none of them. The id of the request is read for every call.
_OPTIONAL = {
    header.alias.lower().encode() for header in get_dependant(path="/", call=parameters.submitting).header_params
} - {b"x-request-id"}


router = APIRouter(prefix=BASE, route_class=RawRoute, tags=["flows"])
_BATCH_REFUSED = (
    errors.PayloadInvalid,
    errors.InvalidJson,
    errors.NotAllowed,
    errors.NotFound,
    errors.NotDeployed,
    errors.IdempotencyInProgress,
    errors.TooLarge,
    UnsupportedMediaType,
    errors.IdempotencyKeyReused,
    errors.MonthlyQuotaExceeded,
)
#: The items of a batch wait until there is a slot for them.
_REFUSED = (*_BATCH_REFUSED, errors.ConcurrencyLimitExceeded)
_TOLD = ("Location", "RateLimit", "RateLimit-Policy", "Idempotent-Replayed")
_ACCEPTED = with_headers(*_TOLD, "Retry-After")


def _links(name: str, *operation_ids: str) -> dict[str, Any]:
    """Declares, for the OpenAPI document, the operations that take the id in the response."""
    parameters = {name: f"$response.body#/{name}"}
    return {"links": {called: {"operationId": called, "parameters": parameters} for called in operation_ids}}


async def one_payload(payload: schemas.Payload) -> None:
    """Declares the body of a submit for the OpenAPI document."""


async def many_payloads(payload: schemas.BatchPayload) -> None:
    """Declares the body of a batch for the OpenAPI document."""


@router.post(
    "/flows/execute/{flow_id}",
    operation_id="run_flow",
    summary="Run a flow",
    dependencies=[Depends(parameters.waiting), Depends(parameters.submitting), Depends(one_payload)],
    status_code=202,
    response_model=schemas.JobAccepted,
    response_description="A job was stored and will run",
    responses={
        200: {
            "model": schemas.Job,
            "description": "The job has ended within the time asked for",
            **with_headers(*_TOLD, "ETag", "Preference-Applied"),
        },
        202: _ACCEPTED | _links("job_id", "get_job", "stream_job_events", "cancel_job"),
        **refusals(*_REFUSED),
    },
)
async def run_flow(request: Request, flow_id: parameters.FlowId) -> Response:
    """The body holds the fields of the flow's API Input, in at most 10 MiB, 10,000 keys and 200,000 values; an empty body counts as `{}`. Answers at once with a job id; with `wait`, with the job \
when it ends in time.
    """
    context, caller, options = await _read_head(request, flow_id)
    wait = parameters.wait_seconds(request, request.query_params.get("wait"))
    with context.held.place(caller, request) if wait else contextlib.nullcontext() as peer:  # before a job is stored
        accepted = await _accept(context, request, caller, flow_id, options)
        request.state.job_id = accepted.job_id
        headers = _headers(request, accepted, job_path(accepted.job_id))
        if wait:
            caller = await context.until_ended(caller, accepted.job_id, wait, peer=peer, is_new=not accepted.replayed)
            answer, job = await job_answer(context, request, caller, accepted.job_id, after_wait=True)
            if job.ended:
                answer.headers.update(headers | {"Preference-Applied": f"wait={wait}"})
                return answer
    view = {
        "job_id": accepted.job_id,
        "status": accepted.status,
        "flow_id": accepted.flow_id,
        "created_at": to_rfc3339(accepted.created_at),
        "url": job_path(accepted.job_id),
    }
    return _accepted(view, headers)


@router.post(
    "/flows/execute/{flow_id}/batch",
    operation_id="run_flow_batch",
    summary="Run a flow for many payloads",
    dependencies=[Depends(parameters.submitting), Depends(many_payloads)],
    status_code=202,
    response_model=schemas.BatchAccepted,
    response_description="All items were stored and will run",
    responses={
        202: _ACCEPTED | _links("batch_id", "get_batch", "get_batch_results", "cancel_batch"),
        **refusals(*_BATCH_REFUSED),
    },
)
async def run_batch(request: Request, flow_id: parameters.FlowId) -> Response:
    """At most 1,000 items, with 10 MiB and 200,000 values together and 10,000 keys each. All are checked before any is accepted; they run within the concurrency limit. A webhook is called \
for each item, and once with `batch.completed` when all have ended.
    """
    context, caller, options = await _read_head(request, flow_id)
    checks, database = context.checks, context.database
    body, weight = await context.bodies.read_json(request, caller.workspace_id, weighed_batch)
    accepted = await checks.accepted(
        flow_id,
        lambda: checks.check(caller, flow_id, body, options, weight, check_items),
        lambda checked: database.write(accept_batch, caller, flow_id, body, options, checked),
        await checks.check(caller, flow_id, body, options, weight, check_items),
    )
    if not accepted.replayed:
        context.sent_fields.note(caller, flow_id, body["items"])
    view = {
        "batch_id": accepted.batch_id,
        "status": accepted.status,
        "total": accepted.total,
        "job_ids": accepted.job_ids,
        "flow_id": flow_id,
        "created_at": to_rfc3339(accepted.created_at),
        "url": f"{BASE}/batches/{accepted.batch_id}",
    }
    return _accepted(view, _headers(request, accepted, view["url"]))


async def _accept(context: Context, request: Request, caller: Caller, flow_id: str, options: SubmitOptions) -> Accepted:
    """Reads the body and stores the job. Whoever waits for its end keeps nothing of the body."""
    checks, database = context.checks, context.database
    payload, weight = await context.bodies.read_json(request, caller.workspace_id, weighed_object)
    checked = await checks.check(caller, flow_id, payload, options, weight) if may_be_large(request) else None
    accepted = await checks.accepted(
        flow_id,
        lambda: checks.check(caller, flow_id, payload, options, weight),
        lambda checked: database.write_joined(submit_many, Submit(caller, flow_id, payload, options, checked)),
        checked,
    )
    if not accepted.replayed:
        context.sent_fields.note(caller, flow_id, [payload])
    return accepted


async def _read_head(request: Request, flow_id: str) -> tuple[Context, Caller, SubmitOptions]:
    """Reads of a submit what comes before the body: the caller and the options."""
    context = await context_of(request)
    caller = await context.caller(request, lately=True)
    context.refuse_when_stopping()
    parameters.query(request)
    options = await _options(context, request)
    if may_be_large(request):
        await context.database.find(_check_flow, caller, flow_id, options)
    return context, caller, options


def _check_flow(session: Session, caller: Caller, flow_id: str, options: SubmitOptions) -> None:
    """Refuses, before a large body is read, what the transaction would refuse afterwards. Raises as `accept`.

    With an Idempotency-Key the flow need not be deployed any more, because a repeated request gets the job of the first
    one.
    """
    caller = read_key_again(session, caller)
    if options.idempotency_key is None:
        find_live_flow(session, caller, flow_id)
    else:
        check_flow_allowed(session, caller, flow_id)


async def _options(context: Context, request: Request) -> SubmitOptions:
    route = request.scope["path"].removeprefix(BASE)
    if _OPTIONAL.isdisjoint([name for name, _ in request.scope["headers"]]):
        return SubmitOptions(request_id=request.state.request_id, route=route)
    return SubmitOptions(
        version=parameters.number_header(request, "X-Flow-Version", parameters.MAX_VERSION),
        cancel_after_seconds=parameters.number_header(request, "Cancel-After", parameters.MAX_CANCEL_AFTER),
        webhook_url=await _webhook_url(context, request),
        idempotency_key=parameters.idempotency_key(request),
        request_id=request.state.request_id,
        trace=parameters.trace(request),
        route=route,
    )


async def _webhook_url(context: Context, request: Request) -> str | None:
    """Returns the webhook URL of the call. Raises ParameterInvalid when the current rules for outbound requests do not
    allow it.
    """
    url = parameters.webhook_url(request)
    if url is not None:
        from engine.jobs.outbound_rules import check_callers_address, outbound_rules

        rules = await asyncio.to_thread(outbound_rules, context.settings, context.database)
        try:
            check_callers_address(rules, url)
        except NodeFailed as error:
            raise parameters.invalid("X-Webhook-Url", f"can never be delivered: {error.message}") from error
    return url


def _headers(request: Request, accepted: Accepted | AcceptedBatch, location: str) -> dict[str, str]:
    replayed = {"Idempotent-Replayed": "true"} if accepted.replayed else {}
    return {"Location": location, **limit_headers(accepted.limits, request.state.rate), **replayed}


def _accepted(body: dict[str, Any], headers: dict[str, str]) -> Response:
    again = {} if body["status"] in ENDED else {"Retry-After": str(ASK_AGAIN_SECONDS)}
    return Response(dump(body), 202, {**headers, **again, "Cache-Control": "no-store"}, media_type="application/json")
