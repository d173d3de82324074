"""Reads query parameters and request headers. A wrong one is refused by its name; nothing is guessed."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import urlsplit

from starlette.requests import Request

from api.errors import NotAcceptable
from engine.clock import Millis
from engine.errors import ParameterInvalid

MAX_WAIT_SECONDS = 60
MAX_HEADER_BYTES = 16 * 1024
MAX_CANCEL_AFTER = 86_400
MAX_WEB_ADDRESS = 2_000
#: http or https, a host without user or password, a port there is, and what RFC 3986 lets follow.
WEB_ADDRESS = (
    r"^https?://([A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])"
    r"(:(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3}))?"
    r"([/?]([A-Za-z0-9._~:/?@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)?(#([A-Za-z0-9._~:/?@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)?$"
)

_WAIT = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])', re.IGNORECASE)
_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def query(request: Request, *allowed: str) -> dict[str, str]:
    """The query parameters. One that this address does not know, or that is sent twice, is refused."""
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in allowed:
            known = f"it takes {', '.join(allowed)}" if allowed else "it takes none"
            raise invalid(name, f"this address has no such parameter; {known}")
        if name in found:
            raise invalid(name, "is sent twice")
        found[name] = value
    return found


def whole_number(name: str, text: str, lowest: int, highest: int) -> int:
    """`text` as a whole number within bounds."""
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not lowest <= int(text) <= highest:
        raise invalid(name, f"must be a whole number from {lowest} to {highest}")
    return int(text)


def wait_seconds(request: Request, parameters: dict[str, str]) -> int:
    """How long the caller wants to wait: `?wait=N` or `Prefer: wait=N`, at most 60. A preference we cannot read is 0."""
    if (text := parameters.get("wait")) is not None:
        if not re.fullmatch(r"\d+", text, re.ASCII):
            raise invalid("wait", "must be a whole number of seconds, 0 or more")
        return min(int(text.lstrip("0")[:3] or 0), MAX_WAIT_SECONDS)  # three digits are more than enough to tell
    preferred = _WAIT.search(",".join(request.headers.getlist("prefer")))
    return min(int(preferred.group(1)), MAX_WAIT_SECONDS) if preferred else 0


def moment(name: str, text: str) -> Millis:
    """An RFC 3339 time with its offset, as milliseconds."""
    try:
        at = datetime.fromisoformat(text.replace(" ", "+"))  # a `+` in a query string arrives as a space
        if at.tzinfo is None:
            raise ValueError
        return Millis(int(at.timestamp() * 1000))
    except (ValueError, OverflowError):
        raise invalid(name, "must be a time like 2026-01-31T12:00:00Z") from None


def check_accept(request: Request, kind: str) -> None:
    """Refuses when the Accept header rules `kind` out (RFC 9110: the most specific range counts)."""
    ranges = [part for part in ",".join(request.headers.getlist("accept")).lower().split(",") if part.strip()]
    if not ranges:
        return
    best, taken = -1, False
    for part in ranges:
        name, *settings = (piece.strip() for piece in part.split(";"))
        rank = {"*/*": 0, kind.split("/", maxsplit=1)[0] + "/*": 1, kind: 2}.get(name, -1)
        if rank > best:
            best, taken = rank, not any(re.fullmatch(r"q\s*=\s*0(\.0*)?", setting) for setting in settings)
    if not taken:
        raise NotAcceptable(f"This call answers with {kind}")


def is_id(text: str) -> bool:
    """True for text that may be an id of ours; anything else is unknown without a look-up."""
    return _ID.fullmatch(text) is not None


def idempotency_key(request: Request) -> str | None:
    """1 to 255 visible ASCII characters."""
    key = single_header(request, "Idempotency-Key")
    if key is not None and not _VISIBLE.fullmatch(key):
        raise invalid("Idempotency-Key", "must be 1 to 255 visible ASCII characters")
    return key


def cancel_after(request: Request) -> int | None:
    """A deadline in seconds."""
    text = single_header(request, "Cancel-After")
    return None if text is None else whole_number("Cancel-After", text, 1, MAX_CANCEL_AFTER)


def flow_version(request: Request) -> int | None:
    """The version a caller pins."""
    text = single_header(request, "X-Flow-Version")
    return None if text is None else whole_number("X-Flow-Version", text, 1, 999_999_999)


def webhook_url(request: Request) -> str | None:
    """An http or https address without credentials. Whether it may be called is decided when it is called."""
    url = single_header(request, "X-Webhook-Url")
    if url is None:
        return None
    try:
        host = urlsplit(url).hostname  # raises for brackets around something that is no address
    except ValueError:
        host = None
    if not host or len(url) > MAX_WEB_ADDRESS or not re.fullmatch(WEB_ADDRESS, url, re.ASCII):
        raise invalid("X-Webhook-Url", "must be a web address like https://example.com/hook, without user or password")
    return url


def traceparent(request: Request) -> str | None:
    """A W3C trace context; one that is malformed is left out, as its standard asks."""
    text = request.headers.get("traceparent", "").strip()
    return text if _TRACEPARENT.fullmatch(text) and not text.startswith("ff") else None


def single_header(request: Request, name: str) -> str | None:
    """The header's one value, or None. Twice is refused: nobody can tell which one counts."""
    values = request.headers.getlist(name)
    if len(values) > 1:
        raise invalid(name, "is sent twice")
    return values[0].strip() if values else None


def invalid(name: str, detail: str) -> ParameterInvalid:
    """The refusal that names the parameter or header."""
    return ParameterInvalid(f"`{name[:100]}` {detail}")
