"""Converts refusals to HTTP: the table of their statuses, and responses as `application/problem+json` (RFC 9457).

Refusals about HTTP itself (such as a wrong method or media type) are defined here; all others in `engine.core.errors`.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from api.http.problem_examples import DETAILS
from engine.core import errors
from engine.core.error_codes import RefusalCode
from engine.core.errors import MAX_ERRORS, FieldError, Refusal

PROBLEM_TYPE = "application/problem+json"


class MethodNotAllowed(Refusal):
    """This address does not take this method."""

    code = RefusalCode.METHOD_NOT_ALLOWED

    def __init__(self, method: str, allowed: tuple[str, ...]) -> None:
        self.allowed = allowed
        super().__init__(f"{method} was sent; allowed here: {', '.join(allowed)}")


class NoSuchAddress(errors.NotFound):
    # No docstring: the title of a code is the docstring of its class, which this class inherits.
    pass


class NotAcceptable(Refusal):
    """The answer has no form that the Accept header takes."""

    code = RefusalCode.NOT_ACCEPTABLE


class UnsupportedMediaType(Refusal):
    """The request body has a type that is not taken here."""

    code = RefusalCode.UNSUPPORTED_MEDIA_TYPE
    remedy = "Send JSON with the header `Content-Type: application/json`"


class Compressed(UnsupportedMediaType):
    """The request body has a type that is not taken here."""

    remedy = "Send it as it is, without the header `Content-Encoding`"

    def __init__(self) -> None:
        super().__init__("A compressed body is not read")


class NotMultipart(UnsupportedMediaType):
    """The request body has a type that is not taken here."""

    remedy = "Send the file as multipart/form-data, the only part of a form, as `curl -F file=@report.pdf` does"


class RangeNotSatisfiable(Refusal):
    """The file does not have the part that was asked for."""

    code = RefusalCode.RANGE_NOT_SATISFIABLE

    def __init__(self, size: int, why: str = "the first is number 0") -> None:
        self.size = size
        super().__init__(f"It has {size:,} {'byte' if size == 1 else 'bytes'}; {why}")


class MalformedRequest(Refusal):
    """The HTTP request cannot be read."""

    code = RefusalCode.MALFORMED_REQUEST


class RequestTimeout(Refusal):
    """The request did not arrive in time."""

    code = RefusalCode.REQUEST_TIMEOUT
    remedy = "Send it again, in one go"


class AddressTooLong(Refusal):
    """The address of the request is too long."""

    code = RefusalCode.ADDRESS_TOO_LONG
    remedy = "Send the data in the body; address and headers may have 16 KiB together"


class HeadersTooLarge(Refusal):
    """The headers of the request are too large."""

    code = RefusalCode.HEADERS_TOO_LARGE
    remedy = "Send less: the headers of a request, and those behind its body, may have 16 KiB together"


class TooManyAhead(errors.TooManyConnections):
    # No docstring: the title of a code is the docstring of its class, which this class inherits.
    remedy = "These are requests that have no answer yet; wait for answers in between"


class Internal(Refusal):
    """Something went wrong inside Flowport."""

    code = RefusalCode.INTERNAL
    remedy = "Try again; if it stays, give the request id to whoever runs this server: the log has the details under it"


#: Refusal class -> HTTP status. A class that is not listed has the status of its nearest listed base class.
STATUSES: dict[type[Refusal], int] = {
    Refusal: 400,
    errors.Invalid: 400,
    errors.Unauthorized: 401,
    errors.SignatureInvalid: 401,
    errors.NotAllowed: 403,
    errors.FileSpaceFull: 403,
    errors.NotFound: 404,
    MethodNotAllowed: 405,
    NotAcceptable: 406,
    RequestTimeout: 408,
    errors.Conflict: 409,
    errors.Expired: 410,
    errors.TooLarge: 413,
    AddressTooLong: 414,
    UnsupportedMediaType: 415,
    RangeNotSatisfiable: 416,
    errors.IdempotencyKeyReused: 422,
    errors.LimitReached: 429,
    HeadersTooLarge: 431,
    Internal: 500,
    errors.Unavailable: 503,
}


#: Every refusal of the public API, in the order of the reference page. The meaning of a code never changes.
PUBLISHED: tuple[type[Refusal], ...] = (
    errors.PayloadInvalid,
    errors.InvalidJson,
    errors.InvalidUpload,
    errors.ParameterInvalid,
    MalformedRequest,
    errors.Unauthorized,
    errors.SignatureInvalid,
    errors.NotAllowed,
    errors.FileSpaceFull,
    errors.NotFound,
    errors.NotDeployed,
    MethodNotAllowed,
    NotAcceptable,
    RequestTimeout,
    errors.IdempotencyInProgress,
    errors.JobNotCancellable,
    errors.BatchNotCancellable,
    errors.QuestionClosed,
    errors.JobNotEnded,
    errors.HookPaused,
    errors.Expired,
    errors.TooLarge,
    errors.FileTooLarge,
    AddressTooLong,
    UnsupportedMediaType,
    RangeNotSatisfiable,
    errors.IdempotencyKeyReused,
    errors.ConcurrencyLimitExceeded,
    errors.MonthlyQuotaExceeded,
    errors.RateLimited,
    HeadersTooLarge,
    Internal,
    errors.StorageUnavailable,
    errors.TooManyConnections,
    errors.ShuttingDown,
)


def title_of(kind: type[Refusal]) -> str:
    """Returns the first line of a refusal class's docstring without the full stop, which is the title of its problems."""
    return (inspect.getdoc(kind) or "").split("\n")[0].rstrip(".")


