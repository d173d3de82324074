"""The exception handlers of the public API: answer every error as `application/problem+json`, and record refusals."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from api.http.addresses import meant_by
from api.http.context import Context, context_of
from api.http.limit_headers import limit_headers
from api.http.parameters import invalid
from api.http.problem_json import Internal, NoSuchAddress, problem_response
from api.http.request_rate import Rate
from api.http.route_classes import BASE
from engine.core.errors import LimitReached, RateLimited, Refusal, Unavailable
from engine.jobs.submit.accept import Caller
from engine.jobs.submit.limits import limits_now
from storage.usage import Caps

log = logging.getLogger(__name__)


async def answer_refusal(request: Request, refusal: Refusal) -> Response:
    """Answers a refusal. A call without an authenticated caller is counted first, and gets the refusal of the rate
    limit when it is one too many.
    """
    context = await context_of(request)
    request_id = request.state.request_id
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None:
        try:
            await context.count_refused(request)
        except RateLimited as one_too_many:
            refusal = one_too_many
        except Unavailable:
            log.debug("%s: whose call this is was not to be learned", request_id)
    flow_id = request.path_params.get("flow_id", "")
    context.refusals.record(refusal, request_id, caller, flow_id, getattr(request.state, "key_hash", None))
    headers = await _limits(context, request, refusal, caller) if isinstance(refusal, LimitReached) else {}
    return problem_response(refusal, request_id, headers)


async def _answer_http_error(request: Request, error: HTTPException) -> Response:
    return await answer_refusal(request, _no_such_address(request) if error.status_code == 404 else Internal())


async def _answer_invalid(request: Request, error: RequestValidationError) -> Response:
    return await answer_refusal(request, invalid(str(error.errors()[0]["loc"][-1]), "cannot be read"))


async def _answer_fault(request: Request, error: Exception) -> Response:
    log.error("%s: %s %s failed", request.state.request_id, request.method, _route_of(request), exc_info=error)
    return await answer_refusal(request, Internal())


def _route_of(request: Request) -> str:
    """Returns the path of the route: the path itself may hold the secret of a webhook."""
    return getattr(request.scope.get("route"), "path", request.url.path)


async def _leave(request: Request, error: ClientDisconnect) -> None:
    log.info("%s: the caller went away while sending", request.state.request_id)


HANDLERS: dict[Any, Any] = {
    Refusal: answer_refusal,
    HTTPException: _answer_http_error,
    RequestValidationError: _answer_invalid,
    ClientDisconnect: _leave,
    Exception: _answer_fault,
}


def _no_such_address(request: Request) -> Refusal:
    path = request.scope["path"]
    meant = meant_by(path)
    if (meant or path) in {"/public", BASE}:
        remedy = f"Call {BASE}/flows for the flows of your key; /docs describes every call"
        return NoSuchAddress("All addresses of the public API begin like this one, and none ends here", remedy=remedy)
    with_id = path.replace("//", "/id/", 1)
    if (
        with_id != path
        and path.startswith(BASE)
        and any(route.path_regex.match(with_id) for route in request.app.routes)
    ):
        return NoSuchAddress("An id is missing in the address", remedy="Write it between the two slashes")
    if meant is not None and any(route.path_regex.match(meant) for route in request.app.routes):
        return NoSuchAddress("It is nearly an address of the public API", remedy=f"Call {meant[:200]}")
    return NoSuchAddress("The public API has no such call; /public/v1/openapi.json lists them all")


async def _limits(context: Context, request: Request, refusal: Refusal, caller: Caller | None) -> dict[str, str]:
    """Returns the rate limit headers of a refusal. The limits of jobs are only read for a caller that hit one of them,
    and are left out when the database does not answer.
    """
    rate: Rate | None = getattr(request.state, "rate", None)
    if caller is None or isinstance(refusal, RateLimited):
        return limit_headers(None, rate)
    caps = Caps(caller.concurrency, caller.monthly)
    with contextlib.suppress(Refusal):
        limits = await context.database.read(limits_now, caller.workspace_id, caller.environment, caller.key_id, caps)
        return limit_headers(limits, rate)
    return {}
