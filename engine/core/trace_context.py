"""The position of a job in its caller's trace (W3C Trace Context and W3C Baggage): read from a request, stored, and
sent on.

It handles header texts only: without a tracing library a job passes on what its caller sent, so that its own requests
belong to the caller's trace. Malformed or too long headers are ignored without refusing the request, as the standards
ask.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextvars import ContextVar

from msgspec import Struct

MAX_TRACESTATE, MAX_BAGGAGE = 512, 8_192
MAX_STATES = 32

#: Version, and what version 00 has; later versions may have more behind it.
_PARENT = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})(?P<fields>-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})(?P<more>-[!-~]*)?"
)
_STATE = re.compile(
    r"\A([a-z0-9][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_VALUE = r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*+"
_BLANKS = r"[ \t]*+"
_VALUED = f"{_BLANKS}={_BLANKS}{_VALUE}"
_BAGGAGE = re.compile(rf"\A{_NAME}{_VALUED}(?:{_BLANKS};{_BLANKS}{_NAME}(?:{_VALUED})?+)*+")


class TraceContext(Struct, frozen=True):
    """The three headers; None for one that was not sent or is malformed.

    There is no `tracestate` without a `traceparent`.
    """

    traceparent: str | None = None
    tracestate: str | None = None
    baggage: str | None = None

    @classmethod
    def of(cls, values: Callable[[str], Sequence[str]]) -> TraceContext:
        """Reads the headers; `values` returns all values of a header by its lower-case name."""
        parent = _parent(values("traceparent"))
        state = _members(values("tracestate"), _STATE, MAX_TRACESTATE) if parent else None
        if state is not None and state.count(",") >= MAX_STATES:
            state = None
        return cls(parent, state, _members(values("baggage"), _BAGGAGE, MAX_BAGGAGE))

    @classmethod
    def loads(cls, text: str | None) -> TraceContext:
        """Reads the text that `dumps` returned."""
        return cls(*(line or None for line in (text or "").split("\n")))

    def dumps(self) -> str | None:
        """Returns one text with a line per header, to be stored with a job; None when there is nothing to store."""
        lines = (self.traceparent, self.tracestate, self.baggage)
        return "\n".join(line or "" for line in lines).rstrip("\n") or None

    def headers(self) -> dict[str, str]:
        """Returns the headers to send."""
        sent = {"traceparent": self.traceparent, "tracestate": self.tracestate, "baggage": self.baggage}
        return {name: value for name, value in sent.items() if value is not None}


NO_TRACE = TraceContext()
#: The context of the running step, or else of its job; requests that it sends carry these headers.
CURRENT_TRACE: ContextVar[TraceContext] = ContextVar("trace", default=NO_TRACE)


def _parent(values: Sequence[str]) -> str | None:
    """Returns `traceparent` in version 00, as which later versions are read; None when it is malformed or sent twice."""
    found = _PARENT.fullmatch(values[0].strip()) if len(values) == 1 else None
    if found is None or (found["more"] is not None and found["version"] == "00"):
        return None
    return f"00{found['fields']}"


def _members(values: Sequence[str], member: re.Pattern[str], most: int) -> str | None:
    """Returns the entries of a list header; None when an entry is malformed, or when all together are longer than
    `most`.
    """
    entries = [entry.strip(" \t") for value in values for entry in value.split(",")]
    text = ",".join(entry for entry in entries if entry)
    if not text or len(text) > most or not all(member.fullmatch(entry) for entry in entries if entry):
        return None
    return text
