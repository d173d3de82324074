"""What the routes of the public API share: their classes, the dependencies, and the refusals each declares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Annotated, Any

from fastapi import Depends
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import ParamTypes
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
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
Handler = Callable[[Request], Awaitable[Response]]


class PublicRoute(APIRoute):
    """Takes the query parameters it declares (`takes`) and no others, an Accept header that fits, and HEAD where it takes GET.

    HEAD is no method of its own in the document.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        declared = get_flat_params(self.dependant)
        self.takes = tuple(one.alias for one in declared if getattr(one.field_info, "in_", None) == ParamTypes.query)
        taken = self.methods or set()
        self.allowed = sorted(taken | {"HEAD"} if "GET" in taken else taken)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        return (Match.FULL if match == Match.PARTIAL and scope["method"] in self.allowed else match), child_scope

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in self.allowed:
            raise MethodNotAllowed(scope["method"], tuple(self.allowed))
        await self.app(scope, receive, send)

    def get_route_handler(self) -> Any:
        handle = self._handler()
        answers: Any = getattr(self.response_class, "value", self.response_class)  # FastAPI wraps its own choice
        kind: str | None = answers.media_type

        async def answer(request: Request) -> Response:
            if kind is not None:
                parameters.check_accept(request, kind)
            return await handle(request)

        return answer

    def _handler(self) -> Handler:
        return super().get_route_handler()


class RawRoute(PublicRoute):
    """A route whose endpoint is called with the request and what the path names: it reads the key, the parameters and the body.

    What its `dependencies` declare is for the document and does not run. It is for calls that come often, and for bodies that
    are read under the limits of `api.http.json_body`.
    """

    def _handler(self) -> Handler:
        async def handle(request: Request) -> Response:
            return await self.endpoint(request, **request.path_params)

        return handle


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
