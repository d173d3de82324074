"""The reasons why an outbound request brought no response.

Each message is written for the person who designed the flow.

NodeFailed
├── OutboundRefused        the client refuses the request or the response; a retry fails the same way
│   ├── BadUrl
│   ├── BadHeader
│   ├── AddressNotAllowed
│   │   └── SecretNotForHost
│   ├── ResponseTooLarge
│   └── TooManyRedirects
└── OutboundFailed         the other server did not answer correctly; a retry may succeed
    ├── ConnectFailed
    ├── TimedOut
    └── AnswerUnreadable

A message names the rule that was broken. It never contains the address that a name resolved to or the host that a
redirect pointed to, because an attacker could use them to map the internal network.
"""

from __future__ import annotations

from engine.core.error_codes import JobErrorCode
from engine.flow.node_context import NodeFailed

ALLOW_REMEDY = (
    "The owner of this server can allow it under Settings → Server, Allowed addresses (FLOWPORT_OUTBOUND_ALLOW)"
)
CALLERS_REMEDY = (
    "The owner of this server can allow it under Settings → Server, Callers' webhooks (FLOWPORT_WEBHOOK_ALLOW)"
)
#: Allow-lists cover addresses that flows name. They do not cover redirect targets, which other servers choose.
REDIRECT_REMEDY = "A public page never sends a request into a private network, whatever the owner allows. Use the address inside itself"


class OutboundRefused(NodeFailed):
    """The client does not send this request or does not accept this response."""

    fault_code = JobErrorCode.NODE_FAILED

    def __init__(self, message: str) -> None:
        super().__init__(message, code=self.fault_code)


class OutboundFailed(NodeFailed):
    """The other server did not answer, or its answer cannot be read.

    `passing`: a retry may succeed; `retry_after` is in seconds.
    """

    fault_code = JobErrorCode.NODE_FAILED

    def __init__(self, message: str, *, passing: bool = True, retry_after: float | None = None) -> None:
        super().__init__(message, code=self.fault_code, passing=passing, retry_after=retry_after)


class BadUrl(OutboundRefused):
    """The text is not a URL that can be requested."""

    fault_code = "bad_url"


class BadHeader(OutboundRefused):
    """The name or value of a header cannot be sent."""

    fault_code = "bad_header"


class AddressNotAllowed(OutboundRefused):
    """The rules for outbound requests forbid this address."""

    fault_code = JobErrorCode.ADDRESS_NOT_ALLOWED


class SecretNotForHost(AddressNotAllowed):
    """A secret in the request may be sent to other hosts only."""


class ResponseTooLarge(OutboundRefused):
    """The response body exceeds the size limit."""

    fault_code = JobErrorCode.RESPONSE_TOO_LARGE


class TooManyRedirects(OutboundRefused):
    """The chain of redirects is longer than permitted."""

    fault_code = "too_many_redirects"


class ConnectFailed(OutboundFailed):
    """The connection could not be opened, or it was closed early."""

    fault_code = "connect_failed"


class TimedOut(OutboundFailed):
    """The response did not arrive in time."""

    fault_code = "timed_out"


class AnswerUnreadable(OutboundFailed):
    """The response is no HTTP/1.1, or its body has an encoding that cannot be read."""

    fault_code = "answer_unreadable"


def outbound_fault(error: BaseException) -> OutboundRefused | OutboundFailed | None:
    """Returns the outbound error in the cause chain of an exception that a model SDK raised, or None."""
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None or isinstance(seen, OutboundRefused | OutboundFailed):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None
