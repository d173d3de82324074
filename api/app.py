"""Builds the public API: the FastAPI application for `/public`, `/mcp`, the two health checks and the metrics.

`ui.request_router` sends requests for these paths to this application and all others to the pages. Every response
carries the id of its request, and every error is answered as `application/problem+json`.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from api.connection_limits import MOST
from api.docs.openapi import whole_document
from api.http.auth import Callers
from api.http.call_figures import CallFigures
from api.http.context import Context
from api.http.exception_handlers import HANDLERS
from api.http.held_calls import HeldCalls
from api.http.json_body import Bodies, BodyLimits
from api.http.problem_json import NoSuchAddress, problem_response
from api.http.refused_calls import RefusalRecorder
from api.http.request_ids import request_id_from
from api.http.upload import Uploads
from api.routes import batches, events, files, flows, health, hooks, jobs, mcp, metrics, questions, submit
from engine.core.errors import Refusal, ShuttingDown
from engine.core.logging_setup import EACH_CALL, known
from engine.core.settings import Settings
from engine.jobs.server.job_waiters import JobWaiters
from engine.jobs.submit.body_checks import BodyChecks
from engine.jobs.submit.check_threads import CheckThreads
from engine.jobs.submit.sent_fields import SentFieldRecorder
from engine.secrets.sealing import Vault
from storage.database import Database

log = logging.getLogger(__name__)
each_call = logging.getLogger(EACH_CALL)

#: In the order in which the router tries them: the routes that are called most often come first.
_ROUTERS = (
    submit.router, jobs.raw, jobs.router, events.router, batches.router, questions.raw, questions.router, flows.router,
    files.raw, files.router, hooks.router, health.router, metrics.router, mcp.router,
)  # fmt: skip
#: The routes are given to FastAPI directly, because FastAPI matches each request twice for a router that it includes.
ROUTES = [route for router in _ROUTERS for route in router.routes]
#: `PublicApi` counts and logs the calls itself.
_NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False}


@functools.cache
def api_document() -> dict[str, Any]:
    """Returns the OpenAPI document of the whole public API, without `servers`. It is built once and shared, so callers
    must not change it.
    """
    return whole_document(ROUTES)


class PublicApi(FastAPI):
    """The ASGI application. Call `stop` when the server begins to stop, and `close` before the database closes."""

    def __init__(self, context: Context) -> None:
        super().__init__(
            routes=ROUTES,
            openapi_url=None,  # `api.routes.flows` serves the document with the caching and checks of the other routes
            redirect_slashes=False,
            telemetry=_NO_TELEMETRY,
        )
        self.state.context = self._context = context
        self.state.mcp = self._mcp = mcp.Mcp(context)

    def openapi(self) -> dict[str, Any]:
        """Returns the shared document of `api_document`, which callers must not change."""
        return api_document()

    def stop(self) -> None:
        """Makes submits fail with 503 and ends waiting calls and event streams."""
        self._context.stop()

    async def close(self) -> None:
        """Writes the buffered records of refused calls, used keys and sent fields to the database."""
        await self._mcp.close()
        for later in (self._context.refusals, self._context.callers, self._context.sent_fields):
            await later.flush()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request. The middleware of Starlette and FastAPI is left out, because each adds time to every call:
        `_answer_error` does what the one for exceptions does, and `PublicRoute` has what FastAPI's own routes need.
        """
        scope["app"] = self
        if scope["type"] != "http":
            # the API has no WebSocket routes, so the router closes the connection
            await self.router(scope, receive, send)
            return
        request = Request(scope, receive)
        request.state.request_id = request_id = request_id_from(request.headers.get("x-request-id"))
        answer = _Answer(send, request_id)
        try:
            await self._route(scope, receive, answer)
        except asyncio.CancelledError:
            if not self._context.stopping.is_set():
                raise
            await self._answer_stopping(request, answer)
        except Exception as error:  # noqa: BLE001 - every error has an answer
            await self._answer_error(request, answer, error)
        self._tell(request, answer)

    async def _answer_stopping(self, request: Request, answer: _Answer) -> None:
        """Answers a call that the server cancels because the time in which it stops is over. Reads nothing for it: the rest
        of the server ends meanwhile.
        """
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        if not answer.status:
            response = problem_response(ShuttingDown(retry_after=5), answer.request_id, {"Connection": "close"})
            await response(request.scope, request.receive, answer)

    async def _answer_error(self, request: Request, answer: _Answer, error: Exception) -> None:
        """Answers an exception with its handler. Once a response has begun, no problem can be sent any more."""
        if answer.status:
            # a Refusal ends an event stream; its reader reconnects with Last-Event-ID
            if not isinstance(error, Refusal):
                log.error(
                    "%s: %s %s broke off", answer.request_id, request.method, request.scope["path"], exc_info=error
                )
            return
        handler = next(HANDLERS[kind] for kind in type(error).__mro__ if kind in HANDLERS)
        response = await handler(request, error)
        if response is not None:
            await response(request.scope, request.receive, answer)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "\x00" in scope.get("path", ""):
            raise NoSuchAddress("An address holds no zero byte")
        if b"%2f" in scope.get("raw_path", b"").lower():
            raise NoSuchAddress("In an address `%2F` is not the slash between two parts", remedy="Write `/` there")
        await self.router(scope, receive, send)

    def _tell(self, request: Request, answer: _Answer) -> None:
        """Counts the call in the metrics and logs it when the logger of single calls is enabled."""
        route = getattr(request.scope.get("route"), "path", "?")
        seconds = time.monotonic() - answer.started
        self._context.calls.count(route, answer.status, seconds)
        if each_call.isEnabledFor(logging.INFO):
            _log_line(request, answer, route, seconds)


def create_api(
    database: Database,
    waiters: JobWaiters,
    settings: Settings,
    vault: Vault,
    *,
    body_limits: BodyLimits = BodyLimits(),
    uploads: Uploads | None = None,
    connections: int = MOST,
    threads: CheckThreads | None = None,
    calls: CallFigures | None = None,
) -> PublicApi:
    """Creates the public API on this database, whose notifier wakes the workers after each commit.
    `connections`: those that the server takes in all, of which calls that wait may hold a part. `threads`: those in which
    the whole server checks bodies. `calls`: where it counts its calls, if other processes do so, too.
    """
    return PublicApi(
        Context(
            database=database,
            waiters=waiters,
            settings=settings,
            refusals=RefusalRecorder(database),
            callers=Callers(database),
            sent_fields=SentFieldRecorder(database),
            bodies=Bodies(body_limits),
            uploads=uploads or Uploads(),
            vault=vault,
            checks=BodyChecks(database, threads or CheckThreads()),
            held=HeldCalls(connections),
            calls=calls or CallFigures(),
        )
    )


class _Answer:
    """Wraps the ASGI `send` of one request: adds the request id to the response and records its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self._headers = [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")]
        self.status = 0  # stays 0 when the client disconnects before the response starts
        self.started = time.monotonic()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*message.get("headers", []), *self._headers]}
        await self._send(message)


def _log_line(request: Request, answer: _Answer, route: str, seconds: float) -> None:
    """Logs one call. Of the URL it logs only the route and the path parameters that the router matched, so that no
    other text of a caller gets into the log; the secret in the address of a webhook neither.
    """
    said = {name: str(value)[:64] for name, value in request.path_params.items() if name != "secret"}
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
