"""A refused call in words: "lang: the flow has no field of this name", and the sentence that its caller needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jsonpointer

from engine.core.error_codes import RefusalCode
from storage.refusals import RefusedRow
from ui.kit.text import _

CODES: dict[str, str] = {
    RefusalCode.UNAUTHORIZED: _("Key not accepted"),
    RefusalCode.NOT_FOUND: _("No such flow"),
    RefusalCode.FLOW_NOT_DEPLOYED: _("The flow was not deployed"),
    RefusalCode.NOT_ALLOWED: _("This key may not call this flow"),
    RefusalCode.INVALID_JSON: _("What was sent could not be read"),
    RefusalCode.VALIDATION_FAILED: _("What was sent did not fit"),
    RefusalCode.CONCURRENCY_LIMIT_EXCEEDED: _("Too many runs at the same time"),
    RefusalCode.MONTHLY_QUOTA_EXCEEDED: _("The month's requests were used up"),
    RefusalCode.RATE_LIMITED: _("Too many calls in a short time"),
    RefusalCode.REQUEST_TIMEOUT: _("The call arrived too slowly"),
    RefusalCode.BODY_TOO_LARGE: _("What was sent was too large"),
    RefusalCode.IDEMPOTENCY_KEY_REUSED: _("Its Idempotency-Key belonged to another call"),
    RefusalCode.STORAGE_UNAVAILABLE: _("The server could not save the call"),
    RefusalCode.TOO_MANY_CONNECTIONS: _("Too many connections were open"),
    RefusalCode.SHUTTING_DOWN: _("The server was stopping"),
}
#: Code -> a sentence that the owner of the flow can send to whoever called.
_TO_CALLER: dict[str, str] = {
    RefusalCode.UNAUTHORIZED: _("Your key is not accepted any more. Use the new key."),
    RefusalCode.NOT_FOUND: _("There is no flow at the address you call. Check the address."),
    RefusalCode.FLOW_NOT_DEPLOYED: _("The API is switched off. Please stop calling it until you hear from us."),
    RefusalCode.NOT_ALLOWED: _("Your key may not call this flow. Use the key that was made for it."),
    RefusalCode.INVALID_JSON: _("What you sent is not valid JSON. Let a JSON library write it, as UTF-8."),
    RefusalCode.CONCURRENCY_LIMIT_EXCEEDED: _(
        "Too many of your calls ran at the same time. Wait as long as the header Retry-After says, then send it again."
    ),
    RefusalCode.MONTHLY_QUOTA_EXCEEDED: _(
        "The requests of this month are used up. Please stop calling until you hear from us."
    ),
    RefusalCode.RATE_LIMITED: _(
        "Your calls came too quickly. Wait as long as the header Retry-After says, then send it again."
    ),
    RefusalCode.REQUEST_TIMEOUT: _("Your call arrived too slowly. Send it again, in one go."),
    RefusalCode.BODY_TOO_LARGE: _("What you sent is too large. Send less at a time."),
    RefusalCode.IDEMPOTENCY_KEY_REUSED: _(
        "You used an Idempotency-Key twice for different calls. Use a new one for each call."
    ),
}
_AGAIN = _("The server could not take your call at that moment. Send it again.")
_A_TYPE = {
    "string": _("a text"), "number": _("a number"), "integer": _("a whole number"), "boolean": _("true or false"),
    "array": _("a list"), "object": _("a group of values"),
}  # fmt: skip
#: The words that an API answer uses for types -> what a person calls them.
_PLAIN = {"null": _("nothing"), "a string": _("a text"), "text": _("a text"), "an object": _("a group of values")}
#: Fields of a refused call that its title names; the others are counted.
_NAMED = 3


def refusal_word(code: str) -> str:
    """The reason why a call was refused, without its fields."""
    return CODES.get(code, code.replace("_", " ").capitalize())


def field_name(field: Mapping[str, str]) -> str:
    """The name of a wrong field as a person writes it: `customer`, `order.name`; `the input` for all that was sent."""
    parts = [part for part in str(field.get("pointer", "")).split("/")[1:] if part]
    return ".".join(jsonpointer.unescape(part) for part in parts) or _("the input")


def field_reason(field: Mapping[str, str], types: Mapping[str, str]) -> str:
    """Why a field was not accepted: `is missing`. `types`: field name -> type that the flow asks for."""
    detail = str(field.get("detail") or "")
    match str(field.get("code", "")):
        case "required":
            wanted = _A_TYPE.get(types.get(field_name(field), ""), "")
            return _("is missing; it must be {type}").format(type=wanted) if wanted else _("is missing")
        case "unknown_field":
            if detail.startswith("the object "):
                return _("the group has no field of this name")
            return _("the flow has no field of this name")
        case "type_error" if (types_said := _expected(detail)) is not None:
            return _("must be {wanted}, and {got} was sent").format(wanted=types_said[0], got=types_said[1])
        case code:
            return detail or _REASONS.get(code, _("is not accepted"))


_REASONS = {
    "type_error": _("has the wrong type"),
    "enum": _("is none of the values that the flow takes"),
    "format": _("is not written the way the flow asks for"),
    "pattern": _("is not written the way the flow asks for"),
    "minimum": _("is too small"),
    "maximum": _("is too large"),
    "min_length": _("is too short"),
    "max_length": _("is too long"),
    "min_items": _("has too few entries"),
    "max_items": _("has too many entries"),
}


def what_was_wrong(call: RefusedRow) -> str:
    """The first wrong fields, each with its reason, and the number of others; without fields the reason of the call."""
    return first_wrong(call.fields) if call.fields else refusal_word(call.code)


def first_wrong(fields: Sequence[Mapping[str, str]]) -> str:
    """The first wrong fields, each with its reason, and the number of others: `name: is missing; and 2 more`."""
    named = "; ".join(f"{field_name(field)}: {field_reason(field, {})}" for field in fields[:_NAMED])
    more = len(fields) - _NAMED
    return _("{named}; and {count} more").format(named=named, count=more) if more > 0 else named


def to_caller(call: RefusedRow, types: Mapping[str, str]) -> str:
    """Sentences for the caller, who corrects the call with them: `Send name (a text).`

    `types`: field name -> type that the flow asks for.
    """
    if call.fields:
        return " ".join(_field_to_caller(field, types) for field in call.fields)
    if call.code == RefusalCode.VALIDATION_FAILED:
        return _("What you sent does not fit the fields of the flow. Compare it with the API docs of the flow.")
    return _TO_CALLER.get(call.code, _AGAIN)


def _field_to_caller(field: Mapping[str, str], types: Mapping[str, str]) -> str:
    name = field_name(field)
    match str(field.get("code", "")):
        case "required":
            wanted = _A_TYPE.get(types.get(name, ""), "")
            return (
                _("Send {name} ({type}).").format(name=name, type=wanted)
                if wanted
                else _("Send {name}.").format(name=name)
            )
        case "unknown_field":
            return _("The field {name} is not known; leave it out.").format(name=name)
        case "type_error" if (said := _expected(str(field.get("detail") or ""))) is not None:
            return _("Send {name} as {type}.").format(name=name, type=said[0])
    return _("The value of {name} does not fit: it {reason}.").format(name=name, reason=field_reason(field, types))


def _expected(detail: str) -> tuple[str, str] | None:
    """Reads `expected a number, got a string` of an answer: the wanted and the sent type, in words."""
    wanted, found, got = detail.removeprefix("expected ").partition(", got ")
    if not found or not detail.startswith("expected "):
        return None
    return _PLAIN.get(wanted, wanted), _PLAIN.get(got, got)