def status_of(refusal: Refusal | type[Refusal]) -> int:
    """Returns the HTTP status of a refusal or refusal class."""
    kind = refusal if isinstance(refusal, type) else type(refusal)
    return next(STATUSES[ancestor] for ancestor in kind.__mro__ if ancestor in STATUSES)


def problem_body(refusal: Refusal, request_id: str) -> dict[str, Any]:
    """Returns the JSON object of a problem: type, title, status, detail, code, request_id, and `errors` with
    `error_count` when fields are wrong.
    """
    body: dict[str, Any] = {
        "type": f"/docs/errors/{refusal.code}",
        "title": refusal.title,
        "status": status_of(refusal),
        "detail": _detail(refusal),
        "code": refusal.code,
        "request_id": request_id,
    }
    if refusal.errors:
        body["error_count"] = refusal.error_count
        body["errors"] = [
            {"pointer": error.pointer, "code": error.code, "detail": error.detail}
            for error in refusal.errors[:MAX_ERRORS]
        ]
    return body


def problem_example(kind: type[Refusal]) -> dict[str, Any]:
    """Returns an example body of this refusal for the OpenAPI document."""
    refusal = kind.__new__(kind)
    if kind is errors.PayloadInvalid:
        wrong = FieldError("/max_pages", "type_error", "expected a whole number, got a string")
        Refusal.__init__(refusal, "1 field is wrong", errors=(wrong,))
    else:
        Refusal.__init__(refusal, DETAILS.get(kind.code, ""))
    return problem_body(refusal, "req_5kP0aQm2s8Vt")


def problem_response(refusal: Refusal, request_id: str, headers: Mapping[str, str] | None = None) -> Response:
    """Returns the refusal as a response with the headers that its status requires."""
    content = json.dumps(problem_body(refusal, request_id), ensure_ascii=False, separators=(",", ":"))
    all_headers = {**headers_of(refusal), **(headers or {})}
    return Response(content, status_of(refusal), all_headers, media_type=PROBLEM_TYPE)


def headers_of(refusal: Refusal) -> dict[str, str]:
    """Returns the headers that the status of a refusal requires."""
    status = status_of(refusal)
    headers = {"Cache-Control": "no-store"}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status in (408, 413):
        headers["Connection"] = "close"  # whoever still sends the body need not go on
    if isinstance(refusal, MethodNotAllowed):
        headers["Allow"] = ", ".join(refusal.allowed)
    if isinstance(refusal, RangeNotSatisfiable):
        headers["Content-Range"] = f"bytes */{refusal.size}"
    retry_after = refusal.retry_after or (5 if status == 503 else None)
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return headers


def _detail(refusal: Refusal) -> str:
    first = f"The first {MAX_ERRORS} are listed" if refusal.error_count > MAX_ERRORS else ""
    sentences = [part.rstrip(".") for part in (refusal.detail, first, refusal.remedy) if part]
    return ". ".join(sentences) or refusal.title
