"""Builds the public API: a plain ASGI app for everything under `/public`, `/mcp`, the two health checks and the metrics.

It stands in front of the pages and never passes through them. Every answer carries the request's id, and whatever goes wrong is
answered as `application/problem+json`.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Message, Receive, Scope, Send

from api import batches, events, flows, health, jobs, metrics, parameters, submit
from api.auth import KeyUses, Submitters, key_hash_of
from api.context import Context
from api.errors import Internal, MethodNotAllowed, NoSuchAddress, problem_response
from api.json_body import Bodies, BodyLimits
from api.limit_headers import limit_headers
from api.mcp import PATH as MCP_PATH
from api.mcp import Mcp
from api.openapi import BASE
from api.refusals import RefusalRecorder
from api.request_ids import request_id_from
from api.request_rate import Rate
from api.sent_fields import SentFieldRecorder
from engine.errors import LimitReached, ParameterInvalid, RateLimited, Refusal, Unavailable
from engine.jobs.accept import Caller
from engine.jobs.hub import Hub
from engine.jobs.limits import limits_now
from engine.log_lines import EACH_CALL, known
from engine.settings import Settings
from storage.database import Database
from storage.usage import Caps

log = logging.getLogger(__name__)
each_call = logging.getLogger(EACH_CALL)

Handler = Callable[[Context, Request], Awaitable[Response]]
JSON = "application/json"
EVENT_STREAM = "text/event-stream"

#: (method, path, handler, what it answers with); `tests/api` holds it against the published operations.
ROUTES: tuple[tuple[str, str, Handler, str], ...] = (
    ("POST", BASE + "/flows/execute/{flow_id}", submit.run_flow, JSON),
    ("POST", BASE + "/flows/execute/{flow_id}/batch", submit.run_batch, JSON),
    ("GET", BASE + "/jobs/{job_id}", jobs.read_job, JSON),
    ("GET", BASE + "/jobs", jobs.list_own_jobs, JSON),
    ("POST", BASE + "/jobs/{job_id}/cancel", jobs.cancel_job, JSON),
    ("GET", BASE + "/jobs/{job_id}/events", events.stream_events, EVENT_STREAM),
    ("GET", BASE + "/batches/{batch_id}", batches.read_batch, JSON),
    ("GET", BASE + "/flows", flows.list_callable_flows, JSON),
    ("GET", BASE + "/flows/{flow_id}/openapi.json", flows.flow_openapi, JSON),
    ("GET", BASE + "/openapi.json", flows.api_openapi, JSON),
    ("GET", "/healthz", health.healthz, JSON),
    ("GET", "/readyz", health.readyz, JSON),
    ("GET", "/metrics", metrics.metrics, "text/plain"),
)


def is_public(path: str) -> bool:
    """True for the addresses that belong to this app and not to the pages."""
    return path.startswith("/public/") or path in {"/public", "/healthz", "/readyz", "/metrics", MCP_PATH}


class PublicApi:
    """The ASGI app. `stop` when the server begins to stop, `close` before the database closes."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._mcp = Mcp(context)
        self._router = Router(
            [
                Route(path, _endpoint(context, handler, kind), methods=[method])
                for method, path, handler, kind in ROUTES
            ],
            redirect_slashes=False,
            default=_no_such_address,
        )

    def stop(self) -> None:
        """New submits are refused with 503, waiting calls and event streams end."""
        self._context.stopping.set()

    async def close(self) -> None:
        """Writes the notes about refused calls and used keys that are still waiting."""
        await self._mcp.close()
        await self._context.refusals.flush()
        await self._context.key_uses.flush()
        await self._context.sent_fields.flush()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _refuse_socket(scope, receive, send)
            return
        request = Request(scope, receive)
        request.state.request_id = request_id = request_id_from(request.headers.get("x-request-id"))
        scope["app"] = self  # makes the router raise for a wrong method instead of answering in plain text
        answer = _Answer(send, request_id)
        try:
            _check_head(scope)
            await (self._mcp if scope["path"] == MCP_PATH else self._router)(scope, receive, answer)
        except Refusal as refusal:
            await self._refuse(request, refusal, answer)
        except HTTPException as error:
            await self._refuse(request, _as_refusal(error, request), answer)
        except ClientDisconnect:
            log.info("%s: the caller went away while sending", request_id)
        except Exception:
            log.exception("%s: %s %s failed", request_id, request.method, scope["path"])
            await self._refuse(request, Internal(), answer)
        self._tell(request, answer)

    def _tell(self, request: Request, answer: _Answer) -> None:
        """Counts the call, and writes its line into the log where one is wanted."""
        route = getattr(request.scope.get("route"), "path", "?")
        seconds = time.monotonic() - answer.started
        self._context.calls.count(route, answer.status, seconds)
        if each_call.isEnabledFor(logging.INFO):
            _log_line(request, answer, route, seconds)

    async def _refuse(self, request: Request, refusal: Refusal, answer: _Answer) -> None:
        if answer.begun:
            return  # an event stream breaks off; its reader goes on with Last-Event-ID
        request_id = request.state.request_id
        caller = getattr(request.state, "caller", None)
        if caller is None:
            refusal = self._or_too_many(request, refusal)
        flow_id = request.scope.get("path_params", {}).get("flow_id", "")
        key_hash = None if caller else key_hash_of(request)
        self._context.refusals.record(refusal, request_id, caller, flow_id, key_hash)
        headers = await self._limits(request, refusal, caller) if isinstance(refusal, LimitReached) else {}
        await problem_response(refusal, request_id, headers)(request.scope, request.receive, answer)

    def _or_too_many(self, request: Request, refusal: Refusal) -> Refusal:
        """The refusal of a call that nobody has counted yet, or that it was one too many."""
        try:
            self._context.count_refused(request)
        except RateLimited as limited:
            return limited
        except Unavailable:
            log.debug("%s: whose call this is was not to be learned", request.state.request_id)
        return refusal

    async def _limits(self, request: Request, refusal: Refusal, caller: Caller | None) -> dict[str, str]:
        """What is left, for a caller who hit a limit; without it when the store does not answer."""
        rate: Rate | None = getattr(request.state, "rate", None)
        if caller is None or isinstance(refusal, RateLimited):
            return limit_headers(None, rate)
        caps = Caps(caller.concurrency, caller.monthly)
        with contextlib.suppress(Refusal):
            limits = await self._context.database.read(limits_now, caller.workspace_id, caller.key_id, caps)
            return limit_headers(limits, rate)
        return {}


