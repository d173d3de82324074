"""What the routes of the public API share: their classes, the dependencies, and the refusals each declares."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from typing import Annotated, Any

from fastapi import Depends
from fastapi.dependencies.utils import get_flat_params
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


class PublicRoute(APIRoute):
    """Takes the query parameters it declares (`takes`) and no others, an Accept header that fits, and HEAD where it takes GET.

    HEAD is no method of its own in the document.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        declared = get_flat_params(self.dependant)
        self.takes = tuple(one.alias for one in declared if getattr(one.field_info, "in_", None) == ParamTypes.query)
        methods = self.methods or set()
        self.allowed = sorted(methods | {"HEAD"} if "GET" in methods else methods)
        answers: Any = getattr(self.response_class, "value", self.response_class)  # FastAPI wraps its own choice
        self._kind: str | None = answers.media_type

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        return (Match.FULL if match == Match.PARTIAL and scope["method"] in self.allowed else match), child_scope

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in self.allowed:
            raise MethodNotAllowed(scope["method"], tuple(self.allowed))
        if self._kind is not None:
            parameters.check_accept(Request(scope), self._kind)
        await self.app(scope, receive, send)


class RawRoute(PublicRoute):
    """A route whose endpoint is called with the request and what the path names: it reads the key, the parameters and the body.

    What its `dependencies` declare is for the document and does not run. It is for calls that come often, and for bodies that
    are read under the limits of `api.http.json_body`.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.app = self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.endpoint(Request(scope, receive, send), **scope["path_params"])
        await response(scope, receive, send)


class Stream(StreamingResponse):
    """An answer in pieces, which nothing on the way keeps or collects. HEAD asks for its headers alone."""

    def __init__(self, request: Request, pieces: AsyncIterator[bytes], status_code: int = 200) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(() if request.method == "HEAD" else pieces, status_code, headers)


async def _caller(request: Request, context: FromApp) -> Caller:
    caller = context.caller(request)
    parameters.query(request)
    return caller


async def _anybody(request: Request, context: FromApp) -> None:
    context.count_refused(request)
    parameters.query(request)


#: What everything works with.
FromApp = Annotated[Context, Depends(context_of)]
#: Who calls: a valid key, within its requests a second, and no parameter that the route does not declare.
ByKey = Annotated[Caller, Depends(_caller)]
#: For routes that ask for no key: the call counts for the key that was sent, or for the address.
ByAnybody = Depends(_anybody)

#: What every call may answer with.
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


#: Headers of a problem beside the id of the request, by status.
_TOLD = {
    401: ["WWW-Authenticate"],
    405: ["Allow"],
    429: ["RateLimit", "RateLimit-Policy", "Retry-After"],
    503: ["Retry-After"],
}


def refusals(*kinds: type[Refusal], by_key: bool = True) -> dict[int | str, dict[str, Any]]:
    """What a route may answer with beside its answers, for `responses=`: one response per status, its examples show each code.

    `by_key`: the route asks for a key.
    """
    wanted = {*_ALWAYS, *kinds, *((errors.Unauthorized,) if by_key else ())}
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
    """The part of a response that names headers of `api.docs.openapi`."""
    return {"headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names}}
