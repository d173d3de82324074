"""Builds the public API: a FastAPI application for everything under `/public`, `/mcp`, the two health checks and the metrics.

It stands in front of the pages and never passes through them. Every answer carries the request's id, and whatever goes wrong is
answered as `application/problem+json`.
"""

from __future__ import annotations

import functools
import logging
import time
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.docs.openapi import whole_document
from api.http.auth import Callers
from api.http.context import Context
from api.http.exception_handlers import HANDLERS
from api.http.json_body import Bodies, BodyLimits
from api.http.problem_json import NoSuchAddress
from api.http.refused_calls import RefusalRecorder
from api.http.request_ids import request_id_from
from api.routes import batches, events, flows, health, jobs, mcp, metrics, submit
from engine.core.errors import Refusal
from engine.core.logging_setup import EACH_CALL, known
from engine.core.settings import Settings
from engine.jobs.server.job_waiters import JobWaiters
from engine.jobs.submit.sent_fields import SentFieldRecorder
from storage.database import Database

log = logging.getLogger(__name__)
each_call = logging.getLogger(EACH_CALL)

#: Those that are called often first.
_ROUTERS = (
    submit.router, jobs.raw, jobs.router, events.router, batches.router, flows.router, health.router, metrics.router, mcp.router
)  # fmt: skip
#: The routes themselves, not their routers: FastAPI looks twice through a router that it includes.
ROUTES = [route for router in _ROUTERS for route in router.routes]
#: Calls are counted and told by `PublicApi` itself.
_NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False}


@functools.cache
def api_document() -> dict[str, Any]:
    """OpenAPI of the whole public API, without the address of a server. Made once and shared: for reading only."""
    return whole_document(ROUTES)


class PublicApi(FastAPI):
    """The application. `stop` when the server begins to stop, `close` before the database closes."""

    def __init__(self, context: Context) -> None:
        super().__init__(
            routes=ROUTES,
            exception_handlers=HANDLERS,
            openapi_url=None,  # a route of ours, like the others
            redirect_slashes=False,
            telemetry=_NO_TELEMETRY,
        )
        self.state.context = self._context = context
        self.state.mcp = self._mcp = mcp.Mcp(context)

    def openapi(self) -> dict[str, Any]:
        """The document that the routes make; shared, for reading only."""
        return api_document()

    def stop(self) -> None:
        """New submits are refused with 503, waiting calls and event streams end."""
        self._context.stopping.set()

    async def close(self) -> None:
        """Writes the notes about refused calls and used keys that are still waiting."""
        await self._mcp.close()
        for later in (self._context.refusals, self._context.callers, self._context.sent_fields):
            await later.flush()

    def build_middleware_stack(self) -> ASGIApp:
        """The routes within the exception handlers, and what FastAPI's own routes ask for."""
        return ExceptionMiddleware(AsyncExitStackMiddleware(self._route), handlers=self.exception_handlers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)  # there is no web socket: the router closes it
            return
        request = Request(scope, receive)
        request.state.request_id = request_id = request_id_from(request.headers.get("x-request-id"))
        answer = _Answer(send, request_id)
        try:
            await super().__call__(scope, receive, answer)
        except Exception as error:  # an answer that has begun breaks off
            if not isinstance(error.__cause__, Refusal):  # the reader of an event stream goes on with Last-Event-ID
                log.exception("%s: %s %s broke off", request_id, request.method, scope["path"])
        self._tell(request, answer)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "\x00" in scope.get("path", ""):
            raise NoSuchAddress("An address holds no zero byte")
        await self.router(scope, receive, send)

    def _tell(self, request: Request, answer: _Answer) -> None:
        """Counts the call, and writes its line into the log where one is wanted."""
        route = getattr(request.scope.get("route"), "path", "?")
        seconds = time.monotonic() - answer.started
        self._context.calls.count(route, answer.status, seconds)
        if each_call.isEnabledFor(logging.INFO):
            _log_line(request, answer, route, seconds)


def create_api(
    database: Database, waiters: JobWaiters, settings: Settings, *, body_limits: BodyLimits = BodyLimits()
) -> PublicApi:
    """The public API on this database. Workers are woken by the database's own bell after each commit."""
    return PublicApi(
        Context(
            database=database,
            waiters=waiters,
            settings=settings,
            refusals=RefusalRecorder(database),
            callers=Callers(database),
            sent_fields=SentFieldRecorder(database),
            bodies=Bodies(body_limits),
        )
    )


class _Answer:
    """Sends, with the request's id on it, and knows what was answered."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._headers = [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")]
        self.status = 0  # 0: the caller went away before there was an answer
        self.started = time.monotonic()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
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