def create_api(
    database: Database, hub: Hub, settings: Settings, *, body_limits: BodyLimits = BodyLimits()
) -> PublicApi:
    """The public API on this database. Workers are woken by the database's own bell after each commit."""
    key_uses = KeyUses(database)
    return PublicApi(
        Context(
            database=database,
            hub=hub,
            settings=settings,
            refusals=RefusalRecorder(database),
            key_uses=key_uses,
            submitters=Submitters(database, key_uses),
            sent_fields=SentFieldRecorder(database),
            bodies=Bodies(body_limits),
        )
    )


class _Answer:
    """Sends, with the request's id on it, and knows whether anything was sent."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._headers = [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")]
        self.begun = False
        self.status = 0  # 0: the caller went away before there was an answer
        self.started = time.monotonic()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            self.status = message["status"]
            message = {**message, "headers": [*message.get("headers", []), *self._headers]}
        await self._send(message)


def _log_line(request: Request, answer: _Answer, route: str, seconds: float) -> None:
    """The line of a call. Of its address only what the router knew: a stranger's text is no line of ours."""
    said = {name: str(value)[:64] for name, value in request.path_params.items()}
    if job_id := getattr(request.state, "job_id", None):
        said["job_id"] = job_id
    caller = getattr(request.state, "caller", None)
    each_call.info(
        "%s %s %d",
        request.method,
        route,
        answer.status,
        extra=known(
            request_id=request.state.request_id,
            **said,
            status=answer.status,
            key_id=caller.key_id if caller else None,
            address=request.client.host if request.client else None,
            milliseconds=round(seconds * 1000, 1),
        ),
    )


def _endpoint(context: Context, handler: Handler, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        parameters.check_accept(request, kind)
        return await handler(context, request)

    return endpoint


def _check_head(scope: Scope) -> None:
    if sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > parameters.MAX_HEADER_BYTES:
        raise ParameterInvalid("The request's headers are larger than 16 KiB")
    if "\x00" in scope["path"]:
        raise NoSuchAddress("An address holds no zero byte")


async def _no_such_address(scope: Scope, receive: Receive, send: Send) -> None:
    raise NoSuchAddress("The public API has no such call; /public/v1/openapi.json lists them all")


def _as_refusal(error: HTTPException, request: Request) -> Refusal:
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "").split(", ")
        return MethodNotAllowed(request.method, tuple(sorted(allowed)))
    return NoSuchAddress() if error.status_code == 404 else Internal()


async def _refuse_socket(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000, "reason": "There is no web socket here"})
