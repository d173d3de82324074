"""Why the outbound door did not bring an answer. Each class is a fact; its message is for the person who designed the flow.

NodeFailed
├── OutboundRefused        the door said no, and would say no again
│   ├── BadUrl
│   ├── BadHeader
│   ├── AddressNotAllowed
│   │   └── SecretNotForHost
│   ├── ResponseTooLarge
│   └── TooManyRedirects
└── OutboundFailed         the other side did not do its part
    ├── ConnectFailed
    ├── TimedOut
    └── AnswerUnreadable

A message names the rule that was broken. It never names an address that a name led to, or a host that a page sent us to:
that would turn a refusal into a map of the network.
"""

from __future__ import annotations

from engine.flow.node_type import NodeFailed

ALLOW_REMEDY = "The owner can allow it under Settings → Server, Allowed addresses (FLOWPORT_OUTBOUND_ALLOW)"
CALLERS_REMEDY = "The owner can allow it under Settings → Server, Callers' webhooks (FLOWPORT_WEBHOOK_ALLOW)"
#: A list is the owner's word about addresses that flows name, not about where strangers send them on to.
REDIRECT_REMEDY = "A public page never sends a request into a private network, whatever the owner allows. Use the address inside itself"


class OutboundRefused(NodeFailed):
    """The outbound door does not send this request or does not take this answer."""

    fault_code = "node_failed"

    def __init__(self, message: str) -> None:
        super().__init__(message, code=self.fault_code)


class OutboundFailed(NodeFailed):
    """The other side did not answer, or not in a way that can be read."""

    fault_code = "node_failed"

    def __init__(self, message: str, *, passing: bool = True, retry_after: float | None = None) -> None:
        super().__init__(message, code=self.fault_code, passing=passing, retry_after=retry_after)


class BadUrl(OutboundRefused):
    """The text is no web address that can be opened."""

    fault_code = "bad_url"


class BadHeader(OutboundRefused):
    """A header's name or value cannot be sent."""

    fault_code = "bad_header"


class AddressNotAllowed(OutboundRefused):
    """The address is closed to flows."""

    fault_code = "address_not_allowed"


class SecretNotForHost(AddressNotAllowed):
    """A secret of the request names other hosts."""


class ResponseTooLarge(OutboundRefused):
    """The answer is larger than what is read."""

    fault_code = "response_too_large"


class TooManyRedirects(OutboundRefused):
    """The other side kept sending the request on."""

    fault_code = "too_many_redirects"


class ConnectFailed(OutboundFailed):
    """No connection, or it broke off."""

    fault_code = "connect_failed"


class TimedOut(OutboundFailed):
    """The answer did not come in time."""

    fault_code = "timed_out"


class AnswerUnreadable(OutboundFailed):
    """The answer came in an encoding that cannot be read."""

    fault_code = "answer_unreadable"


def outbound_fault(error: BaseException) -> OutboundRefused | OutboundFailed | None:
    """The door's own error inside one that a model SDK wrapped around it, or None."""
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None or isinstance(seen, OutboundRefused | OutboundFailed):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None
