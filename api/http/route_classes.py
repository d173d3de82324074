"""What the routes of the public API share: route classes, dependencies, and the declaration of their refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from typing import Annotated, Any

from fastapi import Depends
from fastapi.dependencies.utils import get_flat_params
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.params import ParamTypes
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from api.http import parameters
from api.http.context import Context, context_of
from api.http.problem_json import (
    PUBLISHED,
    AddressTooLong,
    HeadersTooLarge,
    Internal,
    MalformedRequest,
    MethodNotAllowed,
    NotAcceptable,
    RequestTimeout,
    problem_example,
    status_of,
    title_of,
)
from api.http.schemas import ProblemDetails
from engine.core import errors
from engine.core.errors import Refusal
from engine.jobs.submit.accept import Caller

BASE = "/public/v1"
#: `/flows/execute` without an id is no address, whatever may come to be called for `/flows/{flow_id}`.
_NO_FLOW_ID = "execute"


class PublicRoute(APIRoute):
    """A route that refuses undeclared query parameters (`takes` lists the declared ones) and an Accept header that does
    not fit, and that answers HEAD where it answers GET. Its `{flow_id}` is never the word of another address.

    HEAD is not listed in the OpenAPI document.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self._is_of_a_flow = path.startswith(f"{BASE}/flows/{{flow_id}}")
        declared = get_flat_params(self.dependant)
        self.takes = tuple(one.alias for one in declared if getattr(one.field_info, "in_", None) == ParamTypes.query)
        methods = self.methods or set()
        self.allowed = sorted(methods | {"HEAD"} if "GET" in methods else methods)
        # FastAPI wraps its default class in an object with `value`
        answers: Any = getattr(self.response_class, "value", self.response_class)
        self._kind: str | None = answers.media_type
        self.app = AsyncExitStackMiddleware(self.app)  # in which FastAPI closes what dependencies opened

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        if self._is_of_a_flow and child_scope.get("path_params", {}).get("flow_id") == _NO_FLOW_ID:
            return Match.NONE, {}
        return (Match.FULL if match == Match.PARTIAL and scope["method"] in self.allowed else match), child_scope

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in self.allowed:
            raise MethodNotAllowed(scope["method"], tuple(self.allowed))
        if self._kind is not None:
            parameters.check_accept(Request(scope), self._kind)
        await self.app(scope, receive, send)


class RawRoute(PublicRoute):
    """A route whose endpoint gets the request and the path parameters, and reads the key, the parameters and the body
    itself.

    Its `dependencies` only declare parameters for the OpenAPI document; they do not run. It is for calls that are
    frequent, which saves the overhead of FastAPI, and for bodies that are read within the limits of
    `api.http.json_body`.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.app = self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.endpoint(Request(scope, receive, send), **scope["path_params"])
        await response(scope, receive, send)


class Stream(StreamingResponse):
    """A streamed response that proxies neither cache nor buffer. HEAD gets only its headers."""

    def __init__(self, request: Request, pieces: AsyncIterator[bytes], status_code: int = 200) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(() if request.method == "HEAD" else pieces, status_code, headers)


async def _caller(request: Request, context: FromApp) -> Caller:
    caller = await context.caller(request)
    parameters.query(request)
    return caller


async def _anybody(request: Request, context: FromApp) -> None:
    await context.count_refused(request)
    parameters.query(request)


#: Dependency: the shared objects of the application.
FromApp = Annotated[Context, Depends(context_of)]
#: Dependency: the authenticated caller, within its rate limit, and without undeclared parameters.
ByKey = Annotated[Caller, Depends(_caller)]
#: Dependency of routes that need no key: counts the call for the key that was sent, or for the address.
ByAnybody = Depends(_anybody)

#: The refusals that every route may answer with.
_ALWAYS = (
    errors.ParameterInvalid,
    MalformedRequest,
    MethodNotAllowed,
    NotAcceptable,
    RequestTimeout,
    AddressTooLong,
    errors.RateLimited,
    HeadersTooLarge,
    Internal,
    errors.StorageUnavailable,
    errors.TooManyConnections,
    errors.ShuttingDown,
)


#: Headers of a problem in addition to X-Request-Id, by status.
_TOLD = {
    401: ["WWW-Authenticate"],
    405: ["Allow"],
    416: ["Content-Range"],
    429: ["RateLimit", "RateLimit-Policy", "Retry-After"],
    503: ["Retry-After"],
}


def refusals(*kinds: type[Refusal], by_key: bool = True, any_accept: bool = False) -> dict[int | str, dict[str, Any]]:
    """Returns the problems that a route may answer with, for its `responses=`: one response per status, with an example
    for each code.

    `by_key`: the route requires a key. `any_accept`: it answers in the same way whatever the Accept header says.
    """
    wanted = {*_ALWAYS, *kinds, *((errors.Unauthorized,) if by_key else ())}
    if any_accept:
        wanted.remove(NotAcceptable)
    by_status: dict[int, list[type[Refusal]]] = {}
    for kind in PUBLISHED:
        if kind in wanted:
            by_status.setdefault(status_of(kind), []).append(kind)
    return {status: _problem(status, by_status[status]) for status in sorted(by_status)}


def _problem(status: int, kinds: Collection[type[Refusal]]) -> dict[str, Any]:
    return {
        "model": ProblemDetails,
        "description": "; ".join(f"`{kind.code}`: {title_of(kind)}" for kind in kinds),
        "content": {"application/json": {"examples": {kind.code: {"value": problem_example(kind)} for kind in kinds}}},
        **with_headers(*_TOLD.get(status, ())),
    }


def with_headers(*names: str) -> dict[str, Any]:
    """Returns the part of a response declaration that refers to headers defined in `api.docs.openapi`."""
    return {"headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names}}
