"""A refused call in words: "lang: unknown field", "All slots were in use"."""

from __future__ import annotations

import jsonpointer

from storage.refusals import RefusedRow
from ui.kit.parts import ButtonKind, link_button
from ui.kit.text import _

CODES = {
    "unauthorized": _("Key not accepted"),
    "not_found": _("No such flow"),
    "flow_not_deployed": _("The flow was not deployed"),
    "not_allowed": _("This key may not call this flow"),
    "invalid_json": _("What was sent could not be read"),
    "validation_failed": _("What was sent did not fit"),
    "concurrency_limit_exceeded": _("Too many runs at the same time"),
    "monthly_quota_exceeded": _("The month's requests were used up"),
    "rate_limited": _("Too many calls in a short time"),
    "request_timeout": _("The call arrived too slowly"),
    "body_too_large": _("What was sent was too large"),
    "idempotency_key_reused": _("Its Idempotency-Key belonged to another call"),
    "storage_unavailable": _("The server could not save the call"),
    "too_many_connections": _("Too many connections were open"),
    "shutting_down": _("The server was stopping"),
}
_FIELDS = {"required": _("is missing"), "unknown_field": _("unknown field")}


def caller_sees(code: str, *, kind: ButtonKind = "normal", small: bool = False) -> None:
    """Draws the link to the page about an error, which callers are referred to. It opens in a new tab, so that the call
    stays in view.
    """
    if code in CODES:
        to = link_button(_("What the caller sees"), f"/docs/errors/{code}", icon="open_in_new", kind=kind, small=small)
        to.props("target=_blank rel=noopener")


def refusal_word(code: str) -> str:
    """The reason why a call was refused, without its fields."""
    return CODES.get(code, code.replace("_", " ").capitalize())


def what_was_wrong(call: RefusedRow) -> str:
    """The first invalid field and the number of others; without fields the reason."""
    if not call.fields:
        return refusal_word(call.code)
    first = call.fields[0]
    parts = str(first.get("pointer", "")).removeprefix("/").split("/")
    name = ".".join(jsonpointer.unescape(part) for part in parts) or _("the body")
    said = _FIELDS.get(str(first.get("code", "")), str(first.get("detail") or first.get("code", "")))
    more = len(call.fields) - 1
    return f"{name}: {said}" + (f" {_('and')} {more} {_('more')}" if more else "")
