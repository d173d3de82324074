"""Turns the body of a webhook into the fields of a flow.

A mapping is field -> source, one of:

* `{"from": "body", "path": ["issue", "title"]}`: a value of the body; a list is entered by its index
* `{"from": "all"}`: the whole body
* `{"from": "header", "name": "x-github-event"}`
* `{"from": "text", "text": "..."}`: always this
* `{"from": "none"}`: nothing, so that the field's default is used

A field without a source takes the value of the same name at the top of the body, if there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from msgspec import Struct

from engine.core.errors import FieldError, Invalid, InvalidJson
from engine.flow.dataset_payloads import PayloadRoom, fitted
from engine.flow.references import as_text

SOURCES = ("body", "all", "header", "text", "none")
MAX_DEPTH = 20
MAX_TEXT = 2_000
#: How many values of a body are offered to choose from, how deep, and how much of each is shown.
MAX_OFFERED, OFFERED_DEPTH, SHOWN = 300, 6, 80
#: Parts of the names of headers that are not kept, since their values may be secret.
_SECRET_PARTS = ("auth", "cookie", "secret", "signature", "token", "key", "password", "session", "credential")
_KEPT_HEADERS, _KEPT_HEADER = 50, 300
_MAX_FORM_FIELDS = 1_000

Mapped = Mapping[str, Mapping[str, Any]]


class Offer(Struct, frozen=True):
    """A value of a body to choose: its path, and its beginning as text."""

    path: tuple[str | int, ...]
    sample: str

    @property
    def label(self) -> str:
        """The path as people read it, for example `issue › title`."""
        return path_words(self.path)


def path_words(path: Sequence[str | int]) -> str:
    """Returns a path as people read it: `issue › labels › item 1 › name`."""
    return " › ".join(f"item {part + 1}" if isinstance(part, int) else part for part in path)


def payload_of(
    fields: Sequence[Mapping[str, Any]], mapping: Mapped, body: Any, headers: Mapping[str, str]
) -> dict[str, Any]:
    """Returns the payload. What a source does not have is left out. Values are converted to the type of their field
    where that is unambiguous: `"5"` to a number, anything to text, an empty text to nothing where the field is no text or
    takes only some; a required field keeps it, so that the refusal is about what was sent. What stands inside an object
    or a list stays as it is. Raises TooLarge when the payload is larger than the body of a request may be.
    """
    payload: dict[str, Any] = {}
    room = PayloadRoom(
        "The fields that this call fills would take more than 10 MiB together, with what comes into several of them counted "
        "each time",
        "Open the webhook on the flow's page and let fewer fields take long values or the whole body.",
    )
    for field in fields:
        name = str(field.get("name"))
        found, value = _value(mapping.get(name) or {"from": "body", "path": [name]}, body, headers)
        if not found:
            continue
        fit = None if _is_empty(field, value) else fitted(value, str(field.get("type") or "string"))
        if fit is not None or field.get("required"):
            value = value if fit is None else fit
            room.take(name, value)
            payload[name] = value
    return payload


def check_mapping(mapping: Any) -> dict[str, dict[str, Any]]:
    """Returns a mapping as it is stored. Raises Invalid."""
    if not isinstance(mapping, Mapping) or len(mapping) > 200:
        raise _wrong("", "It must say for each field where its value comes from.")
    checked: dict[str, dict[str, Any]] = {}
    for name, source in mapping.items():
        kind = source.get("from") if isinstance(source, Mapping) else None
        if kind not in SOURCES:
            raise _wrong(str(name), "Choose where the value comes from.")
        checked[str(name)] = {"from": kind, **_details(str(name), kind, source)}
    return checked


def offers_of(body: Any) -> list[Offer]:
    """Returns the values of a body to choose from, in their order; of a list only the first item."""
    found: list[Offer] = []
    _offer(body, (), found)
    return found


def parse_form(body: bytes) -> Any:
    """Returns the fields of a form as texts; of a name that comes twice the last value. Raises InvalidJson."""
    if body.count(b"&") >= _MAX_FORM_FIELDS:
        raise InvalidJson(f"The form has more than {_MAX_FORM_FIELDS:,} fields", remedy="Let the service send fewer.")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError as error:
        raise InvalidJson("The form is not UTF-8", remedy="Let the service send it in UTF-8.") from error


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Returns the headers that a mapping can use and that are shown: without those that may hold a secret."""
    kept = {
        name: value[:_KEPT_HEADER]
        for name, value in headers.items()
        if not any(part in name for part in _SECRET_PARTS)
        and not name.startswith(("accept", "content-", "x-forwarded", "x-real-", "cf-"))
        and name not in {"host", "connection", "user-agent", "transfer-encoding", "via", "te"}
    }
    return dict(list(kept.items())[:_KEPT_HEADERS])


def _is_empty(field: Mapping[str, Any], value: Any) -> bool:
    """Tells whether the value is an empty text, and the field a text whose format or choices do not take it."""
    choices = field.get("enum") or ()
    return value == "" and bool(field.get("format") or choices) and "" not in choices


def _value(source: Mapping[str, Any], body: Any, headers: Mapping[str, str]) -> tuple[bool, Any]:
    """Returns whether the source has a value, and the value."""
    match source.get("from"):
        case "all":
            return True, body
        case "text":
            return True, source.get("text", "")
        case "header":
            name = str(source.get("name", "")).lower()
            return name in headers, headers.get(name)
        case "body":
            return _at(body, source.get("path") or ())
    return False, None


def _at(body: Any, path: Sequence[str | int]) -> tuple[bool, Any]:
    for part in path:
        if isinstance(body, Mapping) and isinstance(part, str) and part in body:
            body = body[part]
        elif isinstance(body, list) and isinstance(part, int) and 0 <= part < len(body):
            body = body[part]
        else:
            return False, None
    return True, body


def _details(name: str, kind: str, source: Mapping[str, Any]) -> dict[str, Any]:
    match kind:
        case "body":
            path = source.get("path")
            if (
                not isinstance(path, list | tuple)
                or not 0 < len(path) <= MAX_DEPTH
                or not all(
                    isinstance(part, str | int) and not isinstance(part, bool) and len(str(part)) <= 200
                    for part in path
                )
            ):
                raise _wrong(name, "Choose a value of the body.")
            return {"path": list(path)}
        case "header":
            header = str(source.get("name") or "").strip().lower()
            if not header or len(header) > 100 or not header.isascii():
                raise _wrong(name, "Enter the name of a header.")
            return {"name": header}
        case "text":
            text = source.get("text")
            if not isinstance(text, str) or len(text) > MAX_TEXT:
                raise _wrong(name, f"Enter a text of at most {MAX_TEXT:,} characters.")
            return {"text": text}
    return {}


def _offer(value: Any, path: tuple[str | int, ...], found: list[Offer]) -> None:
    if len(found) >= MAX_OFFERED:
        return
    if path:
        found.append(Offer(path, _beginning(value)))
    if len(path) >= OFFERED_DEPTH:
        return
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if len(name) <= 200:
                _offer(inner, (*path, name), found)
    elif isinstance(value, list) and value:
        _offer(value[0], (*path, 0), found)


def _beginning(value: Any) -> str:
    text = " ".join(as_text(value)[: SHOWN * 2].split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _wrong(field: str, said: str) -> Invalid:
    about = f"It is not clear what fills the field “{field[:60]}”" if field else "The fields are not filled"
    return Invalid(about, remedy=said, errors=(FieldError(f"/mapping/{field}", "invalid", said),))
