"""What a sample sends and what it gets back. A file in a payload is uploaded first: it stands there as `FileToSend`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from msgspec import Struct

from engine.core.lone_surrogates import whole_utf8, without_lone_surrogates
from engine.flow.file_values import KIND_ENDINGS, is_file_value, is_web_file, map_files, sent_files, takes_files

#: The kind of response: one JSON value, one JSON value per line, server-sent events, or no body.
Answers = Literal["json", "lines", "events", "nothing"]

_MARK = "@@file:"
#: `Number.MAX_SAFE_INTEGER`.
_LARGEST_IN_JAVASCRIPT = 2**53 - 1
#: JavaScript writes numbers below this without an exponent. The API takes whole numbers of 64 bits, and larger ones only
#: with one.
_WITH_EXPONENT = 1e21


class SampleCall(Struct, frozen=True):
    """One call of the API. `body` None: none is sent."""

    method: str
    url: str
    body: Any = None
    answers: Answers = "json"
    with_idempotency_key: bool = False
    needs_key: bool = True


class FileToSend(Struct, frozen=True):
    """A file in a payload: the sample uploads it first and sends its id. `name` is the file's name."""

    name: str


def files_to_send(fields: Sequence[Mapping[str, Any]], payload: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a payload for a sample, in which stored files, and the required ones that it lacks, are `FileToSend`.
    An https address stays: it is an example, too.
    """
    whole = dict(payload)
    for field in fields:
        name = str(field.get("name"))
        if field.get("required") and whole.get(name) is None and takes_files([field]):
            if field.get("type") == "file":
                whole[name] = FileToSend(_file_name(field))
            elif field.get("type") == "array":
                whole[name] = [FileToSend(_file_name(field.get("items") or {}))]
    named = {pointer: _file_name(field) for field, pointer, _ in sent_files(fields, whole)}

    def sent(pointer: str, value: Any) -> Any:
        if isinstance(value, FileToSend) or (isinstance(value, str) and is_web_file(value)):
            return value
        return FileToSend(cast("Mapping[str, str]", value)["name"] if is_file_value(value) else named[pointer])

    return map_files(fields, whole, sent)


def has_files(payload: Any) -> bool:
    """True when a file has to be uploaded first."""
    return bool(marks(payload))


def as_json(payload: Any) -> str:
    """Returns the payload as indented JSON that can be encoded, with a mark (see `marks`) for each file."""
    return without_lone_surrogates(json.dumps(payload, ensure_ascii=False, indent=2, default=_mark))


def changes_in_javascript(payload: Any) -> bool:
    """True when an object of JavaScript does not send the payload as it is: it rounds whole numbers beyond 2^53, writes
    1e19 with all its digits, which the API refuses, and takes a field named `__proto__` for something else.
    """
    if isinstance(payload, dict):
        return "__proto__" in payload or any(map(changes_in_javascript, payload.values()))
    if isinstance(payload, list):
        return any(map(changes_in_javascript, payload))
    if isinstance(payload, float):
        return 2**63 <= abs(payload) < _WITH_EXPONENT
    return isinstance(payload, int) and abs(payload) > _LARGEST_IN_JAVASCRIPT


def marks(payload: Any) -> list[tuple[str, str]]:
    """Returns each mark that `as_json` writes for a file, and the file's name."""
    if isinstance(payload, FileToSend):
        return [(_mark(payload), payload.name)]
    inner = payload.values() if isinstance(payload, dict) else payload if isinstance(payload, list) else ()
    return [one for value in inner for one in marks(value)]


def _mark(file: FileToSend) -> str:
    return f"{_MARK}{whole_utf8(file.name).hex()}@@"


def _file_name(field: Mapping[str, Any]) -> str:
    kinds = field.get("file_kinds") or ("pdf",)
    return f"example{KIND_ENDINGS[kinds[0]][0]}"
