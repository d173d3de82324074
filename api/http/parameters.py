"""Reads query parameters and request headers. An invalid one is refused with its name and never replaced by a default."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated, Any, get_args
from urllib.parse import SplitResult

from fastapi import Depends, Header, Path, Query
from pydantic import BeforeValidator, WithJsonSchema
from starlette.requests import Request

from api.http import schemas
from api.http.header_fields import split_unquoted, unquoted
from api.http.problem_json import NotAcceptable
from engine.core.clock import Millis
from engine.core.errors import ParameterInvalid
from engine.core.rfc3339 import NoSuchTime, NotRfc3339, read_time
from engine.core.trace_context import MAX_BAGGAGE, MAX_TRACESTATE, TraceContext
from engine.core.web_addresses import IPV6, PORT, has_good_port, split_url
from engine.jobs.submit.batches import MAX_ITEMS

MAX_WAIT_SECONDS = 60
MAX_CANCEL_AFTER = 86_400
MAX_VERSION = 999_999_999
MAX_PAGE = 100
MAX_WEB_ADDRESS = 2_000
_NO_WEB_ADDRESS = "must be a web address like https://example.com/hook"
_HOST_AND_PORT = rf"([A-Za-z0-9][A-Za-z0-9._-]*|{IPV6})(:{PORT})?"
#: http or https, a host without user and password, a port from 1 to 65535, and the characters that RFC 3986 allows
#: after it.
WEB_ADDRESS = (
    rf"^[Hh][Tt][Tt][Pp][Ss]?://{_HOST_AND_PORT}"
    r"([/?]([A-Za-z0-9._~:/?@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)?(#([A-Za-z0-9._~:/?@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)?$"
)

#: The `+` of an offset, which a query string that does not encode it loses.
_PLUS = re.compile(r" (?=\d\d:\d\d$)", re.ASCII)
_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")
ID = "^[A-Za-z0-9_-]{1,64}$"


def query(request: Request) -> dict[str, str]:
    """Returns the query parameters. Refuses a parameter that the route does not declare or that is sent twice."""
    if not request.scope["query_string"]:
        return {}
    allowed: tuple[str, ...] = request.scope["route"].takes
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in allowed:
            known = f"it takes {', '.join(allowed)}" if allowed else "it takes none"
            if not name:
                raise ParameterInvalid(f"The address has a parameter without a name; {known}")
            raise invalid(name, f"is no parameter of this address; {known}")
        if name in found:
            raise invalid(name, "is sent twice")
        found[name] = value
    return found


def whole_number(name: str, lowest: int, highest: int, text: str) -> int:
    """Parses an integer within bounds. Raises ParameterInvalid."""
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not lowest <= int(text) <= highest:
        raise invalid(name, f"must be a whole number from {lowest} to {highest}")
    return int(text)


def wait_seconds(request: Request, wait: str | None) -> int:
    """Returns the seconds that the caller wants to wait: `?wait=N` or `Prefer: wait=N`, at most 60. An unreadable
    preference counts as 0, because RFC 7240 lets servers ignore it.
    """
    if wait is not None:
        if not re.fullmatch(r"\d+", wait, re.ASCII):
            raise invalid("wait", "must be a whole number of seconds, 0 or more")
        return _at_most_a_minute(wait)
    for header in request.headers.getlist("prefer"):
        for preference in split_unquoted(header, ",") or ():
            named, *parameters = split_unquoted(preference, ";") or ("",)
            # `respond-async; wait=10` is a common way to write the two preferences
            of_it = parameters if named.strip().lower() == "respond-async" else ()
            for name, _, said in (one.partition("=") for one in (named, *of_it)):
                if name.strip().lower() == "wait" and re.fullmatch(r"\d+", unquoted(said), re.ASCII):
                    return _at_most_a_minute(unquoted(said))
    return 0


def _at_most_a_minute(digits: str) -> int:
    # three digits suffice to see that a number is above the maximum
    return min(int(digits.lstrip("0")[:3] or 0), MAX_WAIT_SECONDS)


def moment(name: str, text: str) -> Millis:
    """Parses an RFC 3339 time into milliseconds. Raises ParameterInvalid."""
    try:
        at = read_time(_PLUS.sub("+", text))
    except NoSuchTime as error:
        raise invalid(name, str(error)) from None
    except NotRfc3339:
        raise invalid(
            name, "must be a time with its time zone, like 2026-01-31T12:00:00Z or 2026-01-31T13:00:00+01:00"
        ) from None
    return Millis(int(at.timestamp() * 1000))


def check_accept(request: Request, kind: str) -> None:
    """Raises NotAcceptable when the Accept header excludes `kind`."""
    if not accepts(request, kind):
        raise NotAcceptable(f"This call answers with {kind}")


def accepts(request: Request, kind: str) -> bool:
    """Tells whether the Accept header takes `kind` (RFC 9110: the most specific range decides)."""
    ranges = [part for part in ",".join(request.headers.getlist("accept")).lower().split(",") if part.strip()]
    best, taken = -1, not ranges
    for part in ranges:
        name, *settings = (piece.strip() for piece in part.split(";"))
        rank = {"*/*": 0, kind.split("/", maxsplit=1)[0] + "/*": 1, kind: 2}.get(name, -1)
        if rank > best:
            best, taken = rank, not any(re.fullmatch(r"q\s*=\s*0(\.0*)?", setting) for setting in settings)
    return taken


def one_of(name: str, words: tuple[str, ...], text: str) -> str:
    """Returns `text` when it is one of the allowed words. Raises ParameterInvalid."""
    if text not in words:
        raise invalid(name, f"must be one of {', '.join(words)}")
    return text


def is_id(text: str) -> bool:
    """Tells whether text has the form of an id; text that has not is unknown without a query."""
    return re.fullmatch(ID, text) is not None


def _flow_id(text: str) -> str:
    if not is_id(text):
        raise invalid("flow_id", "is not the id of a flow")
    return text


def idempotency_key(request: Request) -> str | None:
    """Returns the Idempotency-Key, which has 1 to 255 visible ASCII characters."""
    key = single_header(request, "Idempotency-Key")
    if key is not None and not _VISIBLE.fullmatch(key):
        raise invalid("Idempotency-Key", "must be 1 to 255 visible ASCII characters")
    return key


def number_header(request: Request, name: str, highest: int) -> int | None:
    """Returns a header that holds an integer from 1 on; None when it is missing."""
    text = single_header(request, name)
    return None if text is None else whole_number(name, 1, highest, text)


def webhook_url(request: Request) -> str | None:
    """Returns the X-Webhook-Url, an http or https URL without credentials."""
    url = single_header(request, "X-Webhook-Url")
    if url is not None and (fault := _fault_of(url)):
        raise invalid("X-Webhook-Url", fault)
    return url


def _fault_of(url: str) -> str:
    """Returns what is wrong with a URL from a caller; an empty string when nothing is."""
    if len(url) > MAX_WEB_ADDRESS:
        return f"may have at most {MAX_WEB_ADDRESS:,} characters"
    if " " in url:
        return "has a space in it; write it as %20"
    if not url.isascii():
        return "has letters beyond ASCII; write the name of the host in its ASCII form (xn--...) and all else as %XX"
    try:
        parts = split_url(url)  # raises when the brackets do not contain an IPv6 address
        host = parts.hostname or ""
    except ValueError:
        return _NO_WEB_ADDRESS
    if "@" in parts.netloc:
        return "has a user or a password in it; leave them out"
    if host and not has_good_port(parts):
        return "has a port that does not exist; ports are numbers from 1 to 65535"
    if re.fullmatch(WEB_ADDRESS, url, re.ASCII):
        return ""
    return _fault_of_signs(url, parts) if host and parts.scheme in {"http", "https"} else _NO_WEB_ADDRESS


def _fault_of_signs(url: str, parts: SplitResult) -> str:
    """Returns which sign of a URL has no place where it stands."""
    if "\\" in url:
        return "has a backslash in it; write / where a part begins, and %5C for the sign itself"
    if odd := re.search(r"[^A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]", url):
        shown = "a backtick" if odd[0] == "`" else f"`{odd[0]}`" if odd[0].isprintable() else "a control character"
        return f"has {shown} in it; write it as %{ord(odd[0]):02X}"
    if re.search(r":(0\d*)?$", parts.netloc):
        return "has a port that is empty or begins with a 0; write it like :8443, or leave it out with its colon"
    if not re.fullmatch(_HOST_AND_PORT, parts.netloc):
        return "has a host that is neither a number nor a name"
    if re.search(r"%(?![0-9A-Fa-f]{2})", url):
        return "has a % that no two hexadecimal digits follow; write the sign itself as %25"
    return "has a second #, or brackets behind its host; write the sign # as %23, and [ ] as %5B %5D"


def trace(request: Request) -> str | None:
    """Returns the trace context of the caller in the form that is stored with a job; malformed parts are left out."""
    return TraceContext.of(request.headers.getlist).dumps()


def single_header(request: Request, name: str) -> str | None:
    """Returns the value of the header, or None. A header that is sent twice is refused, because it is undefined which
    one counts.
    """
    values = request.headers.getlist(name)
    if len(values) > 1:
        raise invalid(name, "is sent twice")
    return values[0] if values else None


def invalid(name: str, detail: str) -> ParameterInvalid:
    """Returns the refusal that names the parameter or header."""
    return ParameterInvalid(f"`{name[:100]}` {detail}")


# The declarations of parameters, which FastAPI publishes in the OpenAPI document. For routes of `PublicRoute` FastAPI
# also runs their validators; routes of `RawRoute` call the functions above.


def _as(**schema: Any) -> WithJsonSchema:
    return WithJsonSchema(schema)


STATUSES: tuple[str, ...] = get_args(schemas.Status)

FlowId = Annotated[str, Path(description="The id of the flow.")]
JobId = Annotated[str, Path(description="The id of the job.")]
FileId = Annotated[str, Path(description="The id of the file.")]
QuestionId = Annotated[str, Path(description="The id of the question.")]
BatchId = Annotated[str, Path(description="The id of the batch.")]
Wait = Annotated[
    str | None,
    _as(type="integer", minimum=0, examples=[30]),
    Query(
        description=f"Seconds to wait for the end of the job or batch; more than {MAX_WAIT_SECONDS} counts as {MAX_WAIT_SECONDS}."
    ),
]
Prefer = Annotated[
    str | None, _as(type="string"), Header(alias="Prefer", description="`wait=N`, the same as the parameter `wait`.")
]
IfNoneMatch = Annotated[
    str | None, _as(type="string"), Header(alias="If-None-Match", description="The ETag of an earlier answer.")
]
Range = Annotated[
    str | None,
    _as(type="string", examples=["bytes=0-1023"]),
    Header(
        alias="Range",
        description="`bytes=0-1023`, `bytes=1024-` or `bytes=-500` (the last 500): send this part alone. Several ranges, what cannot be read "
        "as one, and any range of an empty file get the whole file.",
    ),
]
IfRange = Annotated[
    str | None,
    _as(type="string"),
    Header(alias="If-Range", description="An ETag: `Range` counts only when the file has it."),
]
LastEventId = Annotated[
    str | None,
    _as(type="integer", minimum=0, maximum=10**18 - 1),
    Header(alias="Last-Event-ID", description="Go on after the event with this number."),
]
IdempotencyKey = Annotated[
    str | None,
    _as(type="string", minLength=1, maxLength=255, pattern="^[!-~]{1,255}$"),
    Header(
        alias="Idempotency-Key",
        description="1 to 255 visible ASCII characters, kept 24 hours: the same request with the same key gets the same job or batch, as "
        "it stands then. It is the same with an equal payload (what is left out equals its default) and the same X-Flow-Version, "
        "Cancel-After and X-Webhook-Url.",
    ),
]
UploadKey = Annotated[
    str | None,
    _as(type="string", minLength=1, maxLength=255, pattern="^[!-~]{1,255}$"),
    Header(
        alias="Idempotency-Key",
        description="1 to 255 visible ASCII characters, kept 24 hours: the same file, name and type with the same key get the same `file_id`.",
    ),
]
CancelAfter = Annotated[
    int | None,
    _as(type="integer", minimum=1, maximum=MAX_CANCEL_AFTER),
    Header(
        alias="Cancel-After",
        description="Seconds after its start in which a job must end, or else it fails; each item of a batch from its own "
        "start. Never above the flow's own limit.",
    ),
]
FlowVersion = Annotated[
    int | None,
    _as(type="integer", minimum=1, maximum=MAX_VERSION),
    Header(alias="X-Flow-Version", description="Run this version; one that was never deployed is 404 `not_found`."),
]
WebhookUrl = Annotated[
    str | None,
    _as(type="string", format="uri", maxLength=MAX_WEB_ADDRESS, pattern=WEB_ADDRESS),
    Header(
        alias="X-Webhook-Url",
        description="Call this address when the job, or an item of the batch, ends, when all items of the batch have ended, and when a step asks a person (Standard Webhooks): http or https, without user or password, at port "
        "80, 443, 8080 or 8443 unless the owner allowed others. One that can never be reached is refused, also when it fits the pattern.",
    ),
]
RequestId = Annotated[
    str | None,
    _as(type="string"),
    Header(
        alias="X-Request-Id",
        description="Taken over as the id of this request when it has 1 to 64 letters, digits, `.`, `_` or `-`; anything else "
        "is replaced by an id of ours. When it is sent twice, the first counts.",
    ),
]
Traceparent = Annotated[
    str | None,
    _as(type="string"),
    Header(
        description="W3C Trace Context: the trace that goes on into what the job asks of others. One that cannot be read is passed over, and a later version goes on as version 00."
    ),
]
Tracestate = Annotated[
    str | None, _as(type="string"), Header(description=f"Goes with `traceparent`, up to {MAX_TRACESTATE} bytes.")
]
Baggage = Annotated[
    str | None,
    _as(type="string"),
    Header(description=f"W3C Baggage: goes on in the same way, up to {MAX_BAGGAGE:,} bytes."),
]
Status = Annotated[
    str | None,
    BeforeValidator(partial(one_of, "status", STATUSES)),
    _as(type="string", enum=list(STATUSES)),
    Query(description="Only jobs with this status."),
]
OfFlow = Annotated[
    str | None,
    BeforeValidator(_flow_id),
    _as(type="string", pattern=ID),
    Query(
        description="Only jobs of this flow. Any id in the right form is taken: one that no flow has gives an empty list."
    ),
]
_WITH_ZONE = "A time with its time zone (RFC 3339), like `2026-01-31T12:00:00Z` or `2026-01-31T13:00:00+01:00`."
CreatedAfter = Annotated[
    Millis | None,
    BeforeValidator(partial(moment, "created_after")),
    _as(type="string", format="date-time"),
    Query(description=f"Only jobs made after it. {_WITH_ZONE}"),
]
CreatedBefore = Annotated[
    Millis | None,
    BeforeValidator(partial(moment, "created_before")),
    _as(type="string", format="date-time"),
    Query(description=f"Only jobs made before it. {_WITH_ZONE}"),
]
Limit = Annotated[
    int,
    BeforeValidator(partial(whole_number, "limit", 1, MAX_PAGE)),
    _as(type="integer", minimum=1, maximum=MAX_PAGE, default=50),
    Query(description="How many."),
]
Cursor = Annotated[str | None, _as(type="string", minLength=1), Query(description="`next_cursor` of the page before.")]
AfterItem = Annotated[
    int | None,
    BeforeValidator(partial(whole_number, "after", 0, MAX_ITEMS - 1)),
    _as(type="integer", minimum=0, maximum=MAX_ITEMS - 1),
    Query(alias="after", description="Begin after the item with this `item_index`."),
]


async def waiting(request: Request, wait: Wait = None, prefer: Prefer = None) -> int:
    """Declares and reads how long a caller wants to wait."""
    return wait_seconds(request, wait)


async def last_event(request: Request, last_event_id: LastEventId = None) -> int:
    """Returns the number of the last event that the caller received; 0 for none."""
    text = single_header(request, "Last-Event-ID")
    if text is None:
        return 0
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise invalid("Last-Event-ID", "must be the number of an event")
    return int(text)


WaitSeconds = Annotated[int, Depends(waiting)]
LastEvent = Annotated[int, Depends(last_event)]


async def submitting(
    idempotency_key: IdempotencyKey = None,
    cancel_after: CancelAfter = None,
    x_flow_version: FlowVersion = None,
    x_webhook_url: WebhookUrl = None,
    x_request_id: RequestId = None,
    traceparent: Traceparent = None,
    tracestate: Tracestate = None,
    baggage: Baggage = None,
) -> None:
    """Declares the headers of a submit."""
