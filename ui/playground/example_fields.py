"""Fields of an API Input drafted from an example: a JSON object, or a curl line with one as its body. No NiceGUI here."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.flow.contract import MAX_FIELDS, MAX_LEVELS
from ui.look.text import _

_DATA_OPTIONS = frozenset({"-d", "--data", "--data-raw", "--data-binary", "--data-ascii", "--json"})
#: An example that is not longer goes with its field.
_LONGEST_EXAMPLE = 500


class NotAnExample(Exception):  # noqa: N818 - reads as the fact it is
    """Nothing can be drafted from this text; the message says why."""


@dataclass(frozen=True)
class Drafted:
    """Fields as the API Input keeps them, the example itself, and what the reader should know."""

    fields: tuple[dict[str, Any], ...]
    payload: dict[str, Any]
    notes: tuple[str, ...] = ()


def draft_from(text: str) -> Drafted:
    """The fields of an example. Raises NotAnExample."""
    body = _body_of_curl(text) if re.match(r"\s*(\$\s*)?curl\b", text) else text
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotAnExample(
            _("This is neither JSON nor a curl line with JSON in it.") + (f" {error}." if body.strip() else "")
        ) from error
    notes: list[str] = []
    if isinstance(value, list) and value and isinstance(value[0], dict):
        notes.append(_("The first entry of the list was taken."))
        value = value[0]
    if not isinstance(value, dict):
        raise NotAnExample(_("A request is a group of named values, like") + ' {"url": "https://example.com"}.')
    if not value:
        raise NotAnExample(_("There is nothing in this example."))
    names = list(value)[:MAX_FIELDS]
    if len(names) < len(value):
        notes.append(f"{_('Only the first')} {MAX_FIELDS} {_('fields were taken.')}")
    payload = {name: value[name] for name in names}
    return Drafted(tuple(_field(name, payload[name], 1) for name in names), payload, tuple(notes))


def _body_of_curl(text: str) -> str:
    try:
        words = shlex.split(text.replace("\\\r\n", " ").replace("\\\n", " ").replace("^\n", " "))
    except ValueError as error:
        raise NotAnExample(_("A quote in this curl line has no end.")) from error
    found = []
    for at, word in enumerate(words):
        if word in _DATA_OPTIONS and at + 1 < len(words):
            found.append(words[at + 1])
        elif "=" in word and word.split("=", 1)[0] in _DATA_OPTIONS:
            found.append(word.split("=", 1)[1])
        elif word.startswith("-d") and len(word) > 2 and not word.startswith("--"):
            found.append(word[2:])
    if not found:
        raise NotAnExample(_("This curl line sends no body. The body stands after -d, --data or --json."))
    return found[0]


def _field(name: str, value: Any, level: int) -> dict[str, Any]:
    field: dict[str, Any] = {"name": str(name)[:200], **_type_of(value, level), "required": value is not None}
    if isinstance(value, bool | int | float) or (isinstance(value, str) and 0 < len(value) <= _LONGEST_EXAMPLE):
        field["example"] = value
    return field


def _type_of(value: Any, level: int) -> dict[str, Any]:
    match value:
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case float():
            return {"type": "number"}
        case list():
            if not value or level >= MAX_LEVELS:
                return {"type": "array"}
            return {"type": "array", "items": _type_of(value[0], level + 1)}
        case Mapping() if level < MAX_LEVELS and value:
            return {"type": "object", "fields": [_field(name, one, level + 1) for name, one in value.items()]}
        case Mapping():
            return {"type": "object"}
    return _text_type(value if isinstance(value, str) else "")


def _text_type(value: str) -> dict[str, Any]:
    if re.fullmatch(r"https?://\S+", value):
        return {"type": "string", "format": "uri"}
    if re.fullmatch(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+", value):
        return {"type": "string", "format": "email"}
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)", value):
        return {"type": "string", "format": "date-time"}
    return {"type": "string"}
